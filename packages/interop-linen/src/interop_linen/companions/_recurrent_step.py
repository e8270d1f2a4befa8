"""One step of each recurrent cell, and the two ways to call it: with a carry, and with a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen

Array = jax.Array
Function = Callable[[Any], Any]
Carry = tuple[Any, ...]


def _spread_biases(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Biases whose sigmoid is uniform between ``1 / n`` and ``1 - 1 / n``, for ``n`` units."""
    low = min(0.5, 1 / max(shape[0], 1))
    u = jax.random.uniform(key, shape, dtype, low, 1 - low)
    return jnp.log(u) - jnp.log1p(-u)


class Cell(linen.Module):
    """What the cells share: how many units, which function, and how the kernels begin."""

    carried: ClassVar[tuple[str, ...]] = ("h",)

    features: int
    activation_fn: Function = jnp.tanh
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Any = linen.initializers.xavier_normal()
    bias_init: Any = linen.initializers.zeros_init()
    carry_init: Any = linen.initializers.zeros_init()

    @linen.nowrap
    def _product(self, name: str, features: int, use_bias: bool, *inputs: Any) -> Array:
        dense = linen.Dense(
            features,
            use_bias=use_bias,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            kernel_init=self.kernel_init,
            bias_init=self.bias_init,
            name=name,
        )
        result: Array = dense(jnp.concatenate(inputs, axis=-1) if inputs[1:] else inputs[0])
        return result

    @linen.nowrap
    def _advance(self, carry: Carry, inputs: Any) -> Carry:
        """The carry after one step; its last entry is the output."""
        raise NotImplementedError

    @linen.nowrap
    def _start(self, key: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        started: Array = self.carry_init(key, (*shape[:-1], self.features), dtype)
        return started


class WithCarry(linen.RNNCellBase):
    """Makes a cell of Linen: it takes and returns its carry."""

    @linen.compact
    def __call__(self, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """Advance by one step.

        Args:
            carry: the state, or the tuple of states, of shape ``(..., features)``.
            inputs: array of shape ``(..., inputs)``.

        Returns:
            The new carry, and the output.
        """
        cell: Any = self
        if len(cell.carried) > 1:
            new = cell._advance(tuple(carry), inputs)
            return new, new[-1]
        (h,) = cell._advance((carry,), inputs)
        return h, h

    @linen.nowrap
    def initialize_carry(self, rng: Any, input_shape: tuple[int, ...]) -> Any:
        """Make the carry to begin with.

        Args:
            rng: a random key.
            input_shape: shape of the inputs, with their batch axes.
        """
        cell: Any = self
        keys = jax.random.split(rng, len(cell.carried))
        carry = tuple(cell._start(key, input_shape, cell.param_dtype) for key in keys)
        return carry if len(carry) > 1 else carry[0]

    @property
    def num_feature_axes(self) -> int:
        """The inputs have one axis of features."""
        return 1


class Stateful(linen.Module):
    """Makes a layer of a stack: it holds its carry in the collection ``"carry"``."""

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Advance by one step.

        Args:
            inputs: array of shape ``(..., inputs)``, with the leading axes of the carry.

        Returns:
            The new state, of shape ``(..., features)``.

        Raises:
            flax.errors.ModifyScopeVariableError: where the collection ``"carry"`` is not mutable.
        """
        cell: Any = self
        key = jax.random.key(0)  # zeros, by default, need none of the caller's
        # Parameters of another dtype do not make a sequence begin in theirs.
        dtype = jnp.result_type(float)
        states = [
            self.variable("carry", name, cell._start, key, jnp.shape(inputs), dtype)
            for name in cell.carried
        ]
        new = cell._advance(tuple(state.value for state in states), inputs)
        if not self.is_initializing():
            for state, value in zip(states, new, strict=True):
                state.value = value
        return new[-1]


class ValinaRNNStep(Cell):
    activation_fn: Function = jax.nn.relu
    use_bias: bool = True

    @linen.nowrap
    def _advance(self, carry: Carry, inputs: Any) -> Carry:
        return (
            self.activation_fn(self._product("W", self.features, self.use_bias, inputs, *carry)),
        )


class LSTMStep(Cell):
    carried: ClassVar[tuple[str, ...]] = ("c", "h")

    gate_fn: Function = jax.nn.sigmoid
    use_bias: bool = True
    forget_bias: float = 1.0

    @linen.nowrap
    def _advance(self, carry: Carry, inputs: Any) -> Carry:
        c, h = carry
        z = self._product("W", 4 * self.features, self.use_bias, inputs, h)
        i, g, f, o = jnp.split(z, 4, axis=-1)
        c = self.gate_fn(f + self.forget_bias) * c + self.gate_fn(i) * self.activation_fn(g)
        return c, self.gate_fn(o) * self.activation_fn(c)


class URLSTMStep(Cell):
    carried: ClassVar[tuple[str, ...]] = ("c", "h")

    gate_fn: Function = jax.nn.sigmoid
    bias_init: Any = _spread_biases

    @linen.nowrap
    def _advance(self, carry: Carry, inputs: Any) -> Carry:
        c, h = carry
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        z = self._product("W", 4 * self.features, False, inputs, h)
        f, r, u, o = jnp.split(z, 4, axis=-1)
        f, r = self.gate_fn(f + bias), self.gate_fn(r - bias)
        g = 2 * r * f + (1 - 2 * r) * f**2
        c = g * c + (1 - g) * self.activation_fn(u)
        return c, self.gate_fn(o) * self.activation_fn(c)


class GRUStep(Cell):
    gate_fn: Function = jax.nn.sigmoid
    use_bias: bool = True
    reset_after: bool = False
    hidden_bias: bool = True
    kernel_init: Any = linen.initializers.orthogonal()

    @linen.nowrap
    def _advance(self, carry: Carry, inputs: Any) -> Carry:
        (h,), units, bias = carry, self.features, self.use_bias
        gates = self.gate_fn(self._product("Wrz", 2 * units, bias, inputs, h))
        r, z = jnp.split(gates, 2, axis=-1)
        if self.reset_after:
            behind = self._product("Uh", units, bias and self.hidden_bias, h)
            n = self.activation_fn(self._product("Wh", units, bias, inputs) + r * behind)
        else:
            n = self.activation_fn(self._product("Wh", units, bias, inputs, r * h))
        return ((1 - z) * h + z * n,)


class MGUStep(Cell):
    gate_fn: Function = jax.nn.sigmoid
    use_bias: bool = True
    reset_after: bool = False
    reset_gate: bool = True
    gate_keeps: bool = False
    kernel_init: Any = linen.initializers.orthogonal()

    @linen.nowrap
    def _advance(self, carry: Carry, inputs: Any) -> Carry:
        (h,), units, bias = carry, self.features, self.use_bias
        f = self.gate_fn(self._product("Wf", units, bias, inputs, h))
        if self.reset_after:
            behind = self._product("Uh", units, bias, h)
            n = self.activation_fn(self._product("Wh", units, bias, inputs) + f * behind)
        else:
            reset = f * h if self.reset_gate else h
            n = self.activation_fn(self._product("Wh", units, bias, inputs, reset))
        old, new = (n, h) if self.gate_keeps else (h, n)
        return ((1 - f) * old + f * new,)
