"""How Equinox modules are run, taken apart and copied, for verification and for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from interop_core.calling import Call, Outcome, Rebuild, copied, one_by_one, to_back, to_front

from ._batch_norm import BATCH_AXIS
from ._state import Stateful, keeps_state, split
from .companions._carry import carry_axes, mapped_carries
from .companions._constant import Constant


class Calling:
    """What `Equinox` says of running its layers: one example at a time, modes as flags."""

    def call(self, node: Any, call: Call) -> Outcome:
        """Map the layer over the batch; a cell takes its carry as ``h`` or ``(h, c)``."""
        if isinstance(node, Stateful) or keeps_state(node):
            return _call_stateful(_separate(node), call)
        layer: Any = eqx.nn.inference_mode(node, value=not call.training)

        def step(x: Any, carry: Any, *others: Any) -> tuple[Any, Any]:
            if not carry:
                return layer(*_arguments(layer, x, *others)), carry
            if "c" not in carry:
                h = layer(x, carry["h"])
                return h, {"h": h}
            h, c = layer(x, (carry["h"], carry["c"]))
            return h, {"h": h, "c": c}

        y, carry = one_by_one(step, call)
        return Outcome(y, carry, node)

    def parameters(self, node: Any) -> tuple[Any, Rebuild]:
        """The floating-point arrays."""
        node = _separate(node)
        state = node.state if isinstance(node, Stateful) else None
        layer = node if state is None else node.layer
        floating, rest = eqx.partition(layer, eqx.is_inexact_array)

        def rebuild(arrays: Any) -> Any:
            layer = eqx.combine(arrays, rest)
            return layer if state is None else Stateful(layer, state)

        return floating, rebuild

    def duplicate(self, node: Any) -> Any:
        """An equal module with copies of all arrays, those of masks included."""
        if isinstance(node, Stateful):
            return Stateful(self.duplicate(node.layer), jax.tree.map(copied, node.state))
        copy = jax.tree.map(copied, node)
        _own_constants(copy)
        return copy


def _own_constants(layer: Any) -> None:
    """Give a fresh layer masks of its own: they are part of its structure, which copies share."""
    for name, value in vars(layer).items():
        if isinstance(value, Constant):
            object.__setattr__(layer, name, Constant(copied(value.value)))
        elif isinstance(value, eqx.Module):
            _own_constants(value)


def _arguments(layer: Any, query: Any, *others: Any) -> tuple[Any, ...]:
    """The inputs; three for Equinox's attention, the last one again where there are fewer."""
    given = (query, *others)
    wanted = 3 if type(layer) is eqx.nn.MultiheadAttention else len(given)
    return given + given[-1:] * (wanted - len(given))


def _separate(node: Any) -> Any:
    """A node with the numbers of its state beside the layer, where it keeps any."""
    return node if isinstance(node, Stateful) or not keeps_state(node) else Stateful(*split(node))


def _call_stateful(node: Stateful, call: Call) -> Outcome:
    """Map a model with a state over the batch: what it carries, each example has for itself."""
    if call.training and not call.leading:  # statistics are taken over a mapped axis
        one = replace(call, x=call.x[None], leading=1, others=tuple(x[None] for x in call.others))
        return _only(_call_stateful(node, one))
    layer: Any = eqx.nn.inference_mode(node.layer, value=not call.training)

    def step(carried: Any, *inputs: Any) -> tuple[Any, Any]:
        if call.first_in:
            inputs = tuple(map(to_front, inputs))
        x, *others = inputs
        if isinstance(layer, eqx.nn.StatefulLayer):
            y, carried = layer(x, carried, *others)
        else:
            y = layer(x, *others)
        if call.first_out:
            y = jax.tree.map(to_back, y)
        return y, carried

    inputs = (call.x, *call.others)
    carried = carry_axes(layer, node.state)
    for _ in range(call.leading):
        axes = (carried, *(0 for _ in inputs))
        step = jax.vmap(step, in_axes=axes, out_axes=(0, carried), axis_name=_batch_axis(layer))
    y, state = step(_begun(layer, node.state, call), *inputs)
    after = {name: state.get(getattr(layer, name)) for name in call.carry}
    if call.first_out:
        after = {n: jnp.moveaxis(a, -len(layer.carry_shape), -1) for n, a in after.items()}
    return Outcome(y, after, Stateful(node.layer, state))


def _only(outcome: Outcome) -> Outcome:
    """What a batch of one example gave, for this example."""
    layer, state = outcome.model.layer, outcome.model.state
    state = mapped_carries(layer, state, lambda _, __, array: array[0], lambda array: array)
    carry = {name: array[0] for name, array in outcome.carry.items()}
    return Outcome(outcome.y[0], carry, Stateful(layer, state))


def _begun(layer: Any, state: eqx.nn.State, call: Call) -> eqx.nn.State:
    """A state for one call, which uses it up: what one example carries, every example begins with.

    Args:
        layer: the layer.
        state: its state, which stays as it is.
        call: the call; its carry stands in place of the layer's own, where it has one.
    """
    batch = np.shape(call.x)[: call.leading]

    def own(layer: Any, name: str, array: Any) -> Any:
        if name in call.carry:
            array = call.carry[name]
            if call.first_in:
                array = jnp.moveaxis(array, -1, -len(layer.carry_shape))
        alone = array.shape == layer.carry_shape
        return jnp.broadcast_to(array, (*batch, *array.shape)) if alone else array

    begun: eqx.nn.State = mapped_carries(layer, state, own, lambda array: array)
    return begun


def _batch_axis(model: Any) -> Any:
    """The mapped axis that a model's batch normalisations name."""

    def normalises(value: Any) -> bool:
        return type(value) is eqx.nn.BatchNorm

    for layer in filter(normalises, jax.tree.leaves(model, is_leaf=normalises)):
        name = layer.axis_name
        several = isinstance(name, tuple | list)
        return (BATCH_AXIS if BATCH_AXIS in name else name[0]) if several else name
    return BATCH_AXIS
