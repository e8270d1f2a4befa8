"""Checks generated from a bridge's rows, for the bridges of this project and anybody else's.

A bridge's test file makes a `Harness`, which says how its framework makes and calls a layer, and
runs every check on it::

    HARNESS = MyHarness(BRIDGE, to_mine, from_mine)


    @pytest.mark.parametrize("check", checks(BRIDGE), ids=str)
    def test_rows(check):
        check(HARNESS)

Imports jax, numpy and the engine; no test library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..bridge import Bridge
from ..mapping import LayerMap
from ._agreement import AGREEMENT
from ._checks import CHECKS
from ._harness import Call, Harness, Outcome, call_core, one_by_one
from ._quick import quick_compilation
from ._rows import ROW_CHECKS, refusals_of, refuses
from ._samples import Pair, Sample, filled, named_rows, pair_of, samples_of

__all__ = [
    "AGREEMENT",
    "CHECKS",
    "ROW_CHECKS",
    "Call",
    "Check",
    "Harness",
    "Outcome",
    "Pair",
    "Sample",
    "call_core",
    "checks",
    "checks_of",
    "filled",
    "named_rows",
    "one_by_one",
    "pair_of",
    "quick_compilation",
    "refusals_of",
    "refuses",
    "samples_of",
]


@dataclass(frozen=True, eq=False)
class Check:
    """One check of one case, row or refusal: called with a harness, it raises `AssertionError`.

    Attributes:
        name: what is checked of what.
        run: the check.
    """

    name: str
    run: Callable[[Harness], None]

    def __call__(self, harness: Harness) -> None:
        """Run the check."""
        with quick_compilation():
            self.run(harness)

    def __str__(self) -> str:
        return self.name


def checks(bridge: Bridge) -> list[Check]:
    """Every check of every row of a bridge, those of one case next to each other.

    Args:
        bridge: the bridge whose rows are checked.

    Returns:
        Checks with distinct names, in the order of the rows.
    """
    return [check for name, row in named_rows(bridge) for check in checks_of(bridge, name, row)]


def checks_of(bridge: Bridge, name: str, row: LayerMap) -> list[Check]:
    """Every check of one row: of the row, of its refusals, and of each case.

    Args:
        bridge: the bridge that the row belongs to, or is registered for.
        name: what the checks' names begin with.
        row: the row.
    """
    found = [Check(f"{name}-{of_row.__name__}", _bound(of_row, row)) for of_row in ROW_CHECKS]
    found += [Check(str(refusal), _bound(refuses, refusal)) for refusal in refusals_of(name, row)]
    found += [
        Check(f"{sample}-{of_pair.__name__}", _on_pair(of_pair, sample))
        for sample in samples_of(bridge, name, row)
        for of_pair in (*CHECKS, *AGREEMENT)
    ]
    return found


def _bound(function: Callable[[Harness, Any], None], subject: Any) -> Callable[[Harness], None]:
    return lambda harness: function(harness, subject)


def _on_pair(function: Callable[[Pair], None], sample: Sample) -> Callable[[Harness], None]:
    return lambda harness: function(pair_of(harness, sample))
