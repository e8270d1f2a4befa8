"""Convert models between brainstate.nn layers and Flax Linen."""

from __future__ import annotations

__version__ = "0.1.0"
