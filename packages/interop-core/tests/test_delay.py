"""Delays: what is read some steps or some time ago, beside the published ones and plain NumPy."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, nn
from interop_core.state import DelayState, ShortTermState

DT = 0.1
VALUES = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def step() -> Iterator[None]:
    with environ.context(dt=DT), brainstate.environ.context(dt=DT):
        yield


def twins(target: Any, *args: Any, batch: Any = None, **kwargs: Any) -> tuple[Any, Any]:
    """Our delay and the published one, ready to be called."""
    both = nn.Delay(target, *args, **kwargs), brainstate.nn.Delay(target, *args, **kwargs)
    for delay in both:
        delay.init_state(batch)
    return both


def same(ours: Any, published: Any) -> None:
    structure: Any = jax.tree.structure(ours)
    assert structure == jax.tree.structure(published)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(published), strict=True):
        assert (jnp.shape(a), jnp.result_type(a)) == (jnp.shape(b), jnp.result_type(b))
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6)


# -- against the published delay -------------------------------------------------------------------

TARGETS: dict[str, Any] = {
    "array": jnp.zeros(3),
    "scalar": jax.ShapeDtypeStruct((), jnp.float32),
    "half": jax.ShapeDtypeStruct((3,), jnp.bfloat16),
    "tree": {"a": jnp.zeros(3), "b": (jax.ShapeDtypeStruct((), jnp.int32),)},
}


def value(target: str, i: int, batch: int | None = None) -> Any:
    """What is written in step i."""
    row = VALUES[i] if batch is None else np.stack([VALUES[i] + lane for lane in range(batch)])
    number = jnp.asarray(i if batch is None else [i] * batch)
    return {
        "array": jnp.asarray(row),
        "scalar": number.astype(jnp.float32) ** 2,
        "half": jnp.asarray(row, jnp.bfloat16),
        "tree": {"a": jnp.asarray(row), "b": (number,)},
    }[target]


@pytest.mark.parametrize(
    ("target", "batch", "init"),
    [
        ("array", None, None),
        ("array", 2, 2.0),
        ("scalar", 2, None),
        ("half", None, 2.0),
        ("tree", 2, lambda shape, dtype: jnp.ones(shape, dtype)),
    ],
    ids=["plain", "batch", "scalar", "half", "tree"],
)
def test_holds_what_the_published_one_holds(target: str, batch: Any, init: Any) -> None:
    ours, published = twins(TARGETS[target], 0.5, init=init, batch=batch)
    assert set(ours.states()) == set(published.states())
    for i in range(9):
        for delay in (ours, published):
            assert delay.update(value(target, i, batch)) is None
        same(ours.history.value, published.history.value)
        same(ours.write_ptr.value, published.write_ptr.value)
        same(ours.retrieve_at_step(2), published.retrieve_at_step(2))
    for back in (0, np.int64(5), jnp.asarray(3), jnp.array([1, 4])):
        same(ours.retrieve_at_step(back), published.retrieve_at_step(back))
    with environ.context(t=0.8), brainstate.environ.context(t=0.8):
        for time in (0.8, 0.72, 0.38):
            if target != "half":
                same(ours.retrieve_at_time(time), published.retrieve_at_time(time))
    for delay in (ours, published):
        delay.reset_state(batch)
    same(ours.history.value, published.history.value)
    same(ours.write_ptr.value, published.write_ptr.value)


def test_states_are_of_the_published_kinds() -> None:
    ours, _ = twins(jnp.zeros(3), 0.5)
    assert type(ours.history) is DelayState
    assert type(ours.write_ptr) is ShortTermState
    assert ours.write_ptr.tag == frozenset({"INIT_NO_BATCHING"})


@pytest.mark.parametrize("index", [(1,), (np.array([0, 2]),), (slice(0, 2),), ()], ids=str)
def test_indices_pick_entries(index: Any) -> None:
    ours, published = twins(jnp.zeros(3), 0.5)
    for i in range(9):
        ours.update(jnp.asarray(VALUES[i]))
        published.update(jnp.asarray(VALUES[i]))
    same(ours.retrieve_at_step(2, *index), published.retrieve_at_step(2, *index))
    same(ours.retrieve_at_step(2, *index), VALUES[6][index])
    with environ.context(t=0.8), brainstate.environ.context(t=0.8):
        if not any(isinstance(i, slice) for i in index):
            same(ours.retrieve_at_time(0.55, *index), published.retrieve_at_time(0.55, *index))


def test_times_and_indices_go_together() -> None:
    back, which = np.array([0.1, 0.3, 0.5]), np.array([2, 0, 1])
    ours, published = twins(jnp.zeros(3), 0.5, entries={"a": (0.2, 1), "none": None})
    for delay in (ours, published):
        delay.register_entry("each", jnp.asarray(back), jnp.asarray(which))
        for i in range(9):
            delay.update(jnp.asarray(VALUES[i]))
    for entry in ("a", "none", "each"):
        same(ours.at(entry), published.at(entry))
    same(ours.at("each"), VALUES[[7, 5, 3], which])
    with environ.context(t=0.8):
        np.testing.assert_allclose(
            ours.retrieve_at_time(0.8 - back, which), VALUES[[7, 5, 3], which], rtol=1e-5
        )


@pytest.mark.parametrize("time", [0.0, 0.05, 0.1, 0.12, 0.3, 0.35, 0.6, 0.7, 1.1, 2.3, 1])
def test_counts_steps_as_published(time: float) -> None:
    ours, published = (lib.Delay(jnp.zeros(()), time=time) for lib in (nn, brainstate.nn))
    assert ours.max_length == int(published.max_length)
    assert ours.register_delay(time) == tuple(int(x) for x in published.register_delay(time))
    assert ours.max_time == time
    assert nn.Delay(jnp.zeros(()), entries={"x": time}).max_length == ours.max_length


@pytest.mark.parametrize("method", nn.InterpolationRegistry.list_methods())
def test_reads_between_two_rows_as_published(method: str) -> None:
    ours, published = twins(jnp.zeros(3), 0.9, interpolation=method)
    for i in range(16):
        ours.update(jnp.asarray(VALUES[i]))
    # The methods read; that both write alike is tested above.
    published.history.value, published.write_ptr.value = ours.history.value, ours.write_ptr.value
    # The two rows at either end have neighbours on one side alone; see below.
    inside = np.array([0.71, 0.84, 1.13, 1.29])
    with environ.context(t=1.5), brainstate.environ.context(t=1.5):
        for moment in inside:
            same(ours.retrieve_at_time(moment), published.retrieve_at_time(moment))
        many = ours.retrieve_at_time(jnp.asarray(inside))
        one_by_one = [ours.retrieve_at_time(moment) for moment in inside]
        np.testing.assert_allclose(many, np.stack(one_by_one), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", brainstate.nn.InterpolationRegistry.list_methods())
@pytest.mark.parametrize("place", [-3.5, 0.4, 4.6])
def test_registered_functions_are_the_published_ones(method: str, place: float) -> None:
    ring = {"x": jnp.asarray(VALUES[:6])}
    ours, published = (
        lib.InterpolationRegistry.get(method)(ring, (1,), place, 6) for lib in (nn, brainstate.nn)
    )
    same(ours, published)


# -- where the published one is wrong --------------------------------------------------------------

DEGREES = {"linear": 1, "polynomial2": 2, "polynomial3": 3, "cubic": 1, "hermite": 1}


@pytest.mark.parametrize("method", DEGREES)
@pytest.mark.parametrize("length", [1, 2, 3, 6])
def test_is_exact_for_polynomials_to_both_ends(method: str, length: int) -> None:
    """The published one takes the oldest value for the one after the newest, and conversely."""
    degree = min(DEGREES[method], length - 1)
    delay = nn.Delay(jnp.zeros(()), (length - 1) * DT, interpolation=method)
    delay.init_state()
    for i in range(4, 11):
        delay.update(jnp.asarray(float((0.3 * i) ** degree)))
    for back in np.linspace(0, length - 1, 7):
        with environ.context(t=10 * DT):
            got = delay.retrieve_at_time((10 - back) * DT)
        assert got == pytest.approx((0.3 * (10 - back)) ** degree, rel=1e-4, abs=1e-4)


def test_a_value_that_is_not_asked_for_does_not_come_in() -> None:
    delay = nn.Delay(jnp.zeros(()), 0.2, init=jnp.nan)
    delay.init_state()
    delay.update(1.0)
    with environ.context(t=0.0):
        assert delay.retrieve_at_time(0.0) == 1.0


def test_rows_are_written_every_so_often() -> None:
    ours, published = twins(jnp.zeros(()), 1.0, update_every=0.2)
    assert ours.update_every_step == published.update_every_step == 2
    assert ours.max_length == int(published.max_length) == 6
    for i in range(25):
        ours.update(float(i + 1))
        published.update(jnp.asarray(float(i + 1)))
        if i % 4 == 0:
            same(ours.history.value, published.history.value)
            same(ours.write_ptr.value, published.write_ptr.value)
            same(ours.retrieve_at_step(1), published.retrieve_at_step(1))
    assert ours.register_delay(0.5) == (3,)
    # Rows of the values 1, 3, 5, ... at the times 0, 0.2, 0.4: between them lies t / dt + 1, and
    # the last one is held. The published delay takes the newest row for one of the current time.
    for newest, t in ((25.0, 2.4), (25.0, 2.5), (27.0, 2.6)):
        with environ.context(t=t):
            for back in (0, 1, 2, 5):
                expected = min(t / DT - back + 1, newest)
                assert ours.retrieve_at_time(t - back * DT) == pytest.approx(expected, rel=1e-5)
        ours.update(t / DT + 2)


@pytest.mark.parametrize(("every", "steps"), [(0.1, 1), (0.3, 3), (0.28, 3), (0.35, 4), (0.2, 2)])
def test_an_interval_is_whole_steps_at_least_as_long(every: float, steps: int) -> None:
    """The published one has two steps for 0.3 and for 0.28, and then too short a buffer."""
    delay = nn.Delay(jnp.zeros(()), 1.0, update_every=every)
    assert delay.update_every_step == steps
    assert (delay.max_length - 1) * steps * DT >= 1.0 - 1e-9


def test_times_of_a_vector_make_room_for_the_longest() -> None:
    """The published one has a buffer of two lengths and fails later."""
    delay = nn.Delay(jnp.zeros(()), np.array([0.1, 0.4]))
    assert delay.max_length == 5
    assert delay.max_time == 0.4


# -- under transformations -------------------------------------------------------------------------


def test_runs_compiled_scanned_and_mapped() -> None:
    delay, other = (nn.Delay(jnp.zeros(3), entries={"a": 0.3}) for _ in range(2))
    delay.init_state()
    other.init_state()

    def once(delay: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        delay.update(x)
        return delay, delay.at("a")

    scanned, outputs = jax.lax.scan(once, delay, jnp.asarray(VALUES))
    expected = np.concatenate([np.zeros((3, 3), np.float32), VALUES[:-3]])
    np.testing.assert_array_equal(outputs, expected)
    assert int(delay.write_ptr.value) == 0
    traces = []

    @jax.jit
    def compiled(delay: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        traces.append(delay)
        return once(delay, x)

    for x, y in zip(VALUES, expected, strict=True):
        other, got = compiled(other, jnp.asarray(x))
        np.testing.assert_array_equal(got, y)
    assert len(traces) == 1
    same(scanned.history.value, other.history.value)
    stacked = jax.tree.map(lambda a: jnp.stack([a, a]), delay)
    _, lanes = jax.vmap(lambda d, xs: jax.lax.scan(once, d, xs))(
        stacked, jnp.stack([VALUES, 2 * VALUES])
    )
    np.testing.assert_array_equal(lanes, np.stack([expected, 2 * expected]))


def test_times_may_be_traced() -> None:
    delay = nn.Delay(jnp.zeros(3), 0.5)
    delay.init_state()
    for x in VALUES[:9]:
        delay.update(jnp.asarray(x))

    @jax.jit
    def read(delay: Any, t: Any, moment: Any) -> Any:
        with environ.context(t=t, i=8):
            return delay.retrieve_at_time(moment)

    np.testing.assert_allclose(read(delay, 0.8, 0.55), (VALUES[5] + VALUES[6]) / 2, rtol=1e-4)
    # Nothing can be refused here: the ends are held.
    np.testing.assert_allclose(read(delay, 0.8, 0.1), VALUES[3], rtol=1e-5)
    np.testing.assert_allclose(read(delay, 0.8, 0.9), VALUES[8], rtol=1e-5)


@pytest.mark.parametrize("method", ["linear", "cubic", "polynomial3"])
def test_gradients_reach_the_values(method: str) -> None:
    def loss(xs: jax.Array) -> Any:
        delay = nn.Delay(jnp.zeros(()), 0.6, interpolation=method)
        delay.init_state()
        for x in xs:
            delay.update(x)
        with environ.context(t=0.6):
            return delay.retrieve_at_time(0.33)

    weights = jax.grad(loss)(jnp.arange(7.0))
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert weights[3] == pytest.approx(
        {"linear": 0.7, "cubic": 0.8155, "polynomial3": 0.7735}[method], abs=1e-4
    )


def test_is_a_value() -> None:
    with environ.context(dt=0.1):
        one, two = (nn.Delay({"x": jnp.zeros(2)}, 0.3, entries={"a": 0.2}) for _ in range(2))
        structure: Any = jax.tree.structure(one)
        assert structure == jax.tree.structure(two)
        for delay in (one, two):
            delay.init_state()
        one.update({"x": jnp.ones(2)})
        for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
            same(other.at("a"), one.at("a"))
            other.update({"x": jnp.ones(2)})
            assert int(other.write_ptr.value) == 2
        assert int(one.write_ptr.value) == 1
        again = nn.Delay(
            one.target_info, time=one.time, init=one.init, entries=one.entries,
            interpolation=one.interpolation, take_aware_unit=one.take_aware_unit,
            update_every=one.update_every, delay_method=one.delay_method,
            interp_method=one.interp_method,
        )  # fmt: skip
        structure = jax.tree.structure(again)
        assert structure == jax.tree.structure(
            nn.Delay({"x": jnp.zeros(2)}, 0.3, entries={"a": 0.2})
        )
    assert "Delay" in repr(one)


def test_a_function_that_fills_the_buffer_is_told_the_dtype_by_name() -> None:
    def sevens(shape: Any, *, dtype: Any) -> jax.Array:
        return jnp.full(shape, 7, dtype)

    with environ.context(dt=0.1):
        delay = nn.Delay(jnp.zeros(2), 0.2, init=sevens)
        delay.init_state()
    np.testing.assert_array_equal(delay.retrieve_at_step(2), [7.0, 7.0])
