"""Activations are the same function everywhere, to the bit: at their bounds, far out, in half."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainstate_interop import (
    InteropError,
    UnsupportedLayerError,
    nn,
    to_equinox,
    to_linen,
    to_nnx,
)

EDGES = (-np.inf, -6e4, -3.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 3.0, 6.0, 6e4, np.inf, np.nan)
LAYERS = (
    nn.CELU(0.5),
    nn.Hardshrink(),
    nn.Hardsigmoid(),
    nn.Hardswish(),
    nn.Hardtanh(-0.5, 3.0),
    nn.LogSigmoid(),
    nn.Mish(),
    nn.PReLU(1, 0.5),
    nn.ReLU6(),
    nn.Softshrink(),
    nn.Softsign(),
    nn.Tanhshrink(),
)


def _converted(layer: nn.Module, x: Any) -> dict[str, Any]:
    stack = nn.Sequential(layer)
    module, variables = to_linen(stack)
    return {
        "nnx": to_nnx(stack)(x),
        "linen": module.apply(variables, x),
        "equinox": to_equinox(stack)(x),
    }


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_the_edges_of_what_numbers_can_be(layer: nn.Module) -> None:
    for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
        if isinstance(layer, nn.PReLU):  # slopes of the input's dtype
            layer = nn.PReLU(1, 0.5, dtype)
        x = jnp.asarray(EDGES, dtype)
        expected = layer(x)
        for framework, found in _converted(layer, x).items():
            assert found.dtype == expected.dtype == dtype, framework
            np.testing.assert_array_equal(
                np.asarray(found, np.float32), np.asarray(expected, np.float32), framework
            )


@pytest.mark.parametrize("layer", [nn.GLU(), nn.Softmin(), nn.GLU(-2)], ids=repr)
def test_along_an_axis_of_an_image(layer: nn.Module) -> None:
    x = jax.random.normal(jax.random.key(0), (6, 4, 2))
    expected = layer(x)
    for framework, found in _converted(layer, x).items():
        np.testing.assert_allclose(found, expected, 1e-6, 1e-6, err_msg=framework)


def test_behind_a_convolution_of_equinox_the_channels_stand_first() -> None:
    slopes = jnp.linspace(-1.0, 1.0, 4)
    model = nn.Sequential(
        nn.Conv2d((5, 4, 3), 4, 3), nn.PReLU(4, slopes), nn.Conv2d((5, 4, 4), 2, 1)
    )
    converted: Any = to_equinox(model)
    x = jax.random.normal(jax.random.key(0), (5, 4, 3))
    expected = jnp.moveaxis(model(x), -1, 0)
    np.testing.assert_allclose(converted(jnp.moveaxis(x, -1, 0)), expected, 1e-5, 1e-5)
    assert len(converted.layers) == 3  # no axis move around the slopes
    assert converted.layers[1].layer.negative_slope.shape == (4, 1, 1)


@pytest.mark.parametrize("to", [to_nnx, to_linen, to_equinox])
@pytest.mark.parametrize(
    "layer, why",
    [
        (nn.SpikeBitwise("and"), "two arrays"),
        (nn.MaxUnpool2d(2), "two arrays"),
    ],
)
def test_what_has_no_counterpart_says_why(to: Any, layer: nn.Module, why: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=why) as caught:
        to(nn.Sequential(layer))
    assert isinstance(caught.value, InteropError)
