"""A core layer as it is in use, with the states that `init_state` makes.

Imports `random` alone.
"""

from __future__ import annotations

from typing import Any

from . import random


def put_in_use(layer: Any, *batch: int) -> None:
    """Make the states of a layer for one example or a batch; no random stream is advanced."""
    with random.seed_context(0):
        layer.init_state(*batch)
