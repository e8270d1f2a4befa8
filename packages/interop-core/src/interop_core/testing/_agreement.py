"""What is checked of each case of a row: the two layers compute the same.

Each function takes a `Pair` and raises `AssertionError` with what it found. Imports jax, numpy and
the engine; no test library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import graph
from ..layout import carry
from ..mapping import Tolerance
from ..state import BatchState
from ._checks import PairCheck, require
from ._harness import Outcome, call_core
from ._samples import Arrays, Pair, Way

FORWARD = Tolerance(1e-5, 1e-5, "the same float32 sums, perhaps in another order")
STEPS = 3
"""Training steps after which running statistics are compared."""

_CANNOT = (ValueError, TypeError, IndexError, AssertionError, ZeroDivisionError)


def _compare(pair: Pair, found: Any, expected: Any, what: str) -> None:
    tolerance = pair.row.tolerance or FORWARD
    require(
        (jnp.shape(found), jnp.result_type(found))
        == (jnp.shape(expected), jnp.result_type(expected)),
        f"{what}: {jnp.result_type(found)}{jnp.shape(found)} is not "
        f"{jnp.result_type(expected)}{jnp.shape(expected)}",
    )
    np.testing.assert_allclose(
        np.asarray(found, np.float64),
        np.asarray(expected, np.float64),
        rtol=tolerance.relative,
        atol=tolerance.absolute,
        err_msg=what,
    )


def _compare_outcomes(pair: Pair, found: Outcome, expected: Outcome, what: str) -> None:
    _compare(pair, found.y, expected.y, f"{what}: output")
    require(found.carry.keys() == expected.carry.keys(), f"{what}: carries {sorted(found.carry)}")
    for name, array in expected.carry.items():
        _compare(pair, found.carry[name], array, f"{what}: {name}")


def _parts(outcome: Outcome) -> tuple[Any, dict[str, Any]]:
    return outcome.y, dict(outcome.carry)


def forward_agrees(pair: Pair) -> None:
    """Both layers give the same for a batch, and so does the layer that came back.

    The first case of a row runs operation by operation, as people call a layer that they look at.
    The others are one program: it compiles faster than each of its operations.
    """
    call = pair.call()

    def core(here: Arrays, _: Arrays, x: Any) -> tuple[Any, Any]:
        made = pair.build_core({**pair.core_arrays, **here})
        return _parts(call_core(made, replace(call, x=x)))

    def foreign(_: Arrays, there: Arrays, x: Any) -> tuple[Any, Any]:
        made = pair.build_foreign({**pair.foreign_arrays, **there})
        return _parts(pair.harness.call(made, replace(call, x=x)))

    def back(_: Arrays, there: Arrays, x: Any) -> tuple[Any, Any]:
        made = pair.import_(pair.build_foreign({**pair.foreign_arrays, **there}))
        return _parts(call_core(made, replace(call, x=x)))

    axis = _axis_of(pair)
    if axis is None and pair.sample.case in (pair.row.cases or pair.row.foreign_cases)[:1]:
        outcomes = [_parts(pair.call_core(call)), _parts(pair.call_foreign(call))]
        if not pair.turned:
            outcomes.append(_parts(pair.call_core(call, pair.import_(pair.foreign))))
    else:
        functions = (core, foreign) if pair.turned else (core, foreign, back)
        outcomes = _compiled(*functions, axis=axis)(*_floats(pair), _among(pair, call.x, axis))
    expected, *found = (Outcome(*outcome) for outcome in outcomes)
    for what, outcome in zip(("framework", "core to framework to core"), found, strict=False):
        _compare_outcomes(pair, outcome, expected, what)


def _compiled(*functions: Callable[..., Any], axis: Any = None) -> Callable[..., list[Any]]:
    """One program that calls several functions on the same arguments.

    Where a mapped axis is named, the last argument has one more axis in front for it.
    """

    def all_of(*given: Any) -> list[Any]:
        return [function(*given) for function in functions]

    def over_axis(*given: Any) -> list[Any]:
        axes = (*(None for _ in given[1:]), 0)
        found: list[Any] = jax.vmap(all_of, axes, axis_name=axis)(*given)
        return found

    program: Callable[..., list[Any]] = jax.jit(all_of if axis is None else over_axis)
    return program


def _axis_of(pair: Pair) -> Any:
    """The mapped axis that the case's layer computes something over, if it names one."""
    return graph.configuration(pair.core).get("axis_name")


def _among(pair: Pair, x: Any, axis: Any) -> Any:
    """The input, with others of its kind along a mapped axis."""
    return x if axis is None else jnp.stack([x, pair.input(x.shape[:1], seed=11)])


def _floats(pair: Pair) -> tuple[Arrays, Arrays]:
    """The numbers of both layers; integers say where something is, and stay known to a trace."""
    return _floating(pair.core_arrays), _floating(pair.foreign_arrays)


def forward_agrees_without_batch(pair: Pair) -> None:
    """Both layers give the same for one example, where both take one as they take it in a batch."""
    if _axis_of(pair) is not None:
        return
    batch = pair.call()
    carry = {name: array[0] for name, array in batch.carry.items()}
    call = replace(batch, leading=0, carry=carry)

    def among(x: Any) -> Any:
        return pair.call_core(replace(batch, x=x)).y

    def core(x: Any) -> tuple[Any, Any]:
        return _parts(pair.call_core(replace(call, x=x[0])))

    def foreign(x: Any) -> tuple[Any, Any]:
        return _parts(pair.call_foreign(replace(call, x=x[0])))

    try:
        of_first, expected, found = _compiled(among, core, foreign)(batch.x)
    except _CANNOT:
        return
    alone = jnp.asarray(expected[0])
    if alone.shape != of_first.shape[1:] or not np.allclose(alone, of_first[0], 1e-4, 1e-4):
        return  # the core takes the first axis for the batch's, whatever comes
    _compare_outcomes(pair, Outcome(*found), Outcome(*expected), "one example")


def gradients_agree(pair: Pair) -> None:
    """Gradients by input and by parameters agree; the parameters' go through the layouts."""
    call, axis = pair.call(), _axis_of(pair)
    inside = _compiled(lambda x: pair.call_core(replace(call, x=x)).y, axis=axis)
    (output,) = jax.eval_shape(inside, _among(pair, call.x, axis))
    shape = output.shape if axis is None else output.shape[1:]
    weight = np.random.default_rng(2).normal(size=shape)
    differentiable = jnp.issubdtype(call.x.dtype, jnp.floating)

    def core(arrays: Arrays, x: Any) -> Any:
        made = pair.build_core({**pair.core_arrays, **arrays})
        return jnp.sum(call_core(made, replace(call, x=x)).y * weight)

    def foreign(arrays: Arrays, x: Any) -> Any:
        made = pair.build_foreign({**pair.foreign_arrays, **arrays})
        return jnp.sum(pair.harness.call(made, replace(call, x=x)).y * weight)

    inputs = (0, 1) if differentiable else 0
    here, there = _compiled(
        lambda here, _, x: jax.grad(core, inputs)(here, x),
        lambda _, there, x: jax.grad(foreign, inputs)(there, x),
        axis=axis,
    )(*_floats(pair), _among(pair, call.x, axis))
    if axis is not None:
        here, there = jax.tree.map(lambda gradient: gradient[0], (here, there))
    if differentiable:
        (here, here_x), (there, there_x) = here, there
        _compare(pair, there_x, here_x, "gradient by the input")
    for way in pair.ways:
        if not all(name in here for name in way.core):
            continue
        arrays = tuple(here[name] for name in way.core)
        if way.layout.linear:
            moved = carry(way.layout, arrays)
            for name, array in zip(way.foreign, moved, strict=True):
                _compare(pair, there[name], array, f"gradient by {name}")
            continue
        pulled = _pulled_back(pair, way, tuple(there[name] for name in way.foreign))
        for name, found, expected in zip(way.core, pulled, arrays, strict=True):
            _compare(pair, found, expected, f"gradient by {name}")


def _pulled_back(pair: Pair, way: Way, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
    """The framework's gradients in terms of the core's arrays, by the chain rule."""
    _, pull = jax.vjp(lambda *a: way.layout(a), *(pair.core_arrays[n] for n in way.core))
    return tuple(pull(gradients))


def _floating(arrays: Arrays) -> dict[str, Any]:
    return {n: a for n, a in arrays.items() if jnp.issubdtype(a.dtype, jnp.floating)}


def statistics_agree(pair: Pair) -> None:
    """After some training steps both sides gave the same outputs and hold the same statistics."""
    if not graph.states(pair.core, BatchState) or _axis_of(pair) is not None:
        return
    core, foreign = pair.build_core(pair.core_arrays), pair.build_foreign(pair.foreign_arrays)
    for step in range(STEPS):
        call = pair.call((4,), training=True, seed=step)
        here, there = pair.call_core(call, core), pair.call_foreign(call, foreign)
        _compare_outcomes(pair, there, here, f"training step {step}")
        core, foreign = here.model, there.model
    before, after = pair.core_arrays, graph.leaves(core)
    require(
        any(not np.array_equal(after[name], before[name]) for name in after),
        "training moved no statistic of the core",
    )
    held = pair.harness.read(foreign)
    for way in pair.ways:
        moved = carry(way.layout, tuple(after[name] for name in way.core))
        for name, array in zip(way.foreign, moved, strict=True):
            if jnp.issubdtype(array.dtype, jnp.floating):
                _compare(pair, held[name], array, name)


AGREEMENT: tuple[PairCheck, ...] = (
    forward_agrees,
    forward_agrees_without_batch,
    gradients_agree,
    statistics_agree,
)
