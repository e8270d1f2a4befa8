"""Convolutions with a kernel of its own at every place, and with any padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen
from jax import lax

from ._convolution import Sizes, per_axis, windows
from ._linear import ZEROS

__all__ = ["ConvLocal1d", "ConvLocal2d", "ConvLocal3d"]


def _kernel_of_a_place(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    """Normal numbers of the variance that the kernel of one place would have alone."""
    deviation = math.sqrt(2 / max(sum(shape[-2:]), 1))
    return deviation * jax.random.normal(key, shape, dtype)


class _ConvLocal(linen.Module):
    """A convolution over a number of spatial axes, channels last, that shares no kernel."""

    axes: ClassVar[int]

    out_channels: int
    kernel_size: Sizes
    stride: Sizes = 1
    padding: str | Sequence[tuple[int, int]] | int = "SAME"
    lhs_dilation: Sizes = 1
    rhs_dilation: Sizes = 1
    w_mask: Any = None
    padding_mode: str = "ZEROS"
    use_bias: bool = False
    dtype: Any = None
    precision: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Any = _kernel_of_a_place
    bias_init: Any = ZEROS

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
        leading, example = x.shape[: -n - 1], x.shape[-n - 1 :]
        batch, moves = windows(self, x.reshape(math.prod(leading), *example))

        def patches(padded: Any) -> Any:
            return lax.conv_general_dilated_patches(padded, filter_shape=size, **moves)

        *places, entries = jax.eval_shape(patches, batch).shape[1:]
        ends = (entries, self.out_channels)
        kernel = self.param("kernel", self.kernel_init, (*places, *ends), self.param_dtype)
        kernel = kernel if self.w_mask is None else kernel * self.w_mask
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (*places, ends[1]), self.param_dtype)
        dtype = self.dtype
        if dtype is None:
            dtype = jnp.promote_types(x.dtype, kernel.dtype)
        elif bias is not None:
            bias = bias.astype(dtype)
        y = lax.conv_general_dilated_local(
            batch.astype(dtype),
            kernel.astype(dtype),
            filter_shape=size,
            precision=self.precision,
            **moves,
        )
        y = y if bias is None else y + bias
        return y.reshape(*leading, *y.shape[1:])


class ConvLocal1d(_ConvLocal):
    """A convolution over ``(..., length, channels)``, with a kernel for each place.

    The attributes are those of `ConvLocal2d`, with one axis less.

    Example:
        >>> layer = ConvLocal1d(4, 3, padding_mode="REPLICATE")
        >>> y, variables = layer.init_with_output(jax.random.key(0), jnp.ones((8, 3)))
        >>> y.shape, variables["params"]["kernel"].shape
        ((8, 4), (8, 9, 4))
    """

    axes = 1


class ConvLocal2d(_ConvLocal):
    """A convolution over ``(..., height, width, channels)``, with a kernel for each place.

    What `linen.ConvLocal` computes, padded in any way. The kernel has the shape ``(*places,
    channels * entries of the window, out_channels)``, its middle axis channel by channel; the bias
    has a number for each entry of an output.

    Attributes:
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, pairs (before, after), or one integer.
        lhs_dilation: step between the entries of the input.
        rhs_dilation: step between the entries of the window.
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
        >>> layer = ConvLocal2d(4, 3, stride=2, padding_mode="REPLICATE")
        >>> y, _ = layer.init_with_output(jax.random.key(0), jnp.ones((2, 8, 6, 3)))
        >>> y.shape
        (2, 4, 3, 4)
    """

    axes = 2


class ConvLocal3d(_ConvLocal):
    """A convolution over ``(..., depth, height, width, channels)``, with a kernel for each place.

    The attributes are those of `ConvLocal2d`, with one axis more.

    Example:
        >>> layer = ConvLocal3d(2, 2, padding_mode="REPLICATE")
        >>> y, _ = layer.init_with_output(jax.random.key(0), jnp.ones((4, 4, 4, 3)))
        >>> y.shape
        (4, 4, 4, 2)
    """

    axes = 3
