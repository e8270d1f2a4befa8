"""Rows of the layers that are plain functions, held by an `eqx.nn.Lambda`.

The function sees one example, so an axis counted from the front means another one than it does in
the core, where a batch axis stands before it.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from interop_core import nn
from interop_core.companion_activation_rows import unflatten_companion
from interop_core.errors import MissingShapeError, Refusal
from interop_core.function_rows import (
    DECLARED_SIZE,
    EXAMPLE_AXIS,
    activation_rows,
    flatten_row,
    move_axis_row,
)
from interop_core.mapping import Config, Iso, LayerMap, Only, Opt, Refused, case
from interop_core.options import parameters

from . import companions


def _rank(config: Config) -> int:
    example: tuple[int, ...] | None = config["example"]
    if example is None:
        raise Refusal(
            "its axes are counted from the front, and the shape of its input is not known",
            "pass sample_input",
            MissingShapeError,
        )
    return len(example)


def _axis_of_example(axis: int, config: Config) -> int:
    """An axis of the core as one of a single example."""
    size = config["in_size"]
    if axis < 0:
        return axis
    if size is not None:
        return axis - len(size)
    if axis == 0:
        raise Refusal(
            "axis 0 is the batch axis, which one example does not have",
            "give the layer its in_size, or start at axis 1",
        )
    return axis - 1


def _start(axis: int, config: Config) -> int:
    if axis < -1 and _rank(config) < -axis:
        raise Refusal(
            f"axis {axis} is the batch axis, which one example does not have",
            "start at an axis of one example",
        )
    return _axis_of_example(axis, config)


def _stop(axis: int, config: Config) -> int | None:
    last = _axis_of_example(axis, config)
    return None if last == -1 else last + 1


def _joined(config: Config) -> tuple[int, int]:
    """The first and the last axis that `jax.lax.collapse` joins, from the end of one example."""
    start, stop = config["start_dimension"], config["stop_dimension"]
    if (start, stop) == (-1, None):
        return -1, -1
    rank = _rank(config)  # counted as a slice does: axes that there are not are left out
    first, behind, _ = slice(start, stop).indices(rank)
    if first >= behind:
        raise Refusal(f"joins no axes from {start} to {stop}, and adds one", "join some axes")
    return first - rank, behind - 1 - rank


def _all_axes(order: str, config: Config) -> int:
    if order != "C":
        raise Refusal(f"order={order!r} puts the entries in another order", "use order='C'")
    return -_rank(config)


def _axes_back(axis: int, config: Config) -> int:
    return axis if axis < 0 else axis - _rank(config)


FLATTEN = flatten_row(
    Iso(_start, lambda _, config: _joined(config)[0], "first axis of one example"),
    Iso(_stop, lambda _, config: _joined(config)[1], "axis behind the last"),
    cases=(case(start_axis=1, input=(3, 4, 2)),),
    refusals=(
        Refused("core", case(input=(3, 4, 2)), "batch axis"),
        Refused("core", case(start_axis=-2, input=(6,)), "axis -2 is the batch axis"),
        Refused("core", case(start_axis=-2), "is not known", MissingShapeError),
    ),
)

UNFLATTEN = unflatten_companion(
    companions,
    Iso(_axis_of_example, _axes_back, "axis of one example"),
    cases=(case(axis=1, sizes=(2, 3), input=(6, 4)),),
    refusals=(Refused("core", case(axis=0, sizes=(2, 3), input=(6, 4)), "batch axis"),),
)

_SHARDED: Any = PartitionSpec("x")

RAVEL = LayerMap(
    nn.Flatten,
    jnp.ravel,
    (
        Opt("start_axis", "order", Iso(lambda _, __: "C", _all_axes, "all axes")),
        Only("core", "end_axis", -1),
        DECLARED_SIZE,
        Only("foreign", "out_sharding", None),
    ),
    foreign_cases=(case(input=(3, 4, 2)),),
    refusals=(
        Refused("foreign", case(order="F", input=(3, 4, 2)), "order='F'"),
        *(
            (Refused("foreign", case(out_sharding=_SHARDED, input=(3, 4, 2)), "out_sharding="),)
            if "out_sharding" in parameters(jnp.ravel)  # a new word
            else ()
        ),
    ),
    exports=False,
)


IDENTITY = LayerMap(nn.Identity, eqx.nn.Identity, cases=(case(input=(3, 4)),), channels="any")

ROWS: tuple[LayerMap, ...] = (
    IDENTITY,
    *activation_rows(EXAMPLE_AXIS),
    FLATTEN,
    UNFLATTEN,
    RAVEL,
    move_axis_row(Iso(lambda axis, _: axis, _axes_back, "from the end")),
)
