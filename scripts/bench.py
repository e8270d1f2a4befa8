"""Measures conversions against the published `brainstate.interop` and against the floor.

Sizes: (a) 200 x (Linear(64, 64) + LayerNorm(64)), many small layers; (b) 8 x Linear(4096, 4096),
537 MB of weights. Warm calls take turns in one process, so that a busy machine slows all alike;
first calls, memory and imports are measured in a process of their own each. docs/benchmarks.md
says how to read the tables.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

import bench_models as models
from _table import show_table
from bench_models import OPERATIONS, SIZES, Size

FRESH = Path(__file__).with_name("bench_fresh.py")
QUICK = 0.2  # seconds; a call below this is timed several times in its turn
MOST_CALLS = 9

Times = dict[str, list[float]]
"""Seconds of each turn, by who took it: ours, peer, floor."""


# --- warm calls ---------------------------------------------------------------------------------


def seconds_of(convert: Callable[[], Any]) -> float:
    """One conversion, until its arrays are there."""
    started = time.perf_counter()
    result = convert()
    seconds = time.perf_counter() - started
    arrays = models.arrays_of(result)  # looking for them is no part of a conversion
    started = time.perf_counter()
    jax.block_until_ready(arrays)
    return seconds + time.perf_counter() - started


def take_turns(subjects: dict[str, Callable[[], Any]], repeats: int) -> Times:
    """Time each subject once in every round, a quick one by the median of several calls."""
    calls = {}
    for name, convert in subjects.items():
        seconds_of(convert)  # compiles
        calls[name] = min(MOST_CALLS, max(1, int(QUICK / seconds_of(convert))))
    times: Times = {name: [] for name in subjects}
    for _ in range(repeats):
        for name, convert in subjects.items():
            gc.collect()
            turn = [seconds_of(convert) for _ in range(calls[name])]
            times[name].append(statistics.median(turn))
    return times


def warm_times(size: Size, *, repeats: int, peer: bool) -> Iterator[tuple[str, Times]]:
    """Every conversion of a size in turns with the peer's and the floor."""
    core = models.core_model("ours", size)
    published = None
    if peer:
        published = models.core_model("peer", size)
        models.copy_weights(core, published)
    for framework in models.FRAMEWORKS:
        foreign = models.conversion("ours", f"to_{framework}", core)()
        back = models.conversion("ours", f"from_{framework}", foreign)()
        ways = {f"to_{framework}": (core, published, foreign)}
        ways[f"from_{framework}"] = (foreign, foreign, back)
        for operation, (source, peers_source, result) in ways.items():
            subjects = {"ours": models.conversion("ours", operation, source)}
            if peer:
                subjects["peer"] = models.conversion("peer", operation, peers_source)
            subjects["floor"] = models.floor(source, result)
            yield operation, take_turns(subjects, repeats)


# --- processes of their own ---------------------------------------------------------------------


def fresh(*words: str) -> float | None:
    """What bench_fresh.py measures; ``None`` where it could not."""
    env = dict(os.environ)
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    command = [sys.executable, str(FRESH), *words]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    value: float | None = json.loads(done.stdout.splitlines()[-1])
    return value


def fresh_turns(subjects: list[str], repeats: int, *words: str) -> Times:
    """Take turns at starting processes; ``words`` say what to measure, ``*`` stands for whom."""
    times: Times = {name: [] for name in subjects}
    for _ in range(repeats):
        for name in subjects:
            value = fresh(*(name if word == "*" else word for word in words))
            times[name] += [] if value is None else [value]
    return times


# --- targets ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """One target and what was measured."""

    what: str
    target: str
    measured: str
    met: bool
    by: float  # measured over target, so that 1 is just met; above 1 is missed

    def row(self) -> tuple[str, ...]:
        """As cells of a table."""
        if self.met:
            return self.what, self.target, self.measured, "met"
        return self.what, self.target, self.measured, f"missed by a factor of {self.by:.2f}"


def at_most(what: str, value: float, limit: float, unit: str) -> Verdict:
    """A target that is met from below."""
    return Verdict(
        what, f"<= {limit:g} {unit}", f"{value:.3g} {unit}", value <= limit, value / limit
    )


def at_least(what: str, value: float, limit: float, unit: str) -> Verdict:
    """A target that is met from above."""
    return Verdict(
        what, f">= {limit:g} {unit}", f"{value:.3g} {unit}", value >= limit, limit / value
    )


def ratio(times: Times, above: str, below: str) -> float:
    """How many times as long one takes as the other: the median over the rounds."""
    pairs = zip(times[above], times[below], strict=True)
    return statistics.median(a / b for a, b in pairs)


@dataclass
class Measured:
    """All figures of one size."""

    warm: dict[str, Times]
    first: dict[str, Times]
    memory: dict[str, Times]


def verdicts(name: str, figures: Measured) -> Iterator[Verdict]:
    """The targets of a size, in the order of the conversions."""
    for operation, times in figures.warm.items():
        if name == "a":
            faster = 1.0 if operation == "to_linen" else 8.0
            for kind, seen in (("warm", times), ("first call", figures.first.get(operation, {}))):
                if seen.get("peer") and seen.get("ours"):
                    what = f"(a) {operation}, {kind}"
                    yield at_least(what, ratio(seen, "peer", "ours"), faster, "x as fast as peer")
        elif operation.endswith("equinox"):
            yield at_most(f"(b) {operation}", ratio(times, "ours", "floor"), 1.15, "x floor")
        else:
            yield at_most(f"(b) {operation}", statistics.median(times["ours"]) * 1e3, 10, "ms")
    for operation, extra in figures.memory.items():
        if name == "b" and extra["ours"]:
            # Python's own objects and the allocator's slack are not weights.
            limit = 1.05 if operation.endswith("equinox") else 0.01
            used = statistics.median(extra["ours"]) / SIZES[name].bytes
            yield at_most(f"(b) {operation}, extra memory", used, limit, "x model")


# --- showing ------------------------------------------------------------------------------------


def milliseconds(times: list[float]) -> str:
    """The median."""
    if not times:
        return "-"
    value = statistics.median(times) * 1e3
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def times_as(seen: Times, above: str, below: str) -> str:
    """A ratio as a cell."""
    if not seen.get(above) or not seen.get(below):
        return "-"
    value = ratio(seen, above, below)
    return f"{value:,.0f} x" if value >= 100 else f"{value:.2f} x"


def show(name: str, figures: Measured) -> None:
    """Print the tables of a size."""
    text = SIZES[name].text
    rows = [
        (
            operation,
            *(milliseconds(seen.get(who, [])) for who in ("ours", "peer", "floor")),
            times_as(seen, "peer", "ours"),
            times_as(seen, "ours", "floor"),
        )
        for operation, seen in figures.warm.items()
    ]
    show_table(
        f"\n({name}) {text}: warm",
        ("ms, warm", "ours", "peer", "floor", "peer / ours", "ours / floor"),
        rows,
    )
    if figures.first:
        first_rows = [
            (
                operation,
                milliseconds(seen["ours"]),
                milliseconds(seen.get("peer", [])),
                times_as(seen, "peer", "ours"),
            )
            for operation, seen in figures.first.items()
        ]
        show_table(
            f"\n({name}) {text}: first call in a process",
            ("ms, first call", "ours", "peer", "peer / ours"),
            first_rows,
        )
    if figures.memory:
        size = SIZES[name].bytes

        def share(values: list[float]) -> str:
            return f"{statistics.median(values) / size:.3f}" if values else "-"

        shares = [
            (operation, share(seen["ours"]), share(seen.get("peer", [])))
            for operation, seen in figures.memory.items()
        ]
        show_table(
            f"\n({name}) {text}: extra memory at the peak, as a share of the model",
            ("share", "ours", "peer"),
            shares,
        )


def machine() -> str:
    """What the figures were measured on."""
    parts = [f"Python {platform.python_version()}", f"jax {jax.__version__}"]
    return ", ".join([*parts, f"{os.cpu_count()} cores", jax.default_backend()])


def progress(text: str) -> None:
    """Say on standard error what is being measured."""
    print(f"... {text}", file=sys.stderr, flush=True)


# --- all of it ----------------------------------------------------------------------------------


def measure(name: str, arguments: argparse.Namespace) -> Measured:
    """Measure one size."""
    size, subjects = SIZES[name], ["ours"] + ([] if arguments.no_peer else ["peer"])
    figures = Measured({}, {}, {})
    progress(f"({name}) warm")
    for operation, times in warm_times(size, repeats=arguments.repeats, peer=not arguments.no_peer):
        figures.warm[operation] = times
        progress(f"({name}) {operation}: ours {milliseconds(times['ours'])} ms")
    gc.collect()
    for operation in OPERATIONS if arguments.fresh else ():
        progress(f"({name}) {operation}: first call")
        words = ("first", "*", operation, name)
        figures.first[operation] = fresh_turns(subjects, arguments.fresh, *words)
        if name == "b":
            progress(f"({name}) {operation}: memory")
            words = ("memory", "*", operation, name)
            figures.memory[operation] = fresh_turns(subjects, 1, *words)
    return figures


def main() -> int:
    """Measure what was asked for and print it; the exit status says nothing about the targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), action="append", help="both by default")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds of warm calls")
    parser.add_argument(
        "--fresh", type=int, default=1, metavar="N", help="processes for each first call; 0: none"
    )
    parser.add_argument("--no-peer", action="store_true", help="without the published brainstate")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time too")
    arguments = parser.parse_args()
    print(machine(), flush=True)
    judged: list[Verdict] = []
    raw: dict[str, Any] = {"machine": machine()}
    for name in arguments.size or sorted(SIZES):
        figures = measure(name, arguments)
        show(name, figures)
        judged += verdicts(name, figures)
        raw[name] = asdict(figures)
    if arguments.fresh:
        progress("imports")
        imports = [fresh("import", "ours") or 0.0 for _ in range(2 * arguments.fresh + 1)]
        raw["import"] = imports
        took = statistics.median(imports)
        judged.append(at_most("importing the umbrella, beyond jax", took, 0.1, "s of CPU"))
    show_table(
        "\nTargets", ("what", "target", "measured", ""), [verdict.row() for verdict in judged]
    )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
