"""Rows of the transposed convolutions.

Equinox says how much the convolution pads that a layer is the transpose of; the core says how much
is put around the input with its zeros in between. Per axis, with a window of length ``w`` between
its ends: ``core = w - 1 - equinox``, and ``output_padding`` more at the end.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from interop_core import nn
from interop_core.layout import axes, chain
from interop_core.mapping import (
    HAS,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    leaf,
)
from interop_core.mirror import Flip

from ._conv import IN_CHANNELS, _bias, _channels, _has_bias, spatial_axes

Pads = tuple[tuple[int, int], ...]


def _windows(config: Config, dilation: str) -> tuple[int, ...]:
    """How far the dilated kernel reaches, per axis."""
    return tuple(
        (size - 1) * step + 1
        for size, step in zip(config["kernel_size"], config[dilation], strict=True)
    )


def _beyond(windows: tuple[int, ...], config: Config) -> tuple[int, ...]:
    """What strides longer than the window leave empty behind the last copy, per axis."""
    return tuple(max(s - w, 0) for s, w in zip(config["stride"], windows, strict=True))


def _padding_to(padding: Any, config: Config) -> str | Pads:
    if isinstance(padding, str):
        return padding
    windows = _windows(config, "rhs_dilation")
    return tuple((w - 1 - a, w - 1 - b) for w, (a, b) in zip(windows, padding, strict=True))


def _output_padding_to(padding: Any, config: Config) -> tuple[int, ...]:
    windows = _windows(config, "rhs_dilation")
    return _beyond(windows, config) if padding == "VALID" else (0,) * len(windows)


def _padding_back(_: Any, config: Config) -> str | Pads:
    """The core's padding; by name where that says as much."""
    padding, more = config["padding"], tuple(config["output_padding"])
    windows = _windows(config, "dilation")
    if padding == "SAME" and not any(more):
        return "SAME"
    if padding == "VALID" and more == _beyond(windows, config):
        return "VALID"
    pairs = []
    for axis, (window, stride, extra) in enumerate(
        zip(windows, config["stride"], more, strict=True)
    ):
        if padding == "VALID":
            before = after = 0
        elif isinstance(padding, str):
            # The transposed output is as long as a convolution with this padding leaves it.
            total = window - stride + extra
            extra, total = max(-total, 0), max(total, 0)
            before = (total + (padding == "SAME_LOWER")) // 2
            after = total - before
        else:
            before, after = padding[axis]
        pairs.append((window - 1 - before, window - 1 - after + extra))
    return tuple(pairs)


def _transposed(core: type, foreign: type, rank: int) -> LayerMap:
    letters = spatial_axes(rank)
    size = (5, 4, 3)[:rank]
    kernel = (3, 2, 1)[:rank]
    pairs = ((1, 2), (0, 1), (2, 0))[:rank]
    zeros = nn.init.ZeroInit()

    def to_core(**options: Any) -> Any:
        return case(in_size=(*size, 4), out_channels=6, **{"kernel_size": 3, **options})

    def to_equinox(**options: Any) -> Any:
        more = {"kernel_size": kernel, **options}
        return case(in_channels=4, out_channels=6, input=(*size, 4), **more)

    # What does not depend on the number of axes is tried on two.
    several = (
        to_equinox(stride=3, padding=1, output_padding=2),
        to_equinox(stride=3, padding="SAME", output_padding=1, kernel_size=4),
        to_equinox(padding="SAME_LOWER", kernel_size=4, use_bias=False),
    )
    return LayerMap(
        core,
        foreign,
        (
            Opt("in_size", "in_channels", IN_CHANNELS),
            Opt("out_channels", "out_channels"),
            Opt("kernel_size", "kernel_size"),
            Opt("stride", "stride"),
            Opt("padding", "padding", Iso(_padding_to, _padding_back, "of the transpose")),
            Opt("padding", "output_padding", Iso(_output_padding_to, _padding_back, "the rest")),
            Opt("rhs_dilation", "dilation"),
            Opt("groups", "groups"),
            Opt("b_init", "use_bias", HAS),
            Only("foreign", "padding_mode", "ZEROS", "the core puts zeros around the input"),
            Only("core", "w_mask", None, "multiply the weight by the mask"),
            Only("core", "dtype", None, "cast the model and its input instead"),
            Only("core", "precision", None, "use jax.default_matmul_precision instead"),
            Given("core", "channel_first", False, reason="it is where the data lies already"),
        ),
        (
            leaf(
                "weight.weight",
                "weight",
                chain(Flip(rank), axes(f"{letters} o i -> o i {letters}")),
            ),
            leaf("weight.bias", "bias", _bias(rank), when=_has_bias),
        ),
        cases=(
            to_core(stride=2),
            to_core(kernel_size=kernel, stride=3, padding="VALID", b_init=zeros),
            to_core(kernel_size=kernel, stride=2, padding=pairs, rhs_dilation=2, groups=2),
            case(in_size=(4, *size), out_channels=2, kernel_size=2, channel_first=True,
                 b_init=zeros, input=(4, *size)),
        ),
        foreign_cases=(
            to_equinox(stride=2, output_padding=1),
            *(several if rank == 2 else ()),
        ),
        refusals=(
            Refused("foreign", to_equinox(padding="SAME", padding_mode="CIRCULAR"), "CIRCULAR"),
            Refused("core", to_core(w_mask=0.5), "w_mask=0.5"),
            Refused("core", to_core(dtype=jnp.float32), "dtype="),
            Refused("core", to_core(precision="highest"), "precision="),
        ),
        channels=_channels,
        note="Equinox pads as the convolution does that the layer is the transpose of.",
    )  # fmt: skip


ROWS: tuple[LayerMap, ...] = (
    _transposed(nn.ConvTranspose1d, eqx.nn.ConvTranspose1d, 1),
    _transposed(nn.ConvTranspose2d, eqx.nn.ConvTranspose2d, 2),
    _transposed(nn.ConvTranspose3d, eqx.nn.ConvTranspose3d, 3),
)
