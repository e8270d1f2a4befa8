"""Layers of one's own: two functions, or a declarative row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from interop_core import (
    LayerMap,
    LayerMapping,
    ParamState,
    nn,
    register_layer_mapping,
    registrations,
)
from interop_core.mapping import Opt, leaf
from interop_linen import from_linen, to_linen


class Scale(nn.Module):
    def __init__(self, size: int, shift: float = 0.0) -> None:
        super().__init__()
        self.size, self.shift = size, shift
        self.factor = ParamState(nn.init.param(nn.init.Constant(2.0), (size,)))

    def update(self, x: Any) -> Any:
        return x * self.factor.value + self.shift


class LinenScale(linen.Module):
    size: int
    shift: float = 0.0
    deterministic: bool | None = None

    @linen.compact
    def __call__(self, x: Any) -> Any:
        count = self.variable("cache", "count", lambda: jnp.zeros(()))
        factor = self.param("factor", linen.initializers.ones, (self.size,))
        return x * factor + self.shift + 0 * count.value


SHARED = LinenScale(3)
"""One module for every layer: a closure may do so, as a Linen module holds no arrays."""


def to_pair(layer: Any, context: Any) -> Any:
    assert context.framework == "linen"
    variables = {"params": {"factor": layer.factor.value}, "cache": {"count": jnp.zeros(())}}
    return SHARED, variables


def from_pair(pair: Any, context: Any) -> Any:
    module, variables = pair
    assert type(module) is LinenScale
    layer = Scale(module.size)
    layer.factor.value = variables["params"]["factor"]
    return layer


@pytest.fixture
def scope() -> Iterator[None]:
    with registrations():
        yield


def model() -> nn.Sequential:
    first, second = Scale(3), Scale(3)
    second.factor.value = jnp.full(3, 5.0)
    return nn.Sequential(first, nn.Sequential(nn.Linear(3, 3), second), first)


def test_two_functions_get_and_give_pairs(scope: None) -> None:
    register_layer_mapping(LayerMapping(Scale, "linen", LinenScale, from_pair, to_pair))
    core, x = model(), jnp.ones((2, 3))
    module, variables = to_linen(core)
    # One module object for two layers would be one layer to Linen: they are told apart.
    assert jax.tree.map(jnp.shape, variables) == {
        "params": {
            "layers_0": {"factor": (3,)},
            "layers_1": {
                "layers_0": {"kernel": (3, 3), "bias": (3,)},
                "layers_1": {"factor": (3,)},
            },
        },
        "cache": {"layers_0": {"count": ()}, "layers_1": {"layers_1": {"count": ()}}},
    }
    np.testing.assert_allclose(module.apply(variables, x), core(x), rtol=1e-6)
    back = from_linen(module, variables)
    np.testing.assert_allclose(back(x), core(x), rtol=1e-6)
    assert back.layers[0] is back.layers[2]


def test_a_row_of_ones_own(scope: None) -> None:
    row = LayerMap(
        Scale,
        LinenScale,
        (Opt("size", "size"), Opt("shift", "shift")),
        (leaf("factor", "factor"),),
    )
    register_layer_mapping(row, framework="linen")
    module, variables = to_linen(Scale(3, 0.5), training=True)
    assert (module.shift, module.deterministic) == (0.5, False)
    assert to_linen(Scale(3, 0.5))[0].deterministic is True
    assert from_linen(module, variables).shift == 0.5


def test_both_modes_know_what_is_registered(scope: None) -> None:
    register_layer_mapping(LayerMapping(Scale, "linen", LinenScale, from_pair, to_pair))
    for training in (True, False):
        module, _ = to_linen(nn.Sequential(Scale(3)), training=training)
        assert type(module.layers[0]) is LinenScale


@pytest.mark.parametrize("given", [None, SHARED, (SHARED, None), (SHARED, {"factor": jnp.ones(3)})])
def test_functions_that_give_no_pair(scope: None, given: Any) -> None:
    mapping = LayerMapping(Scale, "linen", LinenScale, from_pair, lambda *_: given)
    register_layer_mapping(mapping)
    with pytest.raises(Exception, match=r"got|variables"):
        to_linen(Scale(3))
