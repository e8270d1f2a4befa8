"""Unpooling: put the largest entries of windows back where they came from."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, final

import jax
from jax import numpy as jnp

from ._parameters import as_array
from ._spatial import Spatial
from ._window import per_axis

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]

Shape = tuple[int, ...]


class _MaxUnpool(Spatial):
    """Puts the largest entries of windows back where they came from."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        channel_axis: int | None = -1,
        name: str | None = None,
        in_size: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(channel_axis, name)
        n = self.spatial
        self.kernel_size = per_axis(kernel_size, n, "kernel_size")
        self.stride = self.kernel_size if stride is None else per_axis(stride, n, "stride")
        self.padding = _integers(padding, n, "padding")
        self._fit(in_size)

    def _unpooled(self, shape: Shape) -> Shape:
        """Give the shape of the smallest input from which pooling makes a shape.

        Raises:
            ValueError: if axes are missing, or nothing but padding would have been pooled.
        """
        result = list(shape)
        axes = self._axes(shape)
        for axis, size, step, pad in zip(
            axes, self.kernel_size, self.stride, self.padding, strict=True
        ):
            result[axis] = (shape[axis] - 1) * step + size - 2 * pad
        if min(result[axis] for axis in axes) < 0:
            raise ValueError(
                f"{type(self).__name__}(kernel_size={self.kernel_size}, stride={self.stride}, "
                f"padding={self.padding}) got an input of shape {shape}: windows that reach over "
                f"spatial size {tuple(result[axis] for axis in axes)} cannot be. Pad less."
            )
        return tuple(result)

    def output_size(self, in_size: Shape) -> Shape:
        """Give the shape of one output, where a call does not ask for another.

        Args:
            in_size: shape of one example. A ``channel_axis`` counted from the front counts the
                batch axis as axis 0, as it does in a batch.

        Raises:
            ValueError: if axes are missing, or nothing but padding would have been pooled.
        """
        return self._unpooled(self._example(in_size))[1:]

    def update(
        self, x: jax.Array, indices: jax.Array, output_size: int | Sequence[int] | None = None
    ) -> jax.Array:
        """Put each entry at its position, zeros elsewhere.

        Args:
            x: the largest entries of the windows, with any number of batch axes.
            indices: their positions in the flattened output, batch and channels included: integers
                in the shape of ``x``. A position beyond the output is left out, a negative one
                counts from its end. Where several entries have one position, one is put there.
            output_size: length of the output along each spatial axis: one integer for all axes or
                one per axis; or the whole shape of the output. None for the smallest output.

        Returns:
            Array of the output's shape, in the dtype of ``x``.

        Raises:
            TypeError: if the positions are no integers, or ``output_size`` is of no such kind.
            ValueError: if shapes do not fit each other or the layer.
        """
        x, indices = as_array(x), as_array(indices)
        if not jnp.issubdtype(indices.dtype, jnp.integer):
            raise TypeError(f"indices must be integers, got an array of {indices.dtype}.")
        if indices.shape != x.shape:
            raise ValueError(
                f"{type(self).__name__} needs one index per entry, got entries of shape {x.shape} "
                f"and indices of shape {indices.shape}."
            )
        shape = self._unpooled(x.shape) if output_size is None else self._asked(x, output_size)
        if any(pad >= size for pad, size in zip(self.padding, self.kernel_size, strict=True)):
            # A window of padding alone holds minus infinity and points at the first entry, which
            # is not its own.
            indices = jnp.where((x == -jnp.inf) & (indices == 0), math.prod(shape), indices)
        empty = jnp.zeros(math.prod(shape), x.dtype)
        return empty.at[indices.reshape(-1)].set(x.reshape(-1), mode="drop").reshape(shape)

    def _asked(self, x: jax.Array, output_size: int | Sequence[int]) -> Shape:
        """Read the shape that a call asks for.

        Raises:
            TypeError: if it is no integer and no sequence of integers.
            ValueError: if it has neither one entry per spatial axis nor one per axis.
        """
        axes = self._axes(x.shape)
        if isinstance(output_size, Sequence) and len(output_size) == x.ndim:
            shape = list(_integers(output_size, x.ndim, "output_size"))
        else:
            shape = list(x.shape)
            lengths = _integers(output_size, len(axes), "output_size")
            for axis, length in zip(axes, lengths, strict=True):
                shape[axis] = length
        if min(shape) < 0:
            raise ValueError(f"output_size must not be negative, got {output_size!r}.")
        return tuple(shape)


def _integers(value: Any, n: int, name: str) -> Shape:
    """Spread an integer over ``n`` axes, or check that there is one for each.

    Raises:
        TypeError: if it is no integer and no sequence of integers.
        ValueError: if there are more or fewer.
    """
    try:
        if not isinstance(value, Sequence):
            return (operator.index(value),) * n
        entries = tuple(map(operator.index, value))
    except TypeError:
        raise TypeError(
            f"{name} must be an integer or a sequence of integers, got {value!r}."
        ) from None
    if len(entries) != n:
        raise ValueError(f"{name} must have {n} entries, got {value!r}.")
    return entries


@final
class MaxUnpool1d(_MaxUnpool):
    """Put the entries that `MaxPool1d` took out of ``(*batch, length, channels)`` back in place.

    The arguments are those of `MaxUnpool2d` with one spatial axis less.

    Example:
        >>> from ._pooling import MaxPool1d
        >>> x = jnp.array([[1.0], [3.0], [2.0], [0.0]])
        >>> MaxUnpool1d(2)(*MaxPool1d(2, return_indices=True)(x))[:, 0].tolist()
        [0.0, 3.0, 2.0, 0.0]
    """

    spatial = 1


@final
class MaxUnpool2d(_MaxUnpool):
    """Put the entries that `MaxPool2d` took out of ``(*batch, height, width, channels)`` back.

    The inverse of a `MaxPool2d` of the same arguments with ``return_indices=True``, as far as there
    is one: entries that were no maximum become 0. Along each spatial axis the output has
    ``(length - 1) * stride + kernel - 2 * padding`` entries, the fewest from which pooling makes
    ``length``; where the pooled input was longer, or its padding was not the same on both sides,
    the call says by ``output_size`` what it was. For any other length the positions would not be
    those of the pooled input.

    Args:
        kernel_size: length of the window, one for all axes or one per axis.
        stride: step of the window, likewise; None for ``kernel_size``.
        padding: entries before and after the data: one integer for all axes or one per axis.
        channel_axis: as for `MaxPool2d`.
        name: a label for the user.
        in_size: shape of one example of the pooled entries, where it is known.

    Raises:
        TypeError: if ``padding`` is no integer and no sequence of integers.
        ValueError: if an argument is malformed, or does not fit ``in_size``.

    Example:
        >>> from ._pooling import MaxPool2d
        >>> pool, unpool = MaxPool2d(2, return_indices=True), MaxUnpool2d(2, in_size=(2, 2, 3))
        >>> unpool.out_size
        (4, 4, 3)
        >>> x = jnp.arange(60.0).reshape(5, 4, 3)
        >>> largest, positions = pool(x)
        >>> y = unpool(largest, positions, output_size=x.shape)
        >>> y.shape, bool(((y == x) | (y == 0)).all())
        ((5, 4, 3), True)
    """

    spatial = 2


@final
class MaxUnpool3d(_MaxUnpool):
    """Put the entries that `MaxPool3d` took out over three spatial axes back in place.

    The arguments are those of `MaxUnpool2d` with one spatial axis more.

    Example:
        >>> from ._pooling import MaxPool3d
        >>> pool = MaxPool3d(2, return_indices=True)
        >>> MaxUnpool3d(2)(*pool(jnp.ones((4, 4, 4, 3)))).shape
        (4, 4, 4, 3)
    """

    spatial = 3
