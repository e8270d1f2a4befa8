"""Recurrent cells with other gates, or other functions in them, than those of Equinox.

As with `eqx.nn.GRUCell` and `eqx.nn.LSTMCell` a cell takes and returns its state, one step at a
time: ``h = cell(x, h)``, or ``h, c = cell(x, (h, c))``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

Function = Callable[[Any], Any]


def _join(x: Any, h: Any) -> Any:
    return jnp.concatenate([jnp.asarray(x), h], axis=-1)


class ValinaRNNCell(eqx.Module):
    """The plain recurrent cell: ``h' = a(W [x, h] + b)`` with an activation ``a``.

    Args:
        input_size: number of input features.
        hidden_size: number of units.
        use_bias: whether there is the bias ``b``.
        activation: the function ``a``, entry by entry.
        key: what the initial weights are drawn from.

    Example:
        >>> cell = ValinaRNNCell(3, 5, key=jax.random.key(0))
        >>> cell(jnp.ones(3), jnp.zeros(5)).shape
        (5,)
    """

    W: eqx.nn.Linear
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    activation: Function = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        use_bias: bool = True,
        activation: Function = jax.nn.relu,
        *,
        key: Any,
    ) -> None:
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.use_bias = use_bias
        self.activation = activation
        self.W = eqx.nn.Linear(input_size + hidden_size, hidden_size, use_bias, key=key)

    def __call__(self, x: Any, hidden: Any, *, key: Any = None) -> Any:
        """Advance by one step.

        Args:
            x: the input, of shape ``(input_size,)``.
            hidden: the state ``h``, of shape ``(hidden_size,)``.
            key: not used.

        Returns:
            The new ``h``.
        """
        return self.activation(self.W(_join(x, hidden)))


class LSTMCell(eqx.Module):
    """A long short-term memory cell with a choice of functions and of the forget gate's start.

    With ``i, g, f, o = split(W [x, h] + b)``, gate activation ``s`` and activation ``a``::

        c' = s(f + forget_bias) * c + s(i) * a(g)
        h' = s(o) * a(c')

    `eqx.nn.LSTMCell` has the sigmoid and tanh, no ``forget_bias``, and its gates in another order.

    Args:
        input_size: number of input features.
        hidden_size: number of units.
        use_bias: whether there is the bias ``b``.
        activation: the function ``a``, entry by entry.
        gate_activation: the function ``s``, entry by entry.
        forget_bias: number added to the forget gate in every call.
        key: what the initial weights are drawn from.

    Example:
        >>> cell = LSTMCell(3, 5, activation=jax.nn.relu, key=jax.random.key(0))
        >>> h, c = cell(jnp.ones(3), (jnp.zeros(5), jnp.zeros(5)))
        >>> h.shape
        (5,)
    """

    W: eqx.nn.Linear
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    activation: Function = eqx.field(static=True)
    gate_activation: Function = eqx.field(static=True)
    forget_bias: float = eqx.field(static=True)

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
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.use_bias = use_bias
        self.activation = activation
        self.gate_activation = gate_activation
        self.forget_bias = forget_bias
        self.W = eqx.nn.Linear(input_size + hidden_size, 4 * hidden_size, use_bias, key=key)

    def __call__(self, x: Any, hidden: tuple[Any, Any], *, key: Any = None) -> tuple[Any, Any]:
        """Advance by one step.

        Args:
            x: the input, of shape ``(input_size,)``.
            hidden: the state ``(h, c)``, each of shape ``(hidden_size,)``.
            key: not used.

        Returns:
            The new ``(h, c)``.
        """
        h, c = hidden
        gate = self.gate_activation
        i, g, f, o = jnp.split(self.W(_join(x, h)), 4)
        c = gate(f + self.forget_bias) * c + gate(i) * self.activation(g)
        return gate(o) * self.activation(c), c


class GRUCell(eqx.Module):
    """A gated recurrent unit with a choice of functions and of the reset gate's place.

    With the gate activation ``s`` and the activation ``a``, and ``*`` entry by entry::

        r, z = split(s(Wrz [x, h] + brz))
        n = a(Wh [x, r * h] + bh)
        h' = (1 - z) * h + z * n

    With ``reset_after=True`` it is ``n = a(Wh x + bh + r * (Uh h + ch))``, as in `eqx.nn.GRUCell`.
    The gate ``z`` weighs the new candidate; there it weighs the old state.

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
        >>> cell = GRUCell(3, 5, key=jax.random.key(0))
        >>> cell(jnp.ones(3), jnp.zeros(5)).shape
        (5,)
    """

    Wrz: eqx.nn.Linear
    Wh: eqx.nn.Linear
    Uh: eqx.nn.Linear | None
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    activation: Function = eqx.field(static=True)
    gate_activation: Function = eqx.field(static=True)
    reset_after: bool = eqx.field(static=True)
    hidden_bias: bool = eqx.field(static=True)

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
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.use_bias = use_bias
        self.activation = activation
        self.gate_activation = gate_activation
        self.reset_after = reset_after
        self.hidden_bias = hidden_bias
        keys = jax.random.split(key, 3)
        both = input_size + hidden_size
        self.Wrz = eqx.nn.Linear(both, 2 * hidden_size, use_bias, key=keys[0])
        ends = input_size if reset_after else both
        self.Wh = eqx.nn.Linear(ends, hidden_size, use_bias, key=keys[1])
        self.Uh = None
        if reset_after:
            more = use_bias and hidden_bias
            self.Uh = eqx.nn.Linear(hidden_size, hidden_size, more, key=keys[2])

    def __call__(self, x: Any, hidden: Any, *, key: Any = None) -> Any:
        """Advance by one step.

        Args:
            x: the input, of shape ``(input_size,)``.
            hidden: the state ``h``, of shape ``(hidden_size,)``.
            key: not used.

        Returns:
            The new ``h``.
        """
        r, z = jnp.split(self.gate_activation(self.Wrz(_join(x, hidden))), 2)
        if self.Uh is None:
            n = self.activation(self.Wh(_join(x, r * hidden)))
        else:
            n = self.activation(self.Wh(jnp.asarray(x)) + r * self.Uh(hidden))
        return (1 - z) * hidden + z * n


class MGUCell(eqx.Module):
    """A minimal gated unit: a GRU whose one gate both resets and updates.

    With the gate activation ``s`` and the activation ``a``, and ``*`` entry by entry::

        f = s(Wf [x, h] + bf)
        n = a(Wh [x, f * h] + bh)
        h' = (1 - f) * h + f * n

    With ``reset_after=True`` it is ``n = a(Wh x + bh + f * (Uh h + ch))``, with
    ``reset_gate=False`` it is ``n = a(Wh [x, h] + bh)``, and with ``gate_keeps=True`` the gate
    weighs the old state: ``h' = f * h + (1 - f) * n``.

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
        >>> cell = MGUCell(3, 5, key=jax.random.key(0))
        >>> cell(jnp.ones(3), jnp.zeros(5)).shape
        (5,)
    """

    Wf: eqx.nn.Linear
    Wh: eqx.nn.Linear
    Uh: eqx.nn.Linear | None
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    activation: Function = eqx.field(static=True)
    gate_activation: Function = eqx.field(static=True)
    reset_after: bool = eqx.field(static=True)
    reset_gate: bool = eqx.field(static=True)
    gate_keeps: bool = eqx.field(static=True)

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
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.use_bias = use_bias
        self.activation = activation
        self.gate_activation = gate_activation
        self.reset_after = reset_after
        self.reset_gate = reset_gate
        self.gate_keeps = gate_keeps
        keys = jax.random.split(key, 3)
        both = input_size + hidden_size
        self.Wf = eqx.nn.Linear(both, hidden_size, use_bias, key=keys[0])
        ends = input_size if reset_after else both
        self.Wh = eqx.nn.Linear(ends, hidden_size, use_bias, key=keys[1])
        self.Uh = None
        if reset_after:
            self.Uh = eqx.nn.Linear(hidden_size, hidden_size, use_bias, key=keys[2])

    def __call__(self, x: Any, hidden: Any, *, key: Any = None) -> Any:
        """Advance by one step.

        Args:
            x: the input, of shape ``(input_size,)``.
            hidden: the state ``h``, of shape ``(hidden_size,)``.
            key: not used.

        Returns:
            The new ``h``.
        """
        f = self.gate_activation(self.Wf(_join(x, hidden)))
        if self.Uh is None:
            reset = f * hidden if self.reset_gate else hidden
            n = self.activation(self.Wh(_join(x, reset)))
        else:
            n = self.activation(self.Wh(jnp.asarray(x)) + f * self.Uh(hidden))
        old, new = (n, hidden) if self.gate_keeps else (hidden, n)
        return (1 - f) * old + f * new


class URLSTMCell(eqx.Module):
    """A long short-term memory cell whose forget gate is refined by another.

    With ``f, r, u, o = split(W [x, h])``, the bias ``b``, gate activation ``s`` and activation
    ``a``::

        f = s(f + b)
        r = s(r - b)
        g = 2 * r * f + (1 - 2 * r) * f ** 2
        c' = g * c + (1 - g) * a(u)
        h' = s(o) * a(c')

    ``b`` starts with ``s(b)`` uniform between ``1 / hidden_size`` and ``1 - 1 / hidden_size``, so
    that the units forget over times of all lengths.

    Args:
        input_size: number of input features.
        hidden_size: number of units.
        activation: the function ``a``, entry by entry.
        gate_activation: the function ``s``, entry by entry.
        key: what the initial weights are drawn from.

    Example:
        >>> cell = URLSTMCell(3, 5, key=jax.random.key(0))
        >>> h, c = cell(jnp.ones(3), (jnp.zeros(5), jnp.zeros(5)))
        >>> h.shape, cell.bias.shape
        ((5,), (5,))
    """

    W: eqx.nn.Linear
    bias: jax.Array
    input_size: int = eqx.field(static=True)
    hidden_size: int = eqx.field(static=True)
    activation: Function = eqx.field(static=True)
    gate_activation: Function = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: Function = jnp.tanh,
        gate_activation: Function = jax.nn.sigmoid,
        *,
        key: Any,
    ) -> None:
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.activation = activation
        self.gate_activation = gate_activation
        for_kernel, for_bias = jax.random.split(key)
        both = input_size + hidden_size
        self.W = eqx.nn.Linear(both, 4 * hidden_size, use_bias=False, key=for_kernel)
        low = min(0.5, 1 / max(hidden_size, 1))
        u = jax.random.uniform(for_bias, (hidden_size,), minval=low, maxval=1 - low)
        self.bias = jnp.log(u) - jnp.log1p(-u)

    def __call__(self, x: Any, hidden: tuple[Any, Any], *, key: Any = None) -> tuple[Any, Any]:
        """Advance by one step.

        Args:
            x: the input, of shape ``(input_size,)``.
            hidden: the state ``(h, c)``, each of shape ``(hidden_size,)``.
            key: not used.

        Returns:
            The new ``(h, c)``.
        """
        h, c = hidden
        gate = self.gate_activation
        f, r, u, o = jnp.split(self.W(_join(x, h)), 4)
        f, r = gate(f + self.bias), gate(r - self.bias)
        g = 2 * r * f + (1 - 2 * r) * f**2
        c = g * c + (1 - g) * self.activation(u)
        return gate(o) * self.activation(c), c
