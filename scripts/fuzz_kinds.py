"""The core and the frameworks as the fuzzer sees them: layers made, stacked and evaluated.

Constructors run abstractly, and NumPy fills in the numbers: nothing is compiled.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

import interop_equinox
import interop_equinox.testing
import interop_linen
import interop_linen.testing
import interop_nnx
import interop_nnx.testing
from fuzz_evaluation import evaluate
from interop_core import nn
from interop_core.calling import Call
from interop_core.core_side import CORE
from interop_core.graph import assign, leaves
from interop_core.holding import make as make_parts
from interop_core.mapping import LayerMap
from interop_core.options import CORE_IGNORED, Translation, parameters
from interop_core.program import UNTRACEABLE
from interop_nnx._dropout import give_streams

equinox_embedding: Any = import_module("equinox.nn._embedding")

BATCH = 2
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Base:
    """A configuration that a row declares as one of its cases: what is drawn may begin there.

    Attributes:
        options: constructor arguments.
        shape: of one input, in the core's convention; ``None`` where the case does not say.
        below: bound of whole numbers that the layer takes.
    """

    options: Mapping[str, Any]
    shape: Shape | None = None
    below: int | None = None


def abstract_array(leaf: Any) -> bool:
    """Whether a leaf is the shape of an array."""
    return isinstance(leaf, jax.ShapeDtypeStruct)


def is_array(leaf: Any) -> bool:
    """Whether a leaf is an array, or the shape of one."""
    return isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def is_key(leaf: Any) -> bool:
    """Whether a leaf is a random key."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


class Numbers:
    """Draws the numbers of a model: away from zero, and variances positive.

    Args:
        seed: of the numbers.
    """

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._steps = seed % 7 * (1 + 99 * (seed % 2))

    def __call__(self, path: Any, leaf: Any) -> Any:
        """An array in place of a shape; anything else stays."""
        if not abstract_array(leaf):
            return leaf
        if is_key(leaf):
            return (
                jax.random.split(jax.random.key(0), leaf.shape) if leaf.shape else jax.random.key(0)
            )
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return np.full(leaf.shape, self._steps, leaf.dtype)
        return self.like(leaf, positive=bool(re.search(r"\bvar|_stats|_state", str(path))))

    def like(self, leaf: Any, *, positive: bool = False) -> Any:
        """Numbers of the shape and type of an array."""
        numbers = self._draw.uniform(0.3, 1.3, leaf.shape)
        if not positive:
            numbers *= 0.5 * self._draw.choice([-1.0, 1.0], leaf.shape)
        return numbers.astype(np.float32).astype(leaf.dtype)


class Kind:
    """How layers of one side are drawn, made, stacked and run.

    Attributes:
        name: the framework's name.
        bridge: the framework as the engine sees it, with its rows.
        layers: the classes that the framework exports.
    """

    name: str
    bridge: Any
    layers: tuple[type, ...]

    @cached_property
    def targets(self) -> tuple[tuple[Any, tuple[Base, ...]], ...]:
        """Every layer and function that may be drawn, with the cases that rows have for it."""
        found: dict[Any, list[Base]] = {layer: [] for layer in self.layers}
        for row in self.bridge.rows:
            found.setdefault(row.foreign, []).extend(self._bases(row))
        return tuple((target, tuple(bases)) for target, bases in found.items())

    def _bases(self, row: LayerMap) -> list[Base]:
        bases = [Base(case.options, case.input, case.below) for case in row.foreign_cases]
        for case in row.cases:
            try:
                with nn.init.abstract():
                    core = row.core(**make_parts(case.options, lambda cls, given: cls(**given)))
                shape = case.input or getattr(core, "in_size", None)
                config = {**CORE.config(core), "example": shape}
                named = Translation(row, "core", config, frozenset(CORE_IGNORED.names)).options
            except Exception:  # a case of another release, or one that holds a layer
                continue
            options = {name: value for name, value in named.items() if "." not in name}
            bases.append(Base(options, None if shape is None else tuple(shape), case.below))
        return bases

    def make(self, target: Any, options: Mapping[str, Any], x: Any, seed: int) -> Any:
        """A model of one layer with numbers of its own; raises what the constructor raises."""
        raise NotImplementedError

    def stack(self, models: Sequence[Any]) -> Any:
        """A stack of models."""
        raise NotImplementedError

    def finished(self, model: Any) -> Any:
        """A model that was just converted, as the framework's users get it."""
        return model

    def adopt(self, model: Any) -> Any:
        """The node that the engine calls a model."""
        return self.bridge.adopt(model)

    def apart(self, model: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        """The arrays of a model, and what makes it again out of others."""
        flat, structure = jax.tree.flatten(model)
        places = [i for i, leaf in enumerate(flat) if _moves(leaf)]

        def rebuild(arrays: list[Any]) -> Any:
            mixed = list(flat)
            for place, array in zip(places, arrays, strict=True):
                mixed[place] = array
            return jax.tree.unflatten(structure, mixed)

        return [flat[place] for place in places], rebuild

    def output(self, model: Any, call: Call, *, by_jax: bool = False) -> tuple[Any, Any]:
        """What a model gives for a call: the output and the carry."""
        arrays, rebuild = self.apart(model)

        def program(arrays: Any, x: Any, carry: Any) -> Any:
            made = self.bridge.call(self.adopt(rebuild(arrays)), replace(call, x=x, carry=carry))
            return made.y, dict(made.carry)

        given = (arrays, call.x, dict(call.carry))
        if not by_jax:
            try:
                y, carried = evaluate(program, *given)
                return y, carried
            except UNTRACEABLE:  # it looks at its numbers
                pass
        found: tuple[Any, Any] = jax.tree.map(
            np.asarray, program(*jax.tree.map(jnp.asarray, given))
        )
        return found

    def with_arrays(self, model: Any, change: Callable[[Any], Any]) -> Any:
        """The model with other arrays in place of its floating ones."""
        arrays, rebuild = self.apart(model)
        return rebuild([change(array) for array in arrays])


def _moves(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray) and jnp.issubdtype(leaf.dtype, jnp.inexact)


def classes(module: Any, base: type, leave_out: set[str]) -> tuple[type, ...]:
    """The layer classes that a framework exports, by name."""
    found = (getattr(module, name) for name in sorted(dir(module)) if name not in leave_out)
    return tuple(cls for cls in found if inspect.isclass(cls) and issubclass(cls, base))


def _zeros(_: Any, shape: Any, dtype: Any = np.float32, *__: Any, **___: Any) -> Any:
    """An initializer that is quickly traced: other numbers are drawn in any case."""
    return jnp.zeros(shape, dtype)


def quick(target: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with quick initializers where none are given."""
    known = parameters(target) if isinstance(target, type) else {}
    plain = {
        n: _zeros
        for n, default in known.items()
        if n.endswith(("_init", "_initializer")) and callable(default)
    }
    return {**plain, **options}


def shape_of(x: Any) -> Any:
    """An array's shape and type in its place."""
    abstract: Any = jax.ShapeDtypeStruct
    return abstract(x.shape, x.dtype)


class Nnx(Kind):
    """Flax NNX."""

    name = "nnx"
    bridge = interop_nnx.BRIDGE
    layers = classes(
        nnx, nnx.Module, {"Module", "Sequential", "List", "Dict", "RNNCellBase", "Pytree"}
    )
    _harness = interop_nnx.testing.HARNESS

    def make(self, target: Any, options: Mapping[str, Any], x: Any, seed: int) -> Any:
        if not isinstance(target, type):
            return self._harness.make(target, options, x)
        model = nnx.eval_shape(lambda: self._harness.make(target, quick(target, options), x))
        return self._with(model, Numbers(seed))

    def finished(self, model: Any) -> Any:
        give_streams(model, None)
        return model

    def _with(self, model: Any, change: Callable[[Any, Any], Any]) -> Any:
        graph, state = nnx.split(model)
        return nnx.merge(graph, jax.tree_util.tree_map_with_path(change, state))

    def stack(self, models: Sequence[Any]) -> Any:
        return nnx.Sequential(*models)

    def apart(self, model: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        if not isinstance(model, nnx.Module):
            return [], lambda _: model
        graph, state = nnx.split(model)
        arrays, rebuild = super().apart(state)
        return arrays, lambda changed: nnx.merge(graph, rebuild(changed))


class Linen(Kind):
    """Flax Linen: a model is a pair of module and variables."""

    name = "linen"
    bridge = interop_linen.BRIDGE
    layers = classes(linen, linen.Module, {"Module", "Sequential", "RNNCellBase"})
    _harness = interop_linen.testing.HARNESS

    def make(self, target: Any, options: Mapping[str, Any], x: Any, seed: int) -> Any:
        if not isinstance(target, type):
            return self._harness.make(target, options, x)
        made: list[Any] = []

        def run(x: Any) -> Any:
            module, variables = self._harness.make(target, quick(target, options), x)
            made.append(module)
            return variables

        variables = jax.eval_shape(run, shape_of(x))
        variables = jax.tree_util.tree_map_with_path(Numbers(seed), variables)
        return made[0].clone(parent=None), variables

    def stack(self, models: Sequence[Any]) -> Any:
        variables: dict[str, Any] = {}
        seen: set[int] = set()
        for index, (module, held) in enumerate(models):
            if id(module) in seen and isinstance(module, linen.Module):
                continue  # one module that stands twice has its variables where it stands first
            seen.add(id(module))
            for collection, tree in held.items():
                variables.setdefault(collection, {})[f"layers_{index}"] = tree
        return linen.Sequential([module for module, _ in models]), variables

    def apart(self, model: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        module, variables = model
        arrays, rebuild = super().apart(variables)
        return arrays, lambda changed: (module, rebuild(changed))


class Equinox(Kind):
    """Equinox: one example at a time, channels first; a model may be a pair of layer and state."""

    name = "equinox"
    bridge = interop_equinox.BRIDGE
    layers = classes(eqx.nn, eqx.Module, {"Sequential", "StatefulLayer", "StateIndex"})
    _harness = interop_equinox.testing.HARNESS

    def make(self, target: Any, options: Mapping[str, Any], x: Any, seed: int) -> Any:
        made = eqx.filter_eval_shape(lambda: self._harness.make(target, options, x))
        numbers = Numbers(seed)
        if not isinstance(made, tuple):
            return jax.tree_util.tree_map_with_path(numbers, made)
        layer, state = made
        flat, structure = jax.tree.flatten(state)
        filled = [numbers("_state", leaf) for leaf in flat]
        layer = jax.tree_util.tree_map_with_path(numbers, layer)
        return layer, jax.tree.unflatten(structure, filled)

    def stack(self, models: Sequence[Any]) -> Any:
        return self.bridge.lend(self.bridge.stack([self.bridge.adopt(m) for m in models]))

    def output(self, model: Any, call: Call, *, by_jax: bool = False) -> tuple[Any, Any]:
        # Equinox keeps one table of rotary positions for all layers of equal size, whatever their
        # theta: an example may not hear of the examples before it.
        getattr(equinox_embedding, "internal_rope_embedding_cache", {}).clear()
        return super().output(model, call, by_jax=by_jax)


class Core(Kind):
    """The core's own layers."""

    name = "core"
    bridge: Any = CORE
    layers = tuple(
        dict.fromkeys(
            row.core
            for bridge in (interop_nnx.BRIDGE, interop_linen.BRIDGE, interop_equinox.BRIDGE)
            for row in bridge.rows
        )
    )

    @cached_property
    def targets(self) -> tuple[tuple[Any, tuple[Base, ...]], ...]:
        known = dict.fromkeys(
            cls
            for cls in (getattr(nn, name) for name in nn.__all__)
            if inspect.isclass(cls) and issubclass(cls, nn.Module)
        )
        found: dict[Any, list[Base]] = {layer: [] for layer in (*self.layers, *known)}
        for bridge in (interop_nnx.BRIDGE, interop_linen.BRIDGE, interop_equinox.BRIDGE):
            for row in bridge.rows:
                cases = [*row.cases, *(r.case for r in row.refusals if r.side == "core")]
                found[row.core] += [Base(case.options, case.input, case.below) for case in cases]
        return tuple((target, tuple(bases)) for target, bases in found.items())

    def make(self, target: Any, options: Mapping[str, Any], x: Any, seed: int) -> Any:
        with nn.init.abstract():
            options = make_parts(options, lambda cls, given: cls(**given))
            layer = target(**options)
        numbers = Numbers(seed)
        held = leaves(layer)
        if any(
            abstract_array(a) and not jnp.issubdtype(a.dtype, jnp.inexact) for a in held.values()
        ):
            layer = target(**options)
            held = leaves(layer)
        assign(layer, {
            name: numbers.like(a, positive="var" in name)
            if jnp.issubdtype(a.dtype, jnp.inexact) else np.asarray(a)
            for name, a in held.items()
        })  # fmt: skip
        return layer

    def stack(self, models: Sequence[Any]) -> Any:
        return nn.Sequential(*models)


CORE_KIND = Core()
KINDS: dict[str, Kind] = {kind.name: kind for kind in (Nnx(), Linen(), Equinox())}
