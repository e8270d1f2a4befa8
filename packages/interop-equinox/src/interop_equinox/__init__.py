"""Move models between the core's layers and Equinox."""

from __future__ import annotations

from typing import Any, Literal

from interop_core import nn
from interop_core.bridge import Bridge
from interop_core.convert import execute, plan_from, plan_to

from ._framework import Equinox
from ._pointwise import Pointwise

__version__ = "0.1.0"
__all__ = ["BRIDGE", "Pointwise", "from_equinox", "to_equinox"]

BRIDGE: Bridge = Equinox()
"""Equinox as one side of a conversion."""


def to_equinox(
    model: nn.Module,
    *,
    key: Any = None,
    sample_input: Any = None,
    channels: Literal["native", "last"] = "native",
) -> Any:
    """Convert a core model into an Equinox one, with its weights.

    The result takes one example at a time; `jax.vmap` it over a batch. Spatial data has the
    channels first, as Equinox has it: a stack of convolutions takes and gives
    ``(channels, height, width)``. Where a layer inside a stack needs the channels last, as
    Linear, LayerNorm and Flatten do, an explicit axis move stands before it. Dropout comes in
    evaluation mode; `eqx.nn.inference_mode` switches it.

    Args:
        model: a layer, or a `nn.Sequential` of layers.
        key: accepted for compatibility; nothing is drawn.
        sample_input: one unbatched example in the core's convention, or its shape, for models
            that do not say how many axes an example has.
        channels: ``"native"`` for Equinox's convention at both ends of the model, ``"last"`` for
            the core's.

    Returns:
        An Equinox module that computes the same.

    Raises:
        InteropError: where anything cannot be converted exactly, with every problem in it.

    Example:
        >>> import jax
        >>> from interop_core import nn
        >>> model = to_equinox(nn.Sequential(nn.Linear(4, 8), nn.ReLU()))
        >>> jax.vmap(model)(jax.numpy.ones((2, 4))).shape
        (2, 8)
    """
    return execute(plan_to(BRIDGE, model, sample_input=sample_input, channels=channels))


def from_equinox(model: Any, *, sample_input: Any = None) -> Any:
    """Convert an Equinox model into a core model, with its weights.

    The result keeps channels last. Where an Equinox stack looks at channels-first data as it lies,
    as `jax.numpy.ravel` does, a `nn.MoveAxis` stands before that layer.

    Args:
        model: a layer, or an `eqx.nn.Sequential` of layers.
        sample_input: one unbatched example as the core's model will take it (channels last), or
            its shape; needed where a layer's sizes depend on its input, as a convolution's do.

    Returns:
        A core module that computes the same on batches.

    Raises:
        InteropError: where anything cannot be converted exactly, with every problem in it.

    Example:
        >>> import equinox as eqx, jax
        >>> model = from_equinox(eqx.nn.Linear(4, 8, key=jax.random.key(0)))
        >>> model(jax.numpy.ones((2, 4))).shape
        (2, 8)
    """
    return execute(plan_from(BRIDGE, model, sample_input=sample_input))
