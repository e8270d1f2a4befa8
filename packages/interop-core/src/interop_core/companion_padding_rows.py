"""Rows of the padding layers' companions, the same in every bridge.

Imports `companion_rows` and the padding layers of `nn`.
"""

from __future__ import annotations

from typing import Any

from . import nn
from .companion_rows import companion
from .function_rows import DECLARED_SIZE
from .mapping import Channels, LayerMap, case

CONSTANT_PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)
ZERO_PADS = (nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d)
REFLECTION_PADS = (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d)
REPLICATION_PADS = (nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d)
CIRCULAR_PADS = (nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d)
PADS = (*ZERO_PADS, *CONSTANT_PADS, *REFLECTION_PADS, *REPLICATION_PADS, *CIRCULAR_PADS)

_SIZES = (4, 3, 2)
_PAIRS = ((1, 2), (0, 1), (1, 0))
_BEYOND = ((6, 5), (4, 0), (0, 3))
"""Longer than the data, which then is mirrored or repeated more than once."""


def padding_companions(
    companions: Any,
    layers: tuple[type, ...] = PADS,
    *,
    channels: Channels = "same",
    one_example: bool = False,
) -> tuple[LayerMap, ...]:
    """The rows of padding layers; a companion takes ``padding`` in pairs, and ``value``.

    Args:
        companions: where the companions are, each under its layer's name.
        layers: the core layers.
        channels: where the companions have the channels, as `LayerMap` says it.
        one_example: whether they take one example without batch axes.
    """
    return tuple(_row(layer, companions, channels, one_example) for layer in layers)


def _row(core: Any, companions: Any, channels: Channels, one_example: bool) -> LayerMap:
    rank: int = core.spatial
    size = (*_SIZES[:rank], 2)
    value: dict[str, Any] = {"value": -0.5} if core in CONSTANT_PADS else {}
    # What does not depend on the number of axes is tried on two.
    beyond = (case(padding=_BEYOND[:rank], input=size),) if rank == 2 else ()
    return companion(
        core,
        getattr(companions, core.__name__),
        DECLARED_SIZE,
        cases=(case(padding=_PAIRS[:rank], input=size, **value), *beyond),
        channels=channels,
        example_rank=(lambda _: rank + 1) if one_example else None,
    )
