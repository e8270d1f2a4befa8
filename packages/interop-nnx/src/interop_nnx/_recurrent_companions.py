"""Rows of the recurrent cells that NNX has not, and of cells inside a stack.

A cell of the core inside a stack becomes one that holds its carry, so that the stack is called as
it was. A cell alone becomes one that takes and returns it: one of NNX where there is such a one.
"""

from __future__ import annotations

from collections.abc import Callable

from interop_core.companion_recurrent_rows import Words, cells_with_carry, stateful_cells
from interop_core.mapping import Config, LayerMap, Leaf, Opt, leaf

from . import companions
from ._recurrent import ACTIVATION

_PREFIX = {"W": "", "Wrz": "gates_", "Wf": "gate_", "Wh": "candidate_", "Uh": "state_"}
"""What stands in front of ``kernel`` and ``bias``, by the core's name of the product."""


def _parts(
    part: str, exists: Callable[[Config], bool], biased: Callable[[Config], bool]
) -> tuple[Leaf, ...]:
    prefix = _PREFIX[part]
    return (
        leaf(f"{part}.weight.weight", f"{prefix}kernel", when=exists),
        leaf(
            f"{part}.weight.bias",
            f"{prefix}bias",
            when=lambda config: exists(config) and biased(config),
        ),
    )


_WORDS = Words(
    (Opt("num_in", "in_features"), Opt("num_out", "hidden_features")),
    ACTIVATION,
    _parts,
    state=str,
)

STATEFUL: tuple[LayerMap, ...] = stateful_cells(companions, _WORDS)
WITH_CARRY: tuple[LayerMap, ...] = cells_with_carry(companions, _WORDS)
