"""The activation layers against the published ones."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import graph, nn
from interop_core.nn import _activations

ROWS: list[tuple[str, dict[str, Any]]] = [
    ("ELU", {}),
    ("ELU", {"alpha": 0.5}),
    ("GELU", {}),
    ("GELU", {"approximate": True}),
    ("Identity", {}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("LogSoftmax", {}),
    ("LogSoftmax", {"dim": 0}),
    ("LogSoftmax", {"dim": -2}),
    ("ReLU", {}),
    ("SELU", {}),
    ("SiLU", {}),
    ("Sigmoid", {}),
    ("Softmax", {}),
    ("Softmax", {"dim": 0}),
    ("Softmax", {"dim": 1}),
    ("Softmax", {"dim": -2}),
    ("Softplus", {}),
    ("Tanh", {}),
]
IDS = [name + "".join(f"-{key}={value}" for key, value in o.items()) for name, o in ROWS]
NAMED = ["Identity", "ReLU", "SELU", "SiLU", "Sigmoid", "Softplus", "Tanh"]


def pair(name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    return getattr(nn, name)(**options), getattr(brainstate.nn, name)(**options)


def sample(*shape: int) -> jax.Array:
    return 3 * jax.random.normal(jax.random.key(len(shape)), shape)


def agree(ours: Any, published: Any, rtol: float = 1e-6) -> None:
    """The same dtype, shape and numbers; the tolerance is that of one fused operation."""
    assert ours.dtype == published.dtype
    assert ours.shape == published.shape
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


def test_every_layer_has_a_row() -> None:
    assert {name for name, _ in ROWS} == set(_activations.__all__)


class TestAgainstPublished:
    @pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
    @pytest.mark.parametrize("shape", [(2, 5), (2, 3, 2, 4)])
    def test_forward(self, name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
        ours, published = pair(name, options)
        x = sample(*shape)
        agree(ours(x), published(x))
        agree(jax.jit(ours.update)(x), published(x))

    @pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
    def test_gradient(self, name: str, options: dict[str, Any]) -> None:
        ours, published = pair(name, options)
        x = sample(3, 4)
        agree(
            jax.jit(jax.grad(lambda x: (ours(x) ** 3).sum()))(x),
            jax.jit(jax.grad(lambda x: (published(x) ** 3).sum()))(x),
            rtol=1e-5,  # cubes of up to 20 enlarge the rounding of one operation
        )

    # JAX itself casts the -inf that a maximum starts from to an integer.
    @pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
    @pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
    @pytest.mark.parametrize("dtype", ["bfloat16", "int32", "bool"])
    def test_dtypes(self, name: str, options: dict[str, Any], dtype: str) -> None:
        ours, published = pair(name, options)
        x = sample(3, 4).astype(dtype)
        try:
            expected = published(x)
        except TypeError:
            with pytest.raises(TypeError, match="dtype"):
                ours(x)
        else:
            agree(ours(x), expected)

    @pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
    def test_double_precision(self, name: str, options: dict[str, Any]) -> None:
        ours, published = pair(name, options)
        with jax.enable_x64(True):
            x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)))
            assert ours(x).dtype == np.float64
            agree(ours(x), published(x), rtol=1e-14)

    @pytest.mark.parametrize("name", NAMED)
    def test_name(self, name: str) -> None:
        assert getattr(nn, name)(name="a").name == "a"
        with pytest.raises(TypeError, match="name"):
            getattr(nn, name)(names="a")


@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
def test_configuration(name: str, options: dict[str, Any]) -> None:
    layer = getattr(nn, name)(**options)
    found = graph.configuration(layer)
    assert {key: found[key] for key in options} == options
    structure: Any = jax.tree.structure
    assert structure(type(layer)(**found)) == structure(layer)


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_without_dim_the_last_axis_counts(name: str, axes: int) -> None:
    x = sample(*range(2, 2 + axes))
    np.testing.assert_array_equal(getattr(nn, name)()(x), getattr(nn, name)(-1)(x))


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_missing_axis(name: str) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        getattr(nn, name)(dim=2)(sample(3, 4))


@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
def test_sizes_pass_through(name: str, options: dict[str, Any]) -> None:
    layer = getattr(nn, name)(**options)
    assert layer.in_size is layer.out_size is None
    assert layer.output_size((3, 4)) == (3, 4)


@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
def test_has_no_leaves(name: str, options: dict[str, Any]) -> None:
    layer = getattr(nn, name)(**options)
    assert jax.tree.leaves(layer) == []
    agree(jax.jit(lambda layer, x: layer(x))(layer, sample(2, 3)), layer(sample(2, 3)))


def test_identity_returns_its_input() -> None:
    x = sample(2)
    assert nn.Identity()(x) is x


def test_vmap() -> None:
    x = sample(3, 4)
    agree(jax.vmap(nn.Softmax())(x), nn.Softmax()(x))
