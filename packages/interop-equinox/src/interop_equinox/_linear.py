"""Rows of the layers with one dense kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx

from interop_core import nn
from interop_core.companion_linear_rows import (
    Words,
    connection_companions,
    linear_companions,
    masked_linear,
    of_lora,
)
from interop_core.companion_rows import companion
from interop_core.errors import Refusal
from interop_core.holding import made
from interop_core.layout import axes
from interop_core.mapping import (
    FEATURES,
    HAS,
    OUT_FEATURES,
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Side,
    case,
    ignored,
    leaf,
)

from . import companions


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


def _vector(to: Iso) -> Iso:
    """Sizes of vectors, and of numbers: what is ``()`` in the core Equinox calls a scalar."""

    def forth(size: tuple[int, ...], config: Config) -> int | str:
        features: int | str = to.to(size, config) if size else "scalar"
        return features

    def back(value: int | str, config: Config) -> tuple[int, ...]:
        if value == "scalar":
            return ()
        # Beside a number there are no axes that both sizes could have in front.
        alone = "scalar" in (config["in_features"], config["out_features"])
        size: tuple[int, ...] = to.back(value, {**config, "example": None} if alone else config)
        return size

    return Iso(forth, back, f"{to.doc}; () is a scalar")


def _axes(config: Config) -> int:
    return 1 if config["in_size"] else 0


LINEAR = LayerMap(
    nn.Linear,
    eqx.nn.Linear,
    (
        Opt("in_size", "in_features", _vector(FEATURES)),
        Opt("out_size", "out_features", _vector(OUT_FEATURES)),
        Opt("b_init", "use_bias", HAS),
        Only("core", "w_mask", None, "multiply the weight by the mask"),
        Only("core", "dtype", None, "cast the model and its input instead"),
        Only("core", "precision", None, "use jax.default_matmul_precision instead"),
    ),
    (
        leaf("weight.weight", "weight", axes("i o -> o i")),
        leaf("weight.bias", "bias", when=_has_bias),
    ),
    cases=(
        case(in_size=3, out_size=4),
        case(in_size=3, out_size=4, b_init=None),
        case(in_size=(5, 3), out_size=(5, 4)),
        case(in_size=(), out_size=4),
    ),
    foreign_cases=(
        case(in_features=3, out_features="scalar", input=(3,)),
        case(in_features="scalar", out_features="scalar", input=()),
    ),
    example_rank=_axes,
    note="Several leading axes are worked on by `Pointwise`.",
)

_WORDS = Words(kernel=axes("i o -> o i"))


def _says_more(config: Config) -> bool:
    """Whether a core layer has options that Equinox's own has no word for."""
    return any(config[name] is not None for name in ("w_mask", "dtype", "precision"))


def with_weight(row: LayerMap) -> LayerMap:
    """The row with the companion's kernel called as Equinox calls it."""
    leaves = (
        replace(entry, foreign=tuple("weight" if n == "kernel" else n for n in entry.foreign))
        for entry in row.leaves
    )
    return replace(row, leaves=tuple(leaves))


MASKED = replace(
    masked_linear(companions, _WORDS),
    chosen=_says_more,
    note="With a mask, a dtype to compute in, or a precision.",
)


def _is_dense(_: Side, base: Any) -> None:
    # Another layer may take more axes than the last, or have its channels elsewhere.
    if not isinstance(base, nn.Linear | eqx.nn.Linear):
        raise Refusal("is no dense layer, which the product of LoRA is added to", "use nn.Linear")


LORA = companion(
    nn.LoRA,
    companions.LoRA,
    *of_lora(_is_dense),
    ignored("core", "in_size", "a declared size, which the features say"),
    leaves=(
        leaf("weight.lora_a", "lora_a", axes("i r -> r i")),
        leaf("weight.lora_b", "lora_b", axes("r o -> o r")),
    ),
    example_rank=lambda _: 1,
    cases=(
        case(in_features=3, lora_rank=2, out_features=4, input=(2, 3)),
        case(
            in_features=3,
            lora_rank=2,
            out_features=4,
            base_module=made(nn.Linear, in_size=3, out_size=4),
        ),
    ),
)

ROWS: tuple[LayerMap, ...] = (
    LORA,
    *map(with_weight, (MASKED,)),
    LINEAR,
    *map(with_weight, linear_companions(companions, _WORDS)),
    *map(with_weight, connection_companions(companions, _WORDS)),
)
