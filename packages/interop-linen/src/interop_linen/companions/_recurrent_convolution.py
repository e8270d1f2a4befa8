"""A recurrent cell over images in the forms that `linen.ConvLSTMCell` has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen

from ._convolution import Conv1d, Conv2d, Conv3d
from ._recurrent_step import Array, Carry, Function, Stateful, WithCarry

__all__ = ["ConvLSTMCell", "StatefulConvLSTMCell"]

_CONVOLUTIONS: dict[int, Any] = {1: Conv1d, 2: Conv2d, 3: Conv3d}


class _Step(linen.Module):
    """One step of the cell."""

    carried: ClassVar[tuple[str, ...]] = ("c", "h")

    features: int
    kernel_size: Sequence[int]
    padding: str | Sequence[tuple[int, int]] | int = "SAME"
    padding_mode: str = "ZEROS"
    activation_fn: Function = jnp.tanh
    gate_fn: Function = jax.nn.sigmoid
    use_bias: bool = True
    forget_bias: float = 1.0
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Any = linen.initializers.xavier_normal()
    bias_init: Any = linen.initializers.zeros_init()
    carry_init: Any = linen.initializers.zeros_init()

    @linen.nowrap
    def _convolved(self, name: str, x: Any) -> Array:
        convolution = _CONVOLUTIONS[len(self.kernel_size)](
            4 * self.features,
            tuple(self.kernel_size),
            padding=self.padding,
            padding_mode=self.padding_mode,
            use_bias=self.use_bias,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            kernel_init=self.kernel_init,
            bias_init=self.bias_init,
            name=name,
        )
        result: Array = convolution(x)
        return result

    @linen.nowrap
    def _advance(self, carry: Carry, inputs: Any) -> Carry:
        c, h = carry
        z = self._convolved("Wx", inputs) + self._convolved("Wh", h)
        i, g, f, o = jnp.split(z, 4, axis=-1)
        c = self.gate_fn(f + self.forget_bias) * c + self.gate_fn(i) * self.activation_fn(g)
        return c, self.gate_fn(o) * self.activation_fn(c)

    @linen.nowrap
    def _start(self, key: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        started: Array = self.carry_init(key, (*shape[:-1], self.features), dtype)
        return started


class ConvLSTMCell(WithCarry, _Step):
    """A long short-term memory cell over images, which takes and returns its carry ``(c, h)``.

    With the activation ``a``, the gates' function ``s``, and ``z = conv(x, Wx) + bx + conv(h, Wh) +
    bh``, whose channels are the blocks ``i, g, f, o``::

        c' = s(f + forget_bias) * c + s(i) * a(g)
        h' = s(o) * a(c')

    The padding must keep the spatial lengths.

    Attributes:
        features: number of channels of the state.
        kernel_size: lengths of the window, one for each of one to three spatial axes.
        padding: ``"SAME"``, ``"SAME_LOWER"``, pairs (before, after), or one integer.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        use_bias: whether there are biases.
        forget_bias: number added to the forget gate in every call.
        dtype: what the convolutions are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the states ``c`` and ``h``.

    Example:
        >>> cell, x = ConvLSTMCell(4, (3, 3), forget_bias=0.0), jnp.ones((2, 8, 6, 3))
        >>> carry = cell.initialize_carry(jax.random.key(0), x.shape)
        >>> variables = cell.init(jax.random.key(1), carry, x)
        >>> carry, y = cell.apply(variables, carry, x)
        >>> y.shape, variables["params"]["Wx"]["kernel"].shape
        ((2, 8, 6, 4), (3, 3, 3, 16))
    """

    @property
    def num_feature_axes(self) -> int:
        """The inputs have spatial axes and one of channels."""
        return len(self.kernel_size) + 1


class StatefulConvLSTMCell(Stateful, _Step):
    """`ConvLSTMCell` with its carry ``(c, h)`` in the collection ``"carry"``, for use in a stack.

    A state that is not there yet begins with ``carry_init``: zeros, for any batch size.

    Attributes:
        features: number of channels of the state.
        kernel_size: lengths of the window, one for each of one to three spatial axes.
        padding: ``"SAME"``, ``"SAME_LOWER"``, pairs (before, after), or one integer.
        padding_mode: what the padding holds.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        use_bias: whether there are biases.
        forget_bias: number added to the forget gate in every call.
        dtype: what the convolutions are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the states ``c`` and ``h``.

    Example:
        >>> layer, x = StatefulConvLSTMCell(4, (3,)), jnp.ones((2, 8, 3))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> y, moved = layer.apply(variables, x, mutable=["carry"])
        >>> y.shape, sorted(moved["carry"])
        ((2, 8, 4), ['c', 'h'])
    """
