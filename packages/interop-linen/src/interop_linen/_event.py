"""Rows of the event-based layers and of sparse connections: companions."""

from __future__ import annotations

from interop_core.companion_event_rows import Words, event_companions, sparse_companion
from interop_core.mapping import LayerMap

from . import companions

ROWS: tuple[LayerMap, ...] = (
    sparse_companion(companions, Words()),
    *event_companions(companions, Words()),
)
