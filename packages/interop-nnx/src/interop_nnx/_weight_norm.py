"""Rows of the companions that compute a weight of the layer inside.

The layers of NNX by these names write what they compute over the weight that is trained, in every
call, so that an optimizer goes on from another array than where it was.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.companion_rows import companion
from interop_core.errors import Refusal
from interop_core.holding import Part, made
from interop_core.layout import Layout
from interop_core.mapping import (
    Config,
    Iso,
    LayerMap,
    Opt,
    Refused,
    Unconvertible,
    case,
    ignored,
    leaf,
)
from interop_core.weight_rows import STEPS, Weight, Weights, along, axes_iso, kept_axes

from . import _conv, _conv_companions, _embedding, _linear, companions

WEIGHTS = Weights((*_linear.ROWS, *_conv_companions.ROWS, *_conv.ROWS, *_embedding.ROWS))
_WRAP = "wrap a linear layer or a convolution"


def _held(weight: Weight) -> Weight:
    if "." in weight.foreign:
        raise Refusal(f"{weight.core} is held by a layer inside the one that is wrapped", _WRAP)
    return weight


def _of_core(config: Config) -> Weight:
    return _held(WEIGHTS.of_core(config))


def _of_foreign(config: Config) -> Weight:
    name = config["weight_name"]
    kind: Any = type(config["layer"])
    shape = config.get(f"layer.{name}.shape")
    if shape is None:
        raise Refusal(f"{kind.__name__} holds no array {name!r}", "name one that it holds")
    return _held(WEIGHTS.of_foreign(kind, name, len(shape)))


WEIGHT_NAME = Iso(
    lambda _, config: _of_core(config).foreign,
    lambda _, config: _of_foreign(config).core,
    "the same array",
)
_AXES = axes_iso(_of_core, _of_foreign)


def _scale(config: Config) -> Layout:
    weight = _of_core(config)
    return along(weight, kept_axes(config["feature_axes"], len(weight.order)))


def _rows_cast(dtype: Any, config: Config) -> Any:
    if dtype is not None and isinstance(config["layer"], nn.Embedding | nnx.Embed):
        raise Refusal(
            "nnx.Embed gives rows of its own dtype, whatever its table is cast to",
            "leave dtype out, or cast the embedding",
        )
    return dtype


_DTYPE = Opt("dtype", "dtype", Iso(_rows_cast, _rows_cast, "="))
_EMBEDDING = made(nn.Embedding, num_embeddings=7, embedding_size=4)
_ROWS_CAST = Refused(
    "core",
    case(layer=_EMBEDDING, weight_name="weight", dtype=jnp.bfloat16, input=(), below=7),
    "rows of its own dtype",
)


def _keeps_v(config: Config) -> bool:
    return bool(config["keep_v"])


_LINEAR = made(nn.Linear, in_size=3, out_size=4)
_CONV = made(nn.Conv2d, in_size=(5, 4, 3), out_channels=2, kernel_size=(3, 2))

WEIGHT_NORM = companion(
    nn.WeightNorm,
    companions.WeightNorm,
    Part("layer", "layer", through=True),
    Opt("weight_name", "weight_name", WEIGHT_NAME),
    Opt("feature_axes", "feature_axes", _AXES),
    _DTYPE,
    leaves=(leaf("scale", "scale", _scale, when=lambda config: bool(config["use_scale"])),),
    cases=(
        case(layer=_LINEAR, feature_axes=None, input=(3,)),
        case(layer=_CONV, feature_axes=(0, -1), epsilon=0.5, input=(5, 4, 3)),
        case(layer=_LINEAR, use_scale=False, dtype=jnp.bfloat16, input=(3,)),
    ),
    refusals=(
        Refused(
            "core",
            case(
                layer=made(nn.LSTMCell, num_in=3, num_out=4),
                weight_name="W.weight.weight",
                input=(3,),
            ),
            "one norm would be another",
        ),
        _ROWS_CAST,
    ),
)

SPECTRAL_NORM = companion(
    nn.SpectralNorm,
    companions.SpectralNorm,
    Part("layer", "layer", through=True),
    Opt("weight_name", "weight_name", WEIGHT_NAME),
    Opt("axis", "axis", _AXES),
    Opt("n_steps", "n_steps", STEPS),
    _DTYPE,
    ignored("foreign", "use_running_average", "a mode, which .train() and .eval() switch"),
    ignored("foreign", "vector_init", "how the vectors start; they are converted"),
    leaves=(
        leaf("u", "u"),
        leaf("v", "v", when=_keeps_v),
        leaf("sigma", "sigma", when=lambda config: not _keeps_v(config)),
    ),
    cases=(
        case(layer=_LINEAR, n_steps=2, input=(3,)),
        case(layer=_CONV, epsilon=0.5, keep_v=True, input=(5, 4, 3)),
        case(layer=_LINEAR, axis=0, keep_v=True, dtype=jnp.bfloat16, input=(3,)),
        case(layer=_EMBEDDING, weight_name="weight", input=(), below=7),
    ),
    refusals=(_ROWS_CAST,),
)

ROWS: tuple[LayerMap, ...] = (WEIGHT_NORM, SPECTRAL_NORM)

_WRITES = "every call writes the weight that it computes over the one that is trained"

UNCONVERTIBLE: tuple[Unconvertible, ...] = (
    Unconvertible(
        nnx.SpectralNorm,
        f"{_WRITES}, so that training goes on from a weight that is divided again at each step, "
        "where the core's layer trains the weight itself",
        "use interop_nnx.companions.SpectralNorm, which leaves the weight what it is",
    ),
    Unconvertible(
        nnx.WeightNorm,
        f"{_WRITES}, and its scales are arrays that no optimizer sees, where the core's layer "
        "trains both",
        "use interop_nnx.companions.WeightNorm, which leaves the weight what it is",
    ),
)
