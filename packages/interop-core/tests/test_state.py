"""States: boxes that are read and written in place."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import state
from interop_core.state import (
    BatchState,
    DelayState,
    FakeState,
    HiddenState,
    LongTermState,
    NormalizationParamState,
    ParamState,
    ShortTermState,
    State,
)

KINDS: list[type[State[Any]]] = [
    State,
    ShortTermState,
    LongTermState,
    ParamState,
    BatchState,
    HiddenState,
    DelayState,
    NormalizationParamState,
]


def test_value_is_read_and_written_in_place() -> None:
    box = ParamState(jnp.zeros(2))
    other = box
    other.value = jnp.ones(2)
    assert box.value.tolist() == [1.0, 1.0]


def test_value_of_a_state_is_taken_over() -> None:
    inner = ParamState(3.0)
    assert State[float](inner).value == 3.0
    box = State(0.0)
    box.value = inner
    assert box.value == 3.0


def test_states_are_equal_by_identity() -> None:
    a, b = State(1.0), State(1.0)
    assert a == a
    assert a != b
    assert len({a, b, a}) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_family_tree_is_the_published_one(kind: type[State[Any]]) -> None:
    if kind is NormalizationParamState:
        assert issubclass(kind, ParamState)
        return
    published = getattr(brainstate, kind.__name__)
    ours = [base.__name__ for base in kind.__mro__ if base.__module__ == state.__name__]
    theirs = [base.__name__ for base in published.__mro__]
    assert ours == [name for name in theirs if name in ours]


def test_copy_keeps_type_name_tag_and_metadata() -> None:
    box = BatchState(jnp.ones(2), name="mean", tag="slow", axis=3)
    new = box.copy()
    assert type(new) is BatchState
    assert new is not box
    assert new.value is box.value
    assert (new.name, new.tag) == ("mean", frozenset({"slow"}))
    assert vars(new)["axis"] == 3


def test_replace_leaves_the_original() -> None:
    box = ParamState(1.0)
    assert box.replace(2.0).value == 2.0
    assert box.value == 1.0


def test_numel_counts_all_arrays() -> None:
    assert ParamState({"weight": jnp.ones((4, 8)), "bias": np.ones(8)}).numel() == 40
    assert State(None).numel() == 0
    assert State(jax.ShapeDtypeStruct((2, 3), "float32")).numel() == 6


def test_tags_add_up() -> None:
    box = State(1.0, tag=("a", "b"))
    box.add_tag("c")
    box.add_tag(None)
    assert box.tag == frozenset("abc")


def test_name_can_be_set() -> None:
    box = State(1.0)
    assert box.name is None
    box.name = "gain"
    assert box.name == "gain"


@pytest.mark.parametrize(
    "value", [[1.0], (1.0,), {"a": 1.0}], ids=lambda value: type(value).__name__
)
def test_hidden_state_refuses_containers(value: Any) -> None:
    with pytest.raises(TypeError, match="holds one array"):
        HiddenState(value)


def test_fake_state_has_the_interface_and_is_no_state() -> None:
    fake = FakeState(3, name="x", extra=1)
    fake.value = 4
    fake.name = "y"
    assert (fake.value, fake.name) == (4, "y")
    assert not isinstance(fake, State)
    assert repr(fake) == "FakeState(value=4)"


def test_repr_shows_shapes_not_numbers() -> None:
    box = ParamState({"w": jnp.ones((2, 3)), "b": np.ones(3, np.float32)}, name="x", tag="t")
    assert repr(box).splitlines() == [
        "ParamState(",
        "  value={'w': float32[2,3], 'b': float32[3]},",
        "  name='x',",
        "  tag=['t'],",
        ")",
    ]
    assert repr(State(jnp.ones(3))) == "State(value=float32[3])"
    assert "weight=2" in repr(State(1.0, weight=2))


def test_long_repr_is_indented() -> None:
    text = repr(State({f"entry{i}": jnp.ones((2, 3)) for i in range(6)}))
    assert text.splitlines()[0] == "State("
    assert "    'entry5': float32[2,3]," in text.splitlines()


def test_state_is_a_leaf_of_a_pytree_as_published() -> None:
    assert jax.tree.leaves([State(1.0)])[0].value == 1.0
    assert str(jax.tree.structure(State(1.0))) == str(jax.tree.structure(brainstate.State(1.0)))


def test_deepcopy_and_pickle() -> None:
    box = ParamState({"w": np.arange(3)}, name="x", tag="t")
    for new in (copy.deepcopy(box), pickle.loads(pickle.dumps(box))):
        assert type(new) is ParamState
        assert (new.name, new.tag) == (box.name, box.tag)
        assert new.value["w"] is not box.value["w"]
        assert new.value["w"].tolist() == [0, 1, 2]
