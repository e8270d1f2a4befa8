"""Move models between brainstate.nn, Flax NNX, Flax Linen and Equinox: one place to import from."""

from __future__ import annotations

__version__ = "0.1.0"
