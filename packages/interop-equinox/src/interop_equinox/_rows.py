"""All rows of the bridge, in the order of the documentation."""

from __future__ import annotations

import equinox as eqx

from interop_core import nn
from interop_core.companion_activation_rows import TWO_INPUTS
from interop_core.companion_pooling_rows import UNPOOLING
from interop_core.mapping import LayerMap, Unconvertible
from interop_core.recurrent_rows import core_cells_without

from . import (
    _activation,
    _conv,
    _conv_transpose,
    _dropout,
    _embedding,
    _functions,
    _linear,
    _norm,
    _padding,
    _pooling,
    _recurrent,
)

ROWS: tuple[LayerMap, ...] = (
    *_linear.ROWS,
    *_conv.ROWS,
    *_conv_transpose.ROWS,
    *_norm.ROWS,
    *_dropout.ROWS,
    *_embedding.ROWS,
    *_recurrent.ROWS,
    *_pooling.ROWS,
    *_padding.ROWS,
    *_functions.ROWS,
    *_activation.ROWS,
)

_STATISTICS = (
    "Equinox keeps running statistics in an eqx.nn.State outside the model, which a model alone "
    "does not hold"
)

UNCONVERTIBLE: tuple[Unconvertible, ...] = (
    Unconvertible(eqx.nn.BatchNorm, _STATISTICS, "use GroupNorm or LayerNorm"),
)

UNCONVERTIBLE_CORE: tuple[Unconvertible, ...] = (
    *(
        Unconvertible(layer, _STATISTICS, "use nn.GroupNorm or nn.LayerNorm")
        for layer in (nn.BatchNorm0d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    ),
    *TWO_INPUTS,
    *UNPOOLING,
    *core_cells_without(
        simple="Equinox has no plain recurrent cell",
        minimal="Equinox has no minimal gated unit",
    ),
)
