"""Moves models between the core's layers and the published package `brainstate`.

Both have one interface and store their weights alike, so a model keeps its very arrays.
"""

from __future__ import annotations

from typing import Any

from interop_core import nn
from interop_core.core_side import CORE as CORE_SIDE
from interop_core.core_side import not_a_model

from ._rows import ROWS
from ._sides import CORE, PUBLISHED
from ._states import register_state_type
from ._verify import require_layers
from ._verify import verify as run_both
from ._walk import Conversion

__version__ = "0.1.0"

__all__ = [
    "from_brainstate",
    "register_state_type",
    "supported_layers",
    "to_brainstate",
]


def to_brainstate(
    model: nn.Module | nn.Metric | nn.HiData,
    *,
    copy: bool = False,
    verify: bool = False,
    sample_input: Any = None,
) -> Any:
    """Convert a core model into one of the published package.

    Weights and states are the same arrays on both sides, nothing is drawn at random, and nobody's
    random stream is advanced. A state or layer that stands in two places stays one.

    Args:
        model: a layer or a stack of layers; a metric; or a tree of named data.
        copy: whether the result has arrays of its own. By default both models hold the same ones,
            and donating one model (``donate_argnums`` of `jax.jit`) deletes them from the other.
        verify: whether copies of both models are run on a drawn input and compared, layer by layer:
            outputs in evaluation mode, and training steps where there are running statistics.
        sample_input: one unbatched example or its shape: what ``verify`` draws inputs for where
            the model does not say it.

    Returns:
        A `brainstate.nn` model that computes the same function.

    Raises:
        NotAModelError: for what is no core model.
        InteropError: every problem of the model in one error; nothing is returned then.
        VerificationError: where ``verify`` finds a difference, with the first layer that differs.

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
    if copy or verify:
        require_layers(model)
    published = Conversion(CORE, PUBLISHED).run(CORE_SIDE.duplicate(model) if copy else model)
    if verify:
        run_both(model, published, sample_input, outward=True)
    return published


def from_brainstate(
    model: Any,
    *,
    copy: bool = False,
    verify: bool = False,
    sample_input: Any = None,
) -> Any:
    """Convert a model of the published package into a core one.

    Args:
        model: a layer or a stack of layers of `brainstate.nn`; a metric; or a tree of named data.
        copy: whether the result has arrays of its own. By default both models hold the same ones,
            and donating one model (``donate_argnums`` of `jax.jit`) deletes them from the other.
        verify: whether copies of both models are run on a drawn input and compared, layer by layer:
            outputs in evaluation mode, and training steps where there are running statistics.
        sample_input: one unbatched example or its shape: what ``verify`` draws inputs for where
            the model does not say it.

    Returns:
        A core model that computes the same function, with the same arrays.

    Raises:
        NotAModelError: for what is no published model.
        InteropError: every problem of the model in one error; nothing is returned then.
        VerificationError: where ``verify`` finds a difference, with the first layer that differs.

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
    core = Conversion(PUBLISHED, CORE).run(model)
    if copy or verify:
        require_layers(core)
    core = CORE_SIDE.duplicate(core) if copy else core
    if verify:
        run_both(core, model, sample_input, outward=False)
    return core


def supported_layers() -> list[str]:
    """Names of the layers that both libraries have and that convert, sorted.

    Example:
        >>> "Linear" in supported_layers()
        True
    """
    sides = (CORE.layers, PUBLISHED.layers)
    return sorted(name for name in ROWS if all(hasattr(side, name) for side in sides))
