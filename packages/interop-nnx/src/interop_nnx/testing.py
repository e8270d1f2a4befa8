"""How tests make and call NNX layers: the harness that the generated checks run on.

For `interop_core.testing`, and for tests of one's own rows on top of this bridge.
"""

from __future__ import annotations

from typing import Any

from flax import nnx

from interop_core.functions import with_keywords
from interop_core.mapping import Config
from interop_core.options import parameters
from interop_core.testing import Call, Harness, Outcome

from . import BRIDGE, from_nnx, to_nnx
from .companions import Carrying


class NnxHarness(Harness):
    """NNX layers take batches as the core does; a flag on the module says whether it trains."""

    def construct(self, target: Any, options: Config, x: Any) -> Any:
        """Run the constructor, with random streams of its own."""
        if not isinstance(target, type):
            return with_keywords(target, options)
        known = parameters(target)
        # Where a stream is not needed it would be one more array of the layer.
        rngs = {"rngs": known["rngs"] is not True and nnx.Rngs(0)} if "rngs" in known else {}
        return target(**options, **rngs)

    def call(self, model: Any, call: Call) -> Outcome:
        """Call a copy in the mode asked for; a cell takes its carry as ``h`` or ``(c, h)``."""
        if not isinstance(model, nnx.Module):
            return Outcome(model(call.x), {}, model)
        copy = nnx.clone(model)
        if call.training:
            copy.train()
        else:
            copy.eval()
        if not call.carry:
            return Outcome(copy(call.x), {}, copy)
        if isinstance(copy, Carrying):
            for name, array in call.carry.items():
                copy.carry_on(name, array)
            y = copy(call.x)
            return Outcome(y, {n: getattr(copy, n).get_value() for n in call.carry}, copy)
        if "c" not in call.carry:
            h, y = copy(call.carry["h"], call.x)
            return Outcome(y, {"h": h}, copy)
        (c, h), y = copy((call.carry["c"], call.carry["h"]), call.x)
        return Outcome(y, {"c": c, "h": h}, copy)


HARNESS = NnxHarness(BRIDGE, to_nnx, from_nnx)
