"""Running both models of a conversion on drawn inputs, layer by layer and as a whole.

Imports `convert`, `agreement`, `drawing` and `trial`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import nn, random
from .agreement import Difference, difference, has_numbers, magnitude, relative_tolerance
from .calling import Call, Outcome, Rebuild
from .convert import Execution, moved, running
from .drawing import batch_axes, drawn_input
from .errors import ConversionError, MissingShapeError, Path, Problem, VerificationError
from .graph import leaves as core_leaves
from .mapping import Context, LayerMap, LayerMapping
from .plan import Node, Plan
from .program import UNTRACEABLE, run_as_program
from .state import BatchState
from .trial import (
    GRADIENTS,
    beyond_rounding,
    elsewhere,
    nudged,
    random_sum,
    training_steps,
)
from .walking import passages, places

_ADVICE = "correct the mapping of this layer, or convert it by another one"


def verify_execution(
    execution: Execution, sample_input: Any = None, *, trains: bool = True
) -> None:
    """Run both models of a conversion that was carried out, and compare what they give.

    Each layer gets what the source model gives it, in evaluation mode; its output has to agree,
    and its gradients by input and parameters, once for equal layers. Layers with running
    statistics take some training steps as well. At the end the whole models are compared. No
    random stream is advanced, and neither model changes.

    Args:
        execution: the conversion.
        sample_input: one unbatched example or its shape.
        trains: whether training steps and gradients are compared too.

    Raises:
        VerificationError: for the first layer that differs by more than rounding explains.
        MissingShapeError: where no input can be drawn.
        ConversionError: for a model without numbers: abstract, or inside a trace.
    """
    _require_numbers(execution.plan)
    with random.seed_context(0), jax.default_matmul_precision("highest"):
        x = drawn_input(execution.plan, sample_input)
        _Verification(execution, x, trains=trains).run()


def _require_numbers(plan: Plan) -> None:
    for node in places(plan.root):
        for name, array in node.leaves.items():
            if isinstance(array, jax.core.Tracer | jax.ShapeDtypeStruct):
                problem = Problem(
                    node.path,
                    node.title,
                    ConversionError,
                    f"{name} has no numbers, and verify=True runs the model",
                    "convert without verify here, and verify a model with numbers",
                    name,
                )
                raise ConversionError(problems=[problem])


class _Verification:
    """One comparison of two models; see `verify_execution`."""

    def __init__(self, execution: Execution, x: Any, *, trains: bool) -> None:
        self.execution, self.plan = execution, execution.plan
        self.source, self.target = running(self.plan.source), running(self.plan.target)
        self.outward = self.plan.target is self.plan.bridge
        self.x, self.trains = x, trains
        self.leading = len(batch_axes(self.plan))
        self.whole = next(node for node in self.plan.root.walk() if node.source is not None)
        self.steps = [node for node in places(self.plan.root) if node.recipe is not None]
        self._gone_through: set[Any] = set()
        self._failure: Exception | None = None

    def run(self) -> None:
        if self.whole is self.plan.root and self.whole.children is None:
            node = self.whole
            first = self.plan.channels_first_in
            carry = self._carry(node)
            call = Call(self.x, self.leading, carry, first_in=first, first_out=first)
            self._layer(node, call, deeply=self.trains)
            return
        inputs, expected, found = run_as_program(self._program, *self._parameters())
        self._require_finite(self.whole, expected)
        types = {array.dtype for node in self.steps for array in node.leaves.values()}
        relative = relative_tolerance([*types, *_types(expected)], len(self.steps))
        relative = max([relative, *map(_given, self.steps)])

        def again(x: Any) -> Any:
            return self._of_source(self.whole, self.whole.source, replace(self._call(), x=x)).y

        apart = beyond_rounding(found, expected, relative, self.x, again)
        for node, x, first in inputs:
            call = Call(x, self.leading, first_in=first, first_out=first)
            key = (id(node.recipe), np.shape(x), x.dtype, first)
            fresh = key not in self._gone_through
            self._gone_through.add(key)
            if fresh or not apart.agrees:
                self._layer(node, call, deeply=fresh and self.trains)
        if self._failure is not None:
            self._fails(self.whole, self._failure, "output")
        if not apart.agrees:
            reason = f"each of its layers agrees, and the whole model does not: its output {apart}"
            self._raise((), self.whole.title, apart, "output", reason, "")

    def _call(self) -> Call:
        """The call of the whole model."""
        return Call(
            self.x,
            self.leading,
            first_in=self.plan.channels_first_in,
            first_out=self.plan.channels_first_out,
        )

    def _parameters(self) -> tuple[Any, Any]:
        """The arrays of both models, apart from them: as arguments they are no constants."""
        here, self._rebuild = self.source.parameters(self.whole.source)
        built = self.execution.build(self.plan.root)
        there, self._rebuild_target = self.target.parameters(built)
        return here, there

    def _program(self, here: Any, there: Any) -> tuple[list[tuple[Node, Any, bool]], Any, Any]:
        """What each layer of the source gets, and what both models give."""
        call = self._call()
        source = self._rebuild(here)
        expected = self._of_source(self.whole, source, call).y
        passed = passages(
            self.plan,
            source,
            self.x,
            self.leading,
            lambda node, layer, call: self._of_source(node, layer, call).y,
        )
        inputs = [(passage.node, passage.x, passage.first) for passage in passed]
        try:
            found = self.target.call(self._rebuild_target(there), call).y
        except UNTRACEABLE:
            raise
        except Exception as error:  # the layer at fault is found below
            self._failure = error
            found = None
        return inputs, expected, found

    def _core_layer(self, node: Node) -> Any:
        return node.source if self.outward else self.execution.build(node)

    def _carry(self, node: Node) -> dict[str, Any]:
        """A random carry for a layer whose counterpart takes it as an argument."""
        entry = node.recipe.entry if node.recipe is not None else None
        if not isinstance(entry, LayerMap) or not entry.transient:
            return {}
        fresh: Any = jax.tree.map(lambda array: array, self._core_layer(node))
        fresh.init_state(*np.shape(self.x)[: self.leading])
        draw, held, dtype = np.random.default_rng(8), core_leaves(fresh), self.x.dtype
        return {n: jnp.asarray(draw.normal(size=held[n].shape), dtype) for n in entry.transient}

    def _layer(self, node: Node, call: Call, *, deeply: bool) -> None:
        """Compare one layer: its output; deeply, its gradients and training steps as well."""
        built = self.execution.build(node)
        here, rebuild = self.source.parameters(node.source)
        there, rebuild_target = self.target.parameters(built)

        def outputs(here: Any, there: Any) -> Any:
            expected = self._of_source(node, rebuild(here), call)
            found = self._of_target(node, rebuild_target(there), call)
            slopes = self._gradients(node, rebuild, here, call) if deeply else None
            return _parts(found), _parts(expected), slopes

        found, expected, slopes = run_as_program(outputs, here, there)
        self._require_finite(node, expected)
        relative = self._relative(node, call, expected)

        def again(x: Any) -> Any:
            return _parts(self._of_source(node, node.source, replace(call, x=x)))

        self._require(node, beyond_rounding(found, expected, relative, call.x, again), "output")
        if slopes is not None:
            self._compare_gradients(node, rebuild, here, call, slopes)
        core = node.recipe.core if node.recipe is not None else None
        if deeply and isinstance(core, nn.Module) and core.states(BatchState):
            self._training(node, built, call)

    def _training(self, node: Node, built: Any, call: Call) -> None:
        """Some training steps, and what the statistics make of the input afterwards."""

        def steps(x: Any) -> list[tuple[str, Any, Any]]:
            ours, theirs = partial(self._of_source, node), partial(self._of_target, node)
            return training_steps(ours, theirs, node.source, built, replace(call, x=x))

        for what, expected, found in run_as_program(steps, call.x):
            relative = self._relative(node, Call(self.x), expected)
            self._require(node, difference(found, expected, relative), what)

    def _require_finite(self, node: Node, result: Any) -> None:
        if jax.tree.leaves(result) and not has_numbers(result):
            reason = "gives no finite number for the drawn input, so that nothing can be compared"
            advice = "pass an array as sample_input whose numbers suit the model"
            apart = Difference(math.inf, 0.0)
            self._raise(node.path, node.title, apart, "output", reason, advice)

    def _gradients(self, node: Node, rebuild: Rebuild, arrays: Any, call: Call) -> Any:
        """Gradients of a random sum of the output, by input and by the source's parameters.

        Those of the target go through the conversion, so that both are by the same arrays.
        """
        try:
            here = self._gradient(lambda p, c: self.source.call(rebuild(p), c), arrays, call)
        except Exception:  # the source itself cannot be differentiated
            return None
        if here is None:
            return None

        def converted(arrays: Any, call: Call) -> Outcome:
            return self.target.call(self._made_of(node, rebuild(arrays)), call)

        try:
            return self._gradient(converted, arrays, call), here
        except UNTRACEABLE:
            if node.recipe is not None and isinstance(node.recipe.entry, LayerMapping):
                return None  # its functions look at numbers, which a trace has not
            raise
        except Exception as error:
            self._fails(node, error, "gradient")

    def _compare_gradients(
        self, node: Node, rebuild: Rebuild, arrays: Any, call: Call, slopes: Any
    ) -> None:
        if self._most_apart(node, call, *slopes) is None:
            return
        again = replace(call, x=elsewhere(call.x))
        near = replace(again, x=nudged(again.x, self._relative(node, again, slopes[1])))
        (found, expected), (_, shifted) = run_as_program(
            lambda arrays: [self._gradients(node, rebuild, arrays, c) for c in (again, near)],
            arrays,
        )
        worst = self._most_apart(node, again, found, expected, shifted)
        if worst is not None:
            what, apart = worst
            self._raise(node.path, node.title, apart, what, f"its {what} {apart}")

    def _gradient(
        self, function: Callable[[Any, Call], Outcome], tree: Any, call: Call
    ) -> tuple[Any, Any] | None:
        def loss(arrays: Any, x: Any) -> Any:
            return random_sum(_parts(function(arrays, replace(call, x=x))))

        if jax.eval_shape(loss, tree, call.x) is None:
            return None
        if jnp.issubdtype(call.x.dtype, jnp.floating):
            by_arrays, by_x = jax.grad(loss, (0, 1))(tree, call.x)
            return by_arrays, by_x
        return jax.grad(loss)(tree, call.x), None

    def _most_apart(
        self, node: Node, call: Call, found: Any, expected: Any, shifted: Any = None
    ) -> tuple[str, Difference] | None:
        """The gradient that differs most, if one does.

        Args:
            node: the layer.
            call: what it was called with.
            found: gradients of the target.
            expected: gradients of the source.
            shifted: those of the source for an input that is rounded otherwise.
        """
        relative = GRADIENTS * self._relative(node, call, expected)
        scale = magnitude(expected)
        if scale == 0.0 == magnitude(found):
            return None
        worst: tuple[str, Difference] | None = None
        theirs = jax.tree.leaves(found)
        beside = [None] * len(theirs) if shifted is None else jax.tree.leaves(shifted)
        for (path, leaf), other, near in zip(
            jax.tree_util.tree_leaves_with_path(expected), theirs, beside, strict=True
        ):
            apart = difference(other, leaf, relative, scale)
            if not apart.agrees and near is not None:
                apart = apart.widened(difference(near, leaf, relative, scale))
            if not apart.agrees and (worst is None or apart.largest > worst[1].largest):
                name = jax.tree_util.keystr(path[1:], simple=True, separator=".")
                worst = (f"gradient by {name.removesuffix('.value') or 'the input'}", apart)
        return worst

    def _made_of(self, node: Node, place: Any) -> Any:
        """The target's layer for another layer of the source like the one in this place."""
        recipe = node.recipe
        assert recipe is not None
        mapping, plan = recipe.entry, self.plan
        if isinstance(mapping, LayerMapping):
            context = Context(plan.bridge.name, node.path, plan.example)
            convert = mapping.to_foreign if self.outward else mapping.to_bst
            built = plan.target.adopt(convert(plan.source.lend(place), context))
        else:
            built = moved(node, plan.source.leaves(place))
        return plan.bridge.lift(built, node.axes) if node.axes else built

    def _of_source(self, node: Node, model: Any, call: Call) -> Outcome:
        try:
            return self.source.call(model, call)
        except UNTRACEABLE:
            raise
        except Exception as error:
            shape = np.shape(call.x)[self.leading :]
            reason = f"cannot be run on an input of the shape {shape}, as verify=True does: {error}"
            advice = "pass a sample_input that fits: one unbatched example, or its shape"
            problem = Problem(node.path, node.title, MissingShapeError, reason, advice)
            raise MissingShapeError(problems=[problem]) from error

    def _of_target(self, node: Node, model: Any, call: Call) -> Outcome:
        try:
            return self.target.call(model, call)
        except UNTRACEABLE:
            raise
        except Exception as error:
            self._fails(node, error, "output")
            raise

    def _relative(self, node: Node, call: Call, result: Any) -> float:
        held = [array.dtype for array in node.leaves.values()]
        dtype = (node.recipe.options or {}).get("dtype") if node.recipe is not None else None
        types = [*held, call.x.dtype, *_types(result), *([dtype] if dtype is not None else [])]
        return max(relative_tolerance(types), _given(node))

    def _require(self, node: Node, apart: Difference, what: str) -> None:
        if not apart.agrees:
            self._raise(node.path, node.title, apart, what, f"its {what} {apart}")

    def _fails(self, node: Node, error: Exception, what: str) -> None:
        reason = f"what it became cannot be run as it can: {type(error).__name__}: {error}"
        apart = Difference(math.inf, 0.0)
        self._raise(node.path, node.title, apart, what, reason)

    def _raise(
        self,
        path: Path,
        title: str,
        apart: Difference,
        what: str,
        reason: str,
        advice: str = _ADVICE,
    ) -> None:
        problem = Problem(path, title, VerificationError, reason, advice)
        raise VerificationError(
            problems=[problem], difference=apart.largest, tolerance=apart.allowed, what=what
        )


def _parts(outcome: Outcome) -> tuple[Any, Mapping[str, Any]]:
    return outcome.y, dict(outcome.carry)


def _types(tree: Any) -> list[Any]:
    return [jnp.result_type(leaf) for leaf in jax.tree.leaves(tree)]


def _given(node: Node) -> float:
    """The tolerance that a row declares, with a reason, for its own comparisons."""
    entry = node.recipe.entry if node.recipe is not None else None
    tolerance = entry.tolerance if isinstance(entry, LayerMap) else None
    return 0.0 if tolerance is None else max(tolerance.relative, tolerance.absolute)
