"""The sampling methods of random generators, with NumPy's names and arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import jax
import numpy as np
from jax import numpy as jnp

from . import environ

Size = int | Sequence[int]
SeedOrKey = int | np.integer[Any] | jax.Array | np.ndarray[Any, Any]


def as_key(seed_or_key: Any) -> jax.Array:
    """Turn a seed, a typed key or raw key data into a typed key.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(seed_or_key, int | np.integer):
        return jax.random.key(int(seed_or_key))
    if not hasattr(seed_or_key, "dtype"):
        raise TypeError(f"A seed or a key is needed, not {seed_or_key!r}.")
    if jnp.issubdtype(seed_or_key.dtype, jax.dtypes.prng_key):
        return cast("jax.Array", seed_or_key)
    if seed_or_key.shape == ():
        return jax.random.key(seed_or_key)
    return cast("jax.Array", jax.random.wrap_key_data(jnp.asarray(seed_or_key, np.uint32)))


def shape_of_draw(size: Size | None, *parameters: Any) -> tuple[int, ...]:
    """Give the shape to sample: the size asked for, else that of the parameters together."""
    if size is None:
        return np.broadcast_shapes(*(np.shape(p) for p in parameters))
    if isinstance(size, int | np.integer):
        return (int(size),)
    return tuple(int(n) for n in size)


def affine(draw: jax.Array, loc: Any, scale: Any) -> jax.Array:
    """Compute ``loc + scale * draw`` in the dtype of the draw."""
    if scale is not None:
        draw = draw * jnp.asarray(scale, draw.dtype)
    if loc is not None:
        draw = draw + jnp.asarray(loc, draw.dtype)
    return draw


class Draws:
    """What every group of sampling methods builds on: where the key comes from."""

    def _draw(self, key: SeedOrKey | None) -> jax.Array:
        """Take the key given to a sampling call, or draw one."""
        raise NotImplementedError


class Sampling(Draws):
    """The methods that draw uniform, normal and integer numbers.

    They share three arguments: ``size`` is the shape of the result (None takes that of the
    parameters together), ``key`` a seed or key to use instead of the generator's own, and ``dtype``
    that of the result, by default `environ.dftype()` or `environ.ditype()`.
    """

    # -- uniform ---------------------------------------------------------------------------------

    def rand(self, *dn: int, key: SeedOrKey | None = None, dtype: Any = None) -> jax.Array:
        """Sample uniformly from [0, 1); the arguments are the shape."""
        return jax.random.uniform(self._draw(key), dn, dtype or environ.dftype())

    def random(
        self, size: Size | None = None, key: SeedOrKey | None = None, dtype: Any = None
    ) -> jax.Array:
        """Sample uniformly from [0, 1)."""
        return jax.random.uniform(self._draw(key), shape_of_draw(size), dtype or environ.dftype())

    random_sample = random
    ranf = random
    sample = random

    def rand_like(
        self, input: Any, *, dtype: Any = None, key: SeedOrKey | None = None
    ) -> jax.Array:
        """Sample uniformly from [0, 1), in the shape and dtype of an array.

        Numbers are drawn in the default dtype and converted.
        """
        return self.rand(*np.shape(input), key=key).astype(dtype or jnp.result_type(input))

    def uniform(
        self,
        low: Any = 0.0,
        high: Any = 1.0,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample uniformly from [low, high)."""
        shape = shape_of_draw(size, low, high)
        return jax.random.uniform(self._draw(key), shape, dtype or environ.dftype(), low, high)

    # -- normal ----------------------------------------------------------------------------------

    def randn(self, *dn: int, key: SeedOrKey | None = None, dtype: Any = None) -> jax.Array:
        """Sample from the standard normal distribution; the arguments are the shape."""
        return jax.random.normal(self._draw(key), dn, dtype or environ.dftype())

    def standard_normal(
        self, size: Size | None = None, key: SeedOrKey | None = None, dtype: Any = None
    ) -> jax.Array:
        """Sample from the standard normal distribution."""
        return jax.random.normal(self._draw(key), shape_of_draw(size), dtype or environ.dftype())

    def randn_like(
        self, input: Any, *, dtype: Any = None, key: SeedOrKey | None = None
    ) -> jax.Array:
        """Sample from the standard normal distribution, in the shape and dtype of an array.

        Numbers are drawn in the default dtype and converted.
        """
        return self.randn(*np.shape(input), key=key).astype(dtype or jnp.result_type(input))

    def normal(
        self,
        loc: Any = None,
        scale: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the normal distribution of mean ``loc`` and standard deviation ``scale``."""
        shape = shape_of_draw(size, loc, scale)
        draw = jax.random.normal(self._draw(key), shape, dtype or environ.dftype())
        return affine(draw, loc, scale)

    def lognormal(
        self,
        mean: Any = None,
        sigma: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample numbers whose logarithm is normal with this mean and standard deviation."""
        return jnp.exp(self.normal(mean, sigma, size, key, dtype))

    def multivariate_normal(
        self,
        mean: Any,
        cov: Any,
        size: Size | None = None,
        method: str = "cholesky",
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample vectors of this mean and covariance; ``method`` is that of the root of ``cov``."""
        dtype = dtype or environ.dftype()
        batch = np.broadcast_shapes(np.shape(mean)[:-1], np.shape(cov)[:-2])
        shape = (*(() if size is None else shape_of_draw(size)), *batch)
        return jax.random.multivariate_normal(
            self._draw(key),
            jnp.asarray(mean, dtype),
            jnp.asarray(cov, dtype),
            shape,
            dtype,
            method=method,
        )

    def truncated_normal(
        self,
        lower: Any,
        upper: Any,
        size: Size | None = None,
        loc: Any = 0.0,
        scale: Any = 1.0,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the normal distribution of ``loc`` and ``scale``, between two bounds.

        Args:
            lower: the lower bound of the result.
            upper: the upper bound of the result.
            size: as described for the class.
            loc: the mean before truncation.
            scale: the standard deviation before truncation.
            key: as described for the class.
            dtype: as described for the class.
        """
        dtype = dtype or environ.dftype()
        shape = shape_of_draw(size, lower, upper, loc, scale)
        low = (jnp.asarray(lower, dtype) - loc) / scale
        high = (jnp.asarray(upper, dtype) - loc) / scale
        draw = jax.random.truncated_normal(self._draw(key), low, high, shape, dtype)
        # Rounding of the product must not lead out of the bounds.
        return jnp.clip(affine(draw, loc, scale), lower, upper).astype(dtype)

    # -- integers and choices --------------------------------------------------------------------

    def randint(
        self,
        low: Any,
        high: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample integers from [low, high), or from [0, low) without ``high``."""
        if high is None:
            low, high = 0, low
        shape = shape_of_draw(size, low, high)
        return jax.random.randint(self._draw(key), shape, low, high, dtype or environ.ditype())

    def random_integers(
        self,
        low: Any,
        high: Any = None,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample integers from [low, high], or from [1, low] without ``high``."""
        if high is None:
            low, high = 1, low
        return self.randint(low, high + 1, size, key, dtype)

    def randint_like(
        self,
        input: Any,
        low: Any = 0,
        high: Any = None,
        *,
        dtype: Any = None,
        key: SeedOrKey | None = None,
    ) -> jax.Array:
        """Sample integers as `randint` does, in the shape and dtype of an array."""
        wanted = jnp.dtype(dtype or jnp.result_type(input))
        work = wanted if jnp.issubdtype(wanted, np.integer) else environ.ditype()
        return self.randint(low, high, np.shape(input), key, work).astype(wanted)

    def bernoulli(
        self,
        p: Any = 0.5,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        check_valid: bool = True,
    ) -> jax.Array:
        """Sample booleans that are true with probability ``p``.

        Raises:
            ValueError: if ``p`` leaves [0, 1], where it is known and ``check_valid`` is set.
        """
        if check_valid and not isinstance(p, jax.core.Tracer):
            known = np.asarray(p)
            if not ((known >= 0) & (known <= 1)).all():
                raise ValueError(f"p is a probability, between 0 and 1, and not {p}.")
        return jax.random.bernoulli(self._draw(key), p, shape_of_draw(size, p))

    def binomial(
        self,
        n: Any,
        p: Any,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample how many of ``n`` trials of probability ``p`` succeed."""
        work = environ.dftype()
        draw = jax.random.binomial(
            self._draw(key),
            jnp.asarray(n, work),
            jnp.asarray(p, work),
            shape_of_draw(size, n, p),
            work,
        )
        return draw.astype(dtype or environ.ditype())

    def poisson(
        self,
        lam: Any = 1.0,
        size: Size | None = None,
        key: SeedOrKey | None = None,
        dtype: Any = None,
    ) -> jax.Array:
        """Sample from the Poisson distribution of mean ``lam``."""
        return jax.random.poisson(
            self._draw(key), lam, shape_of_draw(size, lam), dtype or environ.ditype()
        )

    def categorical(
        self,
        logits: Any,
        axis: int = -1,
        size: Size | None = None,
        key: SeedOrKey | None = None,
    ) -> jax.Array:
        """Sample indices along an axis with probabilities given as logits."""
        shape = None if size is None else shape_of_draw(size)
        return jax.random.categorical(self._draw(key), jnp.asarray(logits), axis, shape)

    def choice(
        self,
        a: Any,
        size: Size | None = None,
        replace: bool = True,
        p: Any = None,
        key: SeedOrKey | None = None,
    ) -> jax.Array:
        """Pick from an array, or from ``range(a)``, with probabilities ``p`` if given."""
        a = a if isinstance(a, int) else jnp.asarray(a)
        p = None if p is None else jnp.asarray(p)
        return jax.random.choice(self._draw(key), a, shape_of_draw(size), replace, p)

    def permutation(
        self, x: Any, axis: int = 0, independent: bool = False, key: SeedOrKey | None = None
    ) -> jax.Array:
        """Shuffle an array along an axis, or ``range(x)``; slices stay whole by default."""
        x = x if isinstance(x, int) else jnp.asarray(x)
        return jax.random.permutation(self._draw(key), x, axis, independent=independent)

    def shuffle(self, x: Any, axis: int = 0, key: SeedOrKey | None = None) -> jax.Array:
        """Shuffle an array along an axis. The result is a new array."""
        return self.permutation(x, axis, key=key)
