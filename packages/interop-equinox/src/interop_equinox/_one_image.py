"""The carry of one image beside a norm over groups, which is refused in both directions.

Without a batch the core's norm takes the rows of an image for one, where Equinox's takes an image.
A model whose cell remembers one image is called with one alone, so the two would differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from interop_core import HiddenState, nn
from interop_core.errors import Path, Problem, UnsupportedStructureError, raise_problems

from ._state import Stateful
from .companions import Carrying

_APART = (eqx.nn.GroupNorm, Carrying)


def check_core(model: nn.Module) -> None:
    """Raise for a core model with such a carry.

    Raises:
        UnsupportedStructureError: with the place of each cell.
    """
    layers = list(_layers(model, (), ()))
    if any(isinstance(layer, nn.GroupNorm | nn.InstanceNorm) for _, layer in layers):
        images = [
            (path, "nn.ConvLSTMCell")
            for path, cell in layers
            if type(cell) is nn.ConvLSTMCell
            if isinstance(state := getattr(cell, "h", None), HiddenState)
            if jnp.ndim(state.value) == len(cell.in_size)
        ]
        _refuse(images, "begin with a batch: init_all_states(model, batch_size)")


def _layers(model: Any, path: Path, above: tuple[int, ...]) -> Iterator[tuple[Path, Any]]:
    """The layers of a stack with their places; one that stands in itself is refused elsewhere."""
    if type(model) is not nn.Sequential:
        yield path, model
    elif id(model) not in above:
        for index, child in enumerate(model.layers):
            yield from _layers(child, (*path, "layers", index), (*above, id(model)))


def check_native(model: Stateful) -> None:
    """Raise for an Equinox model with such a carry.

    Raises:
        UnsupportedStructureError: with the class of each cell.
    """
    parts = jax.tree.leaves(model.layer, is_leaf=lambda part: isinstance(part, _APART))
    if any(isinstance(part, eqx.nn.GroupNorm) for part in parts):
        cells = [part for part in parts if isinstance(part, Carrying) and len(part.carry_shape) > 1]
        images: list[tuple[Path, str]] = [
            ((), f"companions.{type(cell).__name__}")
            for cell in cells
            if _rank(cell, model.state) == len(cell.carry_shape)
        ]
        _refuse(images, "pass reset_carries(model, state, (batch,)), or a state that jax.vmap made")


def _rank(cell: Carrying, state: eqx.nn.State) -> int | None:
    try:
        return int(state.get(getattr(cell, cell.carried[0])).ndim)
    except (AttributeError, KeyError):
        return None  # the cell that misses its numbers says so, with its place


def _refuse(cells: Sequence[tuple[Path, str]], advice: str) -> None:
    reason = "remembers one image, and the core's norms over groups take its rows for a batch"
    error = UnsupportedStructureError
    raise_problems([Problem(path, title, error, reason, advice) for path, title in cells])
