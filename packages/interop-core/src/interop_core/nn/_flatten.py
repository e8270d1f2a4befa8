"""Layers that only rearrange entries: `Flatten`, `Unflatten` and `MoveAxis`."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from . import init
from ._module import Module

__all__ = ["Flatten", "MoveAxis", "Unflatten"]


class Flatten(Module):
    """Join the axes from ``start_axis`` to ``end_axis``, both included, into one.

    With ``in_size`` the axes count within one example of that shape, and whatever stands in front
    of it is batch. Without ``in_size`` they count within the whole input, so the default joins the
    batch axis too.

    Args:
        start_axis: the first axis to join.
        end_axis: the last axis to join.
        in_size: shape of one example.

    Raises:
        ValueError: if ``in_size`` lacks one of the axes, or they stand in the wrong order.

    Example:
        >>> Flatten(in_size=(2, 3))(jnp.ones((5, 2, 3))).shape
        (5, 6)
        >>> Flatten()(jnp.ones((5, 2, 3))).shape
        (30,)
    """

    def __init__(
        self, start_axis: int = 0, end_axis: int = -1, in_size: int | Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.start_axis = operator.index(start_axis)
        self.end_axis = operator.index(end_axis)
        if in_size is not None:
            self.in_size = init.to_size(in_size)
            self.out_size = self._joined(self.in_size)

    def _joined(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape after joining, the axes counted within ``shape``."""
        rank = max(len(shape), 1)  # a scalar becomes a vector of one entry
        start = self.start_axis + (rank if self.start_axis < 0 else 0)
        end = self.end_axis + (rank if self.end_axis < 0 else 0)
        if not 0 <= start <= end < rank:
            raise ValueError(
                f"Flatten(start_axis={self.start_axis}, end_axis={self.end_axis}) does not fit "
                f"shape {shape}: there is no such range of axes."
            )
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape after joining.

        Args:
            in_size: shape of the input; where the layer has an ``in_size``, more axes may stand in
                front of it.

        Raises:
            ValueError: if the shape lacks one of the axes, or does not end in the ``in_size`` of
                the layer.
        """
        shape = tuple(in_size)
        split = _batch_axes(self, shape)
        return shape[:split] + self._joined(shape[split:])

    def update(self, x: Any) -> Any:
        """Join the axes.

        Args:
            x: array or quantity, with any number of batch axes where the layer has an
                ``in_size``.

        Returns:
            The same entries in the same order.

        Raises:
            ValueError: as `output_size`.
        """
        shape = self.output_size(jnp.shape(x))
        # A quantity is a pytree around its array: mapped over, it keeps its unit.
        return jax.tree.map(lambda array: jnp.reshape(array, shape), x)


class Unflatten(Module):
    """Split one axis into several, the last of them varying fastest: the inverse of `Flatten`.

    With ``in_size`` the axis counts within one example of that shape, and whatever stands in front
    of it is batch. Without ``in_size`` it counts within the whole input, batch axes included.

    Args:
        axis: the axis to split.
        sizes: lengths of the axes to make of it, a tuple or list; -1 once, for the length that is
            left over.
        name: a label for the user.
        in_size: shape of one example.

    Raises:
        TypeError: if ``sizes`` is no sequence of integers.
        ValueError: if -1 is there more than once or a length is below it, or if ``in_size`` lacks
            the axis or has another number of entries along it.

    Example:
        >>> Unflatten(0, (2, -1), in_size=(6, 4))(jnp.ones((5, 6, 4))).shape
        (5, 2, 3, 4)
        >>> Unflatten(-1, (2, 2)).output_size((6, 4))
        (6, 2, 2)
    """

    def __init__(
        self,
        axis: int,
        sizes: Sequence[int],
        name: str | None = None,
        in_size: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(name=name)
        self.axis = operator.index(axis)
        self.sizes = _sizes(sizes)
        if in_size is not None:
            self.in_size = init.to_size(in_size)
            self.out_size = self._split(self.in_size)

    def _split(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape after splitting, the axis counted within ``shape``."""
        rank = len(shape)
        if not -rank <= self.axis < rank:
            raise ValueError(
                f"Unflatten(axis={self.axis}, sizes={self.sizes}) does not fit shape {shape}: "
                f"there is no such axis."
            )
        axis = self.axis % rank
        known = math.prod(size for size in self.sizes if size != -1)
        left = shape[axis] // max(known, 1) if -1 in self.sizes else 1
        # Into lengths of which one is 0, any number could be left over.
        if known * left != shape[axis] or (-1 in self.sizes and not known):
            raise ValueError(
                f"Unflatten(axis={self.axis}, sizes={self.sizes}) does not fit shape {shape}: "
                f"{shape[axis]} entries cannot be split in that way."
            )
        return (
            *shape[:axis],
            *(left if size == -1 else size for size in self.sizes),
            *shape[axis + 1 :],
        )

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape after splitting.

        Args:
            in_size: shape of the input; where the layer has an ``in_size``, more axes may stand in
                front of it.

        Raises:
            ValueError: if the shape lacks the axis or has another number of entries along it, or
                does not end in the ``in_size`` of the layer.
        """
        shape = tuple(in_size)
        split = _batch_axes(self, shape)
        return shape[:split] + self._split(shape[split:])

    def update(self, x: Any) -> Any:
        """Split the axis.

        Args:
            x: array or quantity, with any number of batch axes where the layer has an
                ``in_size``.

        Returns:
            The same entries in the same order.

        Raises:
            ValueError: as `output_size`.
        """
        shape = self.output_size(jnp.shape(x))
        # A quantity is a pytree around its array: mapped over, it keeps its unit.
        return jax.tree.map(lambda array: jnp.reshape(array, shape), x)


class MoveAxis(Module):
    """Move axes to other places, counted from the end so that batch axes do not matter.

    It stands where data with the channels first meets a layer with the channels last, or the other
    way round. The other axes keep their order, as with `jax.numpy.moveaxis`.

    Args:
        source: the axis to move, or several: negative integers.
        destination: where each goes: as many negative integers.
        in_size: shape of one example.
        name: a label for the user.

    Raises:
        ValueError: for an axis that is not negative, a repeated one, or unequal numbers of axes.

    Example:
        >>> channels_first = MoveAxis(-1, -3)
        >>> channels_first(jnp.ones((5, 8, 9, 3))).shape
        (5, 3, 8, 9)
        >>> channels_first.output_size((8, 9, 3))
        (3, 8, 9)
    """

    def __init__(
        self,
        source: int | Sequence[int],
        destination: int | Sequence[int],
        in_size: int | Sequence[int] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.source = _negative(source, "source")
        self.destination = _negative(destination, "destination")
        if len(_entries(self.source)) != len(_entries(self.destination)):
            raise ValueError(
                f"MoveAxis needs as many destinations as sources, got source={source!r} and "
                f"destination={destination!r}."
            )
        if in_size is not None:
            self.in_size = init.to_size(in_size)
            self.out_size = self.output_size(self.in_size)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the lengths in their new order.

        Args:
            in_size: shape of the input.

        Raises:
            ValueError: if it has fewer axes than are counted from the end.
        """
        rank = len(in_size)
        sources, destinations = _entries(self.source), _entries(self.destination)
        if rank < -min(sources + destinations):
            raise ValueError(
                f"MoveAxis({self.source}, {self.destination}) needs at least "
                f"{-min(sources + destinations)} axes, got shape {tuple(in_size)}."
            )
        order = [axis for axis in range(-rank, 0) if axis not in sources]
        for destination, source in sorted(zip(destinations, sources, strict=True)):
            order.insert(destination + rank, source)
        return tuple(in_size[axis] for axis in order)

    def update(self, x: Any) -> Any:
        """Move the axes.

        Args:
            x: array or quantity, with any number of batch axes.

        Returns:
            The same entries in the new order of axes.

        Raises:
            ValueError: as `output_size`.
        """
        self.output_size(jnp.shape(x))
        return jax.tree.map(lambda array: jnp.moveaxis(array, self.source, self.destination), x)


def _batch_axes(layer: Module, shape: tuple[int, ...]) -> int:
    """Count the axes of an input in front of the layer's ``in_size``; none where it has none.

    Raises:
        ValueError: if the input does not end in the ``in_size``.
    """
    expected = layer.in_size
    if expected is None:
        return 0
    count = len(shape) - len(expected)
    if count < 0 or shape[count:] != expected:
        raise ValueError(
            f"{type(layer).__name__}(in_size={expected}) got an input of shape {shape}."
        )
    return count


def _sizes(sizes: Any) -> tuple[int, ...]:
    """Check the lengths that an axis is split into.

    Raises:
        TypeError: if they are no sequence of integers.
        ValueError: if -1 is there more than once, or a length is below it.
    """
    if not isinstance(sizes, Sequence) or not all(hasattr(size, "__index__") for size in sizes):
        raise TypeError(f"sizes must be a tuple or list of integers, got {sizes!r}.")
    given = tuple(map(operator.index, sizes))
    if given.count(-1) > 1 or any(size < -1 for size in given):
        raise ValueError(
            f"sizes must be lengths, with -1 at most once for the one that is left over, "
            f"got {sizes!r}."
        )
    return given


def _entries(axes: int | tuple[int, ...]) -> tuple[int, ...]:
    """Read one axis or several as a tuple."""
    return axes if isinstance(axes, tuple) else (axes,)


def _negative(axes: int | Sequence[int], name: str) -> int | tuple[int, ...]:
    """Check that the axes count from the end, each once."""
    given = tuple(map(operator.index, axes)) if isinstance(axes, Sequence) else operator.index(axes)
    entries = _entries(given)
    if not entries or max(entries) >= 0 or len(set(entries)) != len(entries):
        raise ValueError(
            f"{name} must be distinct negative integers, counted from the end so that batch axes "
            f"do not shift them, got {axes!r}."
        )
    return given
