"""Rotary positions with a base of one's own."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp


class RoPE(eqx.Module):
    """Turns the vector at each position of a sequence by angles that grow with the position.

    Beside `eqx.nn.RotaryPositionalEmbedding`, whose tables are shared between layers of equal size
    whatever their ``theta``, and which always keeps the type of its input.

    Args:
        theta: how slowly the last planes turn.
        keep_dtype: whether the result has the type of the input; else what input and angles promote
            to.
        dtype: type of the sines and cosines; None for jax's default floating type.

    Example:
        >>> layer = RoPE(theta=500.0)
        >>> layer(jnp.ones((5, 4))).shape
        (5, 4)
    """

    theta: float = eqx.field(static=True, default=10_000.0)
    keep_dtype: bool = eqx.field(static=True, default=True)
    dtype: Any = eqx.field(static=True, default=None)

    def __call__(self, x: Any, positions: Any = None, *, key: Any = None) -> Any:
        """Turn ``x`` of shape ``(length, features)``.

        Args:
            x: vectors with an even number of features, whose two halves are coordinates in planes.
            positions: where they stand, of shape ``(length)``; None for 0 and upwards.
            key: there for `eqx.nn.Sequential`.

        Raises:
            ValueError: if the number of features is odd.
        """
        length, features = x.shape[-2:]
        if features % 2:
            raise ValueError(f"RoPE turns an even number of features, got {features}.")
        positions = jnp.arange(float(length)) if positions is None else positions
        frequencies = 1.0 / (self.theta ** (jnp.arange(0.0, features, 2) / features))
        angles = positions[..., None] * frequencies
        cosine, sine = jnp.cos(angles), jnp.sin(angles)
        if self.dtype is not None:
            cosine, sine = cosine.astype(self.dtype), sine.astype(self.dtype)
        first, second = jnp.split(x, 2, axis=-1)
        turned = jnp.concatenate(
            [first * cosine - second * sine, second * cosine + first * sine], axis=-1
        )
        return turned.astype(x.dtype) if self.keep_dtype else turned
