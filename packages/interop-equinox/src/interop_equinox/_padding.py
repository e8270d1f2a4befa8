"""Rows of the padding layers: `jax.numpy.pad` of one example with the channels first.

Its options do not name a constant, so padding with one has companions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from interop_core import nn
from interop_core.companion_padding_rows import CONSTANT_PADS, padding_companions
from interop_core.errors import Refusal
from interop_core.function_rows import DECLARED_SIZE
from interop_core.mapping import Config, Iso, LayerMap, Only, Opt, Refused, case, iso

from . import companions

Pads = tuple[tuple[int, int], ...]


def _with_channels(padding: Pads) -> Pads:
    return ((0, 0), *padding)


def _pairs(width: Any) -> Pads | None:
    """Widths that name a pair for each axis, the one form of them that says how many there are."""
    try:
        return tuple((int(before), int(after)) for before, after in width)
    except (TypeError, ValueError):
        return None


def _without_channels(width: Any) -> Pads:
    channels, *spatial = _pairs(width) or ((0, 0),)
    if any(channels):
        raise Refusal(f"pad_width={width!r} adds channels", "pad the axes behind the first")
    return tuple(spatial)


WIDTHS: Iso = iso(_with_channels, _without_channels, "none for the channels, which are first")


def _selects(mode: str, rank: int) -> Callable[[Config], bool]:
    def select(config: Config) -> bool:
        pairs = _pairs(config["pad_width"])
        return config["mode"] == mode and pairs is not None and len(pairs) == rank + 1

    return select


def _pad(core: type, mode: str, rank: int) -> LayerMap:
    size = (4, 3, 2)[:rank]
    pairs = ((1, 2), (0, 1), (1, 0))[:rank]
    return LayerMap(
        core,
        jnp.pad,
        (Opt("padding", "pad_width", WIDTHS), Only("foreign", "mode", mode), DECLARED_SIZE),
        cases=(case(padding=pairs, input=(*size, 2)),),
        refusals=(
            Refused(
                "foreign",
                case(pad_width=((1, 0), *pairs), mode=mode, input=(*size, 2)),
                "adds channels",
            ),
        ),
        select=_selects(mode, rank),
        channels="first",
        example_rank=lambda config: rank + 1,
    )


_FUNCTIONS: tuple[LayerMap, ...] = tuple(
    _pad(core, mode, rank)
    for mode, layers in {
        "constant": (nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d),
        "reflect": (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d),
        "edge": (nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d),
        "wrap": (nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d),
    }.items()
    for rank, core in enumerate(layers, 1)
)

ROWS: tuple[LayerMap, ...] = (
    *_FUNCTIONS,
    *padding_companions(companions, CONSTANT_PADS, channels="first", one_example=True),
)
