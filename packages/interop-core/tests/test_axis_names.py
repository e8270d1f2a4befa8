"""Names of axes: how they go through layouts, and how states hold them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from interop_core import AxisNames, ParamState, State, nn
from interop_core.axis_names import carry_names, put_names, read_names
from interop_core.beside import Beside
from interop_core.core_side import CORE
from interop_core.errors import Refusal
from interop_core.graph import leaves, named_states
from interop_core.layout import IDENTITY, Axes, Blocks, Join, Layout, Shift, Split, axes, chain
from interop_core.mirror import Flip, Negate
from interop_core.reshape import Reshape
from interop_core.testing._checks import _follow_the_numbers

Case = tuple[Layout, list[tuple[int, ...]], list[Any], list[Any]]

PAIR = Beside(((1, axes("i o -> o i"), 1), (1, IDENTITY, 1)))

KEPT: list[Case] = [
    (IDENTITY, [(2, 3)], [("a",)], [("a",)]),
    (axes("i o -> o i"), [(2, 3)], [("a",)], [(None, "a")]),
    (axes("i o -> o 1 i"), [(2, 3)], [("a", ("b", "c"))], [(("b", "c"), None, "a")]),
    (axes("1 c -> c"), [(1, 3)], [(None, "a")], [("a",)]),
    (Blocks("igfo", "ifgo"), [(2, 8)], [("a", "b")], [("a", "b")]),
    (Negate("ab", "b"), [(4,)], [("a",)], [("a",)]),
    (Shift("ab", "b", 1.0), [(4,)], [("a",)], [("a",)]),
    (Flip(1), [(4, 2)], [("a", None)], [("a", None)]),
    (Split((4, 2), 0), [(6, 3)], [("a", "b")], [("a", "b"), ("a", "b")]),
    (Join((4, 2), 0), [(4, 3), (2, 3)], [("a", "b"), ("a", "b")], [("a", "b")]),
    (Join((4, 2), 0), [(4, 3), (2, 3)], [None, None], [None]),
    (Reshape((6, 4), (2, 3, 4)), [(6, 4)], [("a", "b")], [("a", None, "b")]),
    (Reshape((2, 3, 4), (6, 4)), [(2, 3, 4)], [("a", None, "b")], [("a", "b")]),
    (chain(Split((1, 1), 0), axes("i o -> o i")), [(2, 3)], [(None, "a")], [("a", None)] * 2),
    (PAIR, [(2, 3), (2,)], [("a", "b"), None], [("b", "a"), None]),
]

REFUSED: list[tuple[Layout, list[tuple[int, ...]], list[Any]]] = [
    (axes("1 c -> c"), [(1, 3)], [("a", None)]),
    (Join((4, 2), 0), [(4,), (2,)], [("a",), ("b",)]),
    (Join((4, 2), 0), [(4,), (2,)], [("a",), None]),
    (Join((4, 2), 0), [(4,), (2,)], [None, ("a",)]),
    (Reshape((2, 3), (6,)), [(2, 3)], [("a", "b")]),
    (Reshape((2, 3), (6,)), [(2, 3)], [(None, "b")]),
    (Reshape((2, 3, 4), (6, 4)), [(2, 3, 4)], [(None, "a", None)]),
    (IDENTITY, [(2,)], [("a", "b")]),
]


def named(names: list[Any]) -> list[AxisNames | None]:
    return [None if entry is None else AxisNames(entry, box="Partitioned") for entry in names]


@pytest.mark.parametrize("layout, shapes, before, after", KEPT, ids=str)
def test_a_name_goes_with_its_axis(layout: Layout, shapes: Any, before: Any, after: Any) -> None:
    there = carry_names(layout, named(before), shapes)
    assert there == tuple(named(after))


@pytest.mark.parametrize("layout, shapes, before", REFUSED, ids=str)
def test_names_that_cannot_stay_are_refused(layout: Layout, shapes: Any, before: Any) -> None:
    with pytest.raises(Refusal, match=r"does not keep the names|there are 2 names"):
        carry_names(layout, named(before), shapes)


def test_arrays_of_different_boxes_are_not_joined() -> None:
    boxes = [AxisNames(("a",), box="Partitioned"), AxisNames(("a",), box="LogicallyPartitioned")]
    with pytest.raises(Refusal, match="does not keep the names"):
        carry_names(Join((4, 2), 0), boxes, [(4,), (2,)])


@pytest.mark.parametrize("names", ["ab", (1,), (("a", 1),), 3])
def test_what_names_no_axis(names: Any) -> None:
    with pytest.raises(TypeError, match="name"):
        AxisNames(names)


NAMES = {"weight": AxisNames(("in", "out")), "bias": AxisNames(("out",), rules=(("out", "x"),))}


def layer() -> Any:
    made = nn.Linear(2, 3)
    made.weight.axis_names = NAMES
    return made


def test_states_keep_them() -> None:
    model = layer()
    for state in (
        model.weight.copy(),
        model.weight.replace(model.weight.value),
        copy.deepcopy(model.weight),
        pickle.loads(pickle.dumps(model.weight)),
        jax.tree.map(lambda array: array + 1, model).weight,
        jax.jit(lambda model: model)(model).weight,
        ParamState(model.weight, axis_names=NAMES),
    ):
        assert state.axis_names == NAMES
    structures: list[Any] = [jax.tree.structure(one) for one in (model, layer(), nn.Linear(2, 3))]
    assert structures[0] == structures[1] != structures[2]
    assert "AxisNames(('in', 'out'))" in repr(model)
    assert nn.Linear(2, 3).weight.axis_names is None
    assert "axis_names" not in repr(nn.Linear(2, 3))


def test_they_are_read_and_written_by_name() -> None:
    found: Any = CORE.leaves(layer())
    assert found.axis_names == {f"weight.{name}": names for name, names in NAMES.items()}
    surveyed: Any = CORE.survey(layer())[0]
    assert surveyed.axis_names == found.axis_names
    assert type(CORE.leaves(nn.Linear(2, 3))) is dict
    assert put_names(nn.Linear(2, 3), found.axis_names).weight.axis_names == NAMES
    alone = State(jnp.ones(2), axis_names=AxisNames(("a",)))
    held = [("state", alone)]
    assert read_names({"state": alone.value}, held).axis_names == {"state": AxisNames(("a",))}


@pytest.mark.parametrize(
    "wrong, words",
    [
        (("in", "out"), r"axis_names of weight are \('in'"),
        ({"weight": ("in", "out")}, "say .* of 'weight'"),
        ({"kernel": AxisNames(("in",))}, "say .* of 'kernel'"),
    ],
)
def test_names_of_nothing_are_refused(wrong: Any, words: str) -> None:
    model = layer()
    model.weight.axis_names = wrong
    with pytest.raises(Refusal, match=words):
        CORE.leaves(model)


def test_names_of_an_array_that_another_stands_for_are_refused() -> None:
    model = layer()
    arrays = {name: array * 2 for name, array in leaves(model).items()}
    with pytest.raises(Refusal, match="another array stands for it"):
        read_names(arrays, named_states(model))


class Astray(Axes):
    """A layout whose rule for shardings forgets that the axes change places."""

    def spec(self, specs: Any, /) -> Any:
        return specs


def test_the_rule_for_shardings_is_held_against_the_numbers() -> None:
    _follow_the_numbers(axes("a b -> b a"), [(2, 3)], 0, 1)
    with pytest.raises(AssertionError, match="its numbers do not"):
        _follow_the_numbers(Astray(("a", "b"), ("b", "a")), [(2, 3)], 0, 1)
