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
)
from interop_core.companion_rows import companion
from interop_core.errors import Refusal
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
    ignored,
    last_axis,
    leaf,
)

from . import companions
from ._arrays import COMPUTE_DTYPE, PROMOTION, shape_of


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
    Only("core", "base_module", None, "convert the base module on its own, and add the outputs"),
    ignored("core", "kernel_init", "initial values: the weights themselves are converted"),
    leaves=(leaf("weight.lora_a", "lora_a"), leaf("weight.lora_b", "lora_b")),
    cases=(case(in_features=3, lora_rank=2, out_features=4),),
    refusals=(
        Refused(
            "core",
            case(in_features=3, lora_rank=2, out_features=4, base_module=jnp.tanh, input=(3,)),
            "base_module=.*convert the base module on its own",
        ),
    ),
)

_SEVERAL = "a product over several axes at once is no product over the last one"


def _rows_of_one_kernel(_: Any, config: Config) -> Any:
    shape = config.get("kernel.shape", (0, 0))
    if len(shape) != 2:
        raise Refusal(f"kernel of shape {shape}: {_SEVERAL}", "reshape, and use linen.Dense")
    return _in_size(_, config)


def _one_axis(axis: Any) -> Any:
    if axis != -1 and axis != (-1,):
        raise Refusal(f"axis={axis!r}: {_SEVERAL}", "reshape the input, and use linen.Dense")
    return None


def _one_number(features: Any, config: Config) -> Any:
    if not isinstance(features, int) and len(features) != 1:
        raise Refusal(f"features={features!r}: {_SEVERAL}", "use linen.Dense, and reshape")
    number = features if isinstance(features, int) else features[0]
    return OUT_FEATURES.back(number, config)


DENSE_GENERAL = LayerMap(
    nn.Linear,
    linen.DenseGeneral,
    (
        Opt("in_size", "kernel.shape", Iso(last_axis, _rows_of_one_kernel, "rows of the kernel")),
        Opt("out_size", "features", Iso(last_axis, _one_number, "last axis")),
        Opt("b_init", "use_bias", HAS),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        Given("foreign", "axis", -1, lambda axis, _: _one_axis(axis)),
        Only("core", "w_mask", None),
        Only("foreign", "batch_dims", ()),
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
        case(features=(4,), axis=(-1,), use_bias=False, precision="highest", input=(3,)),
    ),
    refusals=(
        Refused("foreign", case(features=(4, 2), input=(3,)), r"features=\(4, 2\).*several axes"),
        Refused("foreign", case(features=4, axis=(-2, -1), input=(5, 3)), "axis=.*several axes"),
    ),
    exports=False,
)

MASKED: LayerMap = masked_linear(companions, WORDS)

ROWS: tuple[LayerMap, ...] = (
    *linear_companions(companions, WORDS),
    *connection_companions(companions, Words()),
    LORA,
    DENSE_GENERAL,
)
