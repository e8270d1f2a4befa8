"""Rows of the recurrent cell over images, which Equinox has not."""

from __future__ import annotations

from interop_core.batched import batched_axes
from interop_core.companion_recurrent_convolution_rows import (
    Words,
    conv_lstm_stateful,
    conv_lstm_with_carry,
)
from interop_core.layout import Layout, axes
from interop_core.mapping import LayerMap, Opt

from . import companions
from ._conv import CHANNELS_FIRST, spatial_axes
from ._recurrent_companions import ALONE, FUNCTION, in_a_state


def _kernel(rank: int) -> Layout:
    return axes(f"{spatial_axes(rank)} i o -> o i {spatial_axes(rank)}")


def _bias(rank: int) -> Layout:
    ones = " ".join("1" * rank)
    return axes(f"{ones} c -> c {ones}")


def _carry(rank: int) -> Layout:
    return batched_axes(f"{spatial_axes(rank)} c -> c {spatial_axes(rank)}")


_WORDS = Words(
    (Opt("in_size", "in_size", CHANNELS_FIRST),),
    FUNCTION,
    activation="activation",
    gate="gate_activation",
    weight="weight",
    kernel=_kernel,
    bias=_bias,
    carry=_carry,
)

ROWS: tuple[LayerMap, ...] = (
    in_a_state(conv_lstm_stateful(companions, _WORDS, channels="first")),
    conv_lstm_with_carry(companions, _WORDS, alone=ALONE, channels="first"),
)
