"""How tests make and call Toy layers: the harness that the generated checks run on."""

from __future__ import annotations

from typing import Any

from interop_core.functions import with_keywords
from interop_core.mapping import Config
from interop_core.testing import Harness

from . import BRIDGE, from_toy, to_toy


class ToyBridgeHarness(Harness):
    """Toy layers take batches as the core does, and have no mode to train in."""

    def construct(self, target: Any, options: Config) -> Any:
        """Run the constructor."""
        if not isinstance(target, type):
            return with_keywords(target, options)
        return target(**options)


HARNESS = ToyBridgeHarness(BRIDGE, to_toy, from_toy)
