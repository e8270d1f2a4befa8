"""Moves models between the core's layers and the published package `brainstate`.

Both have one interface and store their weights alike, so a model keeps its very arrays.
"""

from __future__ import annotations

from typing import Any

from interop_core import nn
from interop_core.core_side import not_a_model

from ._rows import ROWS
from ._sides import CORE, PUBLISHED
from ._states import register_state_type
from ._walk import Conversion

__version__ = "0.1.0"

__all__ = [
    "from_brainstate",
    "register_state_type",
    "supported_layers",
    "to_brainstate",
]


def to_brainstate(model: nn.Module | nn.Metric | nn.HiData) -> Any:
    """Convert a core model into one of the published package.

    Weights and states are the same arrays on both sides, nothing is drawn at random, and nobody's
    random stream is advanced. A state or layer that stands in two places stays one.

    Args:
        model: a layer or a stack of layers; a metric; or a tree of named data.

    Returns:
        A `brainstate.nn` model that computes the same function.

    Raises:
        NotAModelError: for what is no core model.
        InteropError: every problem of the model in one error; nothing is returned then.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = nn.Linear(4, 8)
        >>> published = to_brainstate(layer)
        >>> published.weight.value["weight"] is layer.weight.value["weight"]
        True
        >>> published(jnp.ones((2, 4))).shape
        (2, 8)
    """
    if not isinstance(model, nn.Module | nn.Metric | nn.HiData):
        raise not_a_model(model, nn.__name__)
    return Conversion(CORE, PUBLISHED).run(model)


def from_brainstate(model: Any) -> Any:
    """Convert a model of the published package into a core one.

    Args:
        model: a layer or a stack of layers of `brainstate.nn`; a metric; or a tree of named data.

    Returns:
        A core model that computes the same function, with the same arrays.

    Raises:
        NotAModelError: for what is no published model.
        InteropError: every problem of the model in one error; nothing is returned then.

    Example:
        >>> import brainstate
        >>> published = brainstate.nn.Sequential(
        ...     brainstate.nn.Linear(4, 8), brainstate.nn.LayerNorm(8)
        ... )
        >>> model = from_brainstate(published)
        >>> type(model[1]).__name__, model[1].weight.value.keys() == {"scale", "bias"}
        ('LayerNorm', True)
    """
    kinds = PUBLISHED.module | PUBLISHED.layers.Metric | PUBLISHED.layers.HiData
    if not isinstance(model, kinds):
        raise not_a_model(model, "brainstate.nn")
    return Conversion(PUBLISHED, CORE).run(model)


def supported_layers() -> list[str]:
    """Names of the layers that both libraries have and that convert, sorted.

    Example:
        >>> "Linear" in supported_layers()
        True
    """
    sides = (CORE.layers, PUBLISHED.layers)
    return sorted(name for name in ROWS if all(hasattr(side, name) for side in sides))
