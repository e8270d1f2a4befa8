"""Modules over lanes go on where they were: the states of each lane are carried, both ways."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import interop_core
from interop_brainstate import from_brainstate, to_brainstate
from interop_core import UnsupportedConfigurationError, environ, nn
from interop_core.testing import quick_compilation

SIDES: list[Any] = [
    pytest.param(interop_core, to_brainstate, from_brainstate, id="to"),
    pytest.param(brainstate, from_brainstate, to_brainstate, id="from"),
]
both = pytest.mark.parametrize("library, convert, back", SIDES)
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 2)), jnp.float32)


@pytest.fixture(autouse=True)
def quick() -> Any:
    with quick_compilation():
        yield


def go_on_alike(model: Any, *others: Any) -> None:
    """Run models for two steps, one of them mapped by name, and compare all that they hold."""
    for _ in range(2):
        expected = model(X)
        for other in others:
            np.testing.assert_allclose(other(X), expected, atol=1e-6)
    for other in others:
        # Of the modules: brainstate 0.4 gives a state that a Map lists a second time.
        held = other.module.states()
        assert held.keys() == model.module.states().keys()
        for path, state in model.module.states().items():
            pair = map(jax.tree.leaves, (state.value, held[path].value))
            for x, y in zip(*pair, strict=True):
                np.testing.assert_allclose(x, y, atol=1e-6)


@both
@pytest.mark.parametrize("case", ["plain", "other axis", "further states", "nothing"])
def test_a_map_goes_on_alike(library: Any, convert: Any, back: Any, case: str) -> None:
    cases: dict[str, dict[str, Any]] = {
        "other axis": {"init_state_axes": {1: library.HiddenState}},
        "further states": {"state_tag": "x", "call_state_axes": {0: library.BatchState}},
    }
    options = cases.get(case, {})
    inner = library.nn.ReLU() if case == "nothing" else library.nn.GRUCell(2, 3)
    model = library.nn.Map(library.nn.Sequential(inner, library.nn.LSTMCell(3, 3)), 4, **options)
    if case == "nothing":
        model = library.nn.Map(inner, 4)
    model.init_all_states(**({} if case == "nothing" else {"batch_size": 2}))
    model(X)
    moved = convert(model)
    again = back(moved)
    for other in (moved, again):
        assert other.dict_vmap_states.keys() == model.dict_vmap_states.keys()
        below = {id(state) for state in other.module.states().values()}
        for axis, states in other.dict_vmap_states.items():
            assert {id(state) for state in states} <= below
            held = [state.value for state in model.dict_vmap_states[axis]]
            assert all(a.value is b for a, b in zip(states, held, strict=True))
    go_on_alike(model, moved, again)
    mapped = moved.map("__call__")(X)
    np.testing.assert_allclose(mapped, model.map("__call__")(X), atol=1e-6)
    # And the lanes start anew alike.
    moved.init_all_states(**({} if case == "nothing" else {"batch_size": 2}))


@both
def test_lanes_that_are_not_what_is_listed_are_refused(
    library: Any, convert: Any, back: Any
) -> None:
    anew = library.nn.Map(library.nn.GRUCell(2, 3), 4)
    anew.init_all_states(batch_size=2)
    anew.module.init_state(2)
    with environ.context(dt=0.1), brainstate.environ.context(dt=0.1):
        delayed = library.nn.Map(library.nn.Delay(jnp.zeros(3), 0.2), 4)
        delayed.init_all_states()
        for model, reason in ((anew, "made anew since"), (delayed, "that all lanes share")):
            with pytest.raises(UnsupportedConfigurationError, match=reason) as caught:
                convert(library.nn.Sequential(library.nn.ReLU(), model))
            assert caught.value.path == ("layers", 1)


def test_published_lanes_that_were_changed_are_refused() -> None:
    model = brainstate.nn.Map(brainstate.nn.LSTMCell(2, 3), 4)
    model.init_all_states(batch_size=2)
    model.dict_vmap_states[0].pop()
    with pytest.raises(UnsupportedConfigurationError, match="maps other states than it lists"):
        from_brainstate(model)


@both
def test_a_vmap_goes_on_alike(library: Any, convert: Any, back: Any) -> None:
    cell = library.nn.GRUCell(2, 3)
    library.nn.vmap_init_all_states(cell, axis_size=4, batch_size=2)
    model = library.nn.Vmap(cell, vmap_states=library.HiddenState)
    model(X)  # the published layer remembers what it compiled
    moved = convert(model)
    go_on_alike(model, moved, back(moved))
    assert moved.module.h.value.shape == (4, 2, 3)


def test_filters_that_choose_otherwise_are_refused() -> None:
    cell = nn.GRUCell(2, 3)
    with pytest.raises(UnsupportedConfigurationError, match="picks none of the states"):
        to_brainstate(nn.Vmap(cell, vmap_states=interop_core.HiddenState))
    nn.vmap_init_all_states(cell, axis_size=4, batch_size=2)

    def chosen(path: Any, state: Any) -> bool:
        return isinstance(state, interop_core.HiddenState)

    with pytest.raises(UnsupportedConfigurationError, match="chooses other states there"):
        to_brainstate(nn.Vmap(cell, vmap_states=chosen))
