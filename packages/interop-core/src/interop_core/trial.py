"""What models are put through to tell them apart: sums to differentiate, training steps.

`verify` and `compare` stand on it. Imports `agreement`, `calling`, jax
and numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .agreement import Difference, difference
from .calling import Call, Outcome

STEPS = 2
"""Training steps that models with running statistics take."""

GRADIENTS = 4.0
"""How much more a gradient may be off than an output: it sums over the whole batch."""

_FURTHEST = 0.02
"""What one operation in half precision may be off by; the tolerance of many is more."""

_DRAWING = ("random_bits", "random_gamma", "rng_bit_generator", "rng_uniform")
"""Primitives of jax that draw; splitting a key, or folding numbers in, is none."""

Runs = Callable[[Any, Call], Outcome]
"""Calls a model, or a layer, of one of the two sides."""


def random_sum(tree: Any) -> Any:
    """A sum of all floating-point numbers of a tree, each with a random weight of its own.

    Returns:
        A real scalar; ``None`` for a tree without such numbers.

    Example:
        >>> float(random_sum({"a": jnp.zeros(3)})), random_sum([jnp.arange(3)])
        (0.0, None)
    """
    draw = np.random.default_rng(9)
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    terms = [jnp.sum(jnp.real(a * draw.normal(size=a.shape).astype(a.dtype))) for a in floats]
    return sum(terms) if terms else None


def elsewhere(x: Any) -> Any:
    """Another input of the same kind: numbers that are near, each beside other ones.

    Where a number stands at a kink rounding decides the slope; not for two inputs.
    """
    return jnp.roll(x, 1) * 0.9 + 0.05 if jnp.issubdtype(x.dtype, jnp.inexact) else x


def nudged(x: Any, relative: float) -> Any:
    """The same input, each number off by half of a relative difference.

    What that does to a result is what rounding may do to it: a norm of numbers that are nearly
    alike magnifies it, as no tolerance that the types alone tell can know.

    Args:
        x: the input.
        relative: the relative difference that rounding explains.

    Example:
        >>> bool((abs(abs(nudged(jnp.ones(9), 0.01) - 1) - 0.005) < 1e-6).all())
        True
        >>> nudged(jnp.arange(2), 0.01).tolist()
        [0, 1]
    """
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    signs = np.random.default_rng(6).choice([-0.5, 0.5], size=x.shape)
    return x * (1 + min(relative, _FURTHEST) * signs).astype(x.dtype)


def beyond_rounding(
    found: Any, expected: Any, relative: float, x: Any, again: Callable[[Any], Any]
) -> Difference:
    """Compare two results, and where they differ, see how far rounding of the input carries.

    Args:
        found: one result.
        expected: the other.
        relative: difference that rounding explains, relative to the largest number.
        x: the input of both.
        again: what gives the second result for another input.

    Returns:
        How far they are apart, allowing for both roundings.

    Example:
        >>> def cancelling(x):
        ...     return (x - 1) * 1e6
        >>> x = jnp.float32(1.001)
        >>> beyond_rounding(cancelling(x) + 1, cancelling(x), 1e-5, x, cancelling).agrees
        True
    """
    apart = difference(found, expected, relative)
    if apart.agrees:
        return apart
    return apart.widened(difference(again(nudged(x, relative)), expected, relative))


def training_steps(
    run_here: Runs, run_there: Runs, here: Any, there: Any, call: Call
) -> list[tuple[str, Any, Any]]:
    """Some training steps of two models, and what they make of the input afterwards.

    Args:
        run_here: calls the first model.
        run_there: calls the second one.
        here: the first model.
        there: the second one.
        call: a call of both; each step takes other numbers than this.

    Returns:
        What was computed, by the first and by the second model.
    """
    given, outputs = (call.x, *call.others), []
    for step in range(STEPS + 1):
        inputs = [_at_step(x, step) for x in given]
        moving = replace(call, x=inputs[0], others=tuple(inputs[1:]), training=step < STEPS)
        ours, theirs = run_here(here, moving), run_there(there, moving)
        last = f"output after {STEPS} training steps"
        what = f"output of training step {step + 1}" if step < STEPS else last
        outputs.append((what, ours.y, theirs.y))
        here, there = ours.model, theirs.model
    return outputs


def draws_numbers(run: Runs, model: Any, call: Call) -> bool:
    """Whether a model draws random numbers in training; true where a trace cannot tell."""

    def program(x: Any, others: Any) -> Any:
        return run(model, replace(call, x=x, others=others, training=True)).y

    try:
        text = str(jax.make_jaxpr(program)(call.x, call.others))
    except Exception:
        return True
    return any(name in text for name in _DRAWING)


def _at_step(x: Any, step: int) -> Any:
    """Numbers of another mean and spread, whose mean is no larger beside their spread.

    Where it is far larger, a variance is what rounding leaves of a difference of large numbers.
    """
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    size = jnp.sqrt(jnp.mean(jnp.square(jnp.abs(x)))).astype(x.dtype)
    return x * (1 + step) + step * size
