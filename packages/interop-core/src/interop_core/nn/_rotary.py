"""Positions written into vectors by turning them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from . import init
from ._module import Module
from ._parameters import as_array

__all__ = ["RoPE"]


class RoPE(Module):
    """Turn the vector at each position of a sequence by angles that grow with the position.

    The two halves of the features are taken as the coordinates of points in ``features / 2``
    planes: ``x1`` the first half, ``x2`` the second. At position ``t`` plane ``i`` is turned by
    ``a = t / theta ** (2 i / features)``:

        ``y1 = x1 cos(a) - x2 sin(a)``, ``y2 = x2 cos(a) + x1 sin(a)``

    The product of two vectors turned so depends on how far apart their positions are, and not on
    where these are: queries and keys of `MultiHeadAttention` are turned before they are compared,
    in `update(..., process_heads=...)` (Su et al. 2021, https://arxiv.org/abs/2104.09864). Other
    libraries pair neighbouring features instead of halves; theirs is this layer after a
    permutation of the features.

    Args:
        in_size: shape ``(length, features)`` of one example, or the number of features alone. None
            for any.
        theta: how slowly the last planes turn.
        keep_dtype: whether the result has the type of the input. False: what `jax.numpy` promotes
            input and angles to, so that half precision becomes float32.
        dtype: type of the sines and cosines. None: JAX's default floating type.
        name: a label for the user.

    Raises:
        ValueError: if the number of features is not even.

    Example:
        >>> layer = RoPE((2, 4))
        >>> first, second = layer(jnp.ones((2, 4))).tolist()
        >>> first, [round(number, 2) for number in second]
        ([1.0, 1.0, 1.0, 1.0], [-0.3, 0.99, 1.38, 1.01])
        >>> (placed,) = layer(jnp.ones((1, 4)), jnp.array([1])).tolist()
        >>> placed == second
        True
    """

    def __init__(
        self,
        in_size: int | Sequence[int] | None = None,
        theta: float = 10_000.0,
        *,
        keep_dtype: bool = True,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if in_size is not None:
            self.in_size = self.out_size = init.to_size(in_size)
        self.theta = theta
        self.keep_dtype = bool(keep_dtype)
        self.dtype = dtype
        if in_size is not None:
            self.output_size(self.in_size)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size`` itself.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if its number of features is not even, or not that of the layer.
        """
        size = self.in_size
        features = operator.index(in_size[-1]) if len(in_size) else 0
        if not features or features % 2 or (size is not None and features != size[-1]):
            even = size is None or not size[-1] or size[-1] % 2
            wanted = "an even number of" if even else size[-1]
            raise ValueError(
                f"RoPE turns {wanted} features on the last axis, got shape {tuple(in_size)}."
            )
        return tuple(in_size)

    def update(self, x: jax.Array, positions: jax.Array | None = None) -> jax.Array:
        """Turn the vectors.

        Args:
            x: vectors of shape ``(..., length, features)``.
            positions: their positions, of shape ``(length,)`` or ``(..., length)``. None: from 0
                upwards.

        Returns:
            Vectors of the same shape.

        Raises:
            ValueError: if the shapes do not fit.
        """
        x = as_array(x)
        self.output_size(x.shape)
        if x.ndim < 2 or (positions is not None and jnp.shape(positions)[-1:] != x.shape[-2:-1]):
            raise ValueError(
                f"RoPE takes vectors (..., length, features) and their positions (..., length), "
                f"got {x.shape} and {None if positions is None else jnp.shape(positions)}."
            )
        features = x.shape[-1]
        if positions is None:
            positions = jnp.arange(float(x.shape[-2]))
        frequencies = 1.0 / (self.theta ** (jnp.arange(0.0, features, 2) / features))
        angles = as_array(positions)[..., None] * frequencies
        cosine, sine = jnp.cos(angles), jnp.sin(angles)
        if self.dtype is not None:
            cosine, sine = cosine.astype(self.dtype), sine.astype(self.dtype)
        first, second = jnp.split(x, 2, axis=-1)
        turned = jnp.concatenate(
            [first * cosine - second * sine, second * cosine + first * sine], axis=-1
        )
        return turned.astype(x.dtype) if self.keep_dtype else turned
