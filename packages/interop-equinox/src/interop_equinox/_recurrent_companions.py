"""Rows of the recurrent cells that Equinox has not, or not with these functions and gates.

A companion holds the linear layers that the core cell holds, so that its arrays are the core's but
for the order of axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from interop_core import nn
from interop_core.companion_recurrent_rows import Words, cells_with_carry
from interop_core.errors import Refusal
from interop_core.layout import axes
from interop_core.mapping import Config, LayerMap, Leaf, Only, Opt, iso, leaf

from . import companions

ALONE = (
    "an Equinox cell takes and returns its state, and Sequential passes on an eqx.nn.State alone, "
    "which the examples of a batch have in common"
)
"""Why no cell stands in an `eqx.nn.Sequential`: each example has a carry of its own."""

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


_WORDS = Words(
    (
        Opt("num_in", "input_size"),
        Opt("num_out", "hidden_size"),
        Only("core", "dtype", None, "cast the model and its input instead"),
    ),
    FUNCTION,
    _parts,
    None,
    "activation",
    "gate_activation",
)

ROWS: tuple[LayerMap, ...] = tuple(
    replace(row, alone=ALONE) for row in cells_with_carry(companions, _WORDS)
)
