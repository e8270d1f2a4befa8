"""Rows of dropout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx

from interop_core import nn
from interop_core.companion_dropout_rows import dropout_companions
from interop_core.errors import Refusal
from interop_core.function_rows import EXAMPLE_AXIS
from interop_core.mapping import (
    COMPLEMENT,
    Channels,
    Config,
    Given,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
)

from . import companions

DROPOUT = LayerMap(
    nn.Dropout,
    eqx.nn.Dropout,
    (
        Opt("prob", "p", COMPLEMENT),
        Only("core", "broadcast_dims", (), "Equinox draws for every entry on its own"),
    ),
    cases=(case(prob=0.3, input=(4, 3)), case(prob=1.0, input=(3,))),
    foreign_cases=(case(p=0.1, input=(4, 3)),),
    refusals=(Refused("core", case(prob=0.5, broadcast_dims=(0,)), "broadcast_dims"),),
    channels="any",
    note="The core's `prob` is the probability to keep. Exported in evaluation mode.",
)

_AXES: dict[Any, int] = {nn.Dropout1d: 2, nn.Dropout2d: 3, nn.Dropout3d: 4}


def _of_channels(row: LayerMap) -> LayerMap:
    """The row of a layer that drops channels, which Equinox has first and the core anywhere."""
    axes = _AXES[row.core]
    sizes = row.cases[0].input or ()

    def is_first(axis: int) -> bool:
        return axis in (0, -axes)

    def check(axis: int, _: Config) -> None:
        if not (is_first(axis) or axis in (-1, axes - 1)):
            raise Refusal(
                f"channel_axis={axis} is neither the last axis nor the first of one example",
                "use -1 or 0",
            )

    def channels(config: Config) -> Channels:
        return "same" if is_first(config["channel_axis"]) else "first"

    others = tuple(
        option for option in row.options if getattr(option, "core", None) != "channel_axis"
    )
    where = Given("core", "channel_axis", -1, check, "it says where the data lies")
    refused = Refused("core", case(channel_axis=1, input=sizes), "neither the last axis nor")
    return replace(
        row,
        options=(where, *others),
        channels=channels,
        refusals=(refused,) if axes > 2 else (),
    )


_COMPANIONS = dropout_companions(
    companions, rate="p", feature=EXAMPLE_AXIS, one_example=True, state=None
)

ROWS: tuple[LayerMap, ...] = (
    DROPOUT,
    *(_of_channels(row) if row.core in _AXES else row for row in _COMPANIONS),
)
