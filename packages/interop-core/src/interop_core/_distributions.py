"""The sampling methods of random generators for the less common distributions."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from . import environ
from ._sampling import Draws, SeedOrKey, Size, affine, shape_of_draw


class Distributions(Draws):
    """The methods that draw from gamma, beta, Laplace and other distributions.

    The arguments ``size``, ``key`` and ``dtype`` are those of `Sampling`.
    """

    def exponential(
        self,
        scale: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the exponential distribution of mean ``scale``."""
        shape = shape_of_draw(size, scale)
        draw = jax.random.exponential(self._draw(key), shape, dtype or environ.dftype())
        return affine(draw, None, scale)

    def standard_exponential(
        self, size: Size | None = None, key: SeedOrKey | None = None, dtype: Any = None
    ) -> jax.Array:
        """Sample from the exponential distribution of mean 1."""
        return self.exponential(None, size, key, dtype)

    def gamma(
        self,
        shape: Any,
        scale: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the gamma distribution of this shape parameter and scale."""
        dtype = dtype or environ.dftype()
        full = shape_of_draw(size, shape, scale)
        draw = jax.random.gamma(self._draw(key), jnp.asarray(shape, dtype), full, dtype)
        return affine(draw, None, scale)

    def standard_gamma(
        self,
        shape: Any,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the gamma distribution of scale 1."""
        return self.gamma(shape, None, size, key, dtype)

    def beta(
        self,
        a: Any,
        b: Any,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the beta distribution."""
        dtype = dtype or environ.dftype()
        return jax.random.beta(
            self._draw(key),
            jnp.asarray(a, dtype),
            jnp.asarray(b, dtype),
            shape_of_draw(size, a, b),
            dtype,
        )

    def dirichlet(
        self,
        alpha: Any,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample probability vectors from the Dirichlet distribution."""
        dtype = dtype or environ.dftype()
        shape = np.shape(alpha)[:-1] if size is None else shape_of_draw(size)
        return jax.random.dirichlet(self._draw(key), jnp.asarray(alpha, dtype), shape, dtype)

    def laplace(
        self,
        loc: Any = None,
        scale: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the Laplace distribution of this centre and scale."""
        shape = shape_of_draw(size, loc, scale)
        draw = jax.random.laplace(self._draw(key), shape, dtype or environ.dftype())
        return affine(draw, loc, scale)

    def gumbel(
        self,
        loc: Any = None,
        scale: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the Gumbel distribution of this location and scale."""
        shape = shape_of_draw(size, loc, scale)
        draw = jax.random.gumbel(self._draw(key), shape, dtype or environ.dftype())
        return affine(draw, loc, scale)

    def logistic(
        self,
        loc: Any = None,
        scale: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the logistic distribution of this location and scale."""
        shape = shape_of_draw(size, loc, scale)
        draw = jax.random.logistic(self._draw(key), shape, dtype or environ.dftype())
        return affine(draw, loc, scale)
