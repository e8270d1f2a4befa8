"""Rows of the layers with one dense kernel."""

from __future__ import annotations

from flax import nnx
from interop_core import nn
from interop_core.mapping import (
    FEATURES,
    HAS,
    OUT_FEATURES,
    Config,
    LayerMap,
    Only,
    Opt,
    case,
    leaf,
)


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


LINEAR = LayerMap(
    nn.Linear,
    nnx.Linear,
    (
        Opt("in_size", "in_features", FEATURES),
        Opt("out_size", "out_features", OUT_FEATURES),
        Opt("b_init", "use_bias", HAS),
        Opt("dtype", "dtype"),
        Opt("precision", "precision"),
        Only("core", "w_mask", None, "multiply the weight by the mask"),
    ),
    (
        leaf("weight.weight", "kernel"),
        leaf("weight.bias", "bias", when=_has_bias),
    ),
    cases=(
        case(in_size=3, out_size=4),
        case(in_size=3, out_size=4, b_init=None),
        case(in_size=(5, 3), out_size=(5, 4)),
    ),
)

ROWS: tuple[LayerMap, ...] = (LINEAR,)
