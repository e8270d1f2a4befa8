"""How the generated checks make and call layers: `Harness` for a framework, functions for the core.

Imports jax, numpy and the engine; no test library.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from .. import environ, nn
from ..bridge import Bridge
from ..convert import execute, plan_from, plan_to
from ..graph import assign, leaves
from ..mapping import Config


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer, in the core's convention.

    Attributes:
        x: the input.
        leading: how many batch axes stand before the example.
        carry: what a recurrent layer's counterpart takes as arguments, by the core's names.
        training: whether the layer runs as in training, with what that updates.
        first_in: whether the framework's layer takes the example with the channels first.
        first_out: whether it gives it so.
    """

    x: Any
    leading: int = 0
    carry: Mapping[str, Any] = field(default_factory=dict)
    training: bool = False
    first_in: bool = False
    first_out: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave, in the core's convention.

    Attributes:
        y: the output.
        carry: the carry after the call, by the core's names.
        model: the model after the call, with its running statistics moved on while training.
    """

    y: Any
    carry: Mapping[str, Any] = field(default_factory=dict)
    model: Any = None


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

    def call(self, model: Any, call: Call) -> Outcome:
        """Call a model of one layer; by default as the core is called, with no training of it.

        Models that take one example at a time are called through `one_by_one`.
        """
        return Outcome(model(call.x), {}, model)

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


def one_by_one(
    function: Callable[[Any, Any], tuple[Any, Any]], call: Call
) -> tuple[Any, Mapping[str, Any]]:
    """Call what takes one example, perhaps channels first, on a batch in the core's convention.

    Args:
        function: ``(example, carry) -> (output, carry)``.
        call: the call.

    Returns:
        The output and the carry, batched.

    Example:
        >>> y, _ = one_by_one(lambda x, c: (x[0], c), Call(jnp.ones((2, 4, 3)), 1, first_in=True))
        >>> y.shape
        (2, 4)
    """

    def on_example(x: Any, carry: Any) -> tuple[Any, Any]:
        y, carry = function(jnp.moveaxis(x, -1, 0) if call.first_in else x, carry)
        return (jnp.moveaxis(y, 0, -1) if call.first_out else y), carry

    mapped: Any = on_example
    for _ in range(call.leading):
        mapped = jax.vmap(mapped)
    y, carry = mapped(call.x, dict(call.carry))
    return y, carry


def call_core(model: nn.Module, call: Call) -> Outcome:
    """Call a core layer; the layer itself is not changed."""
    copy = jax.tree.map(lambda array: array, model)
    if call.carry:
        copy.init_state(*call.x.shape[: call.leading])
        assign(copy, call.carry)
    with environ.context(fit=call.training):
        y = copy(call.x)
    held = leaves(copy)
    return Outcome(y, {name: held[name] for name in call.carry}, copy)
