"""Rows of the recurrent cells.

A core cell keeps its state; an Equinox cell takes and returns it: ``cell(x, (h, c))``, or
``cell(x, h)`` where that is all. What Equinox's own cells cannot say, companions do, and inside a
stack companions that keep their state as well.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.layout import Blocks, Layout, Shift, Split, axes, chain
from interop_core.mapping import HAS, Config, Given, LayerMap, Only, Opt, Refused, case, leaf
from interop_core.recurrent_rows import ROUNDING, gru_biases, gru_kernels

from . import _recurrent_companions
from ._recurrent_companions import ALONE, name_of_function

_CORE_GATES, _EQUINOX_GATES = "igfo", "ifgo"


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


def _usual(config: Config) -> bool:
    """Whether a cell has the functions of Equinox's own."""
    try:
        names = [name_of_function(config[key]) for key in ("activation", "gate_activation")]
    except Refusal:
        return False
    return names == ["tanh", "sigmoid"]


def _plain_lstm(config: Config) -> bool:
    # Without a bias there is nothing that the number for the forget gate could be added to.
    return _usual(config) and (_has_bias(config) or not config["forget_bias"])


def _plain_gru(config: Config) -> bool:
    return _usual(config) and config["reset_after"] and config["hidden_bias"]


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
    Given("core", "activation", "tanh", reason="it is the one of Equinox"),
    Given("core", "gate_activation", "sigmoid", reason="it is the one of Equinox"),
)
_DTYPE = Only("core", "dtype", None, "cast the model and its input instead")

LSTM = LayerMap(
    nn.LSTMCell,
    eqx.nn.LSTMCell,
    (
        Opt("num_in", "input_size"),
        Opt("num_out", "hidden_size"),
        Opt("b_init", "use_bias", HAS),
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
    refusals=(Refused("core", case(num_in=3, num_out=5, dtype=jnp.bfloat16), "cast the model"),),
    chosen=_plain_lstm,
    transient=("h", "c"),
    alone=ALONE,
    note="The core's state `h`, `c` is an argument of the Equinox cell; call it step by step.",
)

GRU = LayerMap(
    nn.GRUCell,
    eqx.nn.GRUCell,
    (
        Opt("num_in", "input_size"),
        Opt("num_out", "hidden_size"),
        Opt("b_init", "use_bias", HAS),
        Only("core", "hidden_bias", True),
        Only("core", "reset_after", True),
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
    chosen=_plain_gru,
    transient=("h",),
    alone=ALONE,
    tolerance=ROUNDING,
    note="The core's state `h` is an argument of the Equinox cell. The update gate weighs the new "
    "candidate in the core and the old state in Equinox: its weights have the other sign.",
)

ROWS: tuple[LayerMap, ...] = (
    *_recurrent_companions.STATEFUL,
    *(LSTM, GRU),
    *_recurrent_companions.WITH_CARRY,
)
