"""Rows of LoRA: a product of two narrow matrices, alone or beside another layer."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.companion_linear_rows import of_lora
from interop_core.errors import ConversionError, Refusal
from interop_core.holding import made
from interop_core.mapping import (
    HAS,
    Case,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
    leaf,
)
from interop_core.nn import init
from interop_core.options import parameters

from ._linear import _elementwise
from ._options import COMPUTE_DTYPE, DOT_GENERAL, PREFERRED_ELEMENT_TYPE, PROMOTE_DTYPE


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


def _rank_under(prefix: str) -> Iso:
    def rank_back(_: Any, config: Config) -> int:
        _of_one_dtype(config, prefix)
        return int(config[f"{prefix}lora_a.shape"][-1])

    return Iso(_rank_to, rank_back, "read off lora_a")


def _has_base_bias(config: Config) -> bool:
    return getattr(config["base_module"], "b_init", None) is not None


LORA = LayerMap(
    nn.LoRA,
    nnx.LoRA,
    (
        Opt("in_features", "in_features"),
        Opt("lora_rank", "lora_rank", _rank_under("")),
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


def _dense(use_bias: Any, config: Config) -> Any:
    """The core layer that an `nnx.LoRALinear` is besides its product."""
    with init.abstract():
        return nn.Linear(
            config["in_features"],
            config["out_features"],
            b_init=HAS.back(use_bias, config),
            dtype=COMPUTE_DTYPE.back(config["dtype"], config),
            precision=config["precision"],
        )


def _never(_: Any, __: Config) -> Any:
    raise Refusal("becomes an nnx.LoRA around an nnx.Linear")


LORA_LINEAR = LayerMap(
    nn.LoRA,
    nnx.LoRALinear,
    (
        Opt("in_features", "in_features"),
        Opt("lora_rank", "lora_rank", _rank_under("lora.")),
        Opt("out_features", "out_features"),
        Opt("base_module", "use_bias", Iso(_never, _dense, "the kernel and its bias")),
        ignored("core", "in_size", "a declared size, which the data has anyway"),
        ignored("core", "kernel_init", "the matrices themselves are converted"),
        Given("foreign", "dtype", None, reason="the base module says it"),
        Given("foreign", "precision", None, reason="the base module says it"),
        ignored("foreign", "lora_param_dtype", "the arrays say it"),
        Only("foreign", "lora_dtype", None, "cast the model and its input instead"),
        Only("foreign", "lora_param_type", nnx.LoRAParam, "use nnx.LoRAParam"),
        Only("foreign", "lora_promote_dtype", parameters(nnx.LoRALinear)["lora_promote_dtype"]),
        DOT_GENERAL,
        PREFERRED_ELEMENT_TYPE,
        PROMOTE_DTYPE,
    ),
    (
        leaf("weight.lora_a", "lora.lora_a"),
        leaf("weight.lora_b", "lora.lora_b"),
        leaf("base_module.weight.weight", "kernel"),
        leaf("base_module.weight.bias", "bias", when=_has_base_bias),
    ),
    foreign_cases=(
        case(in_features=3, out_features=4, lora_rank=2, input=(3,)),
        case(in_features=3, out_features=4, lora_rank=1, use_bias=False, precision="highest",
             dtype=jnp.float32, input=(3,)),
    ),
    refusals=(
        Refused(
            "foreign",
            case(in_features=3, out_features=4, lora_rank=2, lora_dtype=jnp.float32, input=(3,)),
            "lora has dtype=",
            ConversionError,
        ),
        Refused(
            "foreign",
            case(in_features=3, out_features=4, lora_rank=2, promote_dtype=_elementwise,
                 input=(3,)),
            "promote_dtype=.*_elem",
        ),
        *(
            Refused(
                "foreign",
                Case({"in_features": 3, "out_features": 4, "lora_rank": 2, name: value}, (3,)),
                f"{name}=",
            )
            for name, value in (
                ("dot_general", _elementwise),
                ("preferred_element_type", jnp.float32),
            )
        ),
    ),
    exports=False,
    note="Only imported; it becomes an `nnx.LoRA` around an `nnx.Linear`.",
)  # fmt: skip

ROWS: tuple[LayerMap, ...] = (LORA, LORA_LINEAR)
