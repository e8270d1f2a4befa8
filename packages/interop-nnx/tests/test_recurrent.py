"""Recurrent cells over several steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from interop_core import UnsupportedStructureError, nn
from interop_nnx import companions, from_nnx, to_nnx

# Four gates in float32, summed in another order, over a few steps.
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
STEPS = jax.random.normal(jax.random.key(0), (5, 2, 3))


def filled(cell: Any) -> Any:
    """The cell with random biases, which start as zeros."""
    for path, variable in nnx.to_flat_state(nnx.state(cell, nnx.Param)):
        if path[-1] == "bias":
            draw = np.random.default_rng(len(str(path)) + ord(str(path[0])[-1]))
            variable[...] = jnp.asarray(draw.normal(size=variable.shape), jnp.float32)
    nnx.update(cell, nnx.state(cell, nnx.Param))
    return cell


def run_nnx(cell: Any) -> list[Any]:
    carry, outputs = (jnp.zeros((2, 4)), jnp.zeros((2, 4))), []
    for x in STEPS:
        carry, y = cell(carry, x)
        outputs.append(y)
    return [*outputs, *carry]


def run_core(cell: nn.LSTMCell) -> list[Any]:
    cell.init_state(2)
    outputs = [cell(x) for x in STEPS]
    return [*outputs, cell.c.value, cell.h.value]


@pytest.mark.parametrize("kind", [nnx.LSTMCell, nnx.OptimizedLSTMCell])
def test_into_the_core(kind: Any) -> None:
    cell = filled(kind(3, 4, rngs=nnx.Rngs(0)))
    converted = from_nnx(cell)
    assert converted.forget_bias == 0.0
    for found, expected in zip(run_core(converted), run_nnx(cell), strict=True):
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_into_the_core_and_back_to_the_bit() -> None:
    cell = filled(nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0)))
    back = to_nnx(from_nnx(cell))
    before, after = nnx.to_flat_state(nnx.state(cell)), nnx.to_flat_state(nnx.state(back))
    for (path, variable), (path_after, variable_after) in zip(before, after, strict=True):
        assert path == path_after
        np.testing.assert_array_equal(variable[...], variable_after[...])


def test_the_two_cells_of_nnx_become_one() -> None:
    cell = filled(nnx.OptimizedLSTMCell(3, 4, rngs=nnx.Rngs(0)))
    split = to_nnx(from_nnx(cell))
    assert type(split) is nnx.LSTMCell
    for found, expected in zip(run_nnx(split), run_nnx(cell), strict=True):
        np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("forget_bias", [1.0, 0.0, -2.5])
def test_out_of_the_core(forget_bias: float) -> None:
    cell = nn.LSTMCell(3, 4, forget_bias=forget_bias, activation="relu")
    converted = to_nnx(cell)
    np.testing.assert_allclose(converted.hf.bias[...], forget_bias)
    assert converted.activation_fn is jax.nn.relu
    for found, expected in zip(run_nnx(converted), run_core(cell), strict=True):
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_functions_go_over_by_identity() -> None:
    cell = nnx.LSTMCell(3, 4, gate_fn=nnx.hard_sigmoid, activation_fn=jnp.sin, rngs=nnx.Rngs(0))
    converted = from_nnx(cell)
    assert converted.gate_activation == "hard_sigmoid"
    assert converted.activation is jnp.sin
    back = to_nnx(converted)
    assert (back.gate_fn, back.activation_fn) == (nnx.hard_sigmoid, jnp.sin)
    assert to_nnx(nn.LSTMCell(3, 4, activation="soft_shrink")).activation_fn is nn.soft_shrink


@pytest.mark.parametrize("name", ["hard_tanh", "leaky_relu", "squareplus", "gelu", "celu"])
def test_a_name_is_the_same_function_on_both_sides(name: str) -> None:
    x = jnp.linspace(-3, 3, 25)
    function = to_nnx(nn.LSTMCell(3, 4, activation=name)).activation_fn
    np.testing.assert_array_equal(function(x), getattr(nn, name)(x))


def test_states_are_arguments_there() -> None:
    cell = nn.LSTMCell(3, 4)
    cell.init_state(2)
    assert len(jax.tree.leaves(nnx.state(to_nnx(cell)))) == 12


def test_a_stack_is_called_as_it_was() -> None:
    cell = nn.Sequential(nn.LSTMCell(3, 4), nn.Tanh(), nn.MGUCell(4, 2, b_init=None))
    nn.init_all_states(cell, 2)
    first, *rest = STEPS
    cell(first)
    converted = to_nnx(cell)
    for x in rest:
        np.testing.assert_allclose(converted(x), cell(x), **CLOSE)
    assert len(nnx.to_flat_state(nnx.state(converted, companions.Carry))) == 3


def test_a_carry_is_made_and_set_back() -> None:
    converted = to_nnx(nn.Sequential(nn.GRUCell(3, 4), nn.ReLU()))
    with pytest.raises(ValueError, match=r"no carry yet: call reset_carry"):
        converted(STEPS[0])
    companions.reset_carries(converted, (2,))
    step = nnx.jit(lambda model, x: model(x))
    first = step(converted, STEPS[0])
    assert not np.array_equal(step(converted, STEPS[0]), first)
    companions.reset_carries(converted, (2,))
    np.testing.assert_array_equal(step(converted, STEPS[0]), first)
    with pytest.raises(ValueError, match="leading axes must agree"):
        converted(STEPS[0, :1])


def test_a_companion_runs_over_time() -> None:
    cell = nn.MGUCell(3, 4)
    outputs = nnx.RNN(to_nnx(cell), time_major=True, return_carry=False)(STEPS)
    cell.init_state(2)
    np.testing.assert_allclose(outputs, jnp.stack([cell(x) for x in STEPS]), **CLOSE)


@pytest.mark.parametrize("kind", [nnx.LSTMCell, companions.MGUCell])
def test_a_cell_that_takes_its_carry_is_not_inside_a_stack(kind: Any) -> None:
    with pytest.raises(UnsupportedStructureError, match=r"layers\[0\] .*takes and returns its"):
        from_nnx(nnx.Sequential(kind(3, 4, rngs=nnx.Rngs(0))))
