"""The core of the converters: a layer library on plain JAX, and the engine that maps layers."""

from __future__ import annotations

__version__ = "0.1.0"
