"""Conversions to and from the published package that check themselves, or share nothing."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from interop_brainstate import from_brainstate, to_brainstate
from interop_brainstate._verify import verify
from interop_core import nn
from interop_core.errors import MissingShapeError, NotAModelError, VerificationError
from interop_core.testing import quick_compilation


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm0d(4), nn.Dropout(0.5), nn.ReLU()),
        nn.Sequential(nn.Embedding(7, 3), nn.LayerNorm(3)),
        nn.LSTMCell(3, 4),
    ],
    ids=["network", "table", "cell"],
)
def test_a_right_conversion_passes_and_shares_nothing(model: nn.Module) -> None:
    with quick_compilation():
        published = to_brainstate(model, verify=True, copy=True)
        back = from_brainstate(published, verify=True, copy=True)
    pointers = [
        {array.unsafe_buffer_pointer() for state in m.states().values()
         for array in jax.tree.leaves(state.value)}
        for m in (model, published, back)
    ]  # fmt: skip
    assert all(pointers)
    assert not pointers[0] & pointers[1]
    assert not pointers[1] & pointers[2]


def test_the_first_layer_that_differs_is_named() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 2)))
    published = to_brainstate(model)
    weight = published.layers[1].layers[1].weight
    weight.value = {name: array + 0.1 for name, array in weight.value.items()}
    with pytest.raises(VerificationError, match="output differs by up to") as caught:
        verify(model, published, None, outward=True)
    assert caught.value.path == ("layers", 1, "layers", 1)


def test_what_cannot_be_verified() -> None:
    with pytest.raises(MissingShapeError, match="sample_input"):
        to_brainstate(nn.ReLU(), verify=True)
    to_brainstate(nn.ReLU(), verify=True, sample_input=np.ones(3, np.float32))
    with pytest.raises(NotAModelError, match="no layer"):
        to_brainstate(nn.AverageMetric(), copy=True)
