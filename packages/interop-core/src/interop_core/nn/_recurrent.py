"""Recurrent cells: one call is one time step, and the states carry over to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import jax
from jax import numpy as jnp

from ..state import HiddenState, State
from . import _functional, init
from ._linear import Linear
from ._module import Module
from ._parameters import as_array, parameter, remembered

__all__ = [
    "Activation",
    "HiddenCell",
    "LSTMCell",
    "RNNCell",
    "SizedCell",
    "ValinaRNNCell",
    "find_activation",
]

Activation = str | Callable[[jax.Array], jax.Array]

_KERNEL = init.XavierNormal()
_ZERO = init.ZeroInit()


def find_activation(activation: Activation, what: str) -> Callable[[Any], jax.Array]:
    """Find an activation function by name; pass a function on.

    Raises:
        ValueError: if there is none of that name.
        TypeError: if it is neither a name nor a function.
    """
    if isinstance(activation, str):
        if activation not in _functional.__all__:
            raise ValueError(
                f"{what}={activation!r} names no activation function; known are "
                f"{', '.join(_functional.__all__)}, and any function can be passed itself."
            )
        return getattr(_functional, activation)  # type: ignore[no-any-return]
    if not callable(activation):
        raise TypeError(f"{what} must be a name or a function, not {activation!r}.")
    return activation


class RNNCell(Module):
    """The base class of recurrent cells.

    A cell makes its hidden states in `init_state`, sets them back in `reset_state`, and advances
    them by one step of the sequence with every call.

    Args:
        name: a label for the user.
    """


class SizedCell(RNNCell):
    """The base class of the cells whose hidden states have the shape of an output.

    A subclass names its states in ``hidden``, and makes its parameters and both sizes after this
    constructor.

    Args:
        state_init: initializer of every hidden state.
        activation: name of a function of this package, or a function.
        name: a label for the user.

    Raises:
        ValueError: if there is no activation function of a name.
        TypeError: if the activation is neither a name nor a function.
    """

    hidden: ClassVar[tuple[str, ...]] = ("h",)
    h: State[jax.Array]

    def __init__(self, state_init: Any, activation: Activation, name: str | None = None) -> None:
        super().__init__(name=name)
        find_activation(activation, "activation")
        self.state_init = state_init
        self.activation = activation

    def init_state(self, batch_size: int | None = None, **kwargs: Any) -> None:
        """Make the hidden states.

        Args:
            batch_size: length of their leading axis; None for none.
            **kwargs: ignored, so that one call can serve layers of many kinds.
        """
        for key in self.hidden:
            setattr(self, key, HiddenState(self._initial(batch_size)))

    def reset_state(self, batch_size: int | None = None, **kwargs: Any) -> None:
        """Set the hidden states back to initial values, for any batch size.

        Args:
            batch_size: length of their leading axis; None for none.
            **kwargs: ignored.

        Raises:
            AttributeError: if they were never made.
        """
        self._check_states()
        for key in self.hidden:
            getattr(self, key).value = self._initial(batch_size)

    def _initial(self, batch_size: int | None) -> Any:
        """Make the initial value of one state."""
        batch = () if batch_size is None else (int(batch_size),)
        return parameter(self.state_init, (*batch, *self.out_size))

    def _check_states(self) -> None:
        """Refuse to go on without states."""
        if not all(key in self.__dict__ for key in self.hidden):
            states = "states " if len(self.hidden) > 1 else "state "
            raise AttributeError(
                f"This {type(self).__name__} has no {states}{' and '.join(sorted(self.hidden))} "
                "yet: call init_state(batch_size), or init_all_states(model, batch_size) on the "
                "whole model."
            )

    def _checked(self, x: Any) -> jax.Array:
        """Make an array of the input, and refuse what does not fit the cell or its states."""
        self._check_states()
        array = as_array(x)
        h, rank = self.h.value, len(self.in_size)
        if array.shape[:-rank] != h.shape[:-rank] or array.shape[-rank:] != self.in_size:
            self.output_size(array.shape[-rank:])
            raise ValueError(
                f"The input has shape {array.shape} and the state {h.shape}: their leading axes "
                "must agree. init_state(batch_size) or reset_state(batch_size) makes states that "
                "fit."
            )
        return array


class HiddenCell(SizedCell):
    """The base class of the cells whose hidden states are vectors of one length.

    A subclass names its states in ``hidden`` and makes its parameters after this constructor.

    Args:
        num_in: number of input features.
        num_out: number of units.
        state_init: initializer of every hidden state.
        activation: name of a function of this package, or a function.
        name: a label for the user.

    Raises:
        ValueError: if a number of features is no integer, or there is no activation function of a
            name.
        TypeError: if the activation is neither a name nor a function.
    """

    def __init__(
        self,
        num_in: int,
        num_out: int,
        state_init: Any,
        activation: Activation,
        name: str | None = None,
    ) -> None:
        super().__init__(state_init, activation, name)
        self.in_size, self.out_size = num_in, num_out
        if len(self.in_size) != 1 or len(self.out_size) != 1:
            raise ValueError(
                f"{type(self).__name__} takes numbers of features, not shapes: got {num_in} and "
                f"{num_out}."
            )
        self.num_in, self.num_out = self.in_size[0], self.out_size[0]

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``(num_out,)``.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if it is not ``(num_in,)``.
        """
        if tuple(in_size) != self.in_size:
            raise ValueError(
                f"{type(self).__name__} takes one step of {self.num_in} features at a time; got "
                f"shape {tuple(in_size)}."
            )
        return (self.num_out,)


class ValinaRNNCell(HiddenCell):
    """The plain recurrent cell: ``h' = a([x, h] @ W + b)`` with an activation ``a``.

    The kernel ``W`` of shape ``(num_in + num_out, num_out)`` and the bias are those of the linear
    layer in the attribute ``W``. The state ``h`` of shape ``(batch, num_out)``, or ``(num_out,)``
    without a batch, is made by `init_state`. (The class is spelled as in `brainstate`.)

    Args:
        num_in: number of input features.
        num_out: number of units.
        state_init: initializer of ``h``.
        w_init: initializer of the kernel.
        b_init: initializer of the bias; None for no bias.
        activation: name of a function of this package, or a function.
        name: a label for the user.
        dtype: what input, ``h`` and parameters are cast to for the product, and thereby the dtype
            of the new ``h``. None: as `jax.numpy` promotes them.

    Raises:
        ValueError: if a number of features is no integer, or there is no activation function of a
            name.
        TypeError: if the activation is neither a name nor a function.

    Example:
        >>> cell = ValinaRNNCell(3, 5)
        >>> cell.init_state(2)
        >>> cell(jnp.ones((2, 3))).shape
        (2, 5)
        >>> cell.h.value.shape, cell.W.weight.value["weight"].shape
        ((2, 5), (8, 5))
    """

    def __init__(
        self,
        num_in: int,
        num_out: int,
        state_init: Any = _ZERO,
        w_init: Any = _KERNEL,
        b_init: Any = _ZERO,
        activation: Activation = "relu",
        name: str | None = None,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_in, num_out, state_init, activation, name)
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.dtype = dtype
        self.W = Linear(
            self.num_in + self.num_out, self.num_out, w_init=w_init, b_init=b_init, dtype=dtype
        )

    def update(self, x: jax.Array) -> jax.Array:
        """Advance by one step.

        Args:
            x: input of shape ``(batch, num_in)``, or ``(num_in,)`` where the state has no batch.

        Returns:
            The new ``h``.

        Raises:
            AttributeError: if there is no state yet.
            ValueError: if ``x`` does not fit the cell or its state.
        """
        x = self._checked(x)
        activate = find_activation(self.activation, "activation")
        self.h.value = activate(self.W(jnp.concatenate([x, self.h.value], axis=-1)))
        return self.h.value


class LSTMCell(HiddenCell):
    """A long short-term memory cell.

    With the product ``z = [x, h] @ W + b`` of shape ``(..., 4 * num_out)``, split into four blocks
    ``i, g, f, o`` in this order, gate activation ``s`` and activation ``a``::

        c' = s(f + forget_bias) * c + s(i) * a(g)
        h' = s(o) * a(c')

    The kernel ``W`` of shape ``(num_in + num_out, 4 * num_out)`` and the bias are those of the
    linear layer in the attribute ``W``. ``forget_bias`` is added in every call and is not part of
    the stored bias. The states ``h`` and ``c`` of shape ``(batch, num_out)``, or ``(num_out,)``
    without a batch, are made by `init_state`.

    Args:
        num_in: number of input features.
        num_out: number of units.
        w_init: initializer of the kernel.
        b_init: initializer of the bias; None for no bias.
        state_init: initializer of ``h`` and ``c``.
        activation: name of a function of this package, or a function.
        name: a label for the user.
        forget_bias: number added to the forget gate before its activation.
        gate_activation: name or function for the three gates.
        dtype: what input, ``h`` and parameters are cast to for the product. None: as `jax.numpy`
            promotes them. ``h`` and ``c`` follow from promotion in either case, so they stay in
            float32 when they start so.

    Raises:
        ValueError: if a number of features is no integer, or there is no activation function of a
            name.
        TypeError: if an activation is neither a name nor a function.

    Example:
        >>> cell = LSTMCell(3, 5)
        >>> cell.init_state(2)
        >>> cell(jnp.ones((2, 3))).shape
        (2, 5)
        >>> cell.h.value.shape, cell.W.weight.value["weight"].shape
        ((2, 5), (8, 20))
    """

    hidden = ("c", "h")
    c: State[jax.Array]

    def __init__(
        self,
        num_in: int,
        num_out: int,
        w_init: Any = _KERNEL,
        b_init: Any = _ZERO,
        state_init: Any = _ZERO,
        activation: Activation = "tanh",
        name: str | None = None,
        *,
        forget_bias: float = 1.0,
        gate_activation: Activation = "sigmoid",
        dtype: Any = None,
    ) -> None:
        super().__init__(num_in, num_out, state_init, activation, name)
        find_activation(gate_activation, "gate_activation")
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.forget_bias = forget_bias
        self.gate_activation = gate_activation
        self.dtype = dtype
        self.W = Linear(
            self.num_in + self.num_out, 4 * self.num_out, w_init=w_init, b_init=b_init, dtype=dtype
        )

    def update(self, x: jax.Array) -> jax.Array:
        """Advance by one step.

        Args:
            x: input of shape ``(batch, num_in)``, or ``(num_in,)`` where the states have no batch.

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
        i, g, f, o = jnp.split(self.W(jnp.concatenate([x, h], axis=-1)), 4, axis=-1)
        c = gate(f + self.forget_bias) * c + gate(i) * activate(g)
        h = gate(o) * activate(c)
        self.h.value, self.c.value = h, c
        return h
