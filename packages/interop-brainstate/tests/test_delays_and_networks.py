"""Delays go on where they were, and drawn networks stay the very same ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import saiunit

from interop_brainstate import from_brainstate, to_brainstate
from interop_core import UnsupportedConfigurationError, UnsupportedStructureError, environ, nn
from interop_core.testing import quick_compilation

SIDES: list[Any] = [
    pytest.param(nn, to_brainstate, from_brainstate, id="to"),
    pytest.param(brainstate.nn, from_brainstate, to_brainstate, id="from"),
]
both = pytest.mark.parametrize("library, convert, back", SIDES)
VALUES = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)

# With one seed both libraries draw one network, since brainstate 0.5; older ones draw another.
DRAWS_ALIKE = not brainstate.__version__.startswith("0.4.")
KEEPS_THE_LAST_TIME = brainstate.__version__.startswith("0.4.")


@pytest.fixture(autouse=True)
def step() -> Iterator[None]:
    with environ.context(dt=0.1), brainstate.environ.context(dt=0.1), quick_compilation():
        yield


def read(delay: Any, moment: float, entries: Any) -> list[Any]:
    """What a delay says by entries, by steps and by time."""
    with environ.context(t=moment), brainstate.environ.context(t=moment):
        found = [delay.at(entry) for entry in entries]
        found += [delay.retrieve_at_step(jnp.asarray([0, 2]))]
        # Not half between two rows, where rounding decides which one is nearest.
        return [*found, *(delay.retrieve_at_time(moment - ago) for ago in (0.0, 0.12, 0.28, 0.4))]


def same(a: Any, b: Any) -> None:
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert jnp.shape(x) == jnp.shape(y)
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-5, atol=1e-6)


def lately(history: Any, indices: Any, place: Any, length: int) -> Any:
    """An interpolation of the user's own."""
    row = jnp.floor(place).astype(int) % length
    return jax.tree.map(lambda buffer: buffer[(row, *indices)] * 2, history)


DELAYS: dict[str, dict[str, Any]] = {
    "plain": {"time": 0.4},
    "entries": {"entries": {"a": 0.3, "b": (0.4, 1), "now": None}},
    "many": {"time": 0.4, "entries": {"each": (np.array([0.1, 0.2]), np.array([2, 0]))}},
    "between": {"time": 0.45, "entries": {"a": 0.21}, "init": 2.0},
    "nearest": {"time": 0.4, "interpolation": "nearest"},
    "own": {"time": 0.4, "interpolation": lately},
    "concat": {"time": 0.4, "delay_method": "concat"},
    "every step": {"time": 0.4, "update_every": 0.1},
    "batch": {"time": 0.4, "init": jnp.ones},
    "aware": {"time": 0.4, "take_aware_unit": True},
}


@both
@pytest.mark.parametrize("case, before", [*((case, 7) for case in DELAYS), ("plain", 0)])
@pytest.mark.filterwarnings("ignore:delay_method:DeprecationWarning")
def test_a_delay_goes_on_alike(
    library: Any, convert: Any, back: Any, case: str, before: int
) -> None:
    options, batch = DELAYS[case], 2 if case == "batch" else None
    delay = library.Delay(jnp.zeros(3), **options)
    delay.init_all_states(batch)
    entries = list(options.get("entries", ()))
    for i in range(before):
        delay.update(jnp.asarray(VALUES[i]))
    moved = convert(delay)
    again = back(moved)
    for other in (moved, again):
        assert other.history.value is delay.history.value
        assert other.write_ptr.value is delay.write_ptr.value
        # brainstate 0.4 puts None among the tags of a state that has no other.
        tags = [set(each.write_ptr.tag or ()) - {None} for each in (other, delay)]
        assert tags[0] == tags[1]
    for i in range(before, before + 6):
        for each in (delay, moved, again):
            each.update(jnp.asarray(VALUES[i]))
        for other in (moved, again):
            same(other.history.value, delay.history.value)
            if i % 2:
                continue
            same(read(other, i * 0.1, entries), read(delay, i * 0.1, entries))
    # And a delay that starts anew is as long.
    moved.init_state(batch)
    delay.init_state(batch)
    same(moved.history.value, delay.history.value)
    assert moved.register_delay(0.3) == (3,)


@both
def test_a_delay_converts_before_it_has_a_buffer(library: Any, convert: Any, back: Any) -> None:
    delay = library.Delay({"a": jnp.zeros(3)}, entries={"x": 0.31, "y": 0.12})
    moved = convert(library.Sequential(delay))[0]
    for each in (delay, moved):
        each.init_state()
        for i in range(6):
            each.update({"a": jnp.asarray(VALUES[i])})
    same([moved.at("x"), moved.at("y")], [delay.at("x"), delay.at("y")])
    assert len(moved.states()) == 2


@both
def test_no_time_step_is_needed(library: Any, convert: Any, back: Any) -> None:
    delay = library.Delay(jnp.zeros(3), 0.4)
    unset: Any = {"dt": None}
    with environ.context(**unset), brainstate.environ.context(**unset):
        if KEEPS_THE_LAST_TIME and library is not nn:
            with pytest.raises(UnsupportedConfigurationError, match="which only the time step can"):
                convert(delay)
            return
        moved = convert(delay)
    assert moved.max_length == 5


@both
def test_the_longest_time_is_found(library: Any, convert: Any, back: Any) -> None:
    # Whatever was registered last: brainstate 0.4 keeps that time.
    delay = library.Delay(jnp.zeros(3), entries={"a": 0.4, "b": 0.1})
    for other in (convert(delay), back(convert(delay))):
        assert other.max_length == 5
        if isinstance(other, nn.Delay):
            assert other.max_time == pytest.approx(0.4)
            assert nn.Delay(jnp.zeros(3), other.time).max_length == 5


def test_the_times_of_entries_come_to_the_same_steps() -> None:
    times = {"a": 0.21, "b": 0.3, "now": None, "c": 0.44, "zero": 0.0, "one": (0.04, 1)}
    delay = from_brainstate(brainstate.nn.Delay(jnp.zeros(3), entries=times))
    ours = nn.Delay(jnp.zeros(3), entries=times)
    assert delay._registered_entries == ours._registered_entries
    made = nn.Delay(jnp.zeros(3), delay.time, entries=delay.entries)
    assert made._registered_entries == ours._registered_entries
    assert delay.entries["c"] == ((0.5,) if KEEPS_THE_LAST_TIME else (0.44,))
    assert from_brainstate(to_brainstate(ours)).max_time == ours.max_time


@both
def test_a_delay_keeps_its_units(library: Any, convert: Any, back: Any) -> None:
    step = {"dt": 0.1 * saiunit.ms}
    with environ.context(**step), brainstate.environ.context(**step):
        delay = library.Delay(
            jnp.zeros(3) * saiunit.mV, 0.4 * saiunit.ms, entries={"a": 0.2 * saiunit.ms}
        )
        delay.init_state()
        for i in range(4):
            delay.update(jnp.asarray(VALUES[i]) * saiunit.mV)
        for each in (delay, convert(delay), back(convert(delay))):
            assert isinstance(each, nn.Module) or saiunit.get_unit(each.max_time) == saiunit.ms
            assert each.max_time == 0.4 * saiunit.ms or KEEPS_THE_LAST_TIME
            assert saiunit.math.allclose(each.at("a"), VALUES[1] * saiunit.mV)


@both
def test_a_state_with_its_past_goes_on_alike(library: Any, convert: Any, back: Any) -> None:
    cell = library.GRUCell(2, 3)
    past = library.StateWithDelay(cell, "h")
    past.register_entry("a", 0.2)
    model = library.Sequential(cell, past)
    cell.init_state(2)
    past.init_state()
    inputs = jnp.ones((2, 2))
    for _ in range(4):
        cell(inputs)
        past.update()
    moved = convert(model)
    again = back(moved)
    for other in (moved, again):
        assert other[1].state is other[0].h
        assert other[1].history.value is past.history.value
    for _ in range(4):
        for each in (model, moved, again):
            each[0](inputs)
            each[1].update()
        for other in (moved, again):
            same(other[1].at("a"), past.at("a"))
            same(other[1].history.value, past.history.value)


@both
def test_delays_that_read_otherwise_are_refused(library: Any, convert: Any, back: Any) -> None:
    longer = library.Delay(jnp.zeros(3), 0.2)
    longer.init_state()
    longer.register_delay(0.5)
    for delay, reason in (
        (library.Delay(jnp.zeros(3), 0.4, update_every=0.2), "takes no account of them"),
        (library.Delay(jnp.zeros(3), 0.4, interpolation="cubic"), "the other end of the buffer"),
        (
            library.Delay(jnp.zeros(3) * saiunit.mV, 0.4, take_aware_unit=True),
            "does not take values with a unit",
        ),
        (longer, "registered after init_state"),
    ):
        with pytest.raises(UnsupportedConfigurationError, match=reason):
            convert(delay)
    with pytest.raises(UnsupportedStructureError, match="holds nowhere else") as caught:
        convert(library.Sequential(library.ReLU(), library.Delay(jnp.zeros(3)).access("a", 0.1)))
    assert caught.value.path == ("layers", 1)


def test_names_of_ones_own_are_refused() -> None:
    nn.InterpolationRegistry.register("lately", lately)
    try:
        delay = nn.Delay(jnp.zeros(3), 0.4, interpolation="lately")
        with pytest.raises(UnsupportedConfigurationError, match="one library alone"):
            to_brainstate(delay)
    finally:
        del nn.InterpolationRegistry._methods["lately"]


def test_published_buffers_of_another_shape_are_refused() -> None:
    cell = brainstate.nn.GRUCell(2, 3)
    past = brainstate.nn.StateWithDelay(cell, "h")
    cell.init_state(2)
    past.init_state(2)  # adds the batch axis to one that is there
    with pytest.raises(UnsupportedConfigurationError, match="buffer holds values of the shapes"):
        from_brainstate(past)


# -- networks --------------------------------------------------------------------------------------

NETWORKS: dict[str, dict[str, Any]] = {
    "one weight": {"conn_weight": 0.5},
    "weights": {"conn_weight": lambda shape: jnp.arange(np.prod(shape)).reshape(shape) * 0.1},
    "no repetition": {"conn_weight": 0.5, "allow_multi_conn": False},
    "one by one": {"conn_weight": 0.5, "allow_multi_conn": False, "conn_init": "for_loop"},
    "some inputs": {"conn_weight": jnp.float32, "afferent_ratio": 0.5},
    "no inputs": {"conn_weight": 0.5, "afferent_ratio": 0.0},
    "no connections": {"conn_weight": 0.5, "conn_num": 0},
}


def network(library: Any, kind: str, case: str, seed: int | None) -> Any:
    options = {"conn_num": 2, **NETWORKS[case]}
    if options["conn_weight"] is jnp.float32:
        options["conn_weight"] = library.init.Normal()
    return getattr(library, kind)((2, 5), (2, 6), seed=seed, **options)


def links(layer: Any) -> list[list[int]]:
    """The connections of each input, in their order."""
    if "conn" not in vars(layer) or not np.size(layer.conn.indices):
        return [[]] * 5
    conn: Any = layer.conn
    if isinstance(layer, nn.Module):
        rows = range(5) if conn.rows is None else conn.rows
        found = dict(zip(map(int, rows), conn.indices.tolist(), strict=True))
        return [found.get(i, []) for i in range(5)]
    indices = np.asarray(layer.conn.indices)
    starts = np.asarray(getattr(layer.conn, "indptr", np.arange(6) * indices.shape[-1]))
    flat = indices.ravel().tolist()
    return [flat[a:b] for a, b in itertools.pairwise(starts)]


@both
@pytest.mark.parametrize(
    "kind, case, seed",
    [
        *(("FixedNumConn", case, 3) for case in NETWORKS),
        ("FixedNumConn", "some inputs", None),
        ("EventFixedNumConn", "weights", None),
        ("EventFixedProb", "some inputs", 3),
    ],
)
def test_a_network_stays_the_same(
    library: Any, convert: Any, back: Any, kind: str, case: str, seed: int | None
) -> None:
    layer = network(library, kind, case, seed)
    stream = brainstate.random.DEFAULT.value
    moved = convert(layer)
    again = back(moved)
    assert brainstate.random.DEFAULT.value is stream
    for other in (moved, again):
        assert links(other) == links(layer)
        assert (other.seed, other.conn_num) == (seed, layer.conn_num)
        assert (other.in_size, other.out_size) == (layer.in_size, layer.out_size)
        if layer.conn_num:
            assert other.weight.value is layer.weight.value
            assert type(other.weight).__name__ == type(layer.weight).__name__
    if seed is not None and DRAWS_ALIKE:
        assert links(network(nn, kind, case, seed)) == links(layer)
    inputs = jnp.asarray(VALUES.ravel()[:10].reshape(2, 5))
    ours = again if library is nn else moved
    expected = np.zeros((2, 6))
    weights = iter(np.ravel(layer.weight.value if layer.conn_num else ()).tolist())
    one = np.size(layer.weight.value) == 1 and layer.conn_num and next(weights)
    for i, outputs in enumerate(links(layer)):
        for j in outputs:
            sent = inputs[:, i] if kind == "FixedNumConn" else inputs[:, i] > 0
            expected[:, j] += np.asarray(sent) * (one or next(weights))
    same(ours(inputs), expected)
    if kind == "FixedNumConn" and "inputs" not in case:  # the other kernels need a compiler
        same([moved(inputs), layer(inputs)], [expected, expected])
        if layer.conn_num:
            moved.weight.value = moved.weight.value * 3
            same(moved(inputs), expected * 3)


@both
def test_a_network_that_was_changed_stays_or_is_refused(
    library: Any, convert: Any, back: Any
) -> None:
    layer, other = (library.FixedNumConn(5, 6, 2, 0.5, seed=seed) for seed in (0, 1))
    layer.conn = other.conn
    assert links(convert(layer)) == links(other)
    if library is nn:
        return
    layer.conn = library.FixedNumConn(5, 6, 3, 0.5, seed=0).conn
    with pytest.raises(UnsupportedConfigurationError, match="not 2 for each of 5"):
        convert(layer)


def test_connections_to_inputs_are_refused() -> None:
    layer = nn.FixedNumConn(5, 6, 2, 0.5, efferent_target="pre", seed=0)
    with pytest.raises(UnsupportedConfigurationError, match="efferent_target='pre' does not work"):
        to_brainstate(layer)
