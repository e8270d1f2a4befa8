"""Limiting the norm of gradients: formula, precision, what is odd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn
from interop_core.state import ParamState
from interop_core.testing import quick_compilation

ORDERS = [2, 2.0, None, 1, 3, 1.5, "inf", np.inf, "-inf", -np.inf]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def gradients() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    return {
        "w": jnp.asarray(draw.normal(size=(3, 4)), np.float32),
        "more": [jnp.asarray(draw.normal(size=5), np.float32), jnp.float32(0.5)],
    }


structure: Any = jax.tree.structure


def flat(tree: Any) -> Any:
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]).astype(np.float64)


def norm_of(tree: Any, order: Any) -> float:
    return float(np.linalg.norm(flat(tree), 2 if order is None else float(order)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [0.5, 100.0, 0.0])
def test_formula(order: Any, limit: float) -> None:
    grads = gradients()
    clipped, norm = nn.clip_grad_norm(grads, limit, order, return_norm=True)
    expected = norm_of(grads, order)
    assert float(norm) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(flat(clipped), flat(grads) * min(1, limit / expected), rtol=2e-6)
    assert structure(clipped) == structure(grads)
    np.testing.assert_array_equal(flat(nn.clip_grad_norm(grads, limit, order)), flat(clipped))


@pytest.mark.parametrize("order", ORDERS)
def test_as_the_published_function(order: Any) -> None:
    # Which adds 1e-6 to the norm before it divides, against its formula.
    ours, our_norm = nn.clip_grad_norm(gradients(), 0.1, order, True)
    theirs, their_norm = brainstate.nn.clip_grad_norm(gradients(), 0.1, order, True)
    np.testing.assert_allclose(our_norm, their_norm, rtol=1e-6)
    np.testing.assert_allclose(flat(ours), flat(theirs), rtol=5e-5)


def test_a_small_gradient_gets_the_norm_asked_for() -> None:
    clipped = nn.clip_grad_norm({"a": jnp.full(4, 1e-6)}, 1e-8)
    assert norm_of(clipped, 2) == pytest.approx(1e-8)


@pytest.mark.parametrize("order", [1, 2, 3, "inf"])
@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("float16", 6e4),
        ("float16", 1e-4),
        ("bfloat16", 1e30),
        ("float32", 1e30),
        ("float32", 1e-30),
    ],
)
def test_no_power_overflows(order: Any, dtype: str, size: float) -> None:
    # In the published function the squares of these are infinite or 0.
    grads = {"a": jnp.full(100, size, dtype)}
    clipped, norm = nn.clip_grad_norm(grads, size, order, return_norm=True)
    assert clipped["a"].dtype == dtype
    assert float(norm) == pytest.approx(norm_of(grads, order), rel=1e-2)
    assert norm_of(clipped, order) == pytest.approx(size, rel=0.1 if dtype == "float16" else 2e-2)


def test_dtypes_stay() -> None:
    # The published function gives all gradients the widest type.
    grads = {"a": jnp.ones(2, "bfloat16"), "b": jnp.ones(2), "c": jnp.array([3 + 4j])}
    clipped = nn.clip_grad_norm(grads, 0.5)
    assert jax.tree.map(lambda x: x.dtype, clipped) == jax.tree.map(lambda x: x.dtype, grads)
    assert float(abs(clipped["c"][0])) == pytest.approx(2.5 / np.sqrt(29), rel=1e-6)
    with jax.enable_x64(True):
        double, norm = nn.clip_grad_norm({"a": jnp.full(4, 3.0)}, 1e-3, return_norm=True)
        assert double["a"].dtype == norm.dtype == np.float64
        assert float(norm_of(double, 2)) == pytest.approx(1e-3, rel=1e-14)


def test_numbers_and_nothing() -> None:
    clipped, norm = nn.clip_grad_norm({"a": 3, "b": 4.0, "none": None}, 1.0, return_norm=True)
    assert float(clipped["a"]) == pytest.approx(0.6)
    assert float(norm) == 5.0
    assert clipped["none"] is None
    for empty in ({}, {"a": jnp.zeros(0)}):
        for order in (2, "inf", "-inf"):
            clipped, norm = nn.clip_grad_norm(empty, 1.0, order, return_norm=True)
            assert float(norm) == 0.0
            assert structure(clipped) == structure(empty)


@pytest.mark.parametrize("order", [1, 2, "inf"])
def test_zeros_have_a_gradient(order: Any) -> None:
    # The published function has none there: not a number.
    zeros = {"a": jnp.zeros(3)}
    assert not flat(nn.clip_grad_norm(zeros, 0.0, order)).any()
    slope = jax.grad(lambda g: nn.clip_grad_norm(g, 1.0, order)["a"].sum())(zeros)
    np.testing.assert_array_equal(slope["a"], 1.0)


def test_gradient_where_it_clips() -> None:
    # g / |g| has the slope (1 - u u') / |g| with u = g / |g|.
    g = jnp.array([3.0, 4.0])
    slope = jax.jacobian(lambda g: nn.clip_grad_norm(g, 1.0))(g)
    u = g / 5
    np.testing.assert_allclose(slope, (jnp.eye(2) - jnp.outer(u, u)) / 5, atol=1e-6)


def test_what_is_no_number_spreads() -> None:
    clipped, norm = nn.clip_grad_norm({"a": jnp.array([jnp.nan, 1.0])}, 5.0, return_norm=True)
    assert jnp.isnan(norm)
    assert jnp.isnan(clipped["a"]).all()
    _, norm = nn.clip_grad_norm({"a": jnp.array([jnp.inf, 1.0])}, 5.0, return_norm=True)
    assert jnp.isinf(norm)


def test_gradient_of_a_module() -> None:
    layer = nn.Linear(3, 2)

    @jax.jit
    def step(layer: nn.Linear, limit: jax.Array) -> Any:
        grads = jax.grad(lambda layer: (layer(jnp.ones((4, 3))) ** 2).sum())(layer)
        return nn.clip_grad_norm(grads, limit, return_norm=True)

    clipped, norm = step(layer, jnp.array(0.1))
    assert isinstance(clipped, nn.Linear)
    assert float(norm) > 0.1
    assert norm_of(clipped, 2) == pytest.approx(0.1, rel=1e-5)


def test_gradients_of_integers_pass() -> None:
    tree = {"a": jnp.arange(3), "b": jnp.array([3.0, 4.0])}
    grads = jax.grad(lambda t: (t["b"] ** 2).sum() / 2, allow_int=True)(tree)
    clipped = nn.clip_grad_norm(grads, 1.0)
    assert clipped["a"].dtype == jax.dtypes.float0
    np.testing.assert_allclose(clipped["b"], [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("order", ["fro", "2", "", 0, 0.5, -1, float("nan")])
def test_no_norm(order: Any) -> None:
    with pytest.raises(ValueError, match="norm_type must be"):
        nn.clip_grad_norm(gradients(), 1.0, order)


@pytest.mark.parametrize("limit", [-1.0, np.float32(-1), jnp.array(-1.0), float("nan")])
def test_no_limit(limit: Any) -> None:
    # The published function turns the gradients round.
    with pytest.raises(ValueError, match="must not be negative"):
        nn.clip_grad_norm(gradients(), limit)


def test_one_limit_for_all() -> None:
    # An array would give every gradient more axes.
    with pytest.raises(ValueError, match="must be one number"):
        jax.jit(nn.clip_grad_norm)(gradients(), jnp.ones(2))


@pytest.mark.parametrize("leaf", ["text", ParamState(jnp.ones(2))])
def test_no_array(leaf: Any) -> None:
    with pytest.raises(TypeError, match="Gradients are arrays"):
        nn.clip_grad_norm({"a": leaf}, 1.0)
