"""Transposed convolutions against their sum, `jax.lax`, and the published layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp

from interop_core import nn
from interop_core.testing import quick_compilation

DRAW = np.random.default_rng(0)
AXES = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def normal(shape: tuple[int, ...]) -> jax.Array:
    return jnp.asarray(DRAW.normal(size=shape).astype(np.float32))


def close(actual: Any, expected: Any) -> None:
    assert jnp.shape(actual) == jnp.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def scattered(x: Any, w: Any, stride: int, dilation: int, crop: int, length: int) -> Any:
    """The sum that defines a transposed convolution over one axis: copies of the kernel."""
    y = np.zeros((length, w.shape[1]))
    for s, k in itertools.product(range(len(x)), range(len(w))):
        t = s * stride + k * dilation - crop
        if 0 <= t < length:
            y[t] += np.asarray(w[k], np.float64) @ np.asarray(x[s], np.float64)
    return y


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (4, 2, 1), (2, 3, 1), (3, 2, 2)]
)
@pytest.mark.parametrize("padding", ["SAME", "VALID", 2, (4, 1), ((4, 0),)])
def test_every_input_leaves_a_copy_of_the_kernel(
    kernel: int, stride: int, dilation: int, padding: Any
) -> None:
    length = 1 if kernel == 2 else 4
    x, w = normal((length, 2)), normal((kernel, 3, 2))
    layer = nn.ConvTranspose1d((length, 2), 3, kernel, stride, padding, dilation, w_init=w)
    window = (kernel - 1) * dilation + 1
    beyond = max(window - stride, 0)
    if padding == "SAME":
        crop, out = beyond // 2, length * stride
    elif padding == "VALID":
        crop, out = 0, length * stride + beyond
    else:
        before, after = {2: (2, 2), (4, 1): (4, 1), ((4, 0),): (4, 0)}[padding]
        crop = window - 1 - before
        out = (length - 1) * stride + 2 + before + after - window
    assert layer.out_size == (out, 3)
    close(layer(x), scattered(x, w, stride, dilation, crop, out))
    if dilation == 1:
        pads = padding if isinstance(padding, str) else layer.padding
        expected = lax.conv_transpose(
            x[None], w, (stride,), pads, dimension_numbers=AXES[1], transpose_kernel=True
        )
        close(layer(x), expected[0])


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (3, 2)])
def test_it_is_the_gradient_of_a_convolution(
    n: int, padding: str, kernel: int, stride: int
) -> None:
    w, x = normal((kernel,) * n + (3, 2)), normal((2,) * n + (2,))
    layer = getattr(nn, f"ConvTranspose{n}d")((2,) * n + (2,), 3, kernel, stride, padding, w_init=w)
    forward = getattr(nn, f"Conv{n}d")(layer.out_size, 2, kernel, stride, padding, w_init=w)
    assert forward.out_size == x.shape
    (gradient,) = jax.vjp(forward, jnp.zeros(layer.out_size))[1](x)
    close(layer(x), gradient)


@pytest.mark.parametrize("channel_first", [False, True])
@pytest.mark.parametrize(
    ("groups", "stride", "dilation", "padding"),
    [
        (1, (1, 3), 1, "VALID"),
        (2, 2, (2, 1), "SAME"),
        (4, 2, 1, (1, 2)),
        (1, 2, 1, ((1, 0), (2, 1))),
        (2, 1, 1, ((1, 2),)),
    ],
)
def test_groups_masks_and_axes_are_as_published(
    channel_first: bool, groups: int, stride: Any, dilation: Any, padding: Any
) -> None:
    size = (4, 2, 3) if channel_first else (2, 3, 4)
    arguments = (size, 8, (3, 2), stride, padding, dilation, groups)
    options: dict[str, Any] = {
        "channel_first": channel_first,
        "w_init": normal((3, 2, 8, 4 // groups)),
        "w_mask": normal((8, 1)),
        "b_init": normal((1, 8, 1, 1) if channel_first else (1, 1, 8)),
    }
    ours = nn.ConvTranspose2d(*arguments, **options)
    published = brainstate.nn.ConvTranspose2d(*arguments, **options)
    x = normal((2, *size))
    close(ours(x), published(x))
    assert ours.out_size == published.out_size


@pytest.mark.parametrize("groups", [2, 4])
def test_each_group_is_a_layer_of_its_own(groups: int) -> None:
    x, weight = normal((3, 4)), normal((3, 8, 4 // groups))
    whole = nn.ConvTranspose1d((3, 4), 8, 3, 2, groups=groups, w_init=weight)(x)
    parts = [
        nn.ConvTranspose1d((3, 4 // groups), 8 // groups, 3, 2, w_init=part)(inputs)
        for inputs, part in zip(jnp.split(x, groups, 1), jnp.split(weight, groups, 1), strict=True)
    ]
    close(whole, jnp.concatenate(parts, -1))


def test_integers_and_names_read_back_in_one_form() -> None:
    layer = nn.ConvTranspose2d((3, 4, 2), 5, 3, 2, "same")
    assert (layer.padding, layer.stride, layer.kernel_size) == ("SAME", (2, 2), (3, 3))
    assert layer.kernel_shape == (3, 3, 5, 2)
    assert nn.ConvTranspose2d((3, 4, 2), 5, 3, padding=1).padding == ((1, 1), (1, 1))
    assert "lhs_dilation" not in repr(layer)


def test_the_input_may_have_another_dtype() -> None:
    # The published layer refuses it.
    layer = nn.ConvTranspose1d((3, 2), 2, 2)
    assert layer(jnp.ones((3, 2), jnp.bfloat16)).dtype == jnp.float32
    assert layer(jnp.ones((3, 2), jnp.int32)).dtype == jnp.float32
    half = nn.ConvTranspose1d((3, 2), 2, 2, b_init=jnp.ones((1, 2)), dtype=jnp.bfloat16)
    assert half(jnp.ones((3, 2))).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"padding": "SAME_LOWER"}, "SAME_LOWER"),
        ({"padding": "FULL"}, "padding must be one of"),
        ({"padding": (1, 2, 3)}, "padding for 1 spatial axis"),
        ({"padding": 0, "kernel_size": 6}, "does not fit"),
        ({"padding": -4}, "does not fit"),
        ({"groups": 3}, "groups must divide"),
        ({"stride": 0}, "stride must be positive"),
        ({"kernel_size": 0}, "kernel_size must be positive"),
        ({"rhs_dilation": (1, 2)}, "rhs_dilation must have"),
        ({"in_size": (4, 4, 2)}, "1 spatial lengths"),
        ({"w_mask": np.ones((3, 2, 3))}, "does not fit"),
        ({"w_init": np.ones((3, 2, 3))}, "does not fit"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options: dict[str, Any], match: str) -> None:
    given: dict[str, Any] = {"in_size": (4, 2), "out_channels": 3, "kernel_size": 3}
    with pytest.raises(ValueError, match=match):
        nn.ConvTranspose1d(**given | options)


@pytest.mark.parametrize("shape", [(4,), (5, 2), (4, 3), (2, 2, 4, 2)])
def test_inputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expects shape"):
        nn.ConvTranspose1d((4, 2), 3, 3)(jnp.ones(shape))
    with pytest.raises(ValueError, match="expects examples of shape"):
        nn.ConvTranspose1d((4, 2), 3, 3).output_size(shape)
