"""All rows of the bridge, in the order of the documentation."""

from __future__ import annotations

import equinox as eqx

from interop_core.companion_activation_rows import TWO_INPUTS
from interop_core.companion_pooling_rows import UNPOOLING
from interop_core.mapping import LayerMap, Unconvertible

from . import (
    _activation,
    _batch_norm,
    _conv,
    _conv_transpose,
    _dropout,
    _embedding,
    _functions,
    _general,
    _linear,
    _norm,
    _padding,
    _pooling,
    _recurrent,
)
from .companions import ScaleAndShift

ROWS: tuple[LayerMap, ...] = (
    *_linear.ROWS,
    *_conv.ROWS,
    *_conv_transpose.ROWS,
    *_norm.ROWS,
    *_batch_norm.ROWS,
    *_dropout.ROWS,
    *_embedding.ROWS,
    *_recurrent.ROWS,
    *_pooling.ROWS,
    *_general.ROWS,
    *_padding.ROWS,
    *_functions.ROWS,
    *_activation.ROWS,
)

FOLDED_ROWS: tuple[LayerMap, ...] = (
    *_batch_norm.FOLDED,
    *(row for row in ROWS if row.foreign is not eqx.nn.BatchNorm),
)
"""The rows where batch normalisations are folded into what they are in evaluation."""

UNCONVERTIBLE: tuple[Unconvertible, ...] = (
    *_general.UNCONVERTIBLE,
    Unconvertible(
        ScaleAndShift,
        "a folded batch normalisation has no running statistics to go on training with",
        "convert the model that it was folded from",
    ),
)

UNCONVERTIBLE_CORE: tuple[Unconvertible, ...] = (
    *TWO_INPUTS,
    *UNPOOLING,
)
