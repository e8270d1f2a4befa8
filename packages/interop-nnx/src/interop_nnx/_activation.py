"""Rows of the activations that are modules: with learned slopes, and companions."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.companion_activation_rows import activation_companions, unflatten_companion
from interop_core.mapping import LayerMap, Only, Opt, Refused, case, ignored, leaf
from interop_core.slopes import START, slope_layout, slope_number

from . import companions
from ._options import PROMOTE_DTYPE

PRELU = LayerMap(
    nn.PReLU,
    nnx.PReLU,
    (
        Opt("num_parameters", "negative_slope_init", slope_number(0.01)),
        START,
        Only("foreign", "dtype", None, "cast the model and its input instead"),
        ignored("foreign", "negative_slope_metadata", "what is written beside the slopes"),
        PROMOTE_DTYPE,
    ),
    (leaf("weight", "negative_slope", slope_layout),),
    cases=(case(input=(3, 4)), case(num_parameters=4, input=(3, 4))),
    refusals=(
        Refused("foreign", case(dtype=jnp.bfloat16, input=(4,)), "dtype="),
        Refused("foreign", case(promote_dtype=lambda *arrays, **_: arrays, input=(4,)), "promote_"),
        Refused(
            "foreign",
            case(negative_slope_init=jnp.ones((2, 1)), input=(2, 4)),
            r"slopes of shape \(2, 1\)",
        ),
    ),
    note="NNX casts the slopes to the input's dtype; the core gives what the two promote to.",
)

ROWS: tuple[LayerMap, ...] = (
    PRELU,
    *activation_companions(companions),
    unflatten_companion(companions),
)
