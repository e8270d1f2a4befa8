"""Events and sparse connections: dense products, gradients, drawn connections, errors."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import graph, nn, random
from interop_core.nn._event_connections import AllPairs, Connections
from interop_core.state import FakeState, LongTermState
from interop_core.testing import quick_compilation

SPARSE = ["FixedNumConn", "EventFixedNumConn", "EventFixedProb"]
every_sparse_layer = pytest.mark.parametrize("name", SPARSE)
every_target = pytest.mark.parametrize("target", ["post", "pre"])
every_lead = pytest.mark.parametrize("lead", [(), (2, 3)])
NUMBERS = np.array([2.0, 0.0, -0.5, 1.0, 1e-3], np.float32)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def normal(*shape: int, seed: int = 7) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def matrix(layer: Any) -> np.ndarray[Any, Any]:
    """The dense matrix of a layer, connection by connection."""
    found, conn = np.zeros(conn_shape(layer)), layer.conn
    weights = (
        np.broadcast_to(np.asarray(layer.weight.value).reshape(-1), conn.count)
        if (np.size(layer.weight.value) == 1)
        else np.asarray(layer.weight.value).reshape(-1)
    )
    owners = range(len(conn.indices)) if conn.rows is None else conn.rows
    ends = iter(weights)
    for owner, row in zip(owners, conn.indices, strict=True):
        for end in row:
            found[(owner, end) if conn.target == "post" else (end, owner)] += next(ends)
    return found


def conn_shape(layer: Any) -> tuple[int, int]:
    return layer.in_size[-1], layer.out_size[-1]


def weighed(y: jax.Array) -> jax.Array:
    return (y * jnp.cos(jnp.arange(y.size).reshape(y.shape))).sum()


WEIGHTS: list[Any] = [0.5, np.ones(1, np.float32), nn.init.Normal()]


class TestDenseProduct:
    @pytest.mark.parametrize("name", SPARSE[:2])
    @every_target
    @every_lead
    @pytest.mark.parametrize(
        ("ratio", "weight"), [(1.0, WEIGHTS[2]), (0.6, 0.5), (0.6, WEIGHTS[2])]
    )
    def test_is_what_a_sparse_layer_computes(
        self, name: str, target: str, lead: tuple[int, ...], ratio: float, weight: Any
    ) -> None:
        layer = getattr(nn, name)(
            5, 6, 3, weight, efferent_target=target, afferent_ratio=ratio, seed=3
        )
        x = jnp.broadcast_to(NUMBERS, (*lead, 5)) * (normal(*lead, 5) > -1)
        dense = matrix(layer)
        sent = np.asarray(x) if name == "FixedNumConn" else np.asarray(x) > 0
        np.testing.assert_allclose(layer(x), sent @ dense, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            layer.conn.todense(layer.weight.value), dense, rtol=1e-6, atol=1e-6
        )

        # The derivative by the weights is exact; by the input, that of numbers as they are.
        (by_layer, by_x) = jax.grad(lambda layer, x: weighed(layer(x)), (0, 1))(layer, x)
        along = np.cos(np.arange(sent.size // 5 * 6)).reshape(*lead, 6)
        np.testing.assert_allclose(by_x, along @ dense.T, rtol=1e-4, atol=1e-5)
        step = jnp.asarray(normal(*jnp.shape(layer.weight.value)))
        moved = (by_layer.weight.value * step).sum()
        layer.weight.value = step
        np.testing.assert_allclose(moved, weighed(layer(x)), rtol=1e-4, atol=1e-5)

    @every_lead
    @pytest.mark.parametrize("weight", WEIGHTS)
    @pytest.mark.parametrize("events", [True, False])
    def test_is_what_event_linear_computes(
        self, lead: tuple[int, ...], weight: Any, events: bool
    ) -> None:
        layer = nn.EventLinear(5, 6, weight, float_as_event=events)
        dense = np.broadcast_to(np.asarray(layer.weight.value), (5, 6))
        x = jnp.broadcast_to(NUMBERS, (*lead, 5))
        sent = np.asarray(x) > 0 if events else np.asarray(x)
        np.testing.assert_allclose(layer(x), sent @ dense, rtol=1e-5, atol=1e-6)
        by_layer, by_x = jax.grad(lambda layer, x: weighed(layer(x)), (0, 1))(layer, x)
        along = np.cos(np.arange(sent.size // 5 * 6)).reshape(-1, 6)
        np.testing.assert_allclose(by_x.reshape(-1, 5), along @ dense.T, rtol=1e-5, atol=1e-5)
        # The published gradient by a matrix counts spikes by their size although the output does
        # not; here it is the derivative of the output.
        expected = sent.reshape(-1, 5).T @ along
        if np.size(layer.weight.value) == 1:
            expected = expected.sum().reshape(jnp.shape(layer.weight.value))
        np.testing.assert_allclose(by_layer.weight.value, expected, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("name", ["EventLinear", "EventFixedNumConn"])
    @pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "float16", "bfloat16", "float32"])
    def test_of_any_kind_of_spikes(self, name: str, dtype: str) -> None:
        number = (2,) if name == "EventFixedNumConn" else ()
        options = {"seed": 0} if number else {}
        layer = getattr(nn, name)(5, 6, *number, nn.init.Normal(), **options)
        spikes = jnp.array([1, 0, 0, 1, 1])
        y = layer(spikes.astype(dtype))
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, layer(spikes.astype("float32")), rtol=1e-6)
        gradient = jax.grad(lambda layer: weighed(layer(spikes.astype(dtype))))(layer)
        assert np.isfinite(gradient.weight.value).all()

    def test_keeps_half_precision(self) -> None:
        for layer in (
            nn.EventLinear(5, 6, jnp.ones((5, 6), jnp.bfloat16)),
            nn.FixedNumConn(5, 6, 2, jnp.ones((5, 2), jnp.bfloat16)),
        ):
            assert layer(jnp.ones(5, jnp.bfloat16)).dtype == jnp.bfloat16

    def test_nan_is_no_event(self) -> None:
        assert nn.EventLinear(1, 1, 1.0)(jnp.array([jnp.nan])).tolist() == [0.0]

    def test_forward_mode(self) -> None:
        layer = nn.EventFixedNumConn(5, 6, 2, nn.init.Normal(), seed=0)
        x, step = jnp.asarray(NUMBERS), normal(5)
        y, along = jax.jvp(layer, (x,), (step,))
        np.testing.assert_allclose(y, layer(x))
        np.testing.assert_allclose(along, np.asarray(step) @ matrix(layer), rtol=1e-4, atol=1e-6)

    def test_second_derivative_by_the_weights(self) -> None:
        layer = nn.EventFixedNumConn(5, 6, 2, 0.5, seed=0)
        square: Any = jax.grad(jax.grad(lambda w: (layer.conn.product(jnp.ones(5), w) ** 2).sum()))
        counts = np.bincount(layer.conn.indices.ravel(), minlength=6)
        np.testing.assert_allclose(square(jnp.float32(0.5)), 2 * (counts**2).sum())


class TestFewEvents:
    """A large layer looks at the neurons that fire, when they are few."""

    @pytest.mark.parametrize("fires", [0, 16, 17])
    @pytest.mark.parametrize("ratio", [1.0, 0.9])
    @pytest.mark.parametrize("weight", [0.5, nn.init.Normal()])
    def test_sparse(self, fires: int, ratio: float, weight: Any) -> None:
        layer = nn.EventFixedNumConn(512, 40, 80, weight, afferent_ratio=ratio, seed=0)
        assert layer.conn.limit() in ({16} if ratio == 1.0 else range(12, 16))
        x = np.zeros(512, np.float32)
        x[np.random.default_rng(0).permutation(512)[:fires]] = 0.5
        run = jax.jit(lambda layer, x: layer(x))
        np.testing.assert_allclose(run(layer, x), (x > 0) @ matrix(layer), rtol=1e-4, atol=1e-4)
        together = jax.vmap(layer)(jnp.stack([x, x[::-1]]))
        np.testing.assert_allclose(together[0], run(layer, x), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(together[1], run(layer, x[::-1]), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("fires", [2, 100])
    @pytest.mark.parametrize("weight", [0.5, nn.init.Normal()])
    def test_dense(self, fires: int, weight: Any) -> None:
        layer = nn.EventLinear(256, 128, weight)
        assert AllPairs((256, 128)).limit() == 8
        x = np.zeros(256, np.float32)
        x[:fires] = 2.0
        dense = np.broadcast_to(layer.weight.value, (256, 128))
        run = jax.jit(jax.value_and_grad(lambda x: weighed(layer(x))))
        value, by_x = run(x)
        along = np.cos(np.arange(128))
        np.testing.assert_allclose(value, (x > 0) @ dense @ along, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(by_x, dense @ along, rtol=1e-3, atol=1e-4)

    def test_layers_mapped_with_their_inputs(self) -> None:
        layers = [nn.EventLinear(256, 128, nn.init.Normal()) for _ in range(2)]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers)
        x = (normal(2, 256) > 2).astype(jnp.float32)
        for inputs, axes in ((x, 0), (x[0], None)):
            y = jax.vmap(lambda layer, x: layer(x), (0, axes))(stacked, inputs)
            for lane, layer in enumerate(layers):
                expected = layer(inputs if axes is None else inputs[lane])
                np.testing.assert_allclose(y[lane], expected, rtol=1e-4, atol=1e-4)


DRAWN: list[dict[str, Any]] = [
    {},
    {"afferent_ratio": 0.5},
    {"allow_multi_conn": False},
    {"allow_multi_conn": False, "conn_init": "for_loop"},
    {"allow_multi_conn": False, "afferent_ratio": 0.4},
]


class TestConnections:
    @pytest.mark.parametrize("options", DRAWN, ids=str)
    @pytest.mark.parametrize("seed", [0, 12])
    def test_a_seed_draws_what_it_draws_in_the_published_layer(
        self, options: dict[str, Any], seed: int
    ) -> None:
        ours = nn.EventFixedNumConn(9, 7, 3, 1.0, seed=seed, **options)
        published = brainstate.nn.EventFixedNumConn(9, 7, 3, 1.0, seed=seed, **options)
        np.testing.assert_array_equal(
            ours.conn.indices.ravel(), np.asarray(published.conn.indices).ravel()
        )
        if ours.conn.rows is not None:
            owns = np.flatnonzero(np.diff(published.conn.indptr))
            np.testing.assert_array_equal(ours.conn.rows, owns)

    @every_target
    @pytest.mark.parametrize("repeat", [True, False])
    def test_every_owner_has_the_number(self, target: str, repeat: bool) -> None:
        random.seed(0)
        layer = nn.FixedNumConn(400, 30, 8, 1.0, efferent_target=target, allow_multi_conn=repeat)
        dense = matrix(layer)
        assert (dense.sum(1 if target == "post" else 0) == 8).all()
        assert (dense.max() == 1) == (not repeat)
        others = dense.sum(0 if target == "post" else 1)
        expected = dense.sum() / others.size
        # A count of many rare events spreads like its root.
        np.testing.assert_allclose(others.mean(), expected)
        assert 0.4 < others.std() / np.sqrt(expected) < 1.3

    @pytest.mark.parametrize(
        ("given", "target", "number"),
        [
            (3, "post", 3),
            (np.int64(3), "post", 3),
            (0.25, "post", 3),
            (0.99, "post", 11),
            (1.0, "post", 12),
            (0.25, "pre", 2),
            (np.float32(0.5), "pre", 5),
            (1, "pre", 1),
            (20, "post", 20),
        ],
    )
    def test_number_or_probability(self, given: Any, target: str, number: int) -> None:
        layer = nn.EventFixedProb(10, 12, given, nn.init.Normal(), efferent_target=target)
        assert layer.conn_num == number
        assert layer.weight.value.shape == (10 if target == "post" else 12, number)
        if target == "post" and type(given) in (int, float):
            assert brainstate.nn.EventFixedProb(10, 12, given, 1.0).conn_num == number

    def test_ratio_is_a_probability(self) -> None:
        def count(seed: int) -> int:
            rows: Any = nn.FixedNumConn(100, 5, 1, 1.0, afferent_ratio=0.3, seed=seed).conn.rows
            return len(rows)

        counts = [count(seed) for seed in range(50)]
        assert 27 < np.mean(counts) < 33
        assert len(set(counts)) > 5
        flat = nn.FixedNumConn(100, 5, 2, nn.init.Normal(), afferent_ratio=0.3, seed=0)
        assert flat.weight.value.shape == (flat.conn.count,)
        nobody = nn.FixedNumConn(4, 5, 2, 1.0, afferent_ratio=0.0)
        assert nobody(jnp.ones((2, 4))).tolist() == [[0.0] * 5] * 2

    def test_without_a_seed_they_follow_the_default_generator(self) -> None:
        options: Any
        for options in ({}, {"allow_multi_conn": False}):
            random.seed(0)
            first, second = (nn.FixedNumConn(20, 30, 4, 1.0, **options) for _ in range(2))
            random.seed(0)
            again = nn.FixedNumConn(20, 30, 4, 1.0, **options)
            assert first.conn == again.conn != second.conn

    def test_made_in_a_traced_function(self) -> None:
        options: Any
        for options in ({}, {"allow_multi_conn": False}):
            layer = nn.FixedNumConn(4, 6, 2, 0.5, seed=1, **options)
            y = jax.jit(lambda x: nn.FixedNumConn(4, 6, 2, 0.5, seed=1, **options)(x))  # noqa: B023
            np.testing.assert_allclose(y(jnp.ones(4)), layer(jnp.ones(4)))

        @jax.jit
        def build(key: jax.Array) -> Any:
            with random.seed_context(key):
                return nn.FixedNumConn(4, 6, 2, 0.5)

        with pytest.raises(ValueError, match="traced random key"):
            build(jax.random.key(0))

    @every_sparse_layer
    def test_none(self, name: str) -> None:
        layers = [getattr(nn, name)(4, 5, number, nn.init.Normal()) for number in (0, 0.1)]
        for layer in layers:
            assert graph.states(layer) == {}
            assert isinstance(layer.weight, FakeState)
            assert layer(jnp.ones((2, 4), bool)).tolist() == [[0.0] * 5] * 2
            with pytest.raises(ValueError, match="4 features"):
                layer(jnp.ones(3))
        structure: Any = jax.tree.structure
        assert structure(layers[0]) == structure(layers[1])

    def test_compare_by_content(self) -> None:
        make = [nn.FixedNumConn(9, 7, 3, 1.0, seed=seed) for seed in (0, 0, 1)]
        one, same, other = (layer.conn for layer in make)
        assert one is not same
        assert one == same != other
        assert hash(one) == hash(same)
        structure: Any = jax.tree.structure
        assert structure(make[0]) == structure(make[1]) != structure(make[2])
        _ = one.arrays  # caches are no part of a copy
        found = pickle.loads(pickle.dumps(one))
        assert found == one
        assert copy.deepcopy(one) is one
        assert Connections(one.indices, (9, 7), "post", np.arange(9)) != one
        assert one != 3
        with pytest.raises(ValueError, match="read-only"):
            one.indices[0, 0] = 1

    def test_of_another_network_can_be_put_in(self) -> None:
        layer = nn.FixedNumConn(2, 3, 2, nn.init.Constant(1.0))
        layer.conn = Connections([[0, 0], [2, 1]], (2, 3))
        assert layer(jnp.array([1.0, 10.0])).tolist() == [2.0, 10.0, 10.0]

    @pytest.mark.parametrize(
        ("indices", "options", "message"),
        [
            ([[0, 3]], {}, "neurons 0 to 3, of which there are 3"),
            ([[-1, 1]], {}, "neurons -1 to 1"),
            ([[0.5]], {}, "integers"),
            ([0, 1], {}, r"shape \(1, n\)"),
            ([[0], [1]], {}, r"shape \(1, n\)"),
            ([[0]], {"target": "both"}, "'post' or 'pre'"),
            ([[0]], {"rows": [5]}, "of which there are 1"),
        ],
    )
    def test_that_do_not_fit(self, indices: Any, options: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Connections(indices, (1, 3), **options)


class TestWeights:
    @pytest.mark.parametrize("number", [1.5, 2, True, np.float32(2), jnp.float32(2)])
    def test_one_for_all(self, number: Any) -> None:
        for layer in (nn.EventLinear(4, 3, number), nn.FixedNumConn(4, 3, 2, number)):
            assert layer.weight.value.shape == ()
            assert layer.weight.value.dtype == np.float32

    def test_of_another_state(self) -> None:
        first = nn.EventLinear(4, 3, nn.init.Normal(), param_type=LongTermState)
        again = nn.EventLinear(**graph.configuration(first))
        assert type(first.weight) is type(again.weight) is LongTermState
        np.testing.assert_array_equal(again.weight.value, first.weight.value)
        assert again.weight is not first.weight

    @pytest.mark.parametrize("weight", [None, "heavy", np.ones((3, 4)), np.ones(7)])
    def test_that_do_not_fit(self, weight: Any) -> None:
        with pytest.raises(ValueError, match=r"value|shape"):
            nn.EventLinear(4, 3, weight)
        with pytest.raises(ValueError, match=r"value|shape"):
            nn.FixedNumConn(4, 5, 2, weight)


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((4, 5, 1.5), {}, ValueError, "probability between 0 and 1"),
        ((4, 5, -1), {}, ValueError, "negative"),
        ((4, 5, True), {}, TypeError, "bool"),
        ((4, 5, "many"), {}, TypeError, "integer"),
        ((4, 5, 6), {"allow_multi_conn": False}, ValueError, "6 different neurons"),
        ((4, 0, 1), {}, ValueError, "of which there are 0"),
        ((4, 5, 2), {"efferent_target": "both"}, ValueError, "efferent_target"),
        ((4, 5, 2), {"afferent_ratio": 1.5}, ValueError, "afferent_ratio"),
        ((4, 5, 2), {"conn_init": "magic"}, ValueError, "conn_init"),
        ((4, 5, 2), {"seed": 0.5}, TypeError, "integer"),
        (((2, 4), 5, 2), {}, ValueError, "last axis alone"),
        (((), (), 2), {}, ValueError, "last axis alone"),
    ],
)
@every_sparse_layer
def test_bad_arguments(
    name: str, args: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(nn, name)(*args, 1.0, **options)


def test_sizes() -> None:
    linear, sparse = nn.EventLinear((2, 4), (2, 3), 1.0), nn.FixedNumConn((2, 4), (2, 3), 2, 1.0)
    for layer in (linear, sparse):
        assert (layer.in_size, layer.out_size) == ((2, 4), (2, 3))
        assert layer(jnp.ones((5, 2, 4))).shape == (5, 2, 3)
        assert layer.output_size((2, 4)) == (2, 3)
        for shape in [(), (3,), (4, 5)]:
            with pytest.raises(ValueError, match="4 features"):
                layer(jnp.ones(shape))
    with pytest.raises(ValueError, match="last axis alone"):
        nn.EventLinear((2, 4), (3,), 1.0)
    assert nn.FixedNumConn(0, 5, 2, 1.0)(jnp.ones((2, 0))).tolist() == [[0.0] * 5] * 2


def test_connections_that_there_are_already_are_taken_as_they_are() -> None:
    drawn = nn.FixedNumConn(4, 6, 2, nn.init.Normal(), afferent_ratio=0.5, seed=1)
    again = nn.EventFixedProb(4, 6, 2, 0.5, conn=drawn.conn)
    assert again.conn is drawn.conn
    assert nn.FixedNumConn(**graph.configuration(drawn)).conn == drawn.conn
    with pytest.raises(ValueError, match="does not fit: 3 connections"):
        nn.FixedNumConn(4, 6, 3, 0.5, conn=drawn.conn)
    with pytest.raises(ValueError, match="efferent_target='pre'"):
        nn.FixedNumConn(4, 6, 2, 0.5, efferent_target="pre", conn=drawn.conn)
