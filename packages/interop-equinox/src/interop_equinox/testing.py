"""How tests make and call Equinox layers: the harness that the generated checks run on.

For `interop_core.testing`, and for tests of one's own rows on top of this bridge.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax

from interop_core.functions import with_keywords
from interop_core.mapping import Config
from interop_core.options import parameters
from interop_core.testing import Call, Harness, Outcome, one_by_one

from . import BRIDGE, from_equinox, to_equinox


class EquinoxHarness(Harness):
    """Equinox layers take one example, and a recurrent cell its carry as ``h`` or ``(h, c)``."""

    def construct(self, target: Any, options: Config, x: Any) -> Any:
        """Run the constructor, with a key of its own."""
        if not isinstance(target, type):
            return eqx.nn.Lambda(with_keywords(target, options))
        key = {"key": jax.random.key(0)} if "key" in parameters(target) else {}
        return target(**options, **key)

    def call(self, model: Any, call: Call) -> Outcome:
        """Map the layer, in the mode asked for, over the batch."""
        layer = eqx.nn.inference_mode(model, value=not call.training)

        def step(x: Any, carry: Any) -> tuple[Any, Any]:
            if not carry:
                return layer(x), carry
            if "c" not in carry:
                h = layer(x, carry["h"])
                return h, {"h": h}
            h, c = layer(x, (carry["h"], carry["c"]))
            return h, {"h": h, "c": c}

        y, carry = one_by_one(step, call)
        return Outcome(y, carry, model)


HARNESS = EquinoxHarness(BRIDGE, to_equinox, from_equinox)
