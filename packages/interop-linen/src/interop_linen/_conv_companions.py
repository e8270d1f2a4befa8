"""Rows of the convolutions with standardised kernels, and with padding that linen.Conv has not."""

from __future__ import annotations

from typing import Any

from interop_core.companion_convolution_rows import (
    Words,
    convolution_companions,
    scaled_convolution_companions,
)
from interop_core.errors import Refusal, VariablesError
from interop_core.mapping import SPATIAL, Config, Iso, LayerMap, Only, Opt, last_axis

from . import companions
from ._padding import PADDING_MODE


def _in_size(_: Any, config: Config) -> Any:
    shape = config.get("kernel.shape")
    if shape is None or len(shape) < 3:
        raise Refusal("lacks a kernel of three axes or more:", "", VariablesError, ("kernel",))
    return SPATIAL.back(shape[-2] * config["groups"], config)


def padded_otherwise(config: Config) -> bool:
    """Whether a convolution of the core is padded as no `linen.Conv` is."""
    if config.get("channel_first"):
        return False
    try:
        PADDING_MODE.to(config["padding_mode"], config)
    except Refusal:
        return True
    return False


WORDS = Words(
    (
        Opt("in_size", "kernel.shape", Iso(last_axis, _in_size, "channels of the kernel")),
        Only("core", "channel_first", False, "build the layer with the channels last"),
    )
)

PADDED: tuple[LayerMap, ...] = convolution_companions(companions, WORDS, padded_otherwise)
SCALED: tuple[LayerMap, ...] = scaled_convolution_companions(companions, WORDS)
