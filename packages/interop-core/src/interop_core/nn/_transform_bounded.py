"""Invertible transformations to the numbers between two bounds."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from ._quantity import alike, clip
from ._transform import Transform, argument, array, magnitude, require

__all__ = ["ClipT", "ScaledSigmoidT", "SigmoidT", "SoftsignT", "TanhT"]


class ClipT(Transform):
    """Brings values between bounds: ``y = min(max(x, lower), upper)``.

    All numbers beyond a bound have the same value, so this has no determinant, and `inverse` gives
    back values between the bounds alone.

    Args:
        lower: the lower bound; None for none.
        upper: the upper bound; None for none.

    Raises:
        ValueError: if the lower bound is above the upper one.

    Example:
        >>> ClipT(0.0, 1.0)(jnp.array([-0.5, 0.5, 1.5])).tolist()
        [0.0, 0.5, 1.0]
    """

    def __init__(self, lower: Any, upper: Any) -> None:
        self.lower = argument(lower)
        self.upper = argument(upper)
        if lower is not None and upper is not None:
            require(
                self.lower <= self.upper,
                f"ClipT needs bounds in order, got lower={lower!r}, upper={upper!r}.",
            )

    def forward(self, x: Any) -> Any:
        """Clip the numbers."""
        return clip(array(x), self.lower, self.upper)

    def inverse(self, y: Any) -> Any:
        """Clip the values, which changes only those that `forward` does not give."""
        return clip(array(y), self.lower, self.upper)


class _BetweenT(Transform):
    """A transformation to an open interval.

    Args:
        lower: the lower bound.
        upper: the upper bound.

    Raises:
        ValueError: if the bounds are not in order, or not finite.
    """

    def __init__(self, lower: Any, upper: Any) -> None:
        self.lower = argument(lower)
        self.upper = argument(upper)
        width = magnitude(self.width)
        require(
            (width > 0) & (width < math.inf),
            f"{type(self).__name__} needs finite bounds in order, "
            f"got lower={lower!r}, upper={upper!r}.",
        )

    @property
    def width(self) -> Any:
        """The distance of the bounds."""
        return self.upper - self.lower

    @abstractmethod
    def _share(self, x: Any) -> Any:
        """Map numbers to shares of the width, from 0 to 1."""

    def forward(self, x: Any) -> Any:
        """Map numbers to values between the bounds."""
        return self.lower + self._share(array(x)) * self.width

    def _log_width(self, x: jax.Array) -> jax.Array:
        """Give the logarithm of the width; of a width with a unit, that of its number."""
        return jnp.log(magnitude(self.width) * jnp.ones_like(x))


class SigmoidT(_BetweenT):
    r"""Maps all numbers to those between bounds: :math:`y = l + (u - l) \sigma(x)`.

    Args:
        lower: the lower bound :math:`l`. With units, values have that unit.
        upper: the upper bound :math:`u`.

    Raises:
        ValueError: if the bounds are not in order, or not finite.

    Example:
        >>> [round(y, 2) for y in SigmoidT(0.0, 1.0)(jnp.array([-2.0, 0.0, 2.0])).tolist()]
        [0.12, 0.5, 0.88]
    """

    @property
    def _beta(self) -> Any:
        """The steepness."""
        return 1.0

    def _share(self, x: Any) -> Any:
        return jax.nn.sigmoid(self._beta * x)

    def inverse(self, y: Any) -> Any:
        """Take the logarithm of the ratio of the distances to the bounds.

        At the bounds it is infinite, beyond them NaN.
        """
        lower, y, upper, _ = alike(self.lower, array(y), self.upper)
        return jnp.log((y - lower) / (upper - y)) / self._beta

    def log_slope(self, x: Any) -> jax.Array:
        """Give the logarithms of the slopes."""
        x = self._beta * jnp.asarray(x)
        rise = jax.nn.log_sigmoid(x) + jax.nn.log_sigmoid(-x)
        return rise + (self._log_width(x) + math.log(self._beta))


class ScaledSigmoidT(SigmoidT):
    r"""Maps all numbers to those between bounds, more or less steeply.

    :math:`y = l + (u - l) \sigma(\beta x)`.

    Args:
        lower: the lower bound :math:`l`.
        upper: the upper bound :math:`u`.
        beta: the steepness :math:`\beta`, a positive number.

    Raises:
        ValueError: if the bounds are not in order, or not finite, or the steepness is not positive
            and finite.

    Example:
        >>> round(float(ScaledSigmoidT(0.0, 1.0, beta=5.0)(0.5)), 3)
        0.924
    """

    def __init__(self, lower: Any, upper: Any, beta: float = 1.0) -> None:
        super().__init__(lower, upper)
        if np.ndim(beta) or not 0 < beta < math.inf:
            raise ValueError(f"beta must be a positive finite number, got {beta!r}.")
        self.beta = beta

    @property
    def _beta(self) -> Any:
        return self.beta


class TanhT(SigmoidT):
    r"""Maps all numbers to those between bounds: :math:`y = l + (u - l) (\tanh(x) + 1) / 2`.

    Args:
        lower: the lower bound :math:`l`.
        upper: the upper bound :math:`u`.

    Raises:
        ValueError: if the bounds are not in order, or not finite.

    Example:
        >>> round(float(TanhT(-1.0, 1.0)(0.5)), 3)
        0.462
    """

    @property
    def _beta(self) -> Any:
        # (tanh(x) + 1) / 2 is the sigmoid of 2x, which keeps the digits near the lower bound.
        return 2.0


class SoftsignT(_BetweenT):
    r"""Maps all numbers to those between bounds: :math:`y = l + (u - l) (x / (1 + |x|) + 1) / 2`.

    It comes to the bounds as :math:`1 / x` does, much slower than `SigmoidT`.

    Args:
        lower: the lower bound :math:`l`.
        upper: the upper bound :math:`u`.

    Raises:
        ValueError: if the bounds are not in order, or not finite.

    Example:
        >>> SoftsignT(0.0, 1.0)(jnp.array([-1.0, 0.0, 3.0])).tolist()
        [0.25, 0.5, 0.875]
    """

    def _share(self, x: Any) -> Any:
        # Near the lower bound without a difference of nearly equal numbers, and without the edge
        # of |x| at 0, where the slope would be lost.
        negative = x < 0
        rest = 0.5 / (1 + jnp.where(negative, -x, x))
        return jnp.where(negative, rest, 1 - rest)

    def inverse(self, y: Any) -> Any:
        """Map values back: infinity at the bounds, NaN beyond them."""
        lower, y, upper, _ = alike(self.lower, array(y), self.upper)
        below, above = y - lower, upper - y
        nearest = jnp.minimum(below, above)
        nearest = jnp.where(nearest < 0, math.nan, nearest)
        return (below - above) / (2 * nearest)

    def log_slope(self, x: Any) -> jax.Array:
        """Give the logarithms of the slopes."""
        x = jnp.asarray(x)
        return self._log_width(x) - math.log(2) - 2 * jnp.log1p(jnp.abs(x))
