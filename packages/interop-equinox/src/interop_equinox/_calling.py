"""How Equinox modules are run, taken apart and copied, for verification and for tests."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from interop_core.calling import Call, Outcome, Rebuild, copied, one_by_one

from ._batch_norm import BATCH_AXIS
from ._state import Stateful, keeps_state, split


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
        """An equal module with copies of all arrays."""
        if isinstance(node, Stateful):
            return Stateful(*jax.tree.map(copied, (node.layer, node.state)))
        return jax.tree.map(copied, node)


def _arguments(layer: Any, query: Any, *others: Any) -> tuple[Any, ...]:
    """The inputs; three for Equinox's attention, the last one again where there are fewer."""
    given = (query, *others)
    wanted = 3 if type(layer) is eqx.nn.MultiheadAttention else len(given)
    return given + given[-1:] * (wanted - len(given))


def _separate(node: Any) -> Any:
    """A node with the numbers of its state beside the layer, where it keeps any."""
    return node if isinstance(node, Stateful) or not keeps_state(node) else Stateful(*split(node))


def _call_stateful(node: Stateful, call: Call) -> Outcome:
    """Map a model with a state over the batch, as batch normalisations ask for."""
    layer: Any = eqx.nn.inference_mode(node.layer, value=not call.training)

    def step(carried: Any, *inputs: Any) -> tuple[Any, Any]:
        if call.first_in:
            inputs = tuple(jnp.moveaxis(x, -1, 0) if x.ndim > 1 else x for x in inputs)
        x, *others = inputs
        if isinstance(layer, eqx.nn.StatefulLayer):
            y, carried = layer(x, carried, *others)
        else:
            y = layer(x, *others)
        return (jnp.moveaxis(y, 0, -1) if call.first_out and y.ndim > 1 else y), carried

    inputs = (call.x, *call.others)
    for _ in range(call.leading):
        axes = (None, *(0 for _ in inputs))
        step = jax.vmap(step, in_axes=axes, out_axes=(0, None), axis_name=_batch_axis(layer))
    # A state is used up by the call that moves it on: this one gets a state of its own.
    y, state = step(jax.tree.map(lambda number: number, node.state), *inputs)
    return Outcome(y, {}, Stateful(node.layer, state))


def _batch_axis(model: Any) -> Any:
    """The mapped axis that a model's batch normalisations name."""

    def normalises(value: Any) -> bool:
        return type(value) is eqx.nn.BatchNorm

    for layer in filter(normalises, jax.tree.leaves(model, is_leaf=normalises)):
        name = layer.axis_name
        several = isinstance(name, tuple | list)
        return (BATCH_AXIS if BATCH_AXIS in name else name[0]) if several else name
    return BATCH_AXIS
