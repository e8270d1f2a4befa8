"""Comparing two models that somebody has, of whatever frameworks.

Imports `api`, `agreement` and `walking`; no framework.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from . import nn, random
from .agreement import Difference, difference, magnitude, relative_tolerance
from .api import bridge_of, core_model
from .bridge import Framework
from .calling import Call
from .convert import example_shape, plan_from, running
from .core_side import CORE
from .drawing import BATCH
from .errors import InteropError, MissingShapeError, Path, Problem, VerificationError, format_path
from .plan import Plan
from .program import run_as_program
from .walking import layers_of, passages

Channels = Literal["native", "last"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found; true where the two models agree.

    Attributes:
        agree: whether rounding explains every difference.
        what: what was compared last: ``"output"`` or ``"gradient by input 0"``.
        difference: the largest difference there; infinite for other shapes.
        tolerance: the difference that rounding explains.
        path: the first layer of the first model whose output differs, where both models are
            stacks of equally many layers; else ``None``.
        layers: how many layers were compared one by one; 0 where that was not possible.
    """

    agree: bool
    what: str
    difference: float
    tolerance: float
    path: Path | None = None
    layers: int = 0

    def __bool__(self) -> bool:
        return self.agree

    def __str__(self) -> str:
        how = f"largest difference {self.difference:.2g} of the {self.what}"
        how += f", where rounding explains {self.tolerance:.2g}"
        if self.agree:
            return f"the models agree: {how}"
        place = f", from {format_path(self.path)} on" if self.path is not None else ""
        return f"the models differ{place}: {how}"


def compare(
    a: Any,
    b: Any,
    *inputs: Any,
    channels: Channels = "native",
    tolerance: float | None = None,
    check: bool = False,
) -> Comparison:
    """Run two models on the same inputs and say whether they compute the same.

    Both run in evaluation mode and stay as they are; no random stream is advanced. Compared are
    the outputs, and the gradients of a random sum of them by every floating-point input.

    Args:
        a: a model of the core, of the published package or of an installed framework; for Linen
            the pair of module and variables, for an Equinox model with a state the pair of both.
        b: another, of any of these.
        *inputs: what the models are called with, in the core's convention: one batch axis first
            and the channels last. Without any, a batch is drawn for the ``in_size`` that one of
            the models declares.
        channels: ``"native"`` where models of a channels-first framework take images channels
            first, which a plain stack of known layers says itself; ``"last"`` for those that take
            them as the core does.
        tolerance: the relative difference that is allowed; by default one for the types of the
            numbers and the depth of the models.
        check: whether to raise where the models differ.

    Returns:
        What was found.

    Raises:
        NotAModelError: for what is a model of no installed framework.
        MissingShapeError: where there are no inputs, or the models do not take them.
        VerificationError: with ``check``, where the models differ.

    Example:
        >>> layer = nn.Linear(4, 2)
        >>> other = nn.Linear(4, 2, w_init=-layer.weight.value["weight"])
        >>> bool(compare(layer, layer)), compare(layer, other).agree
        (True, False)
        >>> compare(nn.Sequential(layer, nn.ReLU()), nn.Sequential(other, nn.ReLU())).path
        ('layers', 0)
    """
    first, second = _Side(core_model(a), channels), _Side(core_model(b), channels)
    given = tuple(map(jnp.asarray, inputs)) or (_drawn(first, second),)
    for side in (first, second):
        side.look_at(given[0])
    with random.seed_context(0), jax.default_matmul_precision("highest"):
        found = _compared(first, second, given, tolerance)
    if check and not found:
        problem = Problem(found.path or (), first.title, VerificationError, str(found))
        raise VerificationError(
            problems=[problem],
            difference=found.difference,
            tolerance=found.tolerance,
            what=found.what,
        )
    return found


def _compared(a: _Side, b: _Side, inputs: tuple[Any, ...], given: float | None) -> Comparison:
    here, there = (run_as_program(side.run, side.arrays, inputs) for side in (a, b))
    types = [leaf.dtype for leaf in jax.tree.leaves((a.arrays, b.arrays, inputs, here[0]))]
    depth = max(len(jax.tree.leaves(side.arrays)) for side in (a, b))
    relative = relative_tolerance(types, depth) if given is None else given
    apart = difference(there[0], here[0], relative)
    if not apart.agrees:
        path, count = _first_apart(a, b, inputs, relative)
        return Comparison(False, "output", apart.largest, apart.allowed, path, count)
    for index, (slope, other) in enumerate(zip(here[1], there[1], strict=True)):
        steep = difference(other, slope, 4 * relative, magnitude(here[1]))
        if not steep.agrees:
            what = f"gradient by input {index}"
            return Comparison(False, what, steep.largest, steep.allowed)
    return Comparison(True, "output", apart.largest, apart.allowed)


def _first_apart(
    a: _Side, b: _Side, inputs: tuple[Any, ...], relative: float
) -> tuple[Path | None, int]:
    """The first layer whose output differs, and how many were looked at."""
    if len(inputs) > 1 or a.count is None or a.count != b.count:
        return None, 0
    passed = zip(a.outputs(inputs[0]), b.outputs(inputs[0]), strict=True)
    for index, ((path, ours), (_, theirs)) in enumerate(passed):
        if not difference(theirs, ours, relative).agrees:
            return path, index + 1
    return None, a.count


class _Side:
    """One of the two models.

    Attributes:
        title: its name for people.
        count: how many layers it has; ``None`` where it is no plain stack of known layers.
        arrays: its parameters.
    """

    def __init__(self, model: Any, channels: Channels) -> None:
        self._framework: Framework = CORE
        self._node, self._channels = model, channels
        if not isinstance(model, nn.Module):
            self._framework, self._node = bridge_of(model)
        self.title = self._framework.title(self._node)
        self._runs = running(self._framework)
        self.arrays, self._rebuild = self._runs.parameters(self._node)
        self._plan: Plan | None = None
        self._ends = (False, False)
        self.count: int | None = None

    @property
    def example(self) -> tuple[int, ...] | None:
        """The shape of one example, where the model declares it."""
        for _, layer in layers_of(self._framework, self._node):
            size = getattr(layer, "in_size", None)
            return None if size is None else tuple(size)
        return None

    def look_at(self, x: Any) -> None:
        """Find out about the layers, and which axes of such an input are the channels."""
        bridge: Any = self._framework
        if not getattr(bridge, "channels_first", False):
            self.count = sum(not _is_move(bridge, layer) for _, layer in self._layers())
            return
        shape = example_shape(np.empty(np.shape(x)[1:], np.bool_)) if np.ndim(x) else ()
        try:
            plan = plan_from(bridge, self._node, sample_input=shape)
        except InteropError:
            plan = None
        if plan is not None and not plan.problems:
            self._plan = plan
            self._ends = (plan.channels_first_in, plan.channels_first_out)
            self.count = sum(1 for _ in self._known(plan, None))
        else:
            native = self._channels == "native"
            self._ends = (native, native)

    def _layers(self) -> Iterator[tuple[Path, Any]]:
        return layers_of(self._framework, self._node)

    def _known(self, plan: Plan, x: Any) -> Iterator[tuple[Path, Any]]:
        """The layers of a channels-first model; with their outputs for an input."""
        if x is None:
            for path, layer in self._layers():
                if not _is_move(self._framework, layer):
                    yield path, None
            return
        for passed in passages(plan, self._node, x, 1, lambda _, m, c: self._runs.call(m, c).y):
            if not _is_move(self._framework, passed.node.source):
                yield passed.node.path, passed.y

    def outputs(self, x: Any) -> Iterator[tuple[Path, Any]]:
        """What each layer gives, axis moves left out, in the core's convention."""
        if self._plan is not None:
            yield from self._known(self._plan, x)
            return
        for path, layer in self._layers():
            x = self._runs.call(layer, Call(x, 1)).y
            if not _is_move(self._framework, layer):
                yield path, x

    def run(self, arrays: Any, inputs: tuple[Any, ...]) -> tuple[Any, list[Any]]:
        """The output, and gradients of a random sum of it by the floating-point inputs."""
        model = self._rebuild(arrays)
        places = [i for i, x in enumerate(inputs) if jnp.issubdtype(x.dtype, jnp.floating)]

        def loss(*varied: Any) -> tuple[Any, Any]:
            whole = list(inputs)
            for place, x in zip(places, varied, strict=True):
                whole[place] = x
            y = self._called(model, whole)
            draw = np.random.default_rng(9)
            floats = [v for v in jax.tree.leaves(y) if jnp.issubdtype(v.dtype, jnp.inexact)]
            parts = [jnp.sum(jnp.real(v) * draw.normal(size=v.shape)) for v in floats]
            return sum(parts, jnp.zeros(())), y

        if not places:
            return self._called(model, list(inputs)), []
        by = tuple(range(len(places)))
        slopes, y = jax.grad(loss, by, has_aux=True)(*(inputs[place] for place in places))
        return y, list(slopes)

    def _called(self, model: Any, inputs: list[Any]) -> Any:
        first_in, first_out = self._ends
        call = Call(inputs[0], 1, first_in=first_in, first_out=first_out, others=tuple(inputs[1:]))
        try:
            return self._runs.call(model, call).y
        except (TypeError, ValueError, IndexError, AssertionError, AttributeError) as error:
            shapes = " and ".join(str(np.shape(x)) for x in inputs)
            reason = f"cannot be run on inputs of the shape {shapes}: {error}"
            advice = "pass inputs with one batch axis in front and the channels last"
            problem = Problem((), self.title, MissingShapeError, reason, advice)
            raise MissingShapeError(problems=[problem]) from error


def _drawn(a: _Side, b: _Side) -> Any:
    shape = a.example if a.example is not None else b.example
    if shape is None:
        reason = "neither model says which shape its input has"
        advice = "pass an input: one batch axis in front, the channels last"
        problem = Problem((), a.title, MissingShapeError, reason, advice)
        raise MissingShapeError(problems=[problem])
    return jnp.asarray(np.random.default_rng(7).normal(size=(BATCH, *shape)), jnp.float32)


def _is_move(framework: Framework, layer: Any) -> bool:
    return framework.key(layer) in (nn.MoveAxis, jnp.moveaxis)


__all__ = ["Comparison", "Difference", "compare"]
