"""Initializers that draw every element alike, and orthogonal ones."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import numpy as jnp

from ._initializers import Size, _Seeded, with_unit


class Normal(_Seeded):
    """A normal distribution.

    Args:
        mean: its mean.
        scale: its standard deviation.
        unit: the physical unit of the result; None for plain numbers.
        seed: a seed or key of its own; None draws from the default generator.
    """

    def __init__(
        self, mean: float = 0.0, scale: float = 1.0, unit: Any = None, seed: Any = None
    ) -> None:
        super().__init__(seed, unit)
        self.mean = mean
        self.scale = scale

    def make(self, size: Size, dtype: Any) -> jax.Array:
        """Compute the array."""
        draw = jax.random.normal(self._key(), size, dtype)
        return with_unit(_affine(draw, self.scale, self.mean), self.unit)  # type: ignore[no-any-return]


def _affine(draw: jax.Array, scale: Any, loc: Any) -> jax.Array:
    """Compute ``draw * scale + loc`` in the dtype of the draw."""
    return draw * jnp.asarray(scale, draw.dtype) + jnp.asarray(loc, draw.dtype)


class Orthogonal(_Seeded):
    """A matrix with orthonormal rows or columns, from the QR decomposition of a normal draw.

    All axes but one are taken together, so a convolution kernel becomes a matrix as well.

    Args:
        scale: a factor on the result.
        axis: the axis that stays alone.
        seed: a seed or key of its own; None draws from the default generator.
        unit: the physical unit of the result; None for plain numbers.
    """

    def __init__(
        self, scale: float = 1.0, axis: int = -1, seed: Any = None, unit: Any = None
    ) -> None:
        super().__init__(seed, unit)
        self.scale = scale
        self.axis = axis

    def make(self, size: Size, dtype: Any) -> jax.Array:
        """Compute the array."""
        n_out = size[self.axis]
        n_rest = math.prod(size) // n_out
        wide = (n_rest, n_out) if n_out < n_rest else (n_out, n_rest)
        work = jnp.promote_types(dtype, jnp.float32)
        q, r = jnp.linalg.qr(jax.random.normal(self._key(), wide, work))
        q = q * jnp.sign(jnp.diag(r))
        if n_out >= n_rest:
            q = q.T
        rest = [n for i, n in enumerate(size) if i != self.axis % len(size)]
        q = jnp.moveaxis(jnp.reshape(q, (*rest, n_out)), -1, self.axis)
        return with_unit((self.scale * q).astype(dtype), self.unit)  # type: ignore[no-any-return]
