"""Spoils each row in every way that it can be wrong, and counts what the generated checks notice.

A *mutant* is a row with one mistake: an option dropped or taken for any value, two axes or two
halves of an array swapped, two arrays confused, an array said to be always there, the channels on
another axis. It is killed when one of the checks that the row brings along fails. What survives is
printed: a mistake that could be made in the row without a test to tell. The exit status is 1 then.
What computes the same as the row is no mistake: `equivalent_mutants` lists it with its reason.

    python scripts/mutate.py --framework nnx --row LSTM
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import interop_equinox.testing
import interop_linen.testing
import interop_nnx.testing
from equivalent_mutants import why_equivalent
from interop_core.bridge import Bridge
from interop_core.layout import IDENTITY, Blocks, Layout, axes, chain
from interop_core.mapping import Config, Given, LayerMap, Leaf, Only, Opt, Unconvertible, ignored
from interop_core.options import REQUIRED, parameters
from interop_core.registry import for_core, register_layer_mapping, registrations
from interop_core.testing import Check, Harness, checks_of, named_rows, pair_of, samples_of

HARNESSES: dict[str, Harness] = {
    "nnx": interop_nnx.testing.HARNESS,
    "linen": interop_linen.testing.HARNESS,
    "equinox": interop_equinox.testing.HARNESS,
}

DIMENSIONS = re.compile(r"[0-3]d\b")
SIBLINGS = re.compile(
    r"Stateful|(?<=[a-z])[0-9]$|Event(?=Fixed)|(?<=Fixed)(NumConn|Prob)|Self|MultiHead|DotProduct"
)
"""What tells rows apart that are made in one place, with the same options."""

HALVES = Blocks("ab", "ba")
UNCHECKED = Given("core", "", None).check
ALWAYS = Leaf((), ()).when


@dataclass(frozen=True)
class Mutant:
    """A row with one mistake.

    Attributes:
        row: the spoiled row.
        mistake: what is wrong in it.
    """

    row: LayerMap
    mistake: str


def mutants(bridge: Bridge, row: LayerMap, ranks: dict[str, tuple[int, ...]]) -> Iterator[Mutant]:
    """Every mistake that can be made in a row.

    Args:
        bridge: the bridge whose row it is.
        row: the row as it is.
        ranks: the shapes of the framework's arrays by name, in some case of the row.
    """
    yield from _options(bridge, row)
    yield from _layouts(row, ranks)
    yield from _names(row, ranks)
    if bridge.channels_first and row.channels in ("first", "same"):
        other: Any = "same" if row.channels == "first" else "first"
        yield Mutant(replace(row, channels=other), f"channels={other!r}")


def _options(bridge: Bridge, row: LayerMap) -> Iterator[Mutant]:
    """Options left out on both sides, and pinned ones taken at any value."""
    for place, option in enumerate(row.options):
        rest = (*row.options[:place], *row.options[place + 1 :])
        if isinstance(option, Opt):
            # Read off an array, or needed to make the layer at all: nothing is left to test.
            if "." in option.foreign or _is_required(row, option):
                continue
            loose = (ignored("core", option.core, ""), ignored("foreign", option.foreign, ""))
            yield Mutant(replace(row, options=(*rest, *loose)), f"drops {option.core}")
        elif isinstance(option, Only | Given):
            if isinstance(option, Given) and option.check is UNCHECKED:
                continue
            if option.name not in parameters(getattr(row, option.side)):
                continue  # a function that does not take what others of its kind do
            if option.side == "core" and not row.exports:
                continue  # no core layer comes this way
            if option.side == "core" and _goes_elsewhere(bridge, row, option.name):
                continue
            free = replace(row, options=(*rest, ignored(option.side, option.name, "")))
            yield Mutant(free, f"takes any {option.side}.{option.name}")


def _is_required(row: LayerMap, option: Opt) -> bool:
    """Whether one of the classes cannot be made without the option."""
    core, foreign = parameters(row.core), parameters(row.foreign)
    return core.get(option.core) is REQUIRED or foreign.get(option.foreign) is REQUIRED


def _goes_elsewhere(bridge: Bridge, row: LayerMap, name: str) -> bool:
    """Whether a core layer with this option off its default becomes another row's layer."""
    entries = for_core(bridge, row.core)
    if isinstance(entries, Unconvertible) or row not in entries:
        return False
    for value in (None, object(), (2, 2, 2)):
        config = {**parameters(row.core), name: value, "stacked": False, "example": None}
        before = entries[: entries.index(row)]
        try:
            if not row.chosen(config) or any(
                isinstance(entry, LayerMap) and entry.chosen(config) for entry in before
            ):
                return True
        except (TypeError, ValueError, AttributeError):
            continue  # no layer has such a value
    return False


def _layouts(row: LayerMap, ranks: dict[str, tuple[int, ...]]) -> Iterator[Mutant]:
    """Arrays of one foreign name with two axes or two halves the wrong way round."""
    for entry in row.leaves:
        shape = ranks.get(entry.foreign[0])
        if len(entry.foreign) > 1 or shape is None:
            continue
        if len(shape) > 1 and max(shape[-2:]) > 1:
            letters = "abcdefgh"[: len(shape)]
            turned = letters[:-2] + letters[-1] + letters[-2]
            swap = axes(f"{' '.join(letters)} -> {' '.join(turned)}")
            yield Mutant(_with_layout(row, entry, swap), f"swaps axes of {entry.foreign[0]}")
        if shape and shape[-1] % 2 == 0:
            yield Mutant(_with_layout(row, entry, HALVES), f"swaps halves of {entry.foreign[0]}")


def _with_layout(row: LayerMap, entry: Leaf, more: Layout) -> LayerMap:
    def layout(config: Config) -> Layout:
        before = entry.at(config)
        return more if before is IDENTITY else chain(before, more)

    changed = tuple(replace(e, layout=layout) if e is entry else e for e in row.leaves)
    return replace(row, leaves=changed)


def _names(row: LayerMap, ranks: dict[str, tuple[int, ...]]) -> Iterator[Mutant]:
    """Arrays of one shape confused with each other, and arrays that are said to be always there."""
    flat = [(e, n) for e in row.leaves for n in e.foreign]
    for (first, a), (second, b) in pairwise(flat):
        if a != b and a in ranks and ranks.get(a) == ranks.get(b):
            renamed = {a: b, b: a}
            leaves = tuple(
                replace(e, foreign=tuple(renamed.get(n, n) for n in e.foreign))
                if e in (first, second)
                else e
                for e in row.leaves
            )
            yield Mutant(replace(row, leaves=leaves), f"confuses {a} and {b}")
    for entry in row.leaves:
        if entry.when is not ALWAYS:
            always = replace(entry, when=ALWAYS)
            leaves = tuple(always if e is entry else e for e in row.leaves)
            yield Mutant(replace(row, leaves=leaves), f"always has {entry.foreign[0]}")


ORDER = (
    *("row_is_found", "parameters_are_accounted_for", "cases_set_what_is_spoken_of"),
    *("refusal", "lookup_finds_the_class", "arrays_named_once", "options_round_trip"),
    *("weights_round_trip", "specs_round_trip", "identity_shares_the_buffer"),
    *("source_is_unchanged", "constructor_agrees", "abstract_equals_concrete", ""),
    *("forward_agrees", "statistics_agree", "forward_agrees_without_batch", "gradients_agree"),
)
"""Checks in the order of what they take, the others in the place of the empty name."""


class Judge:
    """The checks of one row, which are asked of each of its mutants.

    A check that fails is believed where the unspoiled row passes it.
    """

    def __init__(self, harness: Harness, name: str, row: LayerMap) -> None:
        self._harness, self._name = harness, name
        self._own = {check.name: check for check in checks_of(harness.bridge, name, row)}
        self._passed: dict[str, bool] = {}

    @property
    def broken(self) -> list[str]:
        """Checks that the row itself fails, which say nothing of its mutants."""
        return [name for name, passed in self._passed.items() if not passed]

    def kills(self, mutant: Mutant) -> bool:
        """Whether one of the checks fails once the mutant stands in the place of the row."""
        bridge = self._harness.bridge
        checks = sorted(checks_of(bridge, self._name, mutant.row), key=_cost)
        while True:
            pair_of.cache_clear()
            believed = [check for check in checks if self._passed.get(check.name, True)]
            with registrations():
                register_layer_mapping(mutant.row, framework=bridge.name)
                failed = next((c for c in believed if not _passes(c, self._harness)), None)
            if failed is None:
                return False
            if failed.name not in self._passed:
                self._passed[failed.name] = _passes(self._own[failed.name], self._harness)
            if self._passed[failed.name]:
                return True


def _passes(check: Check, harness: Harness) -> bool:
    try:
        check(harness)
    except Exception:
        return False
    return True


def _cost(check: Check) -> int:
    kind = check.name.rpartition("-")[2].rstrip("0123456789")
    return ORDER.index(kind if kind in ORDER else "")


def shapes_of(harness: Harness, name: str, row: LayerMap) -> dict[str, tuple[int, ...]]:
    """The shapes of the framework's arrays in the first case of a row that has any."""
    for sample in samples_of(harness.bridge, name, row):
        arrays = pair_of(harness, sample).foreign_arrays
        if arrays:
            return {n: tuple(array.shape) for n, array in arrays.items()}
    return {}


def families(harness: Harness) -> list[dict[str, LayerMap]]:
    """The rows of a bridge, those of one layer in one to three dimensions together, and such.

    They come from one line, so a mistake is made in all of them at once, and is noticed where one
    of them notices it: one of them has most of the cases.
    """
    found: dict[tuple[Any, ...], dict[str, LayerMap]] = {}
    for name, row in named_rows(harness.bridge):
        alike = SIBLINGS.sub("", DIMENSIONS.sub("", name))
        words = tuple((o.core, o.foreign) for o in row.options if isinstance(o, Opt))
        found.setdefault((alike, words), {})[name] = row
    return [dict(sorted(rows.items(), key=_most_cases)) for rows in found.values()]


def _most_cases(entry: tuple[str, LayerMap]) -> int:
    _, row = entry
    return -len(row.cases) - len(row.foreign_cases) - len(row.refusals)


def mistakes(harness: Harness, family: dict[str, LayerMap]) -> dict[str, list[tuple[str, Mutant]]]:
    """What can be made wrong in a family: by the mistake, the rows that have it."""
    found: dict[str, list[tuple[str, Mutant]]] = {}
    for name, row in family.items():
        for mutant in mutants(harness.bridge, row, shapes_of(harness, name, row)):
            found.setdefault(mutant.mistake, []).append((name, mutant))
    return found


@dataclass
class Tally:
    """What became of the mutants.

    Attributes:
        killed: how many a check noticed.
        equivalent: those that compute the same as the row, with the reason.
        survivors: those that nothing noticed.
        broken: checks that rows fail unspoiled, which say nothing of mutants.
    """

    killed: int = 0
    equivalent: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        made = self.killed + len(self.survivors)
        score = 100 * self.killed / made if made else 100.0
        same = f" ({len(self.equivalent)} more are equivalent)" if self.equivalent else ""
        return f"{self.killed} of {made} mutants killed, {score:.1f} %{same}"


@dataclass
class Wanted:
    """Which mutants are asked for.

    Attributes:
        mistake: a regular expression that the beginning of the mistake matches.
        every: every n-th of them alone.
    """

    mistake: str = ""
    every: int = 1
    _seen: int = -1

    def takes(self, mistake: str) -> bool:
        """Whether it is this one's turn."""
        self._seen += bool(fits := re.match(self.mistake, mistake))
        return bool(fits) and self._seen % self.every == 0


def spoil(harness: Harness, family: dict[str, LayerMap], tally: Tally, wanted: Wanted) -> None:
    """Make every mistake in a family that is asked for, and tally what its checks say."""
    framework = harness.bridge.name
    judges = {name: Judge(harness, name, row) for name, row in family.items()}
    for mistake, spoiled in mistakes(harness, family).items():
        if not wanted.takes(mistake):
            continue
        title = f"{framework} {spoiled[0][0]}: {mistake}"
        if any(judges[name].kills(mutant) for name, mutant in spoiled):
            tally.killed += 1
            continue
        reason = why_equivalent(framework, spoiled[0][0], mistake)
        (tally.equivalent if reason else tally.survivors).append(title)
        print(f"equivalent: {title} ({reason})" if reason else f"survives: {title}", flush=True)
    for judge in judges.values():
        tally.broken += judge.broken
        for name in judge.broken:
            print(f"fails unspoiled: {framework} {name}", flush=True)


def main() -> int:
    """Spoil the rows that are asked for, print the survivors and the count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--framework", choices=HARNESSES, action="append")
    parser.add_argument("--row", default="", help="rows whose name holds this word")
    parser.add_argument("--mistake", default="", help='how they begin: "drops|takes", "swaps"')
    parser.add_argument("--every", type=int, default=1, help="take every n-th mutant alone")
    parser.add_argument("--times", action="store_true", help="say how long each family took")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # what a spoiled row warns of is not looked at
    started, tally = time.perf_counter(), Tally()
    wanted = Wanted(arguments.mistake, arguments.every)
    for framework in arguments.framework or HARNESSES:
        harness, own, begun = HARNESSES[framework], Tally(), time.perf_counter()
        for family in families(harness):
            if not any(arguments.row.lower() in name.lower() for name in family):
                continue
            before = time.perf_counter()
            spoil(harness, family, own, wanted)
            if arguments.times:
                print(f"{time.perf_counter() - before:6.1f} s {', '.join(family)}", flush=True)
        print(f"{framework}: {own} in {time.perf_counter() - begun:.0f} s", flush=True)
        tally.killed += own.killed
        tally.equivalent += own.equivalent
        tally.survivors += own.survivors
        tally.broken += own.broken
    print(f"{tally} in {time.perf_counter() - started:.0f} s")
    return int(bool(tally.survivors or tally.broken) or not tally.killed)


if __name__ == "__main__":
    sys.exit(main())
