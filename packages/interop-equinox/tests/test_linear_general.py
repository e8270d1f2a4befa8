"""Formulas for one example and for batches, and products over axes among spatial layers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import nn
from interop_core.errors import InteropError
from interop_equinox import companions, from_equinox, to_equinox


@pytest.mark.parametrize(
    ("size", "formula", "alone", "batched"),
    [
        ((5, 3), "...ta,ab->...tb", "...ta,ab->...tb", "...ta,ab->...tb"),
        ((5, 3), "nta,ab->ntb", "ta,ab->tb", "...ta,ab->...tb"),
        ((5, 3), "ta,ab->bt", "ta,ab->bt", "...ta,ab->...bt"),
        ((3,), "n...a,ab->n...b", "...a,ab->...b", "...a,ab->...b"),
    ],
)
def test_a_formula_of_one_example(size: Any, formula: str, alone: str, batched: str) -> None:
    core = nn.Einsum(size, formula, (3, 4), (4,), b_init=jnp.arange(4.0))
    layer = to_equinox(core)
    assert layer.einsum_str == alone
    back = from_equinox(layer)
    assert back.einsum_str == batched
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *size)).astype(np.float32))
    expected = core(x) if formula != alone or "..." in formula else jnp.stack([*map(core, x)])
    np.testing.assert_allclose(jax.vmap(layer)(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back(x), expected, rtol=1e-5, atol=1e-6)


def test_a_formula_that_would_take_the_batch_apart() -> None:
    layer = companions.Einsum("t...a,tab->t...b", (2, 3, 4), key=jax.random.key(0))
    with pytest.raises(InteropError, match="not in front"):
        from_equinox(layer)


def test_a_product_over_axes_finds_the_channels_where_the_core_has_them() -> None:
    model = nn.Sequential(
        nn.Conv2d((4, 5, 2), 3, 3),
        nn.LinearGeneral((4, 5, 3), (5, 3, 2), axis=-3),
        nn.Conv2d((5, 3, 2), 2, 1),
    )
    to_equinox(model, verify=True)
