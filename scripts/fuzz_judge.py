"""What becomes of one drawn model: it agrees, it is refused, or something is wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from fuzz_kinds import CORE_KIND, Kind, Shape, shape_of
from interop_core import InteropError, nn
from interop_core.agreement import difference, relative_tolerance
from interop_core.calling import Call
from interop_core.convert import execute, plan_from, plan_to
from interop_core.core_side import CORE
from interop_core.functions import is_function
from interop_core.graph import leaves
from interop_core.mapping import LayerMap
from interop_core.options import CORE_IGNORED
from interop_core.plan import Node, Plan
from interop_core.testing._samples import alike
from interop_core.trial import beyond_rounding
from interop_core.walking import layers_of

AGREES, ONE_WAY, REFUSED, NOT_CALLABLE = "agrees", "agrees one way", "refused", "not callable"
WRONG, FOREIGN = "wrong", "foreign exception"
FINE = (AGREES, ONE_WAY)


@dataclass(frozen=True)
class Verdict:
    """What was found of one model.

    Attributes:
        kind: one of the words above.
        detail: the class of the error that refused it, or what is wrong.
        shape: of the output for one input, as the model's side has it.
    """

    kind: str
    detail: str = ""
    shape: Shape | None = None

    @property
    def bad(self) -> bool:
        """Whether it must not be."""
        return self.kind in (WRONG, FOREIGN)


class Wrong(Exception):
    """Raised with what is wrong."""


class Inexact(Wrong):
    """Raised where numbers differ by more than rounding explains, if nothing magnifies it."""


@dataclass(frozen=True)
class Question:
    """A model to convert and compare.

    Attributes:
        kind: its side.
        framework: the framework that it comes from, or goes to.
        model: the model.
        x: a batch of inputs as its side takes them.
        depth: how many layers it has.
        sized: whether the conversion is told the shape of an example.
        by_jax: whether JAX runs it, too.
        wide: whether all of it is in double precision.
    """

    kind: Kind
    framework: Kind
    model: Any
    x: Any
    depth: int = 1
    sized: bool = True
    by_jax: bool = False
    wide: bool = False

    @property
    def outward(self) -> bool:
        """Whether it goes out of the core."""
        return self.kind is CORE_KIND


def judge(question: Question) -> Verdict:
    """Convert a model there and back, and compare outputs and arrays."""
    try:
        return _judge_out(question) if question.outward else _judge_into(question)
    except NotCallable:
        return Verdict(NOT_CALLABLE)
    except Inexact as wrong:
        return Verdict(WRONG, str(wrong)) if question.wide else _judge_wide(question, str(wrong))
    except Wrong as wrong:
        return Verdict(WRONG, str(wrong))
    except Exception:
        return Verdict(FOREIGN, traceback.format_exc(limit=-6))


_holder = jax if hasattr(jax, "enable_x64") else import_module("jax.experimental")
_double: Any = _holder.enable_x64


def _judge_wide(question: Question, found: str) -> Verdict:
    """The same in double precision, which tells what is magnified rounding from what is wrong."""
    with _double(True):
        wide = replace(
            question,
            model=question.kind.with_arrays(question.model, lambda a: np.asarray(a, np.float64)),
            x=question.x if question.x.dtype.kind == "i" else question.x.astype(np.float64),
            wide=True,
            by_jax=False,
        )
        verdict = judge(wide)
    return verdict if verdict.kind in FINE else Verdict(WRONG, found)


def _judge_into(question: Question) -> Verdict:
    kind, x = question.kind, question.x
    node = kind.adopt(question.model)
    refusal: InteropError | None = None
    for sample, first in _readings(question):
        try:
            plan = plan_from(kind.bridge, node, sample_input=sample).require()
        except InteropError as error:
            refusal = refusal or error
            continue
        if x.ndim > 2 and plan.channels_first_in != first:
            continue
        if sample is None and _takes_other_axes(plan, x.shape[1:]):
            return Verdict(NOT_CALLABLE)  # a product with a matrix, of which nobody said that it is
        return _compared_into(question, plan, sample or plan.example)
    return _refused(question, refusal)


def _takes_other_axes(plan: Plan, shape: Shape) -> bool:
    """Whether the first layer that says it takes examples with another number of axes."""
    if not plan.bridge.channels_first:
        return False
    for node in plan.root.walk():
        if node.recipe is None:
            continue
        known = node.recipe.example_rank
        if known is not None:
            return known != len(shape)
        if node.recipe.channels != "any" or node.recipe.output_size(shape) != shape:
            return False
    return False


def _readings(question: Question) -> list[tuple[Shape | None, bool]]:
    """Shapes of one example as the core may see it, and whether the framework turns it."""
    shape = tuple(question.x.shape[1:])
    if not question.sized:
        return (
            [(None, True), (None, False)]
            if question.kind.bridge.channels_first
            else [(None, False)]
        )
    readings: list[tuple[Shape | None, bool]] = [(shape, False)]
    if question.kind.bridge.channels_first and len(shape) > 1:
        readings.insert(0, ((*shape[1:], shape[0]), True))
    return readings


def _refused(question: Question, error: InteropError | None) -> Verdict:
    if question.depth == 1 and not _callable(question):
        return Verdict(NOT_CALLABLE)
    return Verdict(REFUSED, type(error).__name__)


def _callable(question: Question) -> bool:
    kind = question.kind
    title = type(
        question.model[0] if isinstance(question.model, tuple) else question.model
    ).__name__
    if title.endswith("Cell") and not question.outward:
        return True  # it asks for a carry besides
    node = kind.adopt(question.model)
    try:
        jax.eval_shape(lambda x: kind.bridge.call(node, Call(x, 1)).y, shape_of(question.x))
    except jax.errors.JAXTypeError:
        return True
    except Exception:
        return False
    return True


def _compared_into(question: Question, plan: Plan, sample: Shape | None) -> Verdict:
    kind, x = question.kind, question.x
    core = execute(plan)
    carry = _carry(plan.root, core, x)

    def of_source(call: Call) -> Any:
        return _with_own_carry(plan, lambda own: kind.output(question.model, own), call)

    def of_core(call: Call) -> Any:
        spatial = call.x.ndim - call.leading > 1
        if plan.channels_first_in and spatial:
            call = replace(call, x=np.moveaxis(call.x, call.leading, -1))
        y, carried = CORE_KIND.output(core, call)
        if plan.channels_first_out and y.ndim - call.leading > 1:
            y = np.moveaxis(y, -1, call.leading)
        return y, carried

    try:
        expected, y, leading = _side_by_side(of_source, of_core, x, carry)
    except Raised as raised:
        return _raised(question, raised, "the core model")
    _heed_jax(question, plan, kind, _own(plan, Call(x, 1, carry)))
    again = _with_another(of_source, carry)
    _compare(question, plan, y, expected, "the core model", again)
    if leading:
        _heed_announced(plan, sample, y[0])
    shape = tuple(expected[0].shape[1:]) if leading else None
    try:
        back_plan = plan_to(kind.bridge, core, sample_input=sample).require()
    except InteropError as error:
        return Verdict(ONE_WAY, type(error).__name__, shape)
    unlike = _conventions(back_plan) != _conventions(plan)
    if (unlike or (sample is None and _takes_other_axes(back_plan, x.shape[1:]))) and x.ndim > 2:
        return Verdict(ONE_WAY, "other axes", shape)
    back = execute(back_plan)
    if bool(_transient(back_plan.root)) == bool(carry):
        model = _in_stack(kind, kind.finished(kind.bridge.lend(back)))
        try:
            expected, returned, _ = _side_by_side(
                of_source,
                lambda call: _with_own_carry(plan, lambda own: kind.output(model, own), call),
                x,
                carry,
            )
        except Raised as raised:
            return _raised(question, raised, "what comes back")
        _compare(question, plan, returned, expected, "what comes back", again)
    _same_arrays(
        kind.bridge, kind.adopt(question.model), kind.adopt(kind.bridge.lend(back)), plan, back_plan
    )
    return Verdict(AGREES, "", shape)


def _judge_out(question: Question) -> Verdict:
    bridge, x, kind = question.framework.bridge, question.x, question.framework
    shape = tuple(x.shape[1:])
    try:
        said = shape if question.sized else None
        plan = plan_to(bridge, question.model, sample_input=said).require()
    except InteropError as error:
        return _refused(question, error)
    if bridge.channels_first and plan.example is not None and len(plan.example) != x.ndim - 1:
        return Verdict(NOT_CALLABLE)  # the model declares another size than that of this input
    carry = _carry(plan.root, question.model, x)
    node = execute(plan)
    model = _in_stack(kind, kind.finished(bridge.lend(node)))

    def of_source(call: Call) -> Any:
        return CORE_KIND.output(question.model, call)

    def of_target(call: Call) -> Any:
        first_in, first_out = plan.channels_first_in, plan.channels_first_out
        return kind.output(model, replace(call, first_in=first_in, first_out=first_out))

    try:
        expected, found, leading = _side_by_side(of_source, of_target, x, carry)
    except Raised as raised:
        declared = getattr(question.model, "in_size", None)
        if declared is not None and tuple(declared)[-1:] != shape[-1:]:
            return Verdict(NOT_CALLABLE)  # a size of one, which the core spreads
        return _raised(question, raised, "the framework's model")
    _heed_jax(question, plan, CORE_KIND, Call(x, 1, carry))
    again = _with_another(of_source, carry)
    _compare(question, plan, found, expected, "the framework's model", again)
    after = tuple(expected[0].shape[1:]) if leading else None
    try:
        back_plan = plan_from(bridge, kind.adopt(model), sample_input=shape).require()
    except InteropError as error:
        return Verdict(ONE_WAY, type(error).__name__, after)
    if _conventions(back_plan) != _conventions(plan) and x.ndim > 2:
        return Verdict(ONE_WAY, "other axes", after)
    back = execute(back_plan)
    if bool(_transient(back_plan.root)) == bool(carry):
        try:
            expected, returned, _ = _side_by_side(
                of_source, lambda call: CORE_KIND.output(back, call), x, carry
            )
        except Raised as raised:
            return _raised(question, raised, "what comes back")
        _compare(question, plan, returned, expected, "what comes back", again)
    _same_arrays(CORE, question.model, back, plan, back_plan)
    return Verdict(AGREES, "", after)


def _conventions(plan: Plan) -> tuple[bool, bool]:
    return plan.channels_first_in, plan.channels_first_out


class NotCallable(Exception):
    """The source itself does not take the input."""


class Raised(Exception):
    """What a model was converted into does not take the input."""


def _with_own_carry(plan: Plan, output: Any, call: Call) -> Any:
    """What a model gives for a carry of the core, which it takes and gives with its own axes."""
    y, carried = output(_own(plan, call))
    return y, _turned(carried, call.leading, first=False) if plan.channels_first_in else carried


def _own(plan: Plan, call: Call) -> Call:
    """The same call with the carry of the core as the framework's model takes it."""
    if not plan.channels_first_in:
        return call
    return replace(call, carry=_turned(call.carry, call.leading, first=True))


def _turned(carry: Any, leading: int, *, first: bool) -> dict[str, Any]:
    """A carry with the channels of its images moved to the front, or back to the end."""
    source, target = (-1, leading) if first else (leading, -1)
    return {
        name: np.moveaxis(array, source, target) if array.ndim - leading > 1 else array
        for name, array in carry.items()
    }


def _side_by_side(first: Any, second: Any, x: Any, carry: Any) -> tuple[Any, Any, int]:
    """What two models give for a batch; where the second takes none, for one example."""
    failure: Exception | None = None
    for leading in (1, 0):
        given = Call(
            x if leading else x[0], leading, {n: c if leading else c[0] for n, c in carry.items()}
        )
        try:
            expected = first(given)
        except Exception as error:
            if failure is not None:
                break
            raise NotCallable from error
        try:
            return expected, second(given), leading
        except Exception as error:
            failure = failure or error
    raise Raised(repr(failure)) from failure


def _with_another(model: Callable[[Call], Any], carry: Mapping[str, Any]) -> Callable[[Any], Any]:
    """What a model gives for another batch, or for one example where it takes none."""
    return lambda x: _side_by_side(model, model, x, carry)[0]


_OTHER_STATES = "init_state(batch_size) or reset_state(batch_size) makes states that fit"
"""What a cell of the core says where its states were made for the batch of the model's input."""


def _raised(question: Question, raised: Raised, whose: str) -> Verdict:
    if not question.sized or _mixed(question):
        return Verdict(REFUSED, "when called")  # nothing had said what it will be called on
    if _OTHER_STATES in str(raised):
        return Verdict(REFUSED, "when called")  # a layer in front joined the batch and other axes
    raise Wrong(f"{whose} raises {raised}")


def _in_stack(kind: Kind, model: Any) -> Any:
    """A bare function as a model."""
    bare = model[0] if isinstance(model, tuple) else model
    return kind.stack([model]) if isfunction(bare) else model


def isfunction(value: Any) -> bool:
    """Whether a thing is a function and no layer."""
    return is_function(value) and not isinstance(value, nnx.Module | linen.Module | eqx.Module)


def _transient(node: Node) -> tuple[str, ...]:
    entry = node.recipe.entry if node.recipe is not None else None
    return entry.transient if isinstance(entry, LayerMap) else ()


def _carry(node: Node, core: Any, x: Any) -> dict[str, Any]:
    """A drawn carry, where the layer's counterpart takes it as an argument."""
    names = _transient(node)
    if not names:
        return {}
    fresh: Any = jax.tree.map(lambda a: a, core)
    try:
        fresh.init_state(x.shape[0])
    except ValueError as error:  # it was made with a state that cannot be
        raise NotCallable from error
    held = leaves(fresh)
    draw = np.random.default_rng(4)
    return {n: draw.normal(size=held[n].shape).astype(x.dtype) for n in names}


_HALF = 1e-3
"""Tolerances above are those of half precision."""
_DOUBLE = 1e-8
"""Above are those of layers that compute in another type, whatever they are given."""


def _types(plan: Plan, *trees: Any) -> list[Any]:
    types = [array.dtype for tree in trees for array in jax.tree.leaves(tree)]
    for node in plan.root.walk():
        types += [array.dtype for array in node.leaves.values() if hasattr(array, "dtype")]
        for options in (node.recipe.options, node.recipe.target_options) if node.recipe else ():
            found = [(options or {}).get(n) for n in ("dtype", "param_dtype")]
            types += [jnp.dtype(t) for t in found if t is not None]
    return types


def _compare(
    question: Question,
    plan: Plan,
    found: Any,
    expected: Any,
    whose: str,
    again: Callable[[Any], Any],
) -> None:
    """Raise where results differ by more than rounding does.

    Args:
        question: what was drawn.
        plan: the conversion.
        found: one result.
        expected: the other.
        whose: what gave the first.
        again: what gives the second for another input of the same kind.
    """
    for here, there in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        if here.shape != there.shape:
            raise Wrong(f"{whose} gives the shape {here.shape}, not {there.shape}")
        if _rounded(question, plan, here, there):
            raise NotCallable
        if here.dtype != there.dtype and not (_unheard_of(question) or _noted(plan)):
            raise Wrong(f"{whose} gives {here.dtype}, not {there.dtype}")
    relative = relative_tolerance(_types(plan, expected, question.x), question.depth)
    if question.wide:
        relative = max(relative, _DOUBLE)
    for node in plan.root.walk():
        entry = node.recipe.entry if node.recipe is not None else None
        if isinstance(entry, LayerMap) and entry.tolerance is not None:
            relative = max(relative, entry.tolerance.relative, entry.tolerance.absolute)
    if relative > (_DOUBLE if question.wide else _HALF):  # double precision tells nothing of these
        apart = beyond_rounding(
            found, expected, relative, question.x, lambda x: again(np.asarray(x))
        )
    else:
        apart = difference(found, expected, relative)
    if not apart.agrees:
        raise Inexact(f"{whose} computes something else: it {apart}")


def _unheard_of(question: Question) -> bool:
    """Norms of Equinox give the type of their input, which no conversion hears of."""
    return question.framework.name == "equinox" and question.x.dtype.itemsize < 4


def _rounded(question: Question, plan: Plan, found: Any, expected: Any) -> bool:
    """Whether a norm of Equinox got whole numbers, and cut what it computed to such."""
    if question.kind.name != "equinox" or question.x.dtype.kind != "i":
        return False
    cores = (node.recipe.core for node in plan.root.walk() if node.recipe is not None)
    cuts = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.InstanceNorm)
    kinds = (found.dtype.kind, expected.dtype.kind)
    return kinds == ("f", "i") and any(isinstance(core, cuts) for core in cores)


def _mixed(question: Question) -> bool:
    """Convolutions of Equinox take no input of another type than that of their weights."""
    arrays = (*question.kind.apart(question.model)[0], question.x)
    types = {a.dtype for a in arrays if jnp.issubdtype(a.dtype, jnp.inexact)}
    return question.framework.name == "equinox" and len(types) > 1


def _noted(plan: Plan) -> bool:
    """Whether the documentation of a layer says that the two sides give other types."""
    entries = (node.recipe.entry for node in plan.root.walk() if node.recipe is not None)
    notes = " ".join(entry.note for entry in entries if isinstance(entry, LayerMap))
    return "dtype" in notes or "float32" in notes


def _heed_announced(plan: Plan, sample: Shape | None, y: Any) -> None:
    """The shape that the plan announces is the one that comes, where the core knows it."""
    recipe = plan.root.recipe
    if recipe is None or plan.channels_first_out or sample is None:
        return
    if (recipe.options or {}).get("w_mask") is not None:
        return  # a mask may make the weight wider, as it does on both sides
    try:
        announced = recipe.output_size(sample)
    except ValueError:
        return
    if announced is not None and announced != y.shape[1:]:
        raise Wrong(f"the plan announces the shape {announced}, and {y.shape[1:]} comes")


def _heed_jax(question: Question, plan: Plan, kind: Kind, call: Call) -> None:
    """What is evaluated here is what JAX computes."""
    if not question.by_jax:
        return
    expected = kind.output(question.model, call)
    found = kind.output(question.model, call, by_jax=True)
    types = _types(plan, found, kind.apart(question.model)[0], call.x)
    apart = difference(found, expected, 4 * relative_tolerance(types, question.depth))
    if not apart.agrees:
        raise Wrong(f"the evaluation without compiling: it {apart}")


def _same_arrays(side: Any, source: Any, back: Any, *plans: Plan) -> None:
    """Layers that come back as what they were hold the bits that they held."""
    exact = all(
        move.layout.exact
        for plan in plans
        for node in plan.root.walk()
        if node.recipe is not None
        for move in node.recipe.moves
    )
    here, there = _flat(side, source), _flat(side, back)
    if len(here) != len(there):
        return  # a stack around it, or an axis move
    left_out = set(CORE_IGNORED.names) | {"in_size"} if side is CORE else set(side.ignored)
    for a, b in zip(here, there, strict=True):
        if side.key(a) is not side.key(b):
            continue
        if not _same_options(side.config(a), side.config(b), left_out):
            continue
        ours, theirs = side.leaves(a), side.leaves(b)
        if ours.keys() != theirs.keys():
            if side is CORE and (ours.keys() <= theirs.keys() or ours.keys() >= theirs.keys()):
                continue  # one of the two is in use, and holds states
            raise Wrong(f"{side.title(a)} comes back with {sorted(theirs)}, not {sorted(ours)}")
        resized = side is CORE and getattr(a, "in_size", None) != getattr(b, "in_size", None)
        for name, array in ours.items():
            other = theirs[name]
            if resized and other.size == array.size:  # the sizes in front were said by the sample
                other = other.reshape(array.shape)
            _same_array(f"{side.title(a)}: {name}", array, other, exact=exact)


def _same_array(name: str, array: Any, other: Any, *, exact: bool) -> None:
    if (array.shape, array.dtype) != (other.shape, other.dtype):
        raise Wrong(
            f"{name} comes back as {other.dtype}{other.shape}, not {array.dtype}{array.shape}"
        )
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return
    x, y = np.asarray(array), np.asarray(other)
    if exact or not jnp.issubdtype(x.dtype, jnp.inexact):
        same = x.tobytes() == y.tobytes()
    else:
        same = np.allclose(x.astype(float), y.astype(float), 1e-5, 1e-5)
    if not same:
        raise Wrong(f"{name} comes back with other bits")


def _same_options(here: Any, there: Any, left_out: set[str]) -> bool:
    """Whether the options are the same; arrays may be stored otherwise for others."""
    names = (here.keys() | there.keys()) - left_out
    return all(n in here and n in there and alike(here[n], there[n]) for n in names)


def _flat(side: Any, node: Any) -> list[Any]:
    return [layer for _, layer in layers_of(side, node)]
