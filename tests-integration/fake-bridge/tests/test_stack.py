"""A whole stack there and back."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from interop_core import nn, random
from interop_core.errors import NotAModelError, UnmappedLayerError
from interop_toy import from_toy, to_toy


def test_a_stack_computes_the_same_there_and_back() -> None:
    random.seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 2)))
    x = jax.random.normal(jax.random.key(1), (3, 4))
    there = to_toy(model)
    # The same float32 sums, perhaps in another order.
    np.testing.assert_allclose(there(x), model(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(from_toy(there)(x), model(x))


def test_a_layer_that_stands_twice_stays_one() -> None:
    layer = nn.Linear(4, 4)
    there = to_toy(nn.Sequential(layer, nn.ReLU(), layer))
    assert there.layers[0] is there.layers[2]
    back = from_toy(there)
    assert back.layers[0] is back.layers[2]


def test_what_no_row_names_is_an_error_with_its_place() -> None:
    class Mine(nn.Linear):
        """A subclass may compute anything."""

    with pytest.raises(UnmappedLayerError, match=r"layers\[1\]"):
        to_toy(nn.Sequential(nn.ReLU(), Mine(4, 4)))


def test_a_class_is_no_model() -> None:
    with pytest.raises(NotAModelError, match="Linear"):
        to_toy(nn.Linear)  # type: ignore[arg-type]
