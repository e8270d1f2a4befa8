"""What convolutions and transposed convolutions share: arguments, parameters, and the call."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from jax import lax
from jax import numpy as jnp

from ..state import State
from . import init
from ._module import Module
from ._parameters import as_array, mask, parameter, remembered
from ._window import Padding, Pads, output_lengths, padding_of, per_axis

__all__ = ["BaseConv"]


class BaseConv(Module):
    """A convolution over ``spatial`` axes; the concrete classes say how many, and which kind."""

    spatial: ClassVar[int]

    weight: State[dict[str, jax.Array]]
    padding: Padding

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int],
        padding: Any,
        rhs_dilation: int | Sequence[int],
        groups: int,
        w_init: Any,
        b_init: Any,
        w_mask: Any,
        channel_first: bool,
        name: str | None,
        param_type: type[State[Any]],
        dtype: Any,
        precision: Any,
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
        self.rhs_dilation = per_axis(rhs_dilation, n, "rhs_dilation")
        self.groups = operator.index(groups)
        if self.groups < 1 or self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"groups must divide the {self.in_channels} input and {self.out_channels} output "
                f"channels, got {groups}."
            )
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
            weight["bias"] = parameter(b_init, self.bias_shape)
        self._add_parameters(weight)
        self.weight = param_type(weight)

    @property
    def in_channels(self) -> int:
        """Number of input channels."""
        return int(self.in_size[0 if self.channel_first else -1])

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel: ``(*kernel_size, in_channels // groups, out_channels)``."""
        return (*self.kernel_size, self.in_channels // self.groups, self.out_channels)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the bias: ``out_channels`` numbers, with an axis for each of the data's."""
        ones, channels = (1,) * self.spatial, (self.out_channels,)
        return (1, *channels, *ones) if self.channel_first else ones + channels

    def _check_padding(self) -> None:
        """Refuse paddings that have no meaning together with the other arguments."""

    def _add_parameters(self, weight: dict[str, Any]) -> None:
        """Add what a kind of convolution trains besides kernel and bias."""

    def _geometry(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Pads]:
        """Give lengths of input and window, dilations included, the window's steps, the padding."""
        raise NotImplementedError

    def _convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Convolve a batch with a kernel of the same dtype."""
        raise NotImplementedError

    def _spatial_lengths(self) -> tuple[int, ...]:
        """Give the spatial lengths of the input."""
        return tuple(self.in_size[1:] if self.channel_first else self.in_size[:-1])

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
        outputs = output_lengths(*self._geometry())
        channels = (self.out_channels,)
        return channels + outputs if self.channel_first else outputs + channels

    def _kernel(self, parameters: dict[str, jax.Array]) -> jax.Array:
        """Give the kernel that is convolved with."""
        kernel = as_array(parameters["weight"])
        return kernel if self.w_mask is None else kernel * self.w_mask

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
        kernel = self._kernel(parameters)
        bias = parameters.get("bias")
        dtype = self.dtype
        if dtype is not None:
            bias = None if bias is None else bias.astype(dtype)
        elif x.dtype != kernel.dtype:
            dtype = jnp.promote_types(x.dtype, kernel.dtype)
        if dtype is not None:
            x, kernel = x.astype(dtype), kernel.astype(dtype)
        y = self._convolve(x if batched else lax.expand_dims(x, (0,)), kernel)
        if bias is not None:
            y = y + bias
        return y if batched else lax.squeeze(y, (0,))

    def _data_axes(self) -> tuple[int, ...]:
        """Say where batch, channel and spatial axes stand in input and output."""
        n = self.spatial
        return tuple(range(n + 2)) if self.channel_first else (0, n + 1, *range(1, n + 1))
