"""One of the two models that `compare` runs: its layers, its parameters, its gradients.

Imports `api`, `convert`, `params`, `trial` and `walking`; no framework.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from . import nn
from .api import bridge_of
from .bridge import Framework
from .calling import Call, Outcome
from .convert import example_shape, plan_from, running
from .core_side import CORE
from .errors import InteropError, MissingShapeError, Path, Problem, Refusal
from .layout import carry
from .params import transformed
from .plan import Node, Plan
from .state import BatchState
from .trial import random_sum
from .walking import layers_of, passages, places

Channels = Literal["native", "last"]

CANNOT_RUN = (TypeError, ValueError, IndexError, AssertionError, AttributeError)
"""What models raise on inputs that they do not take."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens at one layer of a plain stack.

    Attributes:
        path: where the layer is.
        layer: the layer.
        core: what it is in the core; ``None`` where nobody knows.
        call: a call with its input.
        y: its output, in the core's convention.
    """

    path: Path
    layer: Any
    core: Any
    call: Call
    y: Any

    @property
    def may_keep_statistics(self) -> bool:
        """Whether training may move something of the layer."""
        return _may_keep_statistics(self.core)


class ModelSide:
    """One of the two models.

    Attributes:
        framework: whose model it is.
        title: its name for people.
        count: how many layers it has; ``None`` where it is no plain stack of known layers.
        arrays: its parameters.
        node: the model as a node of its framework.
    """

    def __init__(self, model: Any, channels: Channels) -> None:
        self.framework: Framework = CORE
        self.node, self._channels = model, channels
        if not isinstance(model, nn.Module):
            self.framework, self.node = bridge_of(model)
        self.title = self.framework.title(self.node)
        self._runs = running(self.framework)
        self.arrays, self._rebuild = self._runs.parameters(self.node)
        self._plan: Plan | None = None
        self._ends = (False, False)
        self.count: int | None = None

    @property
    def example(self) -> tuple[int, ...] | None:
        """The shape of one example, where the model declares it."""
        for _, layer in layers_of(self.framework, self.node):
            size = getattr(layer, "in_size", None)
            return None if size is None else tuple(size)
        return None

    def look_at(self, x: Any) -> None:
        """Find out about the layers, and which axes of such an input are the channels."""
        bridge: Any = self.framework
        if bridge is not CORE:
            shape = example_shape(np.empty(np.shape(x)[1:], np.bool_)) if np.ndim(x) else ()
            try:
                plan = plan_from(bridge, self.node, sample_input=shape)
                self._plan = None if plan.problems else plan
            except InteropError:
                self._plan = None
        plan_known = self._plan
        if plan_known is not None:
            self._ends = (plan_known.channels_first_in, plan_known.channels_first_out)
        elif getattr(bridge, "channels_first", False):
            native = self._channels == "native"
            self._ends = (native, native)
            return
        self.count = sum(1 for _ in self._in_place(self.node))

    @property
    def may_keep_statistics(self) -> bool:
        """Whether training may move something of a layer."""
        cores = (self._core_of(layer, place) for _, layer, place in self._in_place(self.node))
        return any(map(_may_keep_statistics, cores))

    def _core_of(self, layer: Any, place: Node | None) -> Any:
        """What a layer is in the core; ``None`` where nobody knows."""
        if self.framework is CORE:
            return layer
        return place.recipe.core if place is not None and place.recipe is not None else None

    @property
    def is_known(self) -> bool:
        """Whether every layer is one that the project knows, so that training is what it says."""
        return self.framework is CORE or self._plan is not None

    def _in_place(self, node: Any) -> Iterator[tuple[Path, Any, Node | None]]:
        """The layers of a model like this one but for axis moves, with their places in the plan."""
        found: Iterator[Node | None] = iter(())
        if self._plan is not None:
            found = (place for place in places(self._plan.root) if place.source is not None)
        for path, layer in layers_of(self.framework, node):
            place = next(found, None)
            if not self._is_move(layer):
                yield path, layer, place

    def steps(self, x: Any) -> Iterator[Step]:
        """What happens at each layer, axis moves left out."""
        if self._plan is None:
            for path, layer in layers_of(self.framework, self.node):
                call = Call(x, 1)
                x = self._runs.call(layer, call).y
                if not self._is_move(layer):
                    yield Step(path, layer, self._core_of(layer, None), call, x)
            return
        taken: list[Step] = []

        def run(node: Node, layer: Any, call: Call) -> Any:
            y = self._runs.call(layer, call).y
            taken.append(Step(node.path, layer, self._core_of(layer, node), call, y))
            return y

        for passage in passages(self._plan, self.node, x, 1, run):
            if not self._is_move(passage.node.source):
                yield taken[-1]

    def run_layer(self, layer: Any, call: Call) -> Outcome:
        """Call one layer, or another in its place."""
        return self._runs.call(layer, call)

    def run(self, model: Any, call: Call) -> Outcome:
        """Call the whole model, or what training made of it."""
        try:
            return self._runs.call(model, call)
        except CANNOT_RUN as error:
            shapes = " and ".join(str(np.shape(x)) for x in (call.x, *call.others))
            reason = f"cannot be run on inputs of the shape {shapes}: {error}"
            advice = "pass inputs with one batch axis in front and the channels last"
            problem = Problem((), self.title, MissingShapeError, reason, advice)
            raise MissingShapeError(problems=[problem]) from error

    def call_with(self, inputs: tuple[Any, ...], *, training: bool = False) -> Call:
        """A call of the whole model."""
        first_in, first_out = self._ends
        return Call(
            inputs[0],
            1,
            training=training,
            first_in=first_in,
            first_out=first_out,
            others=tuple(inputs[1:]),
        )

    def output(self, arrays: Any, inputs: tuple[Any, ...]) -> Any:
        """What the model gives."""
        return self.run(self._rebuild(arrays), self.call_with(inputs)).y

    def slopes(self, arrays: Any, inputs: tuple[Any, ...]) -> tuple[Any, list[Any], Any]:
        """The output, and gradients of a random sum of it by inputs and by parameters."""
        places = [i for i, x in enumerate(inputs) if jnp.issubdtype(x.dtype, jnp.floating)]

        def loss(arrays: Any, *varied: Any) -> tuple[Any, Any]:
            whole = list(inputs)
            for place, x in zip(places, varied, strict=True):
                whole[place] = x
            y = self.run(self._rebuild(arrays), self.call_with(tuple(whole))).y
            total = random_sum(y)
            return jnp.zeros(()) if total is None else total, y

        by = tuple(range(len(places) + 1))
        (of_arrays, *of_inputs), y = jax.grad(loss, by, has_aux=True)(
            arrays, *(inputs[place] for place in places)
        )
        return y, of_inputs, of_arrays

    def by_core_name(self, arrays: Any, *, add: bool) -> list[dict[str, Any]]:
        """Arrays in the place of the parameters, as each layer of the core holds them, by name.

        Left out is what a layer's counterpart has in another form, so that gradients do not take
        the way that the arrays take; and a layer that stood before, with whose arrays those of a
        framework that has two of them are added up, as gradients want it.
        """
        held = {id(leaf) for leaf in jax.tree.leaves(arrays)}
        found: list[dict[str, Any]] = []
        homes: dict[Hashable, tuple[dict[str, Any], set[int]]] = {}
        layers = (layer for _, layer, _ in self._in_place(self.node))
        for original, (_, layer, place) in zip(
            layers, self._in_place(self._rebuild(arrays)), strict=True
        ):
            leaves = self.framework.leaves(layer)
            taken = {name for name, array in leaves.items() if id(array) in held}
            named = _own(layer, leaves, taken) if place is None else _moved(place, leaves, taken)
            buffers = {id(leaves[name]) for name in taken}
            identity = self.framework.identity(original)
            if identity not in homes:
                homes[identity] = named, buffers
                found.append(named)
                continue
            home, known = homes[identity]
            if add and known != buffers:
                home.update({name: home[name] + array for name, array in named.items()})
            found.append({})
        return found

    def path_of(self, layer: int) -> Path:
        """The path of a layer by its number, axis moves left out."""
        return [path for path, _, _ in self._in_place(self.node)][layer]

    def by_path(self, arrays: Any) -> dict[str, Any]:
        """Arrays in the place of the parameters by where they are in the model's tree."""
        found = jax.tree_util.tree_leaves_with_path(arrays)
        return {
            jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in found
        }

    def _is_move(self, layer: Any) -> bool:
        return self.framework.key(layer) in (nn.MoveAxis, jnp.moveaxis)


def _may_keep_statistics(core: Any) -> bool:
    return not isinstance(core, nn.Module) or bool(core.states(BatchState))


def _own(layer: Any, leaves: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    if not isinstance(layer, nn.Module):
        return {}
    otherwise = {f"{name}.val" for name, _ in transformed(layer)}
    return {name: leaves[name] for name in leaves if name in taken - otherwise}


def _moved(place: Node, leaves: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for move in place.recipe.moves if place.recipe is not None else ():
        if not (move.layout.linear and taken.issuperset(move.source)):
            continue
        try:
            arrays = carry(move.layout, [np.asarray(leaves[name]) for name in move.source])
        except Refusal:
            continue
        found.update(zip(move.target, arrays, strict=True))
    return found
