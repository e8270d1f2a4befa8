"""What is left of a normalisation whose statistics are constants."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp


class ScaleAndShift(eqx.Module):
    """A factor and a shift for each channel: ``(x - center) * scale + shift``.

    This is a batch normalisation in evaluation, with ``center`` its running mean, ``scale`` its
    scale over the root of its running variance, and ``shift`` its bias. Nothing of it depends on
    the batch, in training neither.

    Args:
        channels: number of channels; the input has the shape ``(channels, ...)``.
        use_shift: whether there is a shift.
        dtype: of the arrays; float32 or float64 by default, as jax is set.
        key: accepted for the likes of other layers; nothing is drawn.

    Example:
        >>> layer = ScaleAndShift(3)
        >>> layer(jnp.ones((3, 8, 8))).shape
        (3, 8, 8)
    """

    center: Any
    scale: Any
    shift: Any
    channels: int = eqx.field(static=True)
    use_shift: bool = eqx.field(static=True)

    def __init__(
        self, channels: int, use_shift: bool = True, *, dtype: Any = None, key: Any = None
    ) -> None:
        self.channels = channels
        self.use_shift = use_shift
        self.center = jnp.zeros(channels, dtype)
        self.scale = jnp.ones(channels, dtype)
        self.shift = jnp.zeros(channels, dtype) if use_shift else None

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Apply it to one example with the channels first.

        Raises:
            ValueError: for another number of channels.
        """
        if x.ndim == 0 or x.shape[0] != self.channels:
            raise ValueError(
                f"ScaleAndShift takes {self.channels} channels on the first axis, got {x.shape}."
            )
        shape = (self.channels, *(1,) * (x.ndim - 1))
        y = (x - self.center.reshape(shape)) * self.scale.reshape(shape)
        return y if self.shift is None else y + self.shift.reshape(shape)
