"""All rows of the bridge, in the order of the documentation."""

from __future__ import annotations

from flax import linen
from flax.linen.pooling import min_pool

from interop_core.companion_activation_rows import TWO_INPUTS
from interop_core.companion_padding_rows import padding_companions
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
    _conv_local,
    _conv_transpose,
    _dropout,
    _embedding,
    _event,
    _linear,
    _linear_companions,
    _linear_general,
    _norm,
    _pooling,
    _recurrent,
    _recurrent_convolution,
    _recurrent_sequence,
    _weight_norm,
    companions,
)

ROWS: tuple[LayerMap, ...] = (
    _linear_companions.MASKED,
    *_linear.ROWS,
    *_linear_companions.ROWS,
    *_linear_general.ROWS,
    *_conv_companions.PADDED,
    *_conv.ROWS,
    *_conv_companions.SCALED,
    *_conv_transpose.ROWS,
    *_conv_local.ROWS,
    *_batch_norm.ROWS,
    *_norm.ROWS,
    *_dropout.ROWS,
    *_embedding.ROWS,
    *_event.ROWS,
    *_attention.ROWS,
    *_recurrent.ROWS,
    *_recurrent_convolution.ROWS,
    *_recurrent_sequence.ROWS,
    *_weight_norm.ROWS,
    *activation_rows(),
    *_activation.ROWS,
    *_pooling.ROWS,
    *padding_companions(companions),
    flatten_row(),
    move_axis_row(),
)

_OPERATION = "it is a product for use inside of a layer, whose scales follow what it has seen"
_OPERATIONS = (
    "Fp8DirectDotGeneralOp",
    "Fp8DotGeneral",
    "Fp8DotGeneralOp",
    "Fp8Einsum",
    "NANOOFp8DotGeneralOp",
)

UNCONVERTIBLE: tuple[Unconvertible, ...] = (
    *(
        Unconvertible(getattr(linen, name), _OPERATION, "convert the layer without it")
        for name in _OPERATIONS
        if hasattr(linen, name)  # releases differ
    ),
    Unconvertible(min_pool, "the core has no minimum pooling", "negate around a max_pool"),
)
UNCONVERTIBLE_CORE: tuple[Unconvertible, ...] = (
    *TWO_INPUTS,
    *UNPOOLING,
    *WITHOUT_COUNTERPART,
)
