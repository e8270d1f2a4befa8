"""Sums of penalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax import numpy as jnp

from .. import environ
from ._initializers import to_size
from ._regularization import Regularization

__all__ = ["ChainedReg"]

Shape = int | Sequence[int]


class ChainedReg(Regularization):
    """The sum of several penalties, times a weight.

    Args:
        *regularizations: the penalties.
        weight: the factor of their sum.
        fit_hyper: kept for the interface: each penalty knows itself what it trains.

    Raises:
        TypeError: if one is no penalty.

    Example:
        >>> class Count(Regularization):
        ...     def loss(self, value):
        ...         return float(value.size)
        >>> ChainedReg(Count(), Count(), weight=0.5).loss(jnp.ones(3))
        3.0
    """

    def __init__(
        self, *regularizations: Regularization, weight: Any = 1.0, fit_hyper: bool = False
    ) -> None:
        super().__init__(fit_hyper)
        for number, entry in enumerate(regularizations):
            if not isinstance(entry, Regularization):
                raise TypeError(f"A ChainedReg is made of regularisations, not of {entry!r}.")
            setattr(self, f"_reg_{number}", entry)
        self.weight = weight
        self._count = len(regularizations)

    @property
    def regularizations(self) -> tuple[Regularization, ...]:
        """The penalties."""
        return tuple(getattr(self, f"_reg_{number}") for number in range(self._count))

    def loss(self, value: Any) -> Any:
        """Add up the penalties."""
        return self.weight * sum((part.loss(value) for part in self.regularizations), 0.0)

    def sample_init(self, shape: Shape) -> Any:
        """Draw from the prior of the first penalty; zeros without one."""
        if not self._count:
            return jnp.zeros(to_size(shape) or (), environ.dftype())
        return self.regularizations[0].sample_init(shape)

    def reset_value(self) -> Any:
        """Give the value that the first penalty pulls to; 0 without one."""
        return self.regularizations[0].reset_value() if self._count else 0.0
