"""Penalties that stand for prior distributions of positive or bounded numbers.

Outside of what a prior allows, its loss is that at the edge, without a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp
from jax.scipy.special import gammaln

from .. import random
from ._initializers import to_size
from ._quantity import alike, with_unit
from ._regularization import (
    TINY,
    Regularization,
    as_number,
    as_value,
    of_degree,
    off_zero,
    positive,
    require_positive,
)
from ._transform import argument, require

__all__ = [
    "BetaReg",
    "ExponentialReg",
    "GammaReg",
    "InverseGammaReg",
    "LogNormalReg",
    "LogUniformReg",
    "UniformReg",
]

Shape = int | Sequence[int]


class UniformReg(Regularization):
    r"""What lies outside of an interval, squared.

    :math:`w \sum (\max(0, l - x)^2 + \max(0, x - u)^2)`.

    Args:
        weight: the factor :math:`w`.
        lower: the lower bound :math:`l`. With a unit, values have that unit.
        upper: the upper bound :math:`u`.
        fit_hyper: whether the bounds are trained.

    Raises:
        ValueError: if the bounds are not in order.

    Example:
        >>> float(UniformReg().loss(jnp.array([0.5, 3.0])))
        4.0
    """

    def __init__(
        self, weight: Any = 1.0, lower: Any = -1.0, upper: Any = 1.0, fit_hyper: bool = False
    ) -> None:
        super().__init__(fit_hyper)
        lower, upper = argument(lower), argument(upper)
        require(lower < upper, f"The bounds must be in order, got {lower!r} and {upper!r}.")
        self.weight = weight
        self.lower = self._hyper(lower)
        self.upper = self._hyper(upper)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        plain, lower, upper, unit = alike(value, as_number(self.lower), as_number(self.upper))
        x = as_value(plain)
        outside = jnp.square(jax.nn.relu(lower - x)) + jnp.square(jax.nn.relu(x - upper))
        return self.weight * with_unit(jnp.sum(outside), None if unit is None else unit**2)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the interval."""
        lower, upper, unit = alike(as_number(self.lower), as_number(self.upper))
        return with_unit(random.uniform(lower, upper, to_size(shape) or ()), unit)

    def reset_value(self) -> jax.Array:
        """Give the middle of the interval."""
        middle: jax.Array = (as_number(self.lower) + as_number(self.upper)) / 2
        return middle


class LogNormalReg(Regularization):
    r"""A log-normal prior: :math:`w \sum ((\log x - \mu)^2 / 2 \sigma^2 + \log x + \log \sigma)`.

    Args:
        weight: the factor :math:`w`.
        mu: the mean :math:`\mu` of the logarithm.
        sigma: the standard deviation :math:`\sigma` of the logarithm, positive.
        fit_hyper: whether ``mu`` and ``sigma`` are trained.

    Raises:
        ValueError: if ``sigma`` is not positive.

    Example:
        >>> float(LogNormalReg().loss(jnp.ones(3)))
        0.0
    """

    def __init__(
        self, weight: Any = 1.0, mu: Any = 0.0, sigma: Any = 1.0, fit_hyper: bool = False
    ) -> None:
        super().__init__(fit_hyper)
        require_positive(sigma=sigma)
        self.weight = weight
        self.mu = self._hyper(mu)
        self.sigma = self._hyper(sigma)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        logs, sigma = jnp.log(jnp.maximum(as_value(value), TINY)), positive(self.sigma)
        squares = 0.5 * jnp.square((logs - as_number(self.mu)) / sigma)
        return self.weight * jnp.sum(squares + logs + jnp.log(sigma))

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the log-normal distribution."""
        return random.lognormal(as_number(self.mu), positive(self.sigma), to_size(shape) or ())

    def reset_value(self) -> jax.Array:
        """Give the median."""
        return jnp.exp(as_number(self.mu))


class ExponentialReg(Regularization):
    r"""An exponential prior: :math:`w \lambda \sum x`, where negative numbers count as 0.

    Args:
        weight: the factor :math:`w`.
        rate: the rate :math:`\lambda`, one over the mean; positive.
        fit_hyper: whether ``rate`` is trained. The loss is least for rate 0.

    Raises:
        ValueError: if ``rate`` is not positive.

    Example:
        >>> float(ExponentialReg(rate=2.0).loss(jnp.array([1.0, 3.0])))
        8.0
    """

    def __init__(self, weight: Any = 1.0, rate: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        require_positive(rate=rate)
        self.weight = weight
        self.rate = self._hyper(rate)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        rate = positive(self.rate)
        return self.weight * of_degree(1, lambda x: jnp.sum(rate * jax.nn.relu(x)), value)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the exponential distribution."""
        return random.exponential(1 / positive(self.rate), to_size(shape) or ())

    def reset_value(self) -> float:
        """Give 0, the mode."""
        return 0.0


class GammaReg(Regularization):
    r"""A gamma prior, for positive numbers.

    :math:`w \sum (-(\alpha - 1) \log x + \beta x - \alpha \log \beta + \log \Gamma(\alpha))`.

    Args:
        weight: the factor :math:`w`.
        alpha: the shape :math:`\alpha`, positive.
        beta: the rate :math:`\beta`, positive.
        fit_hyper: whether ``alpha`` and ``beta`` are trained.

    Raises:
        ValueError: if ``alpha`` or ``beta`` is not positive.

    Example:
        >>> float(GammaReg().loss(jnp.ones(3)))
        3.0
    """

    def __init__(
        self, weight: Any = 1.0, alpha: Any = 2.0, beta: Any = 1.0, fit_hyper: bool = False
    ) -> None:
        super().__init__(fit_hyper)
        require_positive(alpha=alpha, beta=beta)
        self.weight = weight
        self.alpha = self._hyper(alpha)
        self.beta = self._hyper(beta)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        alpha, beta = positive(self.alpha), positive(self.beta)
        x = jnp.maximum(as_value(value), TINY)
        constant = gammaln(alpha) - alpha * jnp.log(beta)
        return self.weight * jnp.sum(beta * x - (alpha - 1) * jnp.log(x) + constant)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the gamma distribution."""
        return random.gamma(positive(self.alpha), 1 / positive(self.beta), to_size(shape) or ())

    def reset_value(self) -> jax.Array:
        r"""Give the mode :math:`(\alpha - 1) / \beta`, but no less than 1e-8."""
        return jnp.maximum((positive(self.alpha) - 1) / positive(self.beta), TINY)


class InverseGammaReg(Regularization):
    r"""An inverse gamma prior, for variances.

    :math:`w \sum ((\alpha + 1) \log x + \beta / x - \alpha \log \beta + \log \Gamma(\alpha))`.

    Args:
        weight: the factor :math:`w`.
        alpha: the shape :math:`\alpha`, positive.
        beta: the scale :math:`\beta`, positive.
        fit_hyper: whether ``alpha`` and ``beta`` are trained.

    Raises:
        ValueError: if ``alpha`` or ``beta`` is not positive.

    Example:
        >>> float(InverseGammaReg().loss(jnp.ones(3)))
        3.0
    """

    def __init__(
        self, weight: Any = 1.0, alpha: Any = 2.0, beta: Any = 1.0, fit_hyper: bool = False
    ) -> None:
        super().__init__(fit_hyper)
        require_positive(alpha=alpha, beta=beta)
        self.weight = weight
        self.alpha = self._hyper(alpha)
        self.beta = self._hyper(beta)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        alpha, beta = positive(self.alpha), positive(self.beta)
        x = jnp.maximum(as_value(value), TINY)
        constant = gammaln(alpha) - alpha * jnp.log(beta)
        return self.weight * jnp.sum((alpha + 1) * jnp.log(x) + beta / x + constant)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the inverse gamma distribution."""
        draw = random.gamma(positive(self.alpha), None, to_size(shape) or ())
        sample: jax.Array = positive(self.beta) / off_zero(draw)
        return sample

    def reset_value(self) -> jax.Array:
        r"""Give the mode :math:`\beta / (\alpha + 1)`."""
        mode: jax.Array = positive(self.beta) / (positive(self.alpha) + 1)
        return mode


class BetaReg(Regularization):
    r"""A beta prior, for numbers from 0 to 1.

    :math:`w \sum (-(a - 1) \log x - (b - 1) \log(1 - x) + \log B(a, b))`.

    Args:
        weight: the factor :math:`w`.
        a: the first shape, positive.
        b: the second shape, positive.
        fit_hyper: whether ``a`` and ``b`` are trained.

    Raises:
        ValueError: if ``a`` or ``b`` is not positive.

    Example:
        >>> round(float(BetaReg().loss(jnp.array([0.5]))), 4)
        -0.4055
    """

    def __init__(
        self, weight: Any = 1.0, a: Any = 2.0, b: Any = 2.0, fit_hyper: bool = False
    ) -> None:
        super().__init__(fit_hyper)
        require_positive(a=a, b=b)
        self.weight = weight
        self.a = self._hyper(a)
        self.b = self._hyper(b)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        x, a, b = jnp.clip(as_value(value), 0, 1), positive(self.a), positive(self.b)
        first, second = jnp.log(jnp.maximum(x, TINY)), jnp.log(jnp.maximum(1 - x, TINY))
        constant = gammaln(a) + gammaln(b) - gammaln(a + b)
        return self.weight * jnp.sum(constant - (a - 1) * first - (b - 1) * second)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the beta distribution."""
        return random.beta(positive(self.a), positive(self.b), to_size(shape) or ())

    def reset_value(self) -> jax.Array:
        """Give the mode: ``(a - 1) / (a + b - 2)`` if both shapes are above 1.

        If one is, the mode is the bound on its side; if none is, this gives 0.5.
        """
        first, second = jax.nn.relu(positive(self.a) - 1), jax.nn.relu(positive(self.b) - 1)
        both = first + second
        return jnp.where(both == 0, 0.5, first / jnp.where(both == 0, 1, both))


class LogUniformReg(Regularization):
    r"""A prior that is uniform in the logarithm: :math:`w \sum \log x`.

    Numbers out of bounds count as the bounds.

    Args:
        weight: the factor :math:`w`.
        lower: the lower bound, positive.
        upper: the upper bound.
        fit_hyper: whether the bounds are trained.

    Raises:
        ValueError: if the lower bound is not positive, or the bounds are not in order.

    Example:
        >>> round(float(LogUniformReg().loss(jnp.array([10.0]))), 4)
        2.3026
    """

    def __init__(
        self, weight: Any = 1.0, lower: Any = 1e-3, upper: Any = 1e3, fit_hyper: bool = False
    ) -> None:
        super().__init__(fit_hyper)
        require_positive(lower=lower)
        lower, upper = argument(lower), argument(upper)
        require(lower < upper, f"The bounds must be in order, got {lower!r} and {upper!r}.")
        self.weight = weight
        self.lower = self._hyper(lower)
        self.upper = self._hyper(upper)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        inside = jnp.clip(as_value(value), positive(self.lower), positive(self.upper))
        return self.weight * jnp.sum(jnp.log(inside))

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw logarithms uniformly."""
        low, high = jnp.log(positive(self.lower)), jnp.log(positive(self.upper))
        return jnp.exp(random.uniform(low, high, to_size(shape) or ()))

    def reset_value(self) -> jax.Array:
        """Give the geometric mean of the bounds."""
        return jnp.sqrt(positive(self.lower) * positive(self.upper))
