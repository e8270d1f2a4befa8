"""Convolutions with a standardised kernel, or with any padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen
from jax import lax

from ._linear import KERNEL, ONES, ZEROS, standardised

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ScaledWSConv1d",
    "ScaledWSConv2d",
    "ScaledWSConv3d",
]

Sizes = int | Sequence[int]
_MODES = {"ZEROS": "constant", "REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}


def per_axis(entry: Sizes, axes: int) -> tuple[int, ...]:
    """An entry for each spatial axis."""
    return (entry,) * axes if isinstance(entry, int) else tuple(entry)


def windows(layer: Any, x: Any) -> tuple[Any, dict[str, Any]]:
    """Pad a batch with what is no zero; say how the window of a layer moves over it.

    Raises:
        ValueError: if there is no padding mode of the layer's name.
    """
    if layer.padding_mode not in _MODES:
        raise ValueError(
            f"padding_mode must be one of {tuple(_MODES)}, got {layer.padding_mode!r}."
        )
    n: int = layer.axes
    stride, dilation = per_axis(layer.stride, n), per_axis(layer.rhs_dilation, n)
    padding: Any = layer.padding
    if isinstance(padding, int):
        padding = ((padding, padding),) * n
    elif not isinstance(padding, str):
        padding = tuple(map(tuple, padding))
    if layer.padding_mode != "ZEROS":
        if isinstance(padding, str):
            size = per_axis(layer.kernel_size, n)
            window = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
            padding = lax.padtype_to_pads(x.shape[1:-1], window, stride, padding)
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)), mode=_MODES[layer.padding_mode])
        padding = ((0, 0),) * n
    data = (0, n + 1, *range(1, n + 1))
    return x, {
        "window_strides": stride,
        "padding": padding,
        "lhs_dilation": per_axis(layer.lhs_dilation, n),
        "rhs_dilation": dilation,
        "dimension_numbers": lax.ConvDimensionNumbers(data, (n + 1, n, *range(n)), data),
    }


class _Conv(linen.Module):
    """A convolution over a number of spatial axes, channels last."""

    axes: ClassVar[int]

    out_channels: int
    kernel_size: Sizes
    stride: Sizes = 1
    padding: str | Sequence[tuple[int, int]] | int = "SAME"
    lhs_dilation: Sizes = 1
    rhs_dilation: Sizes = 1
    groups: int = 1
    w_mask: Any = None
    padding_mode: str = "ZEROS"
    use_bias: bool = False
    dtype: Any = None
    precision: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Any = KERNEL
    bias_init: Any = ZEROS

    @linen.nowrap
    def _kernel(self, shape: tuple[int, ...]) -> Any:
        return self.param("kernel", self.kernel_init, shape, self.param_dtype)

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Convolve an array ``(..., *spatial, channels)``.

        Raises:
            ValueError: if the input has too few axes, or there is no padding mode of a name.
        """
        x, n = jnp.asarray(inputs), self.axes
        if x.ndim < n + 1:
            raise ValueError(
                f"{type(self).__name__} takes {n} axes and channels behind them, got shape "
                f"{x.shape}."
            )
        size = per_axis(self.kernel_size, n)
        kernel = self._kernel((*size, x.shape[-1] // self.groups, self.out_channels))
        kernel = kernel if self.w_mask is None else kernel * self.w_mask
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.out_channels,), self.param_dtype)
        dtype = self.dtype
        if dtype is None:
            dtype = jnp.promote_types(x.dtype, kernel.dtype)
        elif bias is not None:
            bias = bias.astype(dtype)
        leading, example = x.shape[: -n - 1], x.shape[-n - 1 :]
        batch, moves = windows(self, x.reshape(math.prod(leading), *example).astype(dtype))
        y = lax.conv_general_dilated(
            batch,
            kernel.astype(dtype),
            feature_group_count=self.groups,
            precision=self.precision,
            **moves,
        )
        y = y if bias is None else y + bias
        return y.reshape(*leading, *y.shape[1:])


class _ScaledWSConv(_Conv):
    """A convolution whose kernel is standardised for each output channel in every call."""

    ws_gain: bool = True
    eps: float = 1e-4
    scale_init: Any = ONES

    @linen.nowrap
    def _kernel(self, shape: tuple[int, ...]) -> Any:
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        gain = None
        if self.ws_gain:
            gain = self.param("gain", self.scale_init, shape[-1:], self.param_dtype)
        return standardised(kernel, self.eps, gain)


class Conv1d(_Conv):
    """A convolution over ``(..., length, channels)``, padded in any way.

    The attributes are those of `Conv2d`, with one axis less.

    Example:
        >>> import jax
        >>> y, _ = Conv1d(4, 3).init_with_output(jax.random.key(0), jnp.ones((8, 3)))
        >>> y.shape
        (8, 4)
    """

    axes = 1


class Conv2d(_Conv):
    """A convolution over ``(..., height, width, channels)``, padded in any way.

    The kernel has the shape ``(height, width, channels // groups, out_channels)``.

    Attributes:
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, pairs (before, after), or one integer.
        lhs_dilation: step between the entries of the input.
        rhs_dilation: step between the entries of the kernel.
        groups: number of groups of channels.
        w_mask: factor on the kernel: an array that broadcasts to its shape, or a number.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``.
        use_bias: whether there is a bias.
        dtype: what input, kernel and bias are cast to; ``None`` for what `jax.numpy` promotes them
            to.
        precision: precision of the products.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.

    Example:
        >>> import jax
        >>> y, _ = Conv2d(4, 3).init_with_output(jax.random.key(0), jnp.ones((8, 8, 3)))
        >>> y.shape
        (8, 8, 4)
    """

    axes = 2


class Conv3d(_Conv):
    """A convolution over ``(..., depth, height, width, channels)``, padded in any way.

    The attributes are those of `Conv2d`, with one axis more.

    Example:
        >>> import jax
        >>> y, _ = Conv3d(4, 3).init_with_output(jax.random.key(0), jnp.ones((4, 4, 4, 3)))
        >>> y.shape
        (4, 4, 4, 4)
    """

    axes = 3


class ScaledWSConv1d(_ScaledWSConv):
    """A convolution over ``(..., length, channels)`` with a standardised kernel.

    The attributes are those of `ScaledWSConv2d`, with one axis less.

    Example:
        >>> import jax
        >>> y, _ = ScaledWSConv1d(4, 3).init_with_output(jax.random.key(0), jnp.ones((8, 3)))
        >>> y.shape
        (8, 4)
    """

    axes = 1


class ScaledWSConv2d(_ScaledWSConv):
    """A convolution over ``(..., height, width, channels)`` with a standardised kernel.

    The kernel of a call is ``(W - mean) / sqrt(max(n * var, eps)) * gain``, with mean and variance
    of the ``n`` entries that belong to one output channel.

    Attributes:
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, pairs (before, after), or one integer.
        lhs_dilation: step between the entries of the input.
        rhs_dilation: step between the entries of the kernel.
        groups: number of groups of channels.
        w_mask: factor on the standardised kernel: an array that broadcasts to its shape, or a
            number.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``.
        use_bias: whether there is a bias.
        dtype: what input, kernel and bias are cast to; ``None`` for what `jax.numpy` promotes them
            to.
        precision: precision of the products.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        ws_gain: whether there is a gain, one number for each output channel.
        eps: lower bound of ``n * var``.
        scale_init: initializer of the gain.

    Example:
        >>> import jax
        >>> y, _ = ScaledWSConv2d(4, 3).init_with_output(jax.random.key(0), jnp.ones((8, 8, 3)))
        >>> y.shape
        (8, 8, 4)
    """

    axes = 2


class ScaledWSConv3d(_ScaledWSConv):
    """A convolution over ``(..., depth, height, width, channels)`` with a standardised kernel.

    The attributes are those of `ScaledWSConv2d`, with one axis more.

    Example:
        >>> import jax
        >>> y, _ = ScaledWSConv3d(4, 3).init_with_output(jax.random.key(0), jnp.ones((4, 4, 4, 3)))
        >>> y.shape
        (4, 4, 4, 4)
    """

    axes = 3
