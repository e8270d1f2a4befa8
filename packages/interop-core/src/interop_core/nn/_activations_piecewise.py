"""Activation layers made of straight lines, some with a slope that is learned or drawn."""

from __future__ import annotations

import operator
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jax.typing import ArrayLike

from ..state import ParamState, State
from . import _functional as F
from ._initializers import Constant
from ._module import ElementWiseBlock
from ._parameters import as_array, parameter, remembered

__all__ = [
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "Softshrink",
    "Threshold",
]


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


class PReLU(ElementWiseBlock):
    """Let a learned share through below zero: ``y = x`` where ``x >= 0``, else ``a * x``.

    The state ``weight`` holds ``a`` of shape ``(num_parameters,)``: one slope for all entries, or
    one for each entry of the last axis.

    Args:
        num_parameters: number of slopes, 1 or the length of the last axis.
        init: the initial slope: a number, an array, or an initializer.
        dtype: type of the slopes; None for the default floating-point type of JAX, or that of an
            array given.

    Raises:
        TypeError: if ``num_parameters`` is no integer.
        ValueError: if it is not positive, or an array does not fit.

    Example:
        >>> layer = PReLU(2, jnp.array([0.25, 0.5]))
        >>> layer(jnp.array([-4.0, -4.0])).tolist()
        [-1.0, -2.0]
    """

    weight: State[jax.Array]

    def __init__(self, num_parameters: int = 1, init: Any = 0.25, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = operator.index(num_parameters)
        if self.num_parameters < 1:
            raise ValueError(f"num_parameters must be positive, got {num_parameters}.")
        self.init = remembered(init)
        self.dtype = dtype
        shape = (self.num_parameters,)
        if isinstance(init, int | float):
            slopes = Constant(init)(shape, jnp.result_type(float) if dtype is None else dtype)
        else:
            slopes = parameter(init, shape)
            if isinstance(slopes, jax.ShapeDtypeStruct):
                slopes = jax.ShapeDtypeStruct(shape, dtype or slopes.dtype)
            elif dtype is not None:
                slopes = slopes.astype(dtype)
        self.weight = ParamState(slopes)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size``.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if there are several slopes, and not as many as entries on the last axis.
        """
        n = self.num_parameters
        if n != 1 and tuple(in_size[-1:]) != (n,):
            raise ValueError(
                f"PReLU({n}) has a slope for each of {n} entries of the last axis, got shape "
                f"{tuple(in_size)}."
            )
        return tuple(in_size)

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x`` or ``a * x``.

        Args:
            x: array of any shape; with several slopes its last axis is as long as they are many.

        Returns:
            Array of the same shape.

        Raises:
            ValueError: if the last axis has another length.
        """
        self.output_size(np.shape(x))
        slopes = self.weight.value
        # A single slope has no axis, so that a scalar input stays one.
        return F.prelu(x, slopes.reshape(()) if self.num_parameters == 1 else slopes)


class RReLU(ElementWiseBlock):
    """Let a random share through below zero: ``y = x`` where ``x >= 0``, else ``a * x``.

    ``a`` is drawn for every element and in every call, whether or not the model is being fitted,
    uniformly between two bounds, with one key of the default generator of `random`. Where the
    bounds are equal no key is drawn, and every call gives the same.

    Args:
        lower: the smallest slope.
        upper: the largest slope.

    Raises:
        ValueError: if ``lower`` is above ``upper``.

    Example:
        >>> RReLU(0.5, 0.5)(jnp.array([-1.0, 2.0])).tolist()
        [-0.5, 2.0]
    """

    def __init__(self, lower: float = 1.0 / 8.0, upper: float = 1.0 / 3.0) -> None:
        super().__init__()
        if lower > upper:
            raise ValueError(f"lower={lower!r} must not be above upper={upper!r}.")
        self.lower = lower
        self.upper = upper

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x`` or ``a * x``, with fresh slopes."""
        if self.lower == self.upper:
            return F.leaky_relu(x, self.lower)
        return F.rrelu(x, self.lower, self.upper)


class Hardtanh(ElementWiseBlock):
    """Clip to an interval: ``y = min(max(x, min_val), max_val)``.

    Args:
        min_val: the lower bound.
        max_val: the upper bound.

    Raises:
        ValueError: if ``min_val`` is not below ``max_val``.

    Example:
        >>> Hardtanh()(jnp.array([-3.0, 0.5, 3.0])).tolist()
        [-1.0, 0.5, 1.0]
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__()
        if not min_val < max_val:
            raise ValueError(f"min_val={min_val!r} must be below max_val={max_val!r}.")
        self.min_val = min_val
        self.max_val = max_val

    def update(self, x: ArrayLike) -> jax.Array:
        """Clip ``x``; at the bounds themselves the slope is 1."""
        return F.hard_tanh(x, self.min_val, self.max_val)


class ReLU6(Hardtanh):
    """Rectify and cap: ``y = min(max(x, 0), 6)``.

    Example:
        >>> ReLU6()(jnp.array([-1.0, 2.0, 7.0])).tolist()
        [0.0, 2.0, 6.0]
    """

    def __init__(self) -> None:
        super().__init__(0.0, 6.0)


class Hardsigmoid(ElementWiseBlock):
    """Approximate `Sigmoid` by a straight line: ``y = min(max(x / 6 + 1 / 2, 0), 1)``.

    Args:
        name: a label for the user.

    Example:
        >>> Hardsigmoid()(jnp.array([-4.0, 0.0, 3.0])).tolist()
        [0.0, 0.5, 1.0]
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x / 6 + 1 / 2``, between 0 and 1."""
        return F.hard_sigmoid(x)


class Hardswish(ElementWiseBlock):
    """Approximate `SiLU`, weighing by `Hardsigmoid`: ``y = x * min(max(x / 6 + 1 / 2, 0), 1)``.

    Args:
        name: a label for the user.

    Example:
        >>> Hardswish()(jnp.array([0.0, 1.5, 4.0])).tolist()
        [0.0, 1.125, 4.0]
    """

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x`` times its hard sigmoid."""
        return F.hard_swish(x)


class Hardshrink(ElementWiseBlock):
    """Set what is small to zero: ``y = x`` where ``|x| > lambd``, else 0.

    Args:
        lambd: the bound.

    Example:
        >>> Hardshrink()(jnp.array([-2.0, 0.5, 2.0])).tolist()
        [-2.0, 0.0, 2.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x`` or 0."""
        return F.hard_shrink(x, self.lambd)


class Softshrink(ElementWiseBlock):
    """Move towards zero: ``y = sign(x) * max(|x| - lambd, 0)``.

    Args:
        lambd: how far.

    Raises:
        ValueError: if ``lambd`` is negative.

    Example:
        >>> Softshrink()(jnp.array([-2.0, 0.5, 2.0])).tolist()
        [-1.5, 0.0, 1.5]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        if lambd < 0:
            raise ValueError(f"lambd must not be negative, got {lambd!r}.")
        self.lambd = lambd

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x - lambd``, ``x + lambd`` or 0."""
        return F.soft_shrink(x, self.lambd)


class Threshold(ElementWiseBlock):
    """Replace what is not above a threshold: ``y = x`` where ``x > threshold``, else ``value``.

    Args:
        threshold: the threshold.
        value: what stands where the input is not above it, in the dtype of the input.

    Example:
        >>> Threshold(0.1, 20.0)(jnp.array([0.1, 0.3])).tolist()
        [20.0, 0.30000001192092896]
    """

    def __init__(self, threshold: float, value: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``x`` or ``value``."""
        x = as_array(x)
        return jnp.where(x > self.threshold, x, jnp.asarray(self.value, x.dtype))
