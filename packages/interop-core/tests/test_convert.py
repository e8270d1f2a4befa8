"""Plans carried out: the same numbers, the same buffers, nothing changed and nothing drawn."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import graph, nn, random
from interop_core.convert import example_shape, execute, plan_to
from interop_core.errors import ConversionError, MissingShapeError


def network() -> nn.Sequential:
    """Convolutions, a flatten and dense layers, one of them on positions."""
    with random.seed_context(0):
        return nn.Sequential(
            nn.Conv2d((6, 7, 2), 3, (2, 2), padding="VALID", b_init=nn.init.Normal()),
            nn.ReLU(),
            nn.Linear((5, 6, 3), (5, 6, 4), b_init=nn.init.Normal()),
            nn.Conv2d((5, 6, 4), 2, (2, 3), padding="VALID"),
            nn.GELU(),
            nn.Flatten(in_size=(4, 4, 2)),
            nn.Sequential(nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 3)),
        )


X = jax.random.normal(jax.random.key(1), (2, 6, 7, 2))


def agree(found: Any, expected: Any) -> None:
    # The same float32 sums, perhaps in another order.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


class TestWholeModels:
    def test_channels_first_at_the_entrance(self, fake: Any) -> None:
        model = network()
        agree(jax.vmap(fake.to_fake(model))(jnp.moveaxis(X, -1, 1)), model(X))

    def test_channels_last_at_both_ends(self, fake: Any) -> None:
        model = network()
        agree(jax.vmap(fake.to_fake(model, channels="last"))(X), model(X))

    @pytest.mark.parametrize("channels", ["native", "last"])
    def test_there_and_back(self, fake: Any, channels: str) -> None:
        model = network()
        back = fake.from_fake(fake.to_fake(model, channels=channels), sample_input=X[0])
        agree(back(X), model(X))
        before, after = graph.leaves(model), graph.leaves(back)
        assert before.keys() == after.keys()
        for name, array in before.items():
            np.testing.assert_array_equal(after[name], array)

    def test_a_layer_on_positions_is_lifted(self, fake: Any) -> None:
        layer = nn.Linear((4, 5, 3), (4, 5, 2))
        there = fake.to_fake(layer)
        assert type(there) is fake.Over
        assert there.axes == 2
        x = jax.random.normal(jax.random.key(2), (4, 5, 3))
        agree(there(x), layer(x))
        assert fake.from_fake(there, sample_input=(4, 5, 3)).in_size == (4, 5, 3)

    def test_integers_go_in_where_a_table_stands_first(self, fake: Any) -> None:
        model = nn.Sequential(nn.Embedding(7, 3), nn.Linear(3, 2))
        x = jnp.array([1, 6, 0])
        agree(jax.vmap(fake.to_fake(model))(x), model(x))


class TestPromises:
    def test_the_source_is_left_as_it_is(self, fake: Any) -> None:
        model = network()
        before = graph.leaves(model)
        structure: Any = jax.tree.structure(model)
        fake.to_fake(model)
        after = graph.leaves(model)
        assert all(after[name] is before[name] for name in before)
        assert jax.tree.structure(model) == structure

    def test_nothing_is_drawn(self, fake: Any) -> None:
        before = np.asarray(random.get_key_data())
        fake.from_fake(fake.to_fake(network()), sample_input=X[0])
        np.testing.assert_array_equal(random.get_key_data(), before)

    def test_an_array_kept_alike_is_the_same_buffer(self, fake: Any) -> None:
        layer = nn.Embedding(7, 3)
        there = fake.to_fake(layer)
        inner = there.layer if type(there) is fake.Over else there
        assert inner.table is layer.weight.value
        assert fake.from_fake(inner).weight.value is layer.weight.value

    def test_nothing_is_built_where_there_is_a_problem(
        self, fake: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_: Any) -> Any:
            raise AssertionError("an array was moved")

        from interop_core import convert

        monkeypatch.setattr(convert, "carry", never)
        with pytest.raises(Exception, match=r"layers\[1\]"):
            fake.to_fake(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)))

    def test_shapes_give_shapes(self, fake: Any) -> None:
        with nn.init.abstract():
            model = nn.Sequential(nn.Linear(10**6, 10**5), nn.ReLU(), nn.Embedding(3, 4))
        there = fake.to_fake(nn.Sequential(*model.layers[:2]))
        assert there.layers[0].matrix == jax.ShapeDtypeStruct((10**5, 10**6), jnp.float32)
        back = fake.from_fake(there)
        assert back.layers[0].weight.value["weight"].shape == (10**6, 10**5)

    def test_inside_a_trace(self, fake: Any) -> None:
        model = network()

        def forward(model: nn.Module, x: Any) -> Any:
            return jax.vmap(fake.to_fake(model))(jnp.moveaxis(x, -1, 1))

        agree(jax.jit(forward)(model, X), model(X))
        assert jax.eval_shape(forward, model, X).shape == (2, 3)

    def test_gradients_flow_through_a_conversion(self, fake: Any) -> None:
        layer = nn.Linear(3, 2)
        x = jax.random.normal(jax.random.key(2), (3,))
        there = jax.grad(lambda layer: fake.to_fake(layer)(x).sum())(layer)
        here = jax.grad(lambda layer: layer(x).sum())(layer)
        jax.tree.map(agree, there, here)

    def test_types_stay(self, fake: Any) -> None:
        layer = nn.Linear(3, 2)
        half = {name: array.astype(jnp.bfloat16) for name, array in layer.weight.value.items()}
        layer.weight.value = half
        there = fake.to_fake(layer)
        assert there.matrix.dtype == there.offset.dtype == jnp.bfloat16
        assert fake.from_fake(there).weight.value["weight"].dtype == jnp.bfloat16

    def test_host_arrays_stay_on_the_host(self, fake: Any) -> None:
        layer = nn.Linear(3, 2)
        value: Any = {name: np.asarray(array) for name, array in layer.weight.value.items()}
        layer.weight.value = value
        assert isinstance(fake.to_fake(layer).matrix, np.ndarray)


class TestMixedTypes:
    def test_two_types_that_would_become_one_array_are_refused(self, fake: Any) -> None:
        layer = fake.Halves(4, 2)
        layer.second = layer.second.astype(jnp.float16)
        with pytest.raises(ConversionError, match="float16 and float32"):
            fake.from_fake(layer)


class TestExampleShape:
    @pytest.mark.parametrize(
        "sample, shape",
        [
            (None, None),
            ((8, 8, 3), (8, 8, 3)),
            ([8, 8, 3], (8, 8, 3)),
            ((), ()),
            (np.ones((2, 3)), (2, 3)),
            (jax.ShapeDtypeStruct((2, 3), jnp.float32), (2, 3)),
            (np.float32(1), ()),
        ],
    )
    def test_of_a_shape_or_an_array(self, sample: Any, shape: Any) -> None:
        assert example_shape(sample) == shape

    @pytest.mark.parametrize("sample", [3, "ab", (2, -1), (2, 0), (2.0,), {"a": 1}])
    def test_of_anything_else_it_is_an_error(self, sample: Any) -> None:
        with pytest.raises(MissingShapeError, match="sample_input") as caught:
            example_shape(sample)
        assert caught.value.advice


def test_a_plan_can_be_carried_out_twice(fake: Any) -> None:
    model = network()
    plan = plan_to(fake.BRIDGE, model)
    first, second = execute(plan), execute(plan)
    assert first is not second
    moved = jnp.moveaxis(X, -1, 1)
    np.testing.assert_array_equal(jax.vmap(first)(moved), jax.vmap(second)(moved))
