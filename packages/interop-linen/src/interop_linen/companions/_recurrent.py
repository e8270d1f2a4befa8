"""Recurrent cells of forms that Linen's own have not, with a carry and with a state."""

from __future__ import annotations

from ._recurrent_step import (
    GRUStep,
    LSTMStep,
    MGUStep,
    Stateful,
    URLSTMStep,
    ValinaRNNStep,
    WithCarry,
)

__all__ = [
    "GRUCell",
    "LSTMCell",
    "MGUCell",
    "StatefulGRUCell",
    "StatefulLSTMCell",
    "StatefulMGUCell",
    "StatefulURLSTMCell",
    "StatefulValinaRNNCell",
    "URLSTMCell",
    "ValinaRNNCell",
]


class ValinaRNNCell(WithCarry, ValinaRNNStep):
    """A plain recurrent cell, which takes and returns its carry ``h``.

    ``h' = a([x, h] @ W + b)`` with the activation ``a``.

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        use_bias: whether there are biases.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the state ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> cell, x = ValinaRNNCell(5), jnp.ones((2, 3))
        >>> carry = cell.initialize_carry(jax.random.key(0), x.shape)
        >>> variables = cell.init(jax.random.key(1), carry, x)
        >>> carry, y = cell.apply(variables, carry, x)
        >>> y.shape, variables["params"]["W"]["kernel"].shape
        ((2, 5), (8, 5))
    """


class StatefulValinaRNNCell(Stateful, ValinaRNNStep):
    """`ValinaRNNCell` with its carry ``h`` in the collection ``"carry"``, for use in a stack.

    A state that is not there yet begins with ``carry_init``: zeros, for any batch size.

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        use_bias: whether there are biases.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the state ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, x = StatefulValinaRNNCell(5), jnp.ones((2, 3))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> y, moved = layer.apply(variables, x, mutable=["carry"])
        >>> y.shape, sorted(moved["carry"])
        ((2, 5), ['h'])
    """


class LSTMCell(WithCarry, LSTMStep):
    """A long short-term memory cell, which takes and returns its carry ``(c, h)``.

    With the activation ``a``, the gates' function ``s``, and ``z = [x, h] @ W + b`` in the blocks
    ``i, g, f, o``::

        c' = s(f + forget_bias) * c + s(i) * a(g)
        h' = s(o) * a(c')

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        use_bias: whether there are biases.
        forget_bias: number added to the forget gate in every call.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the states ``c`` and ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> cell, x = LSTMCell(5), jnp.ones((2, 3))
        >>> carry = cell.initialize_carry(jax.random.key(0), x.shape)
        >>> variables = cell.init(jax.random.key(1), carry, x)
        >>> carry, y = cell.apply(variables, carry, x)
        >>> y.shape, variables["params"]["W"]["kernel"].shape
        ((2, 5), (8, 20))
    """


class StatefulLSTMCell(Stateful, LSTMStep):
    """`LSTMCell` with its carry ``(c, h)`` in the collection ``"carry"``, for use in a stack.

    A state that is not there yet begins with ``carry_init``: zeros, for any batch size.

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        use_bias: whether there are biases.
        forget_bias: number added to the forget gate in every call.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the states ``c`` and ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, x = StatefulLSTMCell(5), jnp.ones((2, 3))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> y, moved = layer.apply(variables, x, mutable=["carry"])
        >>> y.shape, sorted(moved["carry"])
        ((2, 5), ['c', 'h'])
    """


class GRUCell(WithCarry, GRUStep):
    """A gated recurrent unit, which takes and returns its carry ``h``.

    With the activation ``a``, the gates' function ``s``::

        r, z = split(s([x, h] @ Wrz + brz), 2)
        n = a([x, r * h] @ Wh + bh)
        n = a(x @ Wh + bh + r * (h @ Uh + ch))        # reset_after=True
        h' = (1 - z) * h + z * n

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        use_bias: whether there are biases.
        reset_after: whether the gate resets behind the product with ``h``.
        hidden_bias: with ``reset_after=True``, whether there is the bias ``ch``.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the state ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> cell, x = GRUCell(5), jnp.ones((2, 3))
        >>> carry = cell.initialize_carry(jax.random.key(0), x.shape)
        >>> variables = cell.init(jax.random.key(1), carry, x)
        >>> carry, y = cell.apply(variables, carry, x)
        >>> y.shape, variables["params"]["Wh"]["kernel"].shape
        ((2, 5), (8, 5))
    """


class StatefulGRUCell(Stateful, GRUStep):
    """`GRUCell` with its carry ``h`` in the collection ``"carry"``, for use in a stack.

    A state that is not there yet begins with ``carry_init``: zeros, for any batch size.

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        use_bias: whether there are biases.
        reset_after: whether the gate resets behind the product with ``h``.
        hidden_bias: with ``reset_after=True``, whether there is the bias ``ch``.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the state ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, x = StatefulGRUCell(5), jnp.ones((2, 3))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> y, moved = layer.apply(variables, x, mutable=["carry"])
        >>> y.shape, sorted(moved["carry"])
        ((2, 5), ['h'])
    """


class MGUCell(WithCarry, MGUStep):
    """A minimal gated unit, which takes and returns its carry ``h``.

    With the activation ``a``, the gates' function ``s``::

        f = s([x, h] @ Wf + bf)
        n = a([x, f * h] @ Wh + bh)
        n = a(x @ Wh + bh + f * (h @ Uh + ch))        # reset_after=True
        n = a([x, h] @ Wh + bh)                       # reset_gate=False
        h' = (1 - f) * h + f * n
        h' = f * h + (1 - f) * n                      # gate_keeps=True

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        use_bias: whether there are biases.
        reset_after: whether the gate resets behind the product with ``h``.
        reset_gate: whether the gate resets at all.
        gate_keeps: whether the gate weighs the old state, not the new candidate.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the state ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> cell, x = MGUCell(5), jnp.ones((2, 3))
        >>> carry = cell.initialize_carry(jax.random.key(0), x.shape)
        >>> variables = cell.init(jax.random.key(1), carry, x)
        >>> carry, y = cell.apply(variables, carry, x)
        >>> y.shape, variables["params"]["Wh"]["kernel"].shape
        ((2, 5), (8, 5))
    """


class StatefulMGUCell(Stateful, MGUStep):
    """`MGUCell` with its carry ``h`` in the collection ``"carry"``, for use in a stack.

    A state that is not there yet begins with ``carry_init``: zeros, for any batch size.

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        use_bias: whether there are biases.
        reset_after: whether the gate resets behind the product with ``h``.
        reset_gate: whether the gate resets at all.
        gate_keeps: whether the gate weighs the old state, not the new candidate.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the biases.
        carry_init: initializer of the state ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, x = StatefulMGUCell(5), jnp.ones((2, 3))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> y, moved = layer.apply(variables, x, mutable=["carry"])
        >>> y.shape, sorted(moved["carry"])
        ((2, 5), ['h'])
    """


class URLSTMCell(WithCarry, URLSTMStep):
    """A long short-term memory cell whose forget gate is refined by another.

    It takes and returns its carry ``(c, h)``.

    With the activation ``a``, the gates' function ``s``, and ``z = [x, h] @ W`` in the blocks
    ``f, r, u, o``::

        f, r = s(f + b), s(r - b)
        g = 2 * r * f + (1 - 2 * r) * f ** 2
        c' = g * c + (1 - g) * a(u)
        h' = s(o) * a(c')

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the bias ``b``.
        carry_init: initializer of the states ``c`` and ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> cell, x = URLSTMCell(5), jnp.ones((2, 3))
        >>> carry = cell.initialize_carry(jax.random.key(0), x.shape)
        >>> variables = cell.init(jax.random.key(1), carry, x)
        >>> carry, y = cell.apply(variables, carry, x)
        >>> y.shape, variables["params"]["W"]["kernel"].shape
        ((2, 5), (8, 20))
    """


class StatefulURLSTMCell(Stateful, URLSTMStep):
    """`URLSTMCell` with its carry ``(c, h)`` in the collection ``"carry"``, for use in a stack.

    A state that is not there yet begins with ``carry_init``: zeros, for any batch size.

    Attributes:
        features: number of units.
        activation_fn: the function ``a``.
        gate_fn: the function ``s``.
        dtype: what the products are computed in; None for what inputs and kernels promote to.
        param_dtype: dtype of the parameters.
        kernel_init: initializer of the kernels.
        bias_init: initializer of the bias ``b``.
        carry_init: initializer of the states ``c`` and ``h``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, x = StatefulURLSTMCell(5), jnp.ones((2, 3))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> y, moved = layer.apply(variables, x, mutable=["carry"])
        >>> y.shape, sorted(moved["carry"])
        ((2, 5), ['c', 'h'])
    """
