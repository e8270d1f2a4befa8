"""Convolution over one, two and three spatial axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, ClassVar, final

import jax
from jax import lax
from jax import numpy as jnp

from ..state import ParamState, State
from . import init
from ._module import Module
from ._parameters import as_array, mask, parameter, remembered
from ._window import Padding, Pads, output_lengths, padding_of, pads, per_axis

__all__ = ["Conv1d", "Conv2d", "Conv3d"]

_KERNEL = init.XavierNormal()
_MODES = {"ZEROS": "constant", "REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}


class _Conv(Module):
    """Convolution over ``spatial`` axes; the concrete classes say how many."""

    spatial: ClassVar[int]

    weight: State[dict[str, jax.Array]]
    padding: Padding

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
        super().__init__(name=name)
        n = self.spatial
        self.in_size = init.to_size(in_size)
        if len(self.in_size) != n + 1:
            raise ValueError(
                f"{type(self).__name__} needs an in_size of {n} spatial lengths and the number of "
                f"channels, got {self.in_size}."
            )
        self.channel_first = bool(channel_first)
        self.out_channels = operator.index(out_channels)
        self.kernel_size = per_axis(kernel_size, n, "kernel_size")
        self.stride = per_axis(stride, n, "stride")
        self.padding = padding_of(padding, n)
        self.lhs_dilation = per_axis(lhs_dilation, n, "lhs_dilation")
        self.rhs_dilation = per_axis(rhs_dilation, n, "rhs_dilation")
        self.groups = operator.index(groups)
        if self.groups < 1 or self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"groups must divide the {self.in_channels} input and {self.out_channels} output "
                f"channels, got {groups}."
            )
        self.padding_mode = padding_mode.upper()
        self._check_padding()
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.param_type = param_type
        self.dtype = dtype
        self.precision = precision
        self.out_size = self.output_size(self.in_size)
        shape = self.kernel_shape
        self.w_mask = mask(w_mask, shape)
        weight = {"weight": parameter(w_init, shape)}
        if b_init is not None:
            ones, channels = (1,) * n, (self.out_channels,)
            bias_shape = (1, *channels, *ones) if self.channel_first else ones + channels
            weight["bias"] = parameter(b_init, bias_shape)
        self.weight = param_type(weight)

    @property
    def in_channels(self) -> int:
        """Number of input channels."""
        return int(self.in_size[0 if self.channel_first else -1])

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel: ``(*kernel_size, in_channels // groups, out_channels)``."""
        return (*self.kernel_size, self.in_channels // self.groups, self.out_channels)

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

    def _geometry(self) -> tuple[tuple[int, ...], tuple[int, ...], Pads]:
        """Give input lengths and window lengths, dilations included, and the padding in pairs."""
        lengths = self.in_size[1:] if self.channel_first else self.in_size[:-1]
        lengths = tuple(
            (length - 1) * step + 1 if length else 0
            for length, step in zip(lengths, self.lhs_dilation, strict=True)
        )
        window = tuple(
            (size - 1) * step + 1
            for size, step in zip(self.kernel_size, self.rhs_dilation, strict=True)
        )
        return lengths, window, pads(self.padding, lengths, window, self.stride)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape of one output.

        Args:
            in_size: shape of one example; it must be the ``in_size`` of the layer.

        Raises:
            ValueError: if it is another shape, or smaller than the window.
        """
        shape = tuple(in_size)
        if shape != self.in_size:
            order = "channels first" if self.channel_first else "channels last"
            raise ValueError(
                f"{type(self).__name__} expects examples of shape {self.in_size} ({order}), got "
                f"{shape}."
            )
        lengths, window, padded = self._geometry()
        outputs = output_lengths(lengths, window, self.stride, padded)
        channels = (self.out_channels,)
        return channels + outputs if self.channel_first else outputs + channels

    def update(self, x: jax.Array) -> jax.Array:
        """Convolve one example or a batch.

        Args:
            x: array of shape ``in_size``, or of that shape behind one batch axis.

        Returns:
            Array of shape ``out_size``, behind the batch axis if there is one.

        Raises:
            ValueError: if the input has another shape.
        """
        x = as_array(x)
        batched = x.ndim == self.spatial + 2
        if x.shape[batched:] != self.in_size:
            raise ValueError(
                f"{type(self).__name__} expects shape {self.in_size}, alone or behind one batch "
                f"axis, got {x.shape}."
            )
        parameters = self.weight.value
        kernel = as_array(parameters["weight"])
        bias = parameters.get("bias")
        if self.w_mask is not None:
            kernel = kernel * self.w_mask
        dtype = self.dtype
        if dtype is not None:
            bias = None if bias is None else bias.astype(dtype)
        elif x.dtype != kernel.dtype:
            dtype = jnp.promote_types(x.dtype, kernel.dtype)
        if dtype is not None:
            x, kernel = x.astype(dtype), kernel.astype(dtype)
        if not batched:
            x = lax.expand_dims(x, (0,))
        padded = self._geometry()[2]
        if self.padding_mode != "ZEROS":
            x = jnp.pad(x, self._around(padded), mode=_MODES[self.padding_mode])
            padded = ((0, 0),) * self.spatial
        y = lax.conv_general_dilated(
            x,
            kernel,
            window_strides=self.stride,
            padding=padded,
            lhs_dilation=self.lhs_dilation,
            rhs_dilation=self.rhs_dilation,
            dimension_numbers=self._dimension_numbers(),
            feature_group_count=self.groups,
            precision=self.precision,
        )
        if bias is not None:
            y = y + bias
        return y if batched else lax.squeeze(y, (0,))

    def _around(self, padded: Pads) -> Pads:
        """Put unpadded batch and channel axes around the spatial ones."""
        none = ((0, 0),)
        return 2 * none + padded if self.channel_first else none + padded + none

    def _dimension_numbers(self) -> lax.ConvDimensionNumbers:
        """Say where batch, channel and spatial axes stand in input, kernel and output."""
        n = self.spatial
        if self.channel_first:
            data = tuple(range(n + 2))
        else:
            data = (0, n + 1, *range(1, n + 1))
        return lax.ConvDimensionNumbers(data, (n + 1, n, *range(n)), data)


@final
class Conv1d(_Conv):
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
class Conv2d(_Conv):
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
class Conv3d(_Conv):
    """Convolution over three spatial axes: ``(depth, height, width, channels)``, alone or batched.

    The arguments are those of `Conv2d` with one spatial axis more.

    Example:
        >>> layer = Conv3d((4, 4, 4, 3), 2, (1, 3, 3), channel_first=False)
        >>> layer.weight.value["weight"].shape, layer.out_size
        ((1, 3, 3, 3, 2), (4, 4, 4, 2))
    """

    spatial = 3
