"""Rows of the poolings.

Equinox pads by explicit amounts, so padding that depends on the input is worked out from its
shape; and its averages count the padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx

from interop_core import nn
from interop_core.companion_pooling_rows import lp_pooling_companions
from interop_core.errors import MissingShapeError, Refusal
from interop_core.mapping import (
    Channels,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
)

from . import companions

Pads = tuple[tuple[int, int], ...]


def _channels(config: Config) -> Channels:
    return "first" if config["channel_axis"] == -1 else "same"


def _check_channel_axis(axis: int | None, config: Config) -> None:
    first = -len(config.get("kernel_size") or config["target_size"]) - 1
    if axis not in (-1, first):
        raise Refusal(
            f"channel_axis={axis!r} is neither the last axis nor the first of one example",
            f"use -1 or {first}",
        )


def _lengths(config: Config, why: str) -> tuple[int, ...]:
    example: tuple[int, ...] | None = config["example"]
    rank = len(config["kernel_size"])
    if example is None or len(example) < rank + 1:
        raise Refusal(why, "give the layer its in_size, or pass sample_input", MissingShapeError)
    return example[-rank:] if config.get("channel_axis", -1) != -1 else example[-rank - 1 : -1]


def _pads(padding: str | Pads, config: Config) -> Pads:
    """Padding in explicit amounts; ``"SAME"`` gives ``ceil(length / stride)`` windows."""
    kernel, stride = config["kernel_size"], config["stride"]
    if padding == "VALID":
        return ((0, 0),) * len(kernel)
    if not isinstance(padding, str):
        return tuple((before, after) for before, after in padding)
    lengths = _lengths(config, f"padding={padding!r} depends on the size of the input")
    pads = []
    for length, size, step in zip(lengths, kernel, stride, strict=True):
        total = max((math.ceil(length / step) - 1) * step + size - length, 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if padding == "SAME" else (large, small))
    return tuple(pads)


def _pads_for_max(padding: str | Pads, config: Config) -> Pads:
    pads = _pads(padding, config)
    for pair, size in zip(pads, config["kernel_size"], strict=True):
        if max(pair) > size:
            raise Refusal(
                f"padding {pair} is larger than the kernel, {size}, which Equinox refuses"
            )
    return pads


def _pads_for_average(padding: str | Pads, config: Config) -> Pads:
    pads = _pads_for_max(padding, config)
    if any(map(any, pads)) and not config["count_include_pad"]:
        raise Refusal(
            f"padding={padding!r} would count in Equinox's average, and count_include_pad is False",
            "use padding='VALID' or count_include_pad=True",
        )
    return pads


def _pads_back(padding: Sequence[tuple[int, int]], config: Config) -> str | Pads:
    pads = tuple((before, after) for before, after in padding)
    if config["use_ceil"]:
        pads = _rounded_up(pads, config)
    return pads if any(map(any, pads)) else "VALID"


def _rounded_up(pads: Pads, config: Config) -> Pads:
    """The padding that gives as many windows as rounding up does."""
    lengths = _lengths(config, "use_ceil=True depends on the size of the input")
    result = []
    for (before, after), length, size, step in zip(
        pads, lengths, config["kernel_size"], config["stride"], strict=True
    ):
        windows = math.ceil((length + before + after - size) / step) + 1
        result.append((before, max(after, (windows - 1) * step + size - length - before)))
    return tuple(result)


def _count_back(padding: Any, config: Config) -> bool:
    return _pads_back(padding, config) != "VALID"


def _pool(core: type, foreign: type, rank: int) -> LayerMap:
    average = hasattr(core(2), "count_include_pad")
    size = (7, 6, 5)[:rank]
    pairs = ((1, 0), (0, 1), (1, 1))[:rank]
    own = (
        # The core's word for it says nothing that the padding does not: both give the same pads.
        (
            Opt(
                "count_include_pad",
                "padding",
                Iso(lambda _, c: _pads_for_average(c["padding"], c), _count_back, "where padded"),
            ),
            Opt("padding", "padding", Iso(_pads_for_average, _pads_back, "explicit amounts")),
        )
        if average
        else (
            Opt("padding", "padding", Iso(_pads_for_max, _pads_back, "explicit amounts")),
            Only("core", "return_indices", False, "Equinox gives the values alone"),
        )
    )
    more = {"count_include_pad": True} if average else {}
    return LayerMap(
        core,
        foreign,
        (
            Opt("kernel_size", "kernel_size"),
            Opt("stride", "stride"),
            *own,
            Given("core", "channel_axis", -1, _check_channel_axis, "it says where the data lies"),
            Given("foreign", "use_ceil", False, reason="padding gives as many windows"),
            ignored("core", "in_size", "a declared size, which the data has anyway"),
        ),
        cases=(
            case(kernel_size=2, stride=2, input=(*size, 3)),
            case(kernel_size=(3, 2, 2)[:rank], stride=1, input=(*size, 3)),
            case(kernel_size=3, stride=2, padding="SAME", input=(*size, 3), **more),
            case(kernel_size=3, stride=2, padding=pairs, input=(*size, 3), **more),
            case(kernel_size=2, stride=2, channel_axis=-rank - 1, input=(3, *size)),
        ),
        foreign_cases=(
            case(kernel_size=2, input=(*size, 3)),
            case(kernel_size=3, stride=2, padding=1, input=(*size, 3)),
            case(kernel_size=2, stride=2, use_ceil=True, input=(*size, 3)),
        ),
        refusals=(
            Refused("core", case(kernel_size=2, channel_axis=None, input=size), "channel_axis"),
            (
                Refused(
                    "core",
                    case(kernel_size=3, padding="SAME", input=(*size, 3)),
                    "count_include_pad is False",
                )
                if average
                else Refused(
                    "core",
                    case(kernel_size=2, return_indices=True, input=(*size, 3)),
                    "return_indices=True",
                )
            ),
        ),
        channels=_channels,
        example_rank=lambda config: rank + 1,
        sized=True,
    )


def _blocks(target: tuple[int | None, ...], config: Config) -> tuple[int, ...]:
    """How many blocks each axis is cut into: as many as it has entries where it stays."""
    known = tuple(blocks for blocks in target if blocks is not None)
    if len(known) == len(target):
        return known
    why = f"target_size={target!r} leaves an axis as it is, which Equinox has no word for"
    lengths = _lengths({**config, "kernel_size": target}, why)
    return tuple(n if blocks is None else blocks for blocks, n in zip(target, lengths, strict=True))


_CHANNEL_AXIS = Given("core", "channel_axis", -1, _check_channel_axis, "where the data lies")


def _adaptive(core: Any, foreign: type) -> LayerMap:
    rank: int = core.spatial
    size = (7, 6, 5)[:rank]
    # What does not depend on the number of axes is tried on two.
    several = (
        case(target_size=(None, 4), input=(*size, 3)),
        case(target_size=2, channel_axis=-rank - 1, input=(3, *size)),
    )
    return LayerMap(
        core,
        foreign,
        (
            Opt("target_size", "target_shape", Iso(_blocks, lambda t, _: t, "blocks of each axis")),
            _CHANNEL_AXIS,
            ignored("core", "in_size", "a declared size, which the data has anyway"),
        ),
        cases=(
            case(target_size=(3, 2, 2)[:rank], input=(*size, 3)),
            *(several if rank == 2 else ()),
        ),
        foreign_cases=(case(target_shape=3, input=(*size, 2)),),
        refusals=(
            Refused("core", case(target_size=2, channel_axis=None, input=size), "channel_axis"),
        ),
        channels=_channels,
        example_rank=lambda config: rank + 1,
        sized=True,
    )


MAXIMA: tuple[LayerMap, ...] = (
    _pool(nn.MaxPool1d, eqx.nn.MaxPool1d, 1),
    _pool(nn.MaxPool2d, eqx.nn.MaxPool2d, 2),
    _pool(nn.MaxPool3d, eqx.nn.MaxPool3d, 3),
)

ROWS: tuple[LayerMap, ...] = (
    *MAXIMA,
    _pool(nn.AvgPool1d, eqx.nn.AvgPool1d, 1),
    _pool(nn.AvgPool2d, eqx.nn.AvgPool2d, 2),
    _pool(nn.AvgPool3d, eqx.nn.AvgPool3d, 3),
    _adaptive(nn.AdaptiveAvgPool1d, eqx.nn.AdaptiveAvgPool1d),
    _adaptive(nn.AdaptiveAvgPool2d, eqx.nn.AdaptiveAvgPool2d),
    _adaptive(nn.AdaptiveAvgPool3d, eqx.nn.AdaptiveAvgPool3d),
    _adaptive(nn.AdaptiveMaxPool1d, eqx.nn.AdaptiveMaxPool1d),
    _adaptive(nn.AdaptiveMaxPool2d, eqx.nn.AdaptiveMaxPool2d),
    _adaptive(nn.AdaptiveMaxPool3d, eqx.nn.AdaptiveMaxPool3d),
    *lp_pooling_companions(
        companions,
        _CHANNEL_AXIS,
        channels=_channels,
        example_rank=lambda config: len(config["kernel_size"]) + 1,
    ),
)
