"""Attention with sizes, biases and heads that NNX's own cannot be given."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from ._random import Drawing, draw_key, stream

_KERNEL = jax.nn.initializers.lecun_normal(in_axis=0, out_axis=(1, 2))
_OUT_KERNEL = jax.nn.initializers.lecun_normal(in_axis=(0, 1), out_axis=2)
_ZEROS = jax.nn.initializers.zeros

_limits: Any = jnp.finfo  # without types in some releases of jax


def _attend(layer: Any, weight: dict[str, Any], inputs: Any, mask: Any, drop: Any) -> Any:
    """Projections, softmax over the keys, projection of what the heads collected."""
    q, k, v = (
        _affine(layer, "...i,ihd->...hd", weight, name, x)
        for name, x in zip(("query", "key", "value"), inputs, strict=True)
    )
    if layer.normalize_qk:
        q = _normalized(q, weight["query_scale"], layer.dtype)
        k = _normalized(k, weight["key_scale"], layer.dtype)
    common = jnp.result_type(q, k, v) if layer.dtype is None else layer.dtype
    q, k, v = q.astype(common), k.astype(common), v.astype(common)
    shared = q.shape[-2] // k.shape[-2]
    if shared > 1:
        k, v = jnp.repeat(k, shared, axis=-2), jnp.repeat(v, shared, axis=-2)
    q = q / jnp.asarray(math.sqrt(q.shape[-1]), q.dtype)
    logits = jnp.einsum("...qhd,...khd->...hqk", q, k, precision=layer.precision)
    if mask is not None:
        logits = jnp.where(mask, logits, _limits(logits.dtype).min)
    forced = layer.force_fp32_for_softmax
    wide = jnp.float32 if forced else jnp.promote_types(logits.dtype, jnp.float32)
    weights = jax.nn.softmax(logits.astype(wide), axis=-1)
    weights = drop(weights if forced else weights.astype(logits.dtype))
    collected = jnp.einsum("...hqk,...khd->...qhd", weights, v, precision=layer.precision)
    return _affine(layer, "...hd,hdo->...o", weight, "output", collected)


def _affine(layer: Any, subscripts: str, weight: dict[str, Any], name: str, x: Any) -> Any:
    kernel, bias = weight[f"{name}_weight"], weight.get(f"{name}_bias")
    if layer.dtype is not None:
        x, kernel = x.astype(layer.dtype), kernel.astype(layer.dtype)
        bias = None if bias is None else bias.astype(layer.dtype)
    y = jnp.einsum(subscripts, x, kernel, precision=layer.precision)
    return y if bias is None else y + bias


def _normalized(x: Any, scale: Any, dtype: Any) -> Any:
    wide = x.astype(jnp.promote_types(x.dtype if dtype is None else dtype, jnp.float32))
    mean = wide.mean(-1, keepdims=True)
    variance = jnp.maximum((wide * wide).mean(-1, keepdims=True) - mean * mean, 0)
    y = (x - mean) * lax.rsqrt(variance + 1e-6) * scale
    return y.astype(jnp.result_type(x, scale) if dtype is None else dtype)


def _dropped(layer: Any, weights: Any, key: Any) -> Any:
    share, shape = 1.0 - layer.dropout_rate, weights.shape
    if layer.broadcast_dropout:
        shape = (1,) * (weights.ndim - 2) + shape[-2:]
    kept = jax.random.bernoulli(key, share, shape)
    return jnp.where(kept, weights / share, 0).astype(weights.dtype)


def _shapes(layer: Any, sizes: tuple[int, int, int, int]) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters, for the features of query, key, value and output."""
    query, key, value, output = sizes
    heads = layer.num_heads
    groups = layer.num_kv_heads or heads
    shapes: dict[str, tuple[int, ...]] = {
        "query_weight": (query, heads, layer.qk_size),
        "key_weight": (key, groups, layer.qk_size),
        "value_weight": (value, groups, layer.vo_size),
        "output_weight": (heads, layer.vo_size, output),
    }
    for name in ("query", "key", "value"):
        if getattr(layer, f"use_{name}_bias"):
            shapes[f"{name}_bias"] = shapes[f"{name}_weight"][1:]
    if layer.use_output_bias:
        shapes["output_bias"] = (output,)
    if layer.normalize_qk:
        shapes["query_scale"] = shapes["key_scale"] = (layer.qk_size,)
    return shapes


class MultiHeadAttention(Drawing):
    """Attention in which queries, keys and values may differ in size, biases and heads.

    ``softmax(q k^T / sqrt(qk_size)) v`` for each head, with projections before and behind. Called
    with one array it is self-attention.

    Args:
        in_features: features of the queries.
        num_heads: number of heads.
        key_size: features of the keys.
        value_size: features of the values.
        out_size: features of the output.
        qk_size: over how many numbers a head compares.
        vo_size: how many numbers a head collects.
        num_kv_heads: number of heads of keys and values, each shared by equally many heads of
            queries; None for ``num_heads``.
        use_query_bias: whether the projection of the queries has a bias.
        use_key_bias: the same for the keys.
        use_value_bias: the same for the values.
        use_output_bias: the same for the output.
        normalize_qk: whether queries and keys of each head are normalised and scaled.
        dropout_rate: probability to drop an attention weight.
        broadcast_dropout: whether all examples and heads drop the same weights.
        force_fp32_for_softmax: whether attention weights stay in float32.
        dtype: what is computed in; None for what inputs and parameters promote to.
        precision: precision of the products.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernels ``(features, heads, size)``.
        out_kernel_init: the same for that of the output, ``(heads, size, features)``.
        bias_init: initializer of the biases.
        deterministic: whether nothing is dropped.
        rngs: for the parameters, and for dropout.

    Example:
        >>> layer = MultiHeadAttention(
        ...     8, 2, key_size=3, value_size=5, out_size=8, qk_size=4, vo_size=4, rngs=nnx.Rngs(0)
        ... )
        >>> layer(jnp.ones((7, 8)), jnp.ones((9, 3)), jnp.ones((9, 5))).shape
        (7, 8)
    """

    def __init__(
        self,
        in_features: int,
        num_heads: int,
        *,
        key_size: int,
        value_size: int,
        out_size: int,
        qk_size: int,
        vo_size: int,
        num_kv_heads: int | None = None,
        use_query_bias: bool = True,
        use_key_bias: bool = True,
        use_value_bias: bool = True,
        use_output_bias: bool = True,
        normalize_qk: bool = False,
        dropout_rate: float = 0.0,
        broadcast_dropout: bool = True,
        force_fp32_for_softmax: bool = False,
        dtype: Any = None,
        precision: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = _KERNEL,
        out_kernel_init: Any = _OUT_KERNEL,
        bias_init: Any = _ZEROS,
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.num_heads, self.out_size = in_features, num_heads, out_size
        self.key_size, self.value_size = key_size, value_size
        self.qk_size, self.vo_size = qk_size, vo_size
        self.num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        self.use_query_bias, self.use_key_bias = use_query_bias, use_key_bias
        self.use_value_bias, self.use_output_bias = use_value_bias, use_output_bias
        self.normalize_qk = normalize_qk
        self.dropout_rate, self.broadcast_dropout = dropout_rate, broadcast_dropout
        self.force_fp32_for_softmax = force_fp32_for_softmax
        self.dtype, self.precision, self.param_dtype = dtype, precision, param_dtype
        self.deterministic = deterministic
        shapes = _shapes(self, (in_features, key_size, value_size, out_size))
        for name, shape in shapes.items():
            if name.endswith("_scale"):
                array = jnp.ones(shape, param_dtype)
            elif name.endswith("_bias"):
                array = bias_init(rngs.params(), shape, param_dtype)
            else:
                make = out_kernel_init if name == "output_weight" else kernel_init
                array = make(rngs.params(), shape, param_dtype)
            setattr(self, name, nnx.Param(array))
        self.names = tuple(shapes)
        self.rngs = stream(rngs)

    def __call__(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        mask: Any = None,
        *,
        deterministic: bool | None = None,
        rngs: Any = None,
    ) -> Any:
        """Attend.

        Args:
            query: who asks, of shape ``(..., length, features)``.
            key: who may answer; None for ``query``.
            value: what they answer; None for ``key``.
            mask: True where a position may attend to another one; broadcasts to
                ``(..., num_heads, length, others)``.
            deterministic: whether nothing is dropped, in place of the attribute.
            rngs: what to draw from instead of the layer's own stream.

        Returns:
            Array of shape ``(..., length, out_size)``.
        """
        key = query if key is None else key
        value = key if value is None else value
        off = self.deterministic if deterministic is None else deterministic

        def drop(weights: Any) -> Any:
            if off or not self.dropout_rate:
                return weights
            return _dropped(self, weights, draw_key(self, rngs))

        weight = {name: getattr(self, name).get_value() for name in self.names}
        return _attend(self, weight, (query, key, value), mask, drop)
