"""Pooling by power means, and to a given output size, channels last."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen
from jax import lax

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
]


class _Pool(linen.Module):
    """Works along the axes in front of the channels."""

    axes: ClassVar[int]

    @linen.nowrap
    def _each(self, name: str, value: Any) -> tuple[Any, ...]:
        entries = (value,) * self.axes if isinstance(value, int) else tuple(value)
        if len(entries) != self.axes:
            raise ValueError(
                f"{name} must have an entry for each of {self.axes} axes, got {value!r}."
            )
        return entries

    @linen.nowrap
    def _checked(self, inputs: Any) -> Any:
        x = jnp.asarray(inputs)
        if x.ndim < self.axes + 1:
            raise ValueError(
                f"{type(self).__name__} takes {self.axes} axes and channels behind them, got shape "
                f"{x.shape}."
            )
        return x


class _LPPool(_Pool):
    """The power mean of each window."""

    norm_type: float
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None = None
    padding: str | Sequence[tuple[int, int]] = "VALID"

    def __call__(self, inputs: Any) -> Any:
        """Pool an array ``(..., *spatial, channels)``.

        Returns:
            The power means, in the default floating-point type or a wider one of the input.

        Raises:
            ValueError: if the input has too few axes, or an attribute is malformed.
        """
        x = self._checked(inputs)
        if not 0 < self.norm_type < math.inf:
            raise ValueError(f"norm_type must be positive and finite, got {self.norm_type!r}.")
        sizes = self._each("kernel_size", self.kernel_size)
        steps = sizes if self.stride is None else self._each("stride", self.stride)
        # Powers of numbers in half precision would leave their range.
        x = x.astype(jnp.promote_types(x.dtype, jnp.result_type(float)))
        powers = _power(x, self.norm_type)
        leading = x.ndim - self.axes - 1
        window, stride = (*(1,) * leading, *sizes, 1), (*(1,) * leading, *steps, 1)
        around: Any
        if isinstance(self.padding, str):
            around = lax.padtype_to_pads(x.shape, window, stride, self.padding)
        else:
            pairs = map(tuple, self._each("padding", self.padding))
            around = (*((0, 0),) * leading, *pairs, (0, 0))
        zero = np.zeros((), powers.dtype)
        total = lax.reduce_window(powers, zero, lax.add, window, stride, tuple(around))
        mean = total / math.prod(window)
        return mean if self.norm_type == 1 else _root(mean, self.norm_type)


def _power(x: Any, exponent: float) -> Any:
    """The magnitudes to a power, with a derivative of 0 at 0 where it would be infinite."""
    if exponent == 2:
        complex_ = jnp.iscomplexobj(x)
        return lax.square(x.real) + lax.square(x.imag) if complex_ else lax.square(x)
    magnitude = jnp.abs(x)
    if exponent == int(exponent):
        return lax.integer_pow(magnitude, int(exponent))
    if exponent > 1:
        return magnitude**exponent
    zero = magnitude == 0
    return jnp.where(zero, 0, jnp.where(zero, 1, magnitude) ** exponent)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _root(mean: Any, exponent: float) -> Any:
    """The root of a mean of powers."""
    return lax.sqrt(mean) if exponent == 2 else mean ** (1 / exponent)


@_root.defjvp
def _root_jvp(exponent: float, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    """The root's derivative is infinite at 0, where that of the mean is 0: their product is 0."""
    (mean,), (moving,) = primals, tangents
    root = _root(mean, exponent)
    zero = mean == 0
    slope = jnp.where(zero, 0, root / jnp.where(zero, 1, exponent * mean))
    return root, slope * moving


class _AdaptivePool(_Pool):
    """Cuts each axis in front of the channels into a given number of blocks."""

    target_size: int | Sequence[int | None]

    @linen.nowrap
    def _blocks(self, x: Any, reduce: Any) -> Any:
        first = x.ndim - self.axes - 1
        for axis, target in enumerate(self._each("target_size", self.target_size), first):
            if target is not None:
                x = _along(x, axis, target, reduce)
        return x


class _AdaptiveAvgPool(_AdaptivePool):
    """The mean of each block."""

    def __call__(self, inputs: Any) -> Any:
        """Pool an array ``(..., *spatial, channels)``.

        Returns:
            The means; of floating-point type also where the input is not.

        Raises:
            ValueError: if the input has too few axes, or one is shorter than its target.
        """
        x = self._checked(inputs)
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.float64 if x.dtype.itemsize == 8 else jnp.float32)
        # Half precision would be rounded after each axis.
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        return self._blocks(wide, jnp.mean).astype(x.dtype)


class _AdaptiveMaxPool(_AdaptivePool):
    """The largest entry of each block."""

    def __call__(self, inputs: Any) -> Any:
        """Pool an array ``(..., *spatial, channels)``.

        Raises:
            ValueError: if the input has too few axes, or one is shorter than its target.
        """
        return self._blocks(self._checked(inputs), jnp.max)


def _along(x: Any, axis: int, count: int, reduce: Any) -> Any:
    """Reduce ``count`` blocks of an axis; the first are longer by one where it does not divide."""
    length = x.shape[axis]
    if length < count:
        raise ValueError(f"axis {axis} of shape {x.shape} is shorter than its target, {count}.")
    short, longer = divmod(length, count)
    cut = longer * (short + 1)
    parts = []
    for start, stop, size in ((0, cut, short + 1), (cut, length, short)):
        if stop > start:
            part = lax.slice_in_dim(x, start, stop, axis=axis)
            blocks = part.reshape(*x.shape[:axis], -1, size, *x.shape[axis + 1 :])
            parts.append(reduce(blocks, axis=axis + 1))
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis)


class LPPool1d(_LPPool):
    """The power mean of each window of ``(..., length, channels)``.

    The attributes are those of `LPPool2d` with one axis less.

    Example:
        >>> LPPool1d(2, 2).apply({}, jnp.array([[1.0], [-7.0], [2.0], [2.0]])).tolist()
        [[5.0], [2.0]]
    """

    axes = 1


class LPPool2d(_LPPool):
    """The power mean of each window of ``(..., height, width, channels)``.

    ``y = (sum(abs(x) ** p) / n) ** (1 / p)`` over the ``n`` entries of a window, padding counted
    as zeros.

    Attributes:
        norm_type: the exponent ``p``, positive and finite.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise; None for ``kernel_size``.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, or pairs (before, after).

    Example:
        >>> LPPool2d(3, 2).apply({}, jnp.ones((8, 9, 3))).shape
        (4, 4, 3)
    """

    axes = 2


class LPPool3d(_LPPool):
    """The power mean of each window of ``(..., depth, height, width, channels)``.

    The attributes are those of `LPPool2d` with one axis more.

    Example:
        >>> LPPool3d(2, 2).apply({}, jnp.ones((4, 4, 4, 3))).shape
        (2, 2, 2, 3)
    """

    axes = 3


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of a given number of blocks of ``(..., length, channels)``.

    The attributes are those of `AdaptiveAvgPool2d` with one axis less.

    Example:
        >>> AdaptiveAvgPool1d(2).apply({}, jnp.array([[1.0], [3.0], [5.0], [7.0], [9.0]])).tolist()
        [[3.0], [8.0]]
    """

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of a given number of blocks of ``(..., height, width, channels)``.

    Along each axis there are as many blocks as the output has entries; where the length does not
    divide evenly the first ``length % target`` blocks are longer by one.

    Attributes:
        target_size: number of blocks along each axis, one for all or one for each; None for an
            axis that stays as it is.

    Example:
        >>> AdaptiveAvgPool2d((5, None)).apply({}, jnp.ones((8, 9, 3))).shape
        (5, 9, 3)
    """

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of a given number of blocks of ``(..., depth, height, width, channels)``.

    The attributes are those of `AdaptiveAvgPool2d` with one axis more.

    Example:
        >>> AdaptiveAvgPool3d((1, 2, None)).apply({}, jnp.ones((4, 5, 6, 3))).shape
        (1, 2, 6, 3)
    """

    axes = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest entries of a given number of blocks of ``(..., length, channels)``.

    The attributes are those of `AdaptiveAvgPool2d` with one axis less.

    Example:
        >>> AdaptiveMaxPool1d(2).apply({}, jnp.array([[1.0], [3.0], [5.0], [7.0], [9.0]])).tolist()
        [[5.0], [9.0]]
    """

    axes = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest entries of a given number of blocks of ``(..., height, width, channels)``.

    The blocks and the attributes are those of `AdaptiveAvgPool2d`.

    Example:
        >>> AdaptiveMaxPool2d((2, 1)).apply({}, jnp.arange(6.0).reshape(3, 2, 1)).tolist()
        [[[3.0]], [[5.0]]]
    """

    axes = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest entries of a given number of blocks of ``(..., depth, height, width, channels)``.

    The attributes are those of `AdaptiveAvgPool2d` with one axis more.

    Example:
        >>> AdaptiveMaxPool3d(2).apply({}, jnp.ones((4, 5, 6, 3))).shape
        (2, 2, 2, 3)
    """

    axes = 3
