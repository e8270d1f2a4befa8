"""`eqx.nn.MLP` comes as the stack of its layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import InteropError, nn
from interop_equinox import from_equinox, to_equinox

KEY = jax.random.key(0)


def _mlp(**options: Any) -> eqx.nn.MLP:
    sizes = {"in_size": 3, "out_size": 2, "width_size": 4, "depth": 2}
    return eqx.nn.MLP(**{**sizes, **options}, key=KEY)


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({}, "Linear ReLU Linear ReLU Linear"),
        ({"depth": 0, "final_activation": jnp.tanh}, "Linear"),
        ({"depth": 1, "final_activation": jnp.tanh, "use_bias": False}, "Linear ReLU Linear Tanh"),
        ({"depth": 1, "activation": eqx.nn.Lambda(jax.nn.gelu)}, "Linear GELU Linear"),
    ],
    ids=["default", "one layer", "final", "lambda"],
)
def test_it_computes_the_same(options: dict[str, Any], layers: str) -> None:
    mlp = _mlp(**options)
    model = from_equinox(eqx.nn.Sequential([mlp, eqx.nn.Linear(2, 2, key=KEY)]))
    assert isinstance(model.layers[0], nn.Sequential)
    assert " ".join(type(layer).__name__ for layer in model.layers[0].layers) == layers
    x = jax.random.normal(KEY, (5, 3))
    np.testing.assert_allclose(from_equinox(mlp)(x), jax.vmap(mlp)(x), 1e-6, 1e-6)


def test_numbers_go_in_and_come_out() -> None:
    mlp = _mlp(in_size="scalar", out_size="scalar", final_activation=jnp.tanh)
    model = from_equinox(mlp)
    x = jax.random.normal(KEY, (5,))
    np.testing.assert_allclose(model(x), jax.vmap(mlp)(x), 1e-6, 1e-6)
    back = to_equinox(model)
    np.testing.assert_allclose(jax.vmap(back)(x), jax.vmap(mlp)(x), 1e-6, 1e-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"scan": True}, "scan=True"),
        ({"activation": jax.nn.softmax}, "works along an axis"),
        ({"final_activation": partial(jax.nn.elu, alpha=jnp.ones(2))}, "works along an axis"),
        ({"activation": eqx.nn.PReLU()}, "weights of its own for every unit"),
        ({"activation": lambda x: x}, "no row names"),
    ],
    ids=["scan", "softmax", "array", "weights", "unknown"],
)
def test_what_has_no_counterpart_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InteropError, match=match):
        from_equinox(_mlp(**options))
