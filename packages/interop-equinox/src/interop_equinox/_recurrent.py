"""Rows of the recurrent cells.

A core cell keeps its state; an Equinox cell takes and returns it: ``cell(x, (h, c))``, or
``cell(x, h)`` where that is all.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.layout import Blocks, Layout, Shift, Split, axes, chain
from interop_core.mapping import HAS, Config, Given, Iso, LayerMap, Only, Opt, Refused, case, leaf
from interop_core.recurrent_rows import RESET_AFTER, ROUNDING, gru_biases, gru_kernels

_CORE_GATES, _EQUINOX_GATES = "igfo", "ifgo"


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


def _bias_to(init: Any, config: Config) -> bool:
    if init is None and config["forget_bias"]:
        raise Refusal(
            f"forget_bias={config['forget_bias']} without a bias to hold it",
            "use forget_bias=0.0 or give the cell a bias",
        )
    return init is not None


def _is(name: str, *functions: Any) -> Any:
    def check(value: Any, _: Config) -> None:
        if value != name and all(value is not function for function in functions):
            raise Refusal(f"{value!r} has no counterpart", f"Equinox always uses {name}")

    return check


def _kernel(config: Config) -> Layout:
    return chain(
        Blocks(_CORE_GATES, _EQUINOX_GATES),
        Split((config["num_in"], config["num_out"]), axis=0),
        axes("i o -> o i"),
    )


def _bias(config: Config) -> Layout:
    shift = config["forget_bias"]
    added = (Shift(_CORE_GATES, "f", float(shift)),) if shift else ()
    return chain(*added, Blocks(_CORE_GATES, _EQUINOX_GATES))


_FUNCTIONS = (
    Given("core", "activation", "tanh", _is("tanh", jnp.tanh, jax.lax.tanh)),
    Given("core", "gate_activation", "sigmoid", _is("sigmoid", jax.nn.sigmoid, jax.lax.logistic)),
)
_DTYPE = Only("core", "dtype", None, "cast the model and its input instead")

LSTM = LayerMap(
    nn.LSTMCell,
    eqx.nn.LSTMCell,
    (
        Opt("num_in", "input_size"),
        Opt("num_out", "hidden_size"),
        Opt("b_init", "use_bias", Iso(_bias_to, HAS.back, "is used")),
        Given("core", "forget_bias", 0.0, reason="it is added to the bias"),
        *_FUNCTIONS,
        _DTYPE,
    ),
    (
        leaf("W.weight.weight", "weight_ih weight_hh", _kernel),
        leaf("W.weight.bias", "bias", _bias, when=_has_bias),
    ),
    cases=(
        case(num_in=3, num_out=5),
        case(num_in=3, num_out=5, forget_bias=0.0),
        case(num_in=3, num_out=5, forget_bias=0.0, b_init=None),
    ),
    foreign_cases=(
        case(input_size=3, hidden_size=5, input=(3,)),
        case(input_size=3, hidden_size=5, use_bias=False, input=(3,)),
    ),
    refusals=(
        Refused("core", case(num_in=3, num_out=5, b_init=None), "forget_bias=1.0"),
        Refused("core", case(num_in=3, num_out=5, activation="relu"), "'relu'"),
    ),
    transient=("h", "c"),
    alone="an Equinox cell takes and returns its state, which Sequential does not pass on",
    note="The core's state `h`, `c` is an argument of the Equinox cell; call it step by step.",
)

GRU = LayerMap(
    nn.GRUCell,
    eqx.nn.GRUCell,
    (
        Opt("num_in", "input_size"),
        Opt("num_out", "hidden_size"),
        Opt("b_init", "use_bias", HAS),
        Only("core", "hidden_bias", True, "give the cell a bias of zeros there"),
        RESET_AFTER,
        *_FUNCTIONS,
        _DTYPE,
    ),
    (
        leaf(
            "Wrz.weight.weight Wh.weight.weight Uh.weight.weight",
            "weight_ih weight_hh",
            lambda config: chain(gru_kernels(config), axes("i o -> o i")),
        ),
        leaf("Wrz.weight.bias Wh.weight.bias", "bias", gru_biases, when=_has_bias),
        leaf("Uh.weight.bias", "bias_n", when=_has_bias),
    ),
    cases=(
        case(num_in=3, num_out=5, reset_after=True),
        case(num_in=2, num_out=2, reset_after=True, b_init=None),
    ),
    foreign_cases=(case(input_size=3, hidden_size=2, input=(3,)),),
    refusals=(
        Refused("core", case(num_in=3, num_out=5), r"reset_after=False .*no U makes"),
        Refused("core", case(num_in=3, num_out=5, reset_after=True, activation="relu"), "'relu'"),
        Refused(
            "core", case(num_in=3, num_out=5, reset_after=True, hidden_bias=False), "hidden_bias"
        ),
    ),
    transient=("h",),
    alone=LSTM.alone,
    tolerance=ROUNDING,
    note="The core's state `h` is an argument of the Equinox cell. The update gate weighs the new "
    "candidate in the core and the old state in Equinox: its weights have the other sign.",
)

ROWS: tuple[LayerMap, ...] = (LSTM, GRU)
