"""Rows of the linear layers that Linen has not, of dense ones with a mask, and `DenseGeneral`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.companion_linear_rows import (
    Words,
    connection_companions,
    linear_companions,
    masked_linear,
    of_lora,
)
from interop_core.companion_rows import companion
from interop_core.general_rows import entries
from interop_core.holding import made
from interop_core.mapping import (
    FEATURES,
    HAS,
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
    leaf,
)

from . import companions
from ._arrays import COMPUTE_DTYPE, PROMOTION, shape_of
from ._linear import _as_they_are, _product
from ._linear_general import one_axis


def _in_size(_: Any, config: Config) -> Any:
    return FEATURES.back(shape_of(config, "kernel", 2)[0], config)


def _inputs_of_lora(_: Any, config: Config) -> int:
    return shape_of(config, "lora_a", 2)[0]


def _in_size_of_lora(_: Any, config: Config) -> Any:
    return FEATURES.back(_inputs_of_lora(_, config), config)


WORDS = Words(
    (
        Opt("in_size", "kernel.shape", Iso(last_axis, _in_size, "rows of the kernel")),
        Opt("out_size", "features", OUT_FEATURES),
    )
)

LORA = companion(
    nn.LoRA,
    companions.LoRA,
    Opt("in_features", "lora_a.shape", Iso(lambda n, _: n, _inputs_of_lora, "rows of lora_a")),
    Opt("in_size", "inputs.shape", Iso(last_axis, _in_size_of_lora, "rows of lora_a")),
    *of_lora(),
    leaves=(leaf("weight.lora_a", "lora_a"), leaf("weight.lora_b", "lora_b")),
    cases=(
        case(in_features=3, lora_rank=2, out_features=4),
        case(
            in_features=3,
            lora_rank=2,
            out_features=4,
            base_module=made(nn.Linear, in_size=3, out_size=4),
        ),
    ),
)


def _out_size(features: Any, config: Config) -> Any:
    return OUT_FEATURES.back(entries(features)[0], config)


DENSE_GENERAL = LayerMap(
    nn.Linear,
    linen.DenseGeneral,
    (
        Opt("in_size", "kernel.shape", Iso(last_axis, _in_size, "rows of the kernel")),
        Opt("out_size", "features", Iso(last_axis, _out_size, "last axis")),
        Opt("b_init", "use_bias", HAS),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        Given("foreign", "axis", -1, reason="it is the last one"),
        Only("core", "w_mask", None),
        Given("foreign", "batch_dims", (), reason="there is none"),
        Only("foreign", "dot_general", None),
        Only("foreign", "dot_general_cls", None),
        PROMOTION,
    ),
    (
        leaf("weight.weight", "kernel"),
        leaf("weight.bias", "bias", when=lambda config: config["b_init"] is not None),
    ),
    foreign_cases=(
        case(features=4, input=(5, 3)),
        case(
            features=(4,),
            axis=(-1,),
            use_bias=False,
            precision="highest",
            dtype=jnp.bfloat16,
            input=(3,),
        ),
    ),
    refusals=(
        Refused("foreign", case(features=4, dot_general=_product, input=(3,)), "dot_general="),
        Refused(
            "foreign",
            case(features=4, dot_general_cls=lambda: _product, input=(3,)),
            "dot_general_cls=",
        ),
        Refused("foreign", case(features=4, promote_dtype=_as_they_are, input=(3,)), "promote_"),
    ),
    select=one_axis,
    exports=False,
)

MASKED: LayerMap = masked_linear(companions, WORDS)

ROWS: tuple[LayerMap, ...] = (
    *linear_companions(companions, WORDS),
    *connection_companions(companions, Words()),
    LORA,
    DENSE_GENERAL,
)
