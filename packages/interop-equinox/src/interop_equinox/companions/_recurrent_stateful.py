"""Recurrent cells that hold their carry in an `eqx.nn.State`.

Each is the cell of the same name as a layer of a stack: `eqx.nn.Sequential` hands it the state, and
it is called with the input besides, ``y, state = cell(x, state)``. A state belongs to one example,
so that a batch has one for each: see `carry_axes` and `reset_carries`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ._carry import Carrying
from ._recurrent import Function, GRUCell, LSTMCell, MGUCell, URLSTMCell, ValinaRNNCell


class Stateful(Carrying):
    """Makes a layer of a stack out of a cell that takes and returns its carry."""

    carried: ClassVar[tuple[str, ...]] = ("h",)
    h: eqx.nn.StateIndex[Any]

    def _begin(self) -> None:
        """Make the places of the carry, with zeros in them; the last a constructor does."""
        for name in self.carried:
            setattr(self, name, eqx.nn.StateIndex(jnp.zeros(self.carry_shape)))

    def __call__(self, x: Any, state: eqx.nn.State, *, key: Any = None) -> tuple[Any, eqx.nn.State]:
        """Advance by one step.

        Args:
            x: one step, as the cell without a state takes it.
            state: the state of the model, with what the cell remembers.
            key: not used.

        Returns:
            The new ``h``, and the state after the step.

        Raises:
            ValueError: if the state has batch axes, or the new carry is not of the dtype of the
                old one, which an `eqx.nn.State` keeps.
        """
        places = [getattr(self, name) for name in self.carried]
        carry = tuple(map(state.get, places))
        if any(array.shape != self.carry_shape for array in carry):
            shapes = " and ".join(str(array.shape) for array in carry)
            raise ValueError(
                f"This {type(self).__name__} takes one example, and its carry has the shape "
                f"{shapes}: map the model with in_axes=(0, axes) and out_axes=(0, axes), where "
                "axes is carry_axes(model, state)."
            )
        cell: Any = super()
        after = cell.__call__(x, carry if carry[1:] else carry[0])
        after = after if carry[1:] else (after,)
        for place, array in zip(places, after, strict=True):
            state = state.set(place, array)
        return after[0], state


class StatefulUnits(Stateful):
    """A cell whose carry has a number for each unit."""

    hidden_size: eqx.AbstractVar[int]

    @property
    def carry_shape(self) -> tuple[int, ...]:
        """The units."""
        return (self.hidden_size,)


class StatefulValinaRNNCell(StatefulUnits, ValinaRNNCell):
    """`ValinaRNNCell` with its carry ``h`` in an `eqx.nn.State`, for use in a stack.

    It begins with zeros.

    Args:
        input_size: number of input features.
        hidden_size: number of units.
        use_bias: whether there is the bias ``b``.
        activation: the function ``a``, entry by entry.
        key: what the initial weights are drawn from.

    Example:
        >>> make = eqx.nn.make_with_state(StatefulValinaRNNCell)
        >>> cell, state = make(3, 5, key=jax.random.key(0))
        >>> y, state = cell(jnp.ones(3), state)
        >>> y.shape, bool((state.get(cell.h) == y).all())
        ((5,), True)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        use_bias: bool = True,
        activation: Function = jax.nn.relu,
        *,
        key: Any,
    ) -> None:
        ValinaRNNCell.__init__(self, input_size, hidden_size, use_bias, activation, key=key)
        self._begin()


class StatefulLSTMCell(StatefulUnits, LSTMCell):  # type: ignore[misc] # called with a state
    """`LSTMCell` with its carry ``h`` and ``c`` in an `eqx.nn.State`, for use in a stack.

    It begins with zeros.

    Args:
        input_size: number of input features.
        hidden_size: number of units.
        use_bias: whether there is the bias ``b``.
        activation: the function ``a``, entry by entry.
        gate_activation: the function ``s``, entry by entry.
        forget_bias: number added to the forget gate in every call.
        key: what the initial weights are drawn from.

    Example:
        >>> make = eqx.nn.make_with_state(StatefulLSTMCell)
        >>> cell, state = make(3, 5, key=jax.random.key(0))
        >>> y, state = cell(jnp.ones(3), state)
        >>> y.shape, bool((state.get(cell.h) == y).all())
        ((5,), True)
    """

    carried: ClassVar[tuple[str, ...]] = ("h", "c")
    c: eqx.nn.StateIndex[Any]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        use_bias: bool = True,
        activation: Function = jnp.tanh,
        gate_activation: Function = jax.nn.sigmoid,
        forget_bias: float = 0.0,
        *,
        key: Any,
    ) -> None:
        LSTMCell.__init__(
            self,
            input_size,
            hidden_size,
            use_bias,
            activation,
            gate_activation,
            forget_bias,
            key=key,
        )
        self._begin()


class StatefulGRUCell(StatefulUnits, GRUCell):
    """`GRUCell` with its carry ``h`` in an `eqx.nn.State`, for use in a stack.

    It begins with zeros.

    Args:
        input_size: number of input features.
        hidden_size: number of units.
        use_bias: whether there are biases.
        activation: the function ``a``, entry by entry.
        gate_activation: the function ``s``, entry by entry.
        reset_after: whether the reset gate acts behind the product with ``h``.
        hidden_bias: with ``reset_after=True``, whether there is the bias ``ch``.
        key: what the initial weights are drawn from.

    Example:
        >>> make = eqx.nn.make_with_state(StatefulGRUCell)
        >>> cell, state = make(3, 5, key=jax.random.key(0))
        >>> y, state = cell(jnp.ones(3), state)
        >>> y.shape, bool((state.get(cell.h) == y).all())
        ((5,), True)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        use_bias: bool = True,
        activation: Function = jnp.tanh,
        gate_activation: Function = jax.nn.sigmoid,
        reset_after: bool = False,
        hidden_bias: bool = True,
        *,
        key: Any,
    ) -> None:
        GRUCell.__init__(
            self,
            input_size,
            hidden_size,
            use_bias,
            activation,
            gate_activation,
            reset_after,
            hidden_bias,
            key=key,
        )
        self._begin()


class StatefulMGUCell(StatefulUnits, MGUCell):
    """`MGUCell` with its carry ``h`` in an `eqx.nn.State`, for use in a stack.

    It begins with zeros.

    Args:
        input_size: number of input features.
        hidden_size: number of units.
        use_bias: whether there are biases.
        activation: the function ``a``, entry by entry.
        gate_activation: the function ``s``, entry by entry.
        reset_after: whether the gate resets behind the product with ``h``.
        reset_gate: whether the gate resets at all.
        gate_keeps: whether the gate weighs the old state, not the new candidate.
        key: what the initial weights are drawn from.

    Example:
        >>> make = eqx.nn.make_with_state(StatefulMGUCell)
        >>> cell, state = make(3, 5, key=jax.random.key(0))
        >>> y, state = cell(jnp.ones(3), state)
        >>> y.shape, bool((state.get(cell.h) == y).all())
        ((5,), True)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        use_bias: bool = True,
        activation: Function = jnp.tanh,
        gate_activation: Function = jax.nn.sigmoid,
        reset_after: bool = False,
        reset_gate: bool = True,
        gate_keeps: bool = False,
        *,
        key: Any,
    ) -> None:
        MGUCell.__init__(
            self,
            input_size,
            hidden_size,
            use_bias,
            activation,
            gate_activation,
            reset_after,
            reset_gate,
            gate_keeps,
            key=key,
        )
        self._begin()


class StatefulURLSTMCell(StatefulUnits, URLSTMCell):  # type: ignore[misc] # called with a state
    """`URLSTMCell` with its carry ``h`` and ``c`` in an `eqx.nn.State`, for use in a stack.

    It begins with zeros.

    Args:
        input_size: number of input features.
        hidden_size: number of units.
        activation: the function ``a``, entry by entry.
        gate_activation: the function ``s``, entry by entry.
        key: what the initial weights are drawn from.

    Example:
        >>> make = eqx.nn.make_with_state(StatefulURLSTMCell)
        >>> cell, state = make(3, 5, key=jax.random.key(0))
        >>> y, state = cell(jnp.ones(3), state)
        >>> y.shape, bool((state.get(cell.h) == y).all())
        ((5,), True)
    """

    carried: ClassVar[tuple[str, ...]] = ("h", "c")
    c: eqx.nn.StateIndex[Any]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: Function = jnp.tanh,
        gate_activation: Function = jax.nn.sigmoid,
        *,
        key: Any,
    ) -> None:
        URLSTMCell.__init__(self, input_size, hidden_size, activation, gate_activation, key=key)
        self._begin()
