"""Rows of pooling: plain functions in Linen, partially applied, and companions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flax import linen

from interop_core import nn
from interop_core.companion_pooling_rows import (
    adaptive_pooling_companions,
    lp_pooling_companions,
    one_batch_axis,
)
from interop_core.errors import Refusal
from interop_core.mapping import (
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
)

from . import companions

SIZE = ignored("core", "in_size", "a declared size, which the window does not depend on")


def _window(value: Any, config: Config) -> tuple[int, ...]:
    sizes = config["window_shape"]
    if not isinstance(sizes, tuple):
        raise Refusal(f"window_shape={sizes!r} is no tuple", "partial(..., window_shape=(2, 2))")
    return sizes


def _strides(value: Any, config: Config) -> tuple[int, ...]:
    return tuple(value) if value else (1,) * len(config["window_shape"])


def _pads(padding: Any, config: Config) -> Any:
    if isinstance(padding, str):
        return padding.upper()
    return tuple(map(tuple, padding))


def _pads_out(padding: Any, config: Config) -> Any:
    if not isinstance(padding, str):
        one_batch_axis(padding, config)
    return padding


def _padded(padding: Any) -> bool:
    return padding != "VALID" if isinstance(padding, str) else any(map(any, padding))


def _count(include: bool, config: Config) -> bool:
    padding, window = config["padding"], config.get("kernel_size") or config["window_shape"]
    if include or isinstance(padding, str):
        return include
    if any(pad >= size for pair, size in zip(padding, window, strict=True) for pad in pair):
        raise Refusal(
            f"padding={padding!r} makes windows of {window} without data: their mean is NaN on one "
            "side and 0 on the other",
            "pad by less than a window",
        )
    return include


def _count_out(include: bool, config: Config) -> bool:
    # Without padding both mean the same. Linen then divides by a number and keeps the dtype, where
    # it would divide by an array of float32.
    return True if not _padded(config["padding"]) else _count(include, config)


def _count_back(include: bool, config: Config) -> bool:
    return False if not _padded(config["padding"]) else _count(include, config)


WINDOW = Iso(lambda size, _: size, _window, "=")
STRIDES = Iso(lambda stride, _: stride, _strides, "None is 1")
PADS = Iso(_pads_out, _pads, "=")
COUNT = Iso(_count_out, _count_back, "= where there is padding")


NOTE = (
    "Where padding does not count, Linen's averages are float32 at least, the core's as the input."
)


def _rank(rank: int) -> Callable[[Config], bool]:
    def select(config: Config) -> bool:
        sizes = config["window_shape"]
        return isinstance(sizes, Sequence) and len(sizes) == rank

    return select


def _pool(core: type, function: Any, rank: int, *more: Any) -> LayerMap:
    size = (*(9, 8, 7)[:rank], 3)
    window, pairs = (3, 2, 2)[:rank], ((1, 0), (0, 1), (1, 1))[:rank]
    average = function is linen.avg_pool
    counted = ({"count_include_pad": True},) if average else ()
    return LayerMap(
        core,
        function,
        (
            Opt("kernel_size", "window_shape", WINDOW),
            Opt("stride", "strides", STRIDES),
            Opt("padding", "padding", PADS),
            Only("core", "channel_axis", -1, "move the channels to the end"),
            SIZE,
            *more,
        ),
        cases=(
            case(kernel_size=window, stride=2, in_size=size),
            case(kernel_size=3, stride=1, padding="SAME", input=size),
            case(kernel_size=3, stride=2, padding=pairs, input=size),
            *(case(kernel_size=3, stride=2, padding=1, input=size, **c) for c in counted),
        ),
        foreign_cases=(
            case(window_shape=window, input=size),
            case(window_shape=window, strides=window, padding=list(pairs), input=size),
        ),
        refusals=(
            Refused("core", case(kernel_size=2, channel_axis=None), "channel_axis=None"),
            Refused(
                "core",
                case(kernel_size=3, padding=pairs, in_size=(2, *size)),
                "one batch axis alone",
            ),
        ),
        select=_rank(rank),
        note=NOTE if average else "",
    )


RETURNED = Only("core", "return_indices", False, "take the indices with jax.lax functions")
COUNTED = Opt("count_include_pad", "count_include_pad", COUNT)

ROWS: tuple[LayerMap, ...] = (
    _pool(nn.MaxPool1d, linen.max_pool, 1, RETURNED),
    _pool(nn.MaxPool2d, linen.max_pool, 2, RETURNED),
    _pool(nn.MaxPool3d, linen.max_pool, 3, RETURNED),
    _pool(nn.AvgPool1d, linen.avg_pool, 1, COUNTED),
    _pool(nn.AvgPool2d, linen.avg_pool, 2, COUNTED),
    _pool(nn.AvgPool3d, linen.avg_pool, 3, COUNTED),
    *lp_pooling_companions(companions),
    *adaptive_pooling_companions(companions),
)
