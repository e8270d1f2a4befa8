"""Move models between the core's layers and Flax NNX."""

from __future__ import annotations

from typing import Any

from interop_core import nn
from interop_core.bridge import Bridge
from interop_core.convert import execute, plan_from, plan_to

from ._framework import Nnx

__version__ = "0.1.0"
__all__ = ["BRIDGE", "from_nnx", "to_nnx"]

BRIDGE: Bridge = Nnx()


def to_nnx(model: nn.Module, *, rngs: Any = None) -> Any:
    return execute(plan_to(BRIDGE, model))


def from_nnx(model: Any, *, sample_input: Any = None) -> Any:
    return execute(plan_from(BRIDGE, model, sample_input=sample_input))
