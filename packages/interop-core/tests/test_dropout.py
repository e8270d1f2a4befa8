"""Dropout against the published layer: the same keys drop the same entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn, random


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Give both default generators one seed, and ours back afterwards."""
    brainstate.random.seed(7)
    with random.seed_context(7):
        yield


def fitted(layer: Any, x: Any) -> Any:
    with environ.context(fit=True):
        return layer(x)


def published(*args: Any, x: Any) -> Any:
    with brainstate.environ.context(fit=True):
        return brainstate.nn.Dropout(*args)(x)


class TestAgainstPublished:
    @pytest.mark.parametrize(
        "args",
        [
            (0.5,),
            (0.3,),
            (1.0,),
            (0.0,),
            (0.5, (0,)),
            (0.5, (1,)),
            (0.5, (-1,)),
            (0.5, [0, 1]),
            (np.float32(0.5),),
        ],
    )
    def test_forward(self, args: Any) -> None:
        x = jnp.asarray(np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32))
        y = fitted(nn.Dropout(*args), x)
        np.testing.assert_array_equal(y, published(*args, x=x))

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "int32", "bool"])
    def test_dtypes(self, dtype: str) -> None:
        x = jnp.full((50,), 10, dtype)
        y = fitted(nn.Dropout(0.3), x)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, published(0.3, x=x))

    def test_the_generator_advances_alike(self) -> None:
        x = jnp.ones(50)
        for prob in (0.5, 1.0, 0.5):
            y = fitted(nn.Dropout(prob), x)
            np.testing.assert_array_equal(y, published(prob, x=x))


class TestBehaviour:
    def test_prob_is_the_probability_to_keep(self) -> None:
        y = np.asarray(fitted(nn.Dropout(0.2), jnp.ones(100_000)))
        # Four standard deviations of the share kept; the seed is fixed.
        assert abs((y != 0).mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 100_000)
        assert set(np.unique(y)) == {0.0, 5.0}

    def test_the_input_itself_when_not_fitting(self) -> None:
        x = jnp.ones(3)
        before = random.get_key()
        with environ.context(fit=False):
            assert nn.Dropout(0.5)(x) is x
        assert fitted(nn.Dropout(1.0), x) is x
        assert random.get_key() is before

    @pytest.mark.parametrize("prob", [0.5, 1.0, 0.0])
    def test_the_environment_must_say_whether_it_is_a_fit(self, prob: float) -> None:
        with pytest.raises(KeyError, match="fit"):
            nn.Dropout(prob)(jnp.ones(3))

    def test_two_calls_differ(self) -> None:
        layer = nn.Dropout(0.5)
        assert (fitted(layer, jnp.ones(50)) != fitted(layer, jnp.ones(50))).any()

    def test_broadcast_axes_are_kept_together(self) -> None:
        y = np.asarray(fitted(nn.Dropout(0.5, (0, -1)), jnp.ones((4, 30, 5))))
        assert (y == y[:1, :, :1]).all()
        assert 0 < (y[0, :, 0] != 0).sum() < 30

    def test_everything_dropped_has_no_gradient(self) -> None:
        grad = jax.grad(lambda x: fitted(nn.Dropout(0.0), x).sum())(jnp.array([1.0, jnp.nan]))
        np.testing.assert_array_equal(grad, 0)

    def test_gradient_follows_the_mask(self) -> None:
        layer = nn.Dropout(0.5)
        x = jnp.arange(1.0, 31.0)
        key = random.split_key()

        def loss(x: jax.Array, key: jax.Array) -> jax.Array:
            with random.seed_context(key):
                return fitted(layer, x).sum()  # type: ignore[no-any-return]

        with random.seed_context(key):
            y = fitted(layer, x)
        np.testing.assert_array_equal(jax.grad(loss)(x, key), y / x)
        np.testing.assert_array_equal(jax.jit(jax.grad(loss))(x, key), y / x)

    def test_vmap_drops_the_same_entries_of_each_example(self) -> None:
        # One key is drawn while the function is traced, as with the published layer.
        y = np.asarray(jax.vmap(lambda x: fitted(nn.Dropout(0.5), x))(jnp.ones((3, 40))))
        assert (y == y[0]).all()
        assert 0 < y[0].sum() < 80

    def test_jit_compiles_apart_for_fitting_and_not(self) -> None:
        layer = nn.Dropout(0.5)

        @jax.jit
        def step(key: jax.Array, x: jax.Array) -> Any:
            with random.seed_context(key):
                return layer(x)

        x = jnp.ones(50)
        with environ.context(fit=True):
            dropped = step(random.split_key(), x)
        with environ.context(fit=False):
            np.testing.assert_array_equal(step(random.split_key(), x), x)
        assert set(np.unique(dropped)) == {0.0, 2.0}

    def test_a_key_from_outside_is_refused_under_jit(self) -> None:
        with pytest.raises(RuntimeError, match="seed_context"):
            jax.jit(lambda x: fitted(nn.Dropout(0.5), x))(jnp.ones(3))

    def test_sizes_pass(self) -> None:
        layer = nn.Dropout(0.5)
        assert (layer.in_size, layer.out_size) == (None, None)
        assert layer.output_size((2, 3)) == (2, 3)
        assert isinstance(layer, nn.ElementWiseBlock)
        assert jax.tree.leaves(layer) == []

    def test_arguments_read_back(self) -> None:
        layer = nn.Dropout(0.3, [0, -1], "d")
        expected = {"prob": 0.3, "broadcast_dims": (0, -1), "name": "d"}
        assert graph.configuration(layer) == expected
        assert nn.Dropout(0.3, 1).broadcast_dims == (1,)


class TestErrors:
    @pytest.mark.parametrize("prob", [-0.1, 1.1, float("nan")])
    def test_no_probability(self, prob: float) -> None:
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            nn.Dropout(prob)

    def test_missing_axis(self) -> None:
        with pytest.raises(ValueError, match="has no axis 2"):
            fitted(nn.Dropout(0.5, (2,)), jnp.ones((4, 6)))

    @pytest.mark.parametrize("prob", ["0.5", None, np.array([0.5, 0.5])])
    def test_no_number(self, prob: Any) -> None:
        with pytest.raises(TypeError, match="prob, one number"):
            nn.Dropout(prob)

    def test_axes_in_an_array(self) -> None:
        assert nn.Dropout(0.5, np.array([0, 1])).broadcast_dims == (0, 1)  # type: ignore[arg-type]
