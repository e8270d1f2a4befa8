"""Companions that convolve: with a standardised kernel, a mask, or gaps in the input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ._constant import constant, value_of
from ._linear import drawn, standardised, turned

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
    """Pad one example with what is no zero; say how the window of a layer moves over it."""
    padding: Any = layer.padding
    if layer.padding_mode != "ZEROS":
        if isinstance(padding, str):
            sizes = zip(layer.kernel_size, layer.rhs_dilation, strict=True)
            lengths = [(size - 1) * step + 1 for size, step in sizes]
            padding = lax.padtype_to_pads(x.shape[1:], lengths, layer.stride, padding)
        x = jnp.pad(x, ((0, 0), *padding), mode=_MODES[layer.padding_mode])
        padding = ((0, 0),) * layer.axes
    return x, {
        "window_strides": layer.stride,
        "padding": padding,
        "lhs_dilation": layer.lhs_dilation,
        "rhs_dilation": layer.rhs_dilation,
    }


class _Conv(eqx.Module):
    """A convolution over a number of spatial axes, channels first."""

    axes: ClassVar[int]
    weight: jax.Array
    bias: jax.Array | None
    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    kernel_size: tuple[int, ...] = eqx.field(static=True)
    stride: tuple[int, ...] = eqx.field(static=True)
    padding: str | Pads = eqx.field(static=True)
    lhs_dilation: tuple[int, ...] = eqx.field(static=True)
    rhs_dilation: tuple[int, ...] = eqx.field(static=True)
    groups: int = eqx.field(static=True)
    w_mask: Any = eqx.field(static=True)
    padding_mode: str = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    precision: Any = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        groups: int = 1,
        w_mask: Any = None,
        padding_mode: str = "ZEROS",
        use_bias: bool = True,
        dtype: Any = None,
        precision: Any = None,
        *,
        key: Any,
    ) -> None:
        n = self.axes
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = per_axis(kernel_size, n), per_axis(stride, n)
        self.padding, self.padding_mode = pads_of(padding), mode_of(padding_mode)
        self.lhs_dilation, self.rhs_dilation = per_axis(lhs_dilation, n), per_axis(rhs_dilation, n)
        self.groups, self.w_mask = groups, constant(w_mask)
        self.use_bias, self.dtype, self.precision = use_bias, dtype, precision
        keys = jax.random.split(key)
        inputs = math.prod(self.kernel_size) * in_channels // groups
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = drawn(keys[0], shape, inputs)
        ones = (1,) * n
        self.bias = drawn(keys[1], (out_channels, *ones), inputs) if use_bias else None

    def _weight(self) -> Any:
        return self.weight

    def _masked(self) -> Any:
        weight, mask = self._weight(), value_of(self.w_mask)
        return weight if mask is None else weight * turned(mask, weight)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Convolve ``(in_channels, *spatial)``; the key is there for `eqx.nn.Sequential`.

        Raises:
            ValueError: if the input has another number of axes or of channels.
        """
        x, n = jnp.asarray(x), self.axes
        if x.ndim != n + 1 or x.shape[0] != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} takes {self.in_channels} channels and {n} axes behind "
                f"them, got shape {x.shape}."
            )
        weight, bias, dtype = self._masked(), self.bias, self.dtype
        if dtype is None:
            dtype = jnp.promote_types(x.dtype, weight.dtype)
        elif bias is not None:
            bias = bias.astype(dtype)
        x, weight = x.astype(dtype), weight.astype(dtype)
        padded, moves = windows(self, x)
        y = lax.conv_general_dilated(
            padded[None],
            weight,
            feature_group_count=self.groups,
            precision=self.precision,
            **moves,
        )[0]
        return y if bias is None else y + bias


class _ScaledWSConv(_Conv):
    """A convolution whose weight is standardised for each output channel in every call."""

    gain: jax.Array | None
    ws_gain: bool = eqx.field(static=True)
    eps: float = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        groups: int = 1,
        ws_gain: bool = True,
        eps: float = 1e-4,
        w_mask: Any = None,
        padding_mode: str = "ZEROS",
        use_bias: bool = False,
        dtype: Any = None,
        precision: Any = None,
        *,
        key: Any,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            lhs_dilation,
            rhs_dilation,
            groups,
            w_mask,
            padding_mode,
            use_bias,
            dtype,
            precision,
            key=key,
        )
        self.ws_gain, self.eps = ws_gain, eps
        self.gain = jnp.ones(out_channels) if ws_gain else None

    def _weight(self) -> Any:
        return standardised(self.weight, self.eps, self.gain)


class Conv1d(_Conv):
    """A convolution over ``(channels, length)`` with a mask, or with gaps in the input.

    The arguments are those of `Conv2d` with one axis less.

    Example:
        >>> Conv1d(3, 4, 3, w_mask=0.5, key=jax.random.key(0))(jnp.ones((3, 8))).shape
        (4, 8)
    """

    axes = 1


class Conv2d(_Conv):
    """A convolution over ``(channels, height, width)`` with a mask, or with gaps in the input.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, or pairs (before, after); pairs where
            there are gaps in the input.
        lhs_dilation: step between the entries of the input, with zeros in between.
        rhs_dilation: step between the entries of the weight.
        groups: number of groups of channels.
        w_mask: factor on the weight: a number, or an array that broadcasts to the shape
            ``(*kernel_size, in_channels // groups, out_channels)``.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``.
        use_bias: whether there is a bias.
        dtype: what input and parameters are cast to; None for what `jax.numpy` promotes them to.
        precision: precision of the products.
        key: what the parameters are drawn from.

    Raises:
        ValueError: if there is no such ``padding_mode``.

    Example:
        >>> pads = ((0, 0), (0, 0))
        >>> layer = Conv2d(3, 4, 2, padding=pads, lhs_dilation=2, key=jax.random.key(0))
        >>> layer(jnp.ones((3, 4, 4))).shape
        (4, 6, 6)
    """

    axes = 2


class Conv3d(_Conv):
    """A convolution over ``(channels, depth, height, width)``, masked or with gaps in the input.

    The arguments are those of `Conv2d` with one axis more.

    Example:
        >>> Conv3d(3, 2, 2, key=jax.random.key(0))(jnp.ones((3, 4, 4, 4))).shape
        (2, 4, 4, 4)
    """

    axes = 3


class ScaledWSConv1d(_ScaledWSConv):
    """A convolution with a standardised weight over ``(channels, length)``.

    The arguments are those of `ScaledWSConv2d` with one axis less.

    Example:
        >>> ScaledWSConv1d(3, 4, 3, key=jax.random.key(0))(jnp.ones((3, 8))).shape
        (4, 8)
    """

    axes = 1


class ScaledWSConv2d(_ScaledWSConv):
    """A convolution over ``(channels, height, width)`` whose weight is standardised in every call.

    What `Conv2d` computes with ``(W - mean) / sqrt(max(n * var, eps)) * gain`` in the place of
    ``W``. Mean and variance are those of the ``n`` entries that belong to one output channel.

    Args:
        in_channels: as for `Conv2d`, like all arguments that are not named here.
        out_channels: number of output channels.
        kernel_size: length of the window.
        stride: step of the window.
        padding: what is put around the input.
        lhs_dilation: step between the entries of the input.
        rhs_dilation: step between the entries of the weight.
        groups: number of groups of channels.
        ws_gain: whether there is a gain, one number for each output channel.
        eps: lower bound of ``n * var``.
        w_mask: factor on the standardised weight.
        padding_mode: what the padding holds.
        use_bias: whether there is a bias.
        dtype: what input and standardised weight are cast to.
        precision: precision of the products.
        key: what the parameters are drawn from.

    Example:
        >>> ScaledWSConv2d(3, 4, 3, key=jax.random.key(0))(jnp.ones((3, 8, 8))).shape
        (4, 8, 8)
    """

    axes = 2


class ScaledWSConv3d(_ScaledWSConv):
    """A convolution with a standardised weight over ``(channels, depth, height, width)``.

    The arguments are those of `ScaledWSConv2d` with one axis more.

    Example:
        >>> ScaledWSConv3d(3, 2, 2, key=jax.random.key(0))(jnp.ones((3, 4, 4, 4))).shape
        (2, 4, 4, 4)
    """

    axes = 3
