"""Rows of the companions of `nn.ConvLSTMCell`, with a carry and inside a stack.

Imports `companion_recurrent_rows`, which says the same of the other cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from . import nn
from .companion_recurrent_rows import ALONE, STARTS_AT_ZERO, biased
from .companion_rows import Option, companion
from .layout import IDENTITY, Layout, axes
from .mapping import HAS, Config, Iso, LayerMap, Leaf, Opt, Refused, case, leaf


def _flat(rank: int) -> Layout:
    return axes(f"{'1 ' * rank}c -> c")


def _same(_: int) -> Layout:
    return IDENTITY


@dataclass(frozen=True, slots=True)
class Words:
    """How one framework says what `nn.ConvLSTMCell` says.

    Attributes:
        options: its words for sizes, and for what else it has other words.
        function: what an activation is there.
        state: its name for the array of a hidden state that a stateful companion holds.
        activation: its word for the function of the candidate.
        gate: its word for the function of the gates.
        weight: its name for a kernel.
        kernel: by the number of spatial axes, the layout of a kernel ``(*spatial, in, out)``.
        bias: likewise, of a bias, which the core stores with an axis for each spatial one.
        carry: likewise, of a hidden state ``(*batch, *spatial, channels)``; ``None`` for the same.
    """

    options: tuple[Option, ...]
    function: Iso
    state: Callable[[str], str] = str
    activation: str = "activation_fn"
    gate: str = "gate_fn"
    weight: str = "kernel"
    kernel: Callable[[int], Layout] = _same
    bias: Callable[[int], Layout] = _flat
    carry: Callable[[int], Layout] | None = None


def _at(layout: Callable[[int], Layout]) -> Callable[[Config], Layout]:
    return lambda config: layout(len(config["in_size"]) - 1)


def convolutions(words: Words, names: tuple[str, str] = ("Wx", "Wh")) -> tuple[Leaf, ...]:
    """The arrays of the two convolutions that a cell holds.

    Args:
        words: how the framework says things.
        names: what the convolutions are called there.
    """
    return tuple(
        entry
        for core, there in zip(("Wx", "Wh"), names, strict=True)
        for entry in (
            leaf(f"{core}.weight.weight", f"{there}.{words.weight}", _at(words.kernel)),
            leaf(f"{core}.weight.bias", f"{there}.bias", _at(words.bias), when=biased),
        )
    )


def _options(words: Words) -> tuple[Option, ...]:
    return (
        *words.options,
        Opt("activation", words.activation, words.function),
        Opt("gate_activation", words.gate, words.function),
        Opt("b_init", "use_bias", HAS),
    )


def conv_lstm_with_carry(
    companions: Any, words: Words, *, alone: str = ALONE, **more: Any
) -> LayerMap:
    """The row of the companion that takes and returns its carry.

    Args:
        companions: where it is, as ``ConvLSTMCell``.
        words: how the framework says things.
        alone: why it cannot stand inside a stack.
        **more: other attributes of `LayerMap`.
    """
    return companion(
        nn.ConvLSTMCell,
        companions.ConvLSTMCell,
        *_options(words),
        leaves=convolutions(words),
        cases=(
            case(in_size=(4, 3, 2), out_channels=3, kernel_size=(3, 2), forget_bias=0.5,
                 activation="relu", dtype=jnp.float32),
            case(in_size=(4, 2), out_channels=2, kernel_size=2, padding=((1, 0),), b_init=None,
                 padding_mode="REPLICATE", gate_activation="hard_sigmoid"),
        ),
        transient=("c", "h"),
        alone=alone,
        **more,
    )  # fmt: skip


def conv_lstm_stateful(companions: Any, words: Words, **more: Any) -> LayerMap:
    """The row of the companion that holds its carry, which a cell inside a stack becomes.

    Args:
        companions: where it is, as ``StatefulConvLSTMCell``.
        words: how the framework says things.
        **more: other attributes of `LayerMap`.
    """
    small: dict[str, Any] = {
        "in_size": (2, 3),
        "out_channels": 2,
        "kernel_size": 2,
        "stacked": True,
    }
    layout = IDENTITY if words.carry is None else _at(words.carry)
    states = (leaf("c h", " ".join(map(words.state, ("c", "h"))), layout, optional=True),)
    return companion(
        nn.ConvLSTMCell,
        companions.StatefulConvLSTMCell,
        *_options(words),
        STARTS_AT_ZERO,
        leaves=(*convolutions(words), *states),
        cases=(
            case(**small, b_init=None, forget_bias=0.0, padding_mode="CIRCULAR"),
            case(
                in_size=(2, 3, 2, 2),
                out_channels=2,
                kernel_size=(3, 2, 1),
                stacked=True,
                dtype=jnp.float32,
            ),
        ),
        refusals=(
            Refused(
                "core",
                case(**small, state_init=nn.init.Constant(0.5)),
                "its states begin with state_init=",
            ),
        ),
        chosen=lambda config: bool(config["stacked"]),
        note="Inside a stack: it holds its carry, and is called with the input alone.",
        **more,
    )
