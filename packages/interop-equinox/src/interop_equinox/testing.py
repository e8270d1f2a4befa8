"""How tests make and call Equinox layers: the harness that the generated checks run on.

For `interop_core.testing`, and for tests of one's own rows on top of this bridge.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from interop_core import nn
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
        model, state = eqx.nn.make_with_state(target)(**options, **key)
        return (model, state) if jax.tree.leaves(state) else model

    def export(self, model: nn.Module, sample_input: Any = None) -> Any:
        """A core model as an Equinox one, with its state where it has any."""
        converted, state = to_equinox(model, sample_input=sample_input, stateful=True)
        return (converted, state) if jax.tree.leaves(state) else converted

    def call(self, model: Any, call: Call) -> Outcome:
        """Map the layer, in the mode asked for, over the batch."""
        if isinstance(model, tuple):
            return _call_stateful(*model, call)
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


def _call_stateful(model: Any, state: eqx.nn.State, call: Call) -> Outcome:
    layer: Any = eqx.nn.inference_mode(model, value=not call.training)

    def step(x: Any, state: eqx.nn.State) -> tuple[Any, Any]:
        y, state = layer(jnp.moveaxis(x, -1, 0) if call.first_in else x, state)
        return (jnp.moveaxis(y, 0, -1) if call.first_out else y), state

    for _ in range(call.leading):
        step = jax.vmap(step, (0, None), (0, None), axis_name=model.axis_name)
    # A state is used up by the call that moves it on: this one gets a state of its own.
    y, state = step(call.x, jax.tree.map(lambda number: number, state))
    return Outcome(y, {}, (model, state))


HARNESS = EquinoxHarness(BRIDGE, to_equinox, from_equinox)
