"""What is checked of a row as a whole and of its refusals.

Imports jax, numpy and the engine; no test library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .. import nn
from ..core_side import CORE
from ..errors import InteropError, UnsupportedConfigurationError
from ..mapping import Ignored, LayerMap, Opt, Refused
from ..options import CORE_IGNORED, CORE_STATE_TYPES, parameters
from ..registry import for_core, for_foreign
from ._checks import require
from ._harness import Harness
from ._samples import Sample, batch_of, importable, make_core, spoken_of


def parameters_are_accounted_for(harness: Harness, row: LayerMap) -> None:
    """Every constructor parameter of both classes is mapped, pinned or ignored by name."""
    sides: tuple[tuple[Any, Any, set[str]], ...] = (
        ("core", row.core, {*CORE_IGNORED.names, *CORE_STATE_TYPES}),
        ("foreign", row.foreign, set(harness.bridge.ignored)),
    )
    for side, layer, known in sides:
        silent = sorted(parameters(layer).keys() - known - set(spoken_of(row, side)))
        name = getattr(layer, "__name__", layer)
        require(not silent, f"no word of {', '.join(silent)}, which {name} takes")


def options_exist(harness: Harness, row: LayerMap) -> None:
    """Every option that a row translates is one of its class, or is read off an array."""
    for option in row.options:
        if isinstance(option, Opt):
            require(option.core in parameters(row.core), f"{option.core} is no option of the core")
            require(
                option.foreign in parameters(row.foreign) or "." in option.foreign,
                f"{option.foreign} is no option of the framework's layer",
            )


def row_is_found(harness: Harness, row: LayerMap) -> None:
    """The row is looked up from both sides."""
    bridge = harness.bridge
    if row.exports:
        entries = for_core(bridge, row.core)
        require(isinstance(entries, tuple) and bool(entries), "no row stands for the core layer")
    rows = for_foreign(bridge, row.foreign)
    require(isinstance(rows, tuple) and row in rows, "not found by the framework's layer")


HARMLESS = frozenset(
    {
        *("in_size", "norm_type"),  # of a layer without weights, of an embedding without max_norm
        *("deterministic", "use_running_average", "rng_collection"),  # modes, and a stream's name
    }
)
"""Options that a case may set although its row ignores them: they say nothing of the numbers."""


def row_has_cases(harness: Harness, row: LayerMap) -> None:
    """A row without a case would pass every other check."""
    require(bool(row.cases or row.foreign_cases), "there is no case to check it on")


def cases_set_what_is_spoken_of(harness: Harness, row: LayerMap) -> None:
    """No row ignores an option that a case of it sets: it may be one that changes nothing here.

    A precision is such an option: on a CPU no output tells that it was dropped.
    """
    for side, cases in (("core", row.cases), ("foreign", row.foreign_cases)):
        for option in row.options:
            if isinstance(option, Ignored) and option.side == side:
                names = set(option.names) - HARMLESS
                dropped = sorted(names & {name for case in cases for name in case.options})
                require(not dropped, f"a case sets {', '.join(dropped)}, which the row ignores")


ROW_CHECKS = (
    parameters_are_accounted_for,
    options_exist,
    row_is_found,
    row_has_cases,
    cases_set_what_is_spoken_of,
)


@dataclass(frozen=True, eq=False)
class Refusal:
    """One configuration that a row must refuse."""

    row: LayerMap
    refused: Refused
    name: str

    def __str__(self) -> str:
        return self.name


def refusals_of(name: str, row: LayerMap) -> list[Refusal]:
    """Every refusal of one row."""
    return [Refusal(row, refused, f"{name}-refusal{i}") for i, refused in enumerate(row.refusals)]


def refuses(harness: Harness, refusal: Refusal) -> None:
    """The conversion raises the class and says the words that the row promises, with the place."""
    row, refused = refusal.row, refusal.refused
    sample = Sample(row, refused.side, refused.case, refusal.name)
    if refused.side == "core":
        layer = make_core(sample)
        title = CORE.title(layer)
    else:
        layer = harness.make(row.foreign, refused.case.options, batch_of(sample))
        node = harness.bridge.adopt(layer)
        title = harness.bridge.title(node)
        if not isinstance(row.foreign, type):  # a plain function is no model outside of a stack
            layer = harness.bridge.lend(harness.bridge.stack([node]))
    try:
        if refused.side == "core":
            model = nn.Sequential(layer) if refused.case.stacked else layer
            harness.export(model, refused.case.input)
        else:
            harness.import_(importable(harness, row, layer), refused.case.input)
    except InteropError as error:
        expected = refused.error or UnsupportedConfigurationError
        require(isinstance(error, expected), f"raised {type(error).__name__}: {error}")
        require(bool(re.search(refused.match, str(error))), f"it says: {error}")
        require(bool(error.problems), f"no problem comes with: {error}")
        require(error.layer == title, f"it is said of {error.layer}, not of {title}")
    else:
        raise AssertionError(f"{title} was converted")
