"""Rotary positions for attention."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import linen


class RoPE(linen.Module):
    """Turns the vector at each position of a sequence by angles that grow with the position.

    Without parameters: apply it to the projected queries and keys of an attention.

    Attributes:
        theta: how slowly the last planes turn.
        keep_dtype: whether the result has the type of the input; else what input and angles promote
            to.
        dtype: type of the sines and cosines; None for jax's default floating type.

    Example:
        >>> RoPE(theta=500.0).apply({}, jnp.ones((2, 5, 4))).shape
        (2, 5, 4)
    """

    theta: float = 10_000.0
    keep_dtype: bool = True
    dtype: Any = None

    def __call__(self, x: Any, positions: Any = None) -> Any:
        """Turn ``x`` of shape ``(..., length, features)``.

        Args:
            x: vectors with an even number of features, whose two halves are coordinates in planes.
            positions: where they stand, of shape ``(..., length)``; None for 0 and upwards.

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
