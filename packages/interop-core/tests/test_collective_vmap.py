"""States made, set back and changed for many lanes at once, and states written by path."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

import interop_core
from interop_core import environ, nn, random
from interop_core.nn._mapping import BatchAxisError
from interop_core.state import HiddenState, ParamState, ShortTermState, State

LIBRARIES: dict[Any, Any] = {nn: interop_core, brainstate.nn: brainstate}
STATES: dict[Any, Any] = {nn: interop_core.state, brainstate.nn: brainstate}


def model(lib: Any = nn) -> Any:
    """A module that makes states of several kinds."""
    state = STATES[lib]
    draw = LIBRARIES[lib].random

    class Model(lib.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.p = state.ParamState(jnp.ones(2))
            self.count = state.State(jnp.zeros((), jnp.int32))

        def init_state(self, n: int = 3, **kwargs: Any) -> None:
            self.h = state.HiddenState(draw.rand(n))
            self.w = state.ParamState(draw.randn(2))
            self.z = state.ShortTermState({"a": jnp.zeros(n), "b": (jnp.ones(()),)})
            self.once = state.ShortTermState(jnp.zeros(1), tag="INIT_NO_BATCHING")

        def reset_state(self, n: int = 3, **kwargs: Any) -> None:
            self.h.value = draw.rand(n) + 10
            self.z.value = {"a": jnp.full(n, 5.0), "b": (self.z.value["b"][0] + 1,)}
            self.count.value = self.count.value + 1

        def make(self, x: Any) -> None:
            self.q = state.State(x * jnp.ones(2))

        def sum_up(self) -> None:
            self.total = state.State(self.h.value.sum())
            self.h.value = 2 * self.h.value

        def leak(self) -> None:
            self.p.value = self.p.value + self.h.value.sum()

    return Model()


def shapes(module: Any) -> dict[Any, Any]:
    return {
        path: (type(s).__name__, jax.tree.map(np.shape, s.value), s.tag and set(s.tag))
        for path, s in module.states().items()
    }


def clean(module: Any) -> bool:
    """No value is left of a trace."""
    leaves = jax.tree.leaves([s.value for s in module.states().values()])
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in [*leaves, random.get_key()])


INITS: dict[str, Any] = {
    "plain": lambda lib, m: lib.vmap_init_all_states(m, axis_size=4),
    "argument": lambda lib, m: lib.vmap_init_all_states(m, 5, axis_size=4),
    "keyword": lambda lib, m: lib.vmap_init_all_states(m, n=5, axis_size=1, state_tag="t"),
    "exclude": lambda lib, m: lib.vmap_init_all_states(m, axis_size=4, node_to_exclude=type(m)),
    "call": lambda lib, m: lib.vmap_call_all_fns(m, "make", 2.0, axis_size=4, state_tag="t"),
    "mapping": lambda lib, m: lib.vmap_call_all_fns(m, "make", (), {"x": 2.0}, axis_size=4),
    "absent": lambda lib, m: lib.vmap_call_all_fns(m, "no", axis_size=4, fn_if_not_exist="pass"),
    "twice": lambda lib, m: lib.vmap_init_all_states(
        lib.vmap_init_all_states(m, axis_size=4), n=6, axis_size=2
    ),
}


@pytest.mark.parametrize("case", INITS)
def test_states_are_made_as_published(case: str) -> None:
    ours, theirs = model(), model(brainstate.nn)
    assert INITS[case](nn, ours) is ours
    INITS[case](brainstate.nn, theirs)
    mine, wanted = shapes(ours), shapes(theirs)
    if ("once",) in mine:
        assert mine[("once",)][1] == (1,)
    assert mine == wanted
    assert clean(ours)


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: lib.Sequential(lib.Linear(2, 3), lib.LSTMCell(3, 2)),
        lambda lib: lib.Sequential(lib.GRUCell(3, 2), lib.Delay(jnp.zeros(2), 0.3)),
    ],
    ids=["cell", "delay"],
)
def test_whole_models(make: Any) -> None:
    with environ.context(dt=0.1), brainstate.environ.context(dt=0.1):
        ours, theirs = make(nn), make(brainstate.nn)
        nn.vmap_init_all_states(ours, 5, axis_size=4)
        brainstate.nn.vmap_init_all_states(theirs, 5, axis_size=4)
        assert shapes(ours) == shapes(theirs)
        nn.vmap_reset_all_states(ours, 5, axis_size=4)
        assert shapes(ours) == shapes(theirs)
        assert clean(ours)


def test_lanes_are_independent_and_reproducible() -> None:
    random.seed(3)
    one = nn.vmap_init_all_states(model(), axis_size=4)
    after = random.rand()
    assert len(np.unique(one.h.value)) == 12
    assert len(np.unique(one.w.value)) == 8
    assert not set(np.ravel(one.h.value)) & set(np.ravel(one.w.value))
    two = nn.vmap_init_all_states(model(), axis_size=4)
    assert not set(np.ravel(one.h.value)) & set(np.ravel(two.h.value))
    random.seed(3)
    again = nn.vmap_init_all_states(model(), axis_size=4)
    np.testing.assert_array_equal(again.h.value, one.h.value)
    assert random.rand() == after
    assert random.get_key().shape == ()


def test_initializers_draw_for_each_lane() -> None:
    class Late(nn.Module):
        def init_state(self) -> None:
            self.layer = nn.Linear(30, 40)

    late = nn.vmap_init_all_states(Late(), axis_size=3)
    kernel = late.layer.weight.value["weight"]
    assert kernel.shape == (3, 30, 40)
    assert type(late.layer.weight) is ParamState
    rows = np.asarray(kernel).reshape(3, -1)
    assert np.abs(np.corrcoef(rows) - np.eye(3)).max() < 0.1
    np.testing.assert_allclose(
        rows.std(1), nn.Linear(30, 40).weight.value["weight"].std(), rtol=0.1
    )
    np.testing.assert_array_equal(late.layer.weight.value["bias"], np.zeros((3, 40)))


def test_a_generator_of_the_module_gives_each_lane_its_own() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rng = random.RandomState(1)

        def init_state(self) -> None:
            self.h = State(self.rng.rand(2))

    key = random.get_key_data()
    own = nn.vmap_init_all_states(Own(), axis_size=3)
    assert len(np.unique(own.h.value)) == 6
    assert own.rng.value.shape == ()
    first = own.h.value
    nn.vmap_init_all_states(own, axis_size=3)
    assert not set(np.ravel(first)) & set(np.ravel(own.h.value))
    np.testing.assert_array_equal(random.get_key_data(), key)  # nothing was drawn from it


def test_reset_sets_every_lane_back() -> None:
    """The published one leaves values of a trace in the states."""
    module = nn.vmap_init_all_states(model(), axis_size=4)
    kept = module.w.value
    nn.vmap_reset_all_states(module, axis_size=4)
    assert clean(module)
    assert module.h.value.shape == (4, 3)
    assert len(np.unique(module.h.value)) == 12
    assert (np.asarray(module.h.value) > 10).all()
    assert module.z.value["a"].tolist() == [[5.0] * 3] * 4
    assert module.z.value["b"][0].tolist() == [2.0] * 4
    assert module.w.value is kept
    assert module.count.value == 1  # one for all lanes, and the same in each
    assert type(module.h) is HiddenState


def test_lanes_see_their_own_entries() -> None:
    module = nn.vmap_init_all_states(model(), axis_size=4)
    h = np.asarray(module.h.value)
    nn.vmap_call_all_fns(module, "sum_up", axis_size=4)
    np.testing.assert_allclose(module.total.value, h.sum(1), rtol=1e-6)
    np.testing.assert_array_equal(module.h.value, 2 * h)
    with pytest.raises(BatchAxisError, match="The state p is one for all lanes"):
        nn.vmap_call_all_fns(module, "leak", axis_size=4)
    assert module.p.value.tolist() == [1.0, 1.0]
    assert clean(module)
    with pytest.raises(ValueError, match="made for 4 lanes, so axis_size cannot be 3"):
        nn.vmap_reset_all_states(module, axis_size=3)


def test_states_may_be_left_out() -> None:
    """The published one fails with an endless recursion."""
    module = nn.vmap_init_all_states(
        model(), axis_size=4, state_to_exclude=(ParamState, lambda path, s: path == ("z",))
    )
    assert module.h.value.shape == (4, 3)
    assert module.w.value.shape == (2,)
    assert module.z.value["a"].shape == (3,)
    nn.vmap_call_all_fns(module, "sum_up", axis_size=4)
    assert module.total.value.shape == (4,)


def test_works_compiled_and_abstract() -> None:
    @jax.jit
    def make(key: Any) -> Any:
        with random.seed_context(key):
            module = nn.vmap_init_all_states(model(), axis_size=4)
            nn.vmap_reset_all_states(module, axis_size=4)
            return module.h.value

    h = make(jax.random.key(0))
    assert h.shape == (4, 3)
    assert len(np.unique(h)) == 12
    with nn.init.abstract():
        cell = nn.vmap_init_all_states(nn.LSTMCell(2, 3), 5, axis_size=4)
    assert cell.h.value == jax.ShapeDtypeStruct((4, 5, 3), jnp.float32)


def wrong(argument: Any) -> Any:
    """An argument of a type that mypy would not let through."""
    return argument


REFUSED: list[tuple[type[Exception], str, Any]] = [
    (ValueError, "number of lanes, is needed", lambda m: nn.vmap_init_all_states(m)),
    (ValueError, "number of lanes, is needed", lambda m: nn.vmap_reset_all_states(m)),
    (ValueError, "number of lanes, is needed", lambda m: nn.vmap_call_all_fns(m, "make")),
    (ValueError, "positive integer", lambda m: nn.vmap_init_all_states(m, axis_size=0)),
    (ValueError, "positive integer", lambda m: nn.vmap_init_all_states(m, axis_size=-1)),
    (TypeError, "positive integer", lambda m: nn.vmap_init_all_states(m, axis_size=wrong(2.5))),
    (
        ValueError,
        "in_states",
        lambda m: nn.vmap_init_all_states(m, axis_size=2, in_states={0: ...}),
    ),
    (ValueError, "out_st", lambda m: nn.vmap_init_all_states(m, axis_size=2, out_states=State)),
    (
        TypeError,
        "a mapping",
        lambda m: nn.vmap_call_all_fns(m, "make", kwargs=wrong(3), axis_size=2),
    ),
    (AttributeError, "no method", lambda m: nn.vmap_call_all_fns(m, "nope", axis_size=2)),
]


@pytest.mark.parametrize("index", range(len(REFUSED)))
def test_refuses(index: int) -> None:
    error, match, call = REFUSED[index]
    module = model()
    before = shapes(module)
    with pytest.raises(error, match=match):
        call(module)
    assert shapes(module) == before


def test_a_failure_leaves_nothing_behind() -> None:
    class Broken(nn.Module):
        def init_state(self) -> None:
            self.h = ShortTermState(random.rand(2))
            raise RuntimeError("no")

    module = Broken()
    key = random.get_key()
    with pytest.raises(RuntimeError, match="no"):
        nn.vmap_init_all_states(module, axis_size=2)
    assert not vars(module)
    assert clean(module)
    assert random.get_key() is not None
    assert key.shape == random.get_key().shape


# -- values by path --------------------------------------------------------------------------------


def test_values_are_assigned_as_published() -> None:
    both = [lib.Sequential(lib.Linear(2, 3), lib.Linear(3, 1)) for lib in (nn, brainstate.nn)]
    first = {("layers", 0, "weight"): {"weight": np.ones((2, 3)), "bias": [1, 2, 3]}, "foo": 1}
    second = {("layers", 0, "weight"): {"weight": np.zeros((2, 3)), "bias": np.ones(3)}, "bar": 1}
    first[("layers", 0, "weight")]["bias"] = np.arange(3)  # type: ignore[index]
    results = [
        lib.assign_state_values(m, first, second)
        for lib, m in zip((nn, brainstate.nn), both, strict=True)
    ]
    assert results[0] == (["foo", "bar"], [("layers", 1, "weight")])
    assert (sorted(results[1][0]), results[1][1]) == (["bar", "foo"], results[0][1])
    ours, theirs = (m.layers[0].weight.value for m in both)
    for key in ("weight", "bias"):
        assert isinstance(ours[key], jax.Array)
        np.testing.assert_array_equal(ours[key], theirs[key])
        assert ours[key].dtype == theirs[key].dtype
    values = {path: state.value for path, state in both[0].states().items()}
    assert nn.assign_state_values(both[0], values) == ([], [])
    assert nn.assign_state_values(both[0]) == ([], list(values))


def test_values_are_found_by_dotted_name() -> None:
    module = nn.Sequential(nn.Linear(2, 3, b_init=None))
    name = "layers.0.weight"
    assert nn.assign_state_values(module, {name: {"weight": jnp.ones((2, 3))}}) == ([], [])
    assert module[0].weight.value["weight"].tolist() == [[1.0] * 3] * 2
    other = nn.Sequential(nn.Linear(2, 3, b_init=None))
    assert nn.assign_state_values(other, {name: module[0].weight}) == ([], [])
    np.testing.assert_array_equal(other[0].weight.value["weight"], np.ones((2, 3)))


@pytest.mark.parametrize(
    ("error", "match", "values"),
    [
        (TypeError, "dicts by path", [1]),
        (ValueError, "shapes of the one there", {("w",): np.ones(7)}),
        (ValueError, "shapes of the one there", {("d",): {"a": 1.0, "b": 2.0}}),
        (ValueError, "shapes of the one there", {("d",): {"a": np.ones(2)}}),
        (ValueError, "given twice", {("w",): np.ones(2), "w": np.ones(2)}),
    ],
)
def test_values_that_do_not_fit(error: type[Exception], match: str, values: Any) -> None:
    """The published one writes what it is given."""
    module: Any = nn.Module()
    module.w, module.b = ParamState(jnp.zeros(2)), ParamState(jnp.zeros(1))
    module.d = State({"a": jnp.zeros(())})
    before = [state.value for state in module.states().values()]
    with pytest.raises(error, match=match):
        nn.assign_state_values(module, {("b",): np.ones(1)}, values)
    assert all(a is s.value for a, s in zip(before, module.states().values(), strict=True))
