"""The LSTM cell against the published one and against its formula."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn
from interop_core.state import HiddenState, ParamState

OPTIONS: list[dict[str, Any]] = [
    {},
    {"b_init": None},
    {"activation": "relu"},
    {"activation": jnp.sin},
    {"state_init": nn.init.Constant(0.5)},
    {"name": "memory"},
]
IDS = ["-".join(options) or "plain" for options in OPTIONS]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=IDS)
every_batch = pytest.mark.parametrize("batch", [None, 1, 5])


def sample(*shape: int, seed: int = 7) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def lead(batch: int | None) -> tuple[int, ...]:
    return () if batch is None else (batch,)


def pair(
    options: dict[str, Any], batch: int | None = None, num_in: int = 3, num_out: int = 4
) -> tuple[nn.LSTMCell, Any]:
    """Our cell and the published one, with the same parameters and states."""
    ours = nn.LSTMCell(num_in, num_out, **options)
    published = brainstate.nn.LSTMCell(num_in, num_out, **options)
    value = {
        key: sample(*array.shape, seed=index)
        for index, (key, array) in enumerate(sorted(published.W.weight.value.items()))
    }
    ours.W.weight.value = published.W.weight.value = value
    ours.init_state(batch)
    published.init_state(batch)
    return ours, published


def agree(ours: Any, published: Any, rtol: float = 1e-5) -> None:
    """The same dtype, shape and numbers. The default leaves room for another order of sums."""
    assert ours.dtype == published.dtype
    assert ours.shape == published.shape
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


def formula(
    x: Any, h: Any, c: Any, kernel: Any, bias: Any, forget_bias: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """One step, gate by gate, in double precision."""

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    n = h.shape[-1]
    z = [
        np.asarray(x, np.float64) @ np.asarray(kernel[: x.shape[-1], k : k + n], np.float64)
        + np.asarray(h, np.float64) @ np.asarray(kernel[x.shape[-1] :, k : k + n], np.float64)
        + np.asarray(bias[k : k + n], np.float64)
        for k in range(0, 4 * n, n)
    ]
    c = sigmoid(z[2] + forget_bias) * c + sigmoid(z[0]) * np.tanh(z[1])
    return sigmoid(z[3]) * np.tanh(c), c


class TestAgainstPublished:
    @every_option
    @every_batch
    def test_steps(self, options: dict[str, Any], batch: int | None) -> None:
        ours, published = pair(options, batch)
        for step in range(3):
            x = sample(*lead(batch), 3, seed=step)
            agree(ours(x), published(x))
            agree(ours.h.value, published.h.value)
            agree(ours.c.value, published.c.value)

    @every_option
    def test_steps_compiled(self, options: dict[str, Any]) -> None:
        ours, published = pair(options, 5)
        theirs = brainstate.transform.jit(published)

        @jax.jit
        def step(cell: nn.LSTMCell, x: jax.Array) -> Any:
            return cell(x), cell

        for index in range(3):
            x = sample(5, 3, seed=index)
            y, ours = step(ours, x)
            agree(y, theirs(x))

    @every_option
    def test_gradients_through_time(self, options: dict[str, Any]) -> None:
        ours, published = pair(options, 2)
        xs = sample(3, 2, 3)

        def loss(cell: Any, xs: jax.Array) -> Any:
            return sum((cell(x) ** 2).sum() for x in xs)

        gradient = brainstate.transform.grad(
            lambda xs: loss(published, xs), published.states(brainstate.ParamState), argnums=0
        )
        of_states, of_input = brainstate.transform.jit(gradient)(xs)
        of_cell, of_xs = jax.jit(jax.grad(loss, (0, 1)))(ours, xs)
        agree(of_xs, of_input, rtol=1e-4)
        for key, value in of_states[("W", "weight")].items():
            agree(of_cell.W.weight.value[key], value, rtol=1e-4)

    @every_option
    def test_states(self, options: dict[str, Any]) -> None:
        ours, published = pair(options, 2)
        assert list(graph.states(ours)) == [("W", "weight"), ("c",), ("h",)]
        assert {path: type(state).__name__ for path, state in graph.states(ours).items()} == {
            path: type(state).__name__ for path, state in published.states().items()
        }
        assert (ours.in_size, ours.out_size) == (published.in_size, published.out_size)
        assert ours.name == published.name

    @pytest.mark.parametrize("given", ["float16", "bfloat16", "int32"])
    @pytest.mark.parametrize("stored", ["float32", "bfloat16"])
    def test_dtypes_promote(self, given: str, stored: str) -> None:
        ours, published = pair({}, 2)
        value = jax.tree.map(lambda leaf: leaf.astype(stored), published.W.weight.value)
        ours.W.weight.value = published.W.weight.value = value
        x = sample(2, 3).astype(given)
        agree(ours(x), published(x))

    def test_double_precision(self) -> None:
        with environ.context(precision=64), brainstate.environ.context(precision=64):
            ours, published = pair({}, 2)
            x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)))
            assert ours.h.value.dtype == np.float64
            agree(ours(x), published(x), rtol=1e-13)

    def test_initial_kernel_has_the_same_spread(self) -> None:
        ours, published = nn.LSTMCell(60, 80), brainstate.nn.LSTMCell(60, 80)
        kernels = [np.asarray(cell.W.weight.value["weight"]) for cell in (ours, published)]
        # 44800 draws: the standard deviation is known to 0.5 %.
        np.testing.assert_allclose(kernels[0].std(), kernels[1].std(), rtol=0.02)
        assert not np.any(np.asarray(ours.W.weight.value["bias"]))


class TestFormula:
    @pytest.mark.parametrize("forget_bias", [1.0, 0.0, -0.5])
    def test_gates(self, forget_bias: float) -> None:
        cell = nn.LSTMCell(3, 4, forget_bias=forget_bias)
        cell.init_state(2)
        cell.W.weight.value = {"weight": sample(7, 16), "bias": sample(16)}
        cell.h.value, cell.c.value = sample(2, 4, seed=1), sample(2, 4, seed=2)
        x = sample(2, 3)
        h, c = formula(
            x,
            cell.h.value,
            np.asarray(cell.c.value),
            cell.W.weight.value["weight"],
            cell.W.weight.value["bias"],
            forget_bias,
        )
        y = cell(x)
        np.testing.assert_allclose(y, h, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(cell.c.value, c, rtol=1e-5, atol=1e-6)
        assert cell.h.value is y

    @pytest.mark.parametrize("gate", ["hard_sigmoid", jax.nn.hard_sigmoid])
    def test_gate_activation(self, gate: Any) -> None:
        cell = nn.LSTMCell(1, 1, gate_activation=gate, w_init=nn.init.ZeroInit())
        cell.init_state()
        cell.c.value = jnp.ones(1)
        cell(jnp.ones(1))
        # Zero weights: every gate sees 0, the forget gate 1, and the candidate is tanh(0) = 0.
        np.testing.assert_allclose(cell.c.value, [4 / 6], rtol=1e-6)
        np.testing.assert_allclose(cell.h.value, [np.tanh(4 / 6) / 2], rtol=1e-6)

    def test_compute_dtype(self) -> None:
        cell, _ = pair({}, 2)
        half = nn.LSTMCell(3, 4, dtype=jnp.bfloat16)
        half.init_state(2)
        graph.assign(half, graph.leaves(cell))
        jaxpr = str(jax.make_jaxpr(lambda cell, x: cell(x))(half, sample(2, 3)))
        assert "bf16[2,16] = dot_general" in jaxpr
        x = sample(2, 3)
        # Seven products, each rounded to 8 bits.
        agree(half(x), cell(x), rtol=0.05)
        assert half.c.value.dtype == np.float32

    def test_scan_over_time(self) -> None:
        cell, _ = pair({}, 2)
        xs = sample(6, 2, 3)
        again = jax.tree.map(lambda leaf: leaf, cell)

        def step(cell: nn.LSTMCell, x: jax.Array) -> Any:
            y = cell(x)
            return cell, y

        last, ys = jax.lax.scan(step, again, xs)
        expected = jnp.stack([cell(x) for x in xs])
        agree(ys, expected)
        agree(last.h.value, expected[-1])

    def test_vmap(self) -> None:
        single, _ = pair({})
        batched, _ = pair({}, 5)
        x = sample(5, 3)
        agree(jax.vmap(lambda x: jax.tree.map(lambda leaf: leaf, single)(x))(x), batched(x))


class TestStates:
    @every_batch
    def test_init(self, batch: int | None) -> None:
        cell = nn.LSTMCell(3, 4, state_init=nn.init.Constant(2.0))
        cell.init_state(batch)
        for state in (cell.h, cell.c):
            assert type(state) is HiddenState
            np.testing.assert_array_equal(state.value, np.full((*lead(batch), 4), 2.0))

    @pytest.mark.parametrize("initial", [2, 2.0, np.full(4, 2.0, np.float32)], ids=repr)
    @pytest.mark.parametrize("batch", [None, 4])
    def test_init_without_an_initializer(self, initial: Any, batch: int | None) -> None:
        cell = nn.LSTMCell(3, 4, state_init=initial)
        cell.init_state(batch)
        expected = np.full((4,) if batch is None else (batch, 4), 2.0)
        for state in (cell.h, cell.c):
            assert state.value.dtype == np.float32
            np.testing.assert_array_equal(state.value, expected)

    @pytest.mark.parametrize("initial", [None, "zeros", np.ones(5)], ids=repr)
    def test_init_needs_a_value_that_fits(self, initial: Any) -> None:
        with pytest.raises(ValueError, match=r"needed here|Cannot make|does not fit"):
            nn.LSTMCell(3, 4, state_init=initial).init_state(2)

    def test_init_of_a_whole_model(self) -> None:
        model = nn.Sequential(nn.LSTMCell(3, 4), nn.Linear(4, 2))
        nn.init_all_states(model, 5)
        assert model(jnp.ones((5, 3))).shape == (5, 2)
        assert model.out_size == (2,)
        nn.init_all_states(model, batch_size=6)
        assert model[0].h.value.shape == (6, 4)

    def test_reset_keeps_the_state_objects(self) -> None:
        cell, _ = pair({}, 2)
        h, c = cell.h, cell.c
        cell(jnp.ones((2, 3)))
        cell.reset_state(7)
        assert cell.h is h
        assert cell.c is c
        np.testing.assert_array_equal(h.value, np.zeros((7, 4)))
        np.testing.assert_array_equal(c.value, np.zeros((7, 4)))

    def test_missing(self) -> None:
        cell = nn.LSTMCell(3, 4)
        with pytest.raises(AttributeError, match="init_state"):
            cell(jnp.ones(3))
        with pytest.raises(AttributeError, match="init_state"):
            cell.reset_state()
        assert list(graph.states(cell)) == [("W", "weight")]

    def test_base_class_has_none(self) -> None:
        cell = nn.RNNCell(name="a")
        assert isinstance(nn.LSTMCell(1, 1), nn.RNNCell)
        assert cell.name == "a"
        cell.init_state(2)
        cell.reset_state(2)
        assert graph.states(cell) == {}
        with pytest.raises(NotImplementedError):
            cell(jnp.ones(2))


@pytest.mark.parametrize(
    "options",
    [
        *OPTIONS,
        {"forget_bias": 0.0, "gate_activation": "hard_sigmoid", "dtype": jnp.bfloat16},
        {"w_init": nn.init.Orthogonal()},
    ],
)
def test_configuration(options: dict[str, Any]) -> None:
    cell = nn.LSTMCell(3, 4, **options)
    found = graph.configuration(cell)
    assert {key: found[key] for key in options} == options
    assert (found["num_in"], found["num_out"]) == (3, 4)
    structure: Any = jax.tree.structure
    assert structure(nn.LSTMCell(**found)) == structure(cell)


def test_abstract() -> None:
    with nn.init.abstract():
        skeleton = nn.LSTMCell(3, 4)
        skeleton.init_state(2)
    cell, _ = pair({}, 2)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(skeleton))
    graph.assign(skeleton, graph.leaves(cell))
    x = sample(2, 3)
    agree(skeleton(x), cell(x))
    assert type(skeleton.W.weight) is ParamState


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        (((2, 3), 4), {}, ValueError, "not shapes"),
        ((3, (2, 4)), {}, ValueError, "not shapes"),
        ((3.5, 4), {}, ValueError, "integer"),
        ((3, 4), {"activation": "softly"}, ValueError, "activation='softly'"),
        ((3, 4), {"gate_activation": "softly"}, ValueError, "gate_activation='softly'"),
        ((3, 4), {"activation": None}, TypeError, "activation must be a name or a function"),
    ],
)
def test_bad_arguments(
    args: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        nn.LSTMCell(*args, **options)


@pytest.mark.parametrize(
    ("batch", "shape", "message"),
    [
        (None, (5, 3), "leading axes"),
        (5, (3,), "leading axes"),
        (5, (4, 3), "leading axes"),
        (5, (2, 5, 3), "leading axes"),
        (5, (5, 2), "3 features"),
        (None, (4,), "3 features"),
        (None, (), "3 features"),
    ],
)
def test_bad_inputs(batch: int | None, shape: tuple[int, ...], message: str) -> None:
    cell, _ = pair({}, batch)
    with pytest.raises(ValueError, match=message):
        cell(jnp.ones(shape))


def test_output_size() -> None:
    cell = nn.LSTMCell(3, 4)
    assert cell.output_size((3,)) == cell.out_size == (4,)
    for size in [(4,), (2, 3), ()]:
        with pytest.raises(ValueError, match="3 features"):
            cell.output_size(size)


def test_a_merge_function_that_does_not_merge_is_said_before_any_call() -> None:
    alone: Any = jnp.negative
    both = nn.Bidirectional(*(nn.RNN(nn.GRUCell(3, 4)) for _ in range(2)), merge_fn=alone)
    with pytest.raises(
        ValueError, match=r"merge_fn does not merge outputs of \(\(5, 4\), \(5, 4\)\)"
    ):
        both.output_size((5, 3))
