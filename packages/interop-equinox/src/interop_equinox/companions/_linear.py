"""Companions that multiply with other weights than those that they store, and connections."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ._constant import constant, value_of


def drawn(key: Any, shape: tuple[int, ...], inputs: int) -> Any:
    """Weights as Equinox draws them: uniform, within one over the root of the number of inputs."""
    bound = 1 / math.sqrt(max(inputs, 1))
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def product(x: Any, weight: Any, bias: Any, dtype: Any, precision: Any) -> Any:
    """Compute ``x @ weight.T + bias``, in ``dtype`` or in what `jax.numpy` promotes them to."""
    x = jnp.asarray(x)
    if dtype is not None:
        x, weight = x.astype(dtype), weight.astype(dtype)
        bias = None if bias is None else bias.astype(dtype)
    y = jnp.dot(x, weight.T, precision=precision)
    return y if bias is None else y + bias


def standardised(weight: Any, eps: float, gain: Any) -> Any:
    """A weight with the mean 0 and the variance ``1 / n`` over the ``n`` entries of an output."""
    axes = tuple(range(1, weight.ndim))
    mean = jnp.mean(weight, axis=axes, keepdims=True)
    total = jnp.var(weight, axis=axes, keepdims=True) * math.prod(weight.shape[1:])
    factor = lax.rsqrt(jnp.maximum(total, eps))
    return (weight - mean) * (factor if gain is None else factor * jnp.reshape(gain, mean.shape))


def turned(factor: Any, weight: Any) -> Any:
    """A factor on ``(*places, in, out)``, or what broadcasts to it, as ``(out, in, *places)``.

    Example:
        >>> turned(jnp.arange(2.0), jnp.ones((2, 3))).tolist()  # one number for each output
        [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    outs, ins, *places = weight.shape
    return jnp.moveaxis(jnp.broadcast_to(factor, (*places, ins, outs)), (-1, -2), (0, 1))


class MaskedLinear(eqx.Module):
    """A linear layer whose weight has a mask: ``y = (W * w_mask.T) x + b``.

    Args:
        in_features: number of input features.
        out_features: number of output features.
        w_mask: factor on the weight in every call: an array that broadcasts to the shape
            ``(in_features, out_features)``, or a number. Where it is zero no gradient reaches the
            weight.
        use_bias: whether there is a bias.
        dtype: what input and parameters are cast to; None for what `jax.numpy` promotes them to.
        precision: precision of the product.
        key: what the parameters are drawn from.

    Example:
        >>> layer = MaskedLinear(3, 4, w_mask=0.0, use_bias=False, key=jax.random.key(0))
        >>> layer(jnp.ones(3)).tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    weight: jax.Array
    bias: jax.Array | None
    in_features: int = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    w_mask: Any = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    precision: Any = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        w_mask: Any = None,
        use_bias: bool = True,
        dtype: Any = None,
        precision: Any = None,
        *,
        key: Any,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.w_mask, self.use_bias = constant(w_mask), use_bias
        self.dtype, self.precision = dtype, precision
        keys = jax.random.split(key)
        self.weight = drawn(keys[0], (out_features, in_features), in_features)
        self.bias = drawn(keys[1], (out_features,), in_features) if use_bias else None

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Multiply the last axis of ``(..., in_features)``, and add the bias."""
        weight, mask = self.weight, value_of(self.w_mask)
        if mask is not None:
            weight = weight * turned(mask, weight)
        return product(x, weight, self.bias, self.dtype, self.precision)


class SignedWLinear(eqx.Module):
    """A linear layer whose weights keep their signs: ``y = (abs(W) * w_sign.T) x``.

    Args:
        in_features: number of input features.
        out_features: number of output features.
        w_sign: the signs: an array that broadcasts to the shape ``(in_features, out_features)``, a
            number, or None for 1.
        dtype: what input and weight are cast to; None for what `jax.numpy` promotes them to.
        precision: precision of the product.
        key: what the weight is drawn from.

    Example:
        >>> layer = SignedWLinear(3, 4, w_sign=-1, key=jax.random.key(0))
        >>> bool((layer(jnp.ones(3)) < 0).all())
        True
    """

    weight: jax.Array
    in_features: int = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    w_sign: Any = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    precision: Any = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        w_sign: Any = None,
        dtype: Any = None,
        precision: Any = None,
        *,
        key: Any,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.w_sign = constant(w_sign)
        self.dtype, self.precision = dtype, precision
        self.weight = drawn(key, (out_features, in_features), in_features)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Multiply the last axis of ``(..., in_features)``."""
        weight, sign = jnp.abs(self.weight), value_of(self.w_sign)
        if sign is not None:
            weight = weight * turned(sign, weight)
        return product(x, weight, None, self.dtype, self.precision)


class ScaledWSLinear(eqx.Module):
    """A linear layer whose weight is standardised for each output in every call.

    ``y = (S * w_mask.T) x + b`` with ``S = (W - mean) / sqrt(max(n * var, eps)) * gain`` over the
    ``n`` inputs of each output.

    Args:
        in_features: number of input features.
        out_features: number of output features.
        w_mask: factor on the standardised weight: an array that broadcasts to the shape
            ``(in_features, out_features)``, or a number.
        ws_gain: whether there is a gain, one number for each output.
        eps: lower bound of ``n * var``.
        use_bias: whether there is a bias.
        dtype: what input, standardised weight and bias are cast to; None for what `jax.numpy`
            promotes them to.
        precision: precision of the product.
        key: what the parameters are drawn from.

    Example:
        >>> ScaledWSLinear(3, 4, key=jax.random.key(0))(jnp.ones(3)).shape
        (4,)
    """

    weight: jax.Array
    bias: jax.Array | None
    gain: jax.Array | None
    in_features: int = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    w_mask: Any = eqx.field(static=True)
    ws_gain: bool = eqx.field(static=True)
    eps: float = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    precision: Any = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        w_mask: Any = None,
        ws_gain: bool = True,
        eps: float = 1e-4,
        use_bias: bool = True,
        dtype: Any = None,
        precision: Any = None,
        *,
        key: Any,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.w_mask, self.ws_gain, self.eps = constant(w_mask), ws_gain, eps
        self.use_bias, self.dtype, self.precision = use_bias, dtype, precision
        keys = jax.random.split(key)
        self.weight = drawn(keys[0], (out_features, in_features), in_features)
        self.bias = drawn(keys[1], (out_features,), in_features) if use_bias else None
        self.gain = jnp.ones(out_features) if ws_gain else None

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Standardise the weight, multiply the last axis of the input, and add the bias."""
        weight, mask = standardised(self.weight, self.eps, self.gain), value_of(self.w_mask)
        if mask is not None:
            weight = weight * turned(mask, weight)
        return product(x, weight, self.bias, self.dtype, self.precision)


class AllToAll(eqx.Module):
    """Connects every input to every output, or to every one but that at its own position.

    ``y = W x + b``, where the diagonal of ``W`` counts as 0 with ``include_self=False``.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        shared_weight: whether ``W`` is one number for all connections.
        include_self: whether input ``i`` is connected to output ``i``.
        use_bias: whether there is a bias.
        key: what the parameters are drawn from.

    Example:
        >>> layer = AllToAll(3, 3, True, include_self=False, key=jax.random.key(0))
        >>> layer = eqx.tree_at(lambda layer: layer.weight, layer, jnp.ones(()))
        >>> layer(jnp.array([1.0, 2.0, 4.0])).tolist()
        [6.0, 5.0, 3.0]
    """

    weight: jax.Array
    bias: jax.Array | None
    in_features: int = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    shared_weight: bool = eqx.field(static=True)
    include_self: bool = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        shared_weight: bool = False,
        include_self: bool = True,
        use_bias: bool = False,
        *,
        key: Any,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.shared_weight, self.include_self = shared_weight, include_self
        self.use_bias = use_bias
        keys = jax.random.split(key)
        shape = () if shared_weight else (out_features, in_features)
        self.weight = drawn(keys[0], shape, in_features)
        self.bias = drawn(keys[1], (out_features,), in_features) if use_bias else None

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Send the last axis of ``(..., in_features)`` along the connections."""
        x, weight = jnp.asarray(x), self.weight
        if self.shared_weight:
            y = self._sum(x.astype(jnp.result_type(x, weight))) * weight
        else:
            own = jnp.eye(self.out_features, self.in_features, dtype=bool)
            y = jnp.dot(x, (weight if self.include_self else jnp.where(own, 0, weight)).T)
        return y if self.bias is None else y + self.bias

    def _sum(self, x: Any) -> Any:
        """The product with a matrix of ones: all outputs are one sum, but for their own input."""
        total = jnp.sum(x, axis=-1, keepdims=True)
        if self.include_self:
            return jnp.broadcast_to(total, (*x.shape[:-1], self.out_features))
        longer = (0, self.out_features - self.in_features, 0)
        own = lax.pad(x, jnp.zeros((), x.dtype), [*[(0, 0, 0)] * (x.ndim - 1), longer])
        return total - own


class OneToOne(eqx.Module):
    """Multiplies each input by a weight of its own: ``y = x * W + b``.

    Args:
        in_size: shape of one example, which is that of the weights.
        shared_weight: whether ``W`` is one number for all inputs.
        use_bias: whether there is a bias.
        key: what the parameters are drawn from.

    Raises:
        ValueError: when called with an array that does not end in this shape.

    Example:
        >>> OneToOne((3,), key=jax.random.key(0))(jnp.ones(3)).shape
        (3,)
    """

    weight: jax.Array
    bias: jax.Array | None
    in_size: tuple[int, ...] = eqx.field(static=True)
    shared_weight: bool = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)

    def __init__(
        self,
        in_size: tuple[int, ...],
        shared_weight: bool = False,
        use_bias: bool = False,
        *,
        key: Any,
    ) -> None:
        self.in_size, self.shared_weight, self.use_bias = tuple(in_size), shared_weight, use_bias
        keys = jax.random.split(key)
        self.weight = jax.random.normal(keys[0], () if shared_weight else self.in_size)
        self.bias = jax.random.normal(keys[1], self.in_size) if use_bias else None

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Multiply each entry, and add the bias."""
        rank = len(self.in_size)
        if rank and jnp.shape(x)[-rank:] != self.in_size:
            raise ValueError(f"OneToOne has weights of shape {self.in_size}, got {jnp.shape(x)}.")
        y = x * self.weight
        return y if self.bias is None else y + self.bias


class LoRA(eqx.Module):
    """The product of two narrow matrices, alone or added to a layer: ``y = base(x) + B (A x)``.

    Args:
        in_features: number of input features.
        lora_rank: number of rows of ``A``, few where the matrix shall be cheap.
        out_features: number of output features.
        base_module: the layer; None for the product alone.
        key: what the matrices are drawn from.

    Example:
        >>> layer = LoRA(4, 2, 8, key=jax.random.key(0))
        >>> layer(jnp.ones(4)).shape, layer.lora_a.shape, layer.lora_b.shape
        ((8,), (2, 4), (8, 2))
    """

    lora_a: jax.Array
    lora_b: jax.Array
    in_features: int = eqx.field(static=True)
    lora_rank: int = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    base_module: Any

    def __init__(
        self,
        in_features: int,
        lora_rank: int,
        out_features: int,
        base_module: Any = None,
        *,
        key: Any,
    ) -> None:
        self.in_features, self.lora_rank = in_features, lora_rank
        self.out_features = out_features
        self.base_module = base_module
        keys = jax.random.split(key)
        self.lora_a = drawn(keys[0], (lora_rank, in_features), in_features)
        self.lora_b = drawn(keys[1], (out_features, lora_rank), lora_rank)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Multiply the last axis of ``(..., in_features)`` with both matrices."""
        y = jnp.dot(jnp.dot(jnp.asarray(x), self.lora_a.T), self.lora_b.T)
        return y if self.base_module is None else self.base_module(x) + y
