"""Activation functions of one array: thin names over `jax.nn`; no layer is imported here."""

from __future__ import annotations

from typing import Any

import jax
from jax import numpy as jnp
from jax.typing import ArrayLike

from .. import random
from ._parameters import as_inexact
from ._quantity import keeping_unit

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "mish",
    "one_hot",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "soft_sign",
    "softmax",
    "softmin",
    "softplus",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "standardize",
    "swish",
    "tanh",
    "tanh_shrink",
]

Axis = int | tuple[int, ...] | None

# -- element by element: the result has the shape of x ------------------------------------------


def relu(x: ArrayLike) -> jax.Array:
    """Rectify: ``max(x, 0)``; the slope at 0 is 0.

    Example:
        >>> relu(jnp.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    return keeping_unit(jax.nn.relu, x)


def relu6(x: ArrayLike) -> jax.Array:
    """Rectify and cap: ``min(max(x, 0), 6)``."""
    return jax.nn.relu6(x)


def leaky_relu(x: ArrayLike, negative_slope: ArrayLike = 1e-2) -> jax.Array:
    """Keep ``x`` where ``x >= 0``, else give ``negative_slope * x``."""
    return keeping_unit(lambda x: jax.nn.leaky_relu(x, negative_slope), x)


def prelu(x: ArrayLike, a: ArrayLike = 0.25) -> jax.Array:
    """Keep ``x`` where ``x >= 0``, else give ``a * x``, for a learned ``a`` that broadcasts to x.

    Example:
        >>> prelu(jnp.array([-4.0, -4.0]), jnp.array([0.25, 0.5])).tolist()
        [-1.0, -2.0]
    """
    return keeping_unit(lambda x: jnp.where(x >= 0, x, a * x), x)


def rrelu(x: ArrayLike, lower: float = 0.125, upper: float = 1.0 / 3.0) -> jax.Array:
    """Keep ``x`` where ``x >= 0``, else give ``a * x`` with ``a`` drawn for every element.

    ``a`` is uniform on ``[lower, upper)``. Every call draws from `random.DEFAULT`, whether or not
    the model is being fitted.

    Args:
        x: the input.
        lower: the smallest slope.
        upper: the largest slope.

    Example:
        >>> with random.seed_context(0):
        ...     y = rrelu(jnp.array([-1.0, 2.0]))
        >>> bool(-1 / 3 <= y[0] <= -0.125), float(y[1])
        (True, 2.0)
    """

    def keep_or_scale(x: Any) -> jax.Array:
        dtype = jnp.result_type(x, float)
        slope = jax.random.uniform(random.split_key(), jnp.shape(x), dtype, lower, upper)
        return jnp.where(x >= 0, x, slope * x)

    return keeping_unit(keep_or_scale, x)


def elu(x: ArrayLike, alpha: ArrayLike = 1.0) -> jax.Array:
    """Keep ``x`` where ``x > 0``, else give ``alpha * (exp(x) - 1)``."""
    return jax.nn.elu(x, alpha)


def celu(x: ArrayLike, alpha: ArrayLike = 1.0) -> jax.Array:
    """Keep ``x`` where ``x > 0``, else give ``alpha * (exp(x / alpha) - 1)``."""
    return jax.nn.celu(x, alpha)


def selu(x: ArrayLike) -> jax.Array:
    """Scale an `elu` so that unit variance is a fixed point: ``1.0507 * elu(x, 1.6733)``."""
    return jax.nn.selu(x)


def gelu(x: ArrayLike, approximate: bool = True) -> jax.Array:
    """Weigh ``x`` by the normal distribution function: ``x * Phi(x)``.

    Args:
        x: the input.
        approximate: use ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``. The default
            differs from that of the layer `GELU`, which is exact.

    Example:
        >>> round(float(gelu(1.0, approximate=False)), 4), round(float(gelu(1.0)), 4)
        (0.8413, 0.8412)
    """
    return jax.nn.gelu(x, approximate)


def silu(x: ArrayLike) -> jax.Array:
    """Weigh ``x`` by its sigmoid: ``x * sigmoid(x)``. Another name is `swish`."""
    return jax.nn.silu(x)


swish = silu


def mish(x: ArrayLike) -> jax.Array:
    """Compute ``x * tanh(softplus(x))``."""
    return jax.nn.mish(x)


def sigmoid(x: ArrayLike) -> jax.Array:
    """Compute ``1 / (1 + exp(-x))``.

    Raises:
        TypeError: for integers and booleans.
    """
    return jax.nn.sigmoid(x)


def log_sigmoid(x: ArrayLike) -> jax.Array:
    """Compute ``log(sigmoid(x)) = -softplus(-x)``."""
    return jax.nn.log_sigmoid(as_inexact(x))


def hard_sigmoid(x: ArrayLike) -> jax.Array:
    """Compute ``relu6(x + 3) / 6``."""
    return jax.nn.hard_sigmoid(x)


def hard_silu(x: ArrayLike) -> jax.Array:
    """Compute ``x * hard_sigmoid(x)``. Another name is `hard_swish`."""
    return jax.nn.hard_silu(x)


hard_swish = hard_silu


def tanh(x: ArrayLike) -> jax.Array:
    """Compute the hyperbolic tangent."""
    return jnp.tanh(x)


def hard_tanh(x: ArrayLike, min_val: float = -1.0, max_val: float = 1.0) -> jax.Array:
    """Clip ``x`` to ``[min_val, max_val]``; at the bounds themselves the slope is 1.

    Example:
        >>> hard_tanh(jnp.array([-3.0, 0.5, 3.0])).tolist()
        [-1.0, 0.5, 1.0]
    """
    return jnp.where(x > max_val, max_val, jnp.where(x < min_val, min_val, x))  # type: ignore[operator]


def tanh_shrink(x: ArrayLike) -> jax.Array:
    """Compute ``x - tanh(x)``."""
    return jnp.subtract(x, jnp.tanh(x))


def hard_shrink(x: ArrayLike, lambd: float = 0.5) -> jax.Array:
    """Keep ``x`` where ``|x| > lambd``, else give 0."""
    return jnp.where(jnp.abs(x) > lambd, x, jnp.zeros_like(x))


def soft_shrink(x: ArrayLike, lambd: float = 0.5) -> jax.Array:
    """Move ``x`` towards 0 by ``lambd``: ``sign(x) * max(|x| - lambd, 0)``.

    Example:
        >>> soft_shrink(jnp.array([-2.0, 0.25, 2.0])).tolist()
        [-1.5, 0.0, 1.5]
    """
    below = jnp.where(x < -lambd, x + lambd, 0)  # type: ignore[operator]
    return jnp.where(x > lambd, x - lambd, below)  # type: ignore[operator]


def soft_sign(x: ArrayLike) -> jax.Array:
    """Compute ``x / (1 + |x|)``."""
    return jax.nn.soft_sign(as_inexact(x))


def softplus(x: ArrayLike) -> jax.Array:
    """Compute ``log(1 + exp(x))``."""
    return jax.nn.softplus(x)


def squareplus(x: ArrayLike, b: ArrayLike = 4) -> jax.Array:
    """Compute ``(x + sqrt(x**2 + b)) / 2``."""
    return jax.nn.squareplus(as_inexact(x), b)


def sparse_plus(x: ArrayLike) -> jax.Array:
    """Give 0 up to -1, ``x`` from 1 on, and ``(x + 1)**2 / 4`` between."""
    return jax.nn.sparse_plus(x)


def sparse_sigmoid(x: ArrayLike) -> jax.Array:
    """Give 0 up to -1, 1 from 1 on, and ``(x + 1) / 2`` between: the slope of `sparse_plus`."""
    return jax.nn.sparse_sigmoid(x)


# -- along an axis ------------------------------------------------------------------------------


def glu(x: ArrayLike, axis: int = -1) -> jax.Array:
    """Gate one half of ``x`` with the other: ``a * sigmoid(b)`` for ``a, b = split(x, 2, axis)``.

    Args:
        x: the input, of even length along the axis.
        axis: the axis that is halved.

    Example:
        >>> glu(jnp.array([3.0, 0.0])).tolist()
        [1.5]
    """
    return jax.nn.glu(x, axis)


def softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None) -> jax.Array:
    """Compute ``exp(x) / sum(exp(x))`` along an axis or several.

    Args:
        x: the input, of at least one axis.
        axis: what the result sums to 1 along; None for all axes together.
        where: True for the elements that take part; the others get 0.

    Example:
        >>> softmax(jnp.zeros(4)).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    return jax.nn.softmax(as_inexact(x), axis, where)


def softmin(x: ArrayLike, axis: Axis = -1) -> jax.Array:
    """Compute ``softmax(-x)`` along an axis or several."""
    return jax.nn.softmax(-as_inexact(x), axis)


def log_softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None) -> jax.Array:
    """Compute ``x - logsumexp(x)`` along an axis or several; -inf where ``where`` is False."""
    return jax.nn.log_softmax(as_inexact(x), axis, where)


def logsumexp(
    a: ArrayLike,
    axis: Axis = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """Compute ``log(sum(b * exp(a)))`` without overflow.

    Args:
        a: the exponents.
        axis: what is summed; None for everything.
        b: factors, which broadcast to ``a``; None for 1.
        keepdims: leave the summed axes in place with length 1.
        return_sign: return the logarithm of the absolute sum, and its sign.
        where: True for the elements that take part.

    Returns:
        An array; a pair of arrays with ``return_sign``.

    Example:
        >>> bool(jnp.isclose(logsumexp(jnp.zeros(8)), jnp.log(8.0)))
        True
    """
    return jax.nn.logsumexp(a, axis, b, keepdims, return_sign, where)


def standardize(
    x: ArrayLike,
    axis: Axis = -1,
    variance: ArrayLike | None = None,
    epsilon: ArrayLike = 1e-5,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Compute ``(x - mean(x)) / sqrt(var(x) + epsilon)`` along an axis or several.

    Args:
        x: the input.
        axis: what mean and variance are taken over.
        variance: the variance to use instead of that of ``x``.
        epsilon: added to the variance.
        where: True for the elements that count in mean and variance.

    Example:
        >>> standardize(jnp.array([1.0, 3.0]), epsilon=0.0).tolist()
        [-1.0, 1.0]
    """
    return jax.nn.standardize(as_inexact(x), axis, variance=variance, epsilon=epsilon, where=where)


def one_hot(
    x: Any, num_classes: int, *, dtype: Any = jnp.float64, axis: int | Any = -1
) -> jax.Array:
    """Encode indices as unit vectors; an index outside ``[0, num_classes)`` gives zeros.

    Args:
        x: the indices, of any shape.
        num_classes: the length of the vectors.
        dtype: type of the result; float64 and the like become 32-bit where JAX runs in 32 bits.
        axis: where in the result the new axis stands.

    Returns:
        An array with one axis more than ``x``.

    Example:
        >>> one_hot(jnp.array([1, -1]), 3).tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    # Canonical here, so that asking for 64 bits in 32-bit mode is no warning.
    return jax.nn.one_hot(x, num_classes, dtype=jax.dtypes.canonicalize_dtype(dtype), axis=axis)
