"""Companions that add entries around the spatial axes, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jax import lax

Pads = tuple[tuple[int, int], ...]


class _Pad(nnx.Module):
    """Adds entries of the data before and after each axis in front of the channels."""

    axes: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | Sequence[tuple[int, int]]) -> None:
        pairs = ((padding, padding),) * self.axes if isinstance(padding, int) else padding
        self.padding = tuple((before, after) for before, after in pairs)
        if len(self.padding) != self.axes:
            raise ValueError(
                f"padding must be an integer or {self.axes} pairs (before, after), got {padding!r}."
            )

    def __call__(self, x: Any) -> Any:
        """Add the entries to an array ``([batch,] *spatial, channels)``.

        Raises:
            ValueError: if the input has fewer axes, or more.
        """
        x = jnp.asarray(x)
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(
                f"{type(self).__name__} takes {self.axes} axes, channels behind and at most one "
                f"batch axis in front, got shape {x.shape}."
            )
        return self._padded(x, ((0, 0),) * (x.ndim - self.axes - 1) + (*self.padding, (0, 0)))

    def _padded(self, x: Any, around: Pads) -> Any:
        return jnp.pad(x, around, mode=self.mode)


class _Constant(_Pad):
    """Adds one number."""

    value: Any = 0

    def _padded(self, x: Any, around: Pads) -> Any:
        if isinstance(self.value, complex) and not jnp.iscomplexobj(x):
            raise TypeError(f"value={self.value} needs complex data, got {x.dtype}.")
        fill = jnp.asarray(self.value).astype(x.dtype)
        return lax.pad(x, fill, [(before, after, 0) for before, after in around])


class _GivenConstant(_Constant):
    """Adds a number that is an argument."""

    def __init__(self, padding: int | Sequence[tuple[int, int]], value: Any = 0) -> None:
        super().__init__(padding)
        self.value = value


class ZeroPad1d(_Constant):
    """Adds zeros around ``([batch,] length, channels)``.

    The arguments are those of `ZeroPad2d` with one axis less.

    Example:
        >>> ZeroPad1d(((1, 2),))(jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1


class ZeroPad2d(_Constant):
    """Adds zeros around ``([batch,] height, width, channels)``.

    Args:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.

    Raises:
        ValueError: if there are not as many pairs as axes.

    Example:
        >>> ZeroPad2d(((1, 0), (0, 1)))(jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2


class ZeroPad3d(_Constant):
    """Adds zeros around ``([batch,] depth, height, width, channels)``.

    The arguments are those of `ZeroPad2d` with one axis more.

    Example:
        >>> ZeroPad3d(1)(jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3


class ConstantPad1d(_GivenConstant):
    """Adds a constant around ``([batch,] length, channels)``.

    The arguments are those of `ConstantPad2d` with one axis less.

    Example:
        >>> ConstantPad1d(((1, 2),))(jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1


class ConstantPad2d(_GivenConstant):
    """Adds a constant around ``([batch,] height, width, channels)``.

    Args:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.
        value: the constant; it takes the dtype of the data.

    Raises:
        ValueError: if there are not as many pairs as axes.

    Example:
        >>> ConstantPad2d(((1, 0), (0, 1)))(jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2


class ConstantPad3d(_GivenConstant):
    """Adds a constant around ``([batch,] depth, height, width, channels)``.

    The arguments are those of `ConstantPad2d` with one axis more.

    Example:
        >>> ConstantPad3d(1)(jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3


class ReflectionPad1d(_Pad):
    """Mirrors the data at the ends of ``([batch,] length, channels)``.

    The arguments are those of `ReflectionPad2d` with one axis less.

    Example:
        >>> ReflectionPad1d(((1, 2),))(jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Mirrors the data at the ends of ``([batch,] height, width, channels)``.

    Args:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.

    Raises:
        ValueError: if there are not as many pairs as axes.

    Example:
        >>> ReflectionPad2d(((1, 0), (0, 1)))(jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """Mirrors the data at the ends of ``([batch,] depth, height, width, channels)``.

    The arguments are those of `ReflectionPad2d` with one axis more.

    Example:
        >>> ReflectionPad3d(1)(jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Repeats the first and last entries of ``([batch,] length, channels)``.

    The arguments are those of `ReplicationPad2d` with one axis less.

    Example:
        >>> ReplicationPad1d(((1, 2),))(jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1
    mode = "edge"


class ReplicationPad2d(_Pad):
    """Repeats the first and last entries of ``([batch,] height, width, channels)``.

    Args:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.

    Raises:
        ValueError: if there are not as many pairs as axes.

    Example:
        >>> ReplicationPad2d(((1, 0), (0, 1)))(jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2
    mode = "edge"


class ReplicationPad3d(_Pad):
    """Repeats the first and last entries of ``([batch,] depth, height, width, channels)``.

    The arguments are those of `ReplicationPad2d` with one axis more.

    Example:
        >>> ReplicationPad3d(1)(jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3
    mode = "edge"


class CircularPad1d(_Pad):
    """Goes on with data from the other end of ``([batch,] length, channels)``.

    The arguments are those of `CircularPad2d` with one axis less.

    Example:
        >>> CircularPad1d(((1, 2),))(jnp.ones((2, 1))).shape
        (5, 1)
    """

    axes = 1
    mode = "wrap"


class CircularPad2d(_Pad):
    """Goes on with data from the other end of ``([batch,] height, width, channels)``.

    Args:
        padding: numbers of entries before and after each spatial axis, in pairs; one integer holds
            for all sides.

    Raises:
        ValueError: if there are not as many pairs as axes.

    Example:
        >>> CircularPad2d(((1, 0), (0, 1)))(jnp.ones((2, 3, 1))).shape
        (3, 4, 1)
    """

    axes = 2
    mode = "wrap"


class CircularPad3d(_Pad):
    """Goes on with data from the other end of ``([batch,] depth, height, width, channels)``.

    The arguments are those of `CircularPad2d` with one axis more.

    Example:
        >>> CircularPad3d(1)(jnp.ones((2, 2, 2, 1))).shape
        (4, 4, 4, 1)
    """

    axes = 3
    mode = "wrap"
