"""Recurrent cells with other gates than the usual ones of an LSTM."""

from __future__ import annotations

from typing import Any

import jax
from jax import numpy as jnp

from .. import random
from ..state import ParamState, State
from . import init
from ._linear import Linear
from ._parameters import parameter, remembered
from ._recurrent import Activation, HiddenCell, find_activation

__all__ = ["GRUCell", "MGUCell", "URLSTMCell"]

_ORTHOGONAL = init.Orthogonal()
_KERNEL = init.XavierNormal()
_ZERO = init.ZeroInit()


class GRUCell(HiddenCell):
    """A gated recurrent unit.

    With the gate activation ``s`` and the activation ``a``, and ``*`` entry by entry::

        r, z = split(s([x, h] @ Wrz + brz), 2)
        n = a([x, r * h] @ Wh + bh)
        h' = (1 - z) * h + z * n

    With ``reset_after=True`` the reset gate acts behind the product instead, which is how cuDNN,
    Flax and Equinox compute the candidate::

        n = a(x @ Wh + bh + r * (h @ Uh + ch))

    The kernels ``Wrz`` of shape ``(num_in + num_out, 2 * num_out)``, ``Wh`` of shape
    ``(num_in + num_out, num_out)`` and their biases are those of the linear layers in the
    attributes ``Wrz`` and ``Wh``. With ``reset_after=True`` ``Wh`` has the shape
    ``(num_in, num_out)``, and there is a third linear layer ``Uh`` of shape ``(num_out, num_out)``.

    The gate ``z`` weighs the *new* candidate in both forms. Where a framework lets it weigh the old
    state, its kernel and bias have the opposite sign here, because ``1 - s(u) = s(-u)`` for the
    sigmoid.

    The state ``h`` of shape ``(batch, num_out)``, or ``(num_out,)`` without a batch, is made by
    `init_state`.

    Args:
        num_in: number of input features.
        num_out: number of units.
        w_init: initializer of every kernel.
        b_init: initializer of every bias; None for no bias.
        state_init: initializer of ``h``.
        activation: name of a function of this package, or a function.
        name: a label for the user.
        reset_after: whether the reset gate acts behind the product with ``h``.
        gate_activation: name or function for both gates.
        dtype: what input, ``h`` and parameters are cast to for the products. None: as `jax.numpy`
            promotes them. ``h`` follows from promotion in either case, so it stays in float32 when
            it starts so.
        hidden_bias: with ``reset_after=True``, whether there is the bias ``ch`` behind the reset
            gate, made by ``b_init`` as the others; Flax NNX has none.

    Raises:
        ValueError: if a number of features is no integer, there is no activation function of a
            name, or ``hidden_bias=False`` comes without ``reset_after=True``.
        TypeError: if an activation is neither a name nor a function.

    Example:
        >>> cell = GRUCell(3, 5)
        >>> cell.init_state(2)
        >>> cell(jnp.ones((2, 3))).shape
        (2, 5)
        >>> [layer.weight.value["weight"].shape for layer in (cell.Wrz, cell.Wh)]
        [(8, 10), (8, 5)]
        >>> cell = GRUCell(3, 5, reset_after=True)
        >>> [layer.weight.value["weight"].shape for layer in (cell.Wrz, cell.Wh, cell.Uh)]
        [(8, 10), (3, 5), (5, 5)]
    """

    Uh: Linear

    def __init__(
        self,
        num_in: int,
        num_out: int,
        w_init: Any = _ORTHOGONAL,
        b_init: Any = _ZERO,
        state_init: Any = _ZERO,
        activation: Activation = "tanh",
        name: str | None = None,
        *,
        reset_after: bool = False,
        gate_activation: Activation = "sigmoid",
        dtype: Any = None,
        hidden_bias: bool = True,
    ) -> None:
        super().__init__(num_in, num_out, state_init, activation, name)
        find_activation(gate_activation, "gate_activation")
        if not (hidden_bias or reset_after):
            raise ValueError(
                "hidden_bias=False leaves out the bias behind the reset gate, which only "
                "reset_after=True has."
            )
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.reset_after = reset_after
        self.hidden_bias = hidden_bias
        self.gate_activation = gate_activation
        self.dtype = dtype
        options: dict[str, Any] = {"w_init": w_init, "b_init": b_init, "dtype": dtype}
        both = self.num_in + self.num_out
        self.Wrz = Linear(both, 2 * self.num_out, **options)
        self.Wh = Linear(self.num_in if reset_after else both, self.num_out, **options)
        if reset_after:
            if not hidden_bias:
                options["b_init"] = None
            self.Uh = Linear(self.num_out, self.num_out, **options)

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
        h = self.h.value
        gate = find_activation(self.gate_activation, "gate_activation")
        activate = find_activation(self.activation, "activation")
        r, z = jnp.split(gate(self.Wrz(jnp.concatenate([x, h], axis=-1))), 2, axis=-1)
        if self.reset_after:
            n = activate(self.Wh(x) + r * self.Uh(h))
        else:
            n = activate(self.Wh(jnp.concatenate([x, r * h], axis=-1)))
        self.h.value = (1 - z) * h + z * n
        return self.h.value


class MGUCell(HiddenCell):
    """A minimal gated unit: a GRU whose one gate both resets and updates.

    With the gate activation ``s`` and the activation ``a``, and ``*`` entry by entry::

        f = s([x, h] @ Wf + bf)
        n = a([x, f * h] @ Wh + bh)
        h' = (1 - f) * h + f * n

    Flax computes a unit of another form, which three options say: ``reset_after=True`` lets the
    gate reset behind the product, ``reset_gate=False`` lets it reset nothing, and with
    ``gate_keeps=True`` it weighs the *old* state::

        n = a(x @ Wh + bh + f * (h @ Uh + ch))        # reset_after=True
        n = a([x, h] @ Wh + bh)                       # reset_gate=False
        h' = f * h + (1 - f) * n                      # gate_keeps=True

    The kernels of shape ``(num_in + num_out, num_out)`` and the biases are those of the linear
    layers in the attributes ``Wf`` and ``Wh``. With ``reset_after=True`` ``Wh`` has the shape
    ``(num_in, num_out)``, and there is a third linear layer ``Uh`` of shape ``(num_out, num_out)``.
    The state ``h`` of shape ``(batch, num_out)``, or
    ``(num_out,)`` without a batch, is made by `init_state`.

    Args:
        num_in: number of input features.
        num_out: number of units.
        w_init: initializer of every kernel.
        b_init: initializer of every bias; None for no bias.
        state_init: initializer of ``h``.
        activation: name of a function of this package, or a function.
        name: a label for the user.
        gate_activation: name or function for the gate.
        dtype: what input, ``h`` and parameters are cast to for the products. None: as `jax.numpy`
            promotes them. ``h`` follows from promotion in either case, so it stays in float32 when
            it starts so.
        reset_after: whether the gate acts behind the product with ``h``.
        reset_gate: whether the gate acts on the candidate at all.
        gate_keeps: whether the gate weighs the old state, not the new candidate.

    Raises:
        ValueError: if a number of features is no integer, there is no activation function of a
            name, or ``reset_after=True`` comes with ``reset_gate=False``.
        TypeError: if an activation is neither a name nor a function.

    Example:
        >>> cell = MGUCell(3, 5)
        >>> cell.init_state(2)
        >>> cell(jnp.ones((2, 3))).shape
        (2, 5)
        >>> [layer.weight.value["weight"].shape for layer in (cell.Wf, cell.Wh)]
        [(8, 5), (8, 5)]
    """

    Uh: Linear

    def __init__(
        self,
        num_in: int,
        num_out: int,
        w_init: Any = _ORTHOGONAL,
        b_init: Any = _ZERO,
        state_init: Any = _ZERO,
        activation: Activation = "tanh",
        name: str | None = None,
        *,
        gate_activation: Activation = "sigmoid",
        dtype: Any = None,
        reset_after: bool = False,
        reset_gate: bool = True,
        gate_keeps: bool = False,
    ) -> None:
        super().__init__(num_in, num_out, state_init, activation, name)
        find_activation(gate_activation, "gate_activation")
        if reset_after and not reset_gate:
            raise ValueError(
                "reset_after=True says where the gate resets, and reset_gate=False that it does "
                "not: leave one of them out."
            )
        self.reset_after, self.reset_gate, self.gate_keeps = reset_after, reset_gate, gate_keeps
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.gate_activation = gate_activation
        self.dtype = dtype
        options: dict[str, Any] = {"w_init": w_init, "b_init": b_init, "dtype": dtype}
        both = self.num_in + self.num_out
        self.Wf = Linear(both, self.num_out, **options)
        self.Wh = Linear(self.num_in if reset_after else both, self.num_out, **options)
        if reset_after:
            self.Uh = Linear(self.num_out, self.num_out, **options)

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
        h = self.h.value
        gate = find_activation(self.gate_activation, "gate_activation")
        activate = find_activation(self.activation, "activation")
        f = gate(self.Wf(jnp.concatenate([x, h], axis=-1)))
        if self.reset_after:
            n = activate(self.Wh(x) + f * self.Uh(h))
        else:
            reset = f * h if self.reset_gate else h
            n = activate(self.Wh(jnp.concatenate([x, reset], axis=-1)))
        old, new = (n, h) if self.gate_keeps else (h, n)
        self.h.value = (1 - f) * old + f * new
        return self.h.value


class _SpreadBias(init.Initializer):
    """Draw biases whose sigmoid is uniform between ``1 / n`` and ``1 - 1 / n``, for ``n`` units."""

    def make(self, size: tuple[int, ...], dtype: Any) -> Any:
        """Compute the array."""
        # One unit alone has no range to spread over and gets the middle.
        low = min(0.5, 1 / max(size[0], 1))
        u = jax.random.uniform(random.DEFAULT.fixed_key(), size, dtype, low, 1 - low)
        return jnp.log(u) - jnp.log1p(-u)


_SPREAD = _SpreadBias()


class URLSTMCell(HiddenCell):
    """A long short-term memory cell whose forget gate is uniform at first and refined by another.

    With the product ``z = [x, h] @ W`` of shape ``(..., 4 * num_out)``, split into four blocks
    ``f, r, u, o`` in this order, the bias ``b``, the gate activation ``s`` and activation ``a``::

        f = s(f + b)
        r = s(r - b)
        g = 2 * r * f + (1 - 2 * r) * f ** 2
        c' = g * c + (1 - g) * a(u)
        h' = s(o) * a(c')

    The kernel ``W`` of shape ``(num_in + num_out, 4 * num_out)`` is that of the linear layer in the
    attribute ``W``, which has no bias. The parameter ``bias`` of shape ``(num_out,)`` starts with
    ``s(b)`` uniform between ``1 / num_out`` and ``1 - 1 / num_out``, so that the units forget over
    times of all lengths (Gu et al., "Improving the gating mechanism of recurrent neural networks",
    2020). The states ``h`` and ``c`` of shape ``(batch, num_out)``, or ``(num_out,)`` without a
    batch, are made by `init_state`.

    Args:
        num_in: number of input features.
        num_out: number of units.
        w_init: initializer of the kernel.
        state_init: initializer of ``h`` and ``c``.
        activation: name of a function of this package, or a function.
        name: a label for the user.
        gate_activation: name or function for the three gates.
        dtype: what input, ``h`` and kernel are cast to for the product. None: as `jax.numpy`
            promotes them. ``h`` and ``c`` follow from promotion in either case, so they stay in
            float32 when they start so.

    Raises:
        ValueError: if a number of features is no integer, or there is no activation function of a
            name.
        TypeError: if an activation is neither a name nor a function.

    Example:
        >>> cell = URLSTMCell(3, 5)
        >>> cell.init_state(2)
        >>> cell(jnp.ones((2, 3))).shape
        (2, 5)
        >>> cell.W.weight.value["weight"].shape, cell.bias.value.shape
        ((8, 20), (5,))
    """

    hidden = ("c", "h")
    c: State[jax.Array]

    def __init__(
        self,
        num_in: int,
        num_out: int,
        w_init: Any = _KERNEL,
        state_init: Any = _ZERO,
        activation: Activation = "tanh",
        name: str | None = None,
        *,
        gate_activation: Activation = "sigmoid",
        dtype: Any = None,
    ) -> None:
        super().__init__(num_in, num_out, state_init, activation, name)
        find_activation(gate_activation, "gate_activation")
        self.w_init = remembered(w_init)
        self.gate_activation = gate_activation
        self.dtype = dtype
        self.W = Linear(
            self.num_in + self.num_out, 4 * self.num_out, w_init=w_init, b_init=None, dtype=dtype
        )
        self.bias: State[jax.Array] = ParamState(parameter(_SPREAD, (self.num_out,)))

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
        h, c, bias = self.h.value, self.c.value, self.bias.value
        gate = find_activation(self.gate_activation, "gate_activation")
        activate = find_activation(self.activation, "activation")
        f, r, u, o = jnp.split(self.W(jnp.concatenate([x, h], axis=-1)), 4, axis=-1)
        f, r = gate(f + bias), gate(r - bias)
        g = 2 * r * f + (1 - 2 * r) * f**2
        c = g * c + (1 - g) * activate(u)
        h = gate(o) * activate(c)
        self.h.value, self.c.value = h, c
        return h
