"""Companions that convolve with a weight of its own at every place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ._constant import constant, value_of
from ._convolution import Pads, mode_of, pads_of, per_axis, windows
from ._linear import drawn, turned


class _ConvLocal(eqx.Module):
    """A convolution over a number of spatial axes, channels first, that shares no weight."""

    axes: ClassVar[int]
    weight: jax.Array
    bias: jax.Array | None
    in_size: tuple[int, ...] = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    kernel_size: tuple[int, ...] = eqx.field(static=True)
    stride: tuple[int, ...] = eqx.field(static=True)
    padding: str | Pads = eqx.field(static=True)
    lhs_dilation: tuple[int, ...] = eqx.field(static=True)
    rhs_dilation: tuple[int, ...] = eqx.field(static=True)
    w_mask: Any = eqx.field(static=True)
    padding_mode: str = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    precision: Any = eqx.field(static=True)

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        w_mask: Any = None,
        padding_mode: str = "ZEROS",
        use_bias: bool = True,
        dtype: Any = None,
        precision: Any = None,
        *,
        key: Any,
    ) -> None:
        n = self.axes
        self.in_size, self.out_channels = tuple(in_size), out_channels
        self.kernel_size, self.stride = per_axis(kernel_size, n), per_axis(stride, n)
        self.padding, self.padding_mode = pads_of(padding), mode_of(padding_mode)
        self.lhs_dilation, self.rhs_dilation = per_axis(lhs_dilation, n), per_axis(rhs_dilation, n)
        self.w_mask, self.use_bias = constant(w_mask), use_bias
        self.dtype, self.precision = dtype, precision

        def patches(x: Any) -> Any:
            padded, moves = windows(self, x)
            return lax.conv_general_dilated_patches(
                padded[None], filter_shape=self.kernel_size, **moves
            )[0]

        example = jax.ShapeDtypeStruct(self.in_size, jnp.float32)
        entries, *places = jax.eval_shape(patches, example).shape
        keys = jax.random.split(key)
        self.weight = drawn(keys[0], (out_channels, entries, *places), entries)
        self.bias = drawn(keys[1], (out_channels, *places), entries) if use_bias else None

    def _masked(self) -> Any:
        weight, mask = self.weight, value_of(self.w_mask)
        return weight if mask is None else weight * turned(mask, weight)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Convolve one example of shape ``in_size``; the key is there for `eqx.nn.Sequential`.

        Raises:
            ValueError: if the input has another shape.
        """
        x = jnp.asarray(x)
        if x.shape != self.in_size:
            raise ValueError(
                f"{type(self).__name__} takes one example of shape {self.in_size}, got {x.shape}."
            )
        weight, bias, dtype = self._masked(), self.bias, self.dtype
        if dtype is None:
            dtype = jnp.promote_types(x.dtype, weight.dtype)
        elif bias is not None:
            bias = bias.astype(dtype)
        padded, moves = windows(self, x.astype(dtype))
        y = lax.conv_general_dilated_local(
            padded[None],
            weight.astype(dtype),
            filter_shape=self.kernel_size,
            precision=self.precision,
            **moves,
        )[0]
        return y if bias is None else y + bias


class ConvLocal1d(_ConvLocal):
    """A convolution over ``(channels, length)``, with a weight for each place.

    The arguments are those of `ConvLocal2d` with one axis less.

    Example:
        >>> layer = ConvLocal1d((3, 8), 4, 3, padding="VALID", key=jax.random.key(0))
        >>> layer(jnp.ones((3, 8))).shape, layer.weight.shape
        ((4, 6), (4, 9, 6))
    """

    axes = 1


class ConvLocal2d(_ConvLocal):
    """A convolution over ``(channels, height, width)``, with a weight for each place.

    The weight has the shape ``(out_channels, channels * entries of the window, *places)``, its
    second axis channel by channel; the bias has the shape of an output.

    Args:
        in_size: shape of one example: channels, height and width.
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, or pairs (before, after); pairs where
            there are gaps in the input.
        lhs_dilation: step between the entries of the input, with zeros in between.
        rhs_dilation: step between the entries of the window.
        w_mask: factor on the weight: a number, or an array that broadcasts to the shape
            ``(*places, channels * entries of the window, out_channels)``.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``.
        use_bias: whether there is a bias.
        dtype: what input and parameters are cast to; None for what `jax.numpy` promotes them to.
        precision: precision of the products.
        key: what the parameters are drawn from.

    Raises:
        ValueError: if there is no such ``padding_mode``.

    Example:
        >>> layer = ConvLocal2d((3, 8, 6), 4, 3, stride=2, key=jax.random.key(0))
        >>> layer(jnp.ones((3, 8, 6))).shape, layer.bias.shape
        ((4, 4, 3), (4, 4, 3))
    """

    axes = 2


class ConvLocal3d(_ConvLocal):
    """A convolution over ``(channels, depth, height, width)``, with a weight for each place.

    The arguments are those of `ConvLocal2d` with one axis more.

    Example:
        >>> layer = ConvLocal3d((3, 4, 4, 4), 2, 2, key=jax.random.key(0))
        >>> layer(jnp.ones((3, 4, 4, 4))).shape
        (2, 4, 4, 4)
    """

    axes = 3
