"""Rows of the products over several axes, and along the axes of a formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.general_rows import (
    AXIS,
    EXAMPLE,
    FORMULA,
    KERNEL_SHAPE,
    added,
    biased,
    canonical_bias,
    entries,
    formula_of,
    has_bias,
    in_size_of,
    out_size_of,
    summed,
)
from interop_core.mapping import (
    HAS,
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    leaf,
)
from interop_core.nn._einsum import bias_axes

from ._arrays import COMPUTE_DTYPE, PROMOTION, shape_of
from ._linear import _as_they_are, _product


def _kernel(config: Config) -> tuple[int, ...]:
    """Shape of the kernel of a dense layer: batch axes, summed axes, new axes."""
    parts = (config["batch_dims"], config["axis"], config["features"])
    return shape_of(config, "kernel", sum(len(entries(part)) for part in parts))


def _in_size(_: Any, config: Config) -> tuple[int, ...]:
    batch = len(entries(config["batch_dims"]))
    return in_size_of(_kernel(config)[batch:][: len(entries(config["axis"]))], config)


def _out_size(features: int | Sequence[int], config: Config) -> tuple[int, ...]:
    return out_size_of(entries(features), config)


def _batch_dims(batch_axis: Any, _: Config) -> tuple[int, ...]:
    return tuple(place for place, _ in batch_axis)


def _batch_axis(batch_dims: int | Sequence[int], config: Config) -> Any:
    return tuple(zip(sorted(entries(batch_dims)), _kernel(config), strict=False))


def one_axis(config: Config) -> bool:
    """Whether a dense layer is a `linen.Dense` in other words."""
    plain = (entries(config["axis"]), entries(config["batch_dims"])) == ((-1,), ())
    return plain and len(entries(config["features"])) == 1


_LEAVES = (leaf("weight.weight", "kernel"), leaf("weight.bias", "bias", when=biased))

GENERAL = LayerMap(
    nn.LinearGeneral,
    linen.DenseGeneral,
    (
        Opt("in_size", "kernel.shape", Iso(lambda _, c: summed(c), _in_size, "sizes of the axes")),
        Opt("out_size", "features", Iso(lambda _, c: added(c), _out_size, "sizes of the new axes")),
        Opt("axis", "axis", AXIS),
        Opt("batch_axis", "batch_dims", Iso(_batch_dims, _batch_axis, "the axes")),
        Opt("b_init", "use_bias", HAS),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        Only("foreign", "dot_general", None),
        Only("foreign", "dot_general_cls", None),
        PROMOTION,
    ),
    _LEAVES,
    cases=(
        case(in_size=(2, 3, 4), out_size=(3, 5, 6), axis=(-1, -3)),
        case(in_size=3, out_size=4, batch_axis={0: 2}, dtype=jnp.bfloat16, precision="highest"),
        case(in_size=(2, 3), out_size=(3, 4), axis=-2, b_init=None),
    ),
    foreign_cases=(
        case(features=(4, 5), axis=(-2, -1), input=(6, 2, 3)),
        case(features=4, axis=(-2,), batch_dims=(0,), input=(5, 3, 2)),
    ),
    refusals=(
        Refused("foreign", case(features=4, axis=(-2, 2), input=(5, 3)), "axis=.*from the end"),
        Refused("foreign", case(features=(4, 2), dot_general=_product, input=(3,)), "dot_general="),
        Refused(
            "foreign",
            case(features=(4, 2), dot_general_cls=lambda: _product, input=(3,)),
            "dot_general_cls=",
        ),
        Refused(
            "foreign", case(features=(4, 2), promote_dtype=_as_they_are, input=(3,)), "promote_"
        ),
    ),
    select=lambda config: not one_axis(config),
    note="Along the last axis alone, it is read as `Linear`.",
)


def _bias_shape(used: bool, config: Config) -> tuple[int, ...] | None:
    if not used:
        return None
    try:
        return bias_axes(formula_of(config["einsum_str"]), tuple(config["shape"]))
    except Refusal:  # said of the formula itself
        return None


EINSUM = LayerMap(
    nn.Einsum,
    linen.Einsum,
    (
        Opt("in_size", "kernel.shape", EXAMPLE),
        Opt("einsum_str", "einsum_str", FORMULA),
        Opt("kernel_shape", "shape", KERNEL_SHAPE),
        Opt(
            "bias_shape",
            "use_bias",
            Iso(lambda shape, _: shape is not None, _bias_shape, "is used"),
        ),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        PROMOTION,
        Only("foreign", "preferred_element_type", None, "use dtype=... for another compute dtype"),
    ),
    (leaf("weight.weight", "kernel"), leaf("weight.bias", "bias", canonical_bias, when=has_bias)),
    cases=(
        case(
            in_size=(5, 2),
            einsum_str="...ta,hab->...bth",
            kernel_shape=(3, 2, 4),
            bias_shape=(4, 3),
        ),
        case(
            in_size=(5, 2),
            einsum_str="nta,hab->nthb",
            kernel_shape=(3, 2, 4),
            bias_shape=(3, 4),
            dtype=jnp.bfloat16,
            precision="highest",
        ),
    ),
    foreign_cases=(
        case(einsum_str="na, nab -> nb", shape=(2, 3, 4), input=(3,)),
        case(einsum_str="...a,ab->...", shape=(3, 4), use_bias=False, input=(5, 3)),
    ),
    refusals=(
        Refused(
            "foreign",
            case(einsum_str="...a,ab->...b", shape=(3, 4), promote_dtype=_as_they_are, input=(3,)),
            "promote_dtype",
        ),
        Refused(
            "foreign",
            case(einsum_str="...a,...ab->...b", shape=(3, 4), input=(3,)),
            "the kernel's are all named.*write out",
        ),
        Refused(
            "foreign",
            case(
                einsum_str="...a,ab->...b",
                shape=(3, 4),
                preferred_element_type=jnp.float32,
                input=(3,),
            ),
            "preferred_element_type=",
        ),
    ),
)

ROWS: tuple[LayerMap, ...] = (GENERAL, EINSUM)
