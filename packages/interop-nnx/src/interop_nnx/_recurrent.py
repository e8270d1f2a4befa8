"""Rows of the recurrent cells.

A core cell keeps its state; an NNX cell takes and returns it: ``cell((c, h), x)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.companion_recurrent_rows import biased
from interop_core.errors import Refusal
from interop_core.layout import Blocks, Layout, Shift, Split, chain
from interop_core.mapping import (
    Config,
    Given,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    iso,
    leaf,
)
from interop_core.options import parameters
from interop_core.recurrent_rows import (
    RESET_AFTER,
    ROUNDING,
    gate,
    gru_biases,
    gru_kernels,
    mirrors,
)

from ._linear import _elementwise
from ._options import COMPUTE_DTYPE, PROMOTE_DTYPE

_GATES = "igfo"
"""The core's order: input, cell, forget, output."""

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_tanh": jax.nn.hard_tanh,
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
"""What the core's names stand for, where that is a function that everybody has."""


def _function(activation: str | Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(activation, str):
        return activation
    function: Callable[..., Any] = _FUNCTIONS.get(activation) or getattr(nn, activation)
    return function


def _name(function: Callable[..., Any]) -> str | Callable[..., Any]:
    for name, known in _FUNCTIONS.items():
        if function is known:
            return name
    if isinstance(function, nnx.Module) or not callable(function):
        raise Refusal(f"{function!r} is no plain function")
    return function


ACTIVATION = iso(_function, _name, "by the function itself")
"""A core activation, by name or function, as the function."""

ALONE = "an NNX cell takes and returns its state, which Sequential does not pass on"


def _needs_bias(init: Any, _: Config) -> None:
    if init is None:
        raise Refusal(
            "b_init=None has no counterpart: an NNX cell always has a bias",
            "use b_init=ZeroInit(), and leave the bias out of what the optimizer updates",
        )


_OPTIONS = (
    Opt("num_in", "in_features"),
    Opt("num_out", "hidden_features"),
    Opt("activation", "activation_fn", ACTIVATION),
    Opt("gate_activation", "gate_fn", ACTIVATION),
    Opt("dtype", "dtype", COMPUTE_DTYPE),
    Given("core", "b_init", parameters(nn.LSTMCell)["b_init"], _needs_bias, "always has one"),
    Given("core", "forget_bias", 0.0, reason="it is added to the stored bias on the way out"),
    PROMOTE_DTYPE,
)


def _ends(config: Config) -> tuple[int, int]:
    return config["num_in"], config["num_out"]


def _gates(config: Config, axis: int) -> Layout:
    return Split((config["num_out"],) * len(_GATES), axis)


def _shift(config: Config) -> tuple[Layout, ...]:
    delta = float(config["forget_bias"])
    return (Shift(_GATES, "f", delta),) if delta else ()


def _names(pattern: str) -> str:
    """One name per gate, in the core's order; NNX writes ``if_`` for what would be a keyword."""
    return " ".join(pattern.format(gate) for gate in _GATES).replace("if.", "if_.")


LSTM = LayerMap(
    nn.LSTMCell,
    nnx.LSTMCell,
    _OPTIONS,
    (
        leaf(
            "W.weight.weight",
            f"{_names('i{}.kernel')} {_names('h{}.kernel')}",
            lambda config: chain(Split(_ends(config), axis=0), _gates(config, 1)),
        ),
        leaf(
            "W.weight.bias",
            _names("h{}.bias"),
            lambda config: chain(*_shift(config), _gates(config, 0)),
        ),
    ),
    cases=(
        case(num_in=3, num_out=5),
        case(num_in=3, num_out=5, forget_bias=0.0),
        case(num_in=3, num_out=3, forget_bias=0),
        case(num_in=1, num_out=2, forget_bias=-0.5, activation="relu"),
        case(num_in=3, num_out=2, forget_bias=0.0, gate_activation="hard_sigmoid"),
        case(num_in=3, num_out=2, forget_bias=0.0, activation="soft_shrink"),
        case(num_in=3, num_out=2, activation=jnp.sin, gate_activation=jax.nn.sigmoid),
        case(num_in=3, num_out=2, dtype=jnp.float32),
    ),
    foreign_cases=(
        case(in_features=3, hidden_features=5, input=(3,)),
        case(in_features=3, hidden_features=5, activation_fn=nnx.relu, input=(3,)),
        case(in_features=3, hidden_features=5, gate_fn=jnp.cos, dtype=jnp.float32, input=(3,)),
    ),
    refusals=(
        Refused(
            "foreign",
            case(in_features=3, hidden_features=5, promote_dtype=_elementwise),
            "promote_dtype=.*_elem",
        ),
    ),
    chosen=biased,
    transient=("h", "c"),
    alone=ALONE,
    note="The core's state `h`, `c` is an argument of the NNX cell: `cell((c, h), x)`.",
)

OPTIMIZED_LSTM = LayerMap(
    nn.LSTMCell,
    nnx.OptimizedLSTMCell,
    _OPTIONS,
    (
        leaf(
            "W.weight.weight",
            "dense_i.kernel dense_h.kernel",
            lambda config: chain(Blocks(_GATES, "ifgo"), Split(_ends(config), axis=0)),
        ),
        leaf(
            "W.weight.bias",
            "dense_h.bias",
            lambda config: chain(*_shift(config), Blocks(_GATES, "ifgo")),
        ),
    ),
    foreign_cases=(
        case(in_features=3, hidden_features=5, input=(3,)),
        case(
            in_features=3,
            hidden_features=2,
            gate_fn=nnx.hard_sigmoid,
            dtype=jnp.float32,
            input=(3,),
        ),
        case(in_features=3, hidden_features=2, activation_fn=jnp.sin, input=(3,)),
    ),
    refusals=(
        Refused(
            "foreign",
            case(in_features=3, hidden_features=5, promote_dtype=_elementwise),
            "promote_dtype=.*_elem",
        ),
    ),
    transient=("h", "c"),
    alone=ALONE,
    exports=False,
    note="Only imported; a core cell becomes an `nnx.LSTMCell`.",
)


def _always_biased(core: type) -> Given:
    return Given("core", "b_init", parameters(core)["b_init"], _needs_bias, "always has one")


GRU = LayerMap(
    nn.GRUCell,
    nnx.GRUCell,
    (
        Opt("num_in", "in_features"),
        Opt("num_out", "hidden_features"),
        Opt("activation", "activation_fn", ACTIVATION),
        Opt("gate_activation", "gate_fn", gate(ACTIVATION)),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        RESET_AFTER,
        Only(
            "core",
            "hidden_bias",
            False,
            "nnx.GRUCell has no bias behind its reset gate: build the cell with hidden_bias=False",
        ),
        _always_biased(nn.GRUCell),
        PROMOTE_DTYPE,
    ),
    (
        leaf(
            "Wrz.weight.weight Wh.weight.weight Uh.weight.weight",
            "dense_i.kernel dense_h.kernel",
            gru_kernels,
        ),
        leaf("Wrz.weight.bias Wh.weight.bias", "dense_i.bias", gru_biases),
    ),
    cases=(
        case(num_in=3, num_out=5, reset_after=True, hidden_bias=False),
        case(num_in=2, num_out=2, reset_after=True, hidden_bias=False, activation="relu",
             gate_activation="hard_sigmoid", dtype=jnp.float32),
    ),
    foreign_cases=(
        case(in_features=3, hidden_features=2, activation_fn=jnp.sin, input=(3,)),
    ),
    refusals=(
        Refused(
            "foreign",
            case(in_features=3, hidden_features=5, gate_fn=jnp.cos),
            "is not known to be 1 - itself",
        ),
        Refused(
            "foreign",
            case(in_features=3, hidden_features=5, promote_dtype=_elementwise),
            "promote_dtype=.*_elem",
        ),
    ),
    chosen=lambda config: (
        biased(config)
        and config["reset_after"]
        and not config["hidden_bias"]
        and mirrors(config["gate_activation"])
    ),
    transient=("h",),
    alone=ALONE,
    tolerance=ROUNDING,
    note="The core's state `h` is an argument of the NNX cell: `cell(h, x)`. The update gate "
    "weighs the new candidate in the core and the old state in NNX: its weights have the other "
    "sign.",
)  # fmt: skip

SIMPLE = LayerMap(
    nn.ValinaRNNCell,
    nnx.SimpleCell,
    (
        Opt("num_in", "in_features"),
        Opt("num_out", "hidden_features"),
        Opt("activation", "activation_fn", ACTIVATION),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Only("foreign", "residual", False, "the core adds no old state to the product"),
        _always_biased(nn.ValinaRNNCell),
        PROMOTE_DTYPE,
    ),
    (
        leaf(
            "W.weight.weight",
            "dense_i.kernel dense_h.kernel",
            lambda config: Split(_ends(config), axis=0),
        ),
        leaf("W.weight.bias", "dense_i.bias"),
    ),
    cases=(
        case(num_in=3, num_out=5),
        case(num_in=2, num_out=2, activation=jnp.sin, dtype=jnp.float32),
    ),
    foreign_cases=(case(in_features=3, hidden_features=2, input=(3,)),),
    refusals=(
        Refused("foreign", case(in_features=3, hidden_features=3, residual=True), "residual=True"),
        Refused(
            "foreign",
            case(in_features=3, hidden_features=5, promote_dtype=_elementwise),
            "promote_dtype=.*_elem",
        ),
    ),
    chosen=biased,
    transient=("h",),
    alone=ALONE,
    note="The core's state `h` is an argument of the NNX cell: `cell(h, x)`.",
)

ROWS: tuple[LayerMap, ...] = (LSTM, OPTIMIZED_LSTM, GRU, SIMPLE)
