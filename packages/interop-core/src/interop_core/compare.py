"""Comparing two models that somebody has, of whatever frameworks.

Imports `api`, `agreement`, `model_side` and `trial`; no framework.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import random
from .agreement import Difference, difference, magnitude, relative_tolerance
from .api import core_model
from .calling import Call, Outcome
from .drawing import BATCH
from .errors import InteropError, MissingShapeError, Path, Problem, VerificationError, format_path
from .model_side import Channels, ModelSide, Step
from .program import run_as_program
from .trial import GRADIENTS, STEPS, Runs, draws_numbers, elsewhere, random_sum, training_steps


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found; true where the two models agree.

    Attributes:
        agree: whether rounding explains every difference.
        what: what differs, or ``"output"`` where nothing does: ``"gradient by input 0"``,
            ``"gradient by weight.bias"``, ``"output of training step 1"``, ``"output after 2
            training steps"``.
        difference: the largest difference there; infinite for other shapes.
        tolerance: the difference that rounding explains.
        path: the first layer of the first model that differs so, where both models are stacks of
            equally many layers; else ``None``.
        layers: how many layers were compared one by one; 0 where that was not possible.
        compared: what was compared and agrees, in words.
    """

    agree: bool
    what: str
    difference: float
    tolerance: float
    path: Path | None = None
    layers: int = 0
    compared: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.agree

    def __str__(self) -> str:
        how = f"largest difference {self.difference:.2g} of the {self.what}"
        how += f", where rounding explains {self.tolerance:.2g}"
        if self.agree:
            return f"the models agree: {how}; compared: {', '.join(self.compared)}"
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

    Both stay as they are, and no random stream is advanced. Compared are

    * the outputs in evaluation mode;
    * the gradients of a random sum of them by every floating-point input, and by each parameter
      that stands in the same place of both models with the same numbers;
    * training steps, what they give and what evaluation gives after them: of the layers with
      running statistics where both models are stacks of equally many layers, else of the whole
      models. Where training draws random numbers each framework draws its own, and there is
      nothing to compare.

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
        >>> from . import nn
        >>> layer = nn.Linear(4, 2)
        >>> other = nn.Linear(4, 2, w_init=-layer.weight.value["weight"])
        >>> bool(compare(layer, layer)), compare(layer, other).agree
        (True, False)
        >>> compare(nn.Sequential(layer, nn.ReLU()), nn.Sequential(other, nn.ReLU())).path
        ('layers', 0)
        >>> compare(layer, layer).compared
        ('output', 'gradients by 1 input and 2 parameters')
    """
    first, second = ModelSide(core_model(a), channels), ModelSide(core_model(b), channels)
    given = tuple(map(jnp.asarray, inputs)) or (_drawn(first, second),)
    for side in (first, second):
        side.look_at(given[0])
    with random.seed_context(0), jax.default_matmul_precision("highest"):
        found = _Trial(first, second, given, tolerance).run()
    if check and not found:
        problem = Problem(found.path or (), first.title, VerificationError, str(found))
        raise VerificationError(
            problems=[problem],
            difference=found.difference,
            tolerance=found.tolerance,
            what=found.what,
        )
    return found


class _Trial:
    """One comparison; see `compare`."""

    def __init__(
        self, a: ModelSide, b: ModelSide, inputs: tuple[Any, ...], given: float | None
    ) -> None:
        self.a, self.b, self.inputs, self._given = a, b, inputs, given
        self.in_step = len(inputs) == 1 and a.count is not None and a.count == b.count
        self.relative = 0.0 if given is None else given
        self.compared: list[str] = []

    def run(self) -> Comparison:
        """Compare what there is to compare, until something differs."""
        here, there = self._slopes(self.inputs)
        if self._given is None:
            held = jax.tree.leaves((self.a.arrays, self.b.arrays, self.inputs, here[0]))
            depth = max(len(jax.tree.leaves(side.arrays)) for side in (self.a, self.b))
            self.relative = relative_tolerance([leaf.dtype for leaf in held], depth)
        apart = difference(there[0], here[0], self.relative)
        if not apart.agrees:
            return self._differs("output", apart, self._has_other_output)
        self.compared.append("output")
        for part in (partial(self._gradients, here, there), self._training):
            found = part()
            if found is not None:
                return found
        layers = (self.a.count or 0) if self.in_step else 0
        compared = tuple(self.compared)
        return Comparison(True, "output", apart.largest, apart.allowed, None, layers, compared)

    def _differs(
        self,
        what: str,
        apart: Difference,
        is_other: Callable[[Step, Step], bool],
        path: Path | None = None,
    ) -> Comparison:
        """The result, with the path of the first layer that differs by itself."""
        count = 0
        if self.in_step:
            x = self.inputs[0]
            for ours, theirs in zip(self.a.steps(x), self.b.steps(x), strict=True):
                count += 1
                if is_other(ours, theirs):
                    path = ours.path
                    break
        return Comparison(False, what, apart.largest, apart.allowed, path, count)

    def _has_other_output(self, ours: Step, theirs: Step) -> bool:
        return not difference(theirs.y, ours.y, self.relative).agrees

    def _has_other_slope(self, ours: Step, theirs: Step) -> bool:
        """Whether the gradients by the input differ, at one and the same input."""
        if not jnp.issubdtype(ours.call.x.dtype, jnp.floating):
            return False

        def slope(side: ModelSide, step: Step) -> Any:
            def loss(x: Any) -> Any:
                return random_sum(side.run_layer(step.layer, replace(step.call, x=x)).y)

            return run_as_program(jax.grad(loss), ours.call.x)

        slopes = slope(self.a, ours), slope(self.b, theirs)
        return not difference(slopes[1], slopes[0], GRADIENTS * self.relative).agrees

    def _slopes(self, inputs: tuple[Any, ...]) -> tuple[Any, Any]:
        """Outputs and gradients of both; no gradients where a model cannot be differentiated."""
        sides = (self.a, self.b)
        try:
            here, there = (run_as_program(side.slopes, side.arrays, inputs) for side in sides)
        except InteropError:
            raise
        except Exception:
            ys = (run_as_program(side.output, side.arrays, inputs) for side in sides)
            here, there = ((y, None, None) for y in ys)
        return here, there

    def _gradients(self, here: Any, there: Any) -> Comparison | None:
        if here[1] is None:
            return None
        ours, theirs = (self._parameters(side, side.arrays) for side in (self.a, self.b))
        shared = [key for key in ours if key in theirs and _equal(ours[key], theirs[key])]
        if self._steepest(shared, here, there) is not None:
            steep = self._steepest(shared, *self._slopes(tuple(map(elsewhere, self.inputs))))
            if steep is not None:
                return self._differs(*steep[:2], self._has_other_slope, steep[2])
        by = f"{_some(len(here[1]), 'input')} and {_some(len(shared), 'parameter')}"
        self.compared.append(f"gradients by {by}")
        return None

    def _parameters(
        self, side: ModelSide, arrays: Any, *, add: bool = False
    ) -> dict[tuple[Any, str], Any]:
        """Arrays in the place of the parameters, by a key that is the same in both models."""
        if not (self.in_step and self.a.is_known and self.b.is_known):
            alike = self.a.framework is self.b.framework
            return {(None, name): a for name, a in side.by_path(arrays).items() if alike}
        layers = enumerate(side.by_core_name(arrays, add=add))
        return {(i, name): a for i, named in layers for name, a in named.items()}

    def _steepest(
        self, shared: list[tuple[Any, str]], here: Any, there: Any
    ) -> tuple[str, Difference, Path | None] | None:
        """The first gradient that differs, if one does, and the layer whose parameter it is by."""
        relative = GRADIENTS * self.relative
        for index, (slope, other) in enumerate(zip(here[1], there[1], strict=True)):
            apart = difference(other, slope, relative, magnitude(here[1]))
            if not apart.agrees:
                return f"gradient by input {index}", apart, None
        ours = self._parameters(self.a, here[2], add=True)
        theirs = self._parameters(self.b, there[2], add=True)
        scale = magnitude([ours[key] for key in shared])
        for key in shared:
            apart = difference(theirs[key], ours[key], relative, scale)
            if not apart.agrees:
                layer, name = key
                path = None if layer is None else self.a.path_of(layer)
                return f"gradient by {name}", apart, path
        return None

    def _training(self) -> Comparison | None:
        if not self.in_step:
            calls = [side.call_with(self.inputs) for side in (self.a, self.b)]
            found = self._trained(self.a.run, self.b.run, self.a.node, self.b.node, *calls)
            if isinstance(found, tuple):
                what, apart = found
                return Comparison(False, what, apart.largest, apart.allowed)
            if found:
                self.compared.append(f"{STEPS} training steps")
            return None
        x, count = self.inputs[0], 0
        if not (self.a.may_keep_statistics or self.b.may_keep_statistics):
            return None
        for place, (ours, theirs) in enumerate(zip(self.a.steps(x), self.b.steps(x), strict=True)):
            if not (ours.may_keep_statistics or theirs.may_keep_statistics):
                continue
            runs = self.a.run_layer, self.b.run_layer
            found = self._trained(*runs, ours.layer, theirs.layer, ours.call, theirs.call)
            if isinstance(found, tuple):
                what, apart = found
                return Comparison(False, what, apart.largest, apart.allowed, ours.path, place + 1)
            count += found
        if count:
            self.compared.append(f"{STEPS} training steps of {_some(count, 'layer')}")
        return None

    def _trained(
        self, run_here: Runs, run_there: Runs, here: Any, there: Any, call: Call, other: Call
    ) -> bool | tuple[str, Difference]:
        """Whether training steps could be compared; or what differs first, and how much."""

        def run_other(model: Any, given: Call) -> Outcome:
            first_in, first_out = other.first_in, other.first_out
            return run_there(model, replace(given, first_in=first_in, first_out=first_out))

        if draws_numbers(run_here, here, call) or draws_numbers(run_other, there, call):
            return False

        def steps(x: Any, others: Any) -> Any:
            given = replace(call, x=x, others=others)
            trained = training_steps(run_here, run_other, here, there, given)
            return trained, run_here(here, given).y, run_other(there, given).y

        try:
            outputs, *resting = run_as_program(steps, call.x, call.others)
        except Exception:  # training takes more than inputs, a key for instance
            return False
        first = outputs[0][1:]
        certain = self.a.framework is self.b.framework or (self.a.is_known and self.b.is_known)
        heeds = [
            not difference(y, rest, 0.0).agrees for y, rest in zip(first, resting, strict=True)
        ]
        if not (all(heeds) or (certain and any(heeds))):
            return False  # a mode that cannot be switched from outside
        for what, ours, theirs in outputs:
            apart = difference(theirs, ours, self.relative)
            if not apart.agrees:
                return what, apart
        return True


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _equal(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b)


def _drawn(a: ModelSide, b: ModelSide) -> Any:
    shape = a.example if a.example is not None else b.example
    if shape is None:
        reason = "neither model says which shape its input has"
        advice = "pass an input: one batch axis in front, the channels last"
        problem = Problem((), a.title, MissingShapeError, reason, advice)
        raise MissingShapeError(problems=[problem])
    return jnp.asarray(np.random.default_rng(7).normal(size=(BATCH, *shape)), jnp.float32)


__all__ = ["Comparison", "Difference", "compare"]
