"""Rows of the padding layers: companions, for `jax.numpy.pad` would count batch axes."""

from __future__ import annotations

from interop_core.companion_padding_rows import padding_companions
from interop_core.mapping import LayerMap

from . import companions

ROWS: tuple[LayerMap, ...] = padding_companions(companions)
