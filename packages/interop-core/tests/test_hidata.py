"""The tree of named data: access, making others of it, and its way through JAX."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn


def sample(space: Any = nn) -> Any:
    """A tree of two levels, in the order of names that is not that of the alphabet."""
    below = space.HiData(name="below", m=jnp.ones(2), none=None)
    return space.HiData({"v": np.arange(3.0)}, "top", below=below, a=4)


def described(data: Any) -> Any:
    """A tree as nested pairs of label and children, whichever library made it."""
    kinds = (nn.HiData, brainstate.nn.HiData)
    if not isinstance(data, kinds):
        return data.tolist() if hasattr(data, "tolist") else data
    return data.name, {key: described(child) for key, child in data.items()}


MAKERS: dict[str, Callable[[Any, Any], Any]] = {
    "itself": lambda space, data: data,
    "clone": lambda space, data: data.clone(),
    "add a child": lambda space, data: data.add(b=1),
    "add instead": lambda space, data: data.add(a=1),
    "add a dict": lambda space, data: data.add({"b": 1, "a": 2}, a=3),
    "add another": lambda space, data: data.add(space.HiData(name="x", b=1), {"c": 2}),
    "add a child called name": lambda space, data: data.add(name="child"),
    "pop one": lambda space, data: data.pop("v"),
    "pop two": lambda space, data: data.pop("v", "a"),
    "pop none": lambda space, data: data.pop(),
    "replace": lambda space, data: data.replace(a=5),
    "replace by a new one": lambda space, data: data.replace(z=5),
    "replace the label": lambda space, data: data.replace(name="other", a=1),
    "replace all": lambda space, data: data.replace(children={"q": 1}),
    "there and back": lambda space, data: space.HiData.from_dict(data.to_dict()),
    "map": lambda space, data: jax.tree.map(lambda x: x + 1, data),
    "leaves": lambda space, data: [described(x) for x in jax.tree.leaves(data)],
    "paths": lambda space, data: [
        jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(data)
    ],
    "to_dict": lambda space, data: jax.tree.map(described, data.to_dict()),
    "state_size": lambda space, data: data.state_size,
    "dtype": lambda space, data: str(data.dtype),
    "dtype below": lambda space, data: str(data.pop("v").dtype),
    "length": lambda space, data: len(data),
    "keys": lambda space, data: list(data.keys()),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_gives_what_the_published_one_gives(make: Callable[[Any, Any], Any]) -> None:
    ours, theirs = sample(), sample(brainstate.nn)
    assert described(make(nn, ours)) == described(make(brainstate.nn, theirs))
    assert described(ours) == described(theirs) == described(sample())  # left as it was


class TestAccess:
    def test_by_attribute_and_item(self) -> None:
        data = nn.HiData({"a": 1, "name": 2, "keys": 3}, name="n", b=4)
        assert (data.a, data["a"], data.b) == (1, 1, 4)
        assert (data.name, data["name"], data["keys"]) == ("n", 2, 3)
        assert list(data.keys()) == ["a", "name", "keys", "b"] == list(data)
        assert list(data.values()) == [1, 2, 3, 4]
        assert "b" in data
        assert "n" not in data

    def test_later_ones_win(self) -> None:
        assert nn.HiData({"a": 1}, a=2).a == 2

    def test_what_is_not_there(self) -> None:
        data = nn.HiData(a=1)
        with pytest.raises(AttributeError, match=r"no 'z'; it has \['a'\]"):
            data.z  # noqa: B018
        with pytest.raises(KeyError, match="z"):
            data["z"]
        with pytest.raises(KeyError, match="z"):
            data.pop("a", "z")
        with pytest.raises(ValueError, match="no array"):
            nn.HiData(a=1, b=nn.HiData()).dtype  # noqa: B018

    def test_cannot_be_changed(self) -> None:
        given = {"a": 1}
        data = nn.HiData(given)
        given["b"] = 2
        assert "b" not in data
        for key in ("a", "name", "children", "z"):
            with pytest.raises(FrozenInstanceError, match="cannot be changed"):
                setattr(data, key, 3)
            with pytest.raises(FrozenInstanceError, match="cannot be changed"):
                delattr(data, key)
        assert data.a == 1

    @pytest.mark.parametrize("given", [3, [("a", 1)], {1: 2}])
    def test_children_are_a_mapping_of_names(self, given: Any) -> None:
        for make in (nn.HiData, nn.HiData().add, nn.HiData.from_dict):
            with pytest.raises(TypeError, match="HiData"):
                make(given)
        with pytest.raises(TypeError, match="HiData"):
            nn.HiData().replace(children=given)

    def test_sizes(self) -> None:
        assert nn.HiData().state_size == len(nn.HiData()) == 0
        assert nn.HiData(a=None, b="s", c=nn.HiData(d=1, e=nn.HiData())).state_size == 2


class TestCopies:
    def test_compare_by_content(self) -> None:
        # The published comparison fails on arrays.
        assert sample() == sample()
        assert sample() != sample().replace(name="other")
        assert sample() != sample().replace(v=np.arange(3.0) + 1)
        assert sample() != sample().to_dict()
        with pytest.raises(TypeError, match="unhashable"):
            hash(sample())

    @pytest.mark.parametrize(
        "make", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), nn.HiData.clone]
    )
    def test_copies(self, make: Any) -> None:
        data = sample()
        assert make(data) == data
        assert make(data) is not data

    def test_clone_shares_nothing(self) -> None:
        # The published clone shares NumPy arrays and lists.
        data = nn.HiData(x=np.zeros(2), items=[1], below=nn.HiData(y=np.zeros(2)))
        other = data.clone()
        other.x[0] = other.below.y[0] = 1.0
        other["items"].append(2)
        assert data == nn.HiData(x=np.zeros(2), items=[1], below=nn.HiData(y=np.zeros(2)))

    def test_text(self) -> None:
        assert repr(nn.HiData()) == "HiData()"
        assert repr(nn.HiData(name="n", a=jnp.ones((2, 3)))) == "HiData(name='n', a=float32[2,3])"
        assert repr(nn.HiData(b=nn.HiData(c=[1, "s"]))) == "HiData(b=HiData(c=[1, 's']))"


class TestJax:
    def test_transformations(self) -> None:
        data = nn.HiData(name="n", a=3.0, b=nn.HiData(c=2.0))
        grad = jax.grad(lambda d: d.a * d.b.c)(data)
        assert (float(grad.a), float(grad.b.c), grad.name) == (2.0, 3.0, "n")
        doubled = jax.jit(lambda d: d.replace(a=2 * d.a))(data)
        assert float(doubled.a) == 6.0
        many = jax.vmap(lambda x: nn.HiData(x=x, y=-x))(jnp.arange(3.0))
        assert many.y.tolist() == [-0.0, -1.0, -2.0]

    def test_order_and_label_in_the_structure(self) -> None:
        structure: Any = jax.tree.structure
        assert structure(nn.HiData(a=1, b=2)) == structure(nn.HiData(b=2, a=1))
        assert structure(nn.HiData(a=1)) != structure(nn.HiData(a=1, name="n"))
        assert jax.tree.leaves(nn.HiData(b=1, a=2)) == [2, 1]

    def test_in_a_module(self) -> None:
        class Holder(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.constants = sample()

        structure: Any = jax.tree.structure
        assert structure(Holder()) == structure(Holder())
        assert hash(structure(Holder())) == hash(structure(Holder()))
