"""The base class of invertible transformations, and those between all numbers."""

from __future__ import annotations

import functools
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .._content import fingerprint, same
from .._pretty import call_text

__all__ = [
    "AffineT",
    "IdentityT",
    "PowerT",
    "Transform",
    "argument",
    "array",
    "magnitude",
    "require",
    "sum_last",
]


class Transform(ABC):
    """The base class of transformations; two are equal when class and arguments are.

    A subclass keeps its arguments as attributes and does not change them. If it works number by
    number it can define `log_slope`; otherwise, if it has a determinant, `log_abs_det_jacobian`.

    Example:
        >>> class Doubled(Transform):
        ...     def forward(self, x):
        ...         return 2 * x
        ...
        ...     def inverse(self, y):
        ...         return y / 2
        >>> Doubled()(3.0), Doubled() == Doubled()
        (6.0, True)
    """

    compares_by_content = True

    @abstractmethod
    def forward(self, x: Any) -> Any:
        """Map unconstrained numbers to values."""

    @abstractmethod
    def inverse(self, y: Any) -> Any:
        """Map values back to unconstrained numbers."""

    def log_slope(self, x: Any) -> jax.Array:
        r"""Give :math:`\log |y'(x)|` of each number, where each is mapped for itself.

        Args:
            x: unconstrained numbers.

        Raises:
            NotImplementedError: if the transformation has none.
        """
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian.")

    def log_abs_det_jacobian(self, x: Any, y: Any) -> jax.Array:
        """Give the logarithm of the absolute determinant of the Jacobian of `forward`.

        Args:
            x: unconstrained numbers; the last axis is that of the determinant.
            y: their values.

        Returns:
            One number for each vector along the last axis. For a transformation that works number
            by number it is the sum of `log_slope`.

        Raises:
            NotImplementedError: if the transformation has none.
        """
        slopes = self.log_slope(x)
        return sum_last(jnp.broadcast_to(slopes, jnp.broadcast_shapes(jnp.shape(x), slopes.shape)))

    def __call__(self, x: Any) -> Any:
        return self.forward(x)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and same(self.__dict__, other.__dict__)

    def __hash__(self) -> int:
        return hash((type(self), fingerprint(self.__dict__)))

    def __repr__(self) -> str:
        options = _options(type(self))
        fields = {
            key: value
            for key, value in self.__dict__.items()
            if key not in options or not same(value, options[key])
        }
        return call_text(type(self).__name__, fields)


@functools.cache
def _options(cls: type) -> Mapping[str, Any]:
    """Collect the keyword-only arguments of a class, with their defaults."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


# Half-precision types, in which a small power is zero.
_HALF = (np.dtype(np.float16), np.dtype(jnp.bfloat16))


# -- what transformations share ------------------------------------------------------------------


def array(x: Any) -> Any:
    """Make a JAX array of numbers and NumPy arrays; whatever else has a dtype stays as it is."""
    if hasattr(x, "dtype") and not isinstance(x, np.ndarray | np.generic):
        return x
    return jnp.asarray(x)


def argument(value: Any) -> Any:
    """Take an argument of a transformation as it is, but a list as an array."""
    return jnp.asarray(value) if isinstance(value, list | tuple) else value


def magnitude(value: Any) -> Any:
    """Give the number in front of the unit, for a value that has one."""
    return getattr(value, "mantissa", value)


def require(condition: Any, message: str) -> None:
    """Refuse arguments unless a condition on all of them holds, or is not known before the run.

    Raises:
        ValueError: if it does not hold.
    """
    if not isinstance(condition, jax.core.Tracer) and not np.all(condition):
        raise ValueError(message)


def sum_last(x: jax.Array) -> jax.Array:
    """Sum over the last axis, if there is one."""
    return x.sum(-1) if x.ndim else x


# -- transformations -----------------------------------------------------------------------------


class IdentityT(Transform):
    """The transformation that leaves values as they are.

    Example:
        >>> IdentityT().forward(3.0)
        3.0
    """

    def forward(self, x: Any) -> Any:
        """Return ``x``."""
        return x

    def inverse(self, y: Any) -> Any:
        """Return ``y``."""
        return y

    def log_slope(self, x: Any) -> jax.Array:
        """Return zeros."""
        return jnp.zeros_like(jnp.asarray(x))


class AffineT(Transform):
    """Scales and shifts: ``y = scale * x + shift``.

    Args:
        scale: the factor, a number or an array that broadcasts; not zero. With a unit, values have
            that unit.
        shift: what is added.

    Raises:
        ValueError: if some entry of ``scale`` is not larger than 1e-8 in absolute value.

    Example:
        >>> fahrenheit = AffineT(9 / 5, 32)
        >>> fahrenheit(jnp.array([0.0, 100.0])).tolist()
        [32.0, 212.0]
    """

    def __init__(self, scale: Any, shift: Any) -> None:
        self.scale = argument(scale)
        self.shift = argument(shift)
        require(
            abs(magnitude(self.scale)) > 1e-8,
            f"The scale of an AffineT must be further from zero than 1e-8, got {scale!r}.",
        )

    @property
    def a(self) -> Any:
        """The factor."""
        return self.scale

    @property
    def b(self) -> Any:
        """What is added."""
        return self.shift

    def forward(self, x: Any) -> Any:
        """Compute ``scale * x + shift``."""
        return array(x) * self.scale + self.shift

    def inverse(self, y: Any) -> Any:
        """Compute ``(y - shift) / scale``."""
        return (array(y) - self.shift) / self.scale

    def log_slope(self, x: Any) -> jax.Array:
        """Give the logarithm of ``|scale|``; of a scale with a unit, that of its number."""
        return jnp.log(jnp.abs(magnitude(self.scale) * jnp.ones_like(jnp.asarray(x))))


class PowerT(Transform):
    r"""The Box-Cox power transformation, :math:`y = (x^\lambda - 1) / \lambda`.

    For :math:`\lambda = 0` it is its limit, :math:`y = \log x`. It is meant for positive ``x``;
    at others it gives whatever the formula does, NaN where that has no value.

    Args:
        lmbda: the power :math:`\lambda`, a number.

    Raises:
        ValueError: if the power is no finite number.

    Example:
        >>> PowerT(0.5)(jnp.array([1.0, 4.0, 9.0])).tolist()
        [0.0, 2.0, 4.0]
    """

    def __init__(self, lmbda: float = 0.5) -> None:
        if np.ndim(lmbda) or not math.isfinite(lmbda):
            raise ValueError(f"The power of a PowerT must be one finite number, got {lmbda!r}.")
        self.lmbda = lmbda

    def forward(self, x: Any) -> Any:
        """Compute the power."""
        x = array(x)
        if self.lmbda == 0:
            return jnp.log(x)
        if x.dtype in _HALF:
            return self.forward(x.astype(np.float32)).astype(x.dtype)
        # Where the power is near 1, subtracting 1 would lose digits. The logarithm is taken where
        # it exists, so that its gradient does everywhere.
        exponent = self.lmbda * jnp.log(jnp.where(x > 0, x, 1))
        near = (x > 0) & (jnp.abs(exponent) < 0.5)
        power = jnp.where(near, 1, x) ** self.lmbda
        return jnp.where(near, jnp.expm1(jnp.where(near, exponent, 0)), power - 1) / self.lmbda

    def inverse(self, y: Any) -> Any:
        r"""Compute :math:`(\lambda y + 1)^{1 / \lambda}`, or :math:`e^y` for power 0."""
        y = array(y)
        if self.lmbda == 0:
            return jnp.exp(y)
        if y.dtype in _HALF:
            return self.inverse(y.astype(np.float32)).astype(y.dtype)
        grown = self.lmbda * y
        near = jnp.abs(grown) < 0.5
        root = jnp.where(near, 1, grown + 1) ** (1 / self.lmbda)
        return jnp.where(near, jnp.exp(jnp.log1p(jnp.where(near, grown, 0)) / self.lmbda), root)

    def log_slope(self, x: Any) -> jax.Array:
        r"""Compute :math:`(\lambda - 1) \log |x|`."""
        x = jnp.asarray(x)
        return jnp.zeros_like(x) if self.lmbda == 1 else (self.lmbda - 1) * jnp.log(jnp.abs(x))
