"""Rows of the pooling layers' companions, the same in every bridge, and why unpooling has none.

Imports `companion_rows` and the pooling layers of `nn`.
"""

from __future__ import annotations

from typing import Any

from . import nn
from .companion_rows import Option, companion
from .errors import Refusal
from .function_rows import DECLARED_SIZE
from .mapping import Config, LayerMap, Only, Refused, Unconvertible, case

LP_POOLS = (nn.LPPool1d, nn.LPPool2d, nn.LPPool3d)
ADAPTIVE_POOLS = (
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)

UNPOOLING: tuple[Unconvertible, ...] = tuple(
    Unconvertible(
        layer,
        "it takes two arrays, the entries and their positions, and a layer of a stack takes one",
        "keep the layer of the core, and call it between two converted models",
    )
    for layer in (nn.MaxUnpool1d, nn.MaxUnpool2d, nn.MaxUnpool3d)
)
"""Unpooling, which no bridge converts."""

CHANNELS_LAST = Only("core", "channel_axis", -1, "move the channels to the last axis")
"""Where the channels are, for companions that have them last as the core has by default."""


def one_batch_axis(padding: Any, config: Config) -> None:
    """Refuse pairs of padding where an example has axes in front of those of the window.

    Flax pads an input that has one batch axis and no other.

    Raises:
        Refusal: for such an example, where its shape is known.
    """
    example = config.get("example")
    if example is not None and len(example) > len(padding) + 1:
        raise Refusal(
            f"padding={padding!r} is taken with one batch axis alone, and one example has the "
            f"shape {tuple(example)}",
            "pad by name, or have a padding layer in front of it",
        )


_SIZES = (7, 6, 5)
_PAIRS = ((1, 0), (0, 1), (1, 1))


def lp_pooling_companions(
    companions: Any, channel_axis: Option = CHANNELS_LAST, **more: Any
) -> tuple[LayerMap, ...]:
    """The rows of `nn.LPPool1d` to `nn.LPPool3d`.

    A companion takes ``norm_type``, ``kernel_size`` and ``stride`` with an entry for each axis,
    and ``padding``: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"`` or pairs.

    Args:
        companions: where the companions are, each under its layer's name.
        channel_axis: what becomes of the option of this name.
        **more: other attributes of `LayerMap`.
    """
    return tuple(_lp_row(core, companions, channel_axis, more) for core in LP_POOLS)


def _refusals(rank: int, size: tuple[int, ...], **options: Any) -> tuple[Refused, ...]:
    """Channels in the middle, tried on two spatial axes."""
    middle = case(**options, channel_axis=-2, input=size)
    return (Refused("core", middle, "channel_axis=-2"),) if rank == 2 else ()


def _lp_row(core: Any, companions: Any, channel_axis: Option, more: dict[str, Any]) -> LayerMap:
    rank: int = core.spatial
    size = (*_SIZES[:rank], 3)
    # What does not depend on the number of axes is tried on two.
    several = (
        case(norm_type=3, kernel_size=3, stride=2, padding="SAME", input=size),
        case(norm_type=1.5, kernel_size=3, stride=(2, 1), padding=_PAIRS[:2], input=size),
        case(norm_type=1, kernel_size=2, stride=1, padding="SAME_LOWER", input=size),
    )
    return companion(
        core,
        getattr(companions, core.__name__),
        channel_axis,
        DECLARED_SIZE,
        cases=(
            case(norm_type=2, kernel_size=(3, 2, 2)[:rank], input=size),
            *(several if rank == 2 else ()),
        ),
        refusals=_refusals(rank, size, norm_type=2, kernel_size=2),
        **more,
    )


def adaptive_pooling_companions(
    companions: Any, channel_axis: Option = CHANNELS_LAST, **more: Any
) -> tuple[LayerMap, ...]:
    """The rows of the adaptive poolings.

    A companion takes ``target_size`` with an entry for each axis, ``None`` for one that stays.

    Args:
        companions: where the companions are, each under its layer's name.
        channel_axis: what becomes of the option of this name.
        **more: other attributes of `LayerMap`.
    """
    rows = []
    for core in ADAPTIVE_POOLS:
        rank = core.spatial
        size = (*_SIZES[:rank], 3)
        # Seven entries make three blocks of unequal length, five or six make two.
        more_cases = (case(target_size=(None, 3), input=size),) if rank == 2 else ()
        cases = (case(target_size=(3, 2, 2)[:rank], input=size), *more_cases)
        foreign = getattr(companions, core.__name__)
        refusals = _refusals(rank, size, target_size=2)
        rows.append(
            companion(
                core, foreign, channel_axis, DECLARED_SIZE, cases=cases, refusals=refusals, **more
            )
        )
    return tuple(rows)
