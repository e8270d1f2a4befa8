"""Rows of the layers that compute a weight of a layer inside: `eqx.nn.WeightNorm` and its like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from interop_core import nn
from interop_core.companion_rows import companion
from interop_core.errors import Refusal
from interop_core.graph import leaves
from interop_core.holding import Part, made
from interop_core.layout import Layout, chain
from interop_core.mapping import Config, Given, Iso, LayerMap, Only, Opt, Refused, case, leaf
from interop_core.reshape import Reshape
from interop_core.weight_rows import STEPS, Weight, Weights, along, axes_iso, kept_axes, order_of

from . import _conv, _embedding, _linear, companions

WEIGHTS = Weights((*_linear.ROWS, *_conv.ROWS, *_embedding.ROWS))


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
EMBEDDING = made(nn.Embedding, num_embeddings=7, embedding_size=4)
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
        case(layer=LINEAR, feature_axes=None, use_scale=False, dtype=jnp.bfloat16, input=(3,)),
        case(layer=EMBEDDING, weight_name="weight", input=(), below=7),
    ),
    example_rank=_rank,
    note="With an epsilon, with several axes, or without a scale.",
)


def _shape(config: Config) -> tuple[int, ...]:
    shape: tuple[int, ...] = leaves(config["layer"])[config["weight_name"]].shape
    return shape


def _one_position(config: Config) -> None:
    """Refuse leading axes, along which a `Pointwise` would have to hand on the state."""
    rank, example = _rank(config), config.get("example")
    if rank is not None and example is not None and len(example) > rank:
        raise Refusal(
            f"gets examples of shape {example}, and works on {rank} axes: along the others "
            "Equinox would call it many times, and each call has a state of its own",
            "give it one position at a time",
        )


def _last(axis: int, config: Config) -> None:
    _one_position(config)
    rank = len(_shape(config))
    order = order_of(_of_core, config)
    if order is not None and (axis % rank != rank - 1 or order[0] != rank - 1):
        raise Refusal(
            f"axis={axis} is not the first axis of Equinox's weight, and another matrix has other "
            "singular values",
            "use axis=-1 around a linear layer or a convolution",
        )


def _columns_first(weight: Weight) -> Weight:
    if weight.order[0] != len(weight.order) - 1:
        raise Refusal(
            f"{weight.foreign} has the features of the output behind, and the core's layer takes "
            "them for the columns of the matrix",
            "wrap a linear layer or a convolution",
        )
    return weight


def _rows(config: Config) -> tuple[Weight, int]:
    """The weight, and which of its axes ``u`` is along."""
    weight = _of_core(config)
    return weight, config["axis"] % len(weight.order)


def _of_v(config: Config) -> Layout:
    weight, axis = _rows(config)
    return along(weight, [other for other in range(len(weight.order)) if other != axis])


def _flat_v(config: Config) -> Layout:
    moved = _of_v(config)
    (shape,) = moved.shapes((_shape(config)[:-1],))
    flat = (math.prod(shape),)
    return moved if shape == flat else chain(moved, Reshape(shape, flat))


def _both_vectors(config: Config) -> bool:
    """Whether Equinox's own layer says it."""
    if not config["keep_v"] or config["dtype"] is not None:
        return False
    order = order_of(_of_core, config)
    return order is None or config["axis"] % len(order) == order[0] == len(order) - 1


SPECTRAL_NORM = LayerMap(
    nn.SpectralNorm,
    eqx.nn.SpectralNorm,
    (
        Part("layer", "layer", through=True),
        Opt(
            "weight_name",
            "weight_name",
            Iso(
                WEIGHT_NAME.to,
                lambda _, config: _columns_first(_of_foreign(config)).core,
                WEIGHT_NAME.doc,
            ),
        ),
        Given("core", "axis", -1, _last, "the first axis of the weight in Equinox"),
        Opt("n_steps", "num_power_iterations", STEPS),
        Opt("epsilon", "eps"),
        Only("core", "keep_v", True),
        Only("core", "dtype", None),
    ),
    (leaf("u", "uv_index.0"), leaf("v", "uv_index.1", _flat_v)),
    cases=(
        case(layer=LINEAR, keep_v=True, n_steps=2, input=(3,)),
        case(layer=CONV, keep_v=True, epsilon=0.5, input=(5, 4, 3)),
    ),
    foreign_cases=(
        case(
            layer=made(eqx.nn.Conv1d, in_channels=3, out_channels=4, kernel_size=2),
            weight_name="weight",
            input=(5, 3),
        ),
    ),
    refusals=(
        Refused("core", case(layer=LINEAR, keep_v=True, input=(5, 3)), "a state of its own"),
        Refused(
            "foreign",
            case(
                layer=made(eqx.nn.Linear, in_features=3, out_features=4),
                weight_name="weight",
                num_power_iterations=0,
                input=(3,),
            ),
            "takes 0 steps",
        ),
    ),
    chosen=_both_vectors,
    note="With its vectors in an eqx.nn.State.",
)


def _axis(axis: int, config: Config) -> Any:
    _one_position(config)
    return _AXES.to(axis, config)


def _keeps_v(config: Config) -> bool:
    return bool(config["keep_v"])


SPECTRAL_COMPANION = companion(
    nn.SpectralNorm,
    companions.SpectralNorm,
    Part("layer", "layer", through=True),
    Opt("weight_name", "weight_name", WEIGHT_NAME),
    Opt("n_steps", "n_steps", STEPS),
    Opt("axis", "axis", Iso(_axis, _AXES.back, _AXES.doc)),
    leaves=(
        leaf("u", "u"),
        leaf("v", "v", _of_v, when=_keeps_v),
        leaf("sigma", "sigma", when=lambda config: not _keeps_v(config)),
    ),
    cases=(
        case(layer=LINEAR, n_steps=2, input=(3,)),
        case(layer=CONV, epsilon=0.5, input=(5, 4, 3)),
        case(layer=CONV, axis=0, keep_v=True, dtype=jnp.bfloat16, input=(5, 4, 3)),
        case(layer=EMBEDDING, weight_name="weight", input=(), below=7),
    ),
    refusals=(Refused("core", case(layer=LINEAR, input=(5, 3)), "a state of its own"),),
    note="With one vector kept, along another axis, or with a dtype to compute in.",
)

ROWS: tuple[LayerMap, ...] = (WEIGHT_NORM, COMPANION, SPECTRAL_NORM, SPECTRAL_COMPANION)
