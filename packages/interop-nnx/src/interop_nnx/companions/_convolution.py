"""Companions that convolve: with a standardised kernel, or with any padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jax import lax

from ._linear import KERNEL, ONES, ZEROS, parameter, standardised, value

Pads = tuple[tuple[int, int], ...]
_MODES = {"ZEROS": "constant", "REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}


def per_axis(entry: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """An entry for each spatial axis."""
    return (entry,) * axes if isinstance(entry, int) else tuple(entry)


def pads_of(padding: str | Sequence[Sequence[int]]) -> str | Pads:
    """A padding by name, or one pair for each spatial axis."""
    if isinstance(padding, str):
        return padding
    return tuple((before, after) for before, after in padding)


def mode_of(padding_mode: str) -> str:
    """A padding mode.

    Raises:
        ValueError: if there is none of this name.
    """
    if padding_mode not in _MODES:
        raise ValueError(f"padding_mode must be one of {tuple(_MODES)}, got {padding_mode!r}.")
    return padding_mode


def windows(layer: Any, x: Any) -> tuple[Any, dict[str, Any]]:
    """Pad a batch with what is no zero; say how the window of a layer moves over it."""
    n: int = layer.axes
    padding: Any = layer.padding
    if layer.padding_mode != "ZEROS":
        if isinstance(padding, str):
            sizes = zip(layer.kernel_size, layer.rhs_dilation, strict=True)
            lengths = [(size - 1) * step + 1 for size, step in sizes]
            padding = lax.padtype_to_pads(x.shape[1:-1], lengths, layer.stride, padding)
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)), mode=_MODES[layer.padding_mode])
        padding = ((0, 0),) * n
    data = (0, n + 1, *range(1, n + 1))
    return x, {
        "window_strides": layer.stride,
        "padding": padding,
        "lhs_dilation": layer.lhs_dilation,
        "rhs_dilation": layer.rhs_dilation,
        "dimension_numbers": lax.ConvDimensionNumbers(data, (n + 1, n, *range(n)), data),
    }


class _Conv(nnx.Module):
    """A convolution over a number of spatial axes, channels last."""

    axes: ClassVar[int]

    def __init__(
        self,
        in_features: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        groups: int = 1,
        *,
        w_mask: Any = None,
        padding_mode: str = "ZEROS",
        use_bias: bool = False,
        dtype: Any = None,
        precision: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        n = self.axes
        self.in_features, self.out_channels = in_features, out_channels
        self.kernel_size, self.stride = per_axis(kernel_size, n), per_axis(stride, n)
        self.padding, self.padding_mode = pads_of(padding), mode_of(padding_mode)
        self.lhs_dilation, self.rhs_dilation = per_axis(lhs_dilation, n), per_axis(rhs_dilation, n)
        self.groups, self.w_mask = groups, w_mask
        self.use_bias, self.dtype, self.precision = use_bias, dtype, precision
        shape = (*self.kernel_size, in_features // groups, out_channels)
        self.kernel = parameter(kernel_init, rngs, shape, param_dtype)
        self.bias = parameter(bias_init, rngs, shape[-1:], param_dtype) if use_bias else None

    def _kernel(self) -> Any:
        return value(self.kernel)

    def __call__(self, x: Any) -> Any:
        """Convolve an array ``(..., *spatial, in_features)``.

        Raises:
            ValueError: if the input has too few axes, or another number of channels.
        """
        x, n = jnp.asarray(x), self.axes
        if x.ndim < n + 1 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"{type(self).__name__} takes {n} axes and {self.in_features} channels behind "
                f"them, got shape {x.shape}."
            )
        kernel, bias = self._kernel(), value(self.bias)
        kernel = kernel if self.w_mask is None else kernel * self.w_mask
        dtype = self.dtype
        if dtype is not None:
            bias = None if bias is None else bias.astype(dtype)
        else:
            dtype = jnp.promote_types(x.dtype, kernel.dtype)
        x, kernel = x.astype(dtype), kernel.astype(dtype)
        leading, example = x.shape[: -n - 1], x.shape[-n - 1 :]
        padded, moves = windows(self, x.reshape(math.prod(leading), *example))
        y = lax.conv_general_dilated(
            padded,
            kernel,
            feature_group_count=self.groups,
            precision=self.precision,
            **moves,
        )
        y = y if bias is None else y + bias
        return y.reshape(*leading, *y.shape[1:])


class _ScaledWSConv(_Conv):
    """A convolution whose kernel is standardised for each output channel in every call."""

    def __init__(
        self,
        in_features: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        groups: int = 1,
        ws_gain: bool = True,
        eps: float = 1e-4,
        *,
        w_mask: Any = None,
        padding_mode: str = "ZEROS",
        use_bias: bool = False,
        dtype: Any = None,
        precision: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        bias_init: Any = ZEROS,
        gain_init: Any = ONES,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(
            in_features,
            out_channels,
            kernel_size,
            stride,
            padding,
            lhs_dilation,
            rhs_dilation,
            groups,
            w_mask=w_mask,
            padding_mode=padding_mode,
            use_bias=use_bias,
            dtype=dtype,
            precision=precision,
            param_dtype=param_dtype,
            kernel_init=kernel_init,
            bias_init=bias_init,
            rngs=rngs,
        )
        self.ws_gain, self.eps = ws_gain, eps
        self.gain = parameter(gain_init, rngs, (out_channels,), param_dtype) if ws_gain else None

    def _kernel(self) -> Any:
        return standardised(value(self.kernel), self.eps, value(self.gain))


class Conv1d(_Conv):
    """A convolution over ``(..., length, channels)`` with any padding.

    The arguments are those of `Conv2d` with one axis less.

    Example:
        >>> layer = Conv1d(3, 4, 3, padding=((2, 0),), padding_mode="REPLICATE", rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((8, 3))).shape
        (8, 4)
    """

    axes = 1


class Conv2d(_Conv):
    """A convolution over ``(..., height, width, channels)`` with any padding.

    Args:
        in_features: number of input channels.
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, or pairs (before, after).
        lhs_dilation: step between the entries of the input, with zeros in between.
        rhs_dilation: step between the entries of the kernel.
        groups: number of groups of channels.
        w_mask: factor on the kernel: an array that broadcasts to its shape, or a number.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``.
        use_bias: whether there is a bias.
        dtype: what input and parameters are cast to; ``None`` for what `jax.numpy` promotes them
            to.
        precision: precision of the products.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        rngs: what the parameters are drawn from.

    Raises:
        ValueError: if there is no such ``padding_mode``.

    Example:
        >>> layer = Conv2d(3, 4, 3, padding_mode="REPLICATE", rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((2, 8, 8, 3))).shape
        (2, 8, 8, 4)
    """

    axes = 2


class Conv3d(_Conv):
    """A convolution over ``(..., depth, height, width, channels)`` with any padding.

    The arguments are those of `Conv2d` with one axis more.

    Example:
        >>> layer = Conv3d(3, 4, 2, padding_mode="REPLICATE", rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((4, 4, 4, 3))).shape
        (4, 4, 4, 4)
    """

    axes = 3


class ScaledWSConv1d(_ScaledWSConv):
    """A convolution over ``(..., length, channels)`` with a standardised kernel.

    The arguments are those of `ScaledWSConv2d` with one axis less.

    Example:
        >>> ScaledWSConv1d(3, 4, 3, rngs=nnx.Rngs(0))(jnp.ones((8, 3))).shape
        (8, 4)
    """

    axes = 1


class ScaledWSConv2d(_ScaledWSConv):
    """A convolution over ``(..., height, width, channels)`` with a standardised kernel.

    It convolves with ``(W - mean) / sqrt(max(n * var, eps)) * gain``, mean and variance over the
    ``n`` entries that belong to one output channel.

    Args:
        in_features: number of input channels; as for `Conv2d`, like all that is not named here.
        out_channels: number of output channels.
        kernel_size: length of the window.
        stride: step of the window.
        padding: what is put around the input.
        lhs_dilation: step between the entries of the input.
        rhs_dilation: step between the entries of the kernel.
        groups: number of groups of channels.
        ws_gain: whether there is a gain, one number for each output channel.
        eps: lower bound of ``n * var``.
        w_mask: factor on the standardised kernel.
        padding_mode: what the padding holds.
        use_bias: whether there is a bias.
        dtype: what input and standardised kernel are cast to.
        precision: precision of the products.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        gain_init: initializer of the gain.
        rngs: what the parameters are drawn from.

    Example:
        >>> ScaledWSConv2d(3, 4, 3, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 3))).shape
        (2, 8, 8, 4)
    """

    axes = 2


class ScaledWSConv3d(_ScaledWSConv):
    """A convolution over ``(..., depth, height, width, channels)`` with a standardised kernel.

    The arguments are those of `ScaledWSConv2d` with one axis more.

    Example:
        >>> ScaledWSConv3d(3, 4, 2, rngs=nnx.Rngs(0))(jnp.ones((4, 4, 4, 3))).shape
        (4, 4, 4, 4)
    """

    axes = 3
