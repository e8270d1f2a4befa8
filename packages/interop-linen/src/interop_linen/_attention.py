"""Rows of attention and of rotary positions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.attention_rows import (
    COMPANION_LEAVES,
    COMPUTE_DTYPE,
    FLAX_BIASES,
    FLAX_LEAVES,
    PER_HEAD,
    biases_alike,
    heads_alike,
)
from interop_core.companion_rows import companion
from interop_core.function_rows import DECLARED_SIZE
from interop_core.mapping import (
    FEATURES,
    OUT_FEATURES,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    last_axis,
)
from interop_core.options import parameters

from . import companions
from ._arrays import shape_of

_CACHE = "pass decode=False, and all keys and values in each call"


def _rows_of(array: str) -> Any:
    """The number of inputs of a projection, read off its kernel."""
    return lambda _, config: shape_of(config, f"{array}.kernel", 3)[0]


def _own_rows(array: str) -> Any:
    return lambda _, config: shape_of(config, array, 3)[0]


def _own_in_size(_: Any, config: Config) -> Any:
    return FEATURES.back(shape_of(config, "query_weight", 3)[0], config)


def _in_size(_: Any, config: Config) -> Any:
    return FEATURES.back(shape_of(config, "query.kernel", 3)[0], config)


def _per_head(total: int | None, config: Config) -> int:
    inputs = shape_of(config, "query.kernel", 3)[0]
    return int(PER_HEAD.back(total or inputs, config))


def _outputs(features: int | None, config: Config) -> Any:
    inputs = shape_of(config, "query.kernel", 3)[0]
    return OUT_FEATURES.back(features or inputs, config)


_SIZE = Iso(PER_HEAD.to, _per_head, "per head; by default the features of the queries")


def _product(*arguments: Any, **options: Any) -> Any:
    return jax.lax.dot_general(*arguments, **options)


_OTHERS: dict[str, Any] = {
    "qkv_dot_general": _product,
    "out_dot_general": _product,
    "qkv_dot_general_cls": lambda: _product,
    "out_dot_general_cls": lambda: _product,
    "qk_attn_weights_einsum_cls": lambda: jnp.einsum,
    "attn_weights_value_einsum_cls": lambda: jnp.einsum,
}
"""Operations inside that may be others, where the release has a word for them, and such others."""

_TOGETHER = (*((name,) for name in _OTHERS if "einsum" not in name), tuple(_OTHERS)[-2:])
"""Linen takes its two products of attention together or not at all."""


def _attention(
    foreign: type, *, exports: bool = False, cases: Any = (), foreign_cases: Any, refusals: Any = ()
) -> LayerMap:
    known = parameters(foreign)
    pinned = ("attention_fn", *_OTHERS)
    return LayerMap(
        nn.MultiHeadAttention,
        foreign,
        (
            Opt("num_heads", "num_heads"),
            Opt("in_size", "query.kernel.shape", Iso(last_axis, _in_size, "rows of the kernel")),
            Opt("key_size", "key.kernel.shape", Iso(lambda n, _: n, _rows_of("key"), "=")),
            Opt("value_size", "value.kernel.shape", Iso(lambda n, _: n, _rows_of("value"), "=")),
            Opt("out_size", "out_features", Iso(OUT_FEATURES.to, _outputs, "last axis")),
            Opt("qk_size", "qkv_features", _SIZE),
            Opt("vo_size", "qkv_features", _SIZE),
            Given("core", "num_kv_heads", None),
            *FLAX_BIASES,
            Opt("normalize_qk", "normalize_qk"),
            Opt("dropout_rate", "dropout_rate"),
            Opt("broadcast_dropout", "broadcast_dropout"),
            Opt("force_fp32_for_softmax", "force_fp32_for_softmax"),
            Opt("dtype", "dtype", COMPUTE_DTYPE),
            Opt("precision", "precision"),
            Only("foreign", "decode", False, _CACHE),
            *(Only("foreign", name, known[name]) for name in pinned if name in known),
        ),
        FLAX_LEAVES,
        cases=cases,
        foreign_cases=foreign_cases,
        refusals=refusals,
        exports=exports,
        chosen=lambda config: heads_alike(config) and biases_alike(config),
        note="Called with one array, it is self-attention.",
    )


def _queries(query: Any, key: Any, value: Any) -> Any:
    """Stands in the refusals for an attention of one's own."""
    return query


ATTENTION = _attention(
    linen.MultiHeadDotProductAttention,
    exports=True,
    cases=(
        case(in_size=(3, 4), num_heads=2),
        case(
            in_size=(3, 4),
            num_heads=2,
            out_size=(3, 5),
            qk_size=3,
            vo_size=3,
            use_query_bias=False,
            use_key_bias=False,
            use_value_bias=False,
            use_output_bias=False,
            normalize_qk=True,
            dropout_rate=0.5,
            broadcast_dropout=False,
            force_fp32_for_softmax=True,
            dtype=jnp.float32,
            precision="highest",
        ),
    ),
    foreign_cases=(case(num_heads=2, qkv_features=8, normalize_qk=True, input=(3, 4)),),
    refusals=(
        Refused("foreign", case(num_heads=2, decode=True, input=(3, 4)), "decode=True"),
        Refused(
            "foreign",
            case(num_heads=2, attention_fn=_queries, input=(3, 4)),
            "attention_fn=.*_queries",
        ),
        *(
            Refused("foreign", case(num_heads=2, input=(3, 4), **others), f"{min(others)}=")
            for others in ({n: _OTHERS[n] for n in names} for names in _TOGETHER)
            if others.keys() <= parameters(linen.MultiHeadDotProductAttention).keys()
        ),
    ),
)

_KERNELS = (
    Opt("in_size", "query_weight.shape", Iso(last_axis, _own_in_size, "rows of the kernel")),
    Opt("key_size", "key_weight.shape", Iso(lambda n, _: n, _own_rows("key_weight"), "=")),
    Opt("value_size", "value_weight.shape", Iso(lambda n, _: n, _own_rows("value_weight"), "=")),
)

OWN_ATTENTION = companion(
    nn.MultiHeadAttention,
    companions.MultiHeadAttention,
    *_KERNELS,
    Opt("out_size", "out_size", OUT_FEATURES),
    Opt("dtype", "dtype", COMPUTE_DTYPE),
    leaves=COMPANION_LEAVES,
    cases=(
        case(
            in_size=(3, 4),
            num_heads=4,
            key_size=4,
            qk_size=3,
            vo_size=2,
            num_kv_heads=2,
            use_query_bias=False,
            use_value_bias=False,
        ),
        case(
            in_size=(3, 4),
            num_heads=2,
            out_size=(3, 5),
            use_key_bias=False,
            use_output_bias=False,
            normalize_qk=True,
            dropout_rate=0.5,
            broadcast_dropout=False,
            force_fp32_for_softmax=True,
            dtype=jnp.float32,
            precision="highest",
        ),
    ),
    note="For sizes, biases and heads that Linen's own layer cannot be given.",
)

ROTARY = companion(
    nn.RoPE,
    companions.RoPE,
    DECLARED_SIZE,
    cases=(
        case(theta=50.0, input=(3, 4)),
        case(keep_dtype=False, dtype=jnp.bfloat16, input=(3, 4)),
    ),
)

ROWS: tuple[LayerMap, ...] = (
    ATTENTION,
    OWN_ATTENTION,
    ROTARY,
    *(
        _attention(
            getattr(linen, name),
            foreign_cases=(case(num_heads=2, qkv_features=6, out_features=5, input=(3, 4)),),
        )
        for name in ("MultiHeadAttention", "SelfAttention")
        if hasattr(linen, name)  # releases may leave out what they call deprecated
    ),
)
