"""The layer library: one flat public namespace over private files by family."""

from __future__ import annotations

from . import init
from ._collective import call_all_fns, call_order, init_all_states, reset_all_states
from ._module import ElementWiseBlock, Module
from ._sequential import Sequential

__all__ = [
    # base
    "ElementWiseBlock",
    "Module",
    "Sequential",
    "init",
    # collective
    "call_all_fns",
    "call_order",
    "init_all_states",
    "reset_all_states",
]
