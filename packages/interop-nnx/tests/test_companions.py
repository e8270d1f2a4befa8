"""Companions that draw: what they drop, from which stream, and what they remember."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from interop_core import UnsupportedConfigurationError, environ, nn
from interop_nnx import companions, from_nnx, to_nnx

DROPOUTS = [
    (nn.Dropout1d(0.75), (2, 5, 400)),
    (nn.Dropout2d(0.75, channel_axis=0), (2, 400, 3, 2)),
    (nn.Dropout3d(0.75), (2, 2, 2, 2, 400)),
    (nn.AlphaDropout(0.75), (2, 400)),
    (nn.FeatureAlphaDropout(0.75), (2, 3, 400)),
]


@pytest.mark.parametrize(("layer", "shape"), DROPOUTS, ids=lambda value: type(value).__name__)
def test_the_same_entries_are_dropped_together(layer: Any, shape: tuple[int, ...]) -> None:
    x = jnp.full(shape, 0.5)
    with environ.context(fit=True):
        expected = np.asarray(layer(x))
    converted = to_nnx(layer, rngs=nnx.Rngs(3))
    np.testing.assert_array_equal(converted(x), x)
    converted.train()
    found = np.asarray(converted(x))
    kept, dropped = np.unique(expected.round(5))[::-1][[0, -1]]
    values = sorted({float(kept), float(dropped)})
    np.testing.assert_allclose(sorted(set(found.round(5).ravel().tolist())), values, 1e-4)
    # Along an axis where the core drops together, NNX does, and nowhere else.
    for axis in range(len(shape)):
        assert (np.ptp(found, axis) == 0).all() == (np.ptp(expected, axis) == 0).all()
    assert abs(np.isclose(found, kept, 1e-4).mean() - 0.75) < 0.1
    assert not np.array_equal(converted(x), found)
    assert type(from_nnx(converted)) is type(layer)


def test_every_layer_that_draws_has_a_stream_of_its_own() -> None:
    stack = nn.Sequential(nn.RReLU(), nn.AlphaDropout(0.5), nn.RReLU())
    converted = to_nnx(stack, rngs=nnx.Rngs(0))
    keys = [layer.rngs.key.get_value() for layer in converted.layers]
    assert len({str(key) for key in keys}) == 3
    y = converted.layers[0](-jnp.ones(1000))
    assert -1 / 3 <= y.min() < -0.3 < -0.15 < y.max() <= -1 / 8


def test_a_mask_stays_for_a_sequence_and_comes_along() -> None:
    layer = nn.DropoutFixed(50, 0.5)
    layer.init_state(2)
    x = jnp.ones((2, 50))
    with environ.context(fit=True):
        expected = layer(x)
    converted = to_nnx(nn.Sequential(layer))
    converted.train()
    np.testing.assert_array_equal(converted(x), expected)
    companions.reset_carries(converted, (2,))
    again = converted(x)
    assert not np.array_equal(again, expected)
    np.testing.assert_array_equal(converted(x), again)
    fresh = companions.DropoutFixed((50,), 0.5)
    with pytest.raises(ValueError, match="no mask yet"):
        fresh(x)
    with pytest.raises(ValueError, match="draws random numbers"):
        fresh.reset_carry()


def test_matrices_of_two_dtypes_are_refused() -> None:
    layer = nn.LoRA(3, 2, 4)
    matrices = layer.weight.value
    layer.weight.value = {**matrices, "lora_a": matrices["lora_a"].astype(jnp.bfloat16)}
    with pytest.raises(UnsupportedConfigurationError, match="bfloat16 and float32 are multiplied"):
        to_nnx(layer)
