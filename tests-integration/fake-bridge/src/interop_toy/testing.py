"""How tests make and call Toy layers: the harness that the generated checks run on."""

from __future__ import annotations

from typing import Any

from interop_core.functions import with_keywords
from interop_core.mapping import Config
from interop_core.testing import Harness

from . import BRIDGE, from_toy, to_toy


class ToyHarness(Harness):
    """Layers are called as the core's are: with a batch, and without a mode."""

    def construct(self, target: Any, options: Config, x: Any) -> Any:
        """Run the constructor; a function stands for itself."""
        if not isinstance(target, type):
            return with_keywords(target, options)
        return target(**options, seed=0)


HARNESS = ToyHarness(BRIDGE, to_toy, from_toy)
