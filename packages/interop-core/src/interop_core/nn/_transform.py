"""Invertible transformations between the numbers that are trained and the values they stand for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import jax
from jax import numpy as jnp

from .._content import fingerprint, same
from .._pretty import call_text

__all__ = ["IdentityT", "SoftplusT", "Transform"]


class Transform(ABC):
    """The base class of transformations; two are equal when class and arguments are.

    A subclass keeps its arguments as attributes and does not change them.
    """

    compares_by_content = True

    @abstractmethod
    def forward(self, x: Any) -> Any:
        """Map unconstrained numbers to values."""

    @abstractmethod
    def inverse(self, y: Any) -> Any:
        """Map values back to unconstrained numbers."""

    def log_abs_det_jacobian(self, x: Any, y: Any) -> jax.Array:
        """Give the logarithm of the absolute determinant of the Jacobian of `forward`.

        Args:
            x: unconstrained numbers; the last axis is that of the determinant.
            y: their values.

        Raises:
            NotImplementedError: if the transformation has none.
        """
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian.")

    def __call__(self, x: Any) -> Any:
        return self.forward(x)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and same(self.__dict__, other.__dict__)

    def __hash__(self) -> int:
        return hash((type(self), fingerprint(self.__dict__)))

    def __repr__(self) -> str:
        return call_text(type(self).__name__, self.__dict__)


def _sum_last(x: jax.Array) -> jax.Array:
    """Sum over the last axis, if there is one."""
    return x.sum(-1) if x.ndim else x


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

    def log_abs_det_jacobian(self, x: Any, y: Any) -> jax.Array:
        """Return zeros."""
        return _sum_last(jnp.zeros_like(jnp.asarray(x)))


class SoftplusT(Transform):
    r"""Maps all numbers to those above a bound: :math:`y = l + \log(1 + e^x)`.

    Args:
        lower: the bound :math:`l`.

    Example:
        >>> t = SoftplusT(0.5)
        >>> bool(abs(t.inverse(t.forward(2.0)) - 2.0) < 1e-5)
        True
    """

    def __init__(self, lower: Any) -> None:
        self.lower = lower

    def forward(self, x: Any) -> Any:
        """Map numbers to values above the bound."""
        return jax.nn.softplus(x) + self.lower

    def inverse(self, y: Any) -> Any:
        r"""Compute :math:`d + \log(1 - e^{-d})` of the distance to the bound.

        This form of :math:`\log(e^d - 1)` does not overflow. At the bound it is minus infinity,
        below it NaN.
        """
        distance = jnp.asarray(y) - self.lower
        return distance + jnp.log(-jnp.expm1(-distance))

    def log_abs_det_jacobian(self, x: Any, y: Any) -> jax.Array:
        """Sum the logarithms of the slopes, which are sigmoids of ``x``."""
        return _sum_last(jax.nn.log_sigmoid(jnp.asarray(x)))
