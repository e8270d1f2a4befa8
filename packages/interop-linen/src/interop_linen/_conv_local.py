"""Rows of the convolutions with a kernel of its own at every place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from interop_core import nn
from interop_core.companion_convolution_rows import local_convolution_companions
from interop_core.errors import Refusal
from interop_core.mapping import (
    HAS,
    SPATIAL,
    Case,
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    last_axis,
    leaf,
)

from . import companions
from ._arrays import COMPUTE_DTYPE, PROMOTION, shape_of
from ._conv import MASK, PER_AXIS, SIZES, rank_of
from ._conv_companions import padded_otherwise
from ._padding import PADDING, PADDING_MODE

SIZE = {1: (5, 3), 2: (5, 4, 3), 3: (3, 4, 3, 2)}
"""Inputs of the cases, by the number of spatial axes."""


def _in_size(config: Config, axes: int) -> Any:
    """The size of the input, whose channels are as many as the entries of a window allow."""
    sizes = config["kernel_size"]
    window = sizes**axes if isinstance(sizes, int) else math.prod(sizes)
    shape = shape_of(config, "kernel", axes + 2)
    if shape[-2] % window:
        raise Refusal(
            f"its kernel of the shape {shape} is none of windows of {window} entries",
            "pass the variables that belong to this module",
        )
    return SPATIAL.back(shape[-2] // window, config)


def _in_channels(axes: int) -> Iso:
    return Iso(last_axis, lambda _, config: _in_size(config, axes), "channels of a window")


def _core_cases(rank: int) -> Iterator[Case]:
    def conv(**options: Any) -> Case:
        return case(in_size=SIZE[rank], out_channels=2, **options)

    zero = nn.init.ZeroInit()
    kernel, pairs = (3, 2, 2)[:rank], ((1, 2), (0, 1), (2, 0))[:rank]
    yield conv(kernel_size=kernel, stride=2, padding="VALID", b_init=zero)
    if rank != 2:
        return  # the same code for any number of axes
    yield conv(kernel_size=2, padding=pairs, rhs_dilation=2, dtype=jnp.bfloat16)
    yield conv(kernel_size=3, padding=pairs, lhs_dilation=2, precision="highest")
    mask = np.arange(5 * 4 * 18 * 2, dtype=np.float32).reshape(5, 4, 18, 2) % 2
    yield conv(kernel_size=(3, 2), padding_mode="CIRCULAR", padding=((1, 1), (0, 1)), w_mask=mask)


def _linen_cases(rank: int) -> Iterator[Case]:
    def conv(**options: Any) -> Case:
        return case(**{"features": 2, "kernel_size": (3, 2, 2)[:rank], **options}, input=SIZE[rank])

    yield conv()
    if rank == 1:
        yield conv(kernel_size=2, padding="CAUSAL", kernel_dilation=2)
    if rank == 2:
        yield conv(strides=2, use_bias=False, padding=[1, 0], kernel_dilation=[2, 1])
        yield conv(strides=(2, 1), padding="REFLECT", input_dilation=None)


def _refusals(rank: int) -> Iterator[Refused]:
    if rank != 2:
        return
    product = jax.lax.conv_general_dilated
    for name, value in (
        ("conv_general_dilated", product),
        ("conv_general_dilated_cls", lambda: product),
        ("promote_dtype", lambda *arrays, **_: arrays),
    ):
        options = {"features": 2, "kernel_size": (2, 2), name: value}
        yield Refused("foreign", Case(options, SIZE[rank]), f"{name}=")


def _row(core: Any) -> LayerMap:
    rank: int = core.spatial
    return LayerMap(
        core,
        linen.ConvLocal,
        (
            Opt("in_size", "kernel.shape", _in_channels(rank)),
            Opt("out_channels", "features"),
            Opt("kernel_size", "kernel_size", SIZES),
            Opt("stride", "strides", PER_AXIS),
            Opt("padding", "padding", PADDING),
            Opt("padding_mode", "padding", PADDING_MODE),
            Opt("lhs_dilation", "input_dilation", PER_AXIS),
            Opt("rhs_dilation", "kernel_dilation", PER_AXIS),
            Opt("b_init", "use_bias", HAS),
            Opt("w_mask", "mask", MASK),
            Opt("dtype", "dtype", COMPUTE_DTYPE),
            Opt("precision", "precision"),
            Only("foreign", "feature_group_count", 1, "it cannot be called with groups"),
            Only("foreign", "conv_general_dilated", None),
            Only("foreign", "conv_general_dilated_cls", None),
            PROMOTION,
        ),
        (
            leaf("weight.weight", "kernel"),
            leaf("weight.bias", "bias", when=lambda config: config["b_init"] is not None),
        ),
        cases=tuple(_core_cases(rank)),
        foreign_cases=tuple(_linen_cases(rank)),
        refusals=tuple(_refusals(rank)),
        select=lambda config: rank_of(config) == rank,
    )


def _companions() -> Iterator[LayerMap]:
    for core in (nn.ConvLocal1d, nn.ConvLocal2d, nn.ConvLocal3d):
        in_size = Opt("in_size", "kernel.shape", _in_channels(core.spatial))
        yield from local_convolution_companions(
            companions, in_size, cores=(core,), chosen=padded_otherwise
        )


ROWS: tuple[LayerMap, ...] = (
    *_companions(),
    *map(_row, (nn.ConvLocal1d, nn.ConvLocal2d, nn.ConvLocal3d)),
)
