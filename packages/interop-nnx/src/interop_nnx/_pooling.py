"""Rows of the poolings, which NNX has as functions.

A layer becomes ``functools.partial(nnx.max_pool, window_shape=..., ...)``, and such a partial a
layer.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from flax import nnx

from interop_core import nn
from interop_core.companion_pooling_rows import (
    adaptive_pooling_companions,
    lp_pooling_companions,
    one_batch_axis,
)
from interop_core.errors import Refusal
from interop_core.mapping import (
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


def _last(axis: int | None, _: Config) -> None:
    if axis != -1:
        raise Refusal(f"channel_axis={axis!r}: nnx pools with the channels last", "use -1")


def _window_back(window: Sequence[int], _: Config) -> tuple[int, ...]:
    return tuple(map(operator.index, window))


def _strides_back(strides: Sequence[int] | None, config: Config) -> tuple[int, ...]:
    rank = len(config["window_shape"])
    steps = tuple(map(operator.index, strides)) if strides else (1,) * rank
    if len(steps) != rank:
        raise Refusal(f"strides={strides!r} are not {rank}, as the axes of window_shape are")
    return steps


def _pads(padding: str | Pads, config: Config) -> str | Pads:
    if not isinstance(padding, str):
        one_batch_axis(padding, config)
    return _counted(padding, config)


def _counted(padding: str | Pads, config: Config) -> str | Pads:
    """The core's padding where both sides divide by the same."""
    if isinstance(padding, str) or config.get("count_include_pad", True):
        return padding
    if any(max(p) >= size for p, size in zip(padding, config["kernel_size"], strict=True)):
        raise Refusal(
            f"padding={padding!r} leaves windows without any data, whose average is 0 here and "
            "NaN there",
            "pad less than the kernel, or use count_include_pad=True",
        )
    return padding


def _is_unpadded(padding: Any) -> bool:
    if isinstance(padding, str):
        return padding.upper() == "VALID"
    if not isinstance(padding, Sequence):
        return False  # no padding that nnx takes, which is said of the padding itself
    return not any(any(pair) for pair in padding if isinstance(pair, Sequence))


def _count_to(count: bool, config: Config) -> bool:
    # Without padding both ways are the same; counting spares nnx a second pass, whose result is
    # in float32 whatever the input is in.
    return count or _is_unpadded(config["padding"])


def _count_back(count: bool, config: Config) -> bool:
    return count and not _is_unpadded(config["padding"])


def _padding_back(padding: Any, config: Config) -> str | Pads:
    if isinstance(padding, str):
        return padding.upper()
    rank = len(config["window_shape"])
    try:
        pairs = tuple((operator.index(low), operator.index(high)) for low, high in padding)
    except (TypeError, ValueError):
        pairs = ()
    if len(pairs) != rank:
        raise Refusal(
            f"padding={padding!r} is not one (before, after) pair for each of {rank} axes"
        )
    checked = _counted(pairs, {**config, "kernel_size": config["window_shape"]})
    assert not isinstance(checked, str)
    return checked


NOTE = (
    "Where padding does not count, the averages of nnx are float32 at least, the core's as the "
    "input."
)


def _rank_is(rank: int) -> Any:
    def select(config: Config) -> bool:
        window = config["window_shape"]
        return isinstance(window, Sequence) and len(window) == rank

    return select


def _pool(core: type, foreign: Any, rank: int) -> LayerMap:
    size = (7, 6, 5)[:rank]
    window, pairs = (3, 2, 2)[:rank], ((1, 0), (0, 1), (1, 1))[:rank]
    average = foreign is nnx.avg_pool
    own = (
        Opt(
            "count_include_pad",
            "count_include_pad",
            Iso(_count_to, _count_back, "where there is padding"),
        )
        if average
        else Only("core", "return_indices", False, "nnx gives the values alone")
    )
    more = ({"count_include_pad": True},) if average else ()

    def to_core(**options: Any) -> Any:
        return case(**{"kernel_size": 2, "input": (*size, 3), **options})

    def to_nnx(**options: Any) -> Any:
        return case(**{"window_shape": window, "input": (*size, 3), **options})

    # What does not depend on the number of axes is tried on two.
    several = (
        to_core(stride=2, in_size=(*size, 3)),
        to_core(kernel_size=window, stride=1, padding="SAME"),
        to_core(kernel_size=3, stride=2, padding="SAME_LOWER"),
    )
    several_foreign = (
        to_nnx(strides=window),
        to_nnx(padding=list(pairs)),
        *(to_nnx(padding=pairs, count_include_pad=False) for _ in more),
    )
    return LayerMap(
        core,
        foreign,
        (
            Opt("kernel_size", "window_shape", Iso(lambda k, _: k, _window_back, "=")),
            Opt("stride", "strides", Iso(lambda s, _: s, _strides_back, "None is one step")),
            Opt("padding", "padding", Iso(_pads, _padding_back, "by name or in pairs")),
            own,
            Given("core", "channel_axis", -1, _last, "nnx pools with the channels last"),
            ignored("core", "in_size", "a declared size, which the data has anyway"),
        ),
        select=_rank_is(rank),
        note=NOTE if average else "",
        cases=(
            to_core(),
            to_core(kernel_size=3, stride=(2, 1, 3)[:rank], padding=pairs),
            *(to_core(kernel_size=3, stride=2, padding=2, **options) for options in more),
            *(several if rank == 2 else ()),
        ),
        foreign_cases=(
            to_nnx(),
            to_nnx(strides=window, padding="same"),
            *(several_foreign if rank == 2 else ()),
        ),
        refusals=(
            Refused("core", to_core(channel_axis=None, input=size), "channel_axis=None"),
            Refused("core", to_core(padding=pairs, input=(2, *size, 3)), "one batch axis alone"),
            Refused("core", to_core(channel_axis=-rank - 1, input=(3, *size)), "channel_axis=-"),
            Refused("foreign", to_nnx(strides=(2,) * (rank + 1)), r"strides=\(2, 2"),
            Refused("foreign", to_nnx(padding=1), "padding=1"),
            Refused("foreign", to_nnx(padding=((1, 1),) * (rank + 1)), r"padding=\(\(1, 1"),
            *(
                (
                    Refused("core", to_core(padding=2), "without any data"),
                    Refused(
                        "foreign",
                        to_nnx(padding=((3, 3),) * rank, count_include_pad=False),
                        "without any data",
                    ),
                )
                if average
                else (Refused("core", to_core(return_indices=True), "return_indices=True"),)
            ),
        ),
    )


ROWS: tuple[LayerMap, ...] = (
    _pool(nn.MaxPool1d, nnx.max_pool, 1),
    _pool(nn.MaxPool2d, nnx.max_pool, 2),
    _pool(nn.MaxPool3d, nnx.max_pool, 3),
    _pool(nn.AvgPool1d, nnx.avg_pool, 1),
    _pool(nn.AvgPool2d, nnx.avg_pool, 2),
    _pool(nn.AvgPool3d, nnx.avg_pool, 3),
    *lp_pooling_companions(companions),
    *adaptive_pooling_companions(companions),
)
