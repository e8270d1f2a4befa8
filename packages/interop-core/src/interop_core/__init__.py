"""Layers and exact, invertible conversion rules for JAX models: the part that every bridge shares."""

from __future__ import annotations

__version__ = "0.1.0"
