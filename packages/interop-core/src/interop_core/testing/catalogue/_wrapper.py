"""Rows of containers and wrappers."""

from __future__ import annotations

from ._row import Row

ROWS: tuple[Row, ...] = ()
