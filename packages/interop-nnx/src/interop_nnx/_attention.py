"""Rows of attention and of rotary positions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

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
from interop_core.errors import ConversionError, Refusal
from interop_core.function_rows import DECLARED_SIZE
from interop_core.mapping import (
    FEATURES,
    OUT_FEATURES,
    Config,
    Given,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
)
from interop_core.options import parameters

from . import companions
from ._linear import _elementwise

_KNOWN = parameters(nnx.MultiHeadAttention)
_GROUPS = "num_kv_heads" in _KNOWN  # releases differ
_ONE_GROUP: dict[str, Any] = {"num_kv_heads": 1} if _GROUPS else {}


def _no_cache(decode: bool | None, _: Config) -> None:
    if decode:
        raise Refusal(
            "decode=True keeps keys and values from call to call, which the core's layer does not",
            "pass decode=False, and all keys and values in each call",
        )


def _stock(config: Config) -> bool:
    """Whether NNX's own layer says it."""
    return (
        config["qk_size"] == config["vo_size"]
        and config["key_size"] == config["value_size"]
        and biases_alike(config)
        and not config["force_fp32_for_softmax"]
        and (_GROUPS or heads_alike(config))
    )


_REPLACEABLE = tuple(
    name
    for name in (
        *("qkv_promote_dtype", "out_promote_dtype", "ln_promote_dtype"),
        *("qkv_dot_general", "out_dot_general", "qkv_dot_general_cls", "out_dot_general_cls"),
    )
    if name in _KNOWN
)
"""Functions inside that may be others, where the release has a word for them."""

_OTHERS: tuple[dict[str, Any], ...] = tuple({name: _elementwise} for name in _REPLACEABLE)

ATTENTION = LayerMap(
    nn.MultiHeadAttention,
    nnx.MultiHeadAttention,
    (
        Opt("in_size", "in_features", FEATURES),
        Opt("num_heads", "num_heads"),
        Opt("out_size", "out_features", OUT_FEATURES),
        Opt("key_size", "in_kv_features"),
        Opt("value_size", "in_kv_features"),
        Opt("qk_size", "qkv_features", PER_HEAD),
        Opt("vo_size", "qkv_features", PER_HEAD),
        Opt("num_kv_heads", "num_kv_heads") if _GROUPS else Given("core", "num_kv_heads", None),
        *FLAX_BIASES,
        Opt("normalize_qk", "normalize_qk"),
        Opt("dropout_rate", "dropout_rate"),
        Opt("broadcast_dropout", "broadcast_dropout"),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        Given("core", "force_fp32_for_softmax", False),
        Given("foreign", "decode", False, _no_cache, "None leaves it to each call"),
        Only("foreign", "attention_fn", nnx.dot_product_attention),
        *(Only("foreign", name, _KNOWN[name]) for name in _REPLACEABLE),
        ignored("foreign", "deterministic", "a mode; exported in evaluation mode"),
        ignored(
            "foreign",
            "out_kernel_init out_bias_init out_kernel_metadata out_bias_metadata "
            "query_ln_scale_metadata key_ln_scale_metadata",
            "how arrays start: they say themselves what became of it",
        ),
    ),
    FLAX_LEAVES,
    cases=(
        case(in_size=(3, 4), num_heads=2, key_size=4, value_size=4),
        case(
            in_size=(3, 4),
            num_heads=2,
            out_size=(3, 5),
            qk_size=3,
            vo_size=3,
            **_ONE_GROUP,
            use_query_bias=False,
            use_key_bias=False,
            use_value_bias=False,
            use_output_bias=False,
            normalize_qk=True,
            dropout_rate=0.5,
            broadcast_dropout=False,
            dtype=jnp.float32,
            precision="highest",
        ),
    ),
    foreign_cases=(
        # Normalised over two entries alone, a query is a sign, and its gradient is mere rounding.
        case(
            num_heads=2,
            in_features=4,
            qkv_features=8,
            decode=False,
            normalize_qk=True,
            input=(3, 4),
        ),
    ),
    refusals=(
        Refused("foreign", case(num_heads=2, in_features=4, decode=True), "decode=True"),
        Refused(
            "foreign",
            case(num_heads=2, in_features=4, attention_fn=_elementwise),
            "attention_fn=.*_elementwise",
        ),
        *(
            Refused("foreign", case(num_heads=2, in_features=4, **other), f"{min(other)}=")
            for other in _OTHERS
        ),
    ),
    chosen=_stock,
    note="Called with one array, it is self-attention. Exported in evaluation mode.",
)

OWN_ATTENTION = companion(
    nn.MultiHeadAttention,
    companions.MultiHeadAttention,
    Opt("in_size", "in_features", FEATURES),
    Opt("out_size", "out_size", OUT_FEATURES),
    Opt("dtype", "dtype", COMPUTE_DTYPE),
    ignored("foreign", "deterministic", "a mode; exported in evaluation mode"),
    ignored("foreign", "out_kernel_init", "how arrays start"),
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
    note="For sizes, biases and heads that NNX's own layer cannot be given.",
)

OWN_ROTARY = companion(
    nn.RoPE,
    companions.RoPE,
    DECLARED_SIZE,
    cases=(
        case(theta=50.0, input=(3, 4)),
        case(keep_dtype=False, dtype=jnp.bfloat16, input=(3, 4)),
    ),
)


def _rotary() -> tuple[LayerMap, ...]:
    """NNX's own rotary layer, which not every release has."""
    layer: Any = getattr(nnx, "RoPE", None)
    if layer is None:
        return ()
    tables = "leave embedding_size and max_seq_len out: the same numbers are computed when called"
    row = LayerMap(
        nn.RoPE,
        layer,
        (
            Opt("theta", "theta"),
            DECLARED_SIZE,
            Given("core", "keep_dtype", False),
            Given("core", "dtype", None),
            Only("foreign", "embedding_size", None, tables),
            Only("foreign", "max_seq_len", None, tables),
        ),
        cases=(case(theta=50.0, keep_dtype=False, input=(3, 4)),),
        foreign_cases=(case(input=(3, 4)),),
        refusals=(
            Refused(
                "foreign",
                case(embedding_size=4, max_seq_len=3),
                "leave .*max_seq_len",
                ConversionError,
            ),
        ),
        chosen=lambda config: not config["keep_dtype"] and config["dtype"] is None,
    )
    return (row,)


ROWS: tuple[LayerMap, ...] = (ATTENTION, OWN_ATTENTION, *_rotary(), OWN_ROTARY)


def parts_of(layer: Any) -> dict[str, tuple[type, dict[str, Any]]]:
    """What an attention layer is made of: class, and the options that are not at their defaults."""
    dense = {
        "dtype": layer.dtype,
        "precision": layer.precision,
        "promote_dtype": layer.qkv_promote_dtype,
        "dot_general": layer.qkv_dot_general,
        "dot_general_cls": layer.qkv_dot_general_cls,
        "axis": (-1,),
    }
    out = {
        "promote_dtype": layer.out_promote_dtype,
        "dot_general": layer.out_dot_general,
        "dot_general_cls": layer.out_dot_general_cls,
        "axis": (-2, -1),
    }
    norm = {
        "num_features": layer.head_dim,
        "dtype": layer.dtype,
        "promote_dtype": layer.ln_promote_dtype,
    }
    return {
        **dict.fromkeys(("query", "key", "value"), (nnx.LinearGeneral, dense)),
        "out": (nnx.LinearGeneral, {**dense, **out}),
        **dict.fromkeys(("query_ln", "key_ln"), (nnx.LayerNorm, norm)),
    }
