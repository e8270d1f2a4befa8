"""How the core's layers are run, taken apart and copied: what `core_side` says of running them.

Imports `calling`, `graph` and `nn`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import environ, nn, random
from ._in_use import put_in_use
from .calling import Call, Outcome, Rebuild, copied
from .graph import assign, leaves, named_states, nodes, spread
from .state import HiddenState, ParamState


class CoreCalls:
    """The methods of `calling.Running` for core layers."""

    def call(self, node: Any, call: Call) -> Outcome:
        """Call a copy; a cell that holds no hidden state gets a fresh one."""
        copy = _alike(node)
        if call.carry:
            put_in_use(copy, *np.shape(call.x)[: call.leading])
            assign(copy, call.carry)
        elif isinstance(copy, nn.Module) and _waits_for_states(copy):
            with random.seed_context(0):  # a mask may be drawn, of nobody's stream
                copy.init_all_states(*np.shape(call.x)[: call.leading])
        with environ.context(fit=call.training):
            y = copy(call.x, *call.others)
        held = leaves(copy) if call.carry else {}
        return Outcome(y, {name: held[name] for name in call.carry}, copy)

    def parameters(self, node: Any) -> tuple[dict[str, Any], Rebuild]:
        """The floating-point arrays of the parameters by name."""
        taken: dict[str, Any] = {}
        for name, state in named_states(node):
            if isinstance(state, ParamState):
                spread(state.value, name, taken)
        floating = {n: a for n, a in taken.items() if jnp.issubdtype(a.dtype, jnp.inexact)}

        def rebuild(arrays: Any) -> Any:
            copy = _alike(node)
            assign(copy, arrays)
            return copy

        return floating, rebuild

    def duplicate(self, node: Any) -> Any:
        """The module with other states, and with copies of the arrays that are configuration."""
        if not isinstance(node, nn.Module):
            return node
        copy: Any = jax.tree.map(copied, node)
        for part in nodes(copy).values():
            for name, value in vars(part).items():
                if isinstance(value, jax.Array | np.ndarray):
                    vars(part)[name] = copied(value)
        return copy


def _alike(node: Any) -> Any:
    """A module of its own that holds the same arrays."""
    return jax.tree.map(lambda array: array, node) if isinstance(node, nn.Module) else node


def _waits_for_states(module: nn.Module) -> bool:
    """Whether some layer makes hidden states before its first call, and none are there yet."""
    if module.states(HiddenState):
        return False
    plain = nn.Module.init_state
    return any(
        getattr(type(part), "init_state", plain) is not plain for part in nodes(module).values()
    )
