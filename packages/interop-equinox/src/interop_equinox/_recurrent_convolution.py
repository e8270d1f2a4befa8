"""Row of the recurrent cell over images, which Equinox has not."""

from __future__ import annotations

from interop_core.companion_recurrent_convolution_rows import Words, conv_lstm_with_carry
from interop_core.layout import Layout, axes
from interop_core.mapping import LayerMap, Opt

from . import companions
from ._conv import CHANNELS_FIRST, spatial_axes
from ._recurrent_companions import FUNCTION


def _kernel(rank: int) -> Layout:
    return axes(f"{spatial_axes(rank)} i o -> o i {spatial_axes(rank)}")


def _bias(rank: int) -> Layout:
    ones = " ".join("1" * rank)
    return axes(f"{ones} c -> c {ones}")


_WORDS = Words(
    (Opt("in_size", "in_size", CHANNELS_FIRST),),
    FUNCTION,
    activation="activation",
    gate="gate_activation",
    weight="weight",
    kernel=_kernel,
    bias=_bias,
)

ALONE = (
    "an Equinox cell takes and returns its state, Sequential passes on an eqx.nn.State alone, and "
    "no companion keeps images there"
)
"""Why it does not stand in an `eqx.nn.Sequential`."""

ROWS: tuple[LayerMap, ...] = (
    conv_lstm_with_carry(companions, _WORDS, alone=ALONE, channels="first"),
)
