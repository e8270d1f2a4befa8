"""Recurrent cells that NNX has not, and cells that hold their carry themselves.

A *cell* takes and returns its carry, as every cell of NNX does, and runs under `nnx.RNN`. A
*stateful* cell holds it in variables of the type `Carry` and is called with the input alone, so
that it can stand in an `nnx.Sequential`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from ._carry import Carrying
from ._recurrent_step import ZEROS, GRUStep, LSTMStep, MGUStep, URLSTMStep, VanillaStep

Shape = tuple[int, ...]


class Cell(nnx.RNNCellBase):
    """The base of the cells that take and return their carry."""

    carried: ClassVar[tuple[str, ...]] = ("h",)
    in_features: int
    hidden_features: int
    param_dtype: Any

    def step(self, carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        """Compute the carry after one step; its last entry is the output."""
        raise NotImplementedError

    def __call__(self, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """Advance by one step.

        Args:
            carry: ``h``, or ``(c, h)`` where the cell has two.
            inputs: array of shape ``(..., in_features)``.

        Returns:
            The carry after the step, and ``h``.
        """
        single = len(self.carried) == 1
        after = self.step((carry,) if single else tuple(carry), inputs)
        return (after[0] if single else after), after[-1]

    def initialize_carry(self, input_shape: Shape, rngs: Any = None, carry_init: Any = None) -> Any:
        """Make a carry of zeros.

        Args:
            input_shape: shape of one step of the input.
            rngs: of no effect.
            carry_init: another initializer of each entry.
        """
        shape = (*input_shape[:-1], self.hidden_features)
        make = ZEROS if carry_init is None else carry_init
        key = rngs.carry() if isinstance(rngs, nnx.Rngs) else jax.random.key(0)
        carry = tuple(make(key, shape, self.param_dtype) for _ in self.carried)
        return carry[0] if len(carry) == 1 else carry

    @property
    def num_feature_axes(self) -> int:
        """One step of the input has its features on one axis."""
        return 1


class Stateful(Carrying):
    """The base of the cells that hold their carry, in variables of the type `Carry`.

    There is none until `reset_carry` makes it.
    """

    carried: ClassVar[tuple[str, ...]] = ("h",)
    hidden_features: int
    param_dtype: Any

    def step(self, carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        """Compute the carry after one step; its last entry is the output."""
        raise NotImplementedError

    @property
    def hidden_shape(self) -> Shape:
        """Shape of the carry of one example."""
        return (self.hidden_features,)

    def reset_carry(self, batch_shape: Sequence[int] = ()) -> None:
        """Begin a sequence: make the carry, or set it back, to zeros.

        Args:
            batch_shape: the axes in front of one example.
        """
        # Parameters of another dtype do not make a sequence begin in theirs.
        for name in self.carried:
            self.carry_on(name, jnp.zeros((*batch_shape, *self.hidden_shape)))

    def __call__(self, x: Any) -> Any:
        """Advance by one step.

        Args:
            x: array of shape ``(..., in_features)``.

        Returns:
            The new ``h``.

        Raises:
            ValueError: if there is no carry yet, or it has other leading axes.
        """
        held = [getattr(self, name, None) for name in self.carried]
        if any(variable is None for variable in held):
            raise ValueError(
                f"This {type(self).__name__} has no carry yet: call reset_carry(batch_shape), or "
                "reset_carries(model, batch_shape) on the whole model."
            )
        carry = tuple(variable.get_value() for variable in held if variable is not None)
        if jnp.shape(x)[:-1] != carry[-1].shape[:-1]:
            raise ValueError(
                f"The input has the shape {jnp.shape(x)} and the carry {carry[-1].shape}: their "
                "leading axes must agree. reset_carry(batch_shape) makes one that fits."
            )
        after = self.step(carry, x)
        for variable, array in zip(held, after, strict=True):
            if variable is not None:
                variable.set_value(array)
        return after[-1]


class ValinaRNNCell(VanillaStep, Cell):
    """A plain recurrent cell, with a bias or without: ``h' = a([x, h] @ W + b)``.

    (Spelled as in `brainstate`.) The carry is ``h``.


    Args:
        in_features: number of input features.
        hidden_features: number of units.
        activation_fn: the function ``a``.
        use_bias: whether there are biases.
        dtype: what input, carry and parameters are cast to for the products; ``None`` for what
            `jax.numpy` promotes them to.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        rngs: what the parameters are drawn from.

    Example:
        >>> cell = ValinaRNNCell(3, 4, rngs=nnx.Rngs(0))
        >>> h, y = cell(jnp.zeros(4), jnp.ones(3))
        >>> y.shape
        (4,)
    """


class StatefulValinaRNNCell(VanillaStep, Stateful):
    """A plain recurrent cell that holds its carry.

    Computes what `ValinaRNNCell` computes, and takes its arguments. The carry is in the variables
    ``h`` of the type `Carry`, which `reset_carry` makes.

    Example:
        >>> cell = StatefulValinaRNNCell(3, 4, rngs=nnx.Rngs(0))
        >>> cell.reset_carry((2,))
        >>> cell(jnp.ones((2, 3))).shape
        (2, 4)
    """


class LSTMCell(LSTMStep, Cell):
    """A long short-term memory, with a bias or without.

    With ``z = [x, h] @ W + b`` in four blocks ``i, g, f, o``::

        c' = s(f + forget_bias) * c + s(i) * a(g)
        h' = s(o) * a(c')

    The carry is ``(c, h)``.


    Args:
        in_features: number of input features.
        hidden_features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        forget_bias: number added to the forget gate in every call.
        use_bias: whether there are biases.
        dtype: what input, carry and parameters are cast to for the products; ``None`` for what
            `jax.numpy` promotes them to.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        rngs: what the parameters are drawn from.

    Example:
        >>> cell = LSTMCell(3, 4, rngs=nnx.Rngs(0))
        >>> carry, y = cell((jnp.zeros(4), jnp.zeros(4)), jnp.ones(3))
        >>> y.shape
        (4,)
    """

    carried = ("c", "h")


class StatefulLSTMCell(LSTMStep, Stateful):
    """A long short-term memory that holds its carry.

    Computes what `LSTMCell` computes, and takes its arguments. The carry is in the variables
    ``c`` and ``h`` of the type `Carry`, which `reset_carry` makes.

    Example:
        >>> cell = StatefulLSTMCell(3, 4, rngs=nnx.Rngs(0))
        >>> cell.reset_carry((2,))
        >>> cell(jnp.ones((2, 3))).shape
        (2, 4)
    """

    carried = ("c", "h")


class GRUCell(GRUStep, Cell):
    """A gated recurrent unit whose reset gate acts in front of the product or behind it.

    With ``r, z = split(s([x, h] @ W + b), 2)`` and ``h' = (1 - z) * h + z * n``, the candidate is::

        n = a([x, r * h] @ V + d)
        n = a(x @ V + d + r * (h @ U + e))  # with reset_after=True

    The carry is ``h``.


    Args:
        in_features: number of input features.
        hidden_features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        reset_after: whether the reset gate acts behind the product with ``h``.
        hidden_bias: with ``reset_after=True``, whether there is the bias ``e``.
        use_bias: whether there are biases.
        dtype: what input, carry and parameters are cast to for the products; ``None`` for what
            `jax.numpy` promotes them to.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of each kernel.
        bias_init: initializer of each bias.
        rngs: what the parameters are drawn from.

    Example:
        >>> cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
        >>> h, y = cell(jnp.zeros(4), jnp.ones(3))
        >>> y.shape
        (4,)
    """


class StatefulGRUCell(GRUStep, Stateful):
    """A gated recurrent unit that holds its carry.

    Computes what `GRUCell` computes, and takes its arguments. The carry is in the variables
    ``h`` of the type `Carry`, which `reset_carry` makes.

    Example:
        >>> cell = StatefulGRUCell(3, 4, rngs=nnx.Rngs(0))
        >>> cell.reset_carry((2,))
        >>> cell(jnp.ones((2, 3))).shape
        (2, 4)
    """


class MGUCell(MGUStep, Cell):
    """A minimal gated unit: one gate both resets and updates.

    With ``f = s([x, h] @ W + b)`` and ``h' = (1 - f) * h + f * n``, the candidate is one of::

        n = a([x, f * h] @ V + d)
        n = a(x @ V + d + f * (h @ U + e))  # with reset_after=True
        n = a([x, h] @ V + d)  # with reset_gate=False

    The carry is ``h``.

    Args:
        in_features: number of input features.
        hidden_features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        reset_after: whether the gate acts behind the product with ``h``.
        reset_gate: whether the gate acts on the candidate at all.
        gate_keeps: whether the gate weighs the old state instead: ``f * h + (1 - f) * n``.
        use_bias: whether there are biases.
        dtype: what input, carry and parameters are cast to for the products; ``None`` for what
            `jax.numpy` promotes them to.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of each kernel.
        bias_init: initializer of each bias.
        rngs: what the parameters are drawn from.

    Example:
        >>> cell = MGUCell(3, 4, rngs=nnx.Rngs(0))
        >>> h, y = cell(jnp.zeros(4), jnp.ones(3))
        >>> y.shape
        (4,)
    """


class StatefulMGUCell(MGUStep, Stateful):
    """A minimal gated unit that holds its carry.

    Computes what `MGUCell` computes, and takes its arguments. The carry is in the variables
    ``h`` of the type `Carry`, which `reset_carry` makes.

    Example:
        >>> cell = StatefulMGUCell(3, 4, rngs=nnx.Rngs(0))
        >>> cell.reset_carry((2,))
        >>> cell(jnp.ones((2, 3))).shape
        (2, 4)
    """


class URLSTMCell(URLSTMStep, Cell):
    """A long short-term memory whose forget gate is uniform at first and refined by another.

    With ``[x, h] @ W`` in four blocks ``f, r, u, o`` and the bias ``b``::

        f, r = s(f + b), s(r - b)
        g = 2 * r * f + (1 - 2 * r) * f ** 2
        c' = g * c + (1 - g) * a(u)
        h' = s(o) * a(c')

    The carry is ``(c, h)``.


    Args:
        in_features: number of input features.
        hidden_features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        dtype: what input, carry and parameters are cast to for the products; ``None`` for what
            `jax.numpy` promotes them to.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of ``b``; by default ``sigmoid(b)`` is uniform.
        rngs: what the parameters are drawn from.

    Example:
        >>> cell = URLSTMCell(3, 4, rngs=nnx.Rngs(0))
        >>> carry, y = cell((jnp.zeros(4), jnp.zeros(4)), jnp.ones(3))
        >>> y.shape
        (4,)
    """

    carried = ("c", "h")


class StatefulURLSTMCell(URLSTMStep, Stateful):
    """A long short-term memory with a refined forget gate that holds its carry.

    Computes what `URLSTMCell` computes, and takes its arguments. The carry is in the variables
    ``c`` and ``h`` of the type `Carry`, which `reset_carry` makes.

    Example:
        >>> cell = StatefulURLSTMCell(3, 4, rngs=nnx.Rngs(0))
        >>> cell.reset_carry((2,))
        >>> cell(jnp.ones((2, 3))).shape
        (2, 4)
    """

    carried = ("c", "h")
