"""Rows of the layers that compute a weight of the layer inside: `linen.WeightNorm` and its like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.companion_rows import companion
from interop_core.errors import Refusal
from interop_core.graph import leaves
from interop_core.holding import Part, made
from interop_core.layout import Layout, axes
from interop_core.mapping import Config, Given, Iso, LayerMap, Only, Opt, Refused, case, leaf
from interop_core.weight_rows import STEPS, Weight, Weights, along, axes_iso, kept_axes

from . import _conv, _conv_companions, _linear, _linear_companions
from .companions import SpectralNorm

KERNEL = "kernel"
_WRAP = "wrap a linear layer or a convolution"
INSIDE = "layer_instance"

WEIGHTS = Weights(
    (
        _linear_companions.MASKED,
        *_linear.ROWS,
        *_linear_companions.ROWS,
        *_conv_companions.PADDED,
        *_conv.ROWS,
    )
)


def _of_core(config: Config) -> Weight:
    weight = WEIGHTS.of_core(config)
    if weight.foreign != KERNEL:
        raise Refusal(
            f"{weight.core} is called {weight.foreign} in Linen, and not {KERNEL}",
            _WRAP,
        )
    return weight


def _arrays(config: Config) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of the layer inside, by name."""
    start, end = f"{INSIDE}.", ".shape"
    return {
        name.removeprefix(start).removesuffix(end): shape
        for name, shape in config.items()
        if name.startswith(start) and name.endswith(end)
    }


def _of_foreign(config: Config) -> Weight:
    shape = _arrays(config).get(KERNEL)
    kind: Any = type(config[INSIDE])
    if shape is None:
        raise Refusal(f"{kind.__name__} holds no {KERNEL}", "wrap a layer that does")
    return WEIGHTS.of_foreign(kind, KERNEL, len(shape))


def _filter_to(_: str, config: Config) -> set[str]:
    return {_of_core(config).foreign}


def _filter_back(names: Iterable[str] | None, config: Config) -> str:
    if names is not None and not isinstance(names, list | tuple | set | frozenset | str):
        raise Refusal(f"{names!r} can be gone through once only", "give a set of names")
    weight = _of_foreign(config)
    paths = {name: f"{INSIDE}/{name.replace('.', '/')}" for name in _arrays(config)}
    taken = [n for n, path in paths.items() if not names or any(part in path for part in names)]
    if taken != [KERNEL]:
        raise Refusal(
            f"normalises {', '.join(taken) or 'nothing'}, and the core's layer the {KERNEL} alone",
            f"variable_filter={{{KERNEL!r}}} normalises that",
        )
    return weight.core


WEIGHT_NAME = Iso(_filter_to, _filter_back, "the array that it takes")


def _scale(config: Config) -> Layout:
    weight = _of_core(config)
    return along(weight, kept_axes(config["feature_axes"], len(weight.order)))


def _has_scale(config: Config) -> bool:
    return bool(config["use_scale"])


DENSE = made(nn.Linear, in_size=3, out_size=4)
CONV = made(nn.Conv2d, in_size=(5, 4, 3), out_channels=2, kernel_size=(3, 2))
FOREIGN_DENSE = made(linen.Dense, features=4)

WEIGHT_NORM = LayerMap(
    nn.WeightNorm,
    linen.WeightNorm,
    (
        Part("layer", INSIDE, through=True),
        Opt("weight_name", "variable_filter", WEIGHT_NAME),
        Opt("feature_axes", "feature_axes", axes_iso(_of_core, _of_foreign)),
        Opt("epsilon", "epsilon"),
        Opt("use_scale", "use_scale"),
        Opt("dtype", "dtype"),
    ),
    (leaf("scale", f"{INSIDE}/{KERNEL}/scale", _scale, when=_has_scale),),
    cases=(
        case(layer=DENSE, input=(3,)),
        case(layer=CONV, feature_axes=(0, -1), epsilon=0.5, input=(5, 4, 3)),
        case(layer=DENSE, feature_axes=None, use_scale=False, dtype=jnp.float32, input=(3,)),
    ),
    foreign_cases=(
        case(
            layer_instance=made(linen.Dense, features=4, use_bias=False),
            variable_filter=None,
            feature_axes=None,
            input=(3,),
        ),
    ),
    refusals=(
        Refused(
            "foreign",
            case(layer_instance=FOREIGN_DENSE, variable_filter=None, input=(3,)),
            "the kernel alone",
        ),
        Refused(
            "foreign",
            case(layer_instance=FOREIGN_DENSE, variable_filter={"scale"}, input=(3,)),
            "normalises nothing",
        ),
        Refused(
            "core",
            case(layer=DENSE, weight_name="weight.bias", input=(3,)),
            "weight.bias is called",
        ),
        Refused(
            "core",
            case(
                layer=made(nn.LSTMCell, num_in=3, num_out=4),
                weight_name="W.weight.weight",
                input=(3,),
            ),
            "one norm would be another",
        ),
    ),
)

SPECTRAL = Weights(
    (
        _linear_companions.MASKED,
        *_linear.ROWS,
        *_conv_companions.PADDED,
        *_conv.ROWS,
    )
)
"""Layers with one array of more than one axis: Linen divides each of them."""


def _as_it_is(weight: Weight) -> Weight:
    if weight.foreign != KERNEL or weight.order != tuple(range(len(weight.order))):
        raise Refusal(f"{weight.core} is not the {KERNEL}, in the same order of axes", _WRAP)
    if len(weight.order) < 2:
        raise Refusal(f"{weight.core} has one axis, and no singular values", _WRAP)
    return weight


def _divided(_: str, config: Config) -> tuple[int, ...]:
    weight = _as_it_is(SPECTRAL.of_core(config))
    shape: tuple[int, ...] = leaves(config["layer"])[weight.core].shape
    return shape


def _divided_back(_: Any, config: Config) -> str:
    shapes = _arrays(config)
    kind: Any = type(config[INSIDE])
    wide = [name for name, shape in shapes.items() if len(shape) > 1]
    if wide != [KERNEL]:
        raise Refusal(
            f"divides {', '.join(wide) or 'nothing'}, each by a value of its own, and the core's "
            f"layer the {KERNEL} alone",
            _WRAP,
        )
    return _as_it_is(SPECTRAL.of_foreign(kind, KERNEL, len(shapes[KERNEL]))).core


def _last(axis: int, config: Config) -> None:
    rank = len(leaves(config["layer"])[config["weight_name"]].shape)
    if axis % rank != rank - 1:
        raise Refusal(
            f"axis={axis}: Linen has the columns of the matrix along the last axis, and another "
            "matrix has other singular values",
            "use axis=-1",
        )


def _matrices(error: bool, config: Config) -> None:
    if error and len(_arrays(config).get(KERNEL, ())) > 2:
        raise Refusal("error_on_non_matrix=True raises for this kernel", "leave it out")


def _bare(config: Config) -> bool:
    # Linen's own wants a keyword in every call, which no stack passes.
    return not config["stacked"] and not config["keep_v"]


SPECTRAL_NORM = LayerMap(
    nn.SpectralNorm,
    linen.SpectralNorm,
    (
        Part("layer", INSIDE, through=True),
        Opt("weight_name", f"{INSIDE}.{KERNEL}.shape", Iso(_divided, _divided_back, "the kernel")),
        Given("core", "axis", -1, _last),
        Opt("n_steps", "n_steps", STEPS),
        Opt("epsilon", "epsilon"),
        Opt("dtype", "dtype"),
        Only("core", "keep_v", False),
        Given("foreign", "error_on_non_matrix", False, _matrices),
        Only("foreign", "collection_name", "batch_stats"),
    ),
    (
        leaf("u", f"batch_stats:{INSIDE}/{KERNEL}/u", axes("c -> 1 c")),
        leaf("sigma", f"batch_stats:{INSIDE}/{KERNEL}/sigma"),
    ),
    cases=(
        case(layer=DENSE, n_steps=2, input=(3,)),
        case(layer=CONV, epsilon=0.5, input=(5, 4, 3)),
    ),
    foreign_cases=(
        case(layer_instance=FOREIGN_DENSE, error_on_non_matrix=True, input=(3,)),
    ),
    refusals=(
        Refused("core", case(layer=DENSE, axis=0, input=(3,)), "other singular values"),
        Refused(
            "foreign",
            case(
                layer_instance=made(linen.DenseGeneral, features=(2, 4)), input=(3,)
            ),
            r"divides \w+, \w+, each",
        ),
        Refused("foreign", case(layer_instance=FOREIGN_DENSE, n_steps=0, input=(3,)), "0 steps"),
        Refused(
            "foreign",
            case(layer_instance=FOREIGN_DENSE, collection_name="spectral", input=(3,)),
            "collection_name=",
        ),
    ),
    chosen=_bare,
    note="Where it stands alone: it takes update_stats in every call, which no stack passes.",
)  # fmt: skip


def _kernel_name(_: str, config: Config) -> str:
    return _as_it_is(SPECTRAL.of_core(config)).foreign


def _kernel_name_back(name: str, config: Config) -> str:
    shape = _arrays(config).get(name)
    kind: Any = type(config[INSIDE])
    if shape is None:
        raise Refusal(f"{kind.__name__} holds no {name}", "name an array that it holds")
    return _as_it_is(SPECTRAL.of_foreign(kind, name, len(shape))).core


def _keeps_v(config: Config) -> bool:
    return bool(config["keep_v"])


SPECTRAL_COMPANION = companion(
    nn.SpectralNorm,
    SpectralNorm,
    Part("layer", INSIDE, through=True),
    Opt("weight_name", "weight_name", Iso(_kernel_name, _kernel_name_back, "the same array")),
    Opt("n_steps", "n_steps", STEPS),
    leaves=(
        leaf("u", "batch_stats:u"),
        leaf("v", "batch_stats:v", when=_keeps_v),
        leaf("sigma", "batch_stats:sigma", when=lambda config: not _keeps_v(config)),
    ),
    cases=(
        case(layer=DENSE, axis=0, n_steps=2, keep_v=True, input=(3,)),
        case(layer=CONV, epsilon=0.5, keep_v=True, input=(5, 4, 3)),
        case(layer=DENSE, input=(3,), stacked=True),
    ),
    note="In a stack, and with both vectors kept.",
)

ROWS: tuple[LayerMap, ...] = (WEIGHT_NORM, SPECTRAL_NORM, SPECTRAL_COMPANION)
