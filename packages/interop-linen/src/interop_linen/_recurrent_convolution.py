"""Rows of the recurrent cell over images: `linen.ConvLSTMCell`, and companions of other forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.companion_recurrent_convolution_rows import (
    Words,
    conv_lstm_stateful,
    conv_lstm_with_carry,
    convolutions,
)
from interop_core.companion_recurrent_rows import ALONE
from interop_core.errors import MissingShapeError, Refusal, VariablesError
from interop_core.mapping import (
    HAS,
    SPATIAL,
    Config,
    Given,
    Iso,
    LayerMap,
    Opt,
    Refused,
    case,
    last_axis,
)

from . import companions
from ._arrays import COMPUTE_DTYPE
from ._conv import SIZES, rank_of
from ._padding import PADDING, PADDING_MODE, per_axis
from ._recurrent import ACTIVATION


def _in_size(name: str) -> Iso:
    """The size of the input, whose channels are rows of a kernel."""

    def read(_: Any, config: Config) -> Any:
        shape = config.get(f"{name}.shape")
        if shape is None or len(shape) < 3:
            reason = "lacks a kernel of three axes or more:"
            raise Refusal(reason, "", VariablesError, (name,))
        return SPATIAL.back(shape[-2], config)

    return Iso(last_axis, read, "channels of the kernel")


def _as_convolution(function: Callable[[Any, Config], Any]) -> Callable[[Any, Config], Any]:
    """What a convolution says of its padding, for one that takes every step and has no gaps."""

    def said(value: Any, config: Config) -> Any:
        sizes = config["kernel_size"]
        ones = (1,) * (1 if isinstance(sizes, int) else len(sizes))
        plain = {"stride": ones, "rhs_dilation": ones, "kernel_dilation": 1, "input_dilation": 1}
        return function(value, {**config, **plain})

    return said


_PADDING, _PADDING_MODE = (
    Iso(_as_convolution(iso.to), _as_convolution(iso.back), iso.doc)
    for iso in (PADDING, PADDING_MODE)
)


def _keeps_lengths(strides: Any, config: Config) -> None:
    try:
        steps = per_axis(strides, rank_of(config))
    except TypeError:
        raise Refusal(f"strides={strides!r} is not understood") from None
    if any(step != 1 for step in steps):
        raise Refusal(
            f"strides={strides!r} make the states smaller from step to step",
            "use a linen.Conv with these strides in front of the cell",
        )


def _is_linens(config: Config) -> bool:
    functions = config["activation"], config["gate_activation"], config["forget_bias"]
    try:
        _PADDING_MODE.to(config["padding_mode"], config)
    except Refusal:
        return False
    return bool(functions == ("tanh", "sigmoid", 1.0))


_STOCK = Words((), ACTIVATION)

STOCK = LayerMap(
    nn.ConvLSTMCell,
    linen.ConvLSTMCell,
    (
        Opt("in_size", "ih.kernel.shape", _in_size("ih.kernel")),
        Opt("out_channels", "features"),
        Opt("kernel_size", "kernel_size", SIZES),
        Opt("padding", "padding", _PADDING),
        Opt("padding_mode", "padding", _PADDING_MODE),
        Opt("b_init", "use_bias", HAS),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
        Given("foreign", "strides", None, _keeps_lengths, "every step is 1"),
        Given("core", "activation", "tanh", reason="it is the one of Linen"),
        Given("core", "gate_activation", "sigmoid", reason="it is the one of Linen"),
        Given("core", "forget_bias", 1.0, reason="it is the one of Linen"),
    ),
    convolutions(_STOCK, ("ih", "hh")),
    cases=(
        case(in_size=(4, 3, 2), out_channels=3, kernel_size=(3, 2)),
        case(in_size=(4, 2), out_channels=2, kernel_size=3, padding=1, b_init=None,
             padding_mode="CIRCULAR", dtype=jnp.float32),
        case(in_size=(2, 3, 2, 1), out_channels=1, kernel_size=2, padding=((1, 0),),
             dtype=jnp.bfloat16),
    ),
    foreign_cases=(
        case(features=2, kernel_size=(3, 2), strides=(1, 1), padding="REFLECT", input=(4, 3, 2)),
        case(features=2, kernel_size=[2], padding=((0, 1),), use_bias=False, input=(4, 2)),
    ),
    refusals=(
        Refused("foreign", case(features=2, kernel_size=(3,), strides=(4,), input=(4, 2)),
                "smaller from step to step"),
        Refused("foreign", case(features=2, kernel_size=(3,), padding="VALID", input=(3, 2)),
                "keep theirs", MissingShapeError),
    ),
    transient=("c", "h"),
    alone=ALONE,
    chosen=_is_linens,
)  # fmt: skip

WORDS = Words(
    (
        Opt("in_size", "Wx.kernel.shape", _in_size("Wx.kernel")),
        Opt("out_channels", "features"),
        Opt("dtype", "dtype", COMPUTE_DTYPE),
    ),
    ACTIVATION,
    "carry:{}".format,
)

ROWS: tuple[LayerMap, ...] = (
    conv_lstm_stateful(companions, WORDS),
    STOCK,
    conv_lstm_with_carry(companions, WORDS),
)
