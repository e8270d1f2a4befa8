"""Delays: initial values, units, references to entries and states, and what they refuse."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
import saiunit as u
from jax import numpy as jnp

from interop_core import environ, nn, random
from interop_core.state import ShortTermState, State

DT = 0.1
VALUES = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def step() -> Iterator[None]:
    with environ.context(dt=DT), brainstate.environ.context(dt=DT):
        yield


# -- initial values, units, access -----------------------------------------------------------------


def test_initial_values() -> None:
    rows = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    for init, expected in ((rows, rows), (rows[0], rows[[0] * 4]), (True, np.ones((4, 3)))):
        delay = nn.Delay(jnp.zeros(3), 0.3, init=init)
        delay.init_state()
        np.testing.assert_array_equal(delay.history.value, expected)
        assert delay.history.value.dtype == jnp.float32
    asked: list[Any] = []

    def made(shape: Any, dtype: Any) -> Any:
        asked.append((shape, dtype))
        return jnp.ones(shape, dtype)

    tree = nn.Delay({"a": jnp.zeros(3), "b": jnp.zeros((), jnp.int32)}, 0.1, init=made)
    tree.init_state(5)
    assert asked == [((2, 5, 3), jnp.float32), ((2, 5), jnp.int32)]
    each = nn.Delay({"a": jnp.zeros(3), "b": jnp.zeros(())}, 0.1, init={"a": 1.0, "b": 2.0})
    each.init_state()
    assert [float(x.ravel()[0]) for x in jax.tree.leaves(each.history.value)] == [1.0, 2.0]
    random.seed(1)
    drawn = nn.Delay(jnp.zeros(3), 0.5, init=nn.init.Normal(2.0))
    drawn.init_state()
    assert len(np.unique(drawn.history.value)) == 18


def test_units() -> None:
    with environ.context(dt=0.1 * u.ms):
        delay = nn.Delay(jnp.zeros(2) * u.mV, 0.5 * u.ms, entries={"a": 0.2 * u.ms})
        aware = nn.Delay(jnp.zeros(2), 0.5 * u.ms, take_aware_unit=True)
        plain = nn.Delay(jnp.zeros(2), 0.5 * u.ms, update_every=0.2 * u.ms)
        assert (delay.max_length, aware.max_length, plain.max_length) == (6, 6, 4)
        for d in (delay, aware, plain):
            d.init_state()
        for i in range(4):
            delay.update(i * jnp.ones(2) * u.mV)
            aware.update(i * jnp.ones(2) * u.mV if i % 2 else i * 1e-3 * jnp.ones(2) * u.volt)
        assert u.math.allclose(delay.at("a"), jnp.ones(2) * u.mV)
        assert u.math.allclose(aware.retrieve_at_step(1), 2 * jnp.ones(2) * u.mV)
        with environ.context(t=0.3 * u.ms):
            half = 1.5 * jnp.ones(2) * u.mV
            assert u.math.allclose(delay.retrieve_at_time(0.15 * u.ms), half)
            assert u.math.allclose(aware.retrieve_at_time(0.15 * u.ms), half)
        with pytest.raises(ValueError):  # noqa: PT011 - JAX says it
            delay.update(jnp.ones(2) * u.mA)
        with pytest.raises(TypeError, match="in the unit of the time step"):
            delay.register_delay(0.1)


def test_access() -> None:
    delay = nn.Delay(jnp.zeros(3), 0.5)
    access = delay.access("e", 0.3, 1)
    assert isinstance(access, nn.DelayAccess)
    delay.init_state()
    for x in VALUES[:5]:
        delay.update(jnp.asarray(x))
    assert access() == VALUES[1, 1]
    with pytest.raises(KeyError, match="has been registered"):
        delay.access("e", 0.3)
    rebuilt = jax.tree.map(lambda x: x, access)
    assert rebuilt() == VALUES[1, 1]


def test_a_state_with_delay_follows_the_state() -> None:
    class Group(nn.Module):
        def init_state(self, batch_size: Any = None) -> None:
            self.v = ShortTermState(jnp.zeros((batch_size or 1, 2)))

    group = Group()
    past = nn.StateWithDelay(group, "v", time=0.2)
    assert past.interp_method == "round"
    with pytest.raises(AttributeError, match="no state 'v' yet"):
        _ = past.state
    group.init_state(4)
    past.init_state(4)
    # The published one adds the batch axis to one that is there.
    assert past.history.value.shape == (3, 4, 2)
    assert past.state is group.v
    assert (past.target, past.item) == (group, "v")
    for i in range(5):
        group.v.value = jnp.full((4, 2), float(i))
        past.update("ignored")
    assert past.retrieve_at_step(2)[0, 0] == 2.0
    group.init_state(3)
    past.reset_state(3)
    assert past.history.value.shape == (3, 3, 2)
    vars(group)["v"] = 3
    with pytest.raises(TypeError, match="Only states are delayed"):
        past.update()


# -- errors ----------------------------------------------------------------------------------------

CONSTRUCTION: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (TypeError, "target_info is an array", {"target_info": 1.0}),
    (TypeError, "target_info is an array", {"target_info": State(jnp.ones(2))}),
    (ValueError, "zero or more", {"time": -0.1}),
    (ValueError, "zero or more", {"time": np.ones((2, 2))}),
    (ValueError, "zero or more", {"time": np.inf}),
    (TypeError, "must be a number", {"time": "a"}),
    (TypeError, "must be a number", {"time": [0.1, 0.2]}),
    (ValueError, "no interpolation method", {"interpolation": "zz"}),
    (ValueError, "no interpolation method", {"interp_method": "zz"}),
    (TypeError, "a name or a function", {"interpolation": 3}),
    (ValueError, "'rotation' or 'concat'", {"delay_method": "zz"}),
    (ValueError, "at least dt", {"update_every": 0.05}),
    (ValueError, "at least dt", {"update_every": 0.0}),
    (TypeError, "init is a number", {"init": "a"}),
]


@pytest.mark.parametrize(("error", "match", "kwargs"), CONSTRUCTION, ids=str)
def test_refuses_arguments(error: type[Exception], match: str, kwargs: dict[str, Any]) -> None:
    with pytest.raises(error, match=match):
        nn.Delay(**{"target_info": jnp.zeros(2), **kwargs})


REGISTRATION: list[tuple[type[Exception], str, tuple[Any, ...]]] = [
    (ValueError, "needs a time", ()),
    (ValueError, "given whole", (None, 1)),
    (TypeError, "must be integers", (0.1, 0.5)),
    (TypeError, "must be integers", (0.1, slice(0, 1))),
    (TypeError, "must be integers", (0.1, None)),
    (TypeError, "must be integers", (0.1, True)),
    (ValueError, "one size", (np.array([0.1, 0.2, 0.3]), np.array([0, 1]))),
    (ValueError, "zero or more", (-0.1,)),
]


@pytest.mark.parametrize(("error", "match", "args"), REGISTRATION, ids=str)
def test_refuses_delays(error: type[Exception], match: str, args: tuple[Any, ...]) -> None:
    delay = nn.Delay(jnp.zeros(2))
    with pytest.raises(error, match=match):
        delay.register_delay(*args)
    with pytest.raises(error, match=match):
        delay.register_entry("a", *args)
    assert delay.entries == {}


def test_refuses_reads_and_writes() -> None:
    delay = nn.Delay(jnp.zeros(2, jnp.int32), 0.2)
    for call in (lambda: delay.update(1), lambda: delay.retrieve_at_step(0), delay.reset_state):
        with pytest.raises(AttributeError, match="no buffer yet"):
            call()
    delay.init_state()
    for step in (3, -1, np.array([0, 3])):
        with pytest.raises(ValueError, match="holds the steps 0 to 2"):
            delay.retrieve_at_step(step)
    with pytest.raises(TypeError, match="is an integer"):
        delay.retrieve_at_step(1.5)
    for index in (2, -3):
        with pytest.raises(ValueError, match="no index"):
            delay.retrieve_at_step(0, index)
    with pytest.raises(KeyError, match="registered as 'z'"):
        delay.at("z")
    with pytest.raises(KeyError, match="current time"):
        delay.retrieve_at_time(0.1)
    with environ.context(t=1.0):
        for moment in (0.7, 1.1):
            with pytest.raises(ValueError, match="does not hold the time"):
                delay.retrieve_at_time(moment)
    with pytest.raises(TypeError, match="cannot hold values of float32"):
        delay.update(jnp.ones(2))
    with pytest.raises(ValueError, match="broadcast"):
        delay.update(jnp.ones(3, jnp.int32))
    delay.register_entry("later", 0.7)
    with pytest.raises(ValueError, match="has 3 rows and the delays need 8"):
        delay.at("later")
    delay.init_state()
    assert delay.at("later").tolist() == [0, 0]


def test_needs_a_time_step() -> None:
    def outside() -> None:
        assert nn.Delay(jnp.zeros(2)).max_length == 1
        for kwargs in ({"time": 0.1}, {"update_every": 0.1}, {"entries": {"a": 0.1}}):
            with pytest.raises(KeyError, match="'dt' is needed"):
                nn.Delay(jnp.zeros(2), **kwargs)

    contextvars.Context().run(outside)  # where no step is set


def test_own_interpolations() -> None:
    seen: list[Any] = []

    def mine(history: Any, indices: Any, float_idx: Any, max_length: int) -> Any:
        seen.append((indices, float(float_idx), max_length))
        return history[0]

    for interpolation in (mine, "mine"):
        nn.InterpolationRegistry.register("mine", mine)
        delay = nn.Delay(jnp.zeros(2), 0.5, interpolation=interpolation)
        delay.init_state()
        for _ in range(8):
            delay.update(jnp.ones(2))
        with environ.context(t=0.7):
            delay.retrieve_at_time(0.25)
    assert seen == [((), pytest.approx(-3.5, abs=1e-5), 6)] * 2
    with pytest.raises(TypeError, match="is a function"):
        nn.InterpolationRegistry.register("x", 3)  # type: ignore[arg-type]
    del nn.InterpolationRegistry._methods["mine"]
