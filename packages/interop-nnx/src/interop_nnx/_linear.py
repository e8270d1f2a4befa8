"""Rows of the layers with one dense kernel: of NNX itself, and companions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.companion_linear_rows import (
    Words,
    connection_companions,
    linear_companions,
    masked_linear,
    of_lora,
)
from interop_core.errors import ConversionError, Refusal
from interop_core.holding import made
from interop_core.mapping import (
    FEATURES,
    HAS,
    OUT_FEATURES,
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
    leaf,
)

from . import companions
from ._options import COMPUTE_DTYPE, DOT_GENERAL, PREFERRED_ELEMENT_TYPE, PROMOTE_DTYPE


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


def _elementwise(x: object, *_: object, **__: object) -> object:
    """Stands in the refusals for a product of one's own."""
    return x


LINEAR = LayerMap(
    nn.Linear,
    nnx.Linear,
    (
        Opt("in_size", "in_features", FEATURES),
        Opt("out_size", "out_features", OUT_FEATURES),
        Opt("b_init", "use_bias", HAS),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        Only("core", "w_mask", None, "multiply the weight by the mask"),
        DOT_GENERAL,
        PREFERRED_ELEMENT_TYPE,
        PROMOTE_DTYPE,
    ),
    (
        leaf("weight.weight", "kernel"),
        leaf("weight.bias", "bias", when=_has_bias),
    ),
    cases=(
        case(in_size=3, out_size=4),
        case(in_size=3, out_size=4, b_init=None),
        case(in_size=(5, 3), out_size=(5, 4), precision="highest"),
        case(in_size=1, out_size=1, dtype=jnp.bfloat16),
        case(in_size=3, out_size=4, dtype=jnp.float16, b_init=None),
    ),
    foreign_cases=(
        case(in_features=3, out_features=4, input=(3,)),
        case(in_features=3, out_features=4, use_bias=False, input=(2, 5, 3)),
        case(in_features=3, out_features=4, dtype=jnp.bfloat16, input=(3,)),
    ),
    refusals=(
        Refused(
            "foreign",
            case(in_features=3, out_features=4, dot_general=_elementwise, input=(3,)),
            "dot_general=.*_elementwise",
        ),
        Refused(
            "foreign",
            case(in_features=3, out_features=4, promote_dtype=_elementwise, input=(3,)),
            "promote_dtype=.*_elementwise",
        ),
        Refused(
            "foreign",
            case(in_features=3, out_features=4, preferred_element_type=jnp.float32, input=(3,)),
            "preferred_element_type=.*float32",
        ),
    ),
)


def _of_one_dtype(config: Config, prefix: str) -> None:
    held = {str(config[f"{prefix}{name}.dtype"]) for name in ("lora_a", "lora_b")}
    if len(held) > 1:
        raise Refusal(
            f"matrices of {' and '.join(sorted(held))} are multiplied in one dtype by NNX and one "
            "after the other by the core",
            "cast them to one dtype",
        )


def _rank_to(rank: int, config: Config) -> int:
    _of_one_dtype(config, "weight.")
    return rank


def _rank_back(_: Any, config: Config) -> int:
    _of_one_dtype(config, "")
    return int(config["lora_a.shape"][-1])


_RANK = Iso(_rank_to, _rank_back, "read off lora_a")

LORA = LayerMap(
    nn.LoRA,
    nnx.LoRA,
    (
        Opt("in_features", "in_features"),
        Opt("lora_rank", "lora_rank", _RANK),
        ignored("core", "in_size", "a declared size, which the data has anyway"),
        *of_lora(),
        Only("foreign", "dtype", None, "cast the model and its input instead"),
        Only("foreign", "lora_param_type", nnx.LoRAParam, "use nnx.LoRAParam"),
        PROMOTE_DTYPE,
    ),
    (leaf("weight.lora_a", "lora_a"), leaf("weight.lora_b", "lora_b")),
    cases=(
        case(in_features=3, lora_rank=2, out_features=4),
        case(in_features=3, lora_rank=2, out_features=4,
             base_module=made(nn.Linear, in_size=3, out_size=4)),
    ),
    refusals=(
        Refused(
            "foreign",
            case(in_features=3, lora_rank=2, out_features=4, dtype=jnp.float32, input=(3,)),
            "dtype=",
        ),
        Refused(
            "foreign",
            case(in_features=3, lora_rank=2, out_features=4, lora_param_type=nnx.Param, input=(3,)),
            "lora_a is an nnx.Param",
            ConversionError,
        ),
        Refused(
            "foreign",
            case(in_features=3, lora_rank=2, out_features=4, promote_dtype=_elementwise,
                 input=(3,)),
            "promote_dtype=.*_elem",
        ),
    ),
    note="With a base module or without.",
)  # fmt: skip

_WORDS = Words()

ROWS: tuple[LayerMap, ...] = (
    masked_linear(companions, _WORDS),  # the first that is chosen is taken
    LINEAR,
    *linear_companions(companions, _WORDS),
    *connection_companions(companions, _WORDS),
    LORA,
)
