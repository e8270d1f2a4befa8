"""Rows of the activations that are no plain functions: with slopes to learn, and companions."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from interop_core import nn
from interop_core.companion_activation_rows import activation_companions
from interop_core.errors import Refusal
from interop_core.layout import Layout, axes
from interop_core.mapping import Channels, Config, Iso, LayerMap, Opt, Refused, case, leaf
from interop_core.slopes import START, slope_layout

from . import companions


def _spatial(config: Config) -> int:
    """How many axes stand behind the channels of the example in Equinox: those of an image."""
    rank = len(config["example"] or ())
    return rank - 1 if rank > 2 and config["num_parameters"] != 1 else 0


def _slopes(number: int, config: Config) -> Any:
    slope: Any = 0.25
    for _ in range(_spatial(config)):
        slope = (slope,)
    return slope if number == 1 else (slope,) * number


def _number(_: Any, config: Config) -> int:
    shape: tuple[int, ...] = config["negative_slope.shape"]
    if not shape:
        return 1
    number = shape[0]
    behind = (1,) * _spatial({**config, "num_parameters": number})
    if number < 2 or shape != (number, *behind):
        raise Refusal(
            f"slopes of shape {shape} are neither one for all entries nor one for each channel",
            "reshape them to (), to (channels,), or for images to (channels, 1, 1), and pass "
            "sample_input",
        )
    return number


def _layout(config: Config) -> Layout:
    behind = _spatial(config)
    return axes("c -> c" + " 1" * behind) if behind else slope_layout(config)


def _channels(config: Config) -> Channels:
    if config["num_parameters"] == 1:
        return "any"
    return "first" if _spatial(config) else "same"


PRELU = LayerMap(
    nn.PReLU,
    eqx.nn.PReLU,
    (Opt("num_parameters", "init_alpha", Iso(_slopes, _number, "number of slopes")), START),
    (leaf("weight", "negative_slope", _layout),),
    cases=(
        case(input=(3, 4)),
        case(num_parameters=4, input=(4,)),
        case(num_parameters=4, input=(3, 2, 4)),
    ),
    refusals=(
        Refused("foreign", case(init_alpha=jnp.ones((2, 3)), input=(2, 3)), "slopes of shape"),
    ),
    channels=_channels,
    sized=True,
    note="Slopes for the channels of images have the shape `(channels, 1, 1)`. In a stack, which "
    "hands each layer a key, it stands in a `Pointwise` along no axes, which takes the key.",
)

ROWS: tuple[LayerMap, ...] = (PRELU, *activation_companions(companions))
