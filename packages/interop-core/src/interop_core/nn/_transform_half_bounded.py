"""Invertible transformations to the numbers on one side of a bound."""

from __future__ import annotations

from typing import Any

import jax
from jax import numpy as jnp

from ._quantity import from_bound, keeping_unit, to_bound
from ._transform import Transform, argument, array

__all__ = [
    "ExpT",
    "LogT",
    "NegSoftplusT",
    "NegativeT",
    "PositiveT",
    "ReluT",
    "SoftplusT",
    "inverse_softplus",
]


def inverse_softplus(distance: Any) -> Any:
    r"""Compute :math:`d + \log(1 - e^{-d})`, a form of :math:`\log(e^d - 1)` without overflow.

    At 0 it is minus infinity, below NaN.
    """
    return distance + jnp.log(-jnp.expm1(-distance))


class SoftplusT(Transform):
    r"""Maps all numbers to those above a bound: :math:`y = l + \log(1 + e^x)`.

    Args:
        lower: the bound :math:`l`. With a unit, values have that unit.

    Example:
        >>> t = SoftplusT(0.5)
        >>> bool(abs(t.inverse(t.forward(2.0)) - 2.0) < 1e-5)
        True
    """

    def __init__(self, lower: Any) -> None:
        self.lower = argument(lower)

    def forward(self, x: Any) -> Any:
        """Map numbers to values above the bound."""
        return from_bound(self.lower, jax.nn.softplus(x))

    def inverse(self, y: Any) -> Any:
        r"""Compute :math:`d + \log(1 - e^{-d})` of the distance to the bound.

        This form of :math:`\log(e^d - 1)` does not overflow. At the bound it is minus infinity,
        below it NaN.
        """
        return inverse_softplus(to_bound(self.lower, array(y)))

    def log_slope(self, x: Any) -> jax.Array:
        """Give the logarithms of the slopes, which are sigmoids of ``x``."""
        return jax.nn.log_sigmoid(jnp.asarray(x))


class NegSoftplusT(Transform):
    r"""Maps all numbers to those below a bound: :math:`y = u - \log(1 + e^{-x})`.

    Args:
        upper: the bound :math:`u`. With a unit, values have that unit.

    Example:
        >>> round(float(NegSoftplusT(-2.0)(0.0)), 3)
        -2.693
    """

    def __init__(self, upper: Any) -> None:
        self.upper = argument(upper)

    def forward(self, x: Any) -> Any:
        """Map numbers to values below the bound."""
        return from_bound(self.upper, -jax.nn.softplus(-array(x)))

    def inverse(self, y: Any) -> Any:
        """Map values back; at the bound infinity, above it NaN."""
        return -inverse_softplus(-to_bound(self.upper, array(y)))

    def log_slope(self, x: Any) -> jax.Array:
        """Give the logarithms of the slopes, which are sigmoids of ``-x``."""
        return jax.nn.log_sigmoid(-jnp.asarray(x))


class NegativeT(Transform):
    r"""Maps all numbers to negative ones: :math:`y = -\log(1 + e^{-x})`.

    Example:
        >>> [round(y, 3) for y in NegativeT()(jnp.array([-5.0, 0.0, 5.0])).tolist()]
        [-5.007, -0.693, -0.007]
    """

    def forward(self, x: Any) -> Any:
        """Map numbers to negative values."""
        return -jax.nn.softplus(-array(x))

    def inverse(self, y: Any) -> Any:
        """Map values back; at 0 infinity, above NaN."""
        return -inverse_softplus(-array(y))

    def log_slope(self, x: Any) -> jax.Array:
        """Give the logarithms of the slopes, which are sigmoids of ``-x``."""
        return jax.nn.log_sigmoid(-jnp.asarray(x))


class ExpT(Transform):
    r"""Maps all numbers to those above a bound: :math:`y = l + e^x`.

    Args:
        lower: the bound :math:`l`. With a unit, values have that unit.
        max_exponent: where ``x`` is larger, the value is that of this exponent, so that it does not
            overflow: values beyond :math:`l + e^{20}`, about 5e8, cannot be represented unless
            more is allowed here. ``math.inf`` sets no limit.

    Example:
        >>> ExpT(1.0)(jnp.array([0.0])).tolist()
        [2.0]
    """

    def __init__(self, lower: Any, *, max_exponent: float = 20.0) -> None:
        self.lower = argument(lower)
        self.max_exponent = max_exponent

    def forward(self, x: Any) -> Any:
        """Map numbers to values above the bound."""
        return from_bound(self.lower, jnp.exp(jnp.minimum(array(x), self.max_exponent)))

    def inverse(self, y: Any) -> Any:
        """Take the logarithm of the distance to the bound: minus infinity there, NaN below."""
        return jnp.log(to_bound(self.lower, array(y)))

    def log_slope(self, x: Any) -> jax.Array:
        """Return ``x``, which holds up to ``max_exponent``."""
        return jnp.asarray(x)


class LogT(ExpT):
    r"""Maps all numbers to those above a bound, as `ExpT` does: :math:`y = l + e^x`.

    The name says what `inverse` computes, :math:`x = \log(y - l)`.

    Args:
        lower: the bound :math:`l`.
        max_exponent: as for `ExpT`.

    Example:
        >>> LogT(1.0).inverse(2.0).item()
        0.0
    """


class PositiveT(Transform):
    r"""Maps all numbers to positive ones: :math:`y = e^x`.

    Args:
        max_exponent: as for `ExpT`.

    Example:
        >>> [round(y, 3) for y in PositiveT()(jnp.array([-1.0, 0.0, 1.0])).tolist()]
        [0.368, 1.0, 2.718]
    """

    def __init__(self, *, max_exponent: float = 20.0) -> None:
        self.max_exponent = max_exponent

    def forward(self, x: Any) -> Any:
        """Map numbers to positive values."""
        return jnp.exp(jnp.minimum(array(x), self.max_exponent))

    def inverse(self, y: Any) -> Any:
        """Take the logarithm: minus infinity at 0, NaN below."""
        return jnp.log(array(y))

    def log_slope(self, x: Any) -> jax.Array:
        """Return ``x``, which holds up to ``max_exponent``."""
        return jnp.asarray(x)


class ReluT(Transform):
    r"""Keeps values at a bound or above: :math:`y = \max(x, 0) + l`.

    All negative numbers have the same value, so this has no determinant, and `inverse` gives 0 for
    it.

    Args:
        lower_bound: the bound :math:`l`. With a unit, numbers and values have that unit.

    Example:
        >>> ReluT(0.5)(jnp.array([-1.0, 2.0])).tolist()
        [0.5, 2.5]
    """

    def __init__(self, lower_bound: Any = 0.0) -> None:
        self.lower_bound = argument(lower_bound)

    def forward(self, x: Any) -> Any:
        """Map numbers to values from the bound upwards."""
        return keeping_unit(jax.nn.relu, array(x)) + self.lower_bound

    def inverse(self, y: Any) -> Any:
        """Give the distance to the bound, 0 for values below it."""
        return keeping_unit(jax.nn.relu, array(y) - self.lower_bound)
