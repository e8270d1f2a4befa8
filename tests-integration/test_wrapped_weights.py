"""Layers that compute a weight of the layer inside, in training, in every framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from flax import linen, nnx

from interop_core import environ, nn
from interop_core.errors import UnsupportedLayerError
from interop_core.graph import leaves
from interop_equinox import from_equinox, to_equinox
from interop_linen import from_linen, to_linen
from interop_nnx import from_nnx, to_nnx

STEPS = 3
SAMPLE = (3,)
X = jax.random.normal(jax.random.key(0), (2, *SAMPLE))


def in_nnx(model: nn.Module) -> Any:
    layer: Any = to_nnx(model)
    layer.train()
    for _ in range(STEPS):
        layer(X)
    return from_nnx(layer)


def in_linen(model: nn.Module) -> Any:
    module, variables = to_linen(model)
    stock = type(module) is linen.SpectralNorm
    if not stock:
        module = module.clone(use_running_average=False)
    for _ in range(STEPS):
        mode: Any = {"update_stats": True} if stock else {}
        _, moved = module.apply(variables, X, mutable=["batch_stats"], **mode)
        variables = {**variables, **moved}
    return from_linen(module, variables, sample_input=SAMPLE)


def in_equinox(model: nn.Module) -> Any:
    layer, state = to_equinox(model, stateful=True)
    layer = eqx.nn.inference_mode(layer, value=False)
    for _ in range(STEPS):
        _, state = jax.vmap(layer, in_axes=(0, None), out_axes=(0, None))(X, state)
    return from_equinox(layer, state)


@pytest.mark.parametrize("keep_v", [False, True])
@pytest.mark.parametrize("train", [in_nnx, in_linen, in_equinox])
def test_training_moves_what_is_kept_alike(train: Callable[..., Any], keep_v: bool) -> None:
    model = nn.SpectralNorm(nn.Linear(3, 4), n_steps=2, keep_v=keep_v)
    before = leaves(model)
    found = leaves(train(model))
    assert leaves(model) == before  # the very arrays
    with environ.context(fit=True):
        for _ in range(STEPS):
            model(X)
    expected = leaves(model)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
        assert name.startswith("layer.") == (array is before[name]), name


@pytest.mark.parametrize("convert", [to_nnx, to_linen, to_equinox])
@pytest.mark.parametrize("wrapper", [nn.WeightNorm, nn.SpectralNorm])
def test_a_weight_is_rounded_and_the_input_is_not(
    wrapper: Callable[..., Any], convert: Callable[..., Any]
) -> None:
    layer = wrapper(nn.Conv2d((4, 4, 2), 3, 3), dtype=np.float16)
    more = {"stateful": True} if convert is to_equinox else {}
    convert(layer, verify=True, sample_input=(4, 4, 2), **more)


@pytest.mark.parametrize("wrapper", [nnx.WeightNorm, nnx.SpectralNorm])
def test_layers_that_write_over_what_is_trained_are_refused(wrapper: Any) -> None:
    inner = nnx.Linear(3, 4, rngs=nnx.Rngs(0))
    before = np.asarray(inner.kernel[...])
    layer = wrapper(inner, rngs=nnx.Rngs(1))
    with pytest.raises(UnsupportedLayerError, match=r"over the one that is trained.*companions"):
        from_nnx(layer)
    layer(X)
    # Once this fails, NNX leaves the weight what it is, and the refusal has run out.
    assert not np.allclose(inner.kernel[...], before)
