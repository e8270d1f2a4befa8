"""Rows of the layers that compute a weight of a layer inside: `eqx.nn.WeightNorm` and its like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx

from interop_core import nn
from interop_core.companion_rows import companion
from interop_core.errors import Refusal
from interop_core.holding import Part, made
from interop_core.layout import Layout
from interop_core.mapping import Config, Iso, LayerMap, Only, Opt, Refused, case, leaf
from interop_core.weight_rows import Weight, Weights, along, axes_iso, kept_axes

from . import _conv, _linear, companions

WEIGHTS = Weights((*_linear.ROWS, *_conv.ROWS))


def _matrix(weight: Weight) -> Weight:
    if len(weight.order) < 2:
        raise Refusal(
            f"{weight.core} has one axis, and Equinox normalises matrices",
            'use weight_name="weight.weight"',
        )
    return weight


def _of_core(config: Config) -> Weight:
    return _matrix(WEIGHTS.of_core(config))


def _of_foreign(config: Config) -> Weight:
    name = config["weight_name"]
    shape = config.get(f"layer.{name}.shape")
    kind = config["layer.type"]
    if shape is None:
        raise Refusal(f"{kind.__name__} holds no array {name!r}", "name one that it holds")
    return _matrix(WEIGHTS.of_foreign(kind, name, len(shape)))


WEIGHT_NAME = Iso(
    lambda _, config: _of_core(config).foreign,
    lambda _, config: _of_foreign(config).core,
    "the same array",
)


def _kept(config: Config) -> tuple[int, ...]:
    return kept_axes(config["feature_axes"], len(_of_core(config).order))


def _scale(config: Config) -> Layout:
    return along(_of_core(config), _kept(config), ones=True)


def _rank(config: Config) -> int | None:
    return WEIGHTS.example_rank(config)


_AXES = axes_iso(_of_core, _of_foreign)


def _one_axis(value: Any, config: Config) -> Any:
    moved = _AXES.to(value, config)
    return moved[0] if isinstance(moved, Sequence) else moved


def _own_formula(config: Config) -> bool:
    """Whether Equinox's own layer says it."""
    axes = config["feature_axes"]
    one = not isinstance(axes, Sequence) or len(axes) == 1
    return bool(one and config["epsilon"] == 0 and config["use_scale"] and config["dtype"] is None)


LINEAR = made(nn.Linear, in_size=3, out_size=4)
CONV = made(
    nn.Conv2d, in_size=(5, 4, 3), out_channels=2, kernel_size=(3, 2), b_init=nn.init.ZeroInit()
)

WEIGHT_NORM = LayerMap(
    nn.WeightNorm,
    eqx.nn.WeightNorm,
    (
        Part("layer", "layer", through=True),
        Opt("weight_name", "weight_name", WEIGHT_NAME),
        Opt("feature_axes", "axis", Iso(_one_axis, _AXES.back, _AXES.doc)),
        Only("core", "epsilon", 0.0),
        Only("core", "use_scale", True),
        Only("core", "dtype", None),
    ),
    (leaf("scale", "g", _scale),),
    cases=(
        case(layer=LINEAR, epsilon=0.0, input=(3,)),
        case(layer=CONV, feature_axes=(2,), epsilon=0.0, input=(5, 4, 3)),
    ),
    foreign_cases=(
        case(
            layer=made(eqx.nn.Linear, in_features=3, out_features=4, use_bias=False),
            axis=None,
            input=(3,),
        ),
    ),
    refusals=(
        Refused(
            "core",
            case(layer=LINEAR, weight_name="weight.bias", epsilon=0.0, input=(3,)),
            "has one axis",
        ),
        Refused(
            "foreign",
            case(
                layer=made(eqx.nn.GRUCell, input_size=3, hidden_size=4),
                weight_name="weight_hh",
                input=(3,),
            ),
            "one norm would be another",
        ),
    ),
    chosen=_own_formula,
    example_rank=_rank,
)

COMPANION = companion(
    nn.WeightNorm,
    companions.WeightNorm,
    Part("layer", "layer", through=True),
    Opt("weight_name", "weight_name", WEIGHT_NAME),
    Opt("feature_axes", "feature_axes", _AXES),
    leaves=(leaf("scale", "scale", _scale, when=lambda config: bool(config["use_scale"])),),
    cases=(
        case(layer=LINEAR, input=(3,)),
        case(layer=CONV, feature_axes=(0, -1), epsilon=0.5, input=(5, 4, 3)),
        case(layer=LINEAR, feature_axes=None, use_scale=False, input=(3,)),
    ),
    example_rank=_rank,
    note="With an epsilon, with several axes, or without a scale.",
)

ROWS: tuple[LayerMap, ...] = (WEIGHT_NORM, COMPANION)
