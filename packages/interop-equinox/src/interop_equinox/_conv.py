"""Rows of the convolutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from interop_core import nn
from interop_core.companion_convolution_rows import (
    Words,
    convolution_companions,
    local_convolution_companions,
    scaled_convolution_companions,
)
from interop_core.layout import Layout, axes
from interop_core.mapping import (
    HAS,
    SPATIAL,
    Channels,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    case,
    iso,
    leaf,
)

from . import companions
from ._linear import with_weight

LETTERS = "dhw"


def spatial_axes(rank: int) -> str:
    """Names of the spatial axes: ``"h w"`` for two."""
    return " ".join(LETTERS[3 - rank :])


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


def _channels(config: Config) -> Channels:
    return "same" if config["channel_first"] else "first"


IN_CHANNELS = Iso(
    lambda size, config: size[0 if config["channel_first"] else -1], SPATIAL.back, SPATIAL.doc
)


def _bias(rank: int) -> Callable[[Config], Layout]:
    ones = " ".join("1" * rank)

    def layout(config: Config) -> Layout:
        return axes(
            f"1 c {ones} -> c {ones}" if config["channel_first"] else f"{ones} c -> c {ones}"
        )

    return layout


def _conv(core: type, foreign: type, rank: int) -> LayerMap:
    letters = spatial_axes(rank)
    size = (7, 6, 5)[:rank]
    one = (1,) * rank
    pairs = ((1, 2), (0, 1), (2, 0))[:rank]
    return LayerMap(
        core,
        foreign,
        (
            Opt("in_size", "in_channels", IN_CHANNELS),
            Opt("out_channels", "out_channels"),
            Opt("kernel_size", "kernel_size"),
            Opt("stride", "stride"),
            Opt("padding", "padding"),
            Opt("rhs_dilation", "dilation"),
            Opt("groups", "groups"),
            Opt("b_init", "use_bias", HAS),
            Opt("padding_mode", "padding_mode"),
            Only("core", "lhs_dilation", one, "dilate the input in front of the layer"),
            Only("core", "w_mask", None, "multiply the weight by the mask"),
            Only("core", "dtype", None, "cast the model and its input instead"),
            Only("core", "precision", None, "use jax.default_matmul_precision instead"),
            Given("core", "channel_first", False, reason="it is where the data lies already"),
        ),
        (
            leaf("weight.weight", "weight", axes(f"{letters} i o -> o i {letters}")),
            leaf("weight.bias", "bias", _bias(rank), when=_has_bias),
        ),
        cases=(
            case(in_size=(*size, 4), out_channels=6, kernel_size=3),
            case(in_size=(*size, 4), out_channels=6, kernel_size=3, b_init=nn.init.ZeroInit()),
            case(in_size=(*size, 4), out_channels=6, kernel_size=(3, 2, 2)[:rank], stride=2,
                 padding="VALID", groups=2),
            case(in_size=(*size, 4), out_channels=2, kernel_size=3, padding=pairs, rhs_dilation=2),
            case(in_size=(*size, 4), out_channels=2, kernel_size=3, padding_mode="CIRCULAR"),
            case(in_size=(*size, 4), out_channels=2, kernel_size=3, padding=1,
                 padding_mode="REFLECT", stride=2),
            case(in_size=(*size, 4), out_channels=2, kernel_size=3, padding=1,
                 padding_mode="REPLICATE"),
            case(in_size=(4, *size), out_channels=6, kernel_size=3, channel_first=True,
                 b_init=nn.init.ZeroInit(), input=(4, *size)),
        ),
        foreign_cases=(
            case(in_channels=4, out_channels=6, kernel_size=3, input=(*size, 4)),
            case(in_channels=4, out_channels=6, kernel_size=2, padding="SAME_LOWER",
                 use_bias=False, input=(*size, 4)),
        ),
        channels=_channels,
    )  # fmt: skip


STOCK: tuple[LayerMap, ...] = (
    _conv(nn.Conv1d, eqx.nn.Conv1d, 1),
    _conv(nn.Conv2d, eqx.nn.Conv2d, 2),
    _conv(nn.Conv3d, eqx.nn.Conv3d, 3),
)
"""The rows of Equinox's own convolutions."""


def _kernel(rank: int) -> Layout:
    return axes(f"{spatial_axes(rank)} i o -> o i {spatial_axes(rank)}")


# The layout of a bias depends on where the core layer has its channels.
_bias_of: Any = _bias

_WORDS = Words(
    options=(
        Opt("in_size", "in_channels", IN_CHANNELS),
        Given("core", "channel_first", False, reason="it is where the data lies already"),
    ),
    kernel=_kernel,
    bias=_bias_of,
    more=(("channels", _channels),),
)


def _says_more(config: Config) -> bool:
    """Whether a core layer has options that Equinox's own has no word for."""
    named = any(config[name] is not None for name in ("w_mask", "dtype", "precision"))
    return named or any(step != 1 for step in config["lhs_dilation"])


def _masked(row: LayerMap) -> LayerMap:
    """The row of a plain convolution, with what is particular to it here."""
    core: Any = row.core
    rank: int = core.spatial
    size, zeros = (5, 4, 4)[:rank], nn.init.ZeroInit()
    mask = (np.arange(3.0**rank, dtype=np.float32) % 2).reshape((3,) * rank)[..., None, None]
    # What does not depend on the number of axes is tried on two.
    several = (
        case(in_size=(*size, 4), out_channels=2, kernel_size=3, padding=((0, 1),) * rank,
             lhs_dilation=2, stride=2, precision="highest"),
        case(in_size=(4, *size), out_channels=2, kernel_size=3, groups=2, dtype=jnp.float32,
             padding=1, padding_mode="CIRCULAR", channel_first=True, b_init=zeros,
             input=(4, *size)),
    )  # fmt: skip
    return replace(
        row,
        cases=(
            case(in_size=(*size, 4), out_channels=2, kernel_size=3, rhs_dilation=2, w_mask=mask,
                 b_init=zeros),
            *(several if rank == 2 else ()),
        ),
        note="With a mask, gaps in the input, a dtype to compute in, or a precision.",
    )  # fmt: skip


CHANNELS_FIRST = iso(
    lambda size: (size[-1], *size[:-1]), lambda size: (*size[1:], size[0]), "channels first"
)
"""The size of an example, all of it."""


def _bias_of_places(rank: int) -> Layout:
    return axes(f"{spatial_axes(rank)} c -> c {spatial_axes(rank)}")


LOCAL = local_convolution_companions(
    companions,
    Opt("in_size", "in_size", CHANNELS_FIRST),
    name="weight",
    kernel=_kernel,
    bias=_bias_of_places,
    channels="first",
)

ROWS: tuple[LayerMap, ...] = (
    *(_masked(with_weight(r)) for r in convolution_companions(companions, _WORDS, _says_more)),
    *STOCK,
    *map(with_weight, scaled_convolution_companions(companions, _WORDS)),
    *LOCAL,
)
