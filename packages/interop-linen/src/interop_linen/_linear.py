"""Rows of the layers with one dense kernel."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from interop_core import nn
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
    last_axis,
    leaf,
)

from ._arrays import COMPUTE_DTYPE, PROMOTION, shape_of


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


def _in_size(_: Any, config: Config) -> Any:
    return FEATURES.back(shape_of(config, "kernel", 2)[0], config)


def _as_they_are(*arrays: Any, **_: Any) -> Any:
    return arrays


def _product(*arguments: Any, **options: Any) -> Any:
    return jax.lax.dot_general(*arguments, **options)


LINEAR = LayerMap(
    nn.Linear,
    linen.Dense,
    (
        Opt("in_size", "kernel.shape", Iso(last_axis, _in_size, "rows of the kernel")),
        Opt("out_size", "features", OUT_FEATURES),
        Opt("b_init", "use_bias", HAS),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        Only("core", "w_mask", None),
        Only("foreign", "dot_general", None),
        Only("foreign", "dot_general_cls", None),
        PROMOTION,
    ),
    (
        leaf("weight.weight", "kernel"),
        leaf("weight.bias", "bias", when=_has_bias),
    ),
    cases=(
        case(in_size=3, out_size=4),
        case(in_size=3, out_size=4, b_init=None),
        case(in_size=(5, 3), out_size=(5, 4)),
        case(in_size=1, out_size=1),
        case(in_size=3, out_size=4, dtype=jnp.bfloat16, precision="highest"),
    ),
    foreign_cases=(
        case(features=4, input=(3,)),
        case(features=4, use_bias=False, input=(6, 5, 3)),
        case(features=4, dtype=jnp.float32, precision="highest", input=(3,)),
    ),
    refusals=(
        Refused("foreign", case(features=4, dot_general=_product, input=(3,)), "dot_general="),
        Refused("foreign", case(features=4, dot_general_cls=lambda: _product, input=(3,)),
                "dot_general_cls="),
        Refused("foreign", case(features=4, promote_dtype=_as_they_are, input=(3,)),
                "promote_dtype="),
    ),
)  # fmt: skip

ROWS: tuple[LayerMap, ...] = (LINEAR,)
