"""The recurrent cell over images: against an LSTM at each place, its states, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn
from interop_core.testing import quick_compilation


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def normal(*shape: int, seed: int = 0) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def filled(layer: Any) -> Any:
    layer.weight.value = {n: normal(*a.shape, seed=a.ndim) for n, a in layer.weight.value.items()}
    return layer.weight.value


@pytest.mark.parametrize("spatial", [(4,), (3, 2), (2, 1, 3)])
def test_with_windows_of_one_entry_it_is_an_lstm_at_each_place(spatial: tuple[int, ...]) -> None:
    options: dict[str, Any] = {
        "forget_bias": 0.5,
        "activation": "relu",
        "gate_activation": "hard_sigmoid",
    }
    cell = nn.ConvLSTMCell((*spatial, 2), 3, 1, **options)
    plain = nn.LSTMCell(2, 3, **options)
    of_input, of_state = filled(cell.Wx), filled(cell.Wh)
    kernels = [held["weight"].reshape(-1, 12) for held in (of_input, of_state)]
    plain.W.weight.value = {
        "weight": jnp.concatenate(kernels),
        "bias": (of_input["bias"] + of_state["bias"]).reshape(12),
    }
    places = int(np.prod(spatial))
    cell.init_state(2)
    plain.init_state(2 * places)
    for step in range(3):
        x = normal(2, *spatial, 2, seed=step)
        y = cell(x)
        assert y.shape == (2, *cell.out_size)
        expected = plain(x.reshape(2 * places, 2)).reshape(y.shape)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cell.c.value.reshape(-1, 3), plain.c.value, rtol=1e-5, atol=1e-6)


def test_what_enters_spreads_by_a_window_a_step() -> None:
    cell = nn.ConvLSTMCell((7, 1), 1, 3, w_init=nn.init.Constant(1.0), b_init=None)
    cell.init_state()
    point = jnp.zeros((7, 1)).at[3].set(1.0)
    reached = [np.flatnonzero(cell(x)[:, 0]).tolist() for x in (point, jnp.zeros((7, 1)))]
    assert reached == [[2, 3, 4], [1, 2, 3, 4, 5]]


def test_along_the_time_axis() -> None:
    cell = nn.ConvLSTMCell((3, 2), 2, 3, dtype=jnp.bfloat16)
    x = normal(2, 4, 3, 2)
    y = nn.RNN(cell)(x)
    cell.init_state(2)
    expected = jnp.stack([cell(x[:, t]) for t in range(4)], 1)
    assert y.shape == (2, 4, 3, 2)
    np.testing.assert_allclose(y, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((5,), 2, 3), "one to three spatial lengths"),
        (((5, 4, 3, 2, 2), 2, 3), "one to three spatial lengths"),
        (((5, 2), 2, 3, "VALID"), "the states of a ConvLSTMCell keep theirs"),
        (((5, 2), 2, (3, 3)), "kernel_size must have"),
    ],
)
def test_wrong_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.ConvLSTMCell(*arguments)


def test_wrong_calls() -> None:
    cell = nn.ConvLSTMCell((3, 2), 2, 3)
    with pytest.raises(AttributeError, match="no states c and h"):
        cell(jnp.zeros((3, 2)))
    cell.init_state(2)
    with pytest.raises(ValueError, match="leading axes must agree"):
        cell(jnp.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"one step of the shape \(3, 2\)"):
        cell(jnp.zeros((2, 4, 2)))
    cell.reset_state(4)
    assert cell(jnp.zeros((4, 3, 2))).shape == (4, 3, 2)
