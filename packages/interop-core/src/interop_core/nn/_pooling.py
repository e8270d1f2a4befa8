"""Pooling over one, two and three spatial axes: the largest entry or the mean of each window."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, final

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from ._parameters import as_array
from ._spatial import Spatial
from ._window import Padding, Pads, output_lengths, padding_of, pads, per_axis

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "SlidingWindow",
]

Shape = tuple[int, ...]


class SlidingWindow(Spatial):
    """A window that slides along the spatial axes.

    Args:
        kernel_size: length of the window, one for all axes or one per axis.
        stride: step of the window, likewise; None for ``kernel_size``.
        padding: any form that `padding_of` reads.
        channel_axis: as for `Spatial`.
        name: a label for the user.
        in_size: shape of one example, where it is known.
    """

    padding: Padding

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None,
        padding: Any,
        channel_axis: int | None,
        name: str | None,
        in_size: int | Sequence[int] | None,
    ) -> None:
        super().__init__(channel_axis, name)
        n = self.spatial
        self.kernel_size = per_axis(kernel_size, n, "kernel_size")
        self.stride = self.kernel_size if stride is None else per_axis(stride, n, "stride")
        self.padding = padding_of(padding, n)
        self._fit(in_size)

    def _window(self, shape: Shape) -> tuple[Shape, Shape, Pads]:
        """Give window, stride and padding for every axis of an input."""
        axes = self._axes(shape)
        lengths = tuple(shape[axis] for axis in axes)
        padded = pads(self.padding, lengths, self.kernel_size, self.stride)
        window, stride, around = [1] * len(shape), [1] * len(shape), [(0, 0)] * len(shape)
        for axis, size, step, pair in zip(axes, self.kernel_size, self.stride, padded, strict=True):
            window[axis], stride[axis], around[axis] = size, step, pair
        return tuple(window), tuple(stride), tuple(around)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape of one output.

        Args:
            in_size: shape of one example. A ``channel_axis`` counted from the front counts the
                batch axis as axis 0, as it does in a batch.

        Raises:
            ValueError: if axes are missing, or the window does not fit once.
        """
        shape = self._example(in_size)
        return output_lengths(shape, *self._window(shape))[1:]


class _MaxPool(SlidingWindow):
    """The largest entry of each window."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: Any = "VALID",
        channel_axis: int | None = -1,
        return_indices: bool = False,
        name: str | None = None,
        in_size: int | Sequence[int] | None = None,
    ) -> None:
        self.return_indices = bool(return_indices)
        super().__init__(kernel_size, stride, padding, channel_axis, name, in_size)

    def update(self, x: jax.Array) -> Any:
        """Take the largest entry of each window.

        Args:
            x: one example, with any number of batch axes in front.

        Returns:
            The largest entries; with ``return_indices`` also their positions in the flattened
            input.

        Raises:
            ValueError: if axes are missing.
        """
        x = as_array(x)
        window = self._window(x.shape)
        if self.return_indices:
            return _argmax_pool(x, window)
        return lax.reduce_window(x, _lowest(x.dtype), lax.max, *window)


class _AvgPool(SlidingWindow):
    """The mean of each window."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = 1,
        padding: Any = "VALID",
        channel_axis: int | None = -1,
        name: str | None = None,
        in_size: int | Sequence[int] | None = None,
        *,
        count_include_pad: bool = False,
    ) -> None:
        self.count_include_pad = bool(count_include_pad)
        super().__init__(kernel_size, stride, padding, channel_axis, name, in_size)

    def update(self, x: jax.Array) -> jax.Array:
        """Take the mean of each window.

        Args:
            x: one example, with any number of batch axes in front.

        Returns:
            The means; of floating-point type also where the input is not.

        Raises:
            ValueError: if axes are missing.
        """
        x = as_array(x)
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.result_type(float))  # sums of small integers would wrap around
        # A sum in half precision stops growing after a few hundred entries, or overflows.
        wide = jnp.promote_types(x.dtype, jnp.float32)
        window, stride, around = self._window(x.shape)
        total = lax.reduce_window(
            x.astype(wide), np.zeros((), wide), lax.add, window, stride, around
        )
        if self.count_include_pad or not any(map(any, around)):
            mean = jnp.divide(total, math.prod(window))
        else:
            mean = jnp.divide(total, _counts(x.shape, window, stride, around).astype(wide))
        return mean.astype(x.dtype)


def _lowest(dtype: Any) -> np.ndarray[Any, Any]:
    """Give the neutral element of the maximum."""
    if dtype == np.bool_:
        return np.zeros((), dtype)
    if jnp.issubdtype(dtype, jnp.integer):
        return np.array(np.iinfo(dtype).min, dtype)
    return np.array(-np.inf, dtype)


@functools.lru_cache(maxsize=256)
def _counts(shape: Shape, window: Shape, stride: Shape, around: Pads) -> np.ndarray[Any, Any]:
    """Count how many entries of each window lie in the data, in a shape that broadcasts.

    A window beside the data counts one, so that its mean is 0. Computed without JAX: the shape of
    the input alone decides it.
    """
    counts = np.ones((1,) * len(shape))
    for axis, (length, size, step, (low, high)) in enumerate(
        zip(shape, window, stride, around, strict=True)
    ):
        if size > 1 or low or high:
            start = np.arange(0, length + low + high - size + 1, step) - low
            inside = np.minimum(start + size, length) - np.maximum(start, 0)
            along = [1] * len(shape)
            along[axis] = -1
            counts = counts * np.maximum(inside, 0).reshape(along)
    counts = np.maximum(counts, 1)
    counts.flags.writeable = False
    return counts


def _larger(a: Any, b: Any) -> Any:
    """Pick the larger of two (value, position) pairs; NaN above all; of equal ones the first."""
    (value, index), (other, at) = a, b
    # With a NaN on either side the comparisons are false: then the pair with it is taken.
    keep = (value > other) | (value != value) | ((value == other) & (index < at))
    return lax.max(value, other), lax.select(keep, index, at)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _argmax_pool(x: jax.Array, window: tuple[Shape, Shape, Pads]) -> tuple[jax.Array, jax.Array]:
    """Take the largest entry of each window and its position in the flattened input."""
    position = lax.iota(jnp.int32, x.size).reshape(x.shape)
    nowhere = np.array(x.size, np.int32)
    values, indices = lax.reduce_window(
        (x, position), (_lowest(x.dtype), nowhere), _larger, *window
    )
    # A window that holds padding alone points at the first entry.
    return values, jnp.where(indices == nowhere, 0, indices)


@_argmax_pool.defjvp
def _argmax_pool_jvp(
    window: tuple[Shape, Shape, Pads], primals: tuple[Any], tangents: tuple[Any]
) -> tuple[Any, Any]:
    """Let the tangents of the largest entries pass. Reductions of pairs have no rule in JAX."""
    (x,), (moving,) = primals, tangents
    values, indices = _argmax_pool(x, window)
    still = np.zeros(indices.shape, jax.dtypes.float0)
    if moving.dtype == jax.dtypes.float0:
        return (values, indices), (still, still)
    moved = jnp.where(jnp.isneginf(values), 0, moving.reshape(-1)[indices])
    return (values, indices), (moved, still)


@final
class MaxPool1d(_MaxPool):
    """The largest entry of each window of ``(*batch, length, channels)``.

    The arguments are those of `MaxPool2d` with one spatial axis less.

    Example:
        >>> MaxPool1d(2)(jnp.array([[1.0], [3.0], [2.0], [0.0]])).tolist()
        [[3.0], [2.0]]
    """

    spatial = 1


@final
class MaxPool2d(_MaxPool):
    """The largest entry of each window of ``(*batch, height, width, channels)``.

    Per axis there are ``floor((length + before + after - kernel) / stride) + 1`` windows; padding
    never wins. Any number of batch axes may stand in front.

    Args:
        kernel_size: length of the window, one for all axes or one per axis.
        stride: step of the window, likewise; None for ``kernel_size``.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, an integer, an integer per axis, or
            (before, after) pairs; see `Conv2d`.
        channel_axis: the axis of the channels; the window moves along the last axes besides it.
            None for data without channels. Counted from the front, it counts batch axes too.
        return_indices: whether to return the positions of the largest entries as well: 32-bit
            integers that count through the whole flattened input, batch and channels included.
        name: a label for the user.
        in_size: shape of one example, where it is known.

    Raises:
        ValueError: if an argument is malformed, or the window does not fit ``in_size``.

    Example:
        >>> layer = MaxPool2d(2, in_size=(8, 9, 3))
        >>> layer.stride, layer.out_size
        ((2, 2), (4, 4, 3))
        >>> layer(jnp.ones((5, 8, 9, 3))).shape
        (5, 4, 4, 3)
    """

    spatial = 2


@final
class MaxPool3d(_MaxPool):
    """The largest entry of each window over three spatial axes, channels last.

    The arguments are those of `MaxPool2d` with one spatial axis more.

    Example:
        >>> MaxPool3d(2)(jnp.ones((4, 4, 4, 3))).shape
        (2, 2, 2, 3)
    """

    spatial = 3


@final
class AvgPool1d(_AvgPool):
    """The mean of each window of ``(*batch, length, channels)``.

    The arguments are those of `AvgPool2d` with one spatial axis less.

    Example:
        >>> AvgPool1d(2, 2)(jnp.array([[1.0], [3.0], [2.0], [0.0]])).tolist()
        [[2.0], [1.0]]
    """

    spatial = 1


@final
class AvgPool2d(_AvgPool):
    """The mean of each window of ``(*batch, height, width, channels)``.

    Windows are laid out as by `MaxPool2d`. Note the default step of 1.

    Args:
        kernel_size: length of the window, one for all axes or one per axis.
        stride: step of the window, likewise; None for ``kernel_size``.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, an integer, an integer per axis, or
            (before, after) pairs; see `Conv2d`.
        channel_axis: as for `MaxPool2d`.
        name: a label for the user.
        in_size: shape of one example, where it is known.
        count_include_pad: whether padding counts, as zeros, in the mean. By default the mean is
            over the data in the window; a window beside the data gives 0.

    Raises:
        ValueError: if an argument is malformed, or the window does not fit ``in_size``.

    Example:
        >>> x = jnp.ones((3, 3, 1))
        >>> AvgPool2d(3, padding=1)(x)[0, 0].tolist()
        [1.0]
        >>> AvgPool2d(2, padding=1, count_include_pad=True)(x)[0, 0].tolist()
        [0.25]
    """

    spatial = 2


@final
class AvgPool3d(_AvgPool):
    """The mean of each window over three spatial axes, channels last.

    The arguments are those of `AvgPool2d` with one spatial axis more.

    Example:
        >>> AvgPool3d(2)(jnp.ones((4, 4, 4, 3))).shape
        (3, 3, 3, 3)
    """

    spatial = 3
