"""The module base class, against the published one."""

from __future__ import annotations

import threading
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import graph, nn
from interop_core.state import HiddenState, ParamState, State


class Cell(nn.Module):
    """A module with a state that lives for one sequence."""

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.size = size

    def init_state(self, batch: int | None = None) -> None:
        self.h = HiddenState(nn.init.param(nn.init.ZeroInit(), self.size, batch))

    def reset_state(self, batch: int | None = None) -> None:
        self.h.value = nn.init.param(nn.init.ZeroInit(), self.size, batch)

    def update(self, x: jax.Array) -> Any:
        self.h.value = self.h.value + x
        return self.h.value


def tree(lib: Any, param: Any) -> Any:
    """The same model made of published and of our modules."""

    class Model(lib.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.p = lib.Param(jnp.ones(3), t=lib.SoftplusT(0.0), reg=lib.L2Reg(0.1))
            self.q = lib.Const(jnp.ones(2))
            self.l = lib.Linear(2, 2)
            self.d = {"a": lib.Linear(1, 1), "b": [lib.Param(jnp.ones(1), reg=lib.L1Reg(0.3))]}
            self.t = self.l
            self.tu = (param(np.float32(1)), 3)
            self.s = lib.Sequential(lib.Linear(2, 2), lib.ReLU())

        def update(self, x: Any) -> Any:
            return self.s(self.l(x))

    return Model()


@pytest.fixture
def ours() -> Any:
    """Our model."""
    return tree(nn, ParamState)


@pytest.fixture
def published() -> Any:
    """The published model."""
    return tree(brainstate.nn, brainstate.ParamState)


def names(pairs: Any) -> list[tuple[str, str]]:
    """Names and types of what an iterator yields."""
    return [(name, type(entry).__name__) for name, entry in pairs]


# -- calling --------------------------------------------------------------------------------------


def test_call_and_shift_forward_to_update() -> None:
    layer = nn.Linear(2, 3)
    x = jnp.ones((4, 2))
    want = layer.update(x).tolist()
    assert layer(x).tolist() == want
    assert (x >> layer).tolist() == want
    assert (np.ones((4, 2), np.float32) >> layer).tolist() == want


def test_update_is_needed() -> None:
    with pytest.raises(NotImplementedError, match="Module does not define update"):
        nn.Module()(1)


def test_name_is_read_only() -> None:
    layer = nn.Linear(2, 3, name="head")
    assert layer.name == "head"
    assert nn.Module().name is None
    with pytest.raises(AttributeError):
        layer.name = "tail"  # type: ignore[misc]


@pytest.mark.parametrize("size", [3, (3, 4), [3, 4], np.int64(3)])
def test_sizes_are_tuples_as_published(size: Any) -> None:
    module, published = nn.Module(), brainstate.nn.Module()
    assert module.in_size is None
    module.in_size = published.in_size = size
    module.out_size = published.out_size = size
    assert (module.in_size, module.out_size) == (published.in_size, published.out_size)


@pytest.mark.parametrize("size", [None, "a", 3.0, np.array([1, 2]), True])
def test_what_is_no_size_is_refused(size: Any) -> None:
    for attribute in ("in_size", "out_size"):
        with pytest.raises(ValueError, match="size"):
            setattr(nn.Module(), attribute, size)


def test_output_size_is_that_of_the_input() -> None:
    assert nn.Module().output_size((2, 3)) == (2, 3)


# -- what a module holds --------------------------------------------------------------------------


def test_states_have_the_published_paths_and_types(ours: Any, published: Any) -> None:
    def layout(model: Any) -> Any:
        return [
            (path, type(s).__name__, np.shape(s.value))
            for path, s in model.states().items()
            if not isinstance(s.value, dict)
        ]

    assert layout(ours) == layout(published)
    assert list(ours.states()) == list(published.states())


def test_states_by_several_filters(ours: Any) -> None:
    hidden, params, rest = ours.states(HiddenState, ParamState, ...)
    assert (len(hidden), len(params), len(rest)) == (0, 6, 0)


def test_state_trees_are_nested(ours: Any, published: Any) -> None:
    trees = ours.state_trees()
    assert trees["d"]["b"][0]["val"] is ours.d["b"][0].val

    def keys(nest: Any) -> Any:
        return {k: keys(v) for k, v in nest.items()} if isinstance(nest, dict) else None

    assert keys(trees) == keys(published.state_trees().to_dict())
    first, rest = ours.state_trees(HiddenState, ...)
    assert first == {}
    assert keys(rest) == keys(trees)


def test_nodes_have_the_published_paths(ours: Any, published: Any) -> None:
    assert list(ours.nodes()) == list(published.nodes())
    assert list(ours.nodes(nn.Linear)) == list(published.nodes(brainstate.nn.Linear))
    for part, theirs in zip(
        ours.nodes(nn.Param, ...), published.nodes(brainstate.nn.Param, ...), strict=True
    ):
        assert list(part) == list(theirs)


def test_children_and_modules_are_the_published_ones(ours: Any, published: Any) -> None:
    assert names(ours.named_children()) == names(published.named_children())
    assert names(ours.named_modules()) == names(published.named_modules())
    assert names(ours.named_modules(prefix="x")) == names(published.named_modules(prefix="x"))
    assert names(ours.named_modules("x", False)) == names(published.named_modules("x", False))
    assert [type(m).__name__ for m in ours.children()] == [
        type(m).__name__ for m in published.children()
    ]
    assert len(list(ours.modules(include_self=False))) == len(list(ours.modules())) - 1


def test_parameters_are_the_published_ones(ours: Any, published: Any) -> None:
    assert names(ours.named_parameters()) == names(published.named_parameters())
    assert names(ours.named_parameters("x")) == names(published.named_parameters("x"))
    assert len(list(ours.parameters())) == len(list(published.parameters()))


def test_parameters_of_the_module_itself(ours: Any) -> None:
    # Documented as "direct attributes of this module"; the published package yields those of the
    # children instead.
    own = [name for name, _ in ours.named_parameters(recurse=False)]
    assert own == ["d.b.0.val", "p.val", "tu.0"]
    assert [name for name, _ in nn.Linear(2, 2).named_parameters(recurse=False)] == ["weight"]
    assert len(list(ours.parameters(recurse=False))) == 3


@pytest.mark.parametrize("levels", [(0, 0), (1, 1), (0, 9)])
def test_param_modules_are_the_published_ones(
    ours: Any, published: Any, levels: tuple[int, int]
) -> None:
    mine = names(ours.named_param_modules(allowed_hierarchy=levels))
    assert mine == names(published.named_param_modules(allowed_hierarchy=levels))
    assert len(list(ours.param_modules(allowed_hierarchy=levels))) == len(mine)


def test_param_modules_by_filter(ours: Any) -> None:
    assert list(ours.param_modules(lambda path, p: p.reg is not None)) == [ours.d["b"][0], ours.p]
    assert [name for name, _ in ours.named_param_modules(nn.Const)] == ["q"]


def test_reg_loss_adds_up(ours: Any, published: Any) -> None:
    np.testing.assert_allclose(ours.reg_loss(), published.reg_loss(), rtol=1e-6)
    only_l1 = ours.reg_loss(lambda path, p: isinstance(p.reg, nn.L1Reg))
    np.testing.assert_allclose(only_l1, 0.3, rtol=1e-6)
    assert nn.Linear(2, 2).reg_loss() == 0.0


# -- states of a sequence -------------------------------------------------------------------------


def test_init_all_states_returns_what_was_made() -> None:
    model = nn.Sequential(Cell(2), nn.Linear(2, 3), Cell(3))
    made = model.init_all_states(4, state_tag="run")
    assert list(made) == [("layers", 0, "h"), ("layers", 2, "h")]
    assert model[2].h.value.shape == (4, 3)
    assert model[0].h.tag == frozenset({"run"})
    assert model[1].weight.tag is None
    assert list(model.states("run")) == list(made)
    model(jnp.ones((4, 2)))
    model[0].reset_state(4)
    assert not model[0].h.value.any()


def test_hooks_do_nothing_by_default() -> None:
    layer = nn.Linear(2, 3)
    layer.init_state(4)
    layer.reset_state(4)
    assert layer.init_all_states() == {}


# -- caches ---------------------------------------------------------------------------------------


def test_precompute_fills_and_clears() -> None:
    calls = []

    def count(x: jax.Array) -> jax.Array:
        calls.append(1)
        return x

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.p = nn.Param(jnp.ones(2), precompute=count)

    model = Model()
    with model.param_precompute():
        first = model.p.value()
        assert model.p.value() is first
    assert len(calls) == 1
    assert not model.p.cache_stats["valid"]
    with pytest.raises(RuntimeError), model.param_precompute():
        raise RuntimeError
    assert not model.p.cache_stats["has_cached_value"]


def test_precompute_of_some_levels(ours: Any) -> None:
    with ours.param_precompute(allowed_hierarchy=(2, 2)):
        assert not ours.p.cache_stats["valid"]
    with ours.param_precompute(allowed_hierarchy=(1, 1)):
        assert ours.p.cache_stats["valid"]


def test_precompute_that_fails_clears_what_it_filled() -> None:
    def fail(x: Any) -> Any:
        raise RuntimeError("no value")

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Param(jnp.ones(2))
            self.b = nn.Param(jnp.ones(2), precompute=fail)

    model = Model()
    with pytest.raises(RuntimeError, match="no value"), model.param_precompute():
        raise AssertionError("never reached")
    assert not model.a.cache_stats["has_cached_value"]


def test_precompute_in_several_threads(ours: Any) -> None:
    wrong: list[Any] = []
    want = ours.p.value().tolist()

    def work() -> None:
        for _ in range(20):
            with ours.param_precompute():
                if ours.p.value().tolist() != want:
                    wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not ours.p.cache_stats["has_cached_value"]


# -- the promise of configuration -----------------------------------------------------------------


def test_foundation_arguments_are_read_back() -> None:
    assert graph.configuration(nn.ElementWiseBlock("x")) == {"name": "x"}
    assert graph.configuration(nn.L1Reg(0.5)) == {"weight": 0.5, "fit_hyper": False}


def test_repr_leaves_defaults_out() -> None:
    assert repr(nn.Linear(2, 3, b_init=None)) == (
        "Linear(\n"
        "  in_size=(2,),\n"
        "  out_size=(3,),\n"
        "  weight=ParamState(value={'weight': float32[2,3]}),\n"
        ")"
    )
    assert repr(nn.ReLU()) == "ReLU()"
    assert "scale=3.0" in repr(nn.Linear(2, 3, w_init=nn.init.KaimingNormal(3.0)))


def test_attributes_cannot_be_hidden() -> None:
    with pytest.raises(TypeError, match="Hiding cannot hide attributes"):
        type("Hiding", (nn.Linear,), {"graph_invisible_attrs": ("weight",)})
    assert issubclass(type("Open", (nn.Linear,), {"graph_invisible_attrs": ()}), nn.Linear)


def test_attributes_of_states_survive_subclassing() -> None:
    class Scaled(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.gain = State(2.0)

        def update(self, x: Any) -> Any:
            return super().update(x) * self.gain.value

    model = Scaled()
    assert list(model.states()) == [("gain",), ("weight",)]
    np.testing.assert_allclose(jax.jit(lambda m, x: m(x))(model, jnp.ones(2)), model(jnp.ones(2)))
