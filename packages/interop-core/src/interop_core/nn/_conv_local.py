"""Convolution with a kernel of its own at every place, over one, two and three spatial axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

import jax
from jax import lax

from ..state import ParamState, State
from . import init
from ._conv import Conv

__all__ = ["ConvLocal1d", "ConvLocal2d", "ConvLocal3d"]


class _KernelOfAPlace(init.XavierNormal):
    """The variance that the kernel of one place would have alone, however many there are."""

    def variance(self, size: tuple[int, ...]) -> float:
        """Give the variance for a shape, of its last two axes alone."""
        return super().variance(size[-2:])


_KERNEL = _KernelOfAPlace()


class _ConvLocal(Conv):
    """Convolution whose kernels are not shared between the places of the window."""

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Any = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        w_init: Any = _KERNEL,
        b_init: Any = None,
        w_mask: Any = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
        *,
        padding_mode: str = "ZEROS",
        dtype: Any = None,
        precision: Any = None,
    ) -> None:
        super().__init__(
            in_size,
            out_channels,
            kernel_size,
            stride,
            padding,
            lhs_dilation,
            rhs_dilation,
            w_init=w_init,
            b_init=b_init,
            w_mask=w_mask,
            name=name,
            param_type=param_type,
            padding_mode=padding_mode,
            dtype=dtype,
            precision=precision,
        )

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of all kernels: ``(*places, in_channels * entries of a window, out_channels)``."""
        window = self.in_channels * math.prod(self.kernel_size)
        return (*self.out_size[:-1], window, self.out_channels)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the bias: that of one output."""
        return tuple(self.out_size)

    def _convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Take the product of each window with the kernel of its place."""
        n = self.spatial
        x, padded = self._padded(x)
        data = self._data_axes()
        return lax.conv_general_dilated_local(
            x,
            kernel,
            window_strides=self.stride,
            padding=padded,
            filter_shape=self.kernel_size,
            lhs_dilation=self.lhs_dilation,
            rhs_dilation=self.rhs_dilation,
            dimension_numbers=lax.ConvDimensionNumbers(data, (n + 1, n, *range(n)), data),
            precision=self.precision,
        )


@final
class ConvLocal1d(_ConvLocal):
    """Convolution with a kernel of its own at every place: shape ``(length, channels)``.

    ``y[t, o] = b[t, o] + sum over (i, k) of x[t', i] * W[t, (i, k), o]``, where
    ``t' = t * stride + k * rhs_dilation - before``.

    The arguments are those of `ConvLocal2d` with one spatial axis less; two integers as ``padding``
    are one (before, after) pair.

    Example:
        >>> layer = ConvLocal1d((8, 3), 4, 3, padding="VALID")
        >>> layer.weight.value["weight"].shape, layer.out_size
        ((6, 9, 4), (6, 4))
        >>> layer(jax.numpy.ones((2, 8, 3))).shape
        (2, 6, 4)
    """

    spatial = 1


@final
class ConvLocal2d(_ConvLocal):
    """Convolution over two spatial axes with a kernel of its own at every place of the window.

    What `Conv2d` computes, with kernels that are not shared: ``y[s, t, o] = b[s, t, o] + sum over
    (i, k, l) of x[s', t', i] * W[s, t, (i, k, l), o]``, where ``s' = s * stride + k * rhs_dilation
    - before`` and ``t'`` likewise. It is known as a locally connected layer, too.

    The state ``weight`` holds ``{"weight": W, "bias": b}``, without ``"bias"`` where ``b_init`` is
    None. ``W`` has shape ``(*places, in_channels * height * width, out_channels)`` for a window of
    ``height * width`` entries: the axis before the last counts channel by channel through the
    window, row by row. ``b`` has the shape ``out_size``, a number for each entry of the output.

    Args:
        in_size: shape of one example: spatial lengths, and the number of channels behind them.
            Inputs must have it.
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one per axis.
        stride: step of the window, likewise.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, an integer, integers or pairs, as for
            `Conv2d`.
        lhs_dilation: step between the entries of the input, with zeros in between.
        rhs_dilation: step between the entries of the window.
        w_init: initializer of ``W``: a callable of the shape, or the array itself. By default the
            kernel of each place is drawn as that of a dense layer on one window.
        b_init: the same for ``b``; None for no bias.
        w_mask: factor on ``W`` in every call: an array that broadcasts to its shape, a number, or a
            callable of the shape.
        name: a label for the user.
        param_type: the state type that holds the parameters.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``, as for `Conv2d`.
        dtype: what input and parameters are cast to before computing. None: as `jax.numpy` promotes
            them.
        precision: precision of the products, as in `jax.lax.conv_general_dilated_local`.

    Raises:
        ValueError: if the arguments do not fit each other, or the window does not fit the input.

    Example:
        >>> layer = ConvLocal2d((8, 6, 3), 4, 3, stride=2, b_init=init.ZeroInit())
        >>> {name: array.shape for name, array in layer.weight.value.items()}
        {'weight': (4, 3, 27, 4), 'bias': (4, 3, 4)}
        >>> layer(jax.numpy.ones((2, 8, 6, 3))).shape
        (2, 4, 3, 4)
    """

    spatial = 2


@final
class ConvLocal3d(_ConvLocal):
    """Convolution over three spatial axes with a kernel of its own at every place of the window.

    The arguments are those of `ConvLocal2d` with one spatial axis more.

    Example:
        >>> layer = ConvLocal3d((4, 4, 4, 3), 2, (1, 3, 3))
        >>> layer.weight.value["weight"].shape, layer.out_size
        ((4, 4, 4, 27, 2), (4, 4, 4, 2))
    """

    spatial = 3
