"""Penalties on norms, and on matrices as maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .. import random
from ._initializers import to_size
from ._regularization import TINY, Regularization, as_number, as_value, length
from ._transform import require

__all__ = ["MaxNormReg", "OrthogonalReg", "SpectralNormReg"]

Shape = int | Sequence[int]


def _matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Give the shape of a value as a matrix: a vector is a column, later axes make the columns."""
    if len(shape) < 2:
        return math.prod(shape), 1
    return shape[0], math.prod(shape[1:])


def _largest_singular_value(x: jax.Array) -> jax.Array:
    """Compute the spectral norm of a value as a matrix, in single precision at least."""
    matrix = x.reshape(_matrix_shape(x.shape))
    wide = matrix.astype(jnp.promote_types(matrix.dtype, np.float32))
    values = jnp.linalg.svd(wide, compute_uv=False)
    return jnp.max(values, initial=0).astype(x.dtype)


class MaxNormReg(Regularization):
    r"""What the Euclidean norm has above a limit, squared: :math:`w \max(0, \|x\| - c)^2`.

    Args:
        weight: the factor :math:`w`.
        max_value: the limit :math:`c`, not negative.
        fit_hyper: whether ``max_value`` is trained.

    Raises:
        ValueError: if ``max_value`` is negative.

    Example:
        >>> float(MaxNormReg(2.0, max_value=3.0).loss(jnp.array([3.0, 4.0])))
        8.0
    """

    def __init__(self, weight: Any = 1.0, max_value: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        require(max_value >= 0, f"max_value must not be negative, got {max_value!r}.")
        self.weight = weight
        self.max_value = self._hyper(max_value)

    def _limit(self) -> Any:
        return jnp.maximum(as_number(self.max_value), 0)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        return self.weight * jnp.square(jax.nn.relu(length(as_value(value)) - self._limit()))

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw a random direction, and go half as far as the limit."""
        draw = random.normal(0.0, 1.0, to_size(shape) or ())
        factor: jax.Array = 0.5 * self._limit() / jnp.maximum(length(draw), TINY)
        return draw * factor

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class OrthogonalReg(Regularization):
    r"""How far the columns of a matrix are from orthonormal: :math:`w \|X^T X - I\|^2`.

    A vector counts as one column; axes after the first two make further columns.

    Args:
        weight: the factor :math:`w`.
        fit_hyper: kept for the interface; nothing is trained.

    Example:
        >>> float(OrthogonalReg(0.5).loss(jnp.array([[1.0, 0.0], [0.0, 2.0]])))
        4.5
    """

    def __init__(self, weight: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        self.weight = weight

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        x = as_value(value)
        matrix = x.reshape(_matrix_shape(x.shape))
        product = jnp.matmul(matrix.T, matrix, precision=jax.lax.Precision.HIGHEST)
        return self.weight * jnp.sum(jnp.square(product - jnp.eye(product.shape[0])))

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw orthonormal columns uniformly; orthonormal rows where those are fewer."""
        size = to_size(shape) or ()
        rows, columns = _matrix_shape(size)
        draw = random.normal(0.0, 1.0, (max(rows, columns), min(rows, columns)))
        wide = draw.astype(jnp.promote_types(draw.dtype, np.float32))
        basis, triangle = jnp.linalg.qr(wide)
        # The decomposition chooses signs; without this choice the draw is uniform.
        basis = basis * jnp.where(jnp.diagonal(triangle) < 0, -1, 1)
        return (basis.T if rows < columns else basis).astype(draw.dtype).reshape(size)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class SpectralNormReg(Regularization):
    r"""What the largest singular value has above a limit: :math:`w \max(0, \sigma_1(X) - c)^2`.

    A vector counts as one column; axes after the first two make further columns.

    Args:
        weight: the factor :math:`w`.
        max_value: the limit :math:`c`, not negative.
        n_power_iterations: kept for the interface: the singular value is not estimated.
        fit_hyper: whether ``max_value`` is trained.

    Raises:
        ValueError: if ``max_value`` is negative.

    Example:
        >>> round(float(SpectralNormReg().loss(jnp.array([[3.0, 0.0], [0.0, 0.5]]))), 5)
        4.0
    """

    def __init__(
        self,
        weight: Any = 1.0,
        max_value: Any = 1.0,
        n_power_iterations: int = 1,
        fit_hyper: bool = False,
    ) -> None:
        super().__init__(fit_hyper)
        require(max_value >= 0, f"max_value must not be negative, got {max_value!r}.")
        self.weight = weight
        self.max_value = self._hyper(max_value)
        self.n_power_iterations = n_power_iterations

    def _limit(self) -> Any:
        return jnp.maximum(as_number(self.max_value), 0)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        excess = jax.nn.relu(_largest_singular_value(as_value(value)) - self._limit())
        return self.weight * jnp.square(excess)

    def sample_init(self, shape: Shape) -> jax.Array:
        """Draw normal numbers and scale them to the limit."""
        draw = random.normal(0.0, 1.0, to_size(shape) or ())
        factor: jax.Array = self._limit() / jnp.maximum(_largest_singular_value(draw), TINY)
        return draw * factor

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0
