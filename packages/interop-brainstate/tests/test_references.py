"""References to delays and modules point to the same things in the converted model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import jax.numpy as jnp
import numpy as np
import pytest

import interop_core
from interop_brainstate import from_brainstate, to_brainstate
from interop_core import (
    LayerMapping,
    UnsupportedConfigurationError,
    UnsupportedStructureError,
    environ,
    register_layer_mapping,
    registrations,
)
from interop_core.testing import quick_compilation

Leaks = dict[Any, Any]


def leak(library: Any) -> Any:
    """A group of the user's own, in one library."""

    class Leak(library.nn.Dynamics):  # type: ignore[misc]
        def __init__(self, in_size: Any) -> None:
            super().__init__(in_size)
            self.v = library.HiddenState(jnp.zeros(self.in_size))

        def update(self, x: Any) -> Any:
            self.v.value = self.v.value * 0.5 + x
            return self.v.value * 2

    return Leak


LEAKS: Leaks = {library: leak(library) for library in (interop_core, brainstate)}
SIDES: list[Any] = [
    pytest.param(interop_core, to_brainstate, from_brainstate, id="to"),
    pytest.param(brainstate, from_brainstate, to_brainstate, id="from"),
]
both = pytest.mark.parametrize("library, convert, back", SIDES)


def made(library: Any) -> Any:
    """What makes a group in a library of one in the other: the group alone, without delays."""

    def make(layer: Any, context: Any) -> Any:
        group = LEAKS[library](layer.in_size)
        group.v.value = layer.v.value
        return group

    return make


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    mapping = LayerMapping(
        LEAKS[interop_core], "brainstate", LEAKS[brainstate], made(interop_core), made(brainstate)
    )
    with (
        environ.context(dt=0.1),
        brainstate.environ.context(dt=0.1),
        quick_compilation(),
        registrations(),
    ):
        register_layer_mapping(mapping)
        yield


def step(model: Any, x: Any) -> list[Any]:
    """Run the group, write its output into the delay, and read all references."""
    group, delay, *references = model.layers
    delay.update(group(x))
    return [reference() for reference in references]


@both
def test_references_point_into_the_converted_model(library: Any, convert: Any, back: Any) -> None:
    group, delay = LEAKS[library](3), library.nn.Delay(jnp.zeros(3), 0.4)
    model = library.nn.Sequential(
        group, delay, group.prefetch("v"), group.prefetch_delay("v", 0.2),
        group.prefetch_delay("v", 0.3, 1), group.output_delay(0.1),
        delay.access("a", 0.2), delay.access("now", None), delay.access("one", 0.4, 2),
    )  # fmt: skip
    for each in (*group.after_updates.values(), delay):
        each.init_state()
    for i in range(5):
        step(model, jnp.arange(3.0) + i)
    moved = convert(model)
    again = back(moved)
    for other in (moved, again):
        cell, buffer, v, early, _, output, entry, *_ = other.layers
        assert v.module is early.module is output.module is cell
        assert early.state_delay is cell.after_updates["v-prefetch-delay-None"]
        assert early.state_delay._target is cell
        assert output.out_delay is cell.after_updates["output-delay-None"]
        assert entry.delay is buffer
        assert early.state_delay.history.value is group.after_updates["v-prefetch-delay-None"] \
            .history.value  # fmt: skip
    for reference, same in zip(model.layers[2:], again.layers[2:], strict=True):
        assert vars(reference).keys() == vars(same).keys()
        assert type(reference) is type(same)
    for i in range(4):
        x = jnp.arange(3.0) - i
        expected = step(model, x)
        for other in (moved, again):
            for a, b in zip(step(other, x), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6)


@both
def test_plain_dynamics_keep_what_is_called_around_updates(
    library: Any, convert: Any, back: Any
) -> None:
    group = library.nn.Dynamics(3)
    group.add_after_update("x", library.nn.ReLU())
    early = group.prefetch_delay("v", 0.2)
    moved = convert(library.nn.Sequential(group, early)).layers
    assert list(moved[0].after_updates) == ["x", "v-prefetch-delay-None"]
    assert moved[1].state_delay._target is moved[1].module is moved[0]
    assert moved[1].state_delay.max_length == 3


@both
def test_what_is_not_in_the_model_cannot_be_referred_to(
    library: Any, convert: Any, back: Any
) -> None:
    group, delay = LEAKS[library](3), library.nn.Delay(jnp.zeros(3), 0.4)
    for reference in (delay.access("a", 0.1), group.prefetch("v"), group.output_delay(0.1)):
        model = library.nn.Sequential(library.nn.ReLU(), reference)
        with pytest.raises(UnsupportedStructureError, match="that the model holds nowhere else"):
            convert(model)


@both
def test_references_that_read_otherwise_are_refused(library: Any, convert: Any, back: Any) -> None:
    group, delay = LEAKS[library](3), library.nn.Delay(jnp.zeros(3), 0.4)
    newest = group.prefetch_delay("v", None)
    with pytest.raises(UnsupportedConfigurationError, match="reads the newest value"):
        convert(library.nn.Sequential(group, newest))
    changed = delay.access("a", 0.1)
    changed.more = 1
    with pytest.raises(UnsupportedConfigurationError, match="more differ"):
        convert(library.nn.Sequential(delay, changed))


def test_a_published_reference_that_contradicts_its_entry_is_refused() -> None:
    delay = brainstate.nn.Delay(jnp.zeros(3), 0.4)
    access = delay.access("a", 0.1)
    delay._registered_entries["a"] = (jnp.asarray(3),)
    with pytest.raises(UnsupportedConfigurationError, match="another delay than its entry 'a'"):
        from_brainstate(brainstate.nn.Sequential(delay, access))


def test_a_mapping_that_makes_delays_of_its_own_is_refused() -> None:
    group = LEAKS[interop_core](3)
    early = group.prefetch_delay("v", 0.2)

    def make(layer: Any, context: Any) -> Any:
        other = LEAKS[brainstate](layer.in_size)
        other.prefetch_delay("v", 0.2)
        return other

    with registrations():
        register_layer_mapping(
            LayerMapping(
                LEAKS[interop_core], "brainstate", LEAKS[brainstate], made(interop_core), make
            )
        )
        with pytest.raises(UnsupportedConfigurationError, match="would not write there"):
            to_brainstate(interop_core.nn.Sequential(group, early))
