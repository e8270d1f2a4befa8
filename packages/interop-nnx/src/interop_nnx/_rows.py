"""All rows of the bridge, in the order of the documentation."""

from __future__ import annotations

from interop_core.function_rows import activation_rows, flatten_row, move_axis_row
from interop_core.mapping import LayerMap, Unconvertible

from . import _linear

ROWS: tuple[LayerMap, ...] = (
    *_linear.ROWS,
    *activation_rows(),
    flatten_row(),
    move_axis_row(),
)
UNCONVERTIBLE: tuple[Unconvertible, ...] = ()
UNCONVERTIBLE_CORE: tuple[Unconvertible, ...] = ()
