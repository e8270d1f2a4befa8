"""All rows of the bridge, and the layers that have none."""

from __future__ import annotations

from flax import nnx

from interop_core.companion_activation_rows import TWO_INPUTS
from interop_core.companion_pooling_rows import UNPOOLING
from interop_core.function_rows import (
    activation_rows,
    flatten_row,
    move_axis_row,
)
from interop_core.mapping import LayerMap, Unconvertible
from interop_core.without_counterpart import WITHOUT_COUNTERPART

from . import (
    _activation,
    _attention,
    _batch_norm,
    _conv,
    _conv_companions,
    _conv_transpose,
    _dropout,
    _embedding,
    _event,
    _linear,
    _linear_general,
    _lora,
    _norm,
    _padding,
    _pooling,
    _recurrent,
    _recurrent_companions,
    _recurrent_convolution,
    _recurrent_sequence,
    _weight_norm,
)

ROWS: tuple[LayerMap, ...] = (
    *_linear.ROWS,
    *_lora.ROWS,
    *_linear_general.ROWS,
    *_conv_companions.ROWS,  # the first that is chosen is taken
    *_conv.ROWS,
    *_conv_transpose.ROWS,
    *_batch_norm.ROWS,
    *_norm.ROWS,
    *_dropout.ROWS,
    *_embedding.ROWS,
    *_attention.ROWS,
    *_recurrent_companions.STATEFUL,  # the first that is chosen is taken
    *_recurrent.ROWS,
    *_recurrent_companions.WITH_CARRY,
    *_recurrent_convolution.ROWS,
    *_recurrent_sequence.ROWS,
    *_weight_norm.ROWS,
    *_event.ROWS,
    *_pooling.ROWS,
    *_padding.ROWS,
    *activation_rows(),
    *_activation.ROWS,
    flatten_row(),
    move_axis_row(),
)
"""One for each layer, in the order of the documentation."""

_NO_CORE = "the core has no such layer"

UNCONVERTIBLE: tuple[Unconvertible, ...] = (
    *_weight_norm.UNCONVERTIBLE,
    Unconvertible(nnx.List, "a list says not how its layers are called", "use nnx.Sequential"),
    Unconvertible(nnx.Dict, "a dict says not how its layers are called", "use nnx.Sequential"),
    Unconvertible(nnx.min_pool, _NO_CORE),
)
"""Layers of NNX that are known and have no counterpart."""

UNCONVERTIBLE_CORE: tuple[Unconvertible, ...] = (
    *TWO_INPUTS,
    *UNPOOLING,
    *WITHOUT_COUNTERPART,
)
"""Layers of the core that are known and have none in NNX."""
