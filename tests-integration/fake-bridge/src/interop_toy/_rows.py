"""All rows of the bridge, in the order of the documentation."""

from __future__ import annotations

from interop_core.function_rows import activation_rows
from interop_core.mapping import LayerMap, Unconvertible

from . import _linear

ROWS: tuple[LayerMap, ...] = (*_linear.ROWS, *activation_rows())
UNCONVERTIBLE: tuple[Unconvertible, ...] = ()
UNCONVERTIBLE_CORE: tuple[Unconvertible, ...] = ()
