"""How NNX modules are run, taken apart and copied, for verification and for tests."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from interop_core.calling import Call, Outcome, Rebuild, copied


class Calling:
    """What `Nnx` says of running its layers: batches as the core's, modes as flags on modules."""

    def call(self, node: Any, call: Call) -> Outcome:
        """Call a copy in the mode asked for; a cell takes its carry as ``h`` or ``(c, h)``."""
        if not isinstance(node, nnx.Module):
            return Outcome(node(call.x, *call.others), {}, node)
        copy = nnx.clone(node)
        if call.training:
            copy.train()
        else:
            copy.eval()
        if not call.carry:
            _begin(copy, jnp.shape(call.x)[: call.leading])
            return Outcome(copy(call.x, *call.others), {}, copy)
        if "c" not in call.carry:
            h, y = copy(call.carry["h"], call.x)
            return Outcome(y, {"h": h}, copy)
        (c, h), y = copy((call.carry["c"], call.carry["h"]), call.x)
        return Outcome(y, {"c": c, "h": h}, copy)

    def parameters(self, node: Any) -> tuple[Any, Rebuild]:
        """The floating-point arrays of every `nnx.Param`, each once."""
        if not isinstance(node, nnx.Module):
            return {}, lambda _: node
        parts: Any = nnx.split(node, _is_floating, ...)
        graph, floating, rest = parts
        return floating, lambda state: nnx.merge(graph, state, rest)

    def duplicate(self, node: Any) -> Any:
        """An equal module with copies of all arrays, those of masks and random streams included."""
        if not isinstance(node, nnx.Module):
            return copied(node)
        graph, state = nnx.split(node)
        return nnx.merge(graph, jax.tree.map(copied, state))


def _begin(model: nnx.Module, batch_shape: tuple[int, ...]) -> None:
    """Give the cells that hold their carry themselves a fresh one, where they have none."""
    for _, part in nnx.iter_modules(model):
        names: tuple[str, ...] = getattr(part, "carried", ())
        if hasattr(part, "reset_carry") and any(not hasattr(part, name) for name in names):
            part.reset_carry(batch_shape)


def _is_floating(_: Any, value: Any) -> bool:
    return isinstance(value, nnx.Param) and jnp.issubdtype(
        jnp.result_type(value.get_value()), jnp.inexact
    )
