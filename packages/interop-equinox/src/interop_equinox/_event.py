"""Rows of the event-based layers and of sparse connections: companions."""

from __future__ import annotations

from interop_core.companion_event_rows import Words, event_companions, sparse_companion
from interop_core.layout import axes
from interop_core.mapping import LayerMap

from . import companions
from ._linear import with_weight

_WORDS = Words(matrix=axes("i o -> o i"))

ROWS: tuple[LayerMap, ...] = (
    with_weight(sparse_companion(companions, _WORDS)),
    *map(with_weight, event_companions(companions, _WORDS)),
)
