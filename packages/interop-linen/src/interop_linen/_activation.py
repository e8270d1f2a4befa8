"""Rows of the activations that are modules: with learned slopes, and companions."""

from __future__ import annotations

from flax import linen

from interop_core import nn
from interop_core.companion_activation_rows import activation_companions, unflatten_companion
from interop_core.mapping import LayerMap, Opt, Refused, case, leaf
from interop_core.slopes import START, slope_layout, slope_number

from . import companions

PRELU = LayerMap(
    nn.PReLU,
    linen.PReLU,
    (Opt("num_parameters", "negative_slope_init", slope_number(0.01)), START),
    (leaf("weight", "negative_slope", slope_layout),),
    cases=(case(input=(3, 4)), case(num_parameters=4, input=(3, 4))),
    foreign_cases=(case(negative_slope_init=0.3, input=(3, 4)),),
    refusals=(
        Refused(
            "foreign",
            case(negative_slope_init=((0.1,), (0.2,)), input=(2, 4)),
            r"slopes of shape \(2, 1\)",
        ),
    ),
    note="Linen casts the slopes to the input's dtype; the core gives what the two promote to.",
)

ROWS: tuple[LayerMap, ...] = (
    PRELU,
    *activation_companions(companions),
    unflatten_companion(companions),
)
