"""Companions for attention: with one input, and with what `eqx.nn.MultiheadAttention` has not."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

_limits: Any = jnp.finfo  # without types in some releases of jax


class MultiHeadAttention(eqx.Module):
    """Attention that is called with one sequence, or with three as `eqx.nn.MultiheadAttention`.

    ``softmax(q k^T / sqrt(qk_size)) v`` for each head, with projections before and behind. Beyond
    Equinox's own layer it can stand in an `eqx.nn.Sequential`, heads may share keys and values, and
    queries and keys may be normalised.

    Args:
        num_heads: number of heads.
        query_size: features of the queries.
        key_size: features of the keys; None for ``query_size``.
        value_size: features of the values; None for ``query_size``.
        output_size: features of the output; None for ``query_size``.
        qk_size: over how many numbers a head compares; None for ``query_size // num_heads``.
        vo_size: how many numbers a head collects; None for ``query_size // num_heads``.
        num_kv_heads: number of heads of keys and values, each shared by equally many heads of
            queries; None for ``num_heads``.
        use_query_bias: whether the projection of the queries has a bias.
        use_key_bias: the same for the keys.
        use_value_bias: the same for the values.
        use_output_bias: the same for the output.
        normalize_qk: whether queries and keys of each head are normalised and scaled.
        force_fp32_for_softmax: whether attention weights stay in float32.
        dropout_p: probability to drop an attention weight.
        inference: whether nothing is dropped; `eqx.nn.inference_mode` switches it.
        key: for the parameters.

    Raises:
        ValueError: if ``num_heads`` is no multiple of ``num_kv_heads``.

    Example:
        >>> layer = MultiHeadAttention(2, 8, num_kv_heads=1, key=jax.random.key(0))
        >>> layer(jnp.ones((5, 8))).shape
        (5, 8)
    """

    query_proj: eqx.nn.Linear
    key_proj: eqx.nn.Linear
    value_proj: eqx.nn.Linear
    output_proj: eqx.nn.Linear
    query_norm: eqx.nn.LayerNorm | None
    key_norm: eqx.nn.LayerNorm | None
    dropout: eqx.nn.Dropout
    num_heads: int = eqx.field(static=True)
    query_size: int = eqx.field(static=True)
    key_size: int = eqx.field(static=True)
    value_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    qk_size: int = eqx.field(static=True)
    vo_size: int = eqx.field(static=True)
    num_kv_heads: int = eqx.field(static=True)
    use_query_bias: bool = eqx.field(static=True)
    use_key_bias: bool = eqx.field(static=True)
    use_value_bias: bool = eqx.field(static=True)
    use_output_bias: bool = eqx.field(static=True)
    normalize_qk: bool = eqx.field(static=True)
    force_fp32_for_softmax: bool = eqx.field(static=True)

    def __init__(
        self,
        num_heads: int,
        query_size: int,
        key_size: int | None = None,
        value_size: int | None = None,
        output_size: int | None = None,
        qk_size: int | None = None,
        vo_size: int | None = None,
        num_kv_heads: int | None = None,
        use_query_bias: bool = False,
        use_key_bias: bool = False,
        use_value_bias: bool = False,
        use_output_bias: bool = False,
        normalize_qk: bool = False,
        force_fp32_for_softmax: bool = False,
        dropout_p: float = 0.0,
        inference: bool = False,
        *,
        key: Any,
    ) -> None:
        self.num_heads = num_heads
        self.query_size = query_size
        self.key_size = query_size if key_size is None else key_size
        self.value_size = query_size if value_size is None else value_size
        self.output_size = query_size if output_size is None else output_size
        self.qk_size = query_size // num_heads if qk_size is None else qk_size
        self.vo_size = query_size // num_heads if vo_size is None else vo_size
        self.num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads={num_heads} must be a multiple of num_kv_heads={num_kv_heads}."
            )
        self.use_query_bias = use_query_bias
        self.use_key_bias = use_key_bias
        self.use_value_bias = use_value_bias
        self.use_output_bias = use_output_bias
        self.normalize_qk = normalize_qk
        self.force_fp32_for_softmax = force_fp32_for_softmax
        queries, keys = num_heads * self.qk_size, self.num_kv_heads * self.qk_size
        values, collected = self.num_kv_heads * self.vo_size, num_heads * self.vo_size
        of_query, of_key, of_value, of_output = jax.random.split(key, 4)
        linear = eqx.nn.Linear
        self.query_proj = linear(query_size, queries, use_query_bias, key=of_query)
        self.key_proj = linear(self.key_size, keys, use_key_bias, key=of_key)
        self.value_proj = linear(self.value_size, values, use_value_bias, key=of_value)
        self.output_proj = linear(collected, self.output_size, use_output_bias, key=of_output)
        self.query_norm = self.key_norm = None
        if normalize_qk:
            self.query_norm = eqx.nn.LayerNorm(self.qk_size, eps=1e-6, use_bias=False)
            self.key_norm = eqx.nn.LayerNorm(self.qk_size, eps=1e-6, use_bias=False)
        self.dropout = eqx.nn.Dropout(dropout_p, inference=inference)

    def __call__(
        self,
        query: Any,
        key_: Any = None,
        value: Any = None,
        mask: Any = None,
        *,
        key: Any = None,
        inference: bool | None = None,
    ) -> Any:
        """Attend.

        Args:
            query: who asks, of shape ``(length, query_size)``.
            key_: who may answer, of shape ``(others, key_size)``; None for ``query``.
            value: what they answer, of shape ``(others, value_size)``; None for ``key_``.
            mask: True where a position may attend to another one, of shape ``(length, others)`` or
                ``(num_heads, length, others)``.
            key: for dropout.
            inference: overrides the layer's own flag.

        Returns:
            Array of shape ``(length, output_size)``.
        """
        key_ = query if key_ is None else key_
        value = key_ if value is None else value
        q = self._heads(self.query_proj, self.query_norm, query, self.num_heads)
        k = self._heads(self.key_proj, self.key_norm, key_, self.num_kv_heads)
        v = self._heads(self.value_proj, None, value, self.num_kv_heads)
        if self.num_kv_heads != self.num_heads:
            shared = self.num_heads // self.num_kv_heads
            k, v = jnp.repeat(k, shared, axis=1), jnp.repeat(v, shared, axis=1)
        logits = jnp.einsum("qhd,khd->hqk", q / math.sqrt(self.qk_size), k)
        if mask is not None:
            logits = jnp.where(mask, logits, _limits(logits.dtype).min)
        forced = self.force_fp32_for_softmax
        wide = jnp.float32 if forced else jnp.promote_types(logits.dtype, jnp.float32)
        weights = jax.nn.softmax(logits.astype(wide), axis=-1)
        weights = weights if forced else weights.astype(logits.dtype)
        weights = self.dropout(weights, key=key, inference=inference)
        collected = jnp.einsum("hqk,khd->qhd", weights, v)
        return jax.vmap(self.output_proj)(collected.reshape(len(query), -1))

    def _heads(self, project: Any, norm: Any, x: Any, heads: int) -> Any:
        y = jax.vmap(project)(x).reshape(len(x), heads, -1)
        return y if norm is None else jax.vmap(jax.vmap(norm))(y)
