"""How tests make and call Linen layers: the harness that the generated checks run on.

For `interop_core.testing`, and for tests of one's own rows on top of this bridge.
"""

from __future__ import annotations

from typing import Any

import jax
from flax import linen

from interop_core import nn
from interop_core.functions import with_keywords
from interop_core.mapping import Config
from interop_core.options import parameters
from interop_core.testing import Call, Harness, Outcome

from . import BRIDGE, from_linen, to_linen
from ._calling import by_keyword

MODES = ("deterministic", "use_running_average")
"""Flags of Linen modules that are on while evaluating."""

STATES = ("carry",)
"""Collections of what companions hold from one call to the next."""


def in_mode(module: linen.Module, *, training: bool) -> linen.Module:
    """A copy of a module with its own flags set; modules below it are left alone."""
    kind: Any = type(module)
    flags: dict[str, Any] = {name: not training for name in MODES if name in parameters(kind)}
    return module.clone(**flags)


class LinenHarness(Harness):
    """Linen layers take batches as the core does; a model is a pair of module and variables."""

    def construct(self, target: Any, options: Config, x: Any) -> Any:
        """Run the constructor, and initialise the module on the input."""
        if not isinstance(target, type):
            return with_keywords(target, options), {}
        module = in_mode(target(**options), training=False)
        if x is None:
            return module, {}
        arguments: tuple[Any, ...] = (x,)
        if isinstance(module, linen.RNNCellBase):
            arguments = (module.initialize_carry(jax.random.key(1), x.shape), x)
        flags = by_keyword(module, training=False)
        # Arrays are the same whatever mapped axis a layer computes over, and there is none here.
        known: Any = {"axis_name": None} if getattr(module, "axis_name", None) else {}
        variables = dict(module.clone(**known).init(jax.random.key(0), *arguments, **flags))
        for collection in STATES:  # a layer that was never called holds none
            variables.pop(collection, None)
        return module, variables

    def argument(self, target: Any, options: Config, x: Any) -> Any:
        """The module alone: the one that holds it has its variables."""
        return target(**options)

    def call(self, model: Any, call: Call) -> Outcome:
        """Apply the module in the mode asked for; a cell takes its carry: ``h`` or ``(c, h)``."""
        module, variables = model
        if not isinstance(module, linen.Module):
            return Outcome(module(call.x), {}, model)
        module = in_mode(module, training=call.training)
        if call.carry and not isinstance(module, linen.RNNCellBase):
            held = {**variables, "carry": dict(call.carry)}
            y, moved = module.apply(held, call.x, mutable=["carry"])
            return Outcome(y, dict(moved["carry"]), (module, {**variables, **moved}))
        if call.carry and "c" not in call.carry:
            h, y = module.apply(variables, call.carry["h"], call.x)
            return Outcome(y, {"h": h}, model)
        if call.carry:
            (c, h), y = module.apply(variables, (call.carry["c"], call.carry["h"]), call.x)
            return Outcome(y, {"c": c, "h": h}, model)
        flags = by_keyword(module, training=call.training)
        if not call.training:
            return Outcome(module.apply(variables, call.x, **flags), {}, model)
        rngs = {"dropout": jax.random.key(0)}
        y, moved = module.apply(variables, call.x, mutable=["batch_stats"], rngs=rngs, **flags)
        return Outcome(y, {}, (module, {**variables, **moved}))

    def export(self, model: nn.Module, sample_input: Any = None) -> Any:
        """A core model as a Linen one; a function bare, without the stack that calls it."""
        module, variables = to_linen(model)
        if type(module) is linen.Sequential and not isinstance(model, nn.Sequential):
            return module.layers[0], {}
        return module, variables


HARNESS = LinenHarness(BRIDGE, to_linen, from_linen)
