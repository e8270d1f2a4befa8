"""Rows of the recurrent cell over images, which NNX has not."""

from __future__ import annotations

from interop_core.companion_recurrent_convolution_rows import (
    Words,
    conv_lstm_stateful,
    conv_lstm_with_carry,
)
from interop_core.mapping import LayerMap, Opt

from . import companions
from ._recurrent import ACTIVATION

_WORDS = Words((Opt("out_channels", "hidden_features"),), ACTIVATION)

ROWS: tuple[LayerMap, ...] = (
    conv_lstm_stateful(companions, _WORDS),
    conv_lstm_with_carry(companions, _WORDS),
)
