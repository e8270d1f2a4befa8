"""Modules as JAX pytrees: leaves, structure, ties, and what JAX, optax and Orbax do with them."""

from __future__ import annotations

import collections
import copy
import functools
import pickle
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import orbax.checkpoint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from interop_core import graph, nn
from interop_core.random import RandomState
from interop_core.state import BatchState, ParamState, State


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


def structure(tree: Any) -> Any:
    """The structure of a pytree, without the type that JAX does not publish."""
    return jax.tree.structure(tree)


def build() -> nn.Sequential:
    """A stack of two blocks and a function."""
    return nn.Sequential(Block(), jnp.tanh, Block())


def test_leaves_are_the_values_of_the_states() -> None:
    model = build()
    flat, _ = jax.tree.flatten(model)
    assert len(flat) == 6
    assert flat[0] is model[0].mean.value


def test_key_paths_spell_the_names_of_leaves() -> None:
    model = build()
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(model)]
    names = {jax.tree_util.keystr(path, simple=True, separator=".") for path in paths}
    assert names == set(graph.leaves(model))


def test_modules_built_alike_have_one_structure() -> None:
    a, b = structure(build()), structure(build())
    assert a == b
    assert hash(a) == hash(b)
    total = jax.tree.map(jnp.add, build(), build())
    assert total[0].weight.value["weight"].tolist() == [[2.0] * 3] * 3


@pytest.mark.parametrize(
    "other",
    [
        {"size": 4},
        {"scale": 1},
        {"scale": True},
        {"mask": np.ones(3)},
        {"act": jnp.tanh},
    ],
    ids=lambda other: next(iter(other)),
)
def test_configuration_tells_structures_apart(other: dict[str, Any]) -> None:
    assert structure(Block(**other)) != structure(Block())


def test_name_type_and_tag_tell_structures_apart() -> None:
    class Other(Block):
        pass

    tagged = Block()
    tagged.weight.add_tag("x")
    structures = {
        structure(model)
        for model in (Block(), Other(), tagged, nn.Sequential(), nn.Sequential(name="x"))
    }
    assert len(structures) == 5


@pytest.mark.parametrize("make", [np.array, jnp.array])
def test_arrays_in_configuration_compare_by_content(make: Any) -> None:
    a, b = Block(mask=make([1.0, 0.0])), Block(mask=make([1.0, 0.0]))
    c = Block(mask=make([1.0, 1.0]))
    d = Block(mask=make([[1.0, 0.0]]))
    assert structure(a) == structure(b)
    assert hash(structure(a)) == hash(structure(b)) == hash(structure(c))
    assert structure(a) != structure(c)
    assert structure(a) != structure(d)
    assert structure(Block(mask=np.ones(2))) != structure(Block(mask=np.ones(2, np.float32)))


def test_numpy_and_jax_arrays_in_configuration_differ() -> None:
    numpy, ours = Block(mask=np.ones(2, np.float32)), Block(mask=jnp.ones(2))
    assert structure(numpy) != structure(ours)


def test_nan_in_configuration_equals_itself() -> None:
    a, b = Block(mask=np.array([np.nan])), Block(mask=np.array([np.nan]))
    assert structure(a) == structure(b)


def test_partial_functions_and_containers_compare_by_content() -> None:
    def make(axis: int) -> Block:
        return Block(
            act=functools.partial(jnp.sum, axis=axis),
            scale={"a": [np.ones(2), {1, 2}], "b": (1, None)},
        )

    assert structure(make(1)) == structure(make(1))
    assert hash(structure(make(1))) == hash(structure(make(1)))
    assert structure(make(1)) != structure(make(2))


def test_initializers_do_not_tell_structures_apart_by_identity() -> None:
    a = nn.Sequential(Block(act=nn.init.Normal(scale=np.ones(2))))
    b = nn.Sequential(Block(act=nn.init.Normal(scale=np.ones(2))))
    assert structure(a) == structure(b)


def test_ties_survive() -> None:
    shared = Block()
    model = nn.Sequential(shared, jnp.tanh, shared)
    new = jax.tree.map(lambda x: x + 1, model)
    assert len(jax.tree.leaves(model)) == 3
    assert new[0] is new[2]
    assert new[0] is not shared
    untied = nn.Sequential(Block(), jnp.tanh, Block())
    assert structure(model) != structure(untied)


def test_tied_states_survive() -> None:
    a, b = Block(), Block()
    b.weight = a.weight
    new = jax.tree.map(lambda x: x, nn.Sequential(a, b))
    assert new[0] is not new[1]
    assert new[0].weight is new[1].weight


def test_every_container_is_rebuilt() -> None:
    model = Deep()
    new = jax.tree.map(lambda x: x, model)
    assert new.tied is new.zebra
    assert new.t[1] == "text"
    assert type(new.pair) is Pair
    assert type(new.ordered) is collections.OrderedDict
    assert new.d["b"] is not model.d["b"]
    assert list(graph.states(new)) == list(graph.states(model))
    assert list(vars(new)) == list(vars(model))


@pytest.mark.parametrize(
    "leaf", [None, object(), "text", jax.ShapeDtypeStruct((2,), "float32"), ()]
)
def test_unflatten_takes_any_leaf(leaf: Any) -> None:
    flat, definition = jax.tree.flatten(Block())
    new = jax.tree.unflatten(definition, [leaf] * len(flat))
    assert new.mean.value is leaf
    assert new.size == 3


def test_new_states_keep_name_and_metadata() -> None:
    block = Block()
    block.mean = BatchState(jnp.zeros(3), name="mean", tag="t", axis=[1])
    new = jax.tree.map(lambda x: x, block)
    assert type(new.mean) is BatchState
    assert (new.mean.name, new.mean.tag) == ("mean", frozenset({"t"}))
    assert vars(new.mean)["axis"] == [1]


def test_jit_compiles_once_for_modules_built_alike() -> None:
    traced = []

    @jax.jit
    def forward(model: nn.Module, x: jax.Array) -> Any:
        traced.append(1)
        return model(x)

    x = jnp.ones((2, 3))
    forward(Block(mask=np.ones(3)), x)
    forward(Block(mask=np.ones(3)), x)
    assert len(traced) == 1
    forward(Block(mask=np.zeros(3)), x)
    assert len(traced) == 2


def test_jit_returns_modules_and_leaves_the_argument_alone() -> None:
    @jax.jit
    def step(model: Block) -> Block:
        model.mean.value = model.mean.value + 1
        return model

    model = Block()
    assert step(model).mean.value.tolist() == [1.0, 1.0, 1.0]
    assert model.mean.value.tolist() == [0.0, 0.0, 0.0]


def test_grad_vmap_and_eval_shape() -> None:
    def loss(model: nn.Module, x: jax.Array) -> jax.Array:
        return jnp.sum(model(x))

    model, x = build(), jnp.ones(3)
    gradient = jax.grad(loss)(model, x)
    assert type(gradient) is nn.Sequential
    assert gradient[2].weight.value["bias"].tolist() == [1.0, 1.0, 1.0]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), model, model)
    assert jax.vmap(loss, in_axes=(0, None))(stacked, x).shape == (2,)
    assert jax.eval_shape(lambda m: jax.tree.map(lambda a: a[None], m), model)[
        0
    ].mean.value.shape == (
        1,
        3,
    )


def test_scan_carries_a_module() -> None:
    def body(model: Block, x: jax.Array) -> tuple[Block, jax.Array]:
        model.mean.value = model.mean.value + x
        return model, model.mean.value[0]

    last, seen = jax.lax.scan(body, Block(), jnp.arange(3.0))
    assert seen.tolist() == [0.0, 1.0, 3.0]
    assert last.mean.value.tolist() == [3.0, 3.0, 3.0]


def test_optax_trains_a_module() -> None:
    def loss(model: nn.Module) -> jax.Array:
        return jnp.sum(model(jnp.ones((2, 3))) ** 2)

    model: Any = build()
    optimizer = optax.adam(0.05)
    state = optimizer.init(model)
    first = loss(model)
    for _ in range(5):
        updates, state = optimizer.update(jax.grad(loss)(model), state, model)
        model = optax.apply_updates(model, updates)
    assert float(loss(model)) < float(first)
    assert type(model) is nn.Sequential


def test_orbax_saves_and_restores_a_module(tmp_path: Any) -> None:
    model = jax.tree.map(lambda x: x + 3, build())
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", model)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "model", jax.eval_shape(lambda: build()))
    assert type(restored) is nn.Sequential
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), model, restored))


def test_deepcopy_and_pickle_keep_ties() -> None:
    shared = Block(mask=np.ones(3))
    model = nn.Sequential(shared, shared)
    for new in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert new[0] is new[1]
        assert new[0] is not shared
        assert structure(new) == structure(model)


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(width=32)
VALUE = st.builds(lambda n: np.arange(n, dtype=np.float32), st.integers(0, 3))
STATES = st.builds(ParamState, VALUE | st.dictionaries(st.text(max_size=2), VALUE, max_size=2))
TREES = st.recursive(
    PLAIN | STATES | VALUE,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.builds(lambda x, y: holder(x=x, y=y, again=x), inner, inner)
    ),
    max_leaves=8,
)


def holder(**attributes: Any) -> nn.Module:
    """A module with these attributes."""
    module = nn.Module()
    vars(module).update(attributes)
    return module


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TREES)
def test_any_tree_goes_through_flattening_and_back(tree: Any) -> None:
    module = holder(tree=tree)
    flat, definition = jax.tree.flatten(module)
    new = jax.tree.unflatten(definition, flat)
    again, same_definition = jax.tree.flatten(new)
    assert structure(module) == same_definition
    assert hash(structure(module)) == hash(same_definition)
    assert all(a is b for a, b in zip(flat, again, strict=True))
    assert list(graph.states(new)) == list(graph.states(module))
    assert repr(new) == repr(module)
    named = graph.leaves(module)
    if len(named) == len(flat):
        # Keys with dots or without letters can make two names one.
        graph.assign(new, {name: value + 1 for name, value in named.items()})
        assert all(np.array_equal(a + 1, graph.leaves(new)[name]) for name, a in named.items())


def test_generators_are_leaves() -> None:
    block = Block()
    block.rng = RandomState(0)  # type: ignore[attr-defined]
    new = jax.tree.map(lambda x: x, block)
    assert isinstance(new.rng, RandomState)
    assert len(jax.tree.leaves(block)) == 4


def test_subclasses_are_pytrees_of_their_own() -> None:
    class Inner(Block):
        pass

    class Outer(Inner):
        pass

    assert type(jax.tree.map(lambda x: x, Outer())) is Outer
