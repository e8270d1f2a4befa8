"""Rows of the convolutions that NNX has not: standardised, unshared, and with other padding."""

from __future__ import annotations

from interop_core.companion_convolution_rows import (
    Words,
    convolution_companions,
    local_convolution_companions,
    scaled_convolution_companions,
)
from interop_core.mapping import Config, LayerMap, Opt

from . import companions
from ._conv import padding_of


def _padded_otherwise(config: Config) -> bool:
    return padding_of(config) is None


ROWS: tuple[LayerMap, ...] = (
    *convolution_companions(companions, Words(), _padded_otherwise),
    *scaled_convolution_companions(companions, Words()),
    *local_convolution_companions(companions, Opt("in_size", "in_size")),
)
