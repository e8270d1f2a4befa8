"""Companions that convolve with a kernel of its own at every place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from ._convolution import mode_of, pads_of, per_axis, windows
from ._linear import ZEROS, parameter, value


def _kernel_of_a_place(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    """Normal numbers of the variance that the kernel of one place would have alone."""
    deviation = math.sqrt(2 / max(sum(shape[-2:]), 1))
    return deviation * jax.random.normal(key, shape, dtype)


class _ConvLocal(nnx.Module):
    """A convolution over a number of spatial axes, channels last, that shares no kernel."""

    axes: ClassVar[int]

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        *,
        w_mask: Any = None,
        padding_mode: str = "ZEROS",
        use_bias: bool = False,
        dtype: Any = None,
        precision: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = _kernel_of_a_place,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        n = self.axes
        self.in_size, self.out_channels = tuple(in_size), out_channels
        self.kernel_size, self.stride = per_axis(kernel_size, n), per_axis(stride, n)
        self.padding, self.padding_mode = pads_of(padding), mode_of(padding_mode)
        self.lhs_dilation, self.rhs_dilation = per_axis(lhs_dilation, n), per_axis(rhs_dilation, n)
        self.w_mask, self.use_bias = w_mask, use_bias
        self.dtype, self.precision = dtype, precision

        def patches(x: Any) -> Any:
            padded, moves = windows(self, x)
            return lax.conv_general_dilated_patches(padded, filter_shape=self.kernel_size, **moves)

        example = jax.ShapeDtypeStruct((1, *self.in_size), jnp.float32)
        *places, entries = jax.eval_shape(patches, example).shape[1:]
        shape = (*places, entries, out_channels)
        self.kernel = parameter(kernel_init, rngs, shape, param_dtype)
        bias = (*places, out_channels)
        self.bias = parameter(bias_init, rngs, bias, param_dtype) if use_bias else None

    def __call__(self, x: Any) -> Any:
        """Convolve an array ``(..., *in_size)``.

        Raises:
            ValueError: if the examples have another size.
        """
        x, axes = jnp.asarray(x), self.axes + 1
        if x.shape[-axes:] != self.in_size:
            raise ValueError(
                f"{type(self).__name__} takes examples of shape {self.in_size}, got {x.shape}."
            )
        kernel, bias, dtype = value(self.kernel), value(self.bias), self.dtype
        kernel = kernel if self.w_mask is None else kernel * self.w_mask
        if dtype is None:
            dtype = jnp.promote_types(x.dtype, kernel.dtype)
        elif bias is not None:
            bias = bias.astype(dtype)
        leading = x.shape[:-axes]
        batch = x.reshape(math.prod(leading), *self.in_size).astype(dtype)
        padded, moves = windows(self, batch)
        y = lax.conv_general_dilated_local(
            padded,
            kernel.astype(dtype),
            filter_shape=self.kernel_size,
            precision=self.precision,
            **moves,
        )
        y = y if bias is None else y + bias
        return y.reshape(*leading, *y.shape[1:])


class ConvLocal1d(_ConvLocal):
    """A convolution over ``(..., length, channels)``, with a kernel for each place.

    The arguments are those of `ConvLocal2d` with one axis less.

    Example:
        >>> layer = ConvLocal1d((8, 3), 4, 3, padding="VALID", rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((8, 3))).shape, layer.kernel.shape
        ((6, 4), (6, 9, 4))
    """

    axes = 1


class ConvLocal2d(_ConvLocal):
    """A convolution over ``(..., height, width, channels)``, with a kernel for each place.

    The kernel has the shape ``(*places, in_channels * entries of the window, out_channels)``, its
    middle axis channel by channel; the bias has a number for each entry of an output.

    Args:
        in_size: shape of one example: height, width and number of channels.
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, or pairs (before, after).
        lhs_dilation: step between the entries of the input, with zeros in between.
        rhs_dilation: step between the entries of the window.
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
        >>> layer = ConvLocal2d((8, 6, 3), 4, 3, stride=2, use_bias=True, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((2, 8, 6, 3))).shape, layer.bias.shape
        ((2, 4, 3, 4), (4, 3, 4))
    """

    axes = 2


class ConvLocal3d(_ConvLocal):
    """A convolution over ``(..., depth, height, width, channels)``, with a kernel for each place.

    The arguments are those of `ConvLocal2d` with one axis more.

    Example:
        >>> layer = ConvLocal3d((4, 4, 4, 3), 2, 2, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((4, 4, 4, 3))).shape
        (4, 4, 4, 2)
    """

    axes = 3
