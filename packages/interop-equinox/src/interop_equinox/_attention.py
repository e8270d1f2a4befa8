"""Rows of attention and of rotary positions."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from interop_core import nn
from interop_core.attention_rows import MATRIX_LEAVES, SELF_ATTENTION, normalizes
from interop_core.companion_rows import companion
from interop_core.errors import MissingShapeError, Refusal
from interop_core.function_rows import DECLARED_SIZE
from interop_core.mapping import (
    FEATURES,
    OUT_FEATURES,
    Case,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    leaf,
)

from . import companions


def _apart(together: bool, config: Config) -> None:
    if together and config["dropout_rate"]:
        raise Refusal(
            "broadcast_dropout=True drops the same weights in all examples and heads, and Equinox "
            "draws for each on its own",
            "use broadcast_dropout=False",
        )


def _share(dropout: Any, _: Config) -> Any:
    if not isinstance(dropout, int | float):
        raise Refusal(f"its dropout is {dropout!r}, which says no share", "use eqx.nn.Dropout")
    return dropout


def _rank(config: Config) -> int | None:
    """Axes of an example: length and features.

    A layer on its own whose ``in_size`` names its features alone is taken to be called so.
    """
    known = len(config["example"] or config["in_size"]) > 1
    return 2 if known or config.get("stacked", True) else None


_OPTIONS: tuple[Any, ...] = (
    Opt("in_size", "query_size", FEATURES),
    Opt("out_size", "output_size", OUT_FEATURES),
    *(
        Opt(name, name)
        for name in (
            *("num_heads", "key_size", "value_size", "qk_size", "vo_size"),
            *("use_query_bias", "use_key_bias", "use_value_bias", "use_output_bias"),
        )
    ),
    Opt("dropout_rate", "dropout_p", Iso(lambda rate, _: rate, _share, "=")),
    Given("core", "broadcast_dropout", False, _apart, "nothing is dropped together"),
    Only("core", "dtype", None, "cast the model and its input instead"),
    Only("core", "precision", None, "use jax.default_matmul_precision instead"),
)


def _stock(config: Config) -> bool:
    """Whether Equinox's own layer says it, which is no layer that is called with one input alone.

    Inside a stack it would be, and where it is lifted over leading axes.
    """
    beyond = (
        config["num_kv_heads"] != config["num_heads"]
        or config["normalize_qk"]
        or config["force_fp32_for_softmax"]
    )
    lifted = config["example"] is not None and len(config["example"]) > 2
    return not (beyond or config["stacked"] or lifted)


_SIZES: dict[str, Any] = {
    "num_heads": 2,
    "out_size": (3, 5),
    "qk_size": 3,
    "use_value_bias": False,
    "use_output_bias": False,
}

ATTENTION = LayerMap(
    nn.MultiHeadAttention,
    eqx.nn.MultiheadAttention,
    (
        *_OPTIONS,
        Given("core", "num_kv_heads", None),
        Given("core", "normalize_qk", False),
        Given("core", "force_fp32_for_softmax", False),
    ),
    MATRIX_LEAVES,
    cases=(
        case(in_size=(3, 4), **_SIZES, dropout_rate=0.5, broadcast_dropout=False),
        case(
            in_size=(3, 4),
            num_heads=2,
            key_size=4,
            value_size=4,
            vo_size=3,
            use_query_bias=False,
            use_key_bias=False,
            broadcast_dropout=False,
        ),
    ),
    foreign_cases=(
        case(num_heads=2, query_size=4, dropout_p=0.25, use_key_bias=True, input=(3, 4)),
    ),
    refusals=(
        Refused("core", case(in_size=(3, 4), num_heads=2, dropout_rate=0.5), "on its own"),
        Refused("core", case(in_size=(3, 4), num_heads=2, precision="highest"), "precision="),
    ),
    chosen=_stock,
    example_rank=_rank,
    alone=SELF_ATTENTION,
    note="Called with query, key and value. Inside a stack, the companion. Exported in evaluation "
    "mode.",
)

SELF = companion(
    nn.MultiHeadAttention,
    companions.MultiHeadAttention,
    *_OPTIONS,
    leaves=(
        *MATRIX_LEAVES,
        *(leaf(f"weight.{n}_scale", f"{n}_norm.weight", when=normalizes) for n in ("query", "key")),
    ),
    cases=(
        case(
            in_size=(3, 4),
            **_SIZES,
            vo_size=1,
            key_size=4,
            value_size=4,
            use_query_bias=False,
            use_key_bias=False,
            num_kv_heads=1,
            normalize_qk=True,
            force_fp32_for_softmax=True,
            dropout_rate=0.5,
            broadcast_dropout=False,
        ),
        case(in_size=(3, 4), num_heads=2, broadcast_dropout=False, stacked=True),
    ),
    refusals=tuple(
        Refused(
            "core",
            Case({"in_size": (3, 4), "num_heads": 2, "normalize_qk": True, name: value}),
            words,
        )
        for name, value, words in (
            ("dropout_rate", 0.5, "on its own"),
            ("dtype", jnp.float32, "dtype="),
            ("precision", "highest", "precision="),
        )
    ),
    example_rank=_rank,
    note="Inside a stack, and for what `eqx.nn.MultiheadAttention` has not.",
)

_THETA = 10_000.0


def _features(size: Any, config: Config) -> int:
    size = config["example"] if size is None else size
    if size is None:
        raise Refusal(
            "does not say how many features it turns",
            "give the layer its in_size, or pass sample_input",
            MissingShapeError,
        )
    if size[-1] % 2:
        raise Refusal(f"turns {size[-1]} features, and Equinox takes pairs", "use an even number")
    return int(size[-1])


def _table_dtype(dtype: Any, _: Config) -> Any:
    return jnp.result_type(float) if dtype is None else dtype


ROTARY = LayerMap(
    nn.RoPE,
    eqx.nn.RotaryPositionalEmbedding,
    (
        Opt("in_size", "embedding_size", Iso(_features, FEATURES.back, "last axis")),
        Opt("theta", "theta"),
        Opt("dtype", "dtype", Iso(_table_dtype, lambda dtype, _: dtype, "by default float32")),
        Given("core", "keep_dtype", True),
    ),
    cases=(case(in_size=(3, 4), theta=_THETA), case(in_size=(3, 4), dtype=jnp.bfloat16)),
    refusals=(
        Refused("core", case(), "how many features", MissingShapeError),
        Refused("core", case(input=(4, 3)), "takes pairs"),
    ),
    # Equinox keeps one table for all layers of equal size, made for the first theta that comes.
    chosen=lambda config: config["theta"] == _THETA and config["keep_dtype"],
    example_rank=lambda _: 2,
    sized=True,
    note="For the usual `theta` alone: Equinox shares its tables between layers of equal size.",
)

OWN_ROTARY = companion(
    nn.RoPE,
    companions.RoPE,
    DECLARED_SIZE,
    cases=(case(theta=50.0, keep_dtype=False, dtype=jnp.bfloat16, input=(3, 4)),),
    example_rank=lambda _: 2,
)

ROWS: tuple[LayerMap, ...] = (ATTENTION, SELF, ROTARY, OWN_ROTARY)
