"""A recurrent cell over images, which NNX has not: with a carry, and one that holds it itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from ._convolution import Conv1d, Conv2d, Conv3d
from ._recurrent import Cell, Shape, Stateful
from ._recurrent_step import KERNEL, ZEROS, Function

_CONVOLUTIONS: dict[int, Any] = {1: Conv1d, 2: Conv2d, 3: Conv3d}


class _Step(nnx.Module):
    """The parameters and the step of the cell."""

    def __init__(
        self,
        in_size: Sequence[int],
        hidden_features: int,
        kernel_size: int | Sequence[int],
        padding: str | Sequence[tuple[int, int]] = "SAME",
        *,
        padding_mode: str = "ZEROS",
        activation_fn: Function = jnp.tanh,
        gate_fn: Function = jax.nn.sigmoid,
        forget_bias: float = 1.0,
        use_bias: bool = True,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_size, self.hidden_features = tuple(in_size), hidden_features
        self.in_features = self.in_size[-1]
        self.activation_fn, self.gate_fn = activation_fn, gate_fn
        self.forget_bias, self.use_bias = forget_bias, use_bias
        self.dtype, self.param_dtype = dtype, param_dtype
        make = _CONVOLUTIONS[len(self.in_size) - 1]
        options = {
            "out_channels": 4 * hidden_features,
            "kernel_size": kernel_size,
            "padding": padding,
            "padding_mode": padding_mode,
            "use_bias": use_bias,
            "dtype": dtype,
            "param_dtype": param_dtype,
            "kernel_init": kernel_init,
            "bias_init": bias_init,
            "rngs": rngs,
        }
        self.Wx = make(self.in_features, **options)
        self.Wh = make(hidden_features, **options)
        self.kernel_size, self.padding = self.Wx.kernel_size, self.Wx.padding
        self.padding_mode = padding_mode

    def step(self, carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        """Compute the carry after one step."""
        c, h = carry
        gate, activate = self.gate_fn, self.activation_fn
        i, g, f, o = jnp.split(self.Wx(x) + self.Wh(h), 4, axis=-1)
        c = gate(f + self.forget_bias) * c + gate(i) * activate(g)
        return c, gate(o) * activate(c)


class ConvLSTMCell(_Step, Cell):
    """A long short-term memory cell over images, which takes and returns its carry ``(c, h)``.

    With the activation ``a``, the gates' function ``s``, and ``z = conv(x, Wx) + bx + conv(h, Wh) +
    bh``, whose channels are the blocks ``i, g, f, o``::

        c' = s(f + forget_bias) * c + s(i) * a(g)
        h' = s(o) * a(c')

    Args:
        in_size: shape of one step: one to three spatial lengths, and the number of channels.
        hidden_features: number of channels of the state.
        kernel_size: length of the windows, one for all axes or one for each.
        padding: ``"SAME"``, ``"SAME_LOWER"``, or pairs (before, after) that keep the lengths.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        forget_bias: number added to the forget gate in every call.
        use_bias: whether there are biases.
        dtype: what input, carry and parameters are cast to for the convolutions; ``None`` for what
            `jax.numpy` promotes them to.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        rngs: what the parameters are drawn from.

    Example:
        >>> cell = ConvLSTMCell((8, 6, 3), 4, 3, rngs=nnx.Rngs(0))
        >>> carry = cell.initialize_carry((2, 8, 6, 3))
        >>> carry, y = cell(carry, jnp.ones((2, 8, 6, 3)))
        >>> y.shape
        (2, 8, 6, 4)
    """

    carried: ClassVar[tuple[str, ...]] = ("c", "h")

    @property
    def num_feature_axes(self) -> int:
        """One step of the input has spatial axes and one of channels."""
        return len(self.in_size)


class StatefulConvLSTMCell(_Step, Stateful):
    """`ConvLSTMCell` as a layer of a stack: it holds its carry and is called with the input alone.

    Computes what `ConvLSTMCell` computes, and takes its arguments. The carry is in the variables
    ``c`` and ``h``, which `reset_carry` makes.

    Args:
        in_size: shape of one step: one to three spatial lengths, and the number of channels.
        hidden_features: number of channels of the state.
        kernel_size: length of the windows, one for all axes or one for each.
        padding: ``"SAME"``, ``"SAME_LOWER"``, or pairs (before, after) that keep the lengths.
        padding_mode: what the padding holds.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        forget_bias: number added to the forget gate in every call.
        use_bias: whether there are biases.
        dtype: what input, carry and parameters are cast to for the convolutions.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        rngs: what the parameters are drawn from.

    Example:
        >>> layer = StatefulConvLSTMCell((8, 3), 4, 3, rngs=nnx.Rngs(0))
        >>> layer.reset_carry((2,))
        >>> layer(jnp.ones((2, 8, 3))).shape
        (2, 8, 4)
    """

    carried: ClassVar[tuple[str, ...]] = ("c", "h")

    @property
    def hidden_shape(self) -> Shape:
        """Shape of the carry of one example."""
        return (*self.in_size[:-1], self.hidden_features)
