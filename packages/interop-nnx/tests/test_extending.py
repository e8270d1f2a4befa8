"""Rows and mappings of a user's own on top of the bridge's."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from interop_core import LayerMap, UnmappedLayerError, nn, register_layer_mapping, registrations
from interop_core.mapping import Opt, case, leaf
from interop_core.state import ParamState, State
from interop_core.testing import checks
from interop_nnx import BRIDGE, from_nnx, to_nnx
from interop_nnx.testing import HARNESS


class Gain(nnx.Module):
    """Draws its start from the streams it is given, as layers of NNX do."""

    def __init__(self, features: int, *, rngs: nnx.Rngs) -> None:
        self.features = features
        self.gain = nnx.Param(jax.random.normal(rngs.params(), (features,)))

    def __call__(self, x: Any) -> Any:
        return x * self.gain[...]


class CoreGain(nn.Module):
    """The same in the core."""

    gain: State[jax.Array]

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.in_size = self.out_size = (features,)
        self.gain = ParamState(nn.init.param(nn.init.Constant(1.0), (features,)))

    def update(self, x: Any) -> Any:
        return x * self.gain.value


ROW = LayerMap(
    CoreGain,
    Gain,
    (Opt("features", "features"),),
    (leaf("gain", "gain"),),
    cases=(case(features=3),),
)


def test_one_row_teaches_both_directions() -> None:
    model = nn.Sequential(CoreGain(3), nn.ReLU())
    with registrations():
        register_layer_mapping(ROW, "nnx")
        converted = to_nnx(model)
        back = from_nnx(converted)
    assert type(converted.layers[0]) is Gain
    assert converted.layers[0].gain.get_value() is model.layers[0].gain.value
    assert back.layers[0].gain.value is model.layers[0].gain.value
    x = jnp.arange(6.0).reshape(2, 3) - 2
    np.testing.assert_array_equal(converted(x), model(x))


def test_what_was_registered_in_a_scope_is_forgotten_behind_it() -> None:
    with registrations():
        register_layer_mapping(ROW, "nnx")
        to_nnx(CoreGain(3))
    with pytest.raises(UnmappedLayerError, match="register_layer_mapping"):
        to_nnx(CoreGain(3))


def test_a_row_of_ones_own_gets_the_generated_checks() -> None:
    class WithMine(type(BRIDGE)):  # type: ignore[misc]
        rows = (ROW,)

    bridge = WithMine()
    harness = type(HARNESS)(bridge)
    found = checks(bridge)
    assert len(found) > 10
    for check in found:
        check(harness)
