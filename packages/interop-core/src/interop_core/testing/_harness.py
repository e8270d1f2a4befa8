"""How the generated checks make and call layers: `Harness` for a framework, functions for the core.

Imports jax, numpy and the engine; no test library.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .. import nn
from ..bridge import Bridge
from ..calling import Call, Outcome, one_by_one
from ..convert import execute, plan_from, plan_to
from ..core_side import CORE
from ..holding import make
from ..mapping import Config

__all__ = ["Call", "Harness", "Outcome", "call_core", "one_by_one"]


class Harness:
    """What the generated checks ask of a framework; a bridge's tests derive from it.

    A *model* is what the bridge's users hold: for Linen a pair of module and variables.

    Args:
        bridge: the bridge under test.
        to_foreign: the package's own function from the core; the engine's by default. Where it
            takes a ``sample_input``, it gets the one of the case.
        from_foreign: the package's own function into the core, with ``sample_input``.

    Example:
        >>> class MyHarness(Harness):
        ...     def construct(self, target, options, x):
        ...         return target(**options, seed=0) if isinstance(target, type) else target
    """

    def __init__(
        self,
        bridge: Bridge,
        to_foreign: Callable[..., Any] | None = None,
        from_foreign: Callable[..., Any] | None = None,
    ) -> None:
        self.bridge = bridge
        self._to_foreign = to_foreign
        self._from_foreign = from_foreign

    def construct(self, target: Any, options: Config, x: Any) -> Any:
        """Make a model of one layer with the framework's own constructor.

        Args:
            target: the class, or the function, that a row names.
            options: its arguments, without random keys.
            x: a batch in the core's convention, for frameworks whose arrays take their shapes
                from it; ``None`` where the case does not say.
        """
        raise NotImplementedError

    def argument(self, target: Any, options: Config, x: Any) -> Any:
        """Make a layer as the constructor of one that holds it takes it; a model, by default."""
        return self.construct(target, options, x)

    def make(self, target: Any, options: Config, x: Any) -> Any:
        """Make a model of one layer, and first those that it holds."""
        return self.construct(target, self.given(options, x), x)

    def given(self, options: Config, x: Any) -> dict[str, Any]:
        """The options of a case, with the layers among them made."""
        made: dict[str, Any] = make(options, lambda inner, its: self.argument(inner, its, x))
        return made

    def call(self, model: Any, call: Call) -> Outcome:
        """Call a model of one layer as the bridge does; without that, as the core is called."""
        bridge: Any = self.bridge
        if not hasattr(bridge, "call"):
            return Outcome(model(call.x), {}, model)
        outcome: Outcome = bridge.call(bridge.adopt(model), call)
        return replace(outcome, model=bridge.lend(outcome.model))

    def stands_positive(self, name: str) -> bool:
        """Whether an array has to hold positive numbers, as a variance has."""
        return "var" in name

    @property
    def exports_by_shape(self) -> bool:
        """Whether the way out of the core takes a ``sample_input``."""
        function = self._to_foreign
        return function is None or "sample_input" in inspect.signature(function).parameters

    def export(self, model: nn.Module, sample_input: Any = None) -> Any:
        """A core model as one of the framework."""
        if self._to_foreign is None:
            return self.bridge.lend(execute(plan_to(self.bridge, model, sample_input=sample_input)))
        if self.exports_by_shape:
            return self._to_foreign(model, sample_input=sample_input)
        return self._to_foreign(model)

    def import_(self, model: Any, sample_input: Any = None) -> Any:
        """A framework's model as one of the core."""
        if self._from_foreign is None:
            node = self.bridge.adopt(model)
            return execute(plan_from(self.bridge, node, sample_input=sample_input))
        takes_pair = isinstance(model, tuple)
        arguments = model if takes_pair else (model,)
        return self._from_foreign(*arguments, sample_input=sample_input)

    def read(self, model: Any) -> Mapping[str, Any]:
        """A model's arrays by name."""
        return self.bridge.leaves(self.bridge.adopt(model))

    def config(self, model: Any) -> dict[str, Any]:
        """A model's options."""
        return self.bridge.config(self.bridge.adopt(model))


def call_core(model: nn.Module, call: Call) -> Outcome:
    """Call a core layer; the layer itself is not changed."""
    return CORE.call(model, call)
