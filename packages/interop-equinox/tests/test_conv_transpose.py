"""Transposed convolutions: the arithmetic of padding on both sides."""

from __future__ import annotations

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import nn
from interop_equinox import from_equinox, to_equinox

X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)), jnp.float32)


@pytest.mark.parametrize(
    "padding, size, stride, dilation, more, found",
    [
        ("SAME", 1, 3, 1, 0, "SAME"),
        ("SAME", 3, 2, 1, 1, ((1, 1),)),
        ("SAME", 1, 3, 1, 2, ((0, 0),)),
        ("SAME_LOWER", 4, 1, 1, 0, ((1, 2),)),
        ("SAME_LOWER", 2, 3, 2, 1, ((1, 2),)),
        ("VALID", 1, 3, 1, 2, "VALID"),
        ("VALID", 1, 3, 1, 0, ((0, 0),)),
        ("VALID", 4, 2, 2, 0, "VALID"),
        (((1, 2),), 3, 3, 1, 2, ((1, 2),)),
        (0, 2, 2, 2, 1, ((2, 3),)),
    ],
)
def test_into_the_core_and_back(
    padding: Any, size: int, stride: int, dilation: int, more: int, found: Any
) -> None:
    layer = eqx.nn.ConvTranspose1d(
        2, 3, size, stride, more, padding, dilation, key=jax.random.key(0)
    )
    expected = layer(X.T).T
    core = from_equinox(layer, sample_input=X.shape)
    assert core.padding == found
    assert core.out_size == expected.shape
    np.testing.assert_allclose(core(X), expected, rtol=1e-5, atol=1e-5)
    again = to_equinox(core)
    np.testing.assert_allclose(again(X.T).T, expected, rtol=1e-5, atol=1e-5)


def test_padding_comes_back() -> None:
    for padding, size, stride, dilation in itertools.product(
        ("SAME", "VALID", ((-1, 4),)), (1, 2, 3, 4), (1, 2, 3), (1, 2)
    ):
        with nn.init.abstract():
            core = nn.ConvTranspose1d((5, 2), 3, size, stride, padding, dilation)
        back = from_equinox(to_equinox(core), sample_input=(5, 2))
        assert (back.padding, back.out_size) == (core.padding, core.out_size)
