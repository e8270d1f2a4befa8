"""Penalties that stand for prior distributions of all numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp
from jax.scipy.special import gammaln

from .. import random
from ..state import State
from ._initializers import to_size
from ._regularization import (
    Regularization,
    as_number,
    as_value,
    off_zero,
    positive,
    require_positive,
)
from ._transform import argument, require

__all__ = ["CauchyReg", "GaussianReg", "HorseshoeReg", "SpikeAndSlabReg", "StudentTReg"]

Shape = int | Sequence[int]

# How near the chance of a mixture comes to 0 and 1, so that its logarithms are finite.
_MARGIN = 1e-7


def _cauchy(scale: Any, shape: Shape) -> jax.Array:
    """Draw from the Cauchy distribution of a scale."""
    place = random.uniform(0.0, 1.0, to_size(shape) or ()) - 0.5
    draw: jax.Array = scale * jnp.tan(math.pi * place)
    return draw


class GaussianReg(Regularization):
    r"""A normal prior: :math:`w \sum (p_i (x_i - \mu_i)^2 - \log p_i)` of precision :math:`p`.

    That is twice the negative logarithm of the density, up to a constant.

    Args:
        mean: the mean :math:`\mu`, a number or an array that broadcasts.
        std: the standard deviation :math:`1 / \sqrt p`, positive.
        weight: the factor :math:`w`.
        fit_hyper: whether ``mean`` and the precision are trained. The precision is in the state
            ``precision``.

    Raises:
        ValueError: if ``std`` is not positive.

    Example:
        >>> float(GaussianReg(1.0, 1.0, weight=0.5).loss(jnp.array([1.0, 3.0])))
        2.0
    """

    def __init__(self, mean: Any, std: Any, weight: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        require_positive(std=std)
        std = argument(std)
        self.mean = self._hyper(mean)
        self.precision = self._hyper(1 / (std * std))
        self.weight = weight
        if not fit_hyper:
            self._std = std

    @property
    def std(self) -> Any:
        """The standard deviation; where the precision is trained, of that."""
        if isinstance(self.precision, State):
            return 1 / jnp.sqrt(positive(self.precision))
        return self._std

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        precision = positive(self.precision)
        distance = as_value(value) - as_number(self.mean)
        return self.weight * jnp.sum(precision * distance * distance - jnp.log(precision))

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the normal distribution."""
        return random.normal(as_number(self.mean), self.std, shape)

    def reset_value(self) -> jax.Array:
        """Give the mean."""
        mean: jax.Array = as_number(self.mean)
        return mean


class StudentTReg(Regularization):
    r"""A Student prior: like a normal one, with heavier tails.

    The sum, times :math:`w`, of :math:`\frac{\nu + 1}{2} \log(1 + (x / s)^2 / \nu) + \log s
    + \log \Gamma(\nu / 2) + \frac{1}{2} \log(\nu \pi) - \log \Gamma((\nu + 1) / 2)`.

    Args:
        weight: the factor :math:`w`.
        df: the degrees of freedom :math:`\nu`, positive.
        scale: the scale :math:`s`, positive.
        fit_hyper: whether ``df`` and ``scale`` are trained.

    Raises:
        ValueError: if ``df`` or ``scale`` is not positive.

    Example:
        >>> round(float(StudentTReg(df=1.0).loss(jnp.zeros(1))), 4)
        1.1447
    """

    def __init__(
        self, weight: Any = 1.0, df: Any = 3.0, scale: Any = 1.0, fit_hyper: bool = False
    ) -> None:
        super().__init__(fit_hyper)
        require_positive(df=df, scale=scale)
        self.weight = weight
        self.df = self._hyper(df)
        self.scale = self._hyper(scale)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        df, scale = positive(self.df), positive(self.scale)
        half = (df + 1) / 2
        constant = gammaln(df / 2) - gammaln(half) + 0.5 * jnp.log(df * math.pi) + jnp.log(scale)
        tails = half * jnp.log1p(jnp.square(as_value(value) / scale) / df)
        return self.weight * jnp.sum(tails + constant)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from Student's distribution."""
        df, size = positive(self.df), to_size(shape) or ()
        # A normal number over the root of a chi-squared one, per degree of freedom.
        spread = random.gamma(df / 2, 2 / df, size)
        draw = random.normal(0.0, positive(self.scale), size)
        return draw / jnp.sqrt(off_zero(spread))

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class CauchyReg(Regularization):
    r"""A Cauchy prior: :math:`w \sum (\log(1 + (x / s)^2) + \log s)`.

    Args:
        weight: the factor :math:`w`.
        scale: the scale :math:`s`, positive.
        fit_hyper: whether ``scale`` is trained.

    Raises:
        ValueError: if ``scale`` is not positive.

    Example:
        >>> round(float(CauchyReg().loss(jnp.array([1.0, -1.0]))), 4)
        1.3863
    """

    def __init__(self, weight: Any = 1.0, scale: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        require_positive(scale=scale)
        self.weight = weight
        self.scale = self._hyper(scale)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        scale = positive(self.scale)
        return self.weight * jnp.sum(
            jnp.log1p(jnp.square(as_value(value) / scale)) + jnp.log(scale)
        )

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the Cauchy distribution."""
        return _cauchy(positive(self.scale), shape)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class HorseshoeReg(Regularization):
    r"""A horseshoe prior, nearly: :math:`w \sum (\log(1 + (x / \tau)^2) + \log \tau)`.

    It pulls small numbers to zero and leaves large ones alone.

    Args:
        weight: the factor :math:`w`.
        tau: the scale :math:`\tau` of all numbers, positive.
        fit_hyper: whether ``tau`` is trained.

    Raises:
        ValueError: if ``tau`` is not positive.

    Example:
        >>> round(float(HorseshoeReg(tau=2.0).loss(jnp.array([2.0, -2.0]))), 4)
        2.7726
    """

    def __init__(self, weight: Any = 1.0, tau: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        require_positive(tau=tau)
        self.weight = weight
        self.tau = self._hyper(tau)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        tau = positive(self.tau)
        return self.weight * jnp.sum(jnp.log1p(jnp.square(as_value(value) / tau)) + jnp.log(tau))

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw normal numbers, each with a scale of its own from the Cauchy distribution."""
        size = to_size(shape) or ()
        return random.normal(0.0, 1.0, size) * jnp.abs(_cauchy(positive(self.tau), size))

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class SpikeAndSlabReg(Regularization):
    r"""A mixture of a narrow and a wide normal prior.

    :math:`-w \sum \log(\pi e^{-(x / a)^2 / 2} / a + (1 - \pi) e^{-(x / b)^2 / 2} / b)`, the
    negative logarithm of the density up to a constant.

    Args:
        weight: the factor :math:`w`.
        spike_scale: the standard deviation :math:`a` of the spike, positive.
        slab_scale: the standard deviation :math:`b` of the slab, positive.
        pi: the chance :math:`\pi` of the spike, from 0 to 1; kept 1e-7 away from both.
        fit_hyper: whether the scales and the chance are trained.

    Raises:
        ValueError: if a scale is not positive, or ``pi`` not from 0 to 1.

    Example:
        >>> round(float(SpikeAndSlabReg(pi=0.0).loss(jnp.array([2.0]))), 3)
        2.0
    """

    def __init__(
        self,
        weight: Any = 1.0,
        spike_scale: Any = 0.01,
        slab_scale: Any = 1.0,
        pi: Any = 0.5,
        fit_hyper: bool = False,
    ) -> None:
        super().__init__(fit_hyper)
        require_positive(spike_scale=spike_scale, slab_scale=slab_scale)
        pi = argument(pi)
        require((pi >= 0) & (pi <= 1), f"pi must be from 0 to 1, got {pi!r}.")
        self.weight = weight
        self.spike_scale = self._hyper(spike_scale)
        self.slab_scale = self._hyper(slab_scale)
        self.pi = self._hyper(pi)

    def _chance(self) -> Any:
        return jnp.clip(as_number(self.pi), _MARGIN, 1 - _MARGIN)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        x, chance = as_value(value), self._chance()
        spike, slab = positive(self.spike_scale), positive(self.slab_scale)
        # In logarithms, because far from zero both densities are smaller than any number.
        density = jnp.logaddexp(
            jnp.log(chance) - jnp.log(spike) - 0.5 * jnp.square(x / spike),
            jnp.log1p(-chance) - jnp.log(slab) - 0.5 * jnp.square(x / slab),
        )
        return -self.weight * jnp.sum(density)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw from the mixture."""
        size = to_size(shape) or ()
        spike = random.bernoulli(self._chance(), size)
        scale = jnp.where(spike, positive(self.spike_scale), positive(self.slab_scale))
        return random.normal(0.0, scale, size)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0
