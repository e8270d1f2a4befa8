"""Penalties against their formulas, and what they draw against the distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn, random
from interop_core.testing import quick_compilation
from interop_core.testing.catalogue import REGULARIZATIONS

bst: Any = brainstate.nn


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def close(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    """The same shape and numbers, up to a part of the largest."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(initial=1))


# -- formulas -------------------------------------------------------------------------------------

X = np.array([[0.5, 0.2], [0.7, 0.9]])


FORMULAS: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (
        # Twice the negative logarithm of the density, without its constant.
        lambda: nn.GaussianReg(0.5, 2.0, 3.0),
        lambda x: 3 * ((x - 0.5) ** 2 / 4 + 2 * np.log(2)).sum(),
    ),
    (
        lambda: nn.GaussianReg(np.array([0.0, 1.0]), np.array([1.0, 2.0])),
        lambda x: ((x - [0, 1]) ** 2 / [1, 4] + 2 * np.log([1, 2])).sum(),
    ),
    (
        lambda: nn.StudentTReg(2.0, 3.0, 0.5),
        lambda x: (
            -2
            * np.log(
                math.gamma(2)
                / math.gamma(1.5)
                / math.sqrt(3 * math.pi)
                / 0.5
                * (1 + (x / 0.5) ** 2 / 3) ** -2
            ).sum()
        ),
    ),
    (
        lambda: nn.CauchyReg(1.0, np.array([0.5, 2.0])),
        lambda x: -np.log(1 / np.array([0.5, 2]) / (1 + (x / [0.5, 2]) ** 2)).sum(),
    ),
    (
        lambda: nn.LogNormalReg(1.0, 0.5, 2.0),
        lambda x: -np.log(np.exp(-((np.log(x) - 0.5) ** 2) / 8) / x / 2).sum(),
    ),
    (
        lambda: nn.GammaReg(1.0, 3.0, 2.0),
        lambda x: -np.log(2**3 / math.gamma(3) * x**2 * np.exp(-2 * x)).sum(),
    ),
    (
        lambda: nn.InverseGammaReg(1.0, 3.0, 2.0),
        lambda x: -np.log(2**3 / math.gamma(3) * x**-4 * np.exp(-2 / x)).sum(),
    ),
    (
        lambda: nn.BetaReg(1.0, 3.0, 2.0),
        lambda x: -np.log(math.gamma(5) / math.gamma(3) / math.gamma(2) * x**2 * (1 - x)).sum(),
    ),
    (
        lambda: nn.SpikeAndSlabReg(1.0, 0.5, 2.0, 0.25),
        lambda x: -np.log(0.25 * np.exp(-2 * x**2) / 0.5 + 0.75 * np.exp(-(x**2) / 8) / 2).sum(),
    ),
    (
        lambda: nn.DirichletReg(1.0, np.array([2.0, 3.0])),
        lambda x: -(np.array([1, 2]) * np.log(np.exp(x) / np.exp(x).sum())).sum(),
    ),
    (
        lambda: nn.EntropyReg(2.0),
        lambda x: 2 * (np.exp(x) / np.exp(x).sum() * np.log(np.exp(x) / np.exp(x).sum())).sum(),
    ),
    (lambda: nn.TotalVariationReg(order=2), lambda x: np.abs(np.diff(x.ravel(), 2)).sum()),
    (
        lambda: nn.GroupLassoReg(group_size=3),
        lambda x: np.linalg.norm(x.ravel()[:3]) + abs(x.ravel()[3]),
    ),
    (lambda: nn.MaxNormReg(2.0, 0.5), lambda x: 2 * (np.linalg.norm(x) - 0.5) ** 2),
    (lambda: nn.SpectralNormReg(2.0, 0.5), lambda x: 2 * (np.linalg.norm(x, 2) - 0.5) ** 2),
    (lambda: nn.OrthogonalReg(), lambda x: np.linalg.norm(x.T @ x - np.eye(2)) ** 2),
]


@pytest.mark.parametrize("make, formula", FORMULAS)
def test_formula(make: Callable[[], Any], formula: Callable[[Any], Any]) -> None:
    close(make().loss(jnp.asarray(X, np.float32)), formula(X))


@pytest.mark.parametrize(
    "name", sorted({row.name for row in REGULARIZATIONS} - {"ChainedReg", "GaussianReg"})
)
def test_edges_are_finite(name: str) -> None:
    values = jnp.array([0.0, -1.0, 1.0, 1e-12, 1e4])[:, None, None] * jnp.ones((2, 2))
    losses, slopes = jax.jit(jax.vmap(jax.value_and_grad(getattr(nn, name)().loss)))(values)
    assert np.isfinite(losses).all()
    assert np.isfinite(slopes).all()


def test_far_from_the_spike() -> None:
    # The published loss ends where both densities are smaller than 1e-8.
    close(nn.SpikeAndSlabReg().loss(jnp.array([100.0])), 5000 + np.log(2))
    close(nn.DirichletReg(alpha=2.0).loss(jnp.array([0.0, 1000.0])), 1000.0)


@pytest.mark.parametrize("outside, edge", [(-1.5, 0.0), (2.5, 1.0)])
def test_shares_beyond_an_edge_count_as_that_edge(outside: float, edge: float) -> None:
    loss = jax.value_and_grad(nn.BetaReg(1.0, 3.0, 2.0).loss)
    close(loss(outside)[0], loss(edge)[0])
    close(loss(outside)[1], 0.0)


@pytest.mark.parametrize(
    "a, b, mode", [(3, 2, 2 / 3), (2, 0.5, 1), (0.5, 2, 0), (1, 2, 0), (1, 1, 0.5), (0.5, 0.5, 0.5)]
)
def test_mode_of_beta(a: float, b: float, mode: float) -> None:
    close(nn.BetaReg(1.0, a, b).reset_value(), mode)


@pytest.mark.parametrize("alpha, mode", [(3.0, 1.0), (1.0, 1e-8), (0.5, 1e-8)])
def test_mode_of_gamma_is_positive(alpha: float, mode: float) -> None:
    assert nn.GammaReg(1.0, alpha, 2.0).reset_value() == np.float32(mode)


def test_shapes_of_matrices() -> None:
    x = jnp.arange(24.0).reshape(2, 3, 4) / 10
    for reg in (nn.OrthogonalReg(), nn.SpectralNormReg()):
        close(reg.loss(x), reg.loss(x.reshape(2, 12)))
        close(reg.loss(x[0, 0]), reg.loss(x[0, 0][:, None]))
        # A single number counts as a matrix. Published, the orthogonal penalty of 2 is 1.
        close(reg.loss(jnp.array(2.0)), reg.loss(jnp.array([[2.0]])))
    assert nn.TotalVariationReg(order=2).loss(jnp.ones(2)) == 0.0
    assert nn.SpectralNormReg().loss(jnp.zeros((0, 2))) == 0.0


# -- samples --------------------------------------------------------------------------------------

COUNT = 20000
QUANTILES = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


NORMAL = np.array([-1.2816, -0.6745, 0.0, 0.6745, 1.2816])
SAMPLES: list[tuple[Callable[[], Any], Any]] = [
    (lambda: nn.L1Reg(2.0), [-0.8047, -0.3466, 0, 0.3466, 0.8047]),
    (lambda: nn.L2Reg(4.0), NORMAL / 2),
    (lambda: nn.HuberReg(4.0), NORMAL / 2),
    (lambda: nn.GroupLassoReg(4.0), NORMAL / 2),
    (lambda: nn.ElasticNetReg(2.0, 4.0, 0.0), NORMAL / 2),
    (lambda: nn.ElasticNetReg(2.0, 4.0, 1.0), [-0.8047, -0.3466, 0, 0.3466, 0.8047]),
    (lambda: nn.GaussianReg(1.0, 2.0), 1 + 2 * NORMAL),
    (lambda: nn.GaussianReg(1.0, 2.0, fit_hyper=True), 1 + 2 * NORMAL),
    # The published sample is normal. These are the quantiles of Student's distribution.
    (lambda: nn.StudentTReg(1.0, 3.0, 2.0), [-3.2755, -1.5298, 0, 1.5298, 3.2755]),
    (lambda: nn.CauchyReg(1.0, 2.0), 2 * np.tan(np.pi * (QUANTILES - 0.5))),
    (lambda: nn.UniformReg(1.0, -1.0, 3.0), 4 * QUANTILES - 1),
    (lambda: nn.LogNormalReg(1.0, 0.5, 2.0), np.exp(0.5 + 2 * NORMAL)),
    (lambda: nn.ExponentialReg(1.0, 2.0), -np.log(1 - QUANTILES) / 2),
    (lambda: nn.GammaReg(1.0, 1.0, 2.0), -np.log(1 - QUANTILES) / 2),
    (lambda: nn.InverseGammaReg(1.0, 1.0, 2.0), -2 / np.log(QUANTILES)),
    (lambda: nn.BetaReg(1.0, 3.0, 1.0), QUANTILES ** (1 / 3)),
    (lambda: nn.LogUniformReg(1.0, 0.1, 10.0), 10 ** (2 * QUANTILES - 1)),
    (lambda: nn.SpikeAndSlabReg(1.0, 1.0, 2.0, 1.0), NORMAL),
    (lambda: nn.SpikeAndSlabReg(1.0, 1.0, 2.0, 0.0), 2 * NORMAL),
    (lambda: nn.EntropyReg(maximize=False), NORMAL),
    (lambda: nn.EntropyReg(), np.zeros(5)),
    (lambda: nn.ChainedReg(nn.L2Reg(4.0), nn.L1Reg()), NORMAL / 2),
    (lambda: nn.ChainedReg(), np.zeros(5)),
]


@pytest.mark.parametrize("make, wanted", SAMPLES)
def test_distribution(make: Callable[[], Any], wanted: Any) -> None:
    random.seed(0)
    found = np.quantile(np.asarray(make().sample_init(COUNT)), QUANTILES)
    np.testing.assert_allclose(found, wanted, rtol=0.06, atol=0.03)


def test_mixtures() -> None:
    random.seed(0)
    # The published sample of the elastic net is a weighted sum, of variance 0.5.
    mixed = nn.ElasticNetReg(1.0, 1.0, 0.5).sample_init(COUNT)
    np.testing.assert_allclose(np.var(mixed), 1.5, rtol=0.06)
    spike = nn.SpikeAndSlabReg(1.0, 0.001, 1.0, 0.3).sample_init(COUNT)
    np.testing.assert_allclose(np.mean(np.abs(spike) < 0.005), 0.3 + 0.7 * 0.004, atol=0.02)
    horseshoe = np.abs(nn.HorseshoeReg(1.0, 2.0).sample_init(COUNT)) / 2
    published = np.abs(bst.HorseshoeReg(1.0, 2.0).sample_init(COUNT)) / 2
    np.testing.assert_allclose(
        np.quantile(horseshoe, QUANTILES), np.quantile(published, QUANTILES), rtol=0.1
    )


def test_samples_of_vectors_and_matrices() -> None:
    random.seed(0)
    walk = np.stack([nn.TotalVariationReg(4.0).sample_init((2, 3)).ravel() for _ in range(800)])
    close(np.var(walk, 0), np.arange(1, 7) / 24, 0.15)
    close(np.corrcoef(walk.T)[0, 5], 1 / math.sqrt(6), 0.15)
    close(np.linalg.norm(nn.MaxNormReg(1.0, 3.0).sample_init((2, 3))), 1.5)
    for shape in ((4, 3), (2, 3, 4), (3,), ()):
        sample = np.asarray(nn.SpectralNormReg(1.0, 3.0).sample_init(shape))
        matrix = sample.reshape(shape[0] if shape else 1, -1)
        close(np.linalg.norm(matrix, 2), 3.0)
    for shape in ((4, 3), (3, 3), (3,), ()):
        close(nn.OrthogonalReg().loss(nn.OrthogonalReg().sample_init(shape)), 0.0)
    # Published, the sample of a wide matrix has another shape than asked for.
    rows_ = np.asarray(nn.OrthogonalReg().sample_init((2, 3, 2))).reshape(2, 6)
    close(rows_ @ rows_.T, np.eye(2))
    # Uniform: no entry prefers a sign.
    mean = np.mean([np.asarray(nn.OrthogonalReg().sample_init((2, 2))) for _ in range(400)], 0)
    assert np.abs(mean).max() < 0.15
    for alpha in (5.0, np.array([1.0, 5.0, 1.0]), 1e-3):
        logs = nn.DirichletReg(1.0, alpha).sample_init((2, 3))
        close(np.exp(logs).sum(), 1.0)
