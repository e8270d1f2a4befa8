"""Rows of recurrent cells."""

from __future__ import annotations

from ._row import Row

_OURS = "the published cell has no such option"
_BEYOND = "the published library runs cells over sequences by a function"
_NO_IMAGES = "the published library has no such cell"

ROWS: tuple[Row, ...] = (
    Row(
        "ValinaRNNCell",
        lambda nn: nn.ValinaRNNCell(3, 4),
        ((2, 3),),
        batch=2,
        steps=3,
    ),
    Row(
        "ValinaRNNCell",
        lambda nn: nn.ValinaRNNCell(3, 4, nn.init.Constant(0.5), activation="tanh", b_init=None),
        ((2, 3),),
        "tanh, no bias, initial state",
        batch=2,
        steps=3,
    ),
    Row(
        "LSTMCell",
        lambda nn: nn.LSTMCell(3, 4),
        ((2, 3),),
        batch=2,
        steps=3,
    ),
    Row(
        "LSTMCell",
        lambda nn: nn.LSTMCell(
            3, 4, b_init=None, state_init=nn.init.Constant(0.5), activation="softplus"
        ),
        ((2, 3),),
        "softplus, no bias, initial state",
        batch=2,
        steps=3,
    ),
    Row(
        "LSTMCell",
        lambda nn: nn.LSTMCell(3, 4, forget_bias=0.0, gate_activation="hard_sigmoid"),
        ((2, 3),),
        "forget_bias, gate_activation",
        batch=2,
        steps=3,
        differs=_OURS,
    ),
    Row(
        "GRUCell",
        lambda nn: nn.GRUCell(3, 4),
        ((2, 3),),
        batch=2,
        steps=3,
    ),
    Row(
        "GRUCell",
        lambda nn: nn.GRUCell(
            3, 4, b_init=None, state_init=nn.init.Constant(0.5), activation="softplus"
        ),
        ((2, 3),),
        "softplus, no bias, initial state",
        batch=2,
        steps=3,
    ),
    Row(
        "GRUCell",
        lambda nn: nn.GRUCell(3, 4, reset_after=True),
        ((2, 3),),
        "reset_after",
        batch=2,
        steps=3,
        differs=_OURS,
    ),
    Row(
        "MGUCell",
        lambda nn: nn.MGUCell(3, 4),
        ((2, 3),),
        batch=2,
        steps=3,
    ),
    Row(
        "MGUCell",
        lambda nn: nn.MGUCell(
            3, 4, b_init=None, state_init=nn.init.Constant(0.5), activation="softplus"
        ),
        ((2, 3),),
        "softplus, no bias, initial state",
        batch=2,
        steps=3,
    ),
    Row(
        "MGUCell",
        lambda nn: nn.MGUCell(3, 4, reset_after=True, gate_keeps=True),
        ((2, 3),),
        "reset_after, gate_keeps",
        batch=2,
        steps=3,
        differs=_OURS,
    ),
    Row(
        "URLSTMCell",
        lambda nn: nn.URLSTMCell(3, 4),
        ((2, 3),),
        batch=2,
        steps=3,
    ),
    Row(
        "URLSTMCell",
        lambda nn: nn.URLSTMCell(3, 4, state_init=nn.init.Constant(0.5), activation="softplus"),
        ((2, 3),),
        "softplus, initial state",
        batch=2,
        steps=3,
    ),
    Row(
        "ConvLSTMCell",
        lambda nn: nn.ConvLSTMCell((4, 3, 2), 3, 2),
        ((2, 4, 3, 2),),
        batch=2,
        steps=3,
        differs=_NO_IMAGES,
    ),
    Row(
        "ConvLSTMCell",
        lambda nn: nn.ConvLSTMCell(
            (4, 2), 2, 3, b_init=None, padding_mode="CIRCULAR", forget_bias=0.0
        ),
        ((2, 4, 2),),
        "no bias, circular, forget_bias",
        batch=2,
        steps=3,
        differs=_NO_IMAGES,
    ),
    Row(
        "RNN",
        lambda nn: nn.RNN(nn.GRUCell(3, 4)),
        ((2, 5, 3),),
        differs=_BEYOND,
    ),
    Row(
        "RNN",
        lambda nn: nn.RNN(nn.LSTMCell(3, 4), reverse=True, keep_order=True, unroll=2),
        ((2, 5, 3),),
        "reverse, keep_order, unroll",
        differs=_BEYOND,
    ),
    Row(
        "Bidirectional",
        lambda nn: nn.Bidirectional(nn.RNN(nn.GRUCell(3, 4)), nn.RNN(nn.MGUCell(3, 2))),
        ((2, 5, 3),),
        differs=_BEYOND,
    ),
)
