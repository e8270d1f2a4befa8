"""Rows of the recurrent cells that Equinox has not, and of cells inside a stack.

A cell of the core inside a stack becomes one that holds its carry in an `eqx.nn.State`, so that the
stack is called as it was. A cell alone becomes one that takes and returns it: one of Equinox, where
there is one with these functions and gates.

A companion holds the linear layers that the core cell holds, so that its arrays are the core's but
for the order of axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from interop_core import nn
from interop_core.companion_recurrent_rows import (
    STARTS_AT_ZERO,
    Words,
    cells_with_carry,
    stateful_cells,
)
from interop_core.errors import Refusal
from interop_core.layout import axes
from interop_core.mapping import Config, LayerMap, Leaf, Only, Opt, iso, leaf

from . import companions
from ._state import widest

ALONE = (
    "an Equinox cell takes and returns its state, and Sequential passes on an eqx.nn.State alone"
)
"""Why no such cell stands in an `eqx.nn.Sequential`; one that keeps its carry there does."""

FUNCTIONS: dict[str, Any] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_tanh": jax.nn.hard_tanh,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "celu": jax.nn.celu,
    "selu": jax.nn.selu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "hard_silu": jax.nn.hard_silu,
    "mish": jax.nn.mish,
    "softplus": jax.nn.softplus,
    "soft_sign": jax.nn.soft_sign,
    "log_sigmoid": jax.nn.log_sigmoid,
    "squareplus": jax.nn.squareplus,
    "sparse_plus": jax.nn.sparse_plus,
    "sparse_sigmoid": jax.nn.sparse_sigmoid,
}
"""What the core's names stand for, entry by entry."""

_ALIASES = {jax.lax.tanh: "tanh", jax.lax.logistic: "sigmoid"}

_NAMELESS = (jnp.sin, jnp.cos, jnp.arctan, jnp.square, jnp.abs, jnp.exp)
"""Functions that work entry by entry and have no name in the core."""


def name_of_function(function: Any) -> Any:
    """The core's name of a function that a cell applies, or the function where it has none.

    Raises:
        Refusal: for any other function: the core's cell applies it to a batch, Equinox's to one
            example, which is the same where it works entry by entry.
    """
    if isinstance(function, str) and function in FUNCTIONS:
        return function
    for name, known in FUNCTIONS.items():
        if function is known or function is getattr(nn, name):
            return name
    for known, name in _ALIASES.items():
        if function is known:
            return name
    if any(function is known for known in _NAMELESS):
        return function
    raise Refusal(
        f"{function!r} is not known to work entry by entry, and one side applies it to a batch, "
        "the other to one example",
        f"use one of {', '.join(FUNCTIONS)}",
    )


def _function(function: Any) -> Any:
    name = name_of_function(function)
    return FUNCTIONS[name] if isinstance(name, str) else name


FUNCTION = iso(_function, name_of_function, "by the function itself")


def _parts(
    part: str, exists: Callable[[Config], bool], biased: Callable[[Config], bool]
) -> tuple[Leaf, ...]:
    """The arrays of a linear layer that a cell holds."""
    return (
        leaf(f"{part}.weight.weight", f"{part}.weight", axes("i o -> o i"), when=exists),
        leaf(
            f"{part}.weight.bias",
            f"{part}.bias",
            when=lambda config: exists(config) and biased(config),
        ),
    )


WORDS = Words(
    (
        Opt("num_in", "input_size"),
        Opt("num_out", "hidden_size"),
        Only("core", "dtype", None, "cast the model and its input instead"),
    ),
    FUNCTION,
    _parts,
    str,
    "activation",
    "gate_activation",
)


def carries_to_begin_with(layer: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The hidden states of a layer that its counterpart does not hold: Equinox has them from 0 on.

    Args:
        layer: the layer, without arrays.
        names: the arrays that its counterpart holds.
    """
    if not isinstance(layer, companions.Carrying):
        return {}
    inside = {name: getattr(layer, name).init.shape for name in layer.carried}
    return {name: np.zeros(shape) for name, shape in inside.items() if name not in names}


def _keeps_its_dtype(state_init: Any, config: Config) -> None:
    STARTS_AT_ZERO.check(state_init, config)
    held = {name: config[name] for name in config if name.endswith(".dtype") and config[name]}
    carried = {held[name] for name in ("h.dtype", "c.dtype") if name in held}
    if config["dtype"] is not None:  # all that a step takes is cast to it, but for c
        cast = jax.dtypes.canonicalize_dtype(config["dtype"])
        held = {n: held[n] for n in held if n == "c.dtype"} | {"dtype": cast}
    becomes = widest(held.values()) if carried else None
    if carried - {becomes}:
        raise Refusal(
            f"its hidden state is of {' and '.join(sorted(map(str, carried)))} and becomes one of "
            f"{becomes}, and an eqx.nn.State keeps its dtype",
            "cast the states, or make them anew with init_all_states(model, batch_size)",
        )


def in_a_state(row: LayerMap) -> LayerMap:
    """The row of a companion that holds its carry, in a state that keeps its dtype.

    Args:
        row: the row as it is where a hidden state may change its dtype.
    """
    where = row.options.index(STARTS_AT_ZERO)
    checked = replace(STARTS_AT_ZERO, check=_keeps_its_dtype)
    return replace(row, options=(*row.options[:where], checked, *row.options[where + 1 :]))


STATEFUL: tuple[LayerMap, ...] = tuple(map(in_a_state, stateful_cells(companions, WORDS)))
WITH_CARRY: tuple[LayerMap, ...] = tuple(
    replace(row, alone=ALONE) for row in cells_with_carry(companions, WORDS)
)
