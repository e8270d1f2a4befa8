"""Rows of the layers with one dense kernel."""

from __future__ import annotations

from interop_core import nn
from interop_core.layout import axes
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

from . import stand_in


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


LINEAR = LayerMap(
    nn.Linear,
    stand_in.Linear,
    (
        Opt("in_size", "in_features", FEATURES),
        Opt("out_size", "out_features", OUT_FEATURES),
        Opt("b_init", "use_bias", HAS),
        Only("core", "w_mask", None, "multiply the weight by the mask"),
        Only("core", "dtype", None),
        Only("core", "precision", None),
    ),
    (
        leaf("weight.weight", "weight", axes("i o -> o i")),
        leaf("weight.bias", "bias", when=_has_bias),
    ),
    cases=(case(in_size=3, out_size=4), case(in_size=3, out_size=4, b_init=None)),
)

ROWS = (LINEAR,)
