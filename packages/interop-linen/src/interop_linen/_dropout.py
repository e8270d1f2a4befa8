"""Rows of dropout."""

from __future__ import annotations

from flax import linen

from interop_core import nn
from interop_core.companion_dropout_rows import dropout_companions
from interop_core.mapping import COMPLEMENT, LayerMap, Opt, case, iso

from . import companions

DIMENSIONS = iso(lambda dims: dims, tuple, "=")

DROPOUT = LayerMap(
    nn.Dropout,
    linen.Dropout,
    (
        Opt("prob", "rate", COMPLEMENT),
        Opt("broadcast_dims", "broadcast_dims", DIMENSIONS),
    ),
    cases=(
        case(prob=0.7, input=(6, 4)),
        case(prob=1.0, input=(4,)),
        case(prob=0.5, broadcast_dims=(1,), input=(6, 4)),
    ),
    foreign_cases=(
        case(rate=0.1, broadcast_dims=[1], input=(6, 4)),
        case(rate=0.0, input=(6, 4)),
    ),
    note="The core counts the share that is kept. Each side draws from its own random stream.",
)

ROWS: tuple[LayerMap, ...] = (
    DROPOUT,
    *dropout_companions(companions, state="carry:{}".format),
)
