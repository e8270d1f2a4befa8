"""The models that scripts/bench converts, in every framework, and the conversions it measures."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
from flax import nnx

FRAMEWORKS = ("nnx", "linen", "equinox")
OPERATIONS = tuple(f"{way}_{name}" for name in FRAMEWORKS for way in ("to", "from"))
SUBJECTS = {"ours": "brainstate_interop", "peer": "brainstate"}
"""Whose conversions are measured, and the module that has their layers as ``nn``."""


@dataclass(frozen=True)
class Size:
    """A stack of equal layers.

    Attributes:
        text: what it is, for people.
        layers: how many dense layers.
        features: how many features each takes and gives.
        normalised: whether a LayerNorm follows each.
    """

    text: str
    layers: int
    features: int
    normalised: bool

    def stack(
        self,
        sequential: Callable[[Sequence[Any]], Any],
        dense: Callable[[], Any],
        norm: Callable[[], Any],
    ) -> Any:
        """Build it out of a framework's layers."""
        layers = []
        for _ in range(self.layers):
            layers += [dense(), norm()] if self.normalised else [dense()]
        return sequential(layers)

    @property
    def bytes(self) -> int:
        """Of all its weights."""
        each = self.features * self.features + self.features * (3 if self.normalised else 1)
        return 4 * self.layers * each


SIZES = {
    "a": Size("200 x (Linear(64, 64) + LayerNorm(64))", 200, 64, True),
    "b": Size("8 x Linear(4096, 4096), 537 MB", 8, 4096, False),
}


def core_model(subject: str, size: Size) -> Any:
    """The stack in our core or in the published brainstate, whose layers are called alike."""
    nn = importlib.import_module(SUBJECTS[subject]).nn
    n = size.features
    return size.stack(
        lambda layers: nn.Sequential(*layers), lambda: nn.Linear(n, n), lambda: nn.LayerNorm(n)
    )


def copy_weights(source: Any, target: Any) -> None:
    """Put one core model's state values into another, which has the same states by design."""
    values, states = source.states(), target.states()
    if set(values) != set(states):
        raise ValueError("the two models hold other states")
    for path, state in states.items():
        state.value = values[path].value


def foreign_model(framework: str, size: Size) -> Any:
    """The stack as a user of that framework makes it, with random weights; for Linen the pair."""
    n = size.features
    if framework == "nnx":
        rngs = nnx.Rngs(0)
        return size.stack(
            lambda layers: nnx.Sequential(*layers),
            lambda: nnx.Linear(n, n, rngs=rngs),
            lambda: nnx.LayerNorm(n, rngs=rngs),
        )
    if framework == "linen":
        module = size.stack(linen.Sequential, lambda: linen.Dense(n), linen.LayerNorm)
        return module, jax.jit(module.init)(jax.random.key(0), jnp.ones((1, n)))
    keys = iter(jax.random.split(jax.random.key(0), size.layers))
    return size.stack(
        eqx.nn.Sequential,
        lambda: eqx.nn.Linear(n, n, key=next(keys)),
        lambda: eqx.nn.LayerNorm(n),
    )


def conversion(subject: str, operation: str, model: Any) -> Callable[[], Any]:
    """One conversion of a model, ready to be called."""
    home: ModuleType = importlib.import_module(SUBJECTS[subject])
    function = getattr(home if subject == "ours" else home.interop, operation)
    if operation == "from_linen":
        return lambda: function(*model)
    if operation == "to_nnx":
        rngs = nnx.Rngs(0)
        return lambda: function(model, rngs=rngs)
    if operation == "to_equinox":
        key = jax.random.key(0)
        return lambda: function(model, key=key)
    return lambda: function(model)


def arrays_of(model: Any) -> list[Any]:
    """The arrays of a model of any framework."""
    if isinstance(model, tuple):
        return jax.tree.leaves(model[1])
    if hasattr(model, "states"):
        return jax.tree.leaves([state.value for state in model.states().values()])
    return [leaf for leaf in jax.tree.leaves(model) if isinstance(leaf, jax.Array)]


def floor(source: Any, result: Any) -> Callable[[], Any]:
    """The least that a conversion could do: rebuild the tree, transpose what lies otherwise.

    Args:
        source: the model before its conversion.
        result: the model after it, whose tree is rebuilt; for Linen its variables.

    Returns:
        One pass that makes a tree like ``result``: the leaves that changed go through one compiled
        function together, the others are put in as they are.
    """
    tree = result[1] if isinstance(result, tuple) else result
    leaves, structure = jax.tree.flatten(tree)
    kept = {id(array) for array in arrays_of(source)}
    changed = [place for place, leaf in enumerate(leaves) if id(leaf) not in kept]
    turned = [leaves[place].T for place in changed]
    for place in changed:
        leaves[place] = None
    turn = jax.jit(lambda arrays: [array.T for array in arrays])

    def once() -> Any:
        filled = list(leaves)
        if changed:
            for place, array in zip(changed, turn(turned), strict=True):
                filled[place] = array
        return jax.tree.unflatten(structure, filled)

    return once
