"""Rows of the layers that compute a weight of the layer inside: `linen.WeightNorm` and its like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flax import linen

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.holding import Part, made
from interop_core.layout import Layout
from interop_core.mapping import Config, Iso, LayerMap, Opt, Refused, case, leaf
from interop_core.weight_rows import Weight, Weights, along, axes_iso, kept_axes

from . import _conv, _conv_companions, _linear, _linear_companions

KERNEL = "kernel"
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
            "wrap a linear layer or a convolution",
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
        case(layer=DENSE, feature_axes=None, use_scale=False, input=(3,)),
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

ROWS: tuple[LayerMap, ...] = (WEIGHT_NORM,)
