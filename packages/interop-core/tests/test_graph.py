"""Traversal, leaves by name, and configuration read back."""

from __future__ import annotations

import collections
from typing import Any, NamedTuple

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import graph, nn
from interop_core.state import BatchState, HiddenState, ParamState, State


class Pair(NamedTuple):
    """Two things side by side."""

    left: Any
    right: Any


class Block(nn.Module):
    """A layer with configuration and states of every form."""

    def __init__(self, size: int = 3, mask: Any = None, scale: Any = 1.0, act: Any = None) -> None:
        super().__init__()
        self.in_size = size
        self.size = size
        self.mask = mask
        self.scale = scale
        self.act = act
        self.weight = ParamState({"weight": jnp.ones((size, size)), "bias": jnp.zeros(size)})
        self.mean: BatchState[Any] = BatchState(jnp.zeros(size))

    def update(self, x: jax.Array) -> Any:
        return x @ self.weight.value["weight"] * self.scale + self.weight.value["bias"]


class Deep(nn.Module):
    """A module that holds others in every kind of container."""

    def __init__(self) -> None:
        super().__init__()
        make = Block
        self.zebra = make()
        self.tied = self.zebra
        self.d = {"b": [make(), 3], "a": make()}
        self.t = (State(1.0), "text", make())
        self.pair = Pair(make(), None)
        self.ordered = collections.OrderedDict(x=State(2.0))
        self.plain = 7


def build() -> nn.Sequential:
    """A stack of two blocks and a function."""
    return nn.Sequential(Block(), jnp.tanh, Block())


# -- traversal ------------------------------------------------------------------------------------


def test_paths_go_through_every_container_in_the_order_of_names() -> None:
    assert list(graph.states(Deep())) == [
        ("d", "a", "mean"),
        ("d", "a", "weight"),
        ("d", "b", 0, "mean"),
        ("d", "b", 0, "weight"),
        ("ordered", "x"),
        ("pair", "left", "mean"),
        ("pair", "left", "weight"),
        ("t", 0),
        ("t", 2, "mean"),
        ("t", 2, "weight"),
        ("tied", "mean"),
        ("tied", "weight"),
    ]


def test_nodes_come_after_what_they_hold() -> None:
    assert list(graph.nodes(Deep())) == [
        ("d", "a"),
        ("d", "b", 0),
        ("pair", "left"),
        ("t", 2),
        ("tied",),
        (),
    ]


def published_and_ours() -> list[tuple[Any, Any]]:
    """The same tree made of published and of our modules."""
    made: list[tuple[Any, Any]] = []
    for lib in (brainstate, None):
        base: Any = nn.Module if lib is None else lib.nn.Module
        param: Any = ParamState if lib is None else lib.ParamState
        hidden: Any = HiddenState if lib is None else lib.HiddenState

        class Leaf(base):  # type: ignore[misc]
            def __init__(self, param: Any = param, hidden: Any = hidden) -> None:
                super().__init__()
                self.w = param(np.ones(2, np.float32))
                self.h = hidden(np.ones(2, np.float32))

        class Tree(base):  # type: ignore[misc]
            def __init__(self, leaf: Any = Leaf, param: Any = param) -> None:
                super().__init__()
                self.b = leaf()
                self.a = [leaf(), {"y": leaf(), "x": (leaf(), 1)}]
                self.c = self.b
                self.own = param(np.ones(1, np.float32))
                self.deep = leaf()
                self.deep.inner = leaf()

        made.append((Tree(), Leaf))
    return made


@pytest.mark.parametrize("levels", [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (3, 9)])
def test_levels_are_the_published_ones(levels: tuple[int, int]) -> None:
    (published, _), (ours, _) = published_and_ours()
    for method in ("states", "nodes"):
        theirs = getattr(published, method)(allowed_hierarchy=levels)
        mine = getattr(ours, method)(allowed_hierarchy=levels)
        assert list(mine) == list(theirs)


def test_filters_distribute_as_published() -> None:
    (published, leaf_p), (ours, leaf) = published_and_ours()
    theirs = published.states(brainstate.HiddenState, ...)
    mine = ours.states(HiddenState, ...)
    assert [list(part) for part in mine] == [list(part) for part in theirs]
    assert list(ours.nodes(leaf)) == list(published.nodes(leaf_p))


def test_filter_kinds() -> None:
    model = build()
    model.layers[0].weight.add_tag("frozen")
    first = ("layers", 0, "weight")
    assert list(model.states("frozen")) == [first]
    assert list(model.states(lambda path, state: path[1] == 0 and "mean" not in path)) == [first]
    assert list(model.states(("frozen", HiddenState))) == [first]
    assert list(model.states(None)) == []
    assert len(model.states(...)) == len(model.states()) == 4
    assert [len(part) for part in model.states(BatchState, HiddenState)] == [2, 0]
    with pytest.raises(TypeError, match="is no filter"):
        model.states(3)


def test_module_inside_itself_ends() -> None:
    model = Block()
    model.me = model  # type: ignore[attr-defined]
    assert len(graph.states(model)) == 2
    assert "me=Block(...)" in repr(model)
    new = jax.tree.map(lambda x: x, model)
    assert new.me is new


def test_flat_dict_helpers() -> None:
    model = build()
    found = model.states(BatchState)
    assert found.to_nest() == {"layers": {0: {"mean": model[0].mean}, 2: {"mean": model[2].mean}}}
    values = found.to_dict_values()
    found.assign_dict_values({path: value + 1 for path, value in values.items()})
    assert model[0].mean.value.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(KeyError, match="No value for"):
        found.assign_dict_values({})
    with pytest.raises(TypeError, match="not a state"):
        model.nodes().assign_dict_values(dict.fromkeys(model.nodes()))
    doubled = jax.tree.map(lambda s: s.numel() * 2, found)
    assert doubled == {("layers", 0, "mean"): 6, ("layers", 2, "mean"): 6}


# -- by name --------------------------------------------------------------------------------------


def test_leaves_are_named_by_path_and_key() -> None:
    model = build()
    assert list(graph.leaves(model)) == [
        "layers.0.mean",
        "layers.0.weight.weight",
        "layers.0.weight.bias",
        "layers.2.mean",
        "layers.2.weight.weight",
        "layers.2.weight.bias",
    ]
    assert graph.leaves(model)["layers.0.mean"] is model[0].mean.value


def test_leaves_of_nested_values_and_tied_layers() -> None:
    block = Block()
    block.mean.value = [{"x": jnp.ones(1)}, (jnp.ones(2), None)]
    model = nn.Sequential(block, block)
    assert [name for name in graph.leaves(model) if "mean" in name] == [
        "layers.0.mean.0.x",
        "layers.0.mean.1.0",
    ]
    assert list(graph.leaves(State({"a": 1}))) == ["a"]


def test_assign_is_the_inverse_of_leaves() -> None:
    source, target = build(), build()
    new = {name: value + 5 for name, value in graph.leaves(source).items()}
    before = target[0].weight.value
    graph.assign(target, new)
    assert graph.leaves(target).keys() == new.keys()
    assert all(graph.leaves(target)[name] is value for name, value in new.items())
    # The dict that somebody may still hold is not written to.
    assert before["bias"].tolist() == [0.0, 0.0, 0.0]


def test_assign_some_leaves_keeps_the_others() -> None:
    block = Block()
    block.mean.value = Pair([jnp.zeros(1), jnp.zeros(1)], None)
    weight = block.weight.value["weight"]
    graph.assign(block, {"weight.bias": 1, "mean.0.1": 2})
    assert block.weight.value == {"weight": weight, "bias": 1}
    assert isinstance(block.mean.value, Pair)
    assert block.mean.value.left[1] == 2


def test_assign_refuses_unknown_names_and_writes_nothing() -> None:
    block = Block()
    before = graph.leaves(block)
    with pytest.raises(KeyError, match="nonsense"):
        graph.assign(block, {"weight.bias": 1, "nonsense": 2})
    assert all(graph.leaves(block)[name] is value for name, value in before.items())


def test_configuration_reads_the_arguments_back() -> None:
    assert graph.configuration(Block(4, scale=2)) == {
        "size": 4,
        "mask": None,
        "scale": 2,
        "act": None,
    }
    assert graph.configuration(build()) == {"name": None}
