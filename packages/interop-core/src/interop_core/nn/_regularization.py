"""Penalties on parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from .. import random
from ._module import Module

__all__ = ["L1Reg", "L2Reg", "Regularization"]

# Keeps the spread of a prior finite where its weight is 0.
_TINY = 1e-8


class Regularization(Module):
    """The base class of penalties.

    Args:
        fit_hyper: whether the penalty's own numbers are trained, where it has such.
    """

    def __init__(self, fit_hyper: bool = False) -> None:
        super().__init__()
        self.fit_hyper = fit_hyper

    def loss(self, value: Any) -> Any:
        """Compute the penalty on a value, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} does not define loss().")

    def sample_init(self, shape: int | Sequence[int]) -> Any:
        """Draw an initial value from the prior that belongs to the penalty."""
        raise NotImplementedError(f"{type(self).__name__} does not define sample_init().")

    def reset_value(self) -> Any:
        """Give the value that the penalty pulls to."""
        raise NotImplementedError(f"{type(self).__name__} does not define reset_value().")

    def update(self, value: Any) -> Any:
        """Compute the penalty, as `loss` does."""
        return self.loss(value)


class L1Reg(Regularization):
    r"""The sum of absolute values, :math:`w \sum |x|`: a Laplace prior.

    Args:
        weight: the factor :math:`w`.
        fit_hyper: kept for the interface; the weight is not trained.

    Example:
        >>> float(L1Reg(0.5).loss(jnp.array([1.0, -3.0])))
        2.0
    """

    def __init__(self, weight: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        self.weight = weight

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        return self.weight * jnp.sum(jnp.abs(jnp.asarray(value)))

    def sample_init(self, shape: int | Sequence[int]) -> jax.Array:
        r"""Draw from the Laplace distribution of scale :math:`1 / w`."""
        return random.laplace(0.0, 1.0 / (jnp.asarray(self.weight) + _TINY), shape)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class L2Reg(Regularization):
    r"""The sum of squares, :math:`w \sum x^2`: a normal prior.

    Args:
        weight: the factor :math:`w`.
        fit_hyper: kept for the interface; the weight is not trained.

    Example:
        >>> float(L2Reg(0.5).loss(jnp.array([1.0, -3.0])))
        5.0
    """

    def __init__(self, weight: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        self.weight = weight

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        return self.weight * jnp.sum(jnp.square(jnp.asarray(value)))

    def sample_init(self, shape: int | Sequence[int]) -> jax.Array:
        r"""Draw from the normal distribution of standard deviation :math:`1 / \sqrt w`."""
        return random.normal(0.0, 1.0 / jnp.sqrt(jnp.asarray(self.weight) + _TINY), shape)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0
