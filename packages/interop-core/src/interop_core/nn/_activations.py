"""Smooth activation layers: functions of `_functional`, element by element, as layers."""

from __future__ import annotations

import jax
from jax.typing import ArrayLike

from . import _functional as F
from ._module import ElementWiseBlock

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Identity",
    "LogSigmoid",
    "Mish",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
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


class CELU(ElementWiseBlock):
    """Saturate below zero, with a slope of 1 at zero.

    ``y = x`` where ``x > 0``, else ``alpha * (exp(x / alpha) - 1)``.

    The slope is 1 on both sides of 0, whatever ``alpha`` is; that of `ELU` is not.

    Args:
        alpha: minus the limit at minus infinity.

    Raises:
        ValueError: if ``alpha`` is 0.

    Example:
        >>> CELU(2.0)(jax.numpy.array([-100.0, 2.0])).tolist()
        [-2.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        if alpha == 0:
            raise ValueError("CELU divides by alpha, which must not be 0.")
        self.alpha = alpha

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x`` or ``alpha * (exp(x / alpha) - 1)``."""
        return F.celu(x, self.alpha)


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


class Softsign(ElementWiseBlock):
    """Squash to (-1, 1), slowly: ``y = x / (1 + |x|)``.

    Args:
        name: a label for the user.

    Example:
        >>> float(Softsign()(1.0))
        0.5
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x / (1 + |x|)``."""
        return F.soft_sign(x)


class LogSigmoid(ElementWiseBlock):
    """Take the logarithm of `Sigmoid`: ``y = -log(1 + exp(-x))``.

    Args:
        name: a label for the user.

    Example:
        >>> round(float(LogSigmoid()(0.0)), 4)
        -0.6931
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``-log(1 + exp(-x))``."""
        return F.log_sigmoid(x)


class Mish(ElementWiseBlock):
    """Weigh by a squashed rectifier: ``y = x * tanh(log(1 + exp(x)))``.

    Args:
        name: a label for the user.

    Example:
        >>> round(float(Mish()(1.0)), 4)
        0.8651
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x * tanh(log(1 + exp(x)))``."""
        return F.mish(x)


class Tanhshrink(ElementWiseBlock):
    """Keep what `Tanh` cuts off: ``y = x - tanh(x)``.

    Args:
        name: a label for the user.

    Example:
        >>> round(float(Tanhshrink()(1.0)), 4)
        0.2384
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x - tanh(x)``."""
        return F.tanh_shrink(x)
