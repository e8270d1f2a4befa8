"""The power mean of windows against its formula, at its limits, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, nn
from interop_core.testing import quick_compilation


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def sample(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def power_mean(x: np.ndarray, p: float, kernel: Any, stride: Any, pads: Any) -> np.ndarray:
    """The formula by loops, over two spatial axes with the channels last."""
    padded = np.pad(x.astype(np.float64), (*pads, (0, 0)))
    rows, columns = (
        range(0, n - k + 1, s) for n, k, s in zip(padded.shape, kernel, stride, strict=False)
    )
    return np.array(
        [
            [
                np.mean(np.abs(padded[i : i + kernel[0], j : j + kernel[1]]) ** p, (0, 1))
                ** (1 / p)
                for j in columns
            ]
            for i in rows
        ]
    )


class TestFormula:
    @pytest.mark.parametrize("p", [0.5, 1, 1.0, 1.5, 2, 2.0, 2.5, 3, 4, 7.0])
    @pytest.mark.parametrize(
        "kernel, stride, padding, pads",
        [
            ((2, 2), (2, 2), "VALID", ((0, 0), (0, 0))),
            ((3, 2), (1, 2), ((1, 0), (0, 2)), ((1, 0), (0, 2))),
            ((3, 3), (2, 2), "SAME", ((1, 1), (0, 1))),
        ],
    )
    def test_two_axes(self, p: float, kernel: Any, stride: Any, padding: Any, pads: Any) -> None:
        x = sample(5, 6, 2)
        layer = nn.LPPool2d(p, kernel, stride, padding, in_size=x.shape)
        y = jax.jit(layer.update)(x)
        np.testing.assert_allclose(y, power_mean(x, p, kernel, stride, pads), rtol=2e-5)
        assert y.shape == layer.out_size

    def test_a_mean_and_no_norm(self) -> None:
        x = jnp.array([[3.0], [-4.0], [0.0], [5.0]])
        np.testing.assert_allclose(nn.LPPool1d(2, 2)(x)[:, 0], np.sqrt([12.5, 12.5]), rtol=1e-6)

    @pytest.mark.parametrize("p", [1, 2, 3, 2.5])
    def test_padding_counts_as_zeros(self, p: float) -> None:
        y = nn.LPPool1d(p, 2, padding=3)(jnp.ones((2, 1)))
        assert y[:, 0].tolist() == pytest.approx([0, 0.5 ** (1 / p), 0.5 ** (1 / p), 0])

    def test_nears_the_largest_magnitude(self) -> None:
        x = np.clip(sample(8, 1), -2, 2)
        y = nn.LPPool1d(60, 4)(x)
        np.testing.assert_allclose(y, nn.MaxPool1d(4)(jnp.abs(x)), rtol=0.03)

    @pytest.mark.parametrize("axis", [-1, -2, -3, 0, 1, 2, 3, None])
    def test_channel_axis(self, axis: int | None) -> None:
        x = sample(3, 4, 5, 6)
        ours, published = (
            library.LPPool2d(2, 2, channel_axis=axis)(jnp.asarray(x))
            for library in (nn, brainstate.nn)
        )
        np.testing.assert_allclose(ours, published, rtol=1e-6)

    def test_default_stride(self) -> None:
        assert nn.LPPool2d(2, (2, 3)).stride == (2, 3)


class TestDerivative:
    @pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 2.5])
    def test_formula(self, p: float) -> None:
        x = np.array([[0.5], [-2.0], [3.0]], np.float32)
        grad = jax.jit(jax.grad(lambda x: nn.LPPool1d(p, 3)(x).sum()))(x)
        y = np.mean(np.abs(x) ** p) ** (1 / p)
        np.testing.assert_allclose(grad, np.sign(x) * (np.abs(x) / y) ** (p - 1) / 3, rtol=1e-5)

    @pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 2.5])
    @pytest.mark.parametrize("x", [[0.0, 0.0], [0.0, 2.0]])
    def test_zeros(self, p: float, x: list[float]) -> None:
        # Where the derivative is infinite it is taken to be 0; the published layer gives infinity
        # for p < 1. For p = 1 it is that of `jax.numpy.abs`.
        grad = jax.jit(jax.grad(lambda x: nn.LPPool1d(p, 2)(x).sum()))(jnp.array(x)[:, None])
        assert grad[0, 0] == (jax.grad(jnp.abs)(0.0) / 2 if p == 1 else 0)
        assert np.isfinite(grad).all()
        assert (grad[1, 0] > 0) == (x[1] > 0 or p == 1)

    @pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 2.5])
    def test_nan_stays(self, p: float) -> None:
        y = nn.LPPool1d(p, 2)(jnp.array([jnp.nan, 1.0, 2.0, 2.0])[:, None])
        assert np.isnan(y[:, 0]).tolist() == [True, False]

    def test_second_derivative(self) -> None:
        # f = sqrt((a^2 + b^2) / 2), of which the second derivative along a is b^2 / (4 f^3).
        def f(a: Any) -> Any:
            return nn.LPPool1d(2, 2)(jnp.stack([a, jnp.ones_like(a)])[:, None])[0, 0]

        a = jnp.float32(0.7)
        assert float(jax.jit(jax.hessian(f))(a)) == pytest.approx(
            float(1 / (4 * f(a) ** 3)), rel=1e-4
        )


class TestTypes:
    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32"])
    def test_integers(self, dtype: str) -> None:
        x = jnp.array([[100], [100]]).astype(dtype)
        y = nn.LPPool1d(2, 2)(x)
        assert y.dtype == jnp.float32  # the published layer squares int8 in int8, which wraps
        assert y.item() == x[0, 0]

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
    def test_floating_point(self, dtype: str) -> None:
        x = jnp.asarray(sample(4, 1)).astype(dtype)
        assert nn.LPPool1d(2, 2)(x).dtype == jnp.float32
        with environ.context(precision=64):
            for library in (nn, brainstate.nn):
                assert library.LPPool1d(2, 2)(x).dtype == np.float64

    @pytest.mark.parametrize("p", [1, 2, 3, 2.5])
    def test_complex(self, p: float) -> None:
        y = nn.LPPool1d(p, 2)(jnp.array([[3 + 4j], [-5j]]))
        assert y.dtype == jnp.float32
        assert y.item() == pytest.approx(5)

    def test_powers_beyond_half_precision(self) -> None:
        assert nn.LPPool1d(2, 2)(jnp.full((2, 1), 1000, jnp.float16)).item() == 1000


class TestExponent:
    @pytest.mark.parametrize("p", [0, -1, 0.0, -2.5, float("inf"), float("nan")])
    def test_out_of_range(self, p: float) -> None:
        with pytest.raises(ValueError, match="norm_type must be a positive finite number, got"):
            nn.LPPool2d(p, 2)

    @pytest.mark.parametrize("p", [None, "2", (2,), 2j])
    def test_no_number(self, p: Any) -> None:
        with pytest.raises(TypeError, match="norm_type must be a real number, got"):
            nn.LPPool2d(p, 2)

    @pytest.mark.parametrize("p", [2, 2.0, True, np.float32(2.5), jnp.array(3.0)])
    def test_is_kept_as_a_number(self, p: Any) -> None:
        kept = nn.LPPool1d(p, 2).norm_type
        assert type(kept) in (int, float)
        assert kept == p

    @pytest.mark.parametrize("size", [(4, 4), (1, 4, 3)])
    def test_wrong_size(self, size: Any) -> None:
        with pytest.raises(ValueError, match=r"needs 2 spatial axes and|does not fit into spatial"):
            nn.LPPool2d(2, 2, in_size=size)
