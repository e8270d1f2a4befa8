"""All rows of the bridge, in the order of the documentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from interop_core.companion_activation_rows import TWO_INPUTS
from interop_core.companion_pooling_rows import UNPOOLING
from interop_core.errors import Refusal
from interop_core.functions import is_companion
from interop_core.mapping import Config, Iso, LayerMap, Opt, Unconvertible
from interop_core.without_counterpart import WITHOUT_COUNTERPART

from . import (
    _activation,
    _attention,
    _batch_norm,
    _conv,
    _conv_transpose,
    _dropout,
    _embedding,
    _event,
    _functions,
    _general,
    _linear,
    _linear_general,
    _norm,
    _padding,
    _pooling,
    _recurrent,
    _recurrent_convolution,
    _recurrent_sequence,
    _weight_norm,
)
from .companions import ScaleAndShift

_STACK_KEEPS = (
    "computes in {}, and a norm of Equinox behind it in the stack gives the dtype that it is "
    "given, where the core's gives that of its parameters"
)


def _whole(function: Callable[[Any, Config], Any]) -> Callable[[Any, Config], Any]:
    """The map of a dtype to compute in, for those that no layer behind it rounds to again."""

    def checked(dtype: Any, config: Config) -> Any:
        if dtype is not None and config.get("stacked") and jnp.dtype(dtype).itemsize < 4:
            raise Refusal(
                _STACK_KEEPS.format(jnp.dtype(dtype).name),
                "convert it on its own, or cast the whole model and its input",
            )
        return function(dtype, config)

    return checked


def _in_single(row: LayerMap) -> LayerMap:
    """The row with half precision refused inside a stack."""
    options = (
        Opt(o.core, o.foreign, Iso(_whole(o.iso.to), _whole(o.iso.back), o.iso.doc))
        if isinstance(o, Opt) and o.core == "dtype"
        else o
        for o in row.options
    )
    return replace(row, options=tuple(options))


_ROWS: tuple[LayerMap, ...] = (
    *_linear.ROWS,
    *_linear_general.ROWS,
    *_event.ROWS,
    *_conv.ROWS,
    *_conv_transpose.ROWS,
    *_norm.ROWS,
    *_batch_norm.ROWS,
    *_dropout.ROWS,
    *_embedding.ROWS,
    *_attention.ROWS,
    *_recurrent.ROWS,
    *_recurrent_convolution.ROWS,
    *_recurrent_sequence.ROWS,
    *_weight_norm.ROWS,
    *_pooling.ROWS,
    *_general.ROWS,
    *_padding.ROWS,
    *_functions.ROWS,
    *_activation.ROWS,
)

ROWS = tuple(_in_single(row) if is_companion(row.foreign) else row for row in _ROWS)

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
    Unconvertible(
        eqx.nn.Shared,
        "it says where a model with a forward of its own holds one thing twice",
        "put one layer into an eqx.nn.Sequential twice: it stays one",
    ),
    Unconvertible(eqx.nn.StatefulLayer, "it is a base class, which computes nothing"),
    Unconvertible(eqx.nn.StateIndex, "it is the place of a number in a state, and no layer"),
)

UNCONVERTIBLE_CORE: tuple[Unconvertible, ...] = (
    *TWO_INPUTS,
    *UNPOOLING,
    *WITHOUT_COUNTERPART,
)
