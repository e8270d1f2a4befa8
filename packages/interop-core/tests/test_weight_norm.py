"""Layers around a layer that compute one of its weights."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import environ, nn
from interop_core.graph import assign, leaves

X = jax.random.normal(jax.random.key(0), (2, 5, 4, 3))
NAME = "weight.weight"
TANH: Any = jnp.tanh


def conv() -> nn.Conv2d:
    return nn.Conv2d((5, 4, 3), 4, 2)


def weight_of(layer: Any) -> Any:
    return np.asarray(layer.layer.weight.value["weight"])


def fitted(layer: Any, steps: int) -> Any:
    with environ.context(fit=True):
        return [layer(X) for _ in range(steps)][-1]


@pytest.mark.parametrize("axes", [-1, (0, 3), None, [2]])
def test_weight_norm_begins_as_the_layer_was(axes: Any) -> None:
    layer = nn.WeightNorm(conv(), feature_axes=axes)
    np.testing.assert_allclose(layer(X), layer.layer(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("around", [nn.WeightNorm, nn.SpectralNorm])
def test_a_weight_that_is_no_part_of_another_state_is_found(around: Any) -> None:
    layer = around(nn.Embedding(7, 3), weight_name="weight")
    before = layer.layer.weight.value
    with environ.context(fit=False):
        y = layer(jnp.arange(7))
    assert layer.layer.weight.value is before
    ratio = y / before  # the lengths stay in the one, and all of it is divided in the other
    np.testing.assert_allclose(ratio, jnp.full_like(y, ratio[0, 0]), rtol=1e-5)
    assert (around is nn.WeightNorm) == np.allclose(ratio, 1, rtol=1e-5)


def test_lengths_are_those_of_the_scale() -> None:
    layer = nn.WeightNorm(nn.Linear(3, 4), scale_init=lambda shape: jnp.arange(1.0, 5.0))
    used = layer(jnp.eye(3)) - layer(jnp.zeros((1, 3)))
    np.testing.assert_allclose(np.linalg.norm(used, axis=0), [1, 2, 3, 4], rtol=1e-5)
    bare = nn.WeightNorm(nn.Linear(3, 4, b_init=None), use_scale=False, feature_axes=None)
    assert bare.scale is None
    np.testing.assert_allclose(np.linalg.norm(bare(jnp.eye(3))), 1, rtol=1e-5)


@pytest.mark.parametrize("keep_v", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
def test_the_largest_singular_value_becomes_1(keep_v: bool, axis: int) -> None:
    layer = nn.SpectralNorm(conv(), axis=axis, n_steps=15, keep_v=keep_v)
    before = weight_of(layer)
    y = fitted(layer, 3)
    matrix = np.moveaxis(before, axis, -1).reshape(-1, before.shape[axis])
    largest = np.linalg.svd(matrix, compute_uv=False)[0]
    np.testing.assert_allclose(y, layer.layer(X) / largest, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(weight_of(layer), before)
    if layer.sigma is not None:
        np.testing.assert_allclose(layer.sigma.value, largest, rtol=1e-5)


@pytest.mark.parametrize("keep_v", [False, True])
def test_evaluation_changes_nothing_that_is_kept(keep_v: bool) -> None:
    layer = nn.SpectralNorm(conv(), keep_v=keep_v)
    before = leaves(layer)
    with environ.context(fit=False):
        layer(X)
    assert all(leaves(layer)[name] is array for name, array in before.items())
    fitted(layer, 1)
    assert leaves(layer)["u"] is not before["u"]


def test_a_gradient_goes_through_the_value_that_is_divided_by() -> None:
    # Along the weight itself the quotient does not change.
    layer = nn.SpectralNorm(nn.Linear(3, 4, b_init=None), n_steps=20)
    weight = layer.layer.weight.value["weight"]

    def at(factor: Any) -> Any:
        copy = jax.tree.map(lambda array: array, layer)
        assign(copy, {f"layer.{NAME}": factor * weight})
        with environ.context(fit=False):
            return jnp.sum(copy(X[0, 0]) ** 2)

    assert abs(float(jax.grad(at)(1.0))) < 1e-5


def test_a_weight_of_zeros_divides_nothing() -> None:
    layer = nn.SpectralNorm(nn.Linear(3, 4, w_init=nn.init.ZeroInit()))
    assert not np.any(fitted(layer, 1))


def test_wrappers_around_wrappers_and_stacks() -> None:
    inner = nn.WeightNorm(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), "layers.0.weight.weight")
    outer = nn.SpectralNorm(inner, "layer.layers.0.weight.weight", dtype=jnp.float16)
    assert fitted(outer, 1).shape == (2, 5, 4, 4)
    assert outer.in_size == inner.in_size


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.WeightNorm(TANH), TypeError, "wraps a module"),
        (lambda: nn.WeightNorm(nn.Linear(3, 4), "kernel"), ValueError, "no 'kernel' in Linear"),
        (lambda: nn.WeightNorm(nn.ReLU()), ValueError, "holds no array"),
        (lambda: nn.WeightNorm(nn.Linear(3, 4), feature_axes=2), ValueError, "no axes of 2"),
        (lambda: nn.SpectralNorm(nn.Linear(3, 4), "weight.bias"), ValueError, "two axes or more"),
        (lambda: nn.SpectralNorm(nn.Linear(3, 4), axis=-3), ValueError, "no axis of 2"),
        (lambda: nn.SpectralNorm(nn.Linear(3, 4), n_steps=0), ValueError, "at least 1"),
    ],
)
def test_what_cannot_be_wrapped(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()
