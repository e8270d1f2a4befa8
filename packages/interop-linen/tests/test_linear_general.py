"""Products over several axes beyond what the checks of their rows can see."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from interop_core import nn
from interop_core.errors import InteropError, UnsupportedConfigurationError, VariablesError
from interop_linen import from_linen, to_linen


def imported(module: Any) -> Any:
    return from_linen(module, module.init(jax.random.key(0), jnp.ones((2, 5, 3))))


@pytest.mark.parametrize(
    ("module", "core"),
    [
        (linen.DenseGeneral((4,), axis=(-1,)), nn.Linear),
        (linen.DenseGeneral((4, 2)), nn.LinearGeneral),
        (linen.DenseGeneral(4, axis=[-1, -2]), nn.LinearGeneral),
        (linen.DenseGeneral(4, batch_dims=(0,)), nn.LinearGeneral),
    ],
    ids=["one axis", "new axes", "axes", "batch"],
)
def test_a_dense_layer_along_the_last_axis_is_a_linear_one(module: Any, core: type) -> None:
    assert type(imported(module)) is core


def test_a_bias_in_another_shape_is_reshaped() -> None:
    bias = jnp.arange(8.0)
    core = nn.Einsum((5, 3), "...ta,hab->...bth", (2, 3, 4), (8,), b_init=bias)
    module, variables = to_linen(core, verify=True)
    np.testing.assert_array_equal(variables["params"]["bias"], bias.reshape(4, 2))
    x = jnp.ones((2, 5, 3))
    np.testing.assert_allclose(module.apply(variables, x), core(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("module", "params", "error", "words"),
    [
        (
            linen.Einsum((3, 4), use_bias=False),
            {"kernel": jnp.ones((3, 4))},
            UnsupportedConfigurationError,
            "in each call.*einsum_str",
        ),
        (
            linen.DenseGeneral((4, 2), use_bias=False),
            {"kernel": jnp.ones((3, 8))},
            VariablesError,
            "has 2 axes where 3 are expected: .*kernel",
        ),
        (
            linen.DenseGeneral((4, 2), use_bias=False),
            {"kernel": jnp.ones((3, 2, 4))},
            VariablesError,
            "asks for",
        ),
        (linen.DenseGeneral((4, 2)), {}, VariablesError, "lacks .*kernel"),
    ],
)
def test_what_does_not_convert(
    module: Any, params: Any, error: type[InteropError], words: str
) -> None:
    with pytest.raises(error, match=words):
        from_linen(module, {"params": params})
