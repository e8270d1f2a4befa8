"""The row of dropout."""

from __future__ import annotations

import equinox as eqx

from interop_core import nn
from interop_core.mapping import COMPLEMENT, LayerMap, Only, Opt, Refused, case

DROPOUT = LayerMap(
    nn.Dropout,
    eqx.nn.Dropout,
    (
        Opt("prob", "p", COMPLEMENT),
        Only("core", "broadcast_dims", (), "Equinox draws for every entry on its own"),
    ),
    cases=(case(prob=0.3, input=(4, 3)), case(prob=1.0, input=(3,))),
    foreign_cases=(case(p=0.1, input=(4, 3)),),
    refusals=(Refused("core", case(prob=0.5, broadcast_dims=(0,)), "broadcast_dims"),),
    channels="any",
    note="The core's `prob` is the probability to keep. Exported in evaluation mode.",
)

ROWS: tuple[LayerMap, ...] = (DROPOUT,)
