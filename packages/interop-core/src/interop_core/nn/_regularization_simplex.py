"""Penalties on the shares that the softmax of all numbers of a value gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from .. import environ, random
from ._initializers import to_size
from ._regularization import Regularization, as_value, off_zero, positive, require_positive

__all__ = ["DirichletReg", "EntropyReg"]

Shape = int | Sequence[int]


def _log_shares(x: jax.Array) -> jax.Array:
    """Compute the logarithms of the softmax over all axes."""
    return jax.nn.log_softmax(x, axis=tuple(range(x.ndim)))


class EntropyReg(Regularization):
    r"""The entropy of the softmax of a value, :math:`H = -\sum p \log p`, over all its numbers.

    The loss is :math:`-w H`, which is least for equal shares, or :math:`w H`.

    Args:
        weight: the factor :math:`w`.
        maximize: whether the penalty pulls to a large entropy, rather than a small one.
        fit_hyper: kept for the interface; nothing is trained.

    Example:
        >>> round(float(EntropyReg().loss(jnp.zeros(4))), 4)
        -1.3863
    """

    def __init__(self, weight: Any = 1.0, maximize: bool = True, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        self.weight = weight
        self.maximize = maximize

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        logs = _log_shares(as_value(value))
        negative_entropy = jnp.sum(jnp.exp(logs) * logs)
        return self.weight * (negative_entropy if self.maximize else -negative_entropy)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Give zeros, whose shares are equal; for a small entropy draw standard normal numbers."""
        size = to_size(shape) or ()
        return jnp.zeros(size, environ.dftype()) if self.maximize else random.normal(0.0, 1.0, size)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class DirichletReg(Regularization):
    r"""A Dirichlet prior on the softmax of a value: :math:`-w \sum (\alpha_i - 1) \log p_i`.

    The shares :math:`p` are those of all its numbers together.

    Args:
        weight: the factor :math:`w`.
        alpha: the concentration :math:`\alpha`, positive; an array broadcasts to the value.
        fit_hyper: whether ``alpha`` is trained.

    Raises:
        ValueError: if ``alpha`` is not positive.

    Example:
        >>> round(float(DirichletReg(alpha=2.0).loss(jnp.zeros(4))), 4)
        5.5452
    """

    def __init__(self, weight: Any = 1.0, alpha: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        require_positive(alpha=alpha)
        self.weight = weight
        self.alpha = self._hyper(alpha)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        return -self.weight * jnp.sum((positive(self.alpha) - 1) * _log_shares(as_value(value)))

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw shares from the Dirichlet distribution and give their logarithms."""
        size = to_size(shape) or ()
        alpha = jnp.broadcast_to(positive(self.alpha), size).reshape(math.prod(size))
        shares = random.dirichlet(alpha)
        return jnp.log(off_zero(shares)).reshape(size)

    def reset_value(self) -> float:
        """Give 0, where all shares are equal."""
        return 0.0
