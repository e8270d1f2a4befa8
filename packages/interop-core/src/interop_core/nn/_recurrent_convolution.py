"""Recurrent cells whose states are images, and whose products are convolutions."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from ..state import State
from . import init
from ._conv import Conv, Conv1d, Conv2d, Conv3d
from ._parameters import remembered
from ._recurrent import Activation, SizedCell, find_activation

__all__ = ["ConvLSTMCell"]

_KERNEL = init.XavierNormal()
_ZERO = init.ZeroInit()
_CONVOLUTIONS: dict[int, type[Conv]] = {1: Conv1d, 2: Conv2d, 3: Conv3d}


class ConvLSTMCell(SizedCell):
    """A long short-term memory cell over images: convolutions where an `LSTMCell` multiplies.

    With the sum of two convolutions ``z = conv(x, Wx) + bx + conv(h, Wh) + bh``, whose channels are
    split into four blocks ``i, g, f, o`` in this order, gate activation ``s``, activation ``a``,
    and ``*`` entry by entry::

        c' = s(f + forget_bias) * c + s(i) * a(g)
        h' = s(o) * a(c')

    (Shi et al., "Convolutional LSTM network", 2015, without its peepholes.) Kernels and biases are
    those of the convolutions in the attributes ``Wx`` and ``Wh``: ``(*kernel_size, in_channels, 4 *
    out_channels)`` and ``(*kernel_size, out_channels, 4 * out_channels)``. ``forget_bias`` is added
    in every call and is not part of the stored biases. The states ``h`` and ``c`` of shape
    ``(batch, *spatial, out_channels)``, or without the batch axis, are made by `init_state`; the
    convolutions keep the spatial lengths, and their window has step 1.

    Args:
        in_size: shape of one example: one to three spatial lengths, and the number of channels.
        out_channels: number of channels of the states, and of the output.
        kernel_size: length of the windows, one for all axes or one per axis.
        padding: ``"SAME"``, ``"SAME_LOWER"``, or an amount that keeps the spatial lengths, as for
            `Conv2d`.
        w_init: initializer of both kernels.
        b_init: initializer of both biases; None for no bias.
        state_init: initializer of ``h`` and ``c``.
        activation: name of a function of this package, or a function.
        name: a label for the user.
        padding_mode: what the padding holds: ``"ZEROS"``, ``"REFLECT"``, ``"REPLICATE"`` or
            ``"CIRCULAR"``, as for `Conv2d`.
        forget_bias: number added to the forget gate before its activation.
        gate_activation: name or function for the three gates.
        dtype: what input, ``h`` and parameters are cast to for the convolutions. None: as
            `jax.numpy` promotes them. ``h`` and ``c`` follow from promotion in either case, so they
            stay in float32 when they start so.

    Raises:
        ValueError: if the arguments do not fit each other, if the padding does not keep the spatial
            lengths, or if there is no activation function of a name.
        TypeError: if an activation is neither a name nor a function.

    Example:
        >>> cell = ConvLSTMCell((8, 6, 3), 4, kernel_size=3)
        >>> cell.init_state(2)
        >>> cell(jnp.ones((2, 8, 6, 3))).shape
        (2, 8, 6, 4)
        >>> [layer.weight.value["weight"].shape for layer in (cell.Wx, cell.Wh)]
        [(3, 3, 3, 16), (3, 3, 4, 16)]
    """

    hidden = ("c", "h")
    c: State[jax.Array]

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        padding: Any = "SAME",
        w_init: Any = _KERNEL,
        b_init: Any = _ZERO,
        state_init: Any = _ZERO,
        activation: Activation = "tanh",
        name: str | None = None,
        *,
        padding_mode: str = "ZEROS",
        forget_bias: float = 1.0,
        gate_activation: Activation = "sigmoid",
        dtype: Any = None,
    ) -> None:
        super().__init__(state_init, activation, name)
        find_activation(gate_activation, "gate_activation")
        self.in_size = init.to_size(in_size)
        *spatial, _ = self.in_size
        convolution = _CONVOLUTIONS.get(len(spatial))
        if convolution is None:
            raise ValueError(
                "ConvLSTMCell needs an in_size of one to three spatial lengths and the number of "
                f"channels, got {self.in_size}."
            )
        self.out_channels = operator.index(out_channels)
        self.out_size = (*spatial, self.out_channels)
        options: dict[str, Any] = {
            "out_channels": 4 * self.out_channels,
            "kernel_size": kernel_size,
            "padding": padding,
            "padding_mode": padding_mode,
            "w_init": w_init,
            "b_init": b_init,
            "dtype": dtype,
        }
        self.Wx = convolution(self.in_size, **options)
        if self.Wx.out_size[:-1] != tuple(spatial):
            raise ValueError(
                f"padding={padding!r} makes spatial lengths {self.Wx.out_size[:-1]} of "
                f"{tuple(spatial)}, and the states of a ConvLSTMCell keep theirs: use 'SAME'."
            )
        self.Wh = convolution(self.out_size, **options)
        self.kernel_size, self.padding = self.Wx.kernel_size, self.Wx.padding
        self.padding_mode = self.Wx.padding_mode
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.forget_bias = forget_bias
        self.gate_activation = gate_activation
        self.dtype = dtype

    def update(self, x: jax.Array) -> jax.Array:
        """Advance by one step.

        Args:
            x: input of shape ``(batch, *in_size)``, or ``in_size`` where the states have no batch.

        Returns:
            The new ``h``.

        Raises:
            AttributeError: if there are no states yet.
            ValueError: if ``x`` does not fit the cell or its states.
        """
        x = self._checked(x)
        h, c = self.h.value, self.c.value
        gate = find_activation(self.gate_activation, "gate_activation")
        activate = find_activation(self.activation, "activation")
        i, g, f, o = jnp.split(self.Wx(x) + self.Wh(h), 4, axis=-1)
        c = gate(f + self.forget_bias) * c + gate(i) * activate(g)
        h = gate(o) * activate(c)
        self.h.value, self.c.value = h, c
        return h

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``(*spatial, out_channels)``.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if it is not the ``in_size`` of the cell.
        """
        if tuple(in_size) != self.in_size:
            raise ValueError(
                f"ConvLSTMCell takes one step of the shape {self.in_size} at a time; got shape "
                f"{tuple(in_size)}."
            )
        return tuple(self.out_size)
