"""Pooling to a given output size, whatever the size of the input."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, final

import jax
from jax import lax
from jax import numpy as jnp

from ._parameters import as_array
from ._spatial import Spatial

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
]

Shape = tuple[int, ...]
#: Reduces one axis.
Reduction = Callable[[jax.Array, int], jax.Array]


class _AdaptivePool(Spatial):
    """Cuts each spatial axis into a given number of blocks."""

    def __init__(
        self,
        target_size: int | Sequence[int | None],
        channel_axis: int | None = -1,
        name: str | None = None,
        in_size: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(channel_axis, name)
        self.target_size = _targets(target_size, self.spatial)
        self._fit(in_size)

    def _plan(self, shape: Shape) -> dict[int, int]:
        """Pair each axis that is to be pooled with its number of blocks.

        Raises:
            ValueError: if axes are missing, or one is shorter than its target.
        """
        plan = {}
        for axis, target in zip(self._axes(shape), self.target_size, strict=True):
            if target is None:
                continue
            if shape[axis] < target:
                raise ValueError(
                    f"{type(self).__name__}(target_size={self.target_size}) got an input of shape "
                    f"{shape}: axis {axis} must have at least {target} entries, because each "
                    "output needs at least one."
                )
            plan[axis] = target
        return plan

    def output_size(self, in_size: Shape) -> Shape:
        """Give the shape of one output.

        Args:
            in_size: shape of one example. A ``channel_axis`` counted from the front counts the
                batch axis as axis 0, as it does in a batch.

        Raises:
            ValueError: if axes are missing, or one is shorter than its target.
        """
        shape = self._example(in_size)
        plan = self._plan(shape)
        return tuple(plan.get(axis, length) for axis, length in enumerate(shape))[1:]


class _AdaptiveAvgPool(_AdaptivePool):
    """The mean of each block."""

    def update(self, x: jax.Array) -> jax.Array:
        """Take the mean of each block.

        Args:
            x: one example, with any number of batch axes in front.

        Returns:
            The means; of floating-point type also where the input is not.

        Raises:
            ValueError: if axes are missing, or one is shorter than its target.
        """
        x = as_array(x)
        plan = self._plan(x.shape)
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.float64 if x.dtype.itemsize == 8 else jnp.float32)
        # Half precision would be rounded after each axis.
        y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        for axis, blocks in plan.items():
            y = _along(y, axis, blocks, lambda block, axis: jnp.mean(block, axis))
        return y.astype(x.dtype)


class _AdaptiveMaxPool(_AdaptivePool):
    """The largest entry of each block."""

    def update(self, x: jax.Array) -> jax.Array:
        """Take the largest entry of each block.

        Args:
            x: one example, with any number of batch axes in front.

        Returns:
            The largest entries, in the dtype of the input; NaN where a block holds one.

        Raises:
            ValueError: if axes are missing, or one is shorter than its target.
        """
        x = as_array(x)
        for axis, blocks in self._plan(x.shape).items():
            x = _along(x, axis, blocks, lambda block, axis: jnp.max(block, axis))
        return x


def _targets(target_size: Any, n: int) -> tuple[int | None, ...]:
    """Spread the target over the spatial axes.

    Raises:
        TypeError: if an entry is neither an integer nor None.
        ValueError: if the number of entries is wrong, or one is smaller than 1.
    """
    if isinstance(target_size, Sequence) and not isinstance(target_size, str):
        entries = tuple(target_size)
    else:
        entries = (target_size,) * n
    if len(entries) != n or target_size is None:
        raise ValueError(
            f"target_size for {n} spatial {'axis' if n == 1 else 'axes'} must be an integer or a "
            f"sequence of {n}, in which None leaves an axis alone, got {target_size!r}."
        )
    try:
        targets = tuple(None if entry is None else operator.index(entry) for entry in entries)
    except TypeError:
        raise TypeError(
            f"target_size must be an integer, or a sequence of integers and None, "
            f"got {target_size!r}."
        ) from None
    if any(target is not None and target < 1 for target in targets):
        raise ValueError(f"target_size must be positive, got {target_size!r}.")
    return targets


def _along(x: jax.Array, axis: int, count: int, reduction: Reduction) -> jax.Array:
    """Reduce each of ``count`` blocks of an axis; the first ones are longer by one if need be.

    All blocks of one length are reduced at once: two operations, however many blocks there are.
    """
    length = x.shape[axis]
    if length == count:
        return x
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    short, longer = divmod(length, count)
    cut = longer * (short + 1)
    parts = [
        reduction(
            lax.slice_in_dim(x, start, stop, axis=axis).reshape(*before, blocks, size, *after),
            axis + 1,
        )
        for start, stop, blocks, size in (
            (0, cut, longer, short + 1),
            (cut, length, count - longer, short),
        )
        if blocks
    ]
    return parts[0] if len(parts) == 1 else lax.concatenate(parts, axis)


@final
class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of a given number of blocks of ``(*batch, length, channels)``.

    The arguments are those of `AdaptiveAvgPool2d` with one spatial axis less.

    Example:
        >>> AdaptiveAvgPool1d(2)(jnp.array([[1.0], [3.0], [5.0], [7.0], [9.0]])).tolist()
        [[3.0], [8.0]]
    """

    spatial = 1


@final
class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of a given number of blocks of ``(*batch, height, width, channels)``.

    Along each axis the input is cut into as many blocks as the output has entries. The blocks do
    not overlap; where the length does not divide evenly the first ``length % target`` blocks are
    longer by one, as with `numpy.array_split`. (Windows that overlap instead, from
    ``floor(i * length / target)`` to ``ceil((i + 1) * length / target)``, are another definition
    in use; both agree where the length divides.)

    Args:
        target_size: number of blocks along each spatial axis: one integer for all axes or one per
            axis, None for an axis that stays as it is.
        channel_axis: the axis of the channels; the last axes besides it are the spatial ones. None
            for data without channels. Counted from the front, it counts batch axes too.
        name: a label for the user.
        in_size: shape of one example, where it is known.

    Raises:
        TypeError: if an entry of ``target_size`` is neither an integer nor None.
        ValueError: if an argument is malformed, or an axis of ``in_size`` is shorter than its
            target.

    Example:
        >>> AdaptiveAvgPool2d((5, None), in_size=(8, 9, 3)).out_size
        (5, 9, 3)
        >>> AdaptiveAvgPool2d(1)(jnp.ones((4, 8, 9, 3))).shape
        (4, 1, 1, 3)
    """

    spatial = 2


@final
class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of a given number of blocks over three spatial axes, channels last.

    The arguments are those of `AdaptiveAvgPool2d` with one spatial axis more.

    Example:
        >>> AdaptiveAvgPool3d((1, 2, None))(jnp.ones((4, 5, 6, 3))).shape
        (1, 2, 6, 3)
    """

    spatial = 3


@final
class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest entries of a given number of blocks of ``(*batch, length, channels)``.

    The arguments are those of `AdaptiveAvgPool2d` with one spatial axis less.

    Example:
        >>> AdaptiveMaxPool1d(2)(jnp.array([[1.0], [3.0], [5.0], [7.0], [9.0]])).tolist()
        [[5.0], [9.0]]
    """

    spatial = 1


@final
class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest entries of a given number of blocks of ``(*batch, height, width, channels)``.

    The blocks and the arguments are those of `AdaptiveAvgPool2d`. Where several entries of a block
    are largest, they share the gradient.

    Example:
        >>> AdaptiveMaxPool2d((2, 1))(jnp.arange(6.0).reshape(3, 2, 1)).tolist()
        [[[3.0]], [[5.0]]]
    """

    spatial = 2


@final
class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest entries of a given number of blocks over three spatial axes, channels last.

    The arguments are those of `AdaptiveAvgPool2d` with one spatial axis more.

    Example:
        >>> AdaptiveMaxPool3d(2)(jnp.ones((4, 5, 6, 3))).shape
        (2, 2, 2, 3)
    """

    spatial = 3
