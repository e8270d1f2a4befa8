"""Activation layers: the functions of `_functional` in the form of layers."""

from __future__ import annotations

import jax
from jax.typing import ArrayLike

from . import _functional as F
from ._module import ElementWiseBlock

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Identity",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


class Identity(ElementWiseBlock):
    """Return the input as it is.

    Args:
        name: a label for the user.

    Example:
        >>> Identity()(3.0)
        3.0
    """

    def update(self, x: ArrayLike) -> ArrayLike:
        """Return ``x``."""
        return x


class ReLU(ElementWiseBlock):
    """Rectify: ``y = max(x, 0)``.

    Args:
        name: a label for the user.

    Example:
        >>> ReLU()(jax.numpy.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``max(x, 0)``."""
        return F.relu(x)


class LeakyReLU(ElementWiseBlock):
    """Let a little through below zero: ``y = x`` where ``x >= 0``, else ``negative_slope * x``.

    Args:
        negative_slope: the slope below zero.

    Example:
        >>> LeakyReLU(0.5)(jax.numpy.array([-1.0, 2.0])).tolist()
        [-0.5, 2.0]
    """

    def __init__(self, negative_slope: float = 1e-2) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x`` or ``negative_slope * x``."""
        return F.leaky_relu(x, self.negative_slope)


class ELU(ElementWiseBlock):
    """Saturate below zero: ``y = x`` where ``x > 0``, else ``alpha * (exp(x) - 1)``.

    Args:
        alpha: minus the limit at minus infinity.

    Example:
        >>> ELU(2.0)(jax.numpy.array([-100.0, 2.0])).tolist()
        [-2.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x`` or ``alpha * (exp(x) - 1)``."""
        return F.elu(x, self.alpha)


class SELU(ElementWiseBlock):
    """Scale an ELU so that unit variance is a fixed point: ``y = 1.0507 * elu(x, 1.6733)``.

    Args:
        name: a label for the user.

    Example:
        >>> round(float(SELU()(1.0)), 4)
        1.0507
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute the scaled exponential linear unit."""
        return F.selu(x)


class GELU(ElementWiseBlock):
    """Weigh by the normal distribution function: ``y = x * Phi(x)``.

    Args:
        approximate: use the formula with tanh instead. The layer is exact by default, the function
            `gelu` is not.

    Example:
        >>> round(float(GELU()(1.0)), 4), round(float(GELU(approximate=True)(1.0)), 4)
        (0.8413, 0.8412)
    """

    def __init__(self, approximate: bool = False) -> None:
        super().__init__()
        self.approximate = approximate

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x * Phi(x)``."""
        return F.gelu(x, bool(self.approximate))


class SiLU(ElementWiseBlock):
    """Weigh by the sigmoid: ``y = x * sigmoid(x)``.

    Args:
        name: a label for the user.

    Example:
        >>> round(float(SiLU()(1.0)), 4)
        0.7311
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x * sigmoid(x)``."""
        return F.silu(x)


class Sigmoid(ElementWiseBlock):
    """Squash to (0, 1): ``y = 1 / (1 + exp(-x))``.

    Args:
        name: a label for the user.

    Example:
        >>> float(Sigmoid()(0.0))
        0.5
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``1 / (1 + exp(-x))``."""
        return F.sigmoid(x)


class Tanh(ElementWiseBlock):
    """Squash to (-1, 1): ``y = tanh(x)``.

    Args:
        name: a label for the user.

    Example:
        >>> float(Tanh()(0.0))
        0.0
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute the hyperbolic tangent."""
        return F.tanh(x)


class Softplus(ElementWiseBlock):
    """Rectify smoothly: ``y = log(1 + exp(x))``.

    Args:
        name: a label for the user.

    Example:
        >>> round(float(Softplus()(0.0)), 4)
        0.6931
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``log(1 + exp(x))``."""
        return F.softplus(x)


class Softmax(ElementWiseBlock):
    """Make weights that sum to 1 along an axis: ``y = exp(x) / sum(exp(x))``.

    Args:
        dim: the axis, counted in the array given, batch axis included. None is the last axis,
            whatever the number of axes.

    Raises:
        ValueError: when called on an array that does not have the axis.

    Example:
        >>> Softmax()(jax.numpy.zeros((3, 2))).tolist()[0]
        [0.5, 0.5]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute the softmax along ``dim``."""
        return F.softmax(x, -1 if self.dim is None else self.dim)


class LogSoftmax(ElementWiseBlock):
    """Take the logarithm of `Softmax`: ``y = x - logsumexp(x)``.

    Args:
        dim: the axis, counted in the array given, batch axis included. None is the last axis,
            whatever the number of axes.

    Raises:
        ValueError: when called on an array that does not have the axis.

    Example:
        >>> bool(LogSoftmax()(jax.numpy.zeros(2))[0] == -jax.numpy.log(2.0))
        True
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute the logarithm of the softmax along ``dim``."""
        return F.log_softmax(x, -1 if self.dim is None else self.dim)
