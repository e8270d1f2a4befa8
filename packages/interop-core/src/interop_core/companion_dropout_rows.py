"""Rows of the companions of dropout that no other framework has.

Imports `companion_rows` and the dropout layers of `nn`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import nn
from .companion_rows import Option, companion
from .mapping import COMPLEMENT, SAME, Channels, Config, Iso, LayerMap, Opt, case, leaf

_NOTE = (
    "The core counts the share that is kept. Each side draws from its own random stream. Exported "
    "in evaluation mode."
)


def dropout_companions(
    companions: Any,
    *more: Option,
    rate: str = "rate",
    channel: Iso = SAME,
    feature: Iso = SAME,
    channels: Channels = "same",
    one_example: bool = False,
    state: Callable[[str], str] | None = str,
) -> tuple[LayerMap, ...]:
    """The rows of dropout of channels, of the two that keep moments, and of `nn.DropoutFixed`.

    Args:
        companions: where the companions are, each under its layer's name.
        *more: options that all of them have, such as the mode they run in.
        rate: the framework's word for the share that is dropped.
        channel: what ``channel_axis`` of `nn.Dropout1d` to `nn.Dropout3d` is there.
        feature: what ``channel_axis`` of `nn.FeatureAlphaDropout` is there, which counts axes of
            the array as it comes.
        channels: where `nn.Dropout1d` to `nn.Dropout3d` have their channels.
        one_example: whether the framework's layers take one example at a time.
        state: the framework's name for the mask of `nn.DropoutFixed`; ``None`` where it does not
            come along.
    """
    kept = Opt("prob", rate, COMPLEMENT)
    mask = () if state is None else (leaf("mask", state("mask"), optional=True),)
    return (
        *(
            companion(
                layer,
                getattr(companions, layer.__name__),
                kept,
                Opt("channel_axis", "channel_axis", channel),
                *more,
                cases=(
                    case(prob=0.3, input=size),
                    case(prob=1.0, channel_axis=0, input=size),
                )[: 2 if rank == 2 else 1],
                channels=channels,
                example_rank=_rank(rank + 1) if one_example else None,
                note=_NOTE,
            )
            for rank, (layer, size) in enumerate(_CHANNEL_DROPOUTS, start=1)
        ),
        companion(
            nn.AlphaDropout,
            companions.AlphaDropout,
            kept,
            *more,
            cases=(case(prob=0.3, input=(3, 4)),),
            channels="any",
            note=_NOTE,
        ),
        companion(
            nn.FeatureAlphaDropout,
            companions.FeatureAlphaDropout,
            kept,
            Opt("channel_axis", "channel_axis", feature),
            *more,
            cases=(case(prob=0.3, input=(3, 4)), case(channel_axis=-2, input=(4, 3))),
            note=_NOTE,
        ),
        companion(
            nn.DropoutFixed,
            companions.DropoutFixed,
            kept,
            *more,
            leaves=mask,
            cases=(case(in_size=(3, 4), prob=0.3, input=(3, 4)),),
            note=_NOTE,
        ),
    )


_CHANNEL_DROPOUTS = (
    (nn.Dropout1d, (3, 4)),
    (nn.Dropout2d, (3, 2, 4)),
    (nn.Dropout3d, (3, 2, 2, 4)),
)


def _rank(axes: int) -> Callable[[Config], int]:
    return lambda _: axes
