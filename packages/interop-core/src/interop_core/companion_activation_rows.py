"""Rows of the companions of activations that jax has no function for, and of `nn.Unflatten`.

Imports `companion_rows` and what the rows of functions share.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from . import nn
from .companion_rows import companion
from .errors import Refusal
from .function_rows import DECLARED_SIZE, UNFLATTENED
from .mapping import Case, Iso, LayerMap, Opt, Refused, Unconvertible, case, iso

TWO_INPUTS: tuple[Unconvertible, ...] = (
    Unconvertible(
        nn.SpikeBitwise,
        "it takes two arrays, and a layer of a stack takes one",
        "combine the outputs of two converted models by its formula",
    ),
)
"""Element-wise layers that no bridge converts."""


def _plain(value: Any) -> Any:
    if not isinstance(value, int | float | np.number):
        raise Refusal(
            f"{value!r} is no plain number, which is all that a companion keeps", "use a float"
        )
    return value


NUMBER = iso(_plain, _plain, "=")
"""A number that is part of the structure of a model, not one of its arrays."""


def activation_companions(companions: Any) -> tuple[LayerMap, ...]:
    """The rows of `nn.Threshold`, `nn.RReLU` and `nn.Softmax2d`.

    Args:
        companions: where the companions are, each under its layer's name.
    """
    return (
        companion(
            nn.Threshold,
            companions.Threshold,
            Opt("threshold", "threshold", NUMBER),
            Opt("value", "value", NUMBER),
            cases=(case(threshold=0.1, value=20.0, input=(3, 4)),),
            refusals=(
                Refused("core", case(threshold=0.1, value=jnp.ones(4)), "is no plain number"),
            ),
            channels="any",
        ),
        companion(
            nn.RReLU,
            companions.RReLU,
            Opt("lower", "lower", NUMBER),
            Opt("upper", "upper", NUMBER),
            # What is drawn differs from call to call: bounds that meet leave nothing to chance.
            cases=(case(lower=0.25, upper=0.25, input=(3, 4)),),
            channels="any",
            note="Both draw in every call, in training or not, each with its own random stream.",
        ),
        companion(
            nn.Softmax2d,
            companions.Softmax2d,
            cases=(case(input=(3, 2, 2)),),
            channels="same",
            example_rank=lambda _: 3,
            note="The channels are first on both sides.",
        ),
    )


def _split(layer: nn.Unflatten, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of one example after `nn.Unflatten`.

    Without ``in_size`` and from the front, its axis counts the batch axis, of which there is one.
    """
    if layer.in_size is not None or layer.axis < 0:
        return layer.output_size(size)
    return layer.output_size((1, *size))[1:] if layer.axis > 0 else None


def unflatten_companion(
    companions: Any,
    axis: Iso = UNFLATTENED,
    *,
    cases: tuple[Case, ...] = (),
    refusals: tuple[Refused, ...] = (),
) -> LayerMap:
    """The row of `nn.Unflatten`: a companion takes the ``axis`` and the ``sizes`` it becomes.

    Args:
        companions: where the companions are, each under its layer's name.
        axis: what the axis is on the other side; by default, of the whole array as it comes.
        cases: more cases than those that hold everywhere.
        refusals: what the other side cannot say.
    """
    return companion(
        nn.Unflatten,
        companions.Unflatten,
        Opt("axis", "axis", axis),
        DECLARED_SIZE,
        cases=(
            case(axis=0, sizes=(2, -1), in_size=(4, 3)),
            case(axis=-1, sizes=(2, 3), input=(4, 6)),
            *cases,
        ),
        refusals=refusals,
        channels="same",
        after=_split,
    )
