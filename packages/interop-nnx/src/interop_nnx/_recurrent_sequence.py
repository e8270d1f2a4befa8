"""Rows of the layers that run a cell over a sequence: `nnx.RNN` and `nnx.Bidirectional`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.holding import Part, made
from interop_core.mapping import Config, Given, LayerMap, Only, Opt, Refused, case
from interop_core.options import parameters
from interop_core.sequence_rows import CARRY_RETURNED, CELL, TIME_FIRST, merging

_EVERYTHING: Any = {...: nnx.Carry}  # which filters are taken changes from release to release


def _carried_alone(axes: Any, _: Config) -> None:
    # Without any the constructor puts this in their place.
    if axes is not None and axes != nnx.StateAxes(_EVERYTHING):
        raise Refusal(f"state_axes={axes!r} has no counterpart", "leave it out")


_MODES = (
    Only("foreign", "time_major", False, TIME_FIRST),
    Only("foreign", "return_carry", False, CARRY_RETURNED),
)


def to_core(cell: type, **options: Any) -> Any:
    """A case: a core cell in a layer over five steps."""
    return case(cell=made(cell, num_in=3, num_out=4), input=(5, 3), **options)


def to_nnx(**options: Any) -> Any:
    """A case of the foreign layer."""
    cell = made(nnx.LSTMCell, in_features=3, hidden_features=2)
    return case(cell=cell, input=(5, 3), **options)


RNN = LayerMap(
    nn.RNN,
    nnx.RNN,
    (
        CELL,
        Opt("reverse", "reverse"),
        Opt("keep_order", "keep_order"),
        Opt("unroll", "unroll"),
        *_MODES,
        Given("foreign", "state_axes", None, _carried_alone, "everything is carried along"),
        Only("foreign", "broadcast_rngs", None),
    ),
    cases=(
        to_core(nn.MGUCell),
        to_core(nn.GRUCell, reverse=True, unroll=2),
    ),
    foreign_cases=(to_nnx(reverse=True, keep_order=True),),
    refusals=(
        Refused("foreign", to_nnx(time_major=True), "time_major=True"),
        Refused("foreign", to_nnx(return_carry=True), "return_carry=True"),
        Refused("foreign", to_nnx(state_axes={"params": None}), "state_axes="),
        Refused("foreign", to_nnx(broadcast_rngs="dropout"), "broadcast_rngs="),
    ),
)

_DEFAULT = parameters(nnx.Bidirectional)["merge_fn"]


def _both(rnn: type, cell: Any, other: Any, **options: Any) -> Any:
    return case(
        forward_rnn=made(rnn, cell=cell),
        backward_rnn=made(rnn, cell=other),
        input=(5, 3),
        **options,
    )


_CELL = made(nn.LSTMCell, num_in=3, num_out=2, forget_bias=0.0)
_FOREIGN_CELL = made(nnx.SimpleCell, in_features=3, hidden_features=2)

BIDIRECTIONAL = LayerMap(
    nn.Bidirectional,
    nnx.Bidirectional,
    (
        Part("forward_rnn", "forward_rnn"),
        Part("backward_rnn", "backward_rnn"),
        Opt("merge_fn", "merge_fn", merging(_DEFAULT)),
        *_MODES,
    ),
    cases=(
        _both(nn.RNN, _CELL, made(nn.GRUCell, num_in=3, num_out=4)),
        _both(nn.RNN, _CELL, _CELL, merge_fn=jnp.maximum),
    ),
    foreign_cases=(_both(nnx.RNN, _FOREIGN_CELL, _FOREIGN_CELL),),
    refusals=(
        Refused(
            "foreign",
            _both(nnx.RNN, _FOREIGN_CELL, _FOREIGN_CELL, time_major=True),
            "time_major=True",
        ),
        Refused(
            "foreign",
            _both(nnx.RNN, _FOREIGN_CELL, _FOREIGN_CELL, return_carry=True),
            "return_carry=True",
        ),
    ),
)

ROWS: tuple[LayerMap, ...] = (RNN, BIDIRECTIONAL)
