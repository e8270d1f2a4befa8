"""The exponential Euler step: exact solutions, the published step, noise, units, refusals."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
import saiunit
from jax import numpy as jnp

from interop_core import environ, nn, random
from interop_core.testing import quick_compilation

STEP = 0.1
SINGLE = np.array([1.0, -0.5, 2.0], np.float32)
MATRIX = np.array([[-1.0, 2.0], [-3.0, -0.5]], np.float32)


@pytest.fixture(autouse=True)
def step() -> Iterator[None]:
    """The time step, in both libraries; each program here runs once."""
    with environ.context(dt=STEP), brainstate.environ.context(dt=STEP), quick_compilation():
        yield


DRIFTS: list[tuple[Any, Any, tuple[Any, ...], dict[str, Any]]] = [
    (lambda x: -x, SINGLE, (), {}),
    (lambda x: -(x**3) + 1, SINGLE, (), {}),
    (lambda x, rate, offset=0.0: rate * x + offset, SINGLE, (-2.0,), {"offset": 0.5}),
    (lambda x: jnp.ones_like(x), SINGLE, (), {}),
    (lambda x: x.sum(), SINGLE, (), {}),
    (lambda x: -1e4 * x, SINGLE, (), {}),
    (lambda x: jnp.exp(x), np.ones((2, 3), np.float32), (), {}),
    (lambda x: MATRIX @ x, np.array([1.0, 0.5], np.float32), (), {}),
    (lambda x: -x, 1.5, (), {}),
]


@pytest.mark.parametrize(("drift", "x", "args", "kwargs"), DRIFTS)
def test_is_the_published_step(drift: Any, x: Any, args: Any, kwargs: Any) -> None:
    ours = nn.exp_euler_step(drift, x, *args, **kwargs)
    published = brainstate.nn.exp_euler_step(drift, x, *args, **kwargs)
    assert ours.dtype == published.dtype
    np.testing.assert_allclose(ours, published, rtol=1e-5, atol=1e-6)

    def size(step: Any) -> Any:
        return jax.grad(lambda x: (step(drift, x, *args, **kwargs) ** 2).sum())

    x = jnp.asarray(x)
    np.testing.assert_allclose(
        size(nn.exp_euler_step)(x), size(brainstate.nn.exp_euler_step)(x), rtol=1e-4, atol=1e-4
    )


def test_is_exact_for_linear_dynamics() -> None:
    rates = np.array([-30.0, -1.0, -1e-3, 0.0, 1e-9, 0.7])
    with environ.context(precision=64, dt=STEP):
        x = nn.exp_euler_step(lambda x: rates * x, np.ones(6))
        np.testing.assert_allclose(x, np.exp(STEP * rates), rtol=1e-14)
        leak = nn.exp_euler_step(lambda x: rates[:3] * (x - 2.0), np.ones(3))
        np.testing.assert_allclose(leak, 2.0 - np.exp(STEP * rates[:3]), rtol=1e-14)


def test_takes_the_derivative_of_the_sum_where_entries_act_on_each_other() -> None:
    """The published documents speak of the diagonal; both compute the sums of columns."""
    x = np.array([1.0, 0.5])
    slope = MATRIX.sum(0)
    expected = x + np.expm1(STEP * slope) / slope * (MATRIX @ x)
    np.testing.assert_allclose(nn.exp_euler_step(lambda x: MATRIX @ x, x), expected, rtol=1e-5)


@pytest.mark.parametrize("rate", [0.0, 1e-6, -0.03, -0.3, 0.3])
def test_has_exact_derivatives_around_zero(rate: float) -> None:
    """By the rate: of ``exp(rate * dt)``, twice."""

    def after(rate: Any) -> Any:
        return nn.exp_euler_step(lambda x: rate * x, jnp.float32(1.0))

    for order, derivative in enumerate([after, jax.grad(after), jax.grad(jax.grad(after))]):
        np.testing.assert_allclose(
            derivative(rate), STEP**order * np.exp(STEP * rate), rtol=10.0 ** (-6 + 2 * order)
        )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_keeps_the_dtype(dtype: str) -> None:
    for diffusion in ((), (lambda x: 0.1 * x,)):
        x = nn.exp_euler_step(lambda x: -x, *diffusion, jnp.ones(3, dtype))
        assert x.dtype == dtype
    np.testing.assert_allclose(
        nn.exp_euler_step(lambda x: -x, jnp.ones(3, dtype)).astype("float32"),
        np.exp(-STEP),
        rtol=2 * float(jnp.finfo(dtype).eps),  # type: ignore[no-untyped-call]
    )


@pytest.mark.parametrize("compile", [lambda f: f, jax.jit, jax.vmap])
def test_under_transformations(compile: Any) -> None:
    run = compile(lambda x: nn.exp_euler_step(lambda x: -x, x))
    np.testing.assert_allclose(run(jnp.asarray(SINGLE)), SINGLE * np.exp(-STEP), rtol=1e-5)


class TestNoise:
    def test_is_normal_with_the_root_of_the_step(self) -> None:
        random.seed(0)
        x = nn.exp_euler_step(lambda x: -x, lambda x: 2.0, jnp.ones(20000))
        np.testing.assert_allclose(x.mean(), np.exp(-STEP), atol=0.02)
        np.testing.assert_allclose(x.std(), 2.0 * np.sqrt(STEP), rtol=0.02)

    def test_of_a_key_is_the_published_noise(self) -> None:
        with random.seed_context(3), brainstate.random.seed_context(3):
            ours, theirs = (
                step(lambda x, k: -k * x, lambda x, k: k * x, SINGLE, 0.5)
                for step in (nn.exp_euler_step, brainstate.nn.exp_euler_step)
            )
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)

    def test_gets_the_same_arguments(self) -> None:
        seen: list[Any] = []

        def diffusion(x: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append((x.tolist(), args, kwargs))
            return jnp.zeros_like(x)

        x = nn.exp_euler_step(lambda x, *a, **k: -x, diffusion, jnp.ones(1), 7, scale=2)
        assert seen == [([1.0], (7,), {"scale": 2})]
        np.testing.assert_allclose(x, np.exp(-STEP), rtol=1e-6)

    def test_without_noise_no_key_is_drawn(self) -> None:
        before = random.get_key()
        nn.exp_euler_step(lambda x: -x, 1.0)
        assert random.get_key() == before


class TestUnits:
    millivolt, millisecond = saiunit.mV, saiunit.ms

    @pytest.mark.parametrize(("unit", "scale"), [(saiunit.ms, 1.0), (saiunit.second, 1e3)])
    def test_are_kept(self, unit: Any, scale: float) -> None:
        tau = 10.0 * saiunit.ms
        with environ.context(dt=STEP * unit):
            x = nn.exp_euler_step(lambda v: (3.0 * saiunit.mV - v) / tau, SINGLE * self.millivolt)
        assert saiunit.get_unit(x) == self.millivolt
        expected = 3.0 + (SINGLE - 3.0) * np.exp(-STEP * scale / 10.0)
        np.testing.assert_allclose(x.to_decimal(self.millivolt), expected, rtol=1e-5)

    def test_of_the_noise(self) -> None:
        with environ.context(dt=STEP * self.millisecond), random.seed_context(0):
            x = nn.exp_euler_step(
                lambda v: -v / (10.0 * self.millisecond),
                lambda v: 2.0 * self.millivolt / self.millisecond**0.5,
                jnp.zeros(20000) * self.millivolt,
            )
        assert saiunit.get_unit(x) == self.millivolt
        np.testing.assert_allclose(x.to_decimal(self.millivolt).std(), 2 * STEP**0.5, rtol=0.02)

    @pytest.mark.parametrize(
        ("functions", "message"),
        [
            ((lambda v: -v,), "unit of the drift"),
            (
                (lambda v: -v / (10.0 * saiunit.ms), lambda v: v),
                "diffusion does not fit the unit",
            ),
        ],
    )
    def test_that_do_not_fit(self, functions: Any, message: str) -> None:
        with (
            environ.context(dt=STEP * self.millisecond),
            pytest.raises(ValueError, match=message),
        ):
            nn.exp_euler_step(*functions, SINGLE * self.millivolt)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((3.0, 1.0), TypeError, "drift must be a function"),
        ((lambda x: x,), ValueError, "no state"),
        ((lambda x: x, lambda x: x), ValueError, "no state"),
        ((lambda x: x, 1), ValueError, "dtypes float16.*not int32"),
        ((lambda x: x, jnp.ones(2, bool)), ValueError, "not bool"),
        ((lambda x: x, jnp.ones(2, complex)), ValueError, "not complex64"),
        ((lambda x: x, {"a": jnp.ones(2)}), TypeError, "one array"),
        ((lambda x: x, [1.0]), TypeError, "one array"),
        ((lambda x: (x, x), 1.0), TypeError, "drift must be one floating"),
        ((lambda x: jnp.ones(2, int), jnp.ones(2)), TypeError, "drift must be one floating"),
        ((lambda x: jnp.ones(3), jnp.ones(2)), ValueError, r"drift has shape \(3,\)"),
        ((lambda x: jnp.ones((2, 2)), jnp.ones(2)), ValueError, r"drift has shape \(2, 2\)"),
        ((lambda x: x, lambda x: jnp.ones(3), jnp.ones(2)), ValueError, "diffusion has shape"),
        ((lambda x: x, lambda x: None, jnp.ones(2)), TypeError, "NoneType"),
    ],
)
def test_refuses(args: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.exp_euler_step(*args)


def test_needs_a_time_step() -> None:
    # In a context of its own, which has not entered the block of the fixture.
    with pytest.raises(KeyError, match="time step"):
        contextvars.Context().run(nn.exp_euler_step, lambda x: -x, 1.0)
