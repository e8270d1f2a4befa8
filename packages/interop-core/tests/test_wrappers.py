"""Modules around modules: settings, and mapping over an axis with states of each lane."""

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

LIBRARIES: dict[Any, Any] = {nn: interop_core.state, brainstate.nn: brainstate}
X = jnp.arange(12.0).reshape(4, 3)


def cell(lib: Any = nn) -> Any:
    """A module with a parameter, a state of a sequence and states made by ``init_state``."""
    state = LIBRARIES[lib]

    class Cell(lib.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.w = state.ParamState(jnp.array([1.0, 2.0, 3.0]))
            self.count = state.ShortTermState(jnp.zeros((), jnp.int32))

        def init_state(self, size: int = 3, **kwargs: Any) -> None:
            self.z = state.ShortTermState(jnp.zeros(size))
            self.h = state.HiddenState(jnp.ones((size,)))

        def update(self, x: Any) -> Any:
            self.h.value = self.h.value + x
            self.z.value = self.z.value - 1
            return self.h.value * self.w.value

        def times(self, x: Any, y: Any = 1.0) -> Any:
            return x * self.w.value * y

        def tick(self, x: Any) -> Any:
            self.count.value = self.count.value + 1
            return x

        def leak(self, x: Any) -> Any:
            self.w.value = self.w.value + x
            return x

    return Cell()


def shapes(module: Any) -> dict[Any, Any]:
    return {
        path: (type(s).__name__, jax.tree.map(np.shape, s.value), s.tag and set(s.tag))
        for path, s in module.states().items()
    }


class Calls(nn.Module):
    """Calls a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def update(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


# -- EnvironContext --------------------------------------------------------------------------------


def test_environ_context() -> None:
    layer = nn.EnvironContext(nn.Dropout(0.5), fit=False, other=1)
    assert layer.context == {"fit": False, "other": 1}
    x = jnp.ones(64)
    with environ.context(fit=True):
        assert layer(x) is x
        dropped = layer(x, context={"fit": True})  # the published one says fit is given twice
        assert set(np.unique(dropped)) == {0.0, 2.0}
        assert environ.get("fit") is True
    layer.add_context(fit=True, more=2)
    assert layer.context == {"fit": True, "other": 1, "more": 2}
    assert set(np.unique(layer(x))) == {0.0, 2.0}
    with pytest.raises(KeyError, match="fit"):
        environ.get("fit")
    assert nn.EnvironContext(nn.Linear(2, 3)).output_size((5, 2)) == (5, 3)


def test_environ_context_refuses() -> None:
    for layer in (abs, 3):
        with pytest.raises(TypeError, match="wraps a module"):
            nn.EnvironContext(layer, fit=True)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a dict of settings"):
        nn.EnvironContext(nn.ReLU())(1.0, context=3)
    with pytest.raises(ValueError, match="Precision"):
        nn.EnvironContext(nn.ReLU(), precision=7)(jnp.ones(1))


# -- Vmap ------------------------------------------------------------------------------------------


def test_vmap_maps_as_jax_does() -> None:
    layer = nn.Linear(3, 2)
    np.testing.assert_allclose(nn.Vmap(layer)(X), layer(X), rtol=1e-6)
    assert nn.Vmap(layer)(jnp.ones((4, 5, 3))).shape == (4, 5, 2)
    assert nn.Vmap(layer, in_axes=1, out_axes=1)(X.T).shape == (2, 4)
    dot = Calls(jnp.dot)
    expected = X @ X[0]
    np.testing.assert_allclose(nn.Vmap(dot, in_axes=(0, None))(X, X[0]), expected)
    np.testing.assert_allclose(nn.Vmap(dot, in_axes=[0, None])(X, X[0]), expected)
    tree = Calls(lambda a, b: {"sum": a["x"] + b, "one": a["x"]})
    made = nn.Vmap(tree, in_axes=({"x": 1}, None), out_axes={"sum": 0, "one": None})
    with pytest.raises(ValueError, match="out_axes is None"):
        made({"x": X}, 1.0)
    assert nn.Vmap(dot, in_axes=None, axis_size=2)(X[0], X[0]).shape == (2,)
    by_name = Calls(lambda x: jax.lax.psum(x, "b"))
    assert nn.Vmap(by_name, axis_name="b")(jnp.arange(3.0)).tolist() == [3.0] * 3
    # Keyword arguments are mapped; the published wrapper takes none, against its documentation.
    scaled = Calls(lambda x, factor: x * factor)
    assert nn.Vmap(scaled)(jnp.ones(3), factor=jnp.arange(3.0)).tolist() == [0.0, 1.0, 2.0]
    vmap = nn.Vmap(layer, axis_name="q")
    assert vmap.vmapped_fn(X).shape == (4, 2)
    assert vmap.output_size((3,)) == (2,)


def test_vmap_under_jit_and_grad() -> None:
    vmap = nn.Vmap(nn.Linear(3, 2))
    np.testing.assert_allclose(jax.jit(lambda m, x: m(x))(vmap, X), vmap(X), rtol=1e-6)
    grads = jax.grad(lambda m: m(X).sum())(vmap)
    np.testing.assert_allclose(
        grads.module.weight.value["weight"], np.stack([X.sum(0)] * 2, -1), rtol=1e-6
    )
    nested = nn.Vmap(nn.Vmap(nn.Linear(3, 2)))
    assert nested(jnp.ones((2, 4, 3))).shape == (2, 4, 2)


def with_states(lib: Any, count: Any, w: Any, **kwargs: Any) -> Any:
    """A mapped cell with values of its own in two states."""

    class Count(lib.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.count = LIBRARIES[lib].ShortTermState(jnp.asarray(count))
            self.w = LIBRARIES[lib].ParamState(jnp.asarray(w))

        def update(self, x: Any) -> Any:
            self.count.value = self.count.value + x
            return x * self.w.value

    return lib.Vmap(Count(), **kwargs)


STATE_CASES: dict[str, Any] = {
    "in": (np.zeros(3), 2.0, lambda s: {"vmap_states": s.ShortTermState}),
    "out": (0.0, 2.0, lambda s: {"vmap_out_states": s.ShortTermState}),
    "list": (
        np.zeros(3),
        np.arange(3.0),
        lambda s: {"vmap_states": [s.ShortTermState, s.ParamState]},
    ),
}


@pytest.mark.parametrize("case", STATE_CASES)
def test_vmap_maps_states_as_published(case: str) -> None:
    count, w, kwargs = STATE_CASES[case]
    count, w = np.float32(count), np.float32(w)
    ours = with_states(nn, count, w, **kwargs(interop_core.state))
    theirs = with_states(brainstate.nn, count, w, **kwargs(brainstate))
    x = jnp.arange(3.0)
    for _ in range(2 if case != "out" else 1):
        np.testing.assert_array_equal(ours(x), theirs(x))
        assert shapes(ours) == shapes(theirs)
        np.testing.assert_array_equal(ours.module.count.value, theirs.module.count.value)


def test_vmap_maps_states_along_other_axes() -> None:
    """The published wrapper documents this and fails."""
    ours = with_states(nn, np.zeros((2, 3)), 1.0, vmap_states={1: ShortTermState})
    assert ours(jnp.ones((3, 2))).shape == (3, 2)
    assert ours.module.count.value.tolist() == [[1.0] * 3] * 2
    every = with_states(nn, np.zeros(3), np.ones(3), vmap_states={0: ...})
    assert every(jnp.ones(3)).tolist() == [1.0] * 3
    with pytest.raises(TypeError, match="is no axis"):
        with_states(nn, 0.0, 1.0, vmap_states={"a": ShortTermState})(X)


def test_a_shared_state_cannot_get_values_of_each_lane() -> None:
    module = cell()
    before = module.w.value
    shared = nn.Vmap(Calls(None))
    shared.module.function, shared.module.cell = module.leak, module
    with pytest.raises(BatchAxisError, match=r"cell\.w is one for all lanes"):
        shared(X)
    # Nothing is left of the attempt.
    assert module.w.value is before
    shared.module.function = module.tick
    shared(X)
    assert module.count.value == 1
    assert not isinstance(module.count.value, jax.core.Tracer)


def test_an_error_leaves_the_states_alone() -> None:
    def broken(x: Any) -> None:
        module.count.value = module.count.value + x[0]
        module.new = State(x)
        raise RuntimeError("no")

    module: Any = nn.Vmap(Calls(broken))
    module.count = State(jnp.zeros(()))
    module.module.holder = module  # the states of the wrapper are in reach of the module
    with pytest.raises(RuntimeError, match="no"):
        module(X)
    assert module.count.value == 0
    assert not hasattr(module, "new")


def test_lanes_draw_numbers_of_their_own() -> None:
    random.seed(0)
    drop = nn.Vmap(nn.Dropout(0.5))
    with environ.context(fit=True):
        first, second = drop(jnp.ones((4, 64))), drop(jnp.ones((4, 64)))
    assert len({tuple(row) for row in np.concatenate([first, second]).tolist()}) == 8
    random.seed(0)
    with environ.context(fit=True):
        np.testing.assert_array_equal(drop(jnp.ones((4, 64))), first)
    assert not isinstance(random.get_key(), jax.core.Tracer)
    # Without a draw the generator stays where it is.
    key = random.get_key_data()
    nn.Vmap(nn.Linear(3, 2, w_init=jnp.ones((3, 2))))(X)
    np.testing.assert_array_equal(random.get_key_data(), key)

    @jax.jit
    def compiled(drop: Any, key: Any) -> Any:
        with random.seed_context(key), environ.context(fit=True):
            return drop(jnp.ones((4, 64)))

    one, two = (compiled(drop, jax.random.key(i)) for i in range(2))
    assert len({tuple(row) for row in np.concatenate([one, two]).tolist()}) == 8

    @jax.jit
    def without_key(drop: Any) -> Any:
        with environ.context(fit=True):
            return drop(jnp.ones((4, 64)))

    with pytest.raises(RuntimeError, match="seed_context"):
        without_key(drop)


def test_a_generator_of_the_module_is_split() -> None:
    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rng = random.RandomState(3)

        def update(self, x: Any) -> Any:
            return x + self.rng.uniform()

    noise = nn.Vmap(Noise())
    draws = np.concatenate([noise(jnp.zeros(4)), noise(jnp.zeros(4))])
    assert len(np.unique(draws)) == 8
    assert noise.module.rng.value.shape == ()


@pytest.mark.parametrize("wrong", [abs, 3, None])
def test_wrappers_take_modules(wrong: Any) -> None:
    for make in (nn.Vmap, lambda module: nn.Map(module, 2)):
        with pytest.raises(TypeError, match="wraps a module"):
            make(wrong)


def test_vmap_refuses_what_jax_refuses() -> None:
    layer = nn.Linear(3, 2)
    for vmap, x in (
        (nn.Vmap(layer), jnp.ones(())),
        (nn.Vmap(layer, axis_size=5), X),
        (nn.Vmap(layer, in_axes=None), X),
    ):
        with pytest.raises(ValueError, match="vmap"):
            vmap(x)


# -- Map -------------------------------------------------------------------------------------------

MAPS: dict[str, Any] = {
    "plain": lambda s: {},
    "tag": lambda s: {"state_tag": "t"},
    "axis": lambda s: {"init_state_axes": {1: s.HiddenState}},
    "rest": lambda s: {"init_state_axes": {1: s.HiddenState, 0: ...}},
    "axes": lambda s: {"in_axes": 1, "out_axes": 1},
    "name": lambda s: {"axis_name": "n"},
    "pmap": lambda s: {"behavior": "pmap"},
}


@pytest.mark.parametrize("case", MAPS)
def test_map_does_what_the_published_one_does(case: str) -> None:
    lanes = 1 if case == "pmap" else 4
    both = []
    for lib in (nn, brainstate.nn):
        made = lib.Map(cell(lib), lanes, **MAPS[case](LIBRARIES[lib]))
        assert made.dict_vmap_states is None
        made.init_all_states(size=3)
        both.append(made)
    ours, theirs = both
    assert shapes(ours) == shapes(theirs)
    x = X.T if case == "axes" else X[:lanes]
    for _ in range(2):
        np.testing.assert_array_equal(ours(x), theirs(x))
    assert shapes(ours) == shapes(theirs)
    for path, state in ours.states().items():
        np.testing.assert_array_equal(state.value, theirs.states()[path].value)


def test_map_calls_other_methods() -> None:
    made = nn.Map(cell(), 4)
    for early in (lambda: made(X), lambda: made.map("times")):
        with pytest.raises(ValueError, match=r"call init_all_states\(\)"):
            early()
    states = made.init_all_states()
    assert set(states) == {("module", "h"), ("module", "z")}
    expected = X * jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(made.map("times")(X), expected)
    np.testing.assert_allclose(
        made.map("times", out_axes=1)(X, y=jnp.arange(4.0)), (expected * jnp.arange(4.0)[:, None]).T
    )
    np.testing.assert_allclose(made.map("times", in_axes=(0, None))(X, 2.0), 2 * expected)
    np.testing.assert_allclose(made.map(lambda x: made.module.times(x))(X), expected)
    assert (
        made.map(lambda x: jax.lax.psum(x, "n"), axis_name="n")(X).tolist()
        == [X.sum(0).tolist()] * 4
    )
    made.map("tick")(X)
    assert made.module.count.value == 1
    # The published one gives the parameter a leading axis, with a warning.
    with pytest.raises(BatchAxisError, match="w is one for all lanes"):
        made.map("leak")(X)
    made.module.w.value = jnp.zeros((4, 3))
    made.map("leak", state_axes={0: ParamState})(X)
    np.testing.assert_array_equal(made.module.w.value, X)
    with pytest.raises(AttributeError, match="no method 'zz'"):
        made.map("zz")
    with pytest.raises(TypeError, match="name of a method"):
        made.map(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"inconsistent sizes|axis_size"):
        made(jnp.ones((5, 3)))


def test_map_takes_further_states_of_lanes() -> None:
    made = nn.Map(cell(), 4, call_state_axes={0: ParamState})
    made.init_all_states()
    made.module.w.value = X
    np.testing.assert_allclose(made(X), (1 + X) * X)


def test_map_can_be_initialised_again() -> None:
    made = nn.Map(cell(), 4)
    made.init_all_states(size=2)
    made.init_all_states(size=3)
    assert made(X).shape == (4, 3)
    assert [s.value.shape for s in made.dict_vmap_states[0]] == [(4, 3), (4, 3)]  # type: ignore[index]


def test_map_of_a_cell_draws_for_each_lane() -> None:
    random.seed(0)
    made = nn.Map(nn.LSTMCell(3, 2, state_init=nn.init.Normal()), 4)
    made.init_all_states(batch_size=5)
    assert made.module.h.value.shape == (4, 5, 2)
    assert len(np.unique(made.module.h.value)) == 40
    assert type(made.module.h) is HiddenState
    assert made(jnp.ones((4, 5, 3))).shape == (4, 5, 2)
    compiled = jax.jit(lambda m, x: (m(x), m))
    y, after = compiled(made, jnp.ones((4, 5, 3)))
    np.testing.assert_allclose(y, made(jnp.ones((4, 5, 3))), rtol=1e-5)
    assert after.dict_vmap_states[0][0] in after.module.states().values()
    with nn.init.abstract():
        drawn = nn.Map(nn.LSTMCell(3, 2), 4)
        drawn.init_all_states(batch_size=5)
    assert drawn.module.h.value == jax.ShapeDtypeStruct((4, 5, 2), jnp.float32)


def test_map_refuses_arguments() -> None:
    layer = nn.Linear(3, 2)
    for size, error in ((0, ValueError), (-1, ValueError), (2.5, TypeError), (None, ValueError)):
        with pytest.raises(error, match="init_map_size"):
            nn.Map(layer, size)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'vmap' or 'pmap'"):
        nn.Map(layer, 2, behavior="zz")
    with pytest.raises(ValueError, match="device each"):
        nn.Map(layer, jax.device_count() + 1, behavior="pmap")
    with pytest.raises(TypeError, match="positional"):
        nn.Map(layer, 2).init_all_states(3)  # type: ignore[call-arg]
    assert nn.ModuleMapper is nn.Map
    assert nn.Map(layer, 2).output_size((3,)) == (2,)
