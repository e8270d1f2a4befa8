"""What is checked of each case of a row: the two layers compute the same.

Each function takes a `Pair` and raises `AssertionError` with what it found. Imports jax, numpy and
the engine; no test library.
"""

from __future__ import annotations

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


def forward_agrees(pair: Pair) -> None:
    """Both layers give the same for a batch, and so does the layer that came back."""
    call = pair.call()
    expected = pair.call_core(call)
    _compare_outcomes(pair, pair.call_foreign(call), expected, "framework")
    back = pair.import_(pair.foreign)
    if not pair.turned:
        _compare_outcomes(pair, pair.call_core(call, back), expected, "core to framework to core")


def forward_agrees_without_batch(pair: Pair) -> None:
    """Both layers give the same for one example, where both take one as they take it in a batch."""
    batch = pair.call()
    of_first = pair.call_core(batch)
    carry = {name: array[0] for name, array in batch.carry.items()}
    call = replace(batch, x=batch.x[0], leading=0, carry=carry)

    def core(x: Any) -> tuple[Any, Any]:
        outcome = pair.call_core(replace(call, x=x))
        return outcome.y, dict(outcome.carry)

    def foreign(x: Any) -> tuple[Any, Any]:
        outcome = pair.call_foreign(replace(call, x=x))
        return outcome.y, dict(outcome.carry)

    try:
        # One program compiles faster than each of its operations on a shape of its own.
        expected, found = jax.jit(core)(call.x), jax.jit(foreign)(call.x)
    except _CANNOT:
        return
    alone, among = jnp.asarray(expected[0]), jnp.asarray(of_first.y)
    if alone.shape != among.shape[1:] or not np.allclose(alone, among[0], 1e-4, 1e-4):
        return  # the core takes the first axis for the batch's, whatever comes
    _compare_outcomes(pair, Outcome(*found), Outcome(*expected), "one example")


def gradients_agree(pair: Pair) -> None:
    """Gradients by input and by parameters agree; the parameters' go through the layouts."""
    call = pair.call()
    weight = np.random.default_rng(2).normal(size=pair.call_core(call).y.shape)
    differentiable = jnp.issubdtype(call.x.dtype, jnp.floating)

    def core(arrays: Arrays, x: Any) -> Any:
        made = pair.build_core({**pair.core_arrays, **arrays})
        return jnp.sum(call_core(made, replace(call, x=x)).y * weight)

    def foreign(arrays: Arrays, x: Any) -> Any:
        made = pair.build_foreign({**pair.foreign_arrays, **arrays})
        return jnp.sum(pair.harness.call(made, replace(call, x=x)).y * weight)

    inputs = (0, 1) if differentiable else 0
    here = jax.jit(jax.grad(core, inputs))(_floating(pair.core_arrays), call.x)
    there = jax.jit(jax.grad(foreign, inputs))(_floating(pair.foreign_arrays), call.x)
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
    if not graph.states(pair.core, BatchState):
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
