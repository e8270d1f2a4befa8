"""Convolutions with a standardised kernel: what they add to the plain ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn
from interop_core.nn import init
from interop_core.testing import quick_compilation

DRAW = np.random.default_rng(0)
SIZES: dict[int, tuple[int, ...]] = {1: (6, 4), 2: (5, 6, 4), 3: (3, 4, 3, 4)}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def normal(shape: tuple[int, ...]) -> Any:
    return jnp.asarray(DRAW.normal(1.0, 2.0, shape).astype(np.float32))


def close(actual: Any, expected: Any) -> None:
    assert jnp.shape(actual) == jnp.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("channel_first", [False, True])
def test_it_is_a_convolution_with_the_standardised_kernel(n: int, channel_first: bool) -> None:
    size = (SIZES[n][-1], *SIZES[n][:-1]) if channel_first else SIZES[n]
    kernel, mask, gain = normal((2,) * n + (2, 6)), normal((2, 6)), normal((1,) * (n + 1) + (6,))
    bias = normal((1, 6) + (1,) * n if channel_first else (1,) * n + (6,))
    given: dict[str, Any] = {
        "in_size": size,
        "out_channels": 6,
        "kernel_size": 2,
        "stride": 2,
        "padding": 1,
        "rhs_dilation": 2,
        "groups": 2,
        "b_init": bias,
        "channel_first": channel_first,
    }
    layer = getattr(nn, f"ScaledWSConv{n}d")(eps=30.0, w_init=kernel, w_mask=mask, **given)
    layer.weight.value = {**layer.weight.value, "gain": gain}
    columns = np.asarray(kernel, np.float64).reshape(-1, 6)
    centred = columns - columns.mean(0)
    scaled = centred / np.sqrt(np.maximum((centred**2).sum(0), 30.0))
    used = jnp.asarray(scaled.reshape(kernel.shape), jnp.float32) * gain * mask
    plain = getattr(nn, f"Conv{n}d")(w_init=used, **given)
    x = normal((2, *size))
    close(layer(x), plain(x))
    assert layer.out_size == plain.out_size


def test_the_options_of_the_plain_convolution_are_there() -> None:
    x = normal((2, 6, 4))
    given: dict[str, Any] = {"padding": 1, "padding_mode": "CIRCULAR"}
    layer = nn.ScaledWSConv1d((6, 4), 3, 3, **given)
    kernel = nn.weight_standardization(layer.weight.value["weight"])
    close(layer(x), nn.Conv1d((6, 4), 3, 3, w_init=kernel, **given)(x))
    half = nn.ScaledWSConv1d((6, 4), 3, 3, padding=2, lhs_dilation=2, dtype=jnp.bfloat16)
    assert half(x).dtype == jnp.bfloat16
    assert half(x).shape == (2, *half.out_size)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_the_gain_has_the_dtype_of_the_kernel(dtype: Any) -> None:
    kernel = jnp.ones((3, 4, 2), dtype)
    layer = nn.ScaledWSConv1d((6, 4), 2, 3, w_init=kernel)
    published = brainstate.nn.ScaledWSConv1d((6, 4), 2, 3, w_init=kernel)
    gains = [owner.weight.value["gain"] for owner in (layer, published)]
    assert gains[0].dtype == gains[1].dtype == dtype
    assert gains[0].shape == gains[1].shape == (1, 1, 2)
    with init.abstract():
        assert nn.ScaledWSConv1d((6, 4), 2, 3, w_init=kernel).weight.value["gain"].dtype == dtype


def test_a_kernel_without_variance_gives_nothing() -> None:
    assert not nn.ScaledWSConv2d((3, 3, 2), 4, 3, w_init=jnp.full((3, 3, 2, 4), 7.0))(
        jnp.ones((3, 3, 2))
    ).any()


def test_arguments_are_checked_as_those_of_the_plain_convolution() -> None:
    for options, match in (({"groups": 3}, "groups"), ({"padding": "FULL"}, "padding")):
        with pytest.raises(ValueError, match=match):
            nn.ScaledWSConv1d((6, 4), 3, 3, **options)
