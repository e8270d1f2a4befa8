"""Conversions of shapes, and conversions inside a trace: what they give is what arrays give."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import interop_equinox.testing
import interop_linen.testing
import interop_nnx.testing
from brainstate_interop import nn, random
from interop_core import graph
from interop_core.testing import Call, Harness, call_core, filled

HARNESSES: dict[str, Harness] = {
    "nnx": interop_nnx.testing.HARNESS,
    "linen": interop_linen.testing.HARNESS,
    "equinox": interop_equinox.testing.HARNESS,
}
every_framework = pytest.mark.parametrize("framework", HARNESSES)

# A handful of float32 sums in another order.
CLOSE: Any = {"rtol": 1e-5, "atol": 1e-5}
SIZE = (6, 7, 2)
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, *SIZE)).astype(np.float32))


def network() -> nn.Sequential:
    tied = nn.Linear(8, 8)
    return nn.Sequential(
        nn.Conv2d(SIZE, 4, 3, b_init=nn.init.ZeroInit()),
        nn.GroupNorm(4, num_groups=2),
        nn.ReLU(),
        nn.MaxPool2d(2, 2, in_size=(6, 7, 4)),
        nn.Flatten(in_size=(3, 3, 4)),
        nn.Linear(36, 8),
        tied,
        nn.LayerNorm(8),
        nn.Dropout(0.5),
        nn.Sequential(tied, nn.GELU(), nn.Linear(8, 3)),
    )


def trained() -> nn.Sequential:
    """The network with random numbers in every array."""
    with random.seed_context(0):
        model = network()
    graph.assign(model, filled(graph.leaves(model), lambda name: "var" in name))
    return model


def abstract() -> nn.Sequential:
    with nn.init.abstract():
        return network()


def read(harness: Harness, model: Any) -> Any:
    return harness.import_(model, SIZE)


def forward(harness: Harness, model: Any, x: Any) -> Any:
    return harness.call(model, Call(x, 1, first_in=harness.bridge.channels_first)).y


def shapes_of(tree: Any) -> list[tuple[tuple[int, ...], Any]]:
    return [(tuple(leaf.shape), leaf.dtype) for leaf in jax.tree.leaves(tree)]


def only_arrays(tree: Any) -> list[Any]:
    """The weights: a dropout layer of NNX also holds a key and a count, which are no weights."""
    kinds = (jax.Array, jax.ShapeDtypeStruct)
    arrays = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, kinds)]
    return [array for array in arrays if jnp.issubdtype(array.dtype, jnp.floating)]


class TestShapes:
    @every_framework
    def test_out_of_the_core_and_back(self, framework: str) -> None:
        harness = HARNESSES[framework]
        there = harness.export(abstract())
        arrays = only_arrays(there)
        assert all(isinstance(array, jax.ShapeDtypeStruct) for array in arrays)
        assert shapes_of(arrays) == shapes_of(only_arrays(harness.export(trained())))
        back = read(harness, there)
        assert graph.leaves(back) == graph.leaves(abstract())

    @every_framework
    def test_a_model_too_large_for_memory(self, framework: str) -> None:
        with nn.init.abstract():
            model = nn.Sequential(nn.Linear(10**6, 10**6), nn.LayerNorm(10**6))
        harness = HARNESSES[framework]
        back = harness.import_(harness.export(model), (10**6,))
        assert back.layers[0].weight.value["weight"].shape == (10**6, 10**6)

    @every_framework
    def test_under_eval_shape_of_an_initialisation(self, framework: str) -> None:
        harness = HARNESSES[framework]

        def initialise(key: Any) -> nn.Sequential:
            with random.seed_context(key):
                return network()

        model = jax.eval_shape(initialise, jax.random.key(0))
        assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(model))
        back = read(harness, harness.export(model))
        assert graph.leaves(back) == graph.leaves(abstract())


class TestTraces:
    @every_framework
    def test_a_jitted_conversion_computes_the_same(self, framework: str) -> None:
        harness, model = HARNESSES[framework], trained()

        @jax.jit
        def convert_and_call(model: nn.Sequential, x: Any) -> Any:
            return forward(harness, harness.export(model), x)

        expected = call_core(model, Call(X)).y
        np.testing.assert_allclose(convert_and_call(model, X), expected, **CLOSE)

    @every_framework
    def test_there_and_back_inside_jit_is_the_identity(self, framework: str) -> None:
        harness, model = HARNESSES[framework], trained()
        back = jax.jit(lambda model: read(harness, harness.export(model)))(model)
        assert isinstance(back, nn.Sequential)
        before, after = graph.leaves(model), graph.leaves(back)
        assert before.keys() == after.keys()
        for name, array in before.items():
            np.testing.assert_array_equal(after[name], array)

    @every_framework
    def test_eval_shape_of_a_conversion(self, framework: str) -> None:
        harness, model = HARNESSES[framework], trained()
        shaped = jax.eval_shape(lambda model: forward(harness, harness.export(model), X), model)
        assert (shaped.shape, shaped.dtype) == ((2, 3), jnp.float32)

    @every_framework
    def test_gradients_come_through_a_conversion(self, framework: str) -> None:
        harness, model = HARNESSES[framework], trained()

        def there(model: nn.Sequential) -> Any:
            return jnp.sum(forward(harness, harness.export(model), X) ** 2)

        def here(model: nn.Sequential) -> Any:
            return jnp.sum(call_core(model, Call(X)).y ** 2)

        found, expected = jax.jit(jax.grad(there))(model), jax.jit(jax.grad(here))(model)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            # A square summed over a batch, through nine layers.
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)

    @every_framework
    def test_an_ensemble_is_converted_at_once(self, framework: str) -> None:
        harness, model = HARNESSES[framework], trained()
        ensemble = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), model)

        def convert_and_call(model: nn.Sequential) -> Any:
            return forward(harness, harness.export(model), X)

        found = jax.jit(jax.vmap(convert_and_call))(ensemble)
        twice = jax.tree.map(lambda leaf: 2 * leaf, model)
        for member, one in zip(found, (model, twice), strict=True):
            np.testing.assert_allclose(member, call_core(one, Call(X)).y, rtol=1e-4, atol=1e-4)

    @every_framework
    def test_no_tracer_is_left_behind(self, framework: str) -> None:
        harness, model = HARNESSES[framework], trained()
        jax.eval_shape(lambda m: forward(harness, harness.export(m), X), model)
        # What was worked out inside the trace is used again outside of it.
        there = harness.export(model)
        arrays = [leaf for leaf in jax.tree.leaves(there) if isinstance(leaf, jax.core.Tracer)]
        assert not arrays
        found = forward(harness, there, X)
        np.testing.assert_allclose(found, call_core(model, Call(X)).y, **CLOSE)
