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

from ._state import Stateful
from .companions import RNN, Bidirectional, Carrying


def _hands_the_carry(side: Side, node: Any) -> None:
    cell = node.layer if isinstance(node, Stateful) else node
    if isinstance(cell, Carrying):
        raise Refusal(
            "keeps its carry in an eqx.nn.State, and RNN hands its cell the carry",
            "use the cell of the same name that takes its carry",
        )
    CELL.check(side, cell)


def _rnn(cell: type, **options: Any) -> Any:
    return case(cell=made(cell, num_in=3, num_out=4), input=(5, 3), **options)


def _over_images(size: tuple[int, ...], **options: Any) -> Any:
    cell = made(nn.ConvLSTMCell, in_size=size, out_channels=2, kernel_size=2)
    return case(cell=cell, input=(4, *size), **options)


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
        replace(CELL, check=_hands_the_carry),
        cases=(
            _rnn(nn.URLSTMCell),
            _rnn(nn.GRUCell, reverse=True, keep_order=True, unroll=2),
            _rnn(nn.MGUCell, reverse=True),
            _over_images((2, 3)),
            _over_images((3, 2, 1), reverse=True, keep_order=True),
        ),
        example_rank=lambda config: 1 + len(config["cell"].in_size),
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
        example_rank=lambda config: 1 + len(config["forward_rnn"].cell.in_size),
    ),
)
