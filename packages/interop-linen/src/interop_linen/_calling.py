"""How Linen modules are run, taken apart and copied, for verification and for tests."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from interop_core.calling import Call, Outcome, Rebuild, copied
from interop_core.options import parameters

from ._tree import LinenNode, assemble, grow

PARAMS = "params"
STATISTICS = "batch_stats"
CARRY = "carry"
"""Where the recurrent companions of a stack keep their carry; a fresh one where there is none."""

MODES = ("deterministic", "use_running_average")
"""Flags of Linen modules that are on while evaluating."""


class Calling:
    """What `Linen` says of running its layers: modes are fields of modules."""

    def call(self, node: LinenNode, call: Call) -> Outcome:
        """Apply the module in the mode asked for; a cell takes its carry: ``h`` or ``(c, h)``."""
        module, variables = assemble(_in_mode(node, call.training, {}))
        if not isinstance(module, linen.Module):
            return Outcome(module(call.x, *call.others), {}, node)
        if call.carry and "c" not in call.carry:
            h, y = module.apply(variables, call.carry["h"], call.x)
            return Outcome(y, {"h": h}, node)
        if call.carry:
            (c, h), y = module.apply(variables, (call.carry["c"], call.carry["h"]), call.x)
            return Outcome(y, {"c": c, "h": h}, node)
        y, moved = module.apply(
            variables,
            call.x,
            *call.others,
            **by_keyword(module, training=call.training),
            mutable=[CARRY, STATISTICS] if call.training else [CARRY],
            rngs={"dropout": jax.random.key(0)},
        )
        return Outcome(y, {}, grow(module, {**variables, **moved}))

    def parameters(self, node: LinenNode) -> tuple[Any, Rebuild]:
        """The floating-point arrays of the collection ``"params"``."""
        module, variables = assemble(node)
        held = variables.get(PARAMS, {})
        arrays, structure = jax.tree.flatten(held)
        floating = {
            i: a for i, a in enumerate(arrays) if jnp.issubdtype(jnp.result_type(a), jnp.inexact)
        }

        def rebuild(changed: Any) -> LinenNode:
            mixed = [changed.get(i, a) for i, a in enumerate(arrays)]
            params = jax.tree.unflatten(structure, mixed)
            if not isinstance(module, linen.Module):
                return LinenNode(module, variables)
            return grow(module, {**variables, PARAMS: params} if held else variables)

        return floating, rebuild

    def duplicate(self, node: LinenNode) -> LinenNode:
        """A layer with copies of its variables, and of the arrays among its module's fields."""
        module = copied(node.module)  # a function may have arrays for options
        kind: Any = type(module)
        known = parameters(kind) if isinstance(module, linen.Module) else {}
        fields = {
            name: copied(value)
            for name, value in (vars(module).items() if known else ())
            if name in known and isinstance(value, jax.Array | np.ndarray)
        }
        if fields:
            module = module.clone(parent=None, **fields)
        return LinenNode(module, jax.tree.map(copied, node.variables), node.place)


def by_keyword(module: linen.Module, *, training: bool) -> dict[str, Any]:
    """What says of the mode in every call of a module, where no field does."""
    return {"update_stats": training} if type(module) is linen.SpectralNorm else {}


def in_mode(module: linen.Module, *, training: bool) -> linen.Module:
    """A copy of a module with its own flags set; modules below it are left alone."""
    kind: Any = type(module)
    flags: dict[str, Any] = {name: not training for name in MODES if name in parameters(kind)}
    return module.clone(**flags)


def _in_mode(node: LinenNode, training: bool, known: dict[int, LinenNode]) -> LinenNode:
    """A model with the flags of all layers of its plain stacks set; what stood twice stays one."""
    found = known.get(id(node))
    if found is not None:
        return found
    module, children = node.module, None
    if node.children is not None:
        children = [_in_mode(child, training, known) for child in node.children]
        elements = [child.module for child in children] or [jax.nn.identity]
        module = linen.Sequential(elements, parent=None)
    elif isinstance(module, linen.Module):
        module = in_mode(module, training=training).clone(parent=None, name=None)
    made = LinenNode(module, {} if children is not None else node.variables, (), children)
    known[id(node)] = made
    return made
