"""Draws any configuration of any layer, converts it, and looks for a wrong model.

Layers of the core and of the frameworks, companions among them, with every parameter of their
constructors off its default or not, alone and in stacks. Each is converted out of the core, or into
it, and back: it must compute the same and hold the same bits when it comes back, or an
`InteropError` is raised. Anything else is printed with the seed that draws it again:

    python scripts/fuzz.py --framework nnx --direction into --only 17
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# What is refused inside of JAX would spend a fifth of the time on making its traceback short.
os.environ.setdefault("JAX_TRACEBACK_FILTERING", "off")

import jax

from fuzz_draw import DIRECTIONS, Finding, Lane, findings, shrunk
from fuzz_judge import AGREES, FINE, FOREIGN, NOT_CALLABLE, ONE_WAY, REFUSED, WRONG
from fuzz_kinds import KINDS
from interop_core.testing import quick_compilation

__all__ = ["KINDS", "Lane", "Tally", "examples", "lanes", "main"]

ROOM = 2 * 2**20
"""KiB by which the process may grow before compiled programs are thrown away."""


class Tally:
    """What was found so far.

    Attributes:
        verdicts: how often each verdict was given; those of refusals by class.
        agreed: how often each layer agreed, alone or in a stack.
        refused: how often each was refused.
        examples: seeds that were drawn.
        stacks: how many of the models were stacks.
        seconds: time taken.
        cpu: time that a core worked on it.
    """

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.agreed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.stacks = 0
        self.examples = 0
        self.seconds = 0.0
        self.cpu = 0.0

    def add(self, finding: Finding) -> None:
        """Count a finding."""
        verdict = finding.verdict
        named = f"{verdict.kind} ({verdict.detail})" if verdict.kind == REFUSED else verdict.kind
        self.verdicts[named] += 1
        if verdict.kind == NOT_CALLABLE:
            return
        self.stacks += len(finding.layers) > 1
        counted = {True: self.agreed, False: self.refused}.get(verdict.kind in FINE)
        if counted is not None and not verdict.bad:
            counted.update(layer.name for layer in finding.layers)

    @property
    def configurations(self) -> int:
        """Models that were judged: those that can be called."""
        return sum(n for named, n in self.verdicts.items() if named != NOT_CALLABLE)

    @property
    def bad(self) -> int:
        """Findings that must not be."""
        return self.verdicts[WRONG] + self.verdicts[FOREIGN]

    def line(self) -> str:
        """The counts in a line."""
        named = ", ".join(f"{name} {n}" for name, n in self.verdicts.most_common())
        rate = self.configurations / max(self.cpu, 1e-9)
        return (
            f"{self.configurations} configurations ({self.stacks} stacks) of {self.examples} seeds "
            f"in {self.seconds:.0f} s, {rate:.1f}/s of a core: {named}"
        )

    def holes(self, lane: Lane) -> list[str]:
        """Layers that a row converts and that were never seen to agree."""
        side = "core" if lane.direction == "out" else "foreign"
        names = {_name(getattr(row, side)) for row in KINDS[lane.framework].bridge.rows}
        return sorted(names - self.agreed.keys())


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", None) or type(target).__name__)


def lanes(framework: list[str] | None = None, direction: list[str] | None = None) -> list[Lane]:
    """Each direction with each framework, or those asked for."""
    return [Lane(f, d) for d in direction or DIRECTIONS for f in framework or KINDS]


def examples(lane: Lane, seed: int, count: int) -> Iterator[tuple[int, Finding]]:
    """Seed and findings of examples."""
    for number in range(seed, seed + count):
        with warnings.catch_warnings(), quick_compilation():
            warnings.simplefilter("ignore")
            for finding in findings(lane, number):
                yield number, finding


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Draw as many examples as asked for; exit status 1 where one went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--framework", choices=KINDS, action="append")
    parser.add_argument("--direction", choices=DIRECTIONS, action="append")
    parser.add_argument("--examples", type=int, default=200, help="seeds for each framework")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--seed", type=int, default=0, help="of the first example")
    parser.add_argument("--only", type=int, help="this seed alone, with all that is drawn by it")
    parser.add_argument("--every", type=float, default=60, help="seconds between two reports")
    parser.add_argument("--processes", type=int, default=1, help="each takes seeds of its own")
    options = parser.parse_args()
    if options.processes > 1:
        return _in_processes(options.processes, options.examples, options.seed)
    logging.getLogger("absl").setLevel(logging.ERROR)
    ways = lanes(options.framework, options.direction)
    if options.only is not None:
        return _one(ways, options.only)
    return _many(ways, options.seed, options.examples, options.seconds, options.every)


def _one(ways: list[Lane], seed: int) -> int:
    bad = False
    for lane in ways:
        for _, finding in examples(lane, seed, 1):
            bad |= finding.verdict.bad
            print(f"{lane}: {finding.verdict.kind} {finding.verdict.detail}\n    {finding}")
            if finding.verdict.bad:
                print(f"  smaller: {shrunk(finding)}")
    return int(bad)


def _many(ways: list[Lane], seed: int, count: int, seconds: float, every: float) -> int:
    started = time.monotonic()
    tallies = {lane: Tally() for lane in ways}
    told, room = started, _memory() + ROOM
    for number in range(seed, seed + count):
        for lane, tally in tallies.items():
            before, busy = time.monotonic(), time.process_time()
            for _, finding in examples(lane, number, 1):
                tally.add(finding)
                if finding.verdict.bad:
                    _tell(lane, number, finding)
            tally.examples += 1
            tally.seconds += time.monotonic() - before
            tally.cpu += time.process_time() - busy
        now = time.monotonic()
        if now - told > every:
            told = now
            for lane, tally in tallies.items():
                print(f"{lane}: {tally.line()}", flush=True)
        if _memory() > room:
            jax.clear_caches()
            room = _memory() + ROOM
        if now - started > seconds:
            break
    minutes = (time.monotonic() - started) / 60
    for lane, tally in tallies.items():
        print(f"{lane}: {tally.line()}")
        holes = [f"{name} (refused {tally.refused[name]})" for name in tally.holes(lane)]
        if holes:
            print(f"    never agreed: {', '.join(holes)}")
    print(row(ways, list(tallies.values()), f"{seed} to {number}", minutes), flush=True)
    return int(any(tally.bad for tally in tallies.values()))


def row(ways: list[Lane], tallies: list[Tally], seeds: str, minutes: float) -> str:
    """A row of the ledger in docs/design/fuzzing.md."""
    counts: Counter[str] = Counter()
    for tally in tallies:
        for named, n in tally.verdicts.items():
            counts[named.split(" (")[0]] += n
    framework = ", ".join(dict.fromkeys(lane.framework for lane in ways))
    direction = ", ".join(dict.fromkeys(lane.direction for lane in ways))
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "flax", "equinox"))
    cells = [
        *(seeds, framework, direction, sum(tally.configurations for tally in tallies)),
        *(sum(tally.stacks for tally in tallies), f"{minutes:.0f} min"),
        *(counts[named] for named in (AGREES, ONE_WAY, REFUSED, WRONG, FOREIGN)),
        versions,
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _tell(lane: Lane, seed: int, finding: Finding) -> None:
    small = shrunk(finding)
    said = small.verdict.detail.strip().splitlines()[-1:]
    print(
        f"{lane} --only {seed}: {finding.verdict.kind}: {finding.verdict.detail}\n"
        f"    {finding}\n    smaller: {' '.join(said)}\n    {small}",
        flush=True,
    )


def _in_processes(processes: int, count: int, seed: int) -> int:
    """The same with several processes, each of which takes its share of the seeds."""
    words = sys.argv[1:]
    each = -(-count // processes)
    started = [
        subprocess.Popen(
            [
                sys.executable,
                __file__,
                *words,
                "--processes",
                "1",
                "--examples",
                str(each),
                "--seed",
                str(seed + i * each),
            ]
        )
        for i in range(processes)
    ]
    return max(process.wait() for process in started)


if __name__ == "__main__":
    sys.exit(main())
