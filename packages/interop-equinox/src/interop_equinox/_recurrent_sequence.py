"""Rows of the layers that run a cell over a sequence, which Equinox writes as a loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from interop_core import nn
from interop_core.companion_rows import companion
from interop_core.errors import Refusal
from interop_core.holding import Part, made
from interop_core.mapping import LayerMap, Opt, Side, case
from interop_core.options import parameters
from interop_core.sequence_rows import CELL, merging

from .companions import RNN, Bidirectional, ConvLSTMCell


def _over_vectors(side: Side, cell: Any) -> None:
    if isinstance(cell, nn.ConvLSTMCell | ConvLSTMCell):
        raise Refusal(
            "takes images, which Equinox has with the channels in front, and the steps of a "
            "sequence are vectors here",
            "convert the cell on its own, and call it step by step",
        )
    CELL.check(side, cell)


def _two_axes(_: Any) -> int:
    return 2


def _rnn(cell: type, **options: Any) -> Any:
    return case(cell=made(cell, num_in=3, num_out=4), input=(5, 3), **options)


def _both(first: type, second: type, **options: Any) -> Any:
    forward, backward = (
        made(nn.RNN, cell=made(cell, num_in=3, num_out=2, **more))
        for cell, more in ((first, {}), (second, {"forget_bias": 0.0}))
    )
    return case(forward_rnn=forward, backward_rnn=backward, input=(5, 3), **options)


ROWS: tuple[LayerMap, ...] = (
    companion(
        nn.RNN,
        RNN,
        replace(CELL, check=_over_vectors),
        cases=(
            _rnn(nn.URLSTMCell),
            _rnn(nn.GRUCell, reverse=True, keep_order=True, unroll=2),
            _rnn(nn.MGUCell, reverse=True),
        ),
        example_rank=_two_axes,
    ),
    companion(
        nn.Bidirectional,
        Bidirectional,
        Part("forward_rnn", "forward_rnn"),
        Part("backward_rnn", "backward_rnn"),
        Opt("merge_fn", "merge_fn", merging(parameters(Bidirectional)["merge_fn"])),
        cases=(
            _both(nn.ValinaRNNCell, nn.LSTMCell),
            _both(nn.GRUCell, nn.LSTMCell, merge_fn=jnp.maximum),
        ),
        example_rank=_two_axes,
    ),
)
