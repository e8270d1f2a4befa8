"""Where companions that draw in their calls take their random numbers from."""

from __future__ import annotations

from typing import Any

import jax
from flax import nnx

STREAM = "dropout"
"""The stream that is asked for, as stock layers ask for it."""

_DATA: Any = getattr(nnx, "data", lambda value: value)  # older releases know no static attributes


def stream(rngs: nnx.Rngs | nnx.RngStream | None) -> Any:
    """A stream of the layer's own; ``None`` where there is none yet."""
    if rngs is None:
        return _DATA(None)
    return (rngs[STREAM] if isinstance(rngs, nnx.Rngs) else rngs).fork()


class Drawing(nnx.Module):
    """The base of the layers that draw in their calls.

    Attributes:
        rngs: the stream that they draw from; ``None`` where there is none yet.
    """

    rngs: Any


def draw_key(layer: Any, rngs: nnx.Rngs | nnx.RngStream | jax.Array | None) -> Any:
    """The key of one call: of what is passed to it, or else of the layer's own stream.

    Raises:
        ValueError: if there is neither.
    """
    source = layer.rngs if rngs is None else rngs
    if source is None:
        raise ValueError(
            f"{type(layer).__name__} draws random numbers: make it with rngs=nnx.Rngs(0), or pass "
            "rngs to the call."
        )
    if isinstance(source, nnx.Rngs):
        return source[STREAM]()
    return source() if isinstance(source, nnx.RngStream) else source
