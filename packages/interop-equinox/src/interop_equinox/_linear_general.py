"""Rows of the companions that multiply over several axes, and along the axes of a formula."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from interop_core import nn
from interop_core.companion_rows import companion
from interop_core.errors import MissingShapeError, Refusal
from interop_core.general_rows import (
    AXIS,
    BIAS_SHAPE,
    EXAMPLE,
    FORMULA_OF_ONE,
    IN_FEATURES,
    KERNEL_SHAPE,
    ONE_EXAMPLE,
    OUT_FEATURES,
    biased,
    has_bias,
)
from interop_core.mapping import HAS, Config, Given, LayerMap, Opt, Refused, case, leaf

from . import companions


def _alike(batch_axis: tuple[Any, ...], _: Config) -> None:
    if batch_axis:
        raise Refusal(
            f"batch_axis={batch_axis!r} gives each example of a batch a kernel of its own, "
            f"{ONE_EXAMPLE}",
            "use a layer for each example",
        )


GENERAL = companion(
    nn.LinearGeneral,
    companions.LinearGeneral,
    Opt("in_size", "in_features", IN_FEATURES),
    Opt("out_size", "out_features", OUT_FEATURES),
    Opt("axis", "axis", AXIS),
    Opt("b_init", "use_bias", HAS),
    Given("core", "batch_axis", (), _alike, "all examples of a batch are treated alike"),
    leaves=(leaf("weight.weight", "weight"), leaf("weight.bias", "bias", when=biased)),
    cases=(
        case(in_size=(2, 3, 4), out_size=(3, 5, 6), axis=(-1, -3)),
        case(
            in_size=(2, 3),
            out_size=(3, 4),
            axis=-2,
            b_init=None,
            dtype=jnp.float32,
            precision="highest",
        ),
    ),
    foreign_cases=(case(in_features=(2, 3), out_features=(4, 5), axis=(-1, -2), input=(6, 2, 3)),),
    refusals=(
        Refused("core", case(in_size=3, out_size=4, batch_axis={0: 2}), "use a layer for each"),
        Refused("foreign", case(in_features=3, out_features=4, axis=0), "axis=.*from the end"),
    ),
)

EINSUM = companion(
    nn.Einsum,
    companions.Einsum,
    Opt("in_size", "weight.shape", EXAMPLE),
    Opt("einsum_str", "einsum_str", FORMULA_OF_ONE),
    Opt("kernel_shape", "kernel_shape", KERNEL_SHAPE),
    Opt("bias_shape", "bias_shape", BIAS_SHAPE),
    leaves=(leaf("weight.weight", "weight"), leaf("weight.bias", "bias", when=has_bias)),
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
            dtype=jnp.float32,
            precision="highest",
        ),
    ),
    foreign_cases=(case(einsum_str="ta, tab -> b", kernel_shape=(5, 3, 4), input=(5, 3)),),
    refusals=(
        Refused(
            "core",
            case(in_size=3, einsum_str="na,nab->nb", kernel_shape=(2, 3, 4)),
            "kernel of its own for each example of a batch, along n",
        ),
        Refused(
            "core",
            case(in_size=(5, 3), einsum_str="...a,ab->b...", kernel_shape=(3, 4)),
            "not in front",
        ),
        Refused(
            "core",
            case(in_size=None, einsum_str="na,ab->nb", kernel_shape=(3, 4)),
            "in_size, or pass sample_input",
            MissingShapeError,
        ),
    ),
    sized=True,
)

ROWS: tuple[LayerMap, ...] = (GENERAL, EINSUM)
