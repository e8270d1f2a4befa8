"""Conversions on a GPU: arrays stay where they are, and the models agree there."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import environ, nn

pytestmark = pytest.mark.gpu

# The GPU multiplies float32 in TF32 unless told otherwise; convolutions choose their algorithm.
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d((16, 16, 3), 8, 3, b_init=nn.init.Normal(scale=0.1)),
        nn.GroupNorm(8, num_groups=2),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Flatten(in_size=(8, 8, 8)),
        nn.Linear(512, 16),
        nn.LayerNorm(16),
        nn.GELU(),
        nn.Linear(16, 4),
    )


def on_gpu(tree: Any) -> bool:
    arrays = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
    return all(device.platform != "cpu" for array in arrays for device in array.devices())


def images() -> jax.Array:
    return jax.random.normal(jax.random.key(0), (4, 16, 16, 3))


@pytest.fixture(autouse=True)
def _precise() -> Any:
    with jax.default_matmul_precision("highest"), environ.context(fit=False):
        yield


def test_nnx_there_and_back() -> None:
    pytest.importorskip("flax", reason="flax is not installed on this machine")
    from interop_nnx import from_nnx, to_nnx

    model = network()
    converted = to_nnx(model)
    back = from_nnx(converted, sample_input=(16, 16, 3))
    kernel = model.layers[0].weight.value["weight"]
    assert converted.layers[0].kernel.get_value() is kernel
    assert back.layers[0].weight.value["weight"] is kernel
    assert on_gpu(back)
    np.testing.assert_allclose(converted(images()), model(images()), **CLOSE)
    np.testing.assert_allclose(back(images()), model(images()), **CLOSE)


def test_linen_there_and_back() -> None:
    pytest.importorskip("flax", reason="flax is not installed on this machine")
    from interop_linen import from_linen, to_linen

    model = network()
    module, variables = to_linen(model)
    assert on_gpu(variables)
    back = from_linen(module, variables, sample_input=(16, 16, 3))
    np.testing.assert_allclose(module.apply(variables, images()), model(images()), **CLOSE)
    np.testing.assert_allclose(back(images()), model(images()), **CLOSE)


def test_equinox_there_and_back() -> None:
    pytest.importorskip("equinox", reason="equinox is not installed on this machine")
    from interop_equinox import from_equinox, to_equinox

    model = network()
    converted = to_equinox(model)
    assert on_gpu(converted)
    given = jax.vmap(converted)(jnp.moveaxis(images(), -1, 1))
    np.testing.assert_allclose(given, model(images()), **CLOSE)
    back = from_equinox(converted, sample_input=(16, 16, 3))
    for before, after in zip(jax.tree.leaves(model), jax.tree.leaves(back), strict=True):
        np.testing.assert_array_equal(before, after)


def test_training_statistics_agree() -> None:
    pytest.importorskip("flax", reason="flax is not installed on this machine")
    from interop_nnx import to_nnx

    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm0d(8))
    converted = to_nnx(model)
    converted.train()
    x = jax.random.normal(jax.random.key(1), (64, 8))
    with environ.context(fit=True):
        np.testing.assert_allclose(converted(x), model(x), **CLOSE)
    mean = converted.layers[1].mean.get_value()
    np.testing.assert_allclose(mean, model.layers[1].running_mean.value, **CLOSE)


def test_host_weights_stay_on_the_host() -> None:
    pytest.importorskip("equinox", reason="equinox is not installed on this machine")
    from interop_equinox import to_equinox

    model = nn.Linear(4, 8)
    weights: Any = jax.tree.map(np.asarray, model.weight.value)
    model.weight.value = weights
    assert isinstance(to_equinox(model).weight, np.ndarray)
