"""Transposed convolution over one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import jax
from jax import lax

from ..state import ParamState, State
from . import init
from ._conv_base import BaseConv
from ._window import Pads

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_KERNEL = init.XavierNormal()


class _ConvTranspose(BaseConv):
    """Transposed convolution: the input with zeros in between, and a window that is flipped."""

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Any = "SAME",
        rhs_dilation: int | Sequence[int] = 1,
        groups: int = 1,
        w_init: Any = _KERNEL,
        b_init: Any = None,
        w_mask: Any = None,
        channel_first: bool = False,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
        *,
        dtype: Any = None,
        precision: Any = None,
    ) -> None:
        super().__init__(
            in_size,
            out_channels,
            kernel_size,
            stride,
            padding,
            rhs_dilation,
            groups,
            w_init,
            b_init,
            w_mask,
            channel_first,
            name,
            param_type,
            dtype,
            precision,
        )

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel: ``(*kernel_size, out_channels, in_channels // groups)``."""
        return (*self.kernel_size, self.out_channels, self.in_channels // self.groups)

    def _check_padding(self) -> None:
        """Refuse the name of a padding that only convolutions have."""
        if self.padding == "SAME_LOWER":
            raise ValueError(
                f"{type(self).__name__} takes the paddings 'SAME' and 'VALID', integers, and "
                "(before, after) pairs; 'SAME_LOWER' is for convolutions."
            )

    def _geometry(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Pads]:
        """Give lengths of input and window, dilations included, the window's steps, the padding."""
        lengths = tuple(
            (length - 1) * step + 1 if length else 0
            for length, step in zip(self._spatial_lengths(), self.stride, strict=True)
        )
        window = tuple(
            (size - 1) * step + 1
            for size, step in zip(self.kernel_size, self.rhs_dilation, strict=True)
        )
        if isinstance(self.padding, str):
            padded = tuple(map(self._named_pads, window, self.stride))
        else:
            padded = self.padding
        return lengths, window, (1,) * self.spatial, padded

    def _named_pads(self, window: int, stride: int) -> tuple[int, int]:
        """Resolve a named padding along one axis, around the input with its zeros in between.

        ``window - 1`` before the input lets the first copy be there as a whole, ``stride - 1``
        behind it makes ``length * stride`` outputs of it.
        """
        beyond = max(window - stride, 0)
        if self.padding == "VALID":
            return window - 1, stride - 1 + beyond
        return window - 1 - beyond // 2, stride - 1 + beyond // 2

    def _convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Convolve a batch with a kernel of the same dtype."""
        n = self.spatial
        data = self._data_axes()
        return lax.conv_general_dilated(
            x,
            lax.rev(kernel, tuple(range(n))),
            window_strides=(1,) * n,
            padding=self._geometry()[-1],
            lhs_dilation=self.stride,
            rhs_dilation=self.rhs_dilation,
            dimension_numbers=lax.ConvDimensionNumbers(data, (n, n + 1, *range(n)), data),
            feature_group_count=self.groups,
            precision=self.precision,
        )


@final
class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one spatial axis: ``(length, channels)``, alone or in a batch.

    The arguments are those of `ConvTranspose2d` with one spatial axis less; two integers as
    ``padding`` are one (before, after) pair.

    Example:
        >>> layer = ConvTranspose1d(
        ...     (2, 1), 1, 3, 3, "VALID", w_init=jax.numpy.array([[[1.0]], [[2.0]], [[3.0]]])
        ... )
        >>> layer(jax.numpy.array([[1.0], [10.0]]))[:, 0].tolist()
        [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]
    """

    spatial = 1


@final
class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over two spatial axes: ``(height, width, channels)``.

    Every input entry puts a copy of the kernel, times its value, into the output; the copies of
    neighbours are ``stride`` apart and add up where they overlap. ``y[s', t', o]`` is ``b[o]`` and
    the sum of ``x[s, t, i] * W[k, l, o, i]`` over all ``i`` and all ``s, k, t, l`` with ``s' = s *
    stride + k * rhs_dilation - crop``, and ``t'`` likewise.

    This is the gradient of a convolution with the same kernel with respect to its input, and what
    ``jax.lax.conv_transpose`` computes with ``transpose_kernel=True``.

    The state ``weight`` holds ``{"weight": W, "bias": b}``, without ``"bias"`` where ``b_init`` is
    None. ``W`` has shape ``(*kernel_size, out_channels, in_channels // groups)`` whether or not the
    channels come first; ``b`` has ``(1, 1, out_channels)``, or ``(1, out_channels, 1, 1)`` where
    they do.

    Args:
        in_size: shape of one example: spatial lengths and number of channels, in the order of the
            data. Inputs must have it.
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one per axis.
        stride: distance of the copies, likewise.
        padding: ``"SAME"`` (``length * stride`` outputs; what is beyond them is cut in equal parts,
            an odd entry at the end), ``"VALID"`` (``length * stride + max(window - stride, 0)``
            outputs, nothing is cut), or numbers: an integer for both sides of every axis, one
            integer per axis, or (before, after) pairs. Numbers are added to the input with its
            zeros in between, so larger ones make a *larger* output, of ``(length - 1) * stride + 2
            + before + after - window`` entries; ``crop`` is ``window - 1 - before``. Reads back as
            an upper-case name or pairs.
        rhs_dilation: step between the entries of the kernel. The window is then ``(kernel_size - 1)
            * rhs_dilation + 1`` long.
        groups: number of groups of channels that are convolved apart from each other.
        w_init: initializer of ``W``: a callable of the shape, or the array itself.
        b_init: the same for ``b``; None for no bias.
        w_mask: factor on ``W`` in every call: an array that broadcasts to its shape, a number, or a
            callable of the shape.
        channel_first: whether the channels stand in front of the spatial axes.
        name: a label for the user.
        param_type: the state type that holds the parameters.
        dtype: what input and parameters are cast to before computing. None: as `jax.numpy` promotes
            them.
        precision: precision of the products, as in `jax.lax.conv_general_dilated`.

    Raises:
        ValueError: if the arguments do not fit each other, or no output is left.

    Example:
        >>> layer = ConvTranspose2d((4, 4, 3), 2, 3, stride=2)
        >>> layer.weight.value["weight"].shape, layer.out_size
        ((3, 3, 2, 3), (8, 8, 2))
        >>> layer(jax.numpy.ones((4, 4, 3))).shape, layer(jax.numpy.ones((5, 4, 4, 3))).shape
        ((8, 8, 2), (5, 8, 8, 2))
    """

    spatial = 2


@final
class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over three spatial axes: ``(depth, height, width, channels)``.

    The arguments are those of `ConvTranspose2d` with one spatial axis more.

    Example:
        >>> layer = ConvTranspose3d((2, 2, 2, 3), 2, (1, 3, 3), (1, 2, 2))
        >>> layer.weight.value["weight"].shape, layer.out_size
        ((1, 3, 3, 2, 3), (2, 4, 4, 2))
    """

    spatial = 3
