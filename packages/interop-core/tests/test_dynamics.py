"""Dynamics: what is called around an update, and references to states that come later."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

import interop_core
from interop_core import environ, nn
from interop_core.state import HiddenState

LIBRARIES: dict[Any, Any] = {nn: interop_core.state, brainstate.nn: brainstate}
INPUTS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def step() -> Iterator[None]:
    with environ.context(dt=0.1), brainstate.environ.context(dt=0.1):
        yield


def leak(lib: Any = nn, size: Any = 3) -> Any:
    """A group that forgets half of its state in every step."""

    class Leak(lib.Dynamics):  # type: ignore[misc]
        def init_state(self, batch_size: Any = None, **kwargs: Any) -> None:
            shape = self.varshape if batch_size is None else (batch_size, *self.varshape)
            self.V = LIBRARIES[lib].HiddenState(jnp.ones(shape))

        def reset_state(self, batch_size: Any = None, **kwargs: Any) -> None:
            self.V.value = jnp.ones_like(self.V.value)

        def update(self, x: Any) -> Any:
            self.V.value = 0.5 * self.V.value + x
            return self.V.value + 100

    return Leak(size)


def states(module: Any) -> dict[Any, Any]:
    return {k: (type(s).__name__, np.shape(s.value)) for k, s in module.states().items()}


# -- hooks ----------------------------------------------------------------------------------------


def hooked(lib: Any) -> tuple[Any, list[Any]]:
    """A group with one hook of each kind, and the record of what is called."""
    log: list[Any] = []

    class Group(lib.Dynamics):  # type: ignore[misc]
        def update(self, x: Any, y: Any = 0) -> Any:
            log.append(("update", x, y))
            return x + y

    def hook(name: str, *marks: Any) -> Any:
        class Hook:
            def __call__(self, *args: Any, **kwargs: Any) -> str:
                log.append((name, args, kwargs))
                return name

        for mark in marks:
            assert mark(Hook) is Hook
        return Hook()

    group = Group(1)
    group.add_before_update("b", hook("b"))
    group.add_before_update("a", hook("a", lib.receive_update_input))
    group.add_before_update(0, hook("c", lib.not_receive_update_input))
    group.add_after_update("b", hook("d"))
    group.add_after_update(("a", 1), hook("e", lib.receive_update_output))
    group.add_after_update(0, hook("f", lib.not_receive_update_output))
    return group, log


def test_hooks_are_called_as_published() -> None:
    (ours, mine), (theirs, wanted) = hooked(nn), hooked(brainstate.nn)
    assert ours(5, y=2) == theirs(5, y=2) == 7
    assert 5 >> ours == 5 >> theirs == 5
    assert mine == wanted
    assert [entry[0] for entry in mine] == ["b", "a", "c", "update", "d", "e", "f"] * 2
    assert list(ours.before_updates) == list(theirs.before_updates)
    assert list(ours.after_updates) == list(theirs.after_updates)


def test_marks_can_be_taken_back() -> None:
    def fun(*args: Any) -> None:
        seen.append(args)

    seen: list[Any] = []
    group = leak()
    group.init_state()
    nn.not_receive_update_input(nn.receive_update_input(fun))
    nn.receive_update_output(nn.not_receive_update_output(fun))
    group.add_before_update("x", fun)
    group.add_after_update("x", fun)
    y = group(jnp.ones(3))
    assert len(seen) == 2
    assert seen[0] == ()
    assert seen[1][0] is y


def test_hooks_are_found_by_key() -> None:
    group = leak()
    assert group.before_updates is group.after_updates is None
    for kind in ("before", "after"):
        add, get, has = (getattr(group, f"{verb}_{kind}_update") for verb in ("add", "get", "has"))
        with pytest.raises(KeyError, match=f"not registered in {kind}_updates"):
            get("a")
        assert not has("a")
        add("a", abs)
        assert get("a") is abs
        assert has("a")
        assert not has("b")
        with pytest.raises(KeyError, match=f"registered already in {kind}_updates"):
            add("a", len)
        with pytest.raises(TypeError, match="what can be called"):
            add("c", 3)
        with pytest.raises(KeyError, match="'z' is not registered"):
            get("z")


@pytest.mark.parametrize("size", [3, (2, 3), [4], 0, np.int64(2)])
def test_sizes(size: Any) -> None:
    ours, published = nn.Dynamics(size), brainstate.nn.Dynamics(size)
    assert ours.in_size == ours.out_size == ours.varshape == published.varshape
    ours.in_size, ours.out_size = 7, 8
    assert (ours.varshape, ours.out_size) == ((7,), (8,))


@pytest.mark.parametrize("size", [None, "a", 2.0, (), [2.5]])
def test_refuses_sizes(size: Any) -> None:
    with pytest.raises(ValueError, match="size"):
        nn.Dynamics(size)
    with pytest.raises(NotImplementedError):
        nn.Dynamics(1)(1)


# -- references -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 2])
def test_references_give_what_the_published_ones_give(batch: Any) -> None:
    def run(lib: Any) -> tuple[Any, list[Any]]:
        group = leak(lib)
        now = group.prefetch("V")
        # A published delay of a state gets a second batch axis.
        alone = batch is None
        past = [now.delay.at(0.3), group.prefetch_delay("V", 0.5, init=None)] if alone else []
        if alone:
            past += [group.prefetch_delay("V", 0.2, 1), group.prefetch_delay("V", 0.4, init=2.0,
                     update_every=0.2)]  # fmt: skip
        past += [group.output_delay(0.3), group.output_delay(0.1, np.array([0, 1]))]
        lib.init_all_states(group, batch)
        outputs = []
        for x in INPUTS:
            group(jnp.asarray(x if batch is None else np.stack([x] * batch)))
            outputs.append([now(), now.get_item_value(), *(reference() for reference in past)])
        assert now.get_item() is group.V
        return group, outputs

    ours, mine = run(nn)
    theirs, wanted = run(brainstate.nn)
    assert states(ours) == states(theirs)
    assert list(ours.after_updates) == list(theirs.after_updates)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_is_part_of_the_state() -> None:
    """The published delay of a state has two batch axes, and fails after a reset with another."""
    group = leak()
    past = group.prefetch_delay("V", 0.2, init=4.0)
    nn.init_all_states(group, 2)
    assert past.state_delay.history.value.shape == (3, 2, 3)
    xs = [jnp.asarray(x) for x in INPUTS[:3]]
    assert past().tolist() == [[4.0] * 3] * 2
    group(jnp.stack([xs[0], xs[1]]))
    first = group.V.value
    group(jnp.stack([xs[1], xs[2]]))
    group(jnp.stack([xs[2], xs[0]]))
    np.testing.assert_array_equal(past(), first)
    nn.reset_all_states(group, 2)
    assert past().tolist() == [[4.0] * 3] * 2


def test_the_time_none_is_the_newest() -> None:
    """The published references fail there."""
    group = leak()
    state, output = group.prefetch_delay("V", None), group.output_delay(None)
    assert state.delay_info is output.delay_info is None
    nn.init_all_states(group)
    y = group(jnp.ones(3))
    assert state().tolist() == [1.5] * 3
    assert output().tolist() == y.tolist()


def test_delays_share_a_buffer() -> None:
    group = leak()
    one, two = group.prefetch_delay("V", 0.2), group.prefetch("V").delay.at(0.4)
    assert one.state_delay is two.state_delay
    assert one.delay_time == (0.2,)
    assert (one.delay_info, two.delay_info) == ((2,), (4,))
    assert one.state_delay.interp_method == "linear_interp"
    other = group.prefetch_delay("V", 0.4, update_every=0.2)
    assert other.state_delay is not one.state_delay
    assert list(group.after_updates) == ["V-prefetch-delay-None", "V-prefetch-delay-0.2"]
    cubic = group.prefetch_delay("W", 0.2, interpolation="cubic", init=1.0)
    assert group.prefetch_delay("W", 0.3, init=1.0).state_delay is cubic.state_delay
    # The published library goes on with the first.
    with pytest.raises(ValueError, match=r"made with init=1\.0, so it cannot have init=2\.0"):
        group.prefetch_delay("W", 0.3, init=2.0)
    output = group.output_delay(0.2, init=1.0)
    assert output.out_delay.take_aware_unit
    assert (output.delay_init, output.interpolation, output.update_every) == (1.0, None, None)
    assert (cubic.delay_init, cubic.interpolation, other.update_every) == (1.0, "cubic", 0.2)
    with pytest.raises(ValueError, match="interpolation='cubic'"):
        group.output_delay(0.2, interpolation="cubic")


def test_the_shortcuts_build_the_classes() -> None:
    group = leak()
    direct: list[Any] = [
        nn.Prefetch(group, "V"),
        nn.PrefetchDelay(group, "V"),
        nn.PrefetchDelayAt(group, "V", 0.2, 1, delay_init=3.0),
        nn.OutputDelayAt(group, 0.1, delay_init=3.0),
    ]
    short = [
        group.prefetch("V"),
        group.prefetch("V").delay,
        group.prefetch_delay("V", 0.2, 1, init=3.0),
        group.output_delay(0.1, init=3.0),
    ]
    nn.init_all_states(group)
    for one, other in zip(direct, short, strict=True):
        assert type(one) is type(other)
        assert vars(one) == vars(other)
    assert [direct[2](), *direct[3]().tolist()] == [3.0] * 4


def test_init_maybe_prefetch() -> None:
    group = leak()
    with pytest.raises(AttributeError, match="no attribute 'V'"):
        nn.init_maybe_prefetch(group.prefetch("V"))
    nn.init_maybe_prefetch(group.prefetch("V").delay)  # the published one fails here
    assert list(group.after_updates) == ["V-prefetch-delay-None"]
    for other in (group.prefetch_delay("V", 0.1), group.output_delay(0.1), 3, None):
        nn.init_maybe_prefetch(other)
    nn.init_all_states(group)
    nn.init_maybe_prefetch(group.prefetch("V"))
    assert len(group.after_updates) == 2


def test_missing_states() -> None:
    group = leak()
    reference = group.prefetch_delay("V", 0.1)
    with pytest.raises(AttributeError, match="no buffer yet"):
        reference()
    with pytest.raises(ValueError, match="needs a time"):
        group.output_delay()
    missing = leak()
    missing.prefetch_delay("zz", 0.1)
    with pytest.raises(AttributeError, match="no state 'zz' yet"):
        nn.init_all_states(missing)
    with pytest.raises(TypeError, match="foo"):
        group.prefetch_delay("U", 0.1, foo=1)


class Net(nn.Module):
    """Two groups, each of which gets the other's delayed state; it is a circle of references."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = leak(), leak()
        self.to_a, self.to_b = self.b.prefetch_delay("V", 0.2), self.a.output_delay(0.1)

    def update(self, x: jax.Array) -> jax.Array:
        y = self.a(x + self.to_a())
        return self.b(y - 100 + 0.1 * self.to_b())  # type: ignore[no-any-return]


def test_a_circle_of_references_is_one_pytree() -> None:
    net: Any = Net()
    nn.init_all_states(net)
    others = [copy.deepcopy(net), jax.tree.map(lambda x: x, net)]
    expected = [net(jnp.asarray(x)) for x in INPUTS]

    def once(net: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        y = net(x)
        return net, y

    for other in others:
        after, got = jax.jit(lambda net: jax.lax.scan(once, net, jnp.asarray(INPUTS)))(other)
        np.testing.assert_allclose(got, expected, rtol=1e-5)
        structure: Any = jax.tree.structure(after)
        assert structure == jax.tree.structure(net)
        assert after.to_a.state_delay.state is after.b.V
        np.testing.assert_allclose(after.to_a(), net.to_a(), rtol=1e-5)
    assert isinstance(net.a.V, HiddenState)
    assert "Net" in repr(net)


@pytest.mark.parametrize(
    "make",
    [
        lambda layer: nn.PrefetchDelayAt(layer, "weight", 0.1),
        lambda layer: nn.OutputDelayAt(layer, 0.1),
    ],
)
def test_only_dynamics_keep_delays(make: Any) -> None:
    with pytest.raises(TypeError, match="Only a Dynamics keeps a delay of its own, not Linear"):
        make(nn.Linear(2, 2))
