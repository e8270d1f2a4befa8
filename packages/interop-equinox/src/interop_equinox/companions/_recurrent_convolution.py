"""A recurrent cell over images, which Equinox has not: with a carry, and one that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ._convolution import Conv1d, Conv2d, Conv3d, Pads
from ._recurrent import Function
from ._recurrent_stateful import Stateful

_CONVOLUTIONS: dict[int, Any] = {1: Conv1d, 2: Conv2d, 3: Conv3d}


class ConvLSTMCell(eqx.Module):
    """A long short-term memory cell over images: convolutions where an `LSTMCell` multiplies.

    With ``z = conv(x, Wx) + bx + conv(h, Wh) + bh``, whose channels are the blocks ``i, g, f, o``,
    gate activation ``s`` and activation ``a``::

        c' = s(f + forget_bias) * c + s(i) * a(g)
        h' = s(o) * a(c')

    Args:
        in_size: shape of one step: the number of channels, and one to three spatial lengths.
        out_channels: number of channels of the state.
        kernel_size: length of the windows, one for all axes or one for each.
        padding: ``"SAME"``, ``"SAME_LOWER"``, or pairs (before, after) that keep the lengths.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``.
        use_bias: whether there are biases.
        activation: the function ``a``, entry by entry.
        gate_activation: the function ``s``, entry by entry.
        forget_bias: number added to the forget gate in every call.
        dtype: what input, ``h`` and parameters are cast to for the convolutions; None for what
            `jax.numpy` promotes them to.
        key: what the initial weights are drawn from.

    Example:
        >>> cell = ConvLSTMCell((3, 8, 6), 4, 3, key=jax.random.key(0))
        >>> h, c = cell(jnp.ones((3, 8, 6)), cell.initial())
        >>> h.shape
        (4, 8, 6)
    """

    Wx: eqx.Module
    Wh: eqx.Module
    in_size: tuple[int, ...] = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    kernel_size: tuple[int, ...] = eqx.field(static=True)
    padding: str | Pads = eqx.field(static=True)
    padding_mode: str = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    activation: Function = eqx.field(static=True)
    gate_activation: Function = eqx.field(static=True)
    forget_bias: float = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        padding: str | Sequence[tuple[int, int]] = "SAME",
        padding_mode: str = "ZEROS",
        use_bias: bool = True,
        activation: Function = jnp.tanh,
        gate_activation: Function = jax.nn.sigmoid,
        forget_bias: float = 1.0,
        dtype: Any = None,
        *,
        key: Any,
    ) -> None:
        self.in_size, self.out_channels = tuple(in_size), out_channels
        self.use_bias, self.dtype, self.forget_bias = use_bias, dtype, forget_bias
        self.activation, self.gate_activation = activation, gate_activation
        convolution = _CONVOLUTIONS[len(self.in_size) - 1]

        def make(channels: int, key: Any) -> Any:
            return convolution(
                channels,
                4 * out_channels,
                kernel_size,
                padding=padding,
                padding_mode=padding_mode,
                use_bias=use_bias,
                dtype=dtype,
                key=key,
            )

        keys = jax.random.split(key)
        made = make(self.in_size[0], keys[0])
        self.Wx, self.Wh = made, make(out_channels, keys[1])
        self.kernel_size, self.padding = made.kernel_size, made.padding
        self.padding_mode = padding_mode

    def initial(self) -> tuple[jax.Array, jax.Array]:
        """A state ``(h, c)`` of zeros to begin with."""
        zeros = jnp.zeros((self.out_channels, *self.in_size[1:]))
        return zeros, zeros

    def __call__(self, x: Any, hidden: tuple[Any, Any], *, key: Any = None) -> tuple[Any, Any]:
        """Advance by one step.

        Args:
            x: the input, of shape ``in_size``.
            hidden: the state ``(h, c)``, each of shape ``(out_channels, *in_size[1:])``.
            key: not used.

        Returns:
            The new ``(h, c)``.
        """
        h, c = hidden
        gate, of_input, of_state = self.gate_activation, self.Wx, self.Wh
        z: Any = of_input(x) + of_state(h)  # type: ignore[operator]
        i, g, f, o = jnp.split(z, 4)
        c = gate(f + self.forget_bias) * c + gate(i) * self.activation(g)
        return gate(o) * self.activation(c), c


class StatefulConvLSTMCell(Stateful, ConvLSTMCell):  # type: ignore[misc] # called with a state
    """`ConvLSTMCell` with its carry ``h`` and ``c`` in an `eqx.nn.State`, for use in a stack.

    It begins with zeros.

    Args:
        in_size: shape of one step: the number of channels, and one to three spatial lengths.
        out_channels: number of channels of the state.
        kernel_size: length of the windows, one for all axes or one for each.
        padding: ``"SAME"``, ``"SAME_LOWER"``, or pairs (before, after) that keep the lengths.
        padding_mode: what the padding holds.
        use_bias: whether there are biases.
        activation: the function ``a``, entry by entry.
        gate_activation: the function ``s``, entry by entry.
        forget_bias: number added to the forget gate in every call.
        dtype: what input, ``h`` and parameters are cast to for the convolutions.
        key: what the initial weights are drawn from.

    Example:
        >>> make = eqx.nn.make_with_state(StatefulConvLSTMCell)
        >>> cell, state = make((3, 8, 6), 4, 3, key=jax.random.key(0))
        >>> y, state = cell(jnp.ones((3, 8, 6)), state)
        >>> y.shape, bool((state.get(cell.h) == y).all())
        ((4, 8, 6), True)
    """

    carried: ClassVar[tuple[str, ...]] = ("h", "c")
    c: eqx.nn.StateIndex[Any]

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        padding: str | Sequence[tuple[int, int]] = "SAME",
        padding_mode: str = "ZEROS",
        use_bias: bool = True,
        activation: Function = jnp.tanh,
        gate_activation: Function = jax.nn.sigmoid,
        forget_bias: float = 1.0,
        dtype: Any = None,
        *,
        key: Any,
    ) -> None:
        ConvLSTMCell.__init__(
            self,
            in_size,
            out_channels,
            kernel_size,
            padding,
            padding_mode,
            use_bias,
            activation,
            gate_activation,
            forget_bias,
            dtype,
            key=key,
        )
        self._begin()

    @property
    def carry_shape(self) -> tuple[int, ...]:
        """The channels, and the spatial lengths."""
        return (self.out_channels, *self.in_size[1:])
