"""Measures each layer's compiled call, and call with gradients, against the published layer's.

Every plain row of the catalogue is built in both libraries with the same states and called on a
larger batch. What is timed is the compiled program alone, on plain lists of arrays, so that neither
library's way to start one counts. The two take turns; a ratio is the median over the rounds.
docs/benchmarks.md says how to read the table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import brainstate
import jax
import jax.numpy as jnp
import numpy as np

from _table import show_table
from interop_core import environ, graph, nn
from interop_core.testing.catalogue import ROWS, Row

LARGER = 128
"""How many times as many examples as in the row: enough for computing to outweigh starting."""
LIMIT = 1.05
TURN = 0.02  # seconds of repeated calls in one turn

Program = Callable[[], Any]


def larger(row: Row) -> tuple[tuple[Any, ...], int | None]:
    """The row's inputs with a larger batch, and the batch size for its states."""
    lead = next((np.shape(x)[:1] for x in row.arguments()), ())
    arguments = []
    for x in row.arguments():
        repeats = (LARGER,) + (1,) * (x.ndim - 1) if x.ndim and np.shape(x)[:1] == lead else ()
        arguments.append(jnp.tile(x, repeats) if repeats else x)
    return tuple(arguments), None if row.batch is None else row.batch * LARGER


def weighed(tree: Any) -> Any:
    """A number made of the floating-point outputs, to differentiate."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return sum(jnp.sum(jnp.sin(x)) for x in leaves)


def programs(call: Callable[..., Any], values: Any, arguments: Any) -> tuple[Program, Program]:
    """The compiled call, and the compiled gradients by parameters and inputs."""
    flat, structure = jax.tree.flatten((values, arguments))
    moving = [i for i, x in enumerate(flat) if jnp.issubdtype(x.dtype, jnp.floating)]

    def forward(leaves: list[Any]) -> Any:
        return jax.tree.leaves(call(*jax.tree.unflatten(structure, leaves)))

    def loss(floats: list[Any], leaves: list[Any]) -> Any:
        leaves = list(leaves)
        for place, value in zip(moving, floats, strict=True):
            leaves[place] = value
        return weighed(forward(leaves))

    compiled = jax.jit(forward).lower(flat).compile()
    floats = [flat[i] for i in moving]
    backward = jax.jit(jax.grad(loss)).lower(floats, flat).compile()
    return lambda: compiled(flat), lambda: backward(floats, flat)


def of_ours(layer: Any, arguments: Any) -> tuple[Program, Program]:
    """The programs of one of our layers."""
    values, structure = jax.tree.flatten(layer)
    unflatten: Any = jax.tree.unflatten

    def call(values: Any, arguments: Any) -> Any:
        module = unflatten(structure, values)
        output = module(*arguments)
        after = jax.tree.leaves(module)
        # What was only read is no result: the published function gives none of it either.
        return output, [new for new, old in zip(after, values, strict=True) if new is not old]

    return programs(call, values, arguments)


def of_published(layer: Any, arguments: Any) -> tuple[Program, Program]:
    """The programs of a published layer."""
    function = brainstate.transform.StatefulFunction(lambda *xs: layer(*xs))
    function.make_jaxpr(*arguments)
    states = function.get_states(*arguments)

    def call(values: Any, arguments: Any) -> Any:
        return function.jaxpr_call(values, *arguments)

    return programs(call, [state.value for state in states], arguments)


def built(row: Row, namespace: Any, batch: int | None) -> Any:
    """A layer of a row."""
    layer = row.make(namespace)
    if batch is not None:
        namespace.init_all_states(layer, batch)
    return layer


def subjects(row: Row) -> tuple[tuple[Program, Program], tuple[Program, Program]]:
    """Our programs and the published ones, from the same states."""
    arguments, batch = larger(row)
    ours, published = built(row, nn, batch), built(row, brainstate.nn, batch)
    for path, state in graph.states(ours).items():
        published.states()[path].value = state.value
    return of_ours(ours, arguments), of_published(published, arguments)


def turn(program: Program, calls: int) -> float:
    """Seconds of one call, over several."""
    started = time.perf_counter()
    result = program()
    for _ in range(calls - 1):
        result = program()
    jax.block_until_ready(result)
    return (time.perf_counter() - started) / calls


def compare(ours: Program, published: Program, rounds: int) -> tuple[float, float]:
    """Microseconds of ours, and the ratio of ours to the published."""
    calls = max(1, int(TURN / max(turn(published, 1), turn(published, 3), 1e-6)))
    turn(ours, 3)
    pairs = []
    for number in range(rounds):
        # Who comes first alternates: the second finds the caches warmer.
        order = (ours, published) if number % 2 else (published, ours)
        first, second = (turn(program, calls) for program in order)
        pairs.append((first, second) if number % 2 else (second, first))
    microseconds = statistics.median(mine for mine, _ in pairs) * 1e6
    return microseconds, statistics.median(mine / theirs for mine, theirs in pairs)


def main() -> int:
    """Print the table of ratios and which layers are beyond the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--layer", action="append", help="only this layer (repeatable)")
    options = parser.parse_args()
    cells, beyond, failed = [], [], []
    for row in ROWS:
        wanted = row.name in options.layer if options.layer else not row.case
        if not wanted or row.chance or not row.differentiable:
            continue
        with ExitStack() as stack:
            stack.enter_context(environ.context(**row.context))
            stack.enter_context(brainstate.environ.context(**row.context))
            try:
                (ours, ours_back), (theirs, theirs_back) = subjects(row)
            except Exception as error:
                failed.append(f"{row}: {type(error).__name__}: {str(error).splitlines()[0]}")
                continue
            forward, backward = (
                compare(mine, peer, options.rounds)
                for mine, peer in ((ours, theirs), (ours_back, theirs_back))
            )
        for what, (_, ratio) in (("forward", forward), ("backward", backward)):
            if ratio > LIMIT:
                beyond.append(f"{row} {what} {ratio:.2f}")
        cells.append(
            (str(row), *(f"{n:.1f}" if n > 2 else f"{n:.2f}" for n in (*forward, *backward)))
        )
    headers = ("layer", "forward, us", "ours / published", "backward, us", "ours / published")
    show_table("Compiled layers", headers, cells)
    print(f"{len(cells)} layers; beyond {LIMIT}: {', '.join(beyond) or 'none'}")
    for text in failed:
        print("not measured:", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
