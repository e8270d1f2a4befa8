"""Rows of event-based and sparse connections."""

from __future__ import annotations

from ._row import Row

ROWS: tuple[Row, ...] = ()
