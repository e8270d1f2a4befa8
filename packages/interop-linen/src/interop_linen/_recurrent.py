"""Rows of the recurrent cells."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.companion_recurrent_rows import (
    ALONE,
    Words,
    biased,
    cells_with_carry,
    kernels_as_stored,
    stateful_cells,
)
from interop_core.errors import Refusal
from interop_core.layout import Layout, Shift, Split, chain
from interop_core.mapping import (
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
    iso,
    leaf,
)
from interop_core.recurrent_rows import ROUNDING, UPDATE_GATE, gate, mirrors

from . import companions
from ._arrays import COMPUTE_DTYPE, shape_of

GATES = "igfo"
"""Blocks of the core's kernel; Linen has an array for each."""

NAMED = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "selu": jax.nn.selu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "soft_sign": jax.nn.soft_sign,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_silu": jax.nn.hard_silu,
    "hard_swish": jax.nn.hard_swish,
    "hard_tanh": jax.nn.hard_tanh,
    "celu": jax.nn.celu,
    "log_sigmoid": jax.nn.log_sigmoid,
    "mish": jax.nn.mish,
    "sparse_plus": jax.nn.sparse_plus,
    "sparse_sigmoid": jax.nn.sparse_sigmoid,
    "squareplus": jax.nn.squareplus,
    "swish": jax.nn.swish,
}
"""Functions that the core calls by a name. Any other function stays itself on both sides."""


def _function(activation: Any) -> Any:
    if not isinstance(activation, str):
        return activation
    if activation not in NAMED:
        advice = f"pass the function itself, or one of {', '.join(NAMED)}"
        raise Refusal(f"{activation!r} names no function of jax", advice)
    return NAMED[activation]


def _name(function: Any) -> Any:
    if isinstance(function, linen.Module) or not callable(function):
        raise Refusal(f"{function!r} is no plain function", "convert it as a layer of its own")
    return next((name for name, known in NAMED.items() if known is function), function)


ACTIVATION = iso(_function, _name, "by name")


BIASED = Given("core", "b_init", nn.init.ZeroInit())
"""Linen's own cells always have biases; a cell without becomes a companion."""


def _inputs(array: str) -> Iso:
    """The number of inputs, read off a kernel."""
    return Iso(lambda n, _: n, lambda _, config: shape_of(config, array, 2)[0], "rows of a kernel")


def _ends(config: Config) -> tuple[int, int]:
    return config["num_in"], config["num_out"]


def _kernels(config: Config) -> Layout:
    inputs, units = config["num_in"], config["num_out"]
    return chain(Split((inputs, units), 0), Split((units,) * len(GATES), -1))


def _biases(config: Config) -> Layout:
    split = Split((config["num_out"],) * len(GATES), -1)
    delta = config["forget_bias"]
    return chain(Shift(GATES, "f", delta), split) if delta else split


def _names(part: str, array: str) -> str:
    return " ".join(f"{part}{gate}.{array}" for gate in GATES)


def _cell(foreign: type, *, exports: bool) -> LayerMap:
    return LayerMap(
        nn.LSTMCell,
        foreign,
        (
            Opt("num_in", "ii.kernel.shape", _inputs("ii.kernel")),
            Opt("num_out", "features"),
            Opt("activation", "activation_fn", ACTIVATION),
            Opt("gate_activation", "gate_fn", ACTIVATION),
            Opt("dtype", "dtype", COMPUTE_DTYPE),
            BIASED,
            Given("core", "forget_bias", 0.0, reason="it goes into the bias"),
        ),
        (
            leaf("W.weight.weight", f"{_names('i', 'kernel')} {_names('h', 'kernel')}", _kernels),
            leaf("W.weight.bias", _names("h", "bias"), _biases),
        ),
        cases=(
            case(num_in=3, num_out=5, input=(3,)),
            case(num_in=3, num_out=5, forget_bias=0.0, input=(3,)),
            case(num_in=4, num_out=4, forget_bias=0.5, activation="relu", input=(4,),
                 gate_activation="hard_sigmoid"),
            case(num_in=1, num_out=1, activation=jnp.sin, dtype=jnp.float32, input=(1,)),
        ),
        foreign_cases=(
            case(features=5, input=(3,)),
            case(features=4, activation_fn=jax.nn.softplus, gate_fn=jnp.cos, input=(2,)),
        ),
        refusals=(
            Refused("core", case(num_in=3, num_out=5, activation="soft_shrink"),
                    "'soft_shrink' names no"),
        ) if exports else (),
        transient=("h", "c"),
        alone=ALONE,
        chosen=biased,
        exports=exports,
        note="The forget bias is part of the stored bias in Linen.",
    )  # fmt: skip


def _companion_inputs(_: Any, config: Config) -> int:
    """The number of inputs: a companion's first kernel takes them and the state."""
    first = next((n for n in ("W", "Wrz", "Wf") if f"{n}.kernel.shape" in config), "W")
    return shape_of(config, f"{first}.kernel", 2)[0] - int(config["features"])


def _is_linens_gru(config: Config) -> bool:
    held = config["reset_after"] and config["hidden_bias"] and mirrors(config["gate_activation"])
    return biased(config) and bool(held)


def _resets(config: Config) -> bool:
    return bool(config["reset_after"])


def _is_linens_mgu(config: Config) -> bool:
    resets_as_there = config["reset_after"] or not config["reset_gate"]
    return biased(config) and config["gate_keeps"] and resets_as_there


LSTM = _cell(linen.LSTMCell, exports=True)
OPTIMIZED_LSTM = _cell(linen.OptimizedLSTMCell, exports=False)

GRU = LayerMap(
    nn.GRUCell,
    linen.GRUCell,
    (
        Opt("num_in", "in.kernel.shape", _inputs("in.kernel")),
        Opt("num_out", "features"),
        Opt("activation", "activation_fn", ACTIVATION),
        Opt("gate_activation", "gate_fn", gate(ACTIVATION)),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Given("core", "reset_after", True),
        Given("core", "hidden_bias", True),
        BIASED,
    ),
    (
        leaf(
            "Wrz.weight.weight",
            "ir.kernel iz.kernel hr.kernel hz.kernel",
            lambda config: chain(
                UPDATE_GATE, Split(_ends(config), 0), Split((config["num_out"],) * 2, -1)
            ),
        ),
        leaf(
            "Wrz.weight.bias",
            "ir.bias iz.bias",
            lambda config: chain(UPDATE_GATE, Split((config["num_out"],) * 2, -1)),
        ),
        leaf("Wh.weight.weight", "in.kernel"),
        leaf("Wh.weight.bias", "in.bias"),
        leaf("Uh.weight.weight", "hn.kernel"),
        leaf("Uh.weight.bias", "hn.bias"),
    ),
    cases=(
        case(num_in=3, num_out=5, reset_after=True, input=(3,)),
        case(num_in=2, num_out=2, reset_after=True, activation="relu", input=(2,),
             gate_activation="hard_sigmoid", dtype=jnp.float32),
    ),
    foreign_cases=(case(features=4, activation_fn=jnp.sin, input=(2,)),),
    refusals=(
        Refused("foreign", case(features=4, gate_fn=jnp.cos, input=(2,)),
                "is not known to be 1 - itself"),
    ),
    transient=("h",),
    alone=ALONE,
    chosen=_is_linens_gru,
    tolerance=ROUNDING,
    note="The update gate weighs the new candidate in the core and the old state in Linen: its "
    "weights have the other sign.",
)  # fmt: skip

SIMPLE = LayerMap(
    nn.ValinaRNNCell,
    linen.SimpleCell,
    (
        Opt("num_in", "i.kernel.shape", _inputs("i.kernel")),
        Opt("num_out", "features"),
        Opt("activation", "activation_fn", ACTIVATION),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Only("foreign", "residual", False, "the core adds no old state to the product"),
        BIASED,
    ),
    (
        leaf("W.weight.weight", "i.kernel h.kernel", lambda config: Split(_ends(config), 0)),
        leaf("W.weight.bias", "i.bias"),
    ),
    cases=(
        case(num_in=3, num_out=5, input=(3,)),
        case(num_in=2, num_out=2, activation=jnp.sin, dtype=jnp.float32, input=(2,)),
    ),
    foreign_cases=(case(features=4, input=(2,)),),
    refusals=(Refused("foreign", case(features=4, residual=True, input=(2,)), "residual=True"),),
    transient=("h",),
    alone=ALONE,
    chosen=biased,
)

MGU = LayerMap(
    nn.MGUCell,
    linen.MGUCell,
    (
        Opt("num_in", "in.kernel.shape", _inputs("in.kernel")),
        Opt("num_out", "features"),
        Opt("activation", "activation_fn", ACTIVATION),
        Opt("gate_activation", "gate_fn", ACTIVATION),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Opt("reset_gate", "reset_gate"),
        Opt("reset_after", "reset_gate"),
        Given("core", "gate_keeps", True),
        BIASED,
        ignored("foreign", "forget_bias_init activation_bias_init", "initializers"),
    ),
    (
        leaf("Wf.weight.weight", "if.kernel hf.kernel", lambda config: Split(_ends(config), 0)),
        leaf("Wf.weight.bias", "if.bias"),
        leaf("Wh.weight.weight", "in.kernel", when=_resets),
        leaf(
            "Wh.weight.weight",
            "in.kernel hn.kernel",
            lambda config: Split(_ends(config), 0),
            when=lambda config: not _resets(config),
        ),
        leaf("Wh.weight.bias", "in.bias"),
        leaf("Uh.weight.weight", "hn.kernel", when=_resets),
        leaf("Uh.weight.bias", "hn.bias", when=_resets),
    ),
    cases=(
        case(num_in=3, num_out=5, gate_keeps=True, reset_after=True, input=(3,)),
        case(num_in=3, num_out=2, gate_keeps=True, reset_gate=False, activation="relu",
             gate_activation="hard_sigmoid", dtype=jnp.float32, input=(3,)),
    ),
    foreign_cases=(case(features=4, gate_fn=jnp.cos, input=(2,)),),
    transient=("h",),
    alone=ALONE,
    chosen=_is_linens_mgu,
    note="Its one gate weighs the old state: nn.MGUCell(..., gate_keeps=True, reset_after=True).",
)  # fmt: skip

WORDS = Words(
    (
        Opt("num_in", "kernel.shape", Iso(lambda n, _: n, _companion_inputs, "rows of a kernel")),
        Opt("num_out", "features"),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
    ),
    ACTIVATION,
    kernels_as_stored,
    "carry:{}".format,
)

ROWS: tuple[LayerMap, ...] = (
    *stateful_cells(companions, WORDS),
    *(LSTM, OPTIMIZED_LSTM, GRU, SIMPLE, MGU),
    *cells_with_carry(companions, WORDS),
)
