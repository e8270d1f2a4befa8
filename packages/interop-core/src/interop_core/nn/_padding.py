"""Padding with zeros or another constant, and what all padding has in common."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, ClassVar, final

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from . import init
from ._module import Module
from ._parameters import as_array
from ._window import Pads

__all__ = [
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Pad",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

Shape = tuple[int, ...]


class Pad(Module):
    """Adds entries around the spatial axes of ``([batch,] *spatial, channels)``.

    Args:
        padding: number of entries before and after each spatial axis; see `ZeroPad2d`.
        in_size: shape of one example, where it is known.
        name: a label for the user.
    """

    spatial: ClassVar[int]

    def __init__(
        self,
        padding: Any,
        in_size: int | Sequence[int] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.padding = _pairs(padding, self.spatial)
        if in_size is not None:
            self.in_size = init.to_size(in_size)
            self.out_size = self.output_size(self.in_size)

    def _around(self, shape: Shape) -> Pads:
        """Give the (before, after) pair of every axis of an input.

        Raises:
            ValueError: if the input has too few or too many axes.
        """
        n = self.spatial
        if len(shape) not in (n + 1, n + 2):
            raise ValueError(
                f"{type(self).__name__} takes {n} spatial {'axis' if n == 1 else 'axes'}, channels "
                f"behind and at most one batch axis in front: an input of {n + 1} or {n + 2} axes. "
                f"Got shape {shape}."
            )
        return ((0, 0),) * (len(shape) - n - 1) + self.padding + ((0, 0),)

    def output_size(self, in_size: Shape) -> Shape:
        """Give the shape of the output.

        Args:
            in_size: shape of the input.

        Raises:
            ValueError: if it has too few or too many axes, or what is to be repeated is empty.
        """
        shape = tuple(in_size)
        around = self._around(shape)
        for axis, pair in enumerate(around):
            if not shape[axis] and any(pair):
                self._empty(shape)
        return tuple(
            before + length + after for length, (before, after) in zip(shape, around, strict=True)
        )

    def _empty(self, shape: Shape) -> None:
        """Refuse to make entries out of none."""
        raise ValueError(
            f"{type(self).__name__}(padding={self.padding}) repeats entries of its input, got "
            f"shape {shape}, which has none along a padded axis."
        )

    def update(self, x: jax.Array) -> jax.Array:
        """Add the entries.

        Args:
            x: array of shape ``(*spatial, channels)`` or ``(batch, *spatial, channels)``.

        Returns:
            Array of the same dtype, longer along the spatial axes.

        Raises:
            ValueError: as `output_size`.
        """
        x = as_array(x)
        self.output_size(x.shape)
        return self._padded(x, self._around(x.shape))

    def _padded(self, x: jax.Array, around: Pads) -> jax.Array:
        """Add the entries to an input that fits."""
        for axis, (before, after) in enumerate(around):
            if before or after:
                x = self._along(x, axis, before, after)
        return x

    def _along(self, x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
        """Add the entries of one axis that is not empty."""
        raise NotImplementedError


class _ZeroPad(Pad):
    """Adds zeros."""

    def _empty(self, shape: Shape) -> None:
        """Let empty data pass: nothing of it is repeated."""

    def _padded(self, x: jax.Array, around: Pads) -> jax.Array:
        """Add zeros along all axes at once."""
        return _filled(x, around, 0)


class _ConstantPad(Pad):
    """Adds a constant."""

    def __init__(
        self,
        padding: Any,
        value: Any = 0,
        in_size: int | Sequence[int] | None = None,
        name: str | None = None,
    ) -> None:
        self.value = _number(value)
        super().__init__(padding, in_size, name)

    def _empty(self, shape: Shape) -> None:
        """Let empty data pass: nothing of it is repeated."""

    def _padded(self, x: jax.Array, around: Pads) -> jax.Array:
        """Add the constant along all axes at once.

        Raises:
            TypeError: if the constant is complex and the input is not.
        """
        if isinstance(self.value, complex) and not jnp.issubdtype(x.dtype, jnp.complexfloating):
            raise TypeError(
                f"{type(self).__name__}(value={self.value}) needs complex data, got {x.dtype}."
            )
        return _filled(x, around, self.value)


def _pairs(padding: Any, n: int) -> Pads:
    """Read a padding as one (before, after) pair per spatial axis, the first axis first.

    Raises:
        TypeError: if it is no integer, and no sequence of integers or pairs.
        ValueError: if it has no entry for each side or axis, or a negative one.
    """
    try:
        pairs = _read(padding, n)
    except TypeError:
        raise TypeError(
            f"padding must be an integer, or a sequence of integers or of (before, after) pairs, "
            f"got {padding!r}."
        ) from None
    if pairs is None:
        raise ValueError(
            f"padding for {n} spatial {'axis' if n == 1 else 'axes'} must have {n} or {2 * n} "
            f"entries where it is no integer, or {n} (before, after) pairs, got {padding!r}."
        )
    if any(side < 0 for pair in pairs for side in pair):
        raise ValueError(f"padding must not be negative, got {padding!r}: slice to crop.")
    return pairs


def _read(padding: Any, n: int) -> Pads | None:
    """Read every form of a padding; None where the number of entries fits none."""
    if hasattr(padding, "__index__") and not np.ndim(padding):
        return ((operator.index(padding),) * 2,) * n
    if isinstance(padding, str):
        raise TypeError
    entries = tuple(padding)
    if len(entries) == n and all(isinstance(entry, Sequence) for entry in entries):
        if any(len(entry) != 2 for entry in entries):
            return None
        return tuple((operator.index(low), operator.index(high)) for low, high in entries)
    sides = tuple(map(operator.index, entries))
    if len(sides) == n:
        return tuple((side, side) for side in sides)
    return tuple(zip(sides[::2], sides[1::2], strict=True)) if len(sides) == 2 * n else None


def _number(value: Any) -> Any:
    """Check that a value is one number, and take it out of an array.

    Raises:
        TypeError: if it is none.
    """
    if isinstance(value, bool | int | float | complex):
        return value
    if np.ndim(value) or not hasattr(value, "item") or np.asarray(value).dtype.kind in "OSU":
        raise TypeError(f"value must be a number, got {value!r}.")
    return value.item()


def _filled(x: jax.Array, around: Pads, value: Any) -> jax.Array:
    """Add a constant in the dtype of the data."""
    # Data of integers takes the integer part, as conversion in JAX does.
    fill = jnp.asarray(value).astype(x.dtype)
    return lax.pad(x, fill, [(before, after, 0) for before, after in around])


@final
class ZeroPad1d(_ZeroPad):
    """Add zeros before and after ``([batch,] length, channels)``.

    The arguments are those of `ZeroPad2d`, with one spatial axis less: two integers are the numbers
    of entries before and after it.

    Example:
        >>> ZeroPad1d((1, 2))(jnp.ones((2, 1)))[:, 0].tolist()
        [0.0, 1.0, 1.0, 0.0, 0.0]
    """

    spatial = 1


@final
class ZeroPad2d(_ZeroPad):
    """Add zeros around ``([batch,] height, width, channels)``.

    Args:
        padding: number of zeros. One integer holds for all sides; one integer per spatial axis
            holds for both its sides; two integers per spatial axis are those before and after it:
            ``(top, bottom, left, right)``. The first spatial axis comes first (other libraries
            begin with the last one). Pairs, ``((top, bottom), (left, right))``, are taken too.
        in_size: shape of one example, where it is known.
        name: a label for the user.

    Raises:
        TypeError: if ``padding`` is no integer, and no sequence of integers or pairs.
        ValueError: if ``padding`` has another number of entries, or a negative one, or if
            ``in_size`` has too few or too many axes.

    Example:
        >>> ZeroPad2d((1, 2, 3, 4), in_size=(10, 10, 3)).out_size
        (13, 17, 3)
        >>> ZeroPad2d((1, 2)).padding
        ((1, 1), (2, 2))
    """

    spatial = 2


@final
class ZeroPad3d(_ZeroPad):
    """Add zeros around ``([batch,] depth, height, width, channels)``.

    The arguments are those of `ZeroPad2d` with one spatial axis more.

    Example:
        >>> ZeroPad3d((1, 2, 3))(jnp.ones((4, 4, 4, 2))).shape
        (6, 8, 10, 2)
    """

    spatial = 3


@final
class ConstantPad1d(_ConstantPad):
    """Add a constant before and after ``([batch,] length, channels)``.

    The arguments are those of `ConstantPad2d`, with one spatial axis less: two integers are the
    numbers of entries before and after it.

    Example:
        >>> ConstantPad1d((1, 2), 0.5)(jnp.ones((2, 1)))[:, 0].tolist()
        [0.5, 1.0, 1.0, 0.5, 0.5]
    """

    spatial = 1


@final
class ConstantPad2d(_ConstantPad):
    """Add a constant around ``([batch,] height, width, channels)``.

    Args:
        padding: number of entries before and after each spatial axis; see `ZeroPad2d`.
        value: the constant; it takes the dtype of the data, its integer part where that has
            integers.
        in_size: shape of one example, where it is known.
        name: a label for the user.

    Raises:
        TypeError: if ``value`` is no number, or ``padding`` no integer and no sequence of integers
            or pairs.
        ValueError: if ``padding`` has another number of entries, or a negative one, or if
            ``in_size`` has too few or too many axes.

    Example:
        >>> ConstantPad2d((1, 0), 2)(jnp.ones((1, 3, 1)))[:, 1, 0].tolist()
        [2.0, 1.0, 2.0]
    """

    spatial = 2


@final
class ConstantPad3d(_ConstantPad):
    """Add a constant around ``([batch,] depth, height, width, channels)``.

    The arguments are those of `ConstantPad2d` with one spatial axis more.

    Example:
        >>> ConstantPad3d(1, 7.0)(jnp.ones((1, 1, 1, 2)))[0, 0, 0].tolist()
        [7.0, 7.0]
    """

    spatial = 3
