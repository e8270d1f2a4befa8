"""Rows of the products over several axes, and along the axes of a formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.errors import MissingShapeError
from interop_core.general_rows import (
    AXIS,
    BIAS_SHAPE,
    EXAMPLE,
    FORMULA,
    IN_FEATURES,
    KERNEL_SHAPE,
    OUT_FEATURES,
    biased,
    has_bias,
)
from interop_core.mapping import HAS, LayerMap, Only, Opt, Refused, case, iso, leaf

from ._linear import _elementwise
from ._options import COMPUTE_DTYPE, PREFERRED_ELEMENT_TYPE, PROMOTE_DTYPE


def _pairs(batch_axis: Mapping[int, int]) -> tuple[Any, ...]:
    # NNX makes the kernel by the order of the sizes and takes the axes in their own.
    return tuple(zip(sorted(batch_axis), batch_axis.values(), strict=True))


_WIDE: dict[str, Any] = {"preferred_element_type": jnp.float32}
_OWN: dict[str, Any] = {"promote_dtype": _elementwise}
_PRODUCTS: tuple[dict[str, Any], ...] = tuple(
    {name: _elementwise} for name in ("dot_general", "dot_general_cls")
)
_FORMULAS: tuple[dict[str, Any], ...] = ({"einsum_op": _elementwise},)


GENERAL = LayerMap(
    nn.LinearGeneral,
    nnx.LinearGeneral,
    (
        Opt("in_size", "in_features", IN_FEATURES),
        Opt("out_size", "out_features", OUT_FEATURES),
        Opt("axis", "axis", AXIS),
        Opt("batch_axis", "batch_axis", iso(dict, _pairs, "=")),
        Opt("b_init", "use_bias", HAS),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        Only("foreign", "dot_general", None),
        Only("foreign", "dot_general_cls", None),
        PREFERRED_ELEMENT_TYPE,
        PROMOTE_DTYPE,
    ),
    (leaf("weight.weight", "kernel"), leaf("weight.bias", "bias", when=biased)),
    cases=(
        case(in_size=(2, 3, 4), out_size=(3, 5, 6), axis=(-1, -3)),
        case(in_size=3, out_size=4, batch_axis={0: 2}, dtype=jnp.bfloat16, precision="highest"),
        case(in_size=(2, 3), out_size=(3, 4), axis=-2, b_init=None),
    ),
    foreign_cases=(
        case(in_features=(2, 3), out_features=(4, 5), axis=(-2, -1), input=(6, 2, 3)),
        case(in_features=4, out_features=5, axis=[-2], batch_axis={1: 2, 0: 3}, input=(3, 4, 2)),
    ),
    refusals=(
        *(
            Refused("foreign", case(in_features=3, out_features=4, **other), f"{min(other)}=")
            for other in (*_PRODUCTS, _OWN, _WIDE)
        ),
        Refused("foreign", case(in_features=3, out_features=4, axis=1), "axis=.*from the end"),
        Refused(
            "foreign",
            case(in_features=3, out_features=4, axis=-2),
            "are not known.*pass sample_input",
            MissingShapeError,
        ),
        Refused(
            "foreign",
            case(in_features=3, out_features=4, axis=-2, input=(4, 3)),
            r"has the shape \(4, 3\)",
            MissingShapeError,
        ),
    ),
)

EINSUM = LayerMap(
    nn.Einsum,
    nnx.Einsum,
    (
        Opt("in_size", "kernel.shape", EXAMPLE),
        Opt("einsum_str", "einsum_str", FORMULA),
        Opt("kernel_shape", "kernel_shape", KERNEL_SHAPE),
        Opt("bias_shape", "bias_shape", BIAS_SHAPE),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("precision", "precision"),
        Only("foreign", "einsum_op", jnp.einsum, "use jax.numpy.einsum"),
        PREFERRED_ELEMENT_TYPE,
        PROMOTE_DTYPE,
    ),
    (leaf("weight.weight", "kernel"), leaf("weight.bias", "bias", when=has_bias)),
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
            bias_shape=(12,),
            dtype=jnp.bfloat16,
            precision="highest",
        ),
    ),
    foreign_cases=(
        case(einsum_str="na, nab -> nb", kernel_shape=[2, 3, 4], bias_shape=[2, 4], input=(3,)),
        case(einsum_str="...a,ab->...", kernel_shape=(3, 4), input=(5, 3)),
    ),
    refusals=(
        *(
            Refused(
                "foreign",
                case(einsum_str="...a,ab->...b", kernel_shape=(3, 4), **other),
                f"{min(other)}=",
            )
            for other in (*_FORMULAS, _OWN, _WIDE)
        ),
        Refused(
            "foreign",
            case(einsum_str="...a,...ab->...b", kernel_shape=(3, 4)),
            "the kernel's are all named.*write out",
        ),
        Refused(
            "foreign",
            case(einsum_str="ta,ab->tb", kernel_shape=(3, 4), input=(2, 5, 3)),
            "an example of 3 axes.*sample_input",
            MissingShapeError,
        ),
    ),
)

ROWS: tuple[LayerMap, ...] = (GENERAL, EINSUM)
