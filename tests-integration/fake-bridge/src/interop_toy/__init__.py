"""Move models between the core's layers and Toy."""

from __future__ import annotations

from typing import Any

from interop_core import nn
from interop_core.bridge import Bridge
from interop_core.convert import execute, plan_from, plan_to

from ._framework import ToyBridge

__version__ = "0.1.0"
__all__ = ["BRIDGE", "from_toy", "to_toy"]

BRIDGE: Bridge = ToyBridge()
"""What the core knows the framework by; found through this package's entry point."""


def to_toy(model: nn.Module) -> Any:
    """Build the Toy model that computes what a core model computes, with its weights.

    Args:
        model: a layer of `interop_core.nn` or a `Sequential` of such.

    Raises:
        InteropError: every problem of the model in one error, before any array is touched.
    """
    return execute(plan_to(BRIDGE, model))


def from_toy(model: Any, *, sample_input: Any = None) -> Any:
    """Build the core model that computes what a Toy model computes, with its weights.

    Args:
        model: a Toy layer or stack.
        sample_input: one unbatched example or its shape, for layers that do not know their size.

    Raises:
        InteropError: every problem of the model in one error, before any array is touched.
    """
    return execute(plan_from(BRIDGE, model, sample_input=sample_input))
