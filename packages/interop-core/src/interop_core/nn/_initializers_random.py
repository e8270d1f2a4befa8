"""Initializers that draw every element alike, and those that draw orthogonal matrices."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import numpy as jnp

from .. import random
from ._initializers import Seeded, Size
from ._quantity import alike, split, with_unit


class Normal(Seeded):
    """A normal distribution.

    Args:
        mean: its mean.
        scale: its standard deviation.
        unit: the physical unit of the result; None for plain numbers.
        seed: a seed or key of its own; None draws from the default generator.

    Example:
        >>> Normal(scale=0.1, seed=0)((2, 3)).shape
        (2, 3)
    """

    def __init__(
        self, mean: Any = 0.0, scale: Any = 1.0, unit: Any = None, seed: Any = None
    ) -> None:
        super().__init__(seed, unit)
        self.mean = mean
        self.scale = scale

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        mean, scale, unit = alike(self.mean, self.scale)
        draw = random.DEFAULT.normal(mean, scale, size, self.key(), dtype)
        return with_unit(with_unit(draw, unit), self.unit)


class TruncatedNormal(Seeded):
    """A normal distribution between two bounds.

    Args:
        loc: the mean before truncation.
        scale: the standard deviation before truncation.
        unit: the physical unit of the result; None for plain numbers.
        lower: the lower bound of the result.
        upper: the upper bound of the result.
        seed: a seed or key of its own; None draws from the default generator.

    Example:
        >>> bool(abs(TruncatedNormal(seed=0)((100,))).max() <= 2)
        True
    """

    def __init__(
        self,
        loc: Any = 0.0,
        scale: Any = 1.0,
        unit: Any = None,
        lower: Any = -2.0,
        upper: Any = 2.0,
        seed: Any = None,
    ) -> None:
        super().__init__(seed, unit)
        self.loc = loc
        self.scale = scale
        self.lower = lower
        self.upper = upper

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        draw = random.DEFAULT.truncated_normal(
            self.lower, self.upper, size, self.loc, self.scale, self.key(), dtype
        )
        return with_unit(draw, self.unit)


class Uniform(Seeded):
    """A uniform distribution on [min_val, max_val).

    Args:
        min_val: the lower bound.
        max_val: the upper bound.
        seed: a seed or key of its own; None draws from the default generator.
        unit: the physical unit of the result; None for plain numbers.

    Example:
        >>> bool(Uniform(2.0, 3.0, seed=0)((100,)).min() >= 2)
        True
    """

    def __init__(
        self, min_val: Any = 0.0, max_val: Any = 1.0, seed: Any = None, unit: Any = None
    ) -> None:
        super().__init__(seed, unit)
        self.min_val = min_val
        self.max_val = max_val

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        low, high, unit = alike(self.min_val, self.max_val)
        draw = random.DEFAULT.uniform(low, high, size, self.key(), dtype)
        return with_unit(with_unit(draw, unit), self.unit)


class Exponential(Seeded):
    """An exponential distribution.

    Args:
        scale: its mean; None stands for 1.
        seed: a seed or key of its own; None draws from the default generator.
        unit: the physical unit of the result; None for plain numbers.
    """

    def __init__(self, scale: Any = None, seed: Any = None, unit: Any = None) -> None:
        super().__init__(seed, unit)
        self.scale = scale

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        scale, unit = split(self.scale)
        draw = random.DEFAULT.exponential(scale, size, self.key(), dtype)
        return with_unit(with_unit(draw, unit), self.unit)


class Gamma(Seeded):
    """A gamma distribution.

    Args:
        shape: its shape parameter.
        unit: the physical unit of the result; None for plain numbers.
        scale: its scale; None stands for 1.
        seed: a seed or key of its own; None draws from the default generator.
    """

    def __init__(self, shape: Any, unit: Any = None, scale: Any = None, seed: Any = None) -> None:
        super().__init__(seed, unit)
        self.shape = shape
        self.scale = scale

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        scale, unit = split(self.scale)
        draw = random.DEFAULT.gamma(self.shape, scale, size, self.key(), dtype)
        return with_unit(with_unit(draw, unit), self.unit)


def _orthonormal(key: jax.Array, size: Size, axis: int, dtype: Any) -> jax.Array:
    """Draw an array whose ``axis`` against all the others is orthonormal, uniformly."""
    axis = axis % len(size)
    n_out = size[axis]
    n_rest = math.prod(size[:axis] + size[axis + 1 :])
    tall = (max(n_out, n_rest), min(n_out, n_rest))
    # There is no QR decomposition of half-precision numbers.
    work = jnp.promote_types(dtype, jnp.float32)
    q, r = jnp.linalg.qr(jax.random.normal(key, tall, work))
    # Without the signs of the diagonal the result would depend on how the routine picks them.
    q = q * jnp.sign(jnp.diag(r))
    if n_rest <= n_out:
        q = q.T
    rest = size[:axis] + size[axis + 1 :]
    return jnp.moveaxis(q.reshape(*rest, n_out), -1, axis)


class Orthogonal(Seeded):
    r"""A matrix with orthonormal rows or columns, whichever are fewer, drawn uniformly.

    From the decomposition :math:`A = QR` of a normal draw it is :math:`Q` with the signs of the
    diagonal of :math:`R`. All axes but one are taken together, so a convolution kernel is treated
    as a matrix as well.

    Args:
        scale: a factor on the result.
        axis: the axis that stays alone.
        seed: a seed or key of its own; None draws from the default generator.
        unit: the physical unit of the result; None for plain numbers.

    Example:
        >>> w = Orthogonal(seed=0)((4, 4))
        >>> bool(abs(w @ w.T - jnp.eye(4)).max() < 1e-5)
        True
    """

    def __init__(
        self, scale: Any = 1.0, axis: int = -1, seed: Any = None, unit: Any = None
    ) -> None:
        super().__init__(seed, unit)
        self.scale = scale
        self.axis = axis

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array.

        Raises:
            ValueError: if the shape has no axis.
        """
        if not size:
            raise ValueError("An orthogonal matrix needs at least one axis.")
        q = _orthonormal(self.key(), size, self.axis, dtype)
        return with_unit((self.scale * q).astype(dtype), self.unit)


class DeltaOrthogonal(Seeded):
    """A convolution kernel that is zero but at its centre, and orthogonal there.

    See Xiao et al., 2018 (arXiv:1806.05393): very deep convolutional networks train from it.

    Args:
        scale: a factor on the result.
        axis: as for `Orthogonal`, of the matrix (inputs, outputs) at the centre.
        seed: a seed or key of its own; None draws from the default generator.
        unit: the physical unit of the result; None for plain numbers.
    """

    def __init__(
        self, scale: Any = 1.0, axis: int = -1, seed: Any = None, unit: Any = None
    ) -> None:
        super().__init__(seed, unit)
        self.scale = scale
        self.axis = axis

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array.

        Raises:
            ValueError: if the shape is not that of a 1-, 2- or 3-dimensional kernel, or has more
                inputs than outputs.
        """
        if len(size) not in (3, 4, 5):
            raise ValueError(f"A kernel has 1 to 3 spatial axes and two more; {size} is none.")
        if size[-1] < size[-2]:
            raise ValueError(f"A delta-orthogonal kernel has no more inputs than outputs: {size}.")
        centre = tuple(n // 2 if n % 2 else (n - 1) // 2 for n in size[:-2])
        matrix = (self.scale * _orthonormal(self.key(), size[-2:], self.axis, dtype)).astype(dtype)
        return with_unit(jnp.zeros(size, dtype).at[centre].set(matrix), self.unit)
