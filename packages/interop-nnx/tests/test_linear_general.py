"""Products over several axes beyond what the checks of their rows can see."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from interop_core import nn
from interop_nnx import from_nnx, to_nnx


def test_a_stack_of_projections() -> None:
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.LinearGeneral(3, (2, 4), rngs=rngs),
        nnx.relu,
        nnx.LinearGeneral((2, 4), 6, axis=(-2, -1), rngs=rngs),
        nnx.Einsum("...a,ab->...b", (6, 5), (5,), rngs=rngs),
    )
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32))
    core = from_nnx(model, sample_input=(5, 3))
    assert [layer.out_size for layer in core.layers[::2]] == [(5, 2, 4), (5, 6)]
    np.testing.assert_allclose(core(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.LinearGeneral(3, 4, batch_axis={0: 5}),
        nn.Einsum((2, 3), "nta,nab->ntb", (5, 3, 4)),
        nn.Einsum((2, 3), "nta,ab->ntb", (3, 4)),
        nn.Einsum((2, 3), "ta,ab->tb", (3, 4)),
    ],
    ids=["batch axis", "batch letter", "any batch", "no batch"],
)
def test_verification_draws_the_batch_that_a_layer_asks_for(layer: Any) -> None:
    to_nnx(layer, verify=True)
