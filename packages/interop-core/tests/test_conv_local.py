"""Convolutions with a kernel of its own at every place: the formula, shapes, and errors."""

from __future__ import annotations

from itertools import product
from typing import Any

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn

SIZES: dict[int, tuple[int, ...]] = {1: (6, 2), 2: (5, 4, 2), 3: (3, 4, 3, 2)}


def normal(shape: tuple[int, ...], seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def made(n: int, **options: Any) -> Any:
    options = {"out_channels": 3, "kernel_size": (3, 2, 2)[:n], **options}
    layer = getattr(nn, f"ConvLocal{n}d")(SIZES[n], **options)
    layer.weight.value = {name: normal(a.shape, 1) for name, a in layer.weight.value.items()}
    return layer


def formula(layer: Any, x: Any, around: tuple[tuple[int, int], ...]) -> Any:
    """Each entry of the output from the window and the kernel of its place."""
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), *around, (0, 0)))
    kernel = np.asarray(layer.weight.value["weight"], np.float64)
    if layer.w_mask is not None:
        kernel = kernel * np.asarray(layer.w_mask)
    y = np.zeros((len(x), *layer.out_size))
    for place in product(*map(range, layer.out_size[:-1])):
        window: Any = [slice(None)]
        for i, step, size, gap in zip(
            place, layer.stride, layer.kernel_size, layer.rhs_dilation, strict=True
        ):
            window.append(slice(i * step, i * step + (size - 1) * gap + 1, gap))
        entries = np.moveaxis(padded[tuple(window)], -1, 1).reshape(len(x), -1)
        at: Any = (slice(None), *place)
        y[at] = entries @ kernel[place]
    return y + np.asarray(layer.weight.value.get("bias", 0.0))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_place_has_its_kernel(n: int) -> None:
    around = ((1, 2), (0, 1), (1, 0))[:n]
    layer = made(n, stride=2, padding=around, b_init=nn.init.ZeroInit(), w_mask=normal((3,), 2))
    x = normal((2, *SIZES[n]))
    places = layer.out_size[:-1]
    window = 2 * int(np.prod(layer.kernel_size))
    assert layer.kernel_shape == (*places, window, 3)
    assert layer.weight.value["bias"].shape == layer.out_size == (*places, 3)
    expected = formula(layer, x, around)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer(x[0]), expected[0], rtol=1e-5, atol=1e-5)


def test_gaps_in_the_window() -> None:
    layer = made(2, kernel_size=2, padding="VALID", rhs_dilation=(2, 1))
    x = normal((2, *SIZES[2]))
    np.testing.assert_allclose(layer(x), formula(layer, x, ((0, 0),) * 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": ((1, 2), (0, 1)), "lhs_dilation": 2},
        {"padding": 1, "padding_mode": "CIRCULAR", "stride": 2},
        {"dtype": jnp.bfloat16, "b_init": 0.5},
    ],
)
def test_with_equal_kernels_it_is_a_convolution(options: dict[str, Any]) -> None:
    layer = made(2, **options)
    plain = nn.Conv2d(SIZES[2], 3, (3, 2), **options)
    shared = jnp.moveaxis(plain.weight.value["weight"], 2, 0).reshape(-1, 3)
    layer.weight.value = {
        name: jnp.broadcast_to(shared if name == "weight" else 0.5, array.shape)
        for name, array in layer.weight.value.items()
    }
    x = normal((2, *SIZES[2]))
    ours, theirs = layer(x), plain(x)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    near = 0.05 if "dtype" in options else 1e-5
    np.testing.assert_allclose(np.float32(ours), np.float32(theirs), rtol=near, atol=near)


def test_the_number_of_places_does_not_make_the_weights_smaller() -> None:
    spread = [float(nn.ConvLocal1d((n, 8), 8, 3).weight.value["weight"].std()) for n in (8, 64)]
    np.testing.assert_allclose(spread, np.sqrt(2 / (24 + 8)), rtol=0.1)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"expects shape \(6, 2\)"):
        made(1)(jnp.zeros((2, 5, 2)))
    with pytest.raises(ValueError, match="does not fit a weight of"):
        nn.ConvLocal1d((6, 2), 3, 3, w_mask=np.ones((3, 2, 3)))
