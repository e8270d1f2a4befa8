"""Rows of the recurrent cells' companions, for the configurations that no stock cell has.

There are two of each cell. One takes and returns its carry, as the frameworks' own cells do. The
other, ``Stateful...``, holds its carry and is called with the input alone, as a cell of the core
is: it stands for a cell inside a stack. Imports `companion_rows` and the cells of `nn`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from . import nn
from .companion_rows import Option, companion
from .errors import Refusal
from .mapping import (
    HAS,
    Case,
    Config,
    Given,
    Iso,
    LayerMap,
    Leaf,
    Only,
    Opt,
    Refused,
    always,
    case,
    leaf,
)

ALONE = "it takes and returns its carry"
"""Why a cell that does cannot stand inside a stack."""

Parts = Callable[[str, Callable[[Config], bool], Callable[[Config], bool]], tuple[Leaf, ...]]
"""``(part, exists, biased)``: the leaves of one linear layer of a cell, such as ``"Wrz"``."""


@dataclass(frozen=True, slots=True)
class Words:
    """How the cells of one framework say what those of the core say.

    Attributes:
        options: its words for ``num_in``, ``num_out`` and ``dtype``.
        function: what an activation is there.
        parts: its arrays for those of a linear layer of the core's cell.
        state: its name for the array of a hidden state that a stateful companion holds; ``None``
            where no state comes along.
        activation: its word for the function of the candidate.
        gate: its word for the function of the gates.
    """

    options: tuple[Option, ...]
    function: Iso
    parts: Parts
    state: Callable[[str], str] | None
    activation: str = "activation_fn"
    gate: str = "gate_fn"


def kernels_as_stored(
    part: str, exists: Callable[[Config], bool], biased: Callable[[Config], bool]
) -> tuple[Leaf, ...]:
    """`Words.parts` of a framework whose linear layers hold ``kernel`` and ``bias``."""
    return (
        leaf(f"{part}.weight.weight", f"{part}.kernel", when=exists),
        leaf(
            f"{part}.weight.bias",
            f"{part}.bias",
            when=lambda config: exists(config) and biased(config),
        ),
    )


def _never(_: Config) -> bool:
    return False


def biased(config: Config) -> bool:
    """Whether a cell of the core has biases."""
    return config["b_init"] is not None


def _resets_after(config: Config) -> bool:
    return bool(config["reset_after"])


def _biased_behind(config: Config) -> bool:
    return biased(config) and config.get("hidden_bias", True)


def _starts_at_zero(state_init: Any, config: Config) -> None:
    if not (state_init == nn.init.ZeroInit() or "h.shape" in config):
        raise Refusal(
            f"its states begin with state_init={state_init!r}, and those of its counterpart with 0",
            "call init_state(batch_size) first: states that the cell holds come along",
        )


STARTS_AT_ZERO = Given(
    "core", "state_init", nn.init.ZeroInit(), _starts_at_zero, "the states start at 0"
)
"""How a cell inside a stack begins where it holds no hidden state yet."""


def _cell(num_in: int, num_out: int, **options: Any) -> Case:
    return case(num_in=num_in, num_out=num_out, input=(num_in,), **options)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is particular to one cell."""

    core: type
    leaves: Callable[[Parts], tuple[Leaf, ...]]
    alone: tuple[Case, ...]
    stacked: tuple[Case, ...]
    states: tuple[str, ...] = ("h",)
    bias: bool = True
    gated: bool = True


_KINDS = (
    _Kind(
        nn.LSTMCell,
        lambda parts: parts("W", always, biased),
        (_cell(3, 5, b_init=None, forget_bias=0.5, activation="relu"),),
        (
            _cell(3, 5, activation="relu", gate_activation="hard_sigmoid"),
            _cell(2, 2, b_init=None, forget_bias=0.0),
        ),
        ("c", "h"),
    ),
    _Kind(
        nn.GRUCell,
        lambda parts: (
            *parts("Wrz", always, biased),
            *parts("Wh", always, biased),
            *parts("Uh", _resets_after, _biased_behind),
        ),
        (
            _cell(3, 5, gate_activation="hard_sigmoid"),
            _cell(2, 2, reset_after=True, b_init=None, activation=jnp.sin),
        ),
        (
            _cell(3, 5, b_init=None, activation="relu", gate_activation="hard_sigmoid"),
            _cell(2, 2, reset_after=True, hidden_bias=False),
        ),
    ),
    _Kind(
        nn.MGUCell,
        lambda parts: (
            *parts("Wf", always, biased),
            *parts("Wh", always, biased),
            *parts("Uh", _resets_after, biased),
        ),
        (
            _cell(3, 5, activation="relu"),
            _cell(2, 2, b_init=None, reset_after=True),
        ),
        (
            _cell(3, 5, b_init=None, reset_after=True, activation="relu"),
            _cell(2, 2, reset_gate=False, gate_keeps=True, gate_activation="hard_sigmoid"),
        ),
    ),
    _Kind(
        nn.URLSTMCell,
        lambda parts: (*parts("W", always, _never), leaf("bias", "bias")),
        (_cell(3, 5),),
        (_cell(2, 3, activation="relu", gate_activation="hard_sigmoid"),),
        ("c", "h"),
        bias=False,
    ),
    _Kind(
        nn.ValinaRNNCell,
        lambda parts: parts("W", always, biased),
        (_cell(3, 5, b_init=None),),
        (
            _cell(3, 5, activation="tanh"),
            _cell(2, 2, b_init=None),
        ),
        gated=False,
    ),
)


def _options(kind: _Kind, words: Words) -> tuple[Option, ...]:
    functions: tuple[Option, ...] = (Opt("activation", words.activation, words.function),)
    if kind.gated:
        functions += (Opt("gate_activation", words.gate, words.function),)
    bias: tuple[Option, ...] = (Opt("b_init", "use_bias", HAS),) if kind.bias else ()
    return (*words.options, *functions, *bias)


def cells_with_carry(companions: Any, words: Words) -> tuple[LayerMap, ...]:
    """The rows of the companions that take and return their carry.

    They are taken where no row before them is: the bridge's rows of stock cells stand in front.

    Args:
        companions: where the companions are, each under its layer's name.
        words: how the framework's cells say what those of the core say.
    """
    return tuple(
        companion(
            kind.core,
            getattr(companions, kind.core.__name__),
            *_options(kind, words),
            leaves=kind.leaves(words.parts),
            cases=kind.alone,
            refusals=(Refused("core", _in_a_dtype(kind.alone[0]), "dtype="),)
            if _refuses_a_dtype(words)
            else (),
            transient=kind.states,
            alone=ALONE,
        )
        for kind in _KINDS
    )


def stateful_cells(companions: Any, words: Words) -> tuple[LayerMap, ...]:
    """The rows of the companions that hold their carry, which cells inside a stack become.

    Args:
        companions: where the companions are: ``StatefulLSTMCell`` and so on.
        words: how the framework's cells say what those of the core say.
    """
    return tuple(_stateful(kind, companions, words) for kind in _KINDS)


def _in_a_dtype(entry: Case) -> Case:
    return replace(entry, options={**entry.options, "dtype": jnp.float32})


def _refuses_a_dtype(words: Words) -> bool:
    return any(isinstance(option, Only) and option.name == "dtype" for option in words.options)


def _stateful(kind: _Kind, companions: Any, words: Words) -> LayerMap:
    names = kind.states
    states: tuple[Leaf, ...] = ()
    if words.state is not None:
        states = (leaf(" ".join(names), " ".join(map(words.state, names)), optional=True),)
    elsewhere = case(num_in=2, num_out=2, state_init=nn.init.Constant(0.5), stacked=True)
    refusals = [Refused("core", elsewhere, "its states begin with state_init=")]
    first, *others = (replace(entry, stacked=True) for entry in kind.stacked)
    in_a_dtype = _in_a_dtype(first)
    if _refuses_a_dtype(words):
        refusals.append(Refused("core", in_a_dtype, "dtype="))
    else:
        first = in_a_dtype
    return companion(
        kind.core,
        getattr(companions, f"Stateful{kind.core.__name__}"),
        *_options(kind, words),
        STARTS_AT_ZERO,
        leaves=(*kind.leaves(words.parts), *states),
        cases=(first, *others),
        refusals=tuple(refusals),
        chosen=lambda config: bool(config["stacked"]),
        note="Inside a stack: it holds its carry, and is called with the input alone.",
    )
