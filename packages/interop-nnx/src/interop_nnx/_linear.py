"""Rows of the layers with one dense kernel: of NNX itself, and companions."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.companion_linear_rows import (
    Words,
    connection_companions,
    linear_companions,
    masked_linear,
)
from interop_core.mapping import (
    FEATURES,
    HAS,
    OUT_FEATURES,
    Config,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
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


_WORDS = Words()

ROWS: tuple[LayerMap, ...] = (
    masked_linear(companions, _WORDS),  # the first that is chosen is taken
    LINEAR,
    *linear_companions(companions, _WORDS),
    *connection_companions(companions, _WORDS),
)
