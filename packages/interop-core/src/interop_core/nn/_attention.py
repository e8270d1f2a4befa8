"""Attention with several heads."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import numpy as jnp

from .. import random
from ..state import ParamState, State
from . import init
from ._dropout import is_fitting
from ._last_axis import LastAxis
from ._parameters import as_array, parameter, remembered
from ._statistics import moments, normalized, scaled

__all__ = ["MultiHeadAttention"]

_finfo: Any = jnp.finfo  # without types in some releases of jax
_KERNEL = init.LecunNormal()
_BIAS = init.ZeroInit()
_EPSILON = 1e-6
"""Added to the variance where queries and keys are normalised."""

Heads = tuple[jax.Array, jax.Array, jax.Array]


class MultiHeadAttention(LastAxis):
    """Let each position of a sequence collect from all positions of another what it asks for.

    Every head projects queries, keys and values, ``q = x_q W_q + b_q`` and so on, and computes

        ``softmax(q k^T / sqrt(qk_size)) v``

    with the softmax over the positions of the keys; the heads' results are projected together,
    ``y = [head_1 ... head_n] W_o + b_o`` (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762).
    The softmax is computed in float32 or wider.

    Called with one array it is self-attention: the same array is asked and answers. Inputs have
    shape ``(..., length, features)`` with equal leading axes, keys and values the same length.

    The state ``weight`` holds the kernels ``"query_weight"`` of shape ``(in, heads, qk_size)``,
    ``"key_weight"`` ``(key_size, kv_heads, qk_size)``, ``"value_weight"`` ``(value_size, kv_heads,
    vo_size)`` and ``"output_weight"`` ``(heads, vo_size, out)``; where they are used, the biases
    ``"query_bias"``, ``"key_bias"``, ``"value_bias"`` without the first of these axes, and
    ``"output_bias"`` of shape ``(out,)``; and ``"query_scale"`` and ``"key_scale"`` of shape
    ``(qk_size,)`` where ``normalize_qk`` asks for them.

    Args:
        in_size: features of the queries, or the shape ``(length, features)`` of one example; the
            last entry counts.
        num_heads: number of heads.
        out_size: features of the output, or the shape of one output. None: as ``in_size``.
        key_size: features of the keys. None: those of the queries.
        value_size: features of the values. None: those of the queries.
        qk_size: over how many numbers a head compares queries and keys. None: the features of the
            queries divided by ``num_heads``.
        vo_size: how many numbers a head collects from the values. None: as ``qk_size`` would be.
        num_kv_heads: number of heads of keys and values, each shared by equally many heads of
            queries (grouped attention, https://arxiv.org/abs/2305.13245). None: ``num_heads``.
        use_query_bias: whether the projection of the queries has a bias.
        use_key_bias: the same for the keys.
        use_value_bias: the same for the values.
        use_output_bias: the same for the output.
        normalize_qk: whether projected queries and keys are normalised over ``qk_size`` to mean 0
            and variance 1, and scaled (https://arxiv.org/abs/2302.05442).
        dropout_rate: probability to *drop* an attention weight while fitting; the others are
            divided by ``1 - dropout_rate``. The environment says whether it is a fit, as for
            `Dropout`.
        broadcast_dropout: whether all examples and heads drop the same weights.
        force_fp32_for_softmax: whether attention weights stay in float32 when everything else is
            computed in another type. False: they are cast back.
        w_init: initializer of the four kernels: a callable of the shape, or an array.
        b_init: the same for the biases.
        dtype: what inputs and parameters are cast to before computing. None: as `jax.numpy`
            promotes them.
        precision: precision of the products, as in `jax.lax.dot_general`.
        name: a label for the user.
        param_type: the state type that holds the parameters.

    Raises:
        ValueError: if sizes do not fit each other, or ``dropout_rate`` is not in ``[0, 1)``.

    Example:
        >>> layer = MultiHeadAttention((5, 8), num_heads=2)
        >>> x = jnp.ones((3, 5, 8))
        >>> layer(x).shape
        (3, 5, 8)
        >>> layer(x, jnp.ones((3, 7, 8)), is_causal=True).shape
        (3, 5, 8)
        >>> layer.weight.value["query_weight"].shape, layer.weight.value["output_weight"].shape
        ((8, 2, 4), (2, 4, 8))
    """

    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        in_size: int | Sequence[int],
        num_heads: int,
        out_size: int | Sequence[int] | None = None,
        *,
        key_size: int | None = None,
        value_size: int | None = None,
        qk_size: int | None = None,
        vo_size: int | None = None,
        num_kv_heads: int | None = None,
        use_query_bias: bool = True,
        use_key_bias: bool = True,
        use_value_bias: bool = True,
        use_output_bias: bool = True,
        normalize_qk: bool = False,
        dropout_rate: float = 0.0,
        broadcast_dropout: bool = True,
        force_fp32_for_softmax: bool = False,
        w_init: Any = _KERNEL,
        b_init: Any = _BIAS,
        dtype: Any = None,
        precision: Any = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
    ) -> None:
        super().__init__(name=name)
        self._set_sizes(in_size, in_size if out_size is None else out_size)
        features = self.in_size[-1]
        self.num_heads = operator.index(num_heads)
        self.num_kv_heads = self.num_heads if num_kv_heads is None else operator.index(num_kv_heads)
        if min(self.num_heads, self.num_kv_heads) < 1 or self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads={num_heads} must be a multiple of num_kv_heads={num_kv_heads}."
            )
        self.key_size = features if key_size is None else operator.index(key_size)
        self.value_size = features if value_size is None else operator.index(value_size)
        self.qk_size = self._per_head("qk_size", qk_size)
        self.vo_size = self._per_head("vo_size", vo_size)
        self.use_query_bias = bool(use_query_bias)
        self.use_key_bias = bool(use_key_bias)
        self.use_value_bias = bool(use_value_bias)
        self.use_output_bias = bool(use_output_bias)
        self.normalize_qk = bool(normalize_qk)
        if not 0.0 <= dropout_rate < 1.0:
            raise ValueError(f"dropout_rate must lie in [0, 1), got {dropout_rate!r}.")
        self.dropout_rate = dropout_rate
        self.broadcast_dropout = bool(broadcast_dropout)
        self.force_fp32_for_softmax = bool(force_fp32_for_softmax)
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.dtype = dtype
        self.precision = precision
        self.param_type = param_type
        self.weight = param_type(self._parameters(w_init, b_init))

    def _per_head(self, name: str, size: int | None) -> int:
        if size is not None:
            return operator.index(size)
        features: int = self.in_size[-1]
        if features % self.num_heads:
            raise ValueError(
                f"{features} features are not {self.num_heads} heads of equal size: give {name}."
            )
        return features // self.num_heads

    def _parameters(self, w_init: Any, b_init: Any) -> dict[str, Any]:
        heads, groups = self.num_heads, self.num_kv_heads
        shapes = {
            "query": (self.in_size[-1], heads, self.qk_size),
            "key": (self.key_size, groups, self.qk_size),
            "value": (self.value_size, groups, self.vo_size),
            "output": (heads, self.vo_size, self.out_size[-1]),
        }
        # A kernel starts as a matrix does: initializers count its rows as inputs.
        made = {f"{n}_weight": _kernel(w_init, s, n == "output") for n, s in shapes.items()}
        for name, shape in shapes.items():
            if getattr(self, f"use_{name}_bias"):
                bias = shape[2:] if name == "output" else shape[1:]
                made[f"{name}_bias"] = parameter(b_init, bias)
        if self.normalize_qk:
            for name in ("query", "key"):
                made[f"{name}_scale"] = parameter(init.Constant(1.0), (self.qk_size,))
        return made

    def update(
        self,
        query: jax.Array,
        key: jax.Array | None = None,
        value: jax.Array | None = None,
        mask: jax.Array | None = None,
        *,
        is_causal: bool = False,
        process_heads: Callable[[jax.Array, jax.Array, jax.Array], Heads] | None = None,
    ) -> jax.Array:
        """Attend.

        Args:
            query: who asks, of shape ``(..., length, in)``.
            key: who may answer, of shape ``(..., others, key_size)``. None: ``query``.
            value: what they answer, of shape ``(..., others, value_size)``. None: ``key``.
            mask: True where a position may attend to another one; broadcasts to
                ``(..., num_heads, length, others)``. Where a position may attend to none, all
                count alike.
            is_causal: whether position ``i`` may attend to positions up to ``i`` alone.
            process_heads: applied to the projected queries, keys and values, of shape
                ``(..., length, heads, size)`` each, before they are compared; for positional
                embeddings such as `RoPE`.

        Returns:
            Output of shape ``(..., length, out)``.

        Raises:
            ValueError: if shapes do not fit, or ``value`` is given without ``key``.
            KeyError: if there is dropout and the environment does not say whether it is a fit.
        """
        if key is None and value is not None:
            raise ValueError("A value needs its key: pass both.")
        query = as_array(query)
        key = query if key is None else as_array(key)
        value = key if value is None else as_array(value)
        self._check(query, key, value)
        q = self._project("query", query)
        k = self._project("key", key)
        v = self._project("value", value)
        if self.normalize_qk:
            q, k = self._normalize("query", q), self._normalize("key", k)
        if process_heads is not None:
            q, k, v = process_heads(q, k, v)
        common = jnp.result_type(q, k, v) if self.dtype is None else self.dtype
        q, k, v = q.astype(common), k.astype(common), v.astype(common)
        weights = self._weights(q, k, mask, is_causal)
        if self.num_kv_heads != self.num_heads:
            v = jnp.repeat(v, self.num_heads // self.num_kv_heads, axis=-2)
        heads = jnp.einsum("...hqk,...khd->...qhd", weights, v, precision=self.precision)
        return self._affine("...hd,hdo->...o", "output", heads)

    def _check(self, query: jax.Array, key: jax.Array, value: jax.Array) -> None:
        sizes = (self.in_size[-1], self.key_size, self.value_size)
        shapes = [array.shape for array in (query, key, value)]
        ends = [shape[-1:] for shape in shapes]
        fits = all(len(shape) >= 2 for shape in shapes) and ends == [(n,) for n in sizes]
        same = shapes[0][:-2] == shapes[1][:-2] == shapes[2][:-2]
        if not (fits and same and shapes[1][-2] == shapes[2][-2]):
            raise ValueError(
                f"MultiHeadAttention takes query, key and value of shapes (..., length, "
                f"{sizes[0]}), (..., others, {sizes[1]}) and (..., others, {sizes[2]}), got "
                f"{', '.join(map(str, shapes))}."
            )

    def _affine(self, subscripts: str, name: str, x: jax.Array) -> jax.Array:
        """A product with a kernel, and its bias."""
        kernel = self.weight.value[f"{name}_weight"]
        bias = self.weight.value.get(f"{name}_bias")
        if self.dtype is not None:
            x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
            bias = None if bias is None else bias.astype(self.dtype)
        y = jnp.einsum(subscripts, x, kernel, precision=self.precision)
        return y if bias is None else y + bias

    def _project(self, name: str, x: jax.Array) -> jax.Array:
        return self._affine("...i,ihd->...hd", name, x)

    def _normalize(self, name: str, x: jax.Array) -> jax.Array:
        options: dict[str, Any] = {"mask": None, "axis_name": None, "axis_index_groups": None}
        mean, variance = moments(x, (x.ndim - 1,), dtype=self.dtype, fast=True, **options)
        scale = {"scale": self.weight.value[f"{name}_scale"]}
        return scaled(normalized(x, mean, variance, _EPSILON), scale, self.dtype, x)

    def _weights(
        self, q: jax.Array, k: jax.Array, mask: jax.Array | None, is_causal: bool
    ) -> jax.Array:
        """Attention weights of shape ``(..., heads, length, others)``."""
        if self.num_kv_heads != self.num_heads:
            k = jnp.repeat(k, self.num_heads // self.num_kv_heads, axis=-2)
        q = q / jnp.asarray(math.sqrt(self.qk_size), q.dtype)
        logits = jnp.einsum("...qhd,...khd->...hqk", q, k, precision=self.precision)
        if is_causal:
            allowed = jnp.tril(jnp.ones(logits.shape[-2:], bool))
            mask = allowed if mask is None else jnp.logical_and(mask, allowed)
        if mask is not None:
            logits = jnp.where(mask, logits, _finfo(logits.dtype).min)
        forced = self.force_fp32_for_softmax
        wide = jnp.float32 if forced else jnp.promote_types(logits.dtype, jnp.float32)
        weights = jax.nn.softmax(logits.astype(wide), axis=-1)
        weights = weights if forced else weights.astype(logits.dtype)
        return self._dropped(weights)

    def _dropped(self, weights: jax.Array) -> jax.Array:
        if not self.dropout_rate or not is_fitting():
            return weights
        shape = weights.shape
        if self.broadcast_dropout:
            shape = (1,) * (weights.ndim - 2) + shape[-2:]
        share = 1.0 - self.dropout_rate
        kept = jax.random.bernoulli(random.split_key(), share, shape)
        return jnp.where(kept, weights / share, 0).astype(weights.dtype)


def _kernel(w_init: Any, shape: tuple[int, int, int], joined: bool) -> Any:
    """A kernel of three axes, initialised as the matrix that it is.

    Args:
        w_init: the initializer, or an array of all three axes.
        shape: shape of the kernel.
        joined: whether the first two axes are the matrix's rows, or the last two its columns.
    """
    if not callable(w_init):
        return parameter(w_init, shape)
    first, second, third = shape
    matrix = (first * second, third) if joined else (first, second * third)
    made = parameter(w_init, matrix)
    if isinstance(made, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(shape, made.dtype)
    return made.reshape(shape)
