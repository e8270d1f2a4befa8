"""Rows of the layers that run a cell over a sequence: `linen.RNN` and `linen.Bidirectional`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.holding import Part, made
from interop_core.mapping import LayerMap, Only, Opt, Refused, case
from interop_core.options import parameters
from interop_core.sequence_rows import CARRY_RETURNED, CELL, TIME_FIRST, merging

_RNN = parameters(linen.RNN)

_LIFTING = tuple(
    Only("foreign", name, _RNN[name], "leave it out: a cell has parameters and a carry alone")
    for name in ("variable_axes", "variable_broadcast", "variable_carry", "split_rngs")
)

_MODES = (
    Only("foreign", "time_major", False, TIME_FIRST),
    Only("foreign", "return_carry", False, CARRY_RETURNED),
)


def to_core(cell: type, **options: Any) -> Any:
    """A case: a core cell in a layer over five steps."""
    return case(cell=made(cell, num_in=3, num_out=4), input=(5, 3), **options)


def to_linen(**options: Any) -> Any:
    """A case of the foreign layer."""
    return case(cell=made(linen.LSTMCell, features=2), input=(5, 3), **options)


RNN = LayerMap(
    nn.RNN,
    linen.RNN,
    (
        CELL,
        Opt("reverse", "reverse"),
        Opt("keep_order", "keep_order"),
        Opt("unroll", "unroll"),
        *_MODES,
        *_LIFTING,
    ),
    cases=(
        to_core(nn.URLSTMCell),
        to_core(nn.GRUCell, reverse=True, unroll=2),
    ),
    foreign_cases=(to_linen(reverse=True, keep_order=True),),
    refusals=(
        Refused("foreign", to_linen(time_major=True), "time_major=True"),
        Refused("foreign", to_linen(return_carry=True), "return_carry=True"),
        Refused("foreign", to_linen(variable_axes={"cache": 0}), "variable_axes="),
        Refused("foreign", to_linen(variable_broadcast=["params", "cache"]), "variable_broadcast="),
        Refused("foreign", to_linen(variable_carry="batch_stats"), "variable_carry="),
        Refused("foreign", to_linen(split_rngs={"params": False, "dropout": True}), "split_rngs="),
    ),
)


def _both(rnn: type, cell: Any, other: Any, **options: Any) -> Any:
    return case(
        forward_rnn=made(rnn, cell=cell),
        backward_rnn=made(rnn, cell=other),
        input=(5, 3),
        **options,
    )


_CELL = made(nn.LSTMCell, num_in=3, num_out=2, forget_bias=0.0)
_FOREIGN_CELL = made(linen.SimpleCell, features=2)

BIDIRECTIONAL = LayerMap(
    nn.Bidirectional,
    linen.Bidirectional,
    (
        Part("forward_rnn", "forward_rnn"),
        Part("backward_rnn", "backward_rnn"),
        Opt("merge_fn", "merge_fn", merging(parameters(linen.Bidirectional)["merge_fn"])),
        *_MODES,
    ),
    cases=(
        _both(nn.RNN, _CELL, made(nn.GRUCell, num_in=3, num_out=4)),
        _both(nn.RNN, _CELL, _CELL, merge_fn=jnp.maximum),
    ),
    foreign_cases=(_both(linen.RNN, _FOREIGN_CELL, _FOREIGN_CELL),),
    refusals=(
        Refused(
            "foreign",
            _both(linen.RNN, _FOREIGN_CELL, _FOREIGN_CELL, time_major=True),
            "time_major=True",
        ),
        Refused(
            "foreign",
            _both(linen.RNN, _FOREIGN_CELL, _FOREIGN_CELL, return_carry=True),
            "return_carry=True",
        ),
    ),
)

ROWS: tuple[LayerMap, ...] = (RNN, BIDIRECTIONAL)
