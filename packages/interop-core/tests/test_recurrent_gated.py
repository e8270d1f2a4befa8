"""The plain and the gated cells: their formulas, states, options and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn, random
from interop_core.testing import quick_compilation

CELLS = ["ValinaRNNCell", "GRUCell", "MGUCell", "URLSTMCell"]
GATED = CELLS[1:]
every_cell = pytest.mark.parametrize("name", CELLS)
every_gated_cell = pytest.mark.parametrize("name", GATED)
every_batch = pytest.mark.parametrize("batch", [None, 2])


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def sample(*shape: int, seed: int = 7) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def lead(batch: int | None) -> tuple[int, ...]:
    return () if batch is None else (batch,)


def filled(name: str, batch: int | None = 2, **options: Any) -> Any:
    """A cell with random numbers in every state."""
    cell = getattr(nn, name)(3, 4, **options)
    cell.init_state(batch)
    for index, state in enumerate(graph.states(cell).values()):
        state.value = jax.tree.map(
            lambda leaf, seed=index: sample(*leaf.shape, seed=seed + leaf.ndim), state.value
        )
    return cell


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def affine(layer: nn.Linear, *inputs: Any) -> Any:
    """``[inputs] @ W + b`` in double precision."""
    value = {k: np.asarray(v, np.float64) for k, v in layer.weight.value.items()}
    x = np.concatenate([np.asarray(v, np.float64) for v in inputs], axis=-1)
    return x @ value["weight"] + value.get("bias", 0.0)


def formula(cell: Any, x: Any, gate: Any = sigmoid) -> dict[str, Any]:
    """The states after one step, in double precision, as the published documents say."""
    h = np.asarray(cell.h.value, np.float64)
    match type(cell).__name__:
        case "ValinaRNNCell":
            return {"h": np.maximum(affine(cell.W, x, h), 0)}
        case "GRUCell":
            r, z = np.split(gate(affine(cell.Wrz, x, h)), 2, -1)
            if cell.reset_after:
                n = np.tanh(affine(cell.Wh, x) + r * affine(cell.Uh, h))
            else:
                n = np.tanh(affine(cell.Wh, x, r * h))
            return {"h": (1 - z) * h + z * n}
        case "MGUCell":
            f = gate(affine(cell.Wf, x, h))
            if cell.reset_after:
                n = np.tanh(affine(cell.Wh, x) + f * affine(cell.Uh, h))
            else:
                n = np.tanh(affine(cell.Wh, x, f * h if cell.reset_gate else h))
            return {"h": f * h + (1 - f) * n if cell.gate_keeps else (1 - f) * h + f * n}
    f, r, u, o = np.split(affine(cell.W, x, h), 4, -1)
    bias = np.asarray(cell.bias.value, np.float64)
    f, r = gate(f + bias), gate(r - bias)
    g = 2 * r * f + (1 - 2 * r) * f**2
    c = g * np.asarray(cell.c.value, np.float64) + (1 - g) * np.tanh(u)
    return {"h": gate(o) * np.tanh(c), "c": c}


class TestFormula:
    @every_cell
    @every_batch
    def test_one_step(self, name: str, batch: int | None) -> None:
        cell = filled(name, batch)
        x = sample(*lead(batch), 3)
        expected = formula(cell, x)
        y = cell(x)
        assert cell.h.value is y
        for key, value in expected.items():
            np.testing.assert_allclose(getattr(cell, key).value, value, rtol=1e-5, atol=1e-6)

    @every_batch
    @pytest.mark.parametrize("b_init", [None, nn.init.ZeroInit()])
    def test_reset_after(self, batch: int | None, b_init: Any) -> None:
        cell = filled("GRUCell", batch, reset_after=True, b_init=b_init)
        x = sample(*lead(batch), 3)
        expected = formula(cell, x)["h"]
        np.testing.assert_allclose(cell(x), expected, rtol=1e-5, atol=1e-6)
        assert ("bias" in cell.Uh.weight.value) == (b_init is not None)
        assert list(graph.states(cell)) == [
            ("Uh", "weight"),
            ("Wh", "weight"),
            ("Wrz", "weight"),
            ("h",),
        ]

    @pytest.mark.parametrize("b_init", [None, nn.init.ZeroInit()])
    def test_without_hidden_bias(self, b_init: Any) -> None:
        cell = filled("GRUCell", 2, reset_after=True, hidden_bias=False, b_init=b_init)
        whole = filled("GRUCell", 2, reset_after=True, b_init=b_init)
        assert cell.Uh.weight.value.keys() == {"weight"}
        assert not cell.hidden_bias
        assert ("bias" in cell.Wh.weight.value) == (b_init is not None)
        for name in ("Wrz", "Wh", "Uh"):
            given = getattr(cell, name).weight.value
            zeros = {"bias": jnp.zeros(4)} if b_init is not None else {}
            getattr(whole, name).weight.value = zeros | given
        whole.h.value = cell.h.value
        x = sample(2, 3)
        np.testing.assert_allclose(cell(x), whole(x), rtol=1e-6)
        with pytest.raises(ValueError, match="hidden_bias=False leaves out"):
            nn.GRUCell(3, 4, hidden_bias=False)

    @pytest.mark.parametrize(
        "options",
        [
            {"reset_after": True},
            {"reset_gate": False, "b_init": None},
            {"gate_keeps": True},
            {"reset_after": True, "gate_keeps": True},
        ],
        ids=str,
    )
    def test_forms_of_the_minimal_unit(self, options: dict[str, Any]) -> None:
        cell = filled("MGUCell", **options)
        x = sample(2, 3)
        expected = formula(cell, x)["h"]
        np.testing.assert_allclose(cell(x), expected, rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="leave one of them out"):
            nn.MGUCell(3, 4, reset_after=True, reset_gate=False)

    def test_both_resets_agree_while_the_gate_is_open(self) -> None:
        """What the two forms differ in is where ``r`` acts, and nothing else."""
        before, after = filled("GRUCell"), filled("GRUCell", reset_after=True)
        before.Wrz.weight.value["bias"] = before.Wrz.weight.value["bias"].at[:4].set(1e3)
        after.Wrz.weight.value = before.Wrz.weight.value
        kernel = before.Wh.weight.value["weight"]
        after.Wh.weight.value = {"weight": kernel[:3], "bias": jnp.zeros(4)}
        after.Uh.weight.value = {"weight": kernel[3:], "bias": before.Wh.weight.value["bias"]}
        after.h.value = before.h.value
        x = sample(2, 3)
        np.testing.assert_allclose(after(x), before(x), rtol=1e-5, atol=1e-6)

    @every_gated_cell
    @pytest.mark.parametrize("given", ["hard_sigmoid", jax.nn.hard_sigmoid])
    def test_gate_activation(self, name: str, given: Any) -> None:
        cell = filled(name, gate_activation=given)
        x = sample(2, 3)
        expected = formula(cell, x, gate=lambda z: np.clip(z / 6 + 0.5, 0, 1))["h"]
        np.testing.assert_allclose(cell(x), expected, rtol=1e-5, atol=1e-6)

    @every_cell
    @pytest.mark.parametrize("given", ["tanh", jnp.tanh, np.cos])
    def test_activation(self, name: str, given: Any) -> None:
        """By name, or any function; the published cell is the measure."""
        given = jnp.cos if given is np.cos else given
        cell = filled(name, activation=given)
        published = getattr(brainstate.nn, name)(3, 4, activation=given)
        published.init_state(2)
        for path, state in published.states().items():
            state.value = graph.states(cell)[path].value
        x = sample(2, 3)
        np.testing.assert_allclose(cell(x), published(x), rtol=1e-6, atol=1e-6)

    @every_cell
    def test_compute_dtype(self, name: str) -> None:
        cell, half = filled(name), filled(name, dtype=jnp.bfloat16)
        x = sample(2, 3)
        jaxpr = str(jax.make_jaxpr(lambda cell, x: cell(x))(half, x))
        products = [line for line in jaxpr.splitlines() if "dot_general" in line]
        assert products
        assert all("bf16" in line for line in products)
        np.testing.assert_allclose(half(x), cell(x), rtol=0.1, atol=0.1)

    @every_cell
    def test_scan_over_time(self, name: str) -> None:
        cell = filled(name)
        xs = sample(4, 2, 3)

        def step(cell: Any, x: jax.Array) -> Any:
            y = cell(x)
            return cell, y

        _, ys = jax.lax.scan(step, cell, xs)
        np.testing.assert_allclose(ys, jnp.stack([cell(x) for x in xs]), rtol=1e-5, atol=1e-5)


class TestStates:
    @every_cell
    @every_batch
    def test_made_and_reset(self, name: str, batch: int | None) -> None:
        cell = getattr(nn, name)(3, 4, state_init=nn.init.Constant(2.0))
        cell.init_state(batch)
        states = [cell.h, cell.c] if name == "URLSTMCell" else [cell.h]
        cell(jnp.ones((*lead(batch), 3)))
        for size in (batch, 5):
            cell.reset_state(size)
            for state in states:
                np.testing.assert_array_equal(state.value, np.full((*lead(size), 4), 2.0))
        assert cell.h is states[0]

    @every_cell
    def test_of_an_array(self, name: str) -> None:
        cell = getattr(nn, name)(3, 4, state_init=jnp.arange(4.0))
        cell.init_state(2)
        np.testing.assert_array_equal(cell.h.value, [[0, 1, 2, 3]] * 2)

    @every_cell
    def test_missing(self, name: str) -> None:
        cell = getattr(nn, name)(3, 4)
        with pytest.raises(AttributeError, match=f"This {name} has no state.*init_state"):
            cell(jnp.ones(3))
        with pytest.raises(AttributeError, match="init_state"):
            cell.reset_state()


class TestInitialValues:
    @pytest.mark.parametrize("name", ["GRUCell", "MGUCell"])
    def test_kernels_are_orthogonal(self, name: str) -> None:
        cell = getattr(nn, name)(5, 6)
        kernel = np.asarray(cell.Wh.weight.value["weight"])
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(6), atol=1e-5)
        assert not np.any(np.asarray(cell.Wh.weight.value["bias"]))

    @pytest.mark.parametrize("units", [4, 600])
    def test_forget_gates_are_spread_evenly(self, units: int) -> None:
        random.seed(0)
        gate = sigmoid(np.asarray(nn.URLSTMCell(1, units).bias.value, np.float64))
        published = brainstate.nn.URLSTMCell(1, units).bias.value
        assert nn.URLSTMCell(1, units).bias.value.dtype == published.dtype
        for found in (gate, sigmoid(np.asarray(published, np.float64))):
            assert found.min() >= 1 / units * (1 - 1e-5)
            assert found.max() <= 1 - 1 / units * (1 - 1e-5)
        if units > 100:
            np.testing.assert_allclose(
                np.quantile(gate, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.03
            )

    @pytest.mark.parametrize("units", [0, 1, 2])
    def test_a_few_units_start_in_the_middle(self, units: int) -> None:
        """Of one unit the published bias is infinite, of none it divides by zero."""
        np.testing.assert_array_equal(nn.URLSTMCell(1, units).bias.value, np.zeros(units))

    def test_bias_follows_the_precision(self) -> None:
        with environ.context(precision=64):
            assert nn.URLSTMCell(1, 3).bias.value.dtype == np.float64


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        (((2, 3), 4), {}, ValueError, "not shapes"),
        ((3, (2, 4)), {}, ValueError, "not shapes"),
        ((3.5, 4), {}, ValueError, "integer"),
        ((3, 4), {"activation": "softly"}, ValueError, "activation='softly'"),
        ((3, 4), {"activation": None}, TypeError, "activation must be a name or a function"),
        ((3, 4), {"gate_activation": "softly"}, ValueError, "gate_activation='softly'"),
        ((3, 4), {"gate_activation": 3}, TypeError, "gate_activation must be a name"),
    ],
)
@every_cell
def test_bad_arguments(
    name: str, args: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    if "gate_activation" in options and name not in GATED:
        error, message = TypeError, "gate_activation"
    with pytest.raises(error, match=message):
        getattr(nn, name)(*args, **options)


@pytest.mark.parametrize(
    ("batch", "shape", "message"),
    [
        (None, (5, 3), "leading axes"),
        (5, (3,), "leading axes"),
        (5, (4, 3), "leading axes"),
        (5, (5, 2), "3 features"),
        (None, (), "3 features"),
    ],
)
@every_cell
def test_bad_inputs(name: str, batch: int | None, shape: tuple[int, ...], message: str) -> None:
    cell = filled(name, batch)
    with pytest.raises(ValueError, match=message):
        cell(jnp.ones(shape))


@every_cell
def test_output_size(name: str) -> None:
    cell = getattr(nn, name)(3, 4)
    assert cell.output_size((3,)) == cell.out_size == (4,)
    with pytest.raises(ValueError, match=f"{name} takes .* 3 features"):
        cell.output_size((2, 3))
