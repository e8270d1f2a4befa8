"""What recurrent cells have and do in one step: the parameters and the formula of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

Function = Callable[[Any], Any]
Shape = tuple[int, ...]

KERNEL = nnx.initializers.xavier_normal()
ORTHOGONAL = nnx.initializers.orthogonal()
ZEROS = nnx.initializers.zeros_init()


def affine(x: Any, kernel: Any, bias: Any, dtype: Any) -> Any:
    """Compute ``x @ kernel + bias``, in ``dtype`` or in what `jax.numpy` promotes them to."""
    if dtype is not None:
        x, kernel = x.astype(dtype), kernel.astype(dtype)
        bias = None if bias is None else bias.astype(dtype)
    y = jnp.dot(x, kernel)
    return y if bias is None else y + bias


def value(parameter: Any) -> Any:
    """The array in a parameter; None where there is none."""
    return None if parameter is None else parameter.get_value()


class VanillaStep(nnx.Module):
    """The parameters and the step of the plain cell."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        activation_fn: Function = jax.nn.relu,
        use_bias: bool = True,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.hidden_features = in_features, hidden_features
        self.activation_fn, self.use_bias = activation_fn, use_bias
        self.dtype, self.param_dtype = dtype, param_dtype
        self.kernel = _kernel(
            kernel_init, rngs, (in_features + hidden_features, hidden_features), param_dtype
        )
        self.bias = _bias(bias_init, rngs, hidden_features if use_bias else 0, param_dtype)

    def step(self, carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        """Compute the carry after one step."""
        joined = jnp.concatenate([x, carry[0]], axis=-1)
        return (
            self.activation_fn(affine(joined, value(self.kernel), value(self.bias), self.dtype)),
        )


class LSTMStep(nnx.Module):
    """The parameters and the step of the long short-term memory."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
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
        self.in_features, self.hidden_features = in_features, hidden_features
        self.activation_fn, self.gate_fn = activation_fn, gate_fn
        self.forget_bias, self.use_bias = forget_bias, use_bias
        self.dtype, self.param_dtype = dtype, param_dtype
        self.kernel = _kernel(
            kernel_init, rngs, (in_features + hidden_features, 4 * hidden_features), param_dtype
        )
        self.bias = _bias(bias_init, rngs, 4 * hidden_features if use_bias else 0, param_dtype)

    def step(self, carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        """Compute the carry after one step."""
        c, h = carry
        gate, activate = self.gate_fn, self.activation_fn
        joined = jnp.concatenate([x, h], axis=-1)
        z = affine(joined, value(self.kernel), value(self.bias), self.dtype)
        i, g, f, o = jnp.split(z, 4, axis=-1)
        c = gate(f + self.forget_bias) * c + gate(i) * activate(g)
        return c, gate(o) * activate(c)


class GRUStep(nnx.Module):
    """The parameters and the step of the gated recurrent unit."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        activation_fn: Function = jnp.tanh,
        gate_fn: Function = jax.nn.sigmoid,
        reset_after: bool = False,
        hidden_bias: bool = True,
        use_bias: bool = True,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = ORTHOGONAL,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.hidden_features = in_features, hidden_features
        self.activation_fn, self.gate_fn = activation_fn, gate_fn
        self.reset_after, self.hidden_bias, self.use_bias = reset_after, hidden_bias, use_bias
        self.dtype, self.param_dtype = dtype, param_dtype
        both, biases = in_features + hidden_features, hidden_features if use_bias else 0
        self.gates_kernel = _kernel(kernel_init, rngs, (both, 2 * hidden_features), param_dtype)
        self.gates_bias = _bias(bias_init, rngs, 2 * biases, param_dtype)
        ends = (in_features if reset_after else both, hidden_features)
        self.candidate_kernel = _kernel(kernel_init, rngs, ends, param_dtype)
        self.candidate_bias = _bias(bias_init, rngs, biases, param_dtype)
        square = (hidden_features, hidden_features) if reset_after else ()
        self.state_kernel = _kernel(kernel_init, rngs, square, param_dtype)
        behind = biases * (reset_after and hidden_bias)
        self.state_bias = _bias(bias_init, rngs, behind, param_dtype)

    def step(self, carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        """Compute the carry after one step."""
        (h,), dtype = carry, self.dtype
        kernel, bias = value(self.candidate_kernel), value(self.candidate_bias)
        joined = jnp.concatenate([x, h], axis=-1)
        gates = affine(joined, value(self.gates_kernel), value(self.gates_bias), dtype)
        r, z = jnp.split(self.gate_fn(gates), 2, axis=-1)
        if self.reset_after:
            n = affine(h, value(self.state_kernel), value(self.state_bias), dtype)
            n = self.activation_fn(affine(x, kernel, bias, dtype) + r * n)
        else:
            reset = jnp.concatenate([x, r * h], axis=-1)
            n = self.activation_fn(affine(reset, kernel, bias, dtype))
        return ((1 - z) * h + z * n,)


class MGUStep(nnx.Module):
    """The parameters and the step of the minimal gated unit."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        activation_fn: Function = jnp.tanh,
        gate_fn: Function = jax.nn.sigmoid,
        reset_after: bool = False,
        reset_gate: bool = True,
        gate_keeps: bool = False,
        use_bias: bool = True,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = ORTHOGONAL,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.hidden_features = in_features, hidden_features
        self.activation_fn, self.gate_fn = activation_fn, gate_fn
        self.reset_after, self.reset_gate, self.gate_keeps = reset_after, reset_gate, gate_keeps
        self.use_bias = use_bias
        self.dtype, self.param_dtype = dtype, param_dtype
        both, biases = in_features + hidden_features, hidden_features if use_bias else 0
        self.gate_kernel = _kernel(kernel_init, rngs, (both, hidden_features), param_dtype)
        self.gate_bias = _bias(bias_init, rngs, biases, param_dtype)
        ends = (in_features if reset_after else both, hidden_features)
        self.candidate_kernel = _kernel(kernel_init, rngs, ends, param_dtype)
        self.candidate_bias = _bias(bias_init, rngs, biases, param_dtype)
        square = (hidden_features, hidden_features) if reset_after else ()
        self.state_kernel = _kernel(kernel_init, rngs, square, param_dtype)
        self.state_bias = _bias(bias_init, rngs, biases * reset_after, param_dtype)

    def step(self, carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        """Compute the carry after one step."""
        (h,), dtype = carry, self.dtype
        kernel, bias = value(self.candidate_kernel), value(self.candidate_bias)
        joined = jnp.concatenate([x, h], axis=-1)
        f = self.gate_fn(affine(joined, value(self.gate_kernel), value(self.gate_bias), dtype))
        if self.reset_after:
            n = affine(h, value(self.state_kernel), value(self.state_bias), dtype)
            n = self.activation_fn(affine(x, kernel, bias, dtype) + f * n)
        else:
            reset = f * h if self.reset_gate else h
            n = affine(jnp.concatenate([x, reset], axis=-1), kernel, bias, dtype)
            n = self.activation_fn(n)
        old, new = (n, h) if self.gate_keeps else (h, n)
        return ((1 - f) * old + f * new,)


def _spread(key: Any, shape: Shape, dtype: Any) -> Any:
    """Biases whose sigmoid is uniform between ``1 / n`` and ``1 - 1 / n``, for ``n`` units."""
    low = min(0.5, 1 / max(shape[0], 1))
    u = jax.random.uniform(key, shape, dtype, low, 1 - low)
    return jnp.log(u) - jnp.log1p(-u)


class URLSTMStep(nnx.Module):
    """The parameters and the step of the long short-term memory with a refined forget gate."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        activation_fn: Function = jnp.tanh,
        gate_fn: Function = jax.nn.sigmoid,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        bias_init: Any = _spread,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.hidden_features = in_features, hidden_features
        self.activation_fn, self.gate_fn = activation_fn, gate_fn
        self.dtype, self.param_dtype = dtype, param_dtype
        self.kernel = _kernel(
            kernel_init, rngs, (in_features + hidden_features, 4 * hidden_features), param_dtype
        )
        self.bias = nnx.Param(bias_init(rngs.params(), (hidden_features,), param_dtype))

    def step(self, carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
        """Compute the carry after one step."""
        (c, h), bias = carry, value(self.bias)
        gate, activate = self.gate_fn, self.activation_fn
        joined = jnp.concatenate([x, h], axis=-1)
        f, r, u, o = jnp.split(affine(joined, value(self.kernel), None, self.dtype), 4, axis=-1)
        f, r = gate(f + bias), gate(r - bias)
        g = 2 * r * f + (1 - 2 * r) * f**2
        c = g * c + (1 - g) * activate(u)
        return c, gate(o) * activate(c)


def _kernel(init: Any, rngs: nnx.Rngs, shape: Shape, dtype: Any) -> nnx.Param[Any] | None:
    return nnx.Param(init(rngs.params(), shape, dtype)) if shape else None


def _bias(init: Any, rngs: nnx.Rngs, length: int, dtype: Any) -> nnx.Param[Any] | None:
    return nnx.Param(init(rngs.params(), (length,), dtype)) if length else None
