"""Convolution over one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import jax
from jax import lax
from jax import numpy as jnp

from ..state import ParamState, State
from . import init
from ._conv_base import BaseConv
from ._window import Pads, pads, per_axis

__all__ = ["Conv", "Conv1d", "Conv2d", "Conv3d"]

_KERNEL = init.XavierNormal()
_MODES = {"ZEROS": "constant", "REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}


class Conv(BaseConv):
    """Convolution: a window that moves over the input; see `Conv2d`."""

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Any = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        groups: int = 1,
        w_init: Any = _KERNEL,
        b_init: Any = None,
        w_mask: Any = None,
        channel_first: bool = False,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
        *,
        padding_mode: str = "ZEROS",
        dtype: Any = None,
        precision: Any = None,
    ) -> None:
        self.lhs_dilation = per_axis(lhs_dilation, self.spatial, "lhs_dilation")
        self.padding_mode = str(padding_mode).upper()
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

    def _check_padding(self) -> None:
        """Refuse paddings that have no meaning together with the other arguments."""
        if self.padding_mode not in _MODES:
            raise ValueError(
                f"padding_mode must be one of {tuple(_MODES)}, got {self.padding_mode!r}."
            )
        dilated = self.lhs_dilation != (1,) * self.spatial
        if dilated and isinstance(self.padding, str):
            raise ValueError(
                f"padding={self.padding!r} has no meaning for a dilated input (lhs_dilation="
                f"{self.lhs_dilation}): give (before, after) pairs."
            )
        if self.padding_mode == "ZEROS":
            return
        if dilated:
            raise ValueError(f"padding_mode={self.padding_mode!r} needs lhs_dilation=1.")
        if not isinstance(self.padding, str) and any(side < 0 for p in self.padding for side in p):
            raise ValueError(f"padding_mode={self.padding_mode!r} cannot crop: {self.padding}.")

    def _geometry(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Pads]:
        """Give lengths of input and window, dilations included, the window's steps, the padding."""
        lengths = tuple(
            (length - 1) * step + 1 if length else 0
            for length, step in zip(self._spatial_lengths(), self.lhs_dilation, strict=True)
        )
        window = tuple(
            (size - 1) * step + 1
            for size, step in zip(self.kernel_size, self.rhs_dilation, strict=True)
        )
        return lengths, window, self.stride, pads(self.padding, lengths, window, self.stride)

    def _convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Convolve a batch with a kernel of the same dtype."""
        n = self.spatial
        x, padded = self._padded(x)
        data = self._data_axes()
        return lax.conv_general_dilated(
            x,
            kernel,
            window_strides=self.stride,
            padding=padded,
            lhs_dilation=self.lhs_dilation,
            rhs_dilation=self.rhs_dilation,
            dimension_numbers=lax.ConvDimensionNumbers(data, (n + 1, n, *range(n)), data),
            feature_group_count=self.groups,
            precision=self.precision,
        )

    def _padded(self, x: jax.Array) -> tuple[jax.Array, Pads]:
        """Pad a batch with what is no zero; give the zeros that are still to be put around it."""
        padded = self._geometry()[-1]
        if self.padding_mode == "ZEROS":
            return x, padded
        x = jnp.pad(x, self._around(padded), mode=_MODES[self.padding_mode])
        return x, ((0, 0),) * self.spatial

    def _around(self, padded: Pads) -> Pads:
        """Put unpadded batch and channel axes around the spatial ones."""
        none = ((0, 0),)
        return 2 * none + padded if self.channel_first else none + padded + none


@final
class Conv1d(Conv):
    """Convolution over one spatial axis: shape ``(length, channels)``, alone or in a batch.

    ``y[t, o] = b[o] + sum over (k, i) of x[t', i] * W[k, i, o]``, where
    ``t' = t * stride + k * rhs_dilation - before``.

    The arguments are those of `Conv2d` with one spatial axis less; two integers as ``padding`` are
    one (before, after) pair.

    Example:
        >>> layer = Conv1d((8, 3), 4, 3, padding="VALID")
        >>> layer.weight.value["weight"].shape, layer.out_size
        ((3, 3, 4), (6, 4))
        >>> layer(jnp.ones((2, 8, 3))).shape
        (2, 6, 4)
    """

    spatial = 1


@final
class Conv2d(Conv):
    """Convolution over two spatial axes: shape ``(height, width, channels)``, alone or in a batch.

    ``y[s, t, o] = b[o] + sum over (k, l, i) of x[s', t', i] * W[k, l, i, o]``, where
    ``s' = s * stride + k * rhs_dilation - before`` and ``t'`` likewise. As everywhere in deep
    learning the kernel is not flipped.

    The state ``weight`` holds ``{"weight": W, "bias": b}``, without ``"bias"`` where ``b_init`` is
    None. ``W`` has shape ``(*kernel_size, in_channels // groups, out_channels)`` whether or not the
    channels come first; ``b`` has ``(1, 1, out_channels)``, or ``(1, out_channels, 1, 1)`` where
    they do.

    Args:
        in_size: shape of one example: spatial lengths and number of channels, in the order of the
            data. Inputs must have it.
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one per axis.
        stride: step of the window, likewise.
        padding: ``"SAME"`` (``ceil(length / stride)`` outputs), ``"SAME_LOWER"`` (the same, an odd
            element in front), ``"VALID"`` (none), an integer for both sides of every axis, one
            integer per axis, or (before, after) pairs. Reads back as an upper-case name or pairs.
        lhs_dilation: step between the entries of the input, with zeros in between.
        rhs_dilation: step between the entries of the kernel.
        groups: number of groups of channels that are convolved apart from each other.
        w_init: initializer of ``W``: a callable of the shape, or the array itself.
        b_init: the same for ``b``; None for no bias.
        w_mask: factor on ``W`` in every call: an array that broadcasts to its shape, a number, or a
            callable of the shape.
        channel_first: whether the channels stand in front of the spatial axes.
        name: a label for the user.
        param_type: the state type that holds the parameters.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"`` (the mirror image without
            the edge), ``"REPLICATE"`` (the edge) or ``"CIRCULAR"`` (the opposite end).
        dtype: what input and parameters are cast to before computing. None: as `jax.numpy` promotes
            them.
        precision: precision of the products, as in `jax.lax.conv_general_dilated`.

    Raises:
        ValueError: if the arguments do not fit each other, or the window does not fit the input.

    Example:
        >>> layer = Conv2d((8, 8, 3), 4, 3, stride=2, padding=1)
        >>> layer.padding, layer.out_size
        (((1, 1), (1, 1)), (4, 4, 4))
        >>> layer(jnp.ones((8, 8, 3))).shape, layer(jnp.ones((2, 8, 8, 3))).shape
        ((4, 4, 4), (2, 4, 4, 4))
    """

    spatial = 2


@final
class Conv3d(Conv):
    """Convolution over three spatial axes: ``(depth, height, width, channels)``, alone or batched.

    The arguments are those of `Conv2d` with one spatial axis more.

    Example:
        >>> layer = Conv3d((4, 4, 4, 3), 2, (1, 3, 3), channel_first=False)
        >>> layer.weight.value["weight"].shape, layer.out_size
        ((1, 3, 3, 3, 2), (4, 4, 4, 2))
    """

    spatial = 3
