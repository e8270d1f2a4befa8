"""Padding of the spatial axes, which jax is told of every axis of a whole array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen
from jax import lax

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

Pads = tuple[tuple[int, int], ...]


class _Pad(linen.Module):
    """Adds entries of the data before and after each axis in front of the channels."""

    axes: ClassVar[int]
    mode: ClassVar[str]

    padding: int | Sequence[tuple[int, int]]

    def __call__(self, inputs: Any) -> Any:
        """Add the entries to an array ``([batch,] *spatial, channels)``.

        Raises:
            ValueError: for fewer axes, or more, and where there are not as many pairs as axes.
        """
        x, pads = jnp.asarray(inputs), self.padding
        pairs = ((pads, pads),) * self.axes if isinstance(pads, int) else tuple(map(tuple, pads))
        if len(pairs) != self.axes or any(len(pair) != 2 for pair in pairs):
            raise ValueError(
                f"padding must be an integer or {self.axes} pairs (before, after), got {pads!r}."
            )
        leading = x.ndim - self.axes - 1
        if leading not in (0, 1):
            raise ValueError(
                f"{type(self).__name__} takes {self.axes} axes, channels behind and at most one "
                f"batch axis in front, got shape {x.shape}."
            )
        return self._padded(x, (*((0, 0),) * leading, *pairs, (0, 0)))

    @linen.nowrap
    def _padded(self, x: Any, around: Any) -> Any:
        return jnp.pad(x, around, mode=self.mode)


class _Constant(_Pad):
    """Adds one number."""

    @linen.nowrap
    def _padded(self, x: Any, around: Any) -> Any:
        value = getattr(self, "value", 0)
        if isinstance(value, complex) and not jnp.iscomplexobj(x):
            raise TypeError(f"value={value} needs complex data, got {x.dtype}.")
        fill = jnp.asarray(value).astype(x.dtype)
        return lax.pad(x, fill, [(before, after, 0) for before, after in around])


class ZeroPad1d(_Constant):
    """Adds zeros around ``([batch,] length, channels)``.

    The attributes are those of `ZeroPad2d`, with one axis less.

    Example:
        >>> ZeroPad1d(((1, 2),)).apply({}, jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1


class ZeroPad2d(_Constant):
    """Adds zeros around ``([batch,] height, width, channels)``.

    Attributes:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.

    Example:
        >>> ZeroPad2d(((1, 0), (0, 1))).apply({}, jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2


class ZeroPad3d(_Constant):
    """Adds zeros around ``([batch,] depth, height, width, channels)``.

    The attributes are those of `ZeroPad2d`, with one axis more.

    Example:
        >>> ZeroPad3d(1).apply({}, jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3


class ConstantPad1d(_Constant):
    """Adds a constant around ``([batch,] length, channels)``.

    The attributes are those of `ConstantPad2d`, with one axis less.

    Example:
        >>> ConstantPad1d(((1, 2),)).apply({}, jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1

    value: Any = 0


class ConstantPad2d(_Constant):
    """Adds a constant around ``([batch,] height, width, channels)``.

    Attributes:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.
        value: the constant; it takes the dtype of the data.

    Example:
        >>> ConstantPad2d(((1, 0), (0, 1))).apply({}, jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2

    value: Any = 0


class ConstantPad3d(_Constant):
    """Adds a constant around ``([batch,] depth, height, width, channels)``.

    The attributes are those of `ConstantPad2d`, with one axis more.

    Example:
        >>> ConstantPad3d(1).apply({}, jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3

    value: Any = 0


class ReflectionPad1d(_Pad):
    """Mirrors the data at the ends of ``([batch,] length, channels)``.

    The attributes are those of `ReflectionPad2d`, with one axis less.

    Example:
        >>> ReflectionPad1d(((1, 2),)).apply({}, jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Mirrors the data at the ends of ``([batch,] height, width, channels)``.

    The outermost entries, at which it is mirrored, are not repeated.

    Attributes:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.

    Example:
        >>> ReflectionPad2d(((1, 0), (0, 1))).apply({}, jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """Mirrors the data at the ends of ``([batch,] depth, height, width, channels)``.

    The attributes are those of `ReflectionPad2d`, with one axis more.

    Example:
        >>> ReflectionPad3d(1).apply({}, jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Repeats the first and last entries of ``([batch,] length, channels)``.

    The attributes are those of `ReplicationPad2d`, with one axis less.

    Example:
        >>> ReplicationPad1d(((1, 2),)).apply({}, jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1
    mode = "edge"


class ReplicationPad2d(_Pad):
    """Repeats the first and last entries of ``([batch,] height, width, channels)``.

    Attributes:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.

    Example:
        >>> ReplicationPad2d(((1, 0), (0, 1))).apply({}, jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2
    mode = "edge"


class ReplicationPad3d(_Pad):
    """Repeats the first and last entries of ``([batch,] depth, height, width, channels)``.

    The attributes are those of `ReplicationPad2d`, with one axis more.

    Example:
        >>> ReplicationPad3d(1).apply({}, jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3
    mode = "edge"


class CircularPad1d(_Pad):
    """Goes on with data from the other end of ``([batch,] length, channels)``.

    The attributes are those of `CircularPad2d`, with one axis less.

    Example:
        >>> CircularPad1d(((1, 2),)).apply({}, jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1
    mode = "wrap"


class CircularPad2d(_Pad):
    """Goes on with data from the other end of ``([batch,] height, width, channels)``.

    Attributes:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.

    Example:
        >>> CircularPad2d(((1, 0), (0, 1))).apply({}, jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2
    mode = "wrap"


class CircularPad3d(_Pad):
    """Goes on with data from the other end of ``([batch,] depth, height, width, channels)``.

    The attributes are those of `CircularPad2d`, with one axis more.

    Example:
        >>> CircularPad3d(1).apply({}, jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3
    mode = "wrap"
