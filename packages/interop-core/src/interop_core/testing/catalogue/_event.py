"""Rows of event-based and sparse connections."""

from __future__ import annotations

import numpy as np

from ._row import Row

_KERNELS = "the published kernels run on a GPU or with numba only"
_SPIKES = (np.array([[1, 0, 1, 0, 0], [0, 1, 1, 0, 1]], np.float32),)
_BOOLS = (np.array([[True, False, True, False, False], [False, True, True, False, True]]),)

ROWS: tuple[Row, ...] = (
    Row("EventLinear", lambda nn: nn.EventLinear(5, 3, 0.5), (_SPIKES[0][0],)),
    Row(
        "EventLinear",
        lambda nn: nn.EventLinear(5, 3, 0.5),
        _SPIKES,
        "batch",
        differs="the published layer adds up a batch where it has one weight",
    ),
    Row(
        "EventLinear",
        lambda nn: nn.EventLinear(5, 3, nn.init.Normal(), float_as_event=False),
        ((2, 5),),
        "numbers as they are",
    ),
    Row(
        "EventLinear",
        lambda nn: nn.EventLinear(5, 3, nn.init.Normal()),
        _BOOLS,
        "matrix",
        differs=_KERNELS,
    ),
    Row("FixedNumConn", lambda nn: nn.FixedNumConn(5, 6, 2, nn.init.Normal(), seed=0), ((2, 5),)),
    Row("FixedNumConn", lambda nn: nn.FixedNumConn(5, 6, 0.5, 0.5, seed=1), ((5,),), "one weight"),
    Row(
        "FixedNumConn",
        lambda nn: nn.FixedNumConn(
            5, 6, 3, nn.init.Normal(), afferent_ratio=0.5, allow_multi_conn=False, seed=0
        ),
        ((5,),),
        "afferent_ratio, no repetition",
        differs=_KERNELS,
    ),
    Row(
        "FixedNumConn",
        lambda nn: nn.FixedNumConn(5, 6, 2, nn.init.Normal(), efferent_target="pre", seed=0),
        ((2, 5),),
        "pre",
        differs="the published layer does not implement it",
    ),
    Row(
        "EventFixedNumConn",
        lambda nn: nn.EventFixedNumConn(5, 6, 2, nn.init.Normal(), seed=0),
        _SPIKES,
        differs=_KERNELS,
    ),
    Row(
        "EventFixedNumConn",
        lambda nn: nn.EventFixedNumConn(5, 6, 2, 0.5, efferent_target="pre", seed=0),
        _BOOLS,
        "pre, one weight",
        differs=_KERNELS,
    ),
    Row(
        "EventFixedProb",
        lambda nn: nn.EventFixedProb(5, 6, 0.5, nn.init.Normal(), seed=0),
        _SPIKES,
        differs=_KERNELS,
    ),
)
