"""Layers that stand in several places: where Linen keeps their variables, both ways."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from interop_core import nn
from interop_linen import from_linen, to_linen

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)), jnp.float32)

Stack = Callable[..., Any]
Layout = Callable[[Any, Any, Stack], Any]


def _padded(*layers: Any, count: int, stack: Stack, filler: Any) -> Any:
    """A stack of this many elements that ends in the given ones."""
    return stack(*([filler] * (count - len(layers))), *layers)


LAYOUTS: dict[str, Layout] = {
    "twice": lambda a, b, stack: stack(a, b, a),
    "inside and after": lambda a, b, stack: stack(stack(a, b), a),
    "before and inside": lambda a, b, stack: stack(a, stack(b, a)),
    "in two stacks": lambda a, b, stack: stack(stack(a), stack(b, a)),
    "deeper first": lambda a, b, stack: stack(stack(stack(a), b), stack(a)),
    "a stack of one twice": lambda a, b, stack: (lambda s: stack(s, b, s))(stack(a)),
    "a stack and its element": lambda a, b, stack: (lambda s: stack(stack(s, b), s, a))(stack(a)),
    "tenth before second": lambda a, b, stack: stack(b, b, a, *[b] * 7, a),
    "in the tenth stack first": lambda a, b, stack: stack(
        b, b, stack(a), *[b] * 7, stack(stack(b), a)
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_variables_are_where_linen_looks(name: str) -> None:
    layout = LAYOUTS[name]
    native = layout(linen.Dense(3), linen.Dense(3, use_bias=False), lambda *a: linen.Sequential(a))
    expected = native.init(jax.random.key(0), X)
    model = layout(nn.Linear(3, 3), nn.Linear(3, 3, b_init=None), nn.Sequential)
    module, variables = to_linen(model)
    shapes = partial(jax.tree.map, jnp.shape)
    assert shapes(variables) == shapes(expected)
    # A deep stack adds up rounding errors of single products.
    np.testing.assert_allclose(module.apply(variables, X), model(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_ties_stay_ties_on_the_way_in(name: str) -> None:
    layout = LAYOUTS[name]
    module = layout(linen.Dense(3), linen.Dense(3, use_bias=False), lambda *a: linen.Sequential(a))
    variables = module.init(jax.random.key(0), X)
    model = from_linen(module, variables)
    assert len(model.states()) == 2
    np.testing.assert_allclose(model(X), module.apply(variables, X), rtol=1e-5, atol=1e-5)


def test_what_linen_takes_for_one_module_is_one_layer() -> None:
    dense = linen.Dense(3)
    module = linen.Sequential([dense, copy.copy(dense), dense.clone()])
    variables = module.init(jax.random.key(0), X)
    first, second, third = from_linen(module, variables).layers
    assert first is second
    assert first is not third


def test_equal_layers_are_not_tied() -> None:
    module, variables = to_linen(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)))
    assert list(variables["params"]) == ["layers_0", "layers_1"]
    a, b = from_linen(module, variables).layers
    assert a is not b


def test_names_that_stand_are_heeded() -> None:
    module: Any = linen.Sequential([linen.Dense(3, name="head"), linen.Dense(2)])
    with flax.config.temp_flip_flag("preserve_adopted_names", True):
        variables = module.init(jax.random.key(0), X)
        assert list(variables["params"]) == ["head", "layers_1"]
        model = from_linen(module, variables)
        np.testing.assert_allclose(model(X), module.apply(variables, X), rtol=1e-6)
        module, variables = to_linen(model)
        assert module.apply(variables, X).shape == (2, 2)
