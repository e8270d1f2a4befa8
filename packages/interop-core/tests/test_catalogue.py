"""What every layer of the catalogue does, whatever its family: the checks that come with a row."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn, random
from interop_core.nn import init
from interop_core.state import ParamState
from interop_core.testing import quick_compilation
from interop_core.testing.catalogue import ROWS, Row


def rows(keep: Callable[[Row], bool] = lambda row: True) -> pytest.MarkDecorator:
    """Parametrize a test over the rows that it is about."""
    return pytest.mark.parametrize("row", [row for row in ROWS if keep(row)], ids=str)


def plain(row: Row) -> bool:
    """Whether a row stands for its layer: what holds for one construction holds for the others."""
    return not row.case


def comparable(row: Row) -> bool:
    """Whether the published layer must give the very same numbers."""
    return row.differs is None and not row.chance


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


@contextmanager
def settings(row: Row, **more: Any) -> Iterator[None]:
    """The row's environment, for both libraries."""
    with environ.context(**row.context, **more), brainstate.environ.context(**row.context, **more):
        yield


def built(row: Row, namespace: Any = nn) -> Any:
    """A layer of a row with random numbers in its parameters, ready to be called."""
    random.seed(0)
    layer = row.make(namespace)
    if row.batch is not None:
        namespace.init_all_states(layer, row.batch)
    return layer


def spread(layer: Any) -> None:
    """Put other numbers than the usual zeros and ones into the floating-point parameters."""
    draw = np.random.default_rng(1)
    for state in graph.states(layer, ParamState).values():
        state.value = jax.tree.map(
            lambda a: (
                (a + 0.1 * draw.normal(size=np.shape(a))).astype(a.dtype)
                if jnp.issubdtype(jnp.result_type(a), jnp.floating)
                else a
            ),
            state.value,
        )


def twins(row: Row) -> tuple[Any, Any]:
    """Our layer and the published one with the same states, found by path."""
    ours = built(row)
    spread(ours)
    published = built(row, brainstate.nn)
    mine, theirs = ours.states(), published.states()
    assert {k: type(s).__name__ for k, s in mine.items()} == {
        k: type(s).__name__ for k, s in theirs.items()
    }
    for path, state in mine.items():
        described = (jax.tree.map(describe, s.value) for s in (state, theirs[path]))
        assert next(described) == next(described), path
        theirs[path].value = state.value
    return ours, published


def describe(array: Any) -> tuple[tuple[int, ...], str]:
    """Shape and dtype."""
    return jnp.shape(array), str(jnp.result_type(array))


def agree(ours: Any, expected: Any, tolerance: float, what: str = "") -> None:
    """Both have one structure, and in it the same dtypes, shapes and numbers."""
    mine, structure = jax.tree.flatten(ours)
    theirs, expected_structure = jax.tree.flatten(expected)
    assert len(mine) == len(theirs), f"{what}: {structure} is not {expected_structure}"
    for a, b in zip(mine, theirs, strict=True):
        assert describe(a) == describe(b), what
        if jnp.issubdtype(a.dtype, jnp.inexact):
            x, y = (np.asarray(v, np.complex128) for v in (a, b))
            finite = np.abs(y[np.isfinite(y)])
            scale = max(1.0, finite.max(initial=0.0))
            np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * scale, err_msg=what)
        else:
            np.testing.assert_array_equal(a, b, err_msg=what)


def run(row: Row, layer: Any, dtype: Any = np.float32) -> list[Any]:
    """The outputs of the row's calls, one after the other."""
    return [layer(*row.arguments(step, dtype)) for step in range(row.steps)]


def floating(tree: Any) -> list[Any]:
    """The leaves that can have a gradient."""
    return [x for x in jax.tree.leaves(tree) if jnp.issubdtype(jnp.result_type(x), jnp.floating)]


def weighed(tree: Any) -> Any:
    """A number made of an output in which no two entries count alike."""
    return sum(jnp.sum(x * jnp.cos(jnp.arange(x.size).reshape(x.shape))) for x in floating(tree))


# -- against the published layer -------------------------------------------------------------------


@rows(comparable)
def test_computes_what_the_published_layer_computes(row: Row) -> None:
    with settings(row):
        ours, published = twins(row)
        assert ours.in_size == published.in_size
        assert ours.out_size == published.out_size
        for step in range(row.steps):
            arguments = row.arguments(step)
            agree(ours(*arguments), published(*arguments), row.tolerance, f"output {step}")
            for path, state in ours.states().items():
                expected = published.states()[path].value
                agree(state.value, expected, row.tolerance, f"{path} after call {step}")


@rows(lambda row: comparable(row) and row.differentiable)
def test_has_the_gradients_of_the_published_layer(row: Row) -> None:
    with settings(row):
        ours, published = twins(row)
        arguments = row.arguments()
        places = tuple(
            i for i, x in enumerate(arguments) if jnp.issubdtype(x.dtype, jnp.floating) and x.size
        )
        trained = published.states(brainstate.ParamState)
        differentiate = jax.grad(
            lambda layer, *xs: weighed(layer(*xs)),
            argnums=(0, *(place + 1 for place in places)),
            allow_int=True,
        )
        layer, *inputs = differentiate(ours, *arguments)
        grads = graph.states(layer, ParamState)
        expected = brainstate.transform.grad(
            lambda *xs: weighed(published(*xs)), trained or None, argnums=places or None
        )(*arguments)
        by_state, by_input = expected if trained and places else (expected, expected)
        for path in trained:
            agree(grads[path].value, by_state[path], 10 * row.tolerance, f"gradient of {path}")
        if places:
            agree(inputs, by_input, 10 * row.tolerance, "gradient of the input")


@rows(lambda row: comparable(row) and plain(row))
def test_computes_the_same_in_double_precision(row: Row) -> None:
    with settings(row, precision=64):
        ours, published = twins(row)
        # What double precision leaves of a difference that is due to rounding.
        tolerance = max(1e-12, row.tolerance * 1e-8)
        for step in range(row.steps):
            arguments = row.arguments(step, np.float64)
            agree(ours(*arguments), published(*arguments), tolerance, f"output {step}")


@rows(lambda row: comparable(row) and row.differentiable and plain(row))
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_takes_half_precision_as_the_published_layer_does(row: Row, dtype: str) -> None:
    with settings(row):
        ours, published = twins(row)
        arguments = row.arguments(0, jnp.dtype(dtype))
        try:
            theirs = published(*arguments)
        except TypeError:  # of a published convolution, where input and weights differ in type
            for layer in (ours, published):
                for state in layer.states().values():
                    state.value = jax.tree.map(lambda x: x.astype(dtype), state.value)
            theirs = published(*arguments)
        mine = ours(*arguments)
        # A few roundings of the coarser type in another order.
        agree(mine, theirs, 2**-5 if dtype == "bfloat16" else 2**-8)


# -- what a layer is -------------------------------------------------------------------------------


@rows()
def test_is_described_by_itself(row: Row) -> None:
    with settings(row):
        layer = built(row)
        assert type(layer).__name__ == row.name
        assert isinstance(layer, nn.Module)
        assert row.name in repr(layer)
        configuration = graph.configuration(layer)  # every argument can be read back
        assert all(not isinstance(value, jax.core.Tracer) for value in configuration.values())
        outputs = run(row, layer)
        for leaf in floating(outputs):
            assert np.isfinite(np.asarray(leaf, np.float32)).all()


@rows()
def test_says_the_shape_of_its_output(row: Row) -> None:
    with settings(row):
        layer = built(row)
        (first, *others) = row.arguments()
        output = layer(first, *others)
        if layer.in_size is None or others or not hasattr(output, "shape"):
            return
        lead = first.ndim - len(layer.in_size)
        assert lead >= 0
        assert first.shape[lead:] == layer.in_size
        assert layer.output_size(layer.in_size) == output.shape[lead:]
        assert layer.out_size in (None, output.shape[lead:])


@rows()
def test_is_built_without_numbers(row: Row) -> None:
    with settings(row):
        with init.abstract():
            shapes = row.make(nn)
        layer = row.make(nn)
        assert jax.tree.map(describe, graph.leaves(shapes)) == jax.tree.map(
            describe, graph.leaves(layer)
        )
        # A parameter is a mere shape; what is no parameter may be there already.
        drawn = [
            leaf
            for state in graph.states(shapes, ParamState).values()
            for leaf in jax.tree.leaves(state.value)
        ]
        assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in drawn)


@rows(plain)
def test_is_copied_whole(row: Row) -> None:
    with settings(row):
        layer = built(row)
        arguments = row.arguments()
        structure = structure_of(layer)
        copies = [copy.deepcopy(layer), jax.tree.map(lambda x: x, layer)]
        copies.append(pickle.loads(pickle.dumps(layer)) if picklable(layer) else copies[0])
        random.seed(1)
        expected = layer(*arguments)
        for other in copies:
            assert structure_of(other) == structure
            random.seed(1)
            agree(other(*arguments), expected, 0.0)


def picklable(layer: Any) -> bool:
    """Whether Python can pickle the functions that the configuration holds: no lambda can be."""
    try:
        pickle.dumps(layer)
    except (pickle.PicklingError, AttributeError):
        held = [v for node in graph.nodes(layer).values() for v in vars(node).values()]
        assert any("<lambda>" in getattr(v, "__qualname__", "") for v in held)
        return False
    return True


# -- under the transformations of JAX --------------------------------------------------------------


def structure_of(tree: Any) -> Any:
    """All of a pytree but its leaves."""
    return jax.tree.structure(tree)


def stepped(layer: Any, *arguments: Any) -> tuple[Any, Any]:
    """Call a layer; give the output and the layer with its new states."""
    return layer(*arguments), layer


@rows(lambda row: not row.chance)
def test_computes_the_same_compiled(row: Row) -> None:
    with settings(row):
        layer = built(row)
        arguments = row.arguments()
        shapes, _ = jax.eval_shape(stepped, layer, *arguments)
        output, after = jax.jit(stepped)(layer, *arguments)
        assert jax.tree.map(describe, shapes) == jax.tree.map(describe, output)
        agree(output, layer(*arguments), row.tolerance)
        assert structure_of(after) == structure_of(layer)
        if not row.writes_eagerly:
            agree(graph.leaves(after), graph.leaves(layer), row.tolerance)


@rows(lambda row: plain(row) and not row.chance)
def test_is_mapped_over(row: Row) -> None:
    """Several layers with weights of their own are one layer of stacked weights."""
    with settings(row):
        layers = [built(row), built(row)]
        spread(layers[1])
        stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *layers)
        calls = [row.arguments(step) for step in range(2)]
        together = [jnp.stack(xs) for xs in zip(*calls, strict=True)]
        output, after = jax.vmap(stepped)(stacked, *together)
        for lane, (layer, arguments) in enumerate(zip(layers, calls, strict=True)):
            alone = layer(*arguments)
            agree(jax.tree.map(lambda x, i=lane: x[i], output), alone, 4 * row.tolerance)
            if not row.writes_eagerly:
                states = jax.tree.map(lambda x, i=lane: x[i], graph.leaves(after))
                agree(states, graph.leaves(layer), 4 * row.tolerance)


@rows(lambda row: plain(row) and row.differentiable)
def test_has_finite_gradients(row: Row) -> None:
    with settings(row):
        layer = built(row)
        arguments = row.arguments()

        def loss(layer: Any, arguments: Any, key: jax.Array) -> Any:
            with random.seed_context(key):
                return weighed(layer(*arguments))

        differentiate = jax.jit(jax.grad(loss, argnums=(0, 1), allow_int=True))
        grads = differentiate(layer, arguments, jax.random.key(0))
        for leaf in floating(grads):
            assert np.isfinite(np.asarray(leaf, np.float32)).all()
