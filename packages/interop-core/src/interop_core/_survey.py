"""One quick pass over a layer: its arrays, a key of its configuration, its states."""

from __future__ import annotations

from typing import Any

from ._content import PLAIN
from .graph import (
    ATOM,
    KINDS,
    STATE,
    TUPLE,
    Node,
    configuration,
    named_states,
    spread,
)
from .state import State

__all__ = ["Node", "survey"]


class _Layout:
    """Where an object with certain attributes of certain types keeps what.

    Attributes:
        states: names and places of its states, sorted by name.
        tuples: places of its tuples.
        flat: whether it holds states and plain configuration alone.
    """

    __slots__ = ("flat", "states", "tuples")

    def __init__(self, names: tuple[str, ...], kinds: list[int]) -> None:
        places = list(zip(names, range(len(names)), kinds, strict=True))
        self.states = sorted((name, place) for name, place, kind in places if kind == STATE)
        self.tuples = [place for _, place, kind in places if kind == TUPLE]
        self.flat = {ATOM, STATE, TUPLE}.issuperset(kinds)


class _Layouts(dict[tuple[Any, ...], _Layout]):
    """Layouts by the names of attributes and their types; filled as they turn up."""

    def __missing__(self, code: tuple[Any, ...]) -> _Layout:
        names, *types = code
        layout = _Layout(names, [KINDS[cls] for cls in types])
        if len(self) < 4096:
            self[code] = layout
        return layout


LAYOUTS = _Layouts()

Survey = tuple[dict[str, Any], tuple[Any, ...], list[tuple[str, State[Any]]]]


def survey(module: Any) -> Survey:
    """Read a layer's arrays, what its configuration depends on, and its states, in one pass.

    Args:
        module: a module.

    Returns:
        What `leaves` gives; a key: modules of one class and of equal keys have equal
        `configuration`, and it can be hashed where every attribute can; the states by name.

    Example:
        >>> box = Node()
        >>> box.weight, box.factor = State({"weight": 1.0}), 2
        >>> arrays, key, held = survey(box)
        >>> arrays, held == [("weight", box.weight)]
        ({'weight.weight': 1.0}, True)
        >>> box.weight = State({"weight": 2.0})
        >>> survey(box)[1] == key
        True
    """
    attributes = module.__dict__
    values = list(attributes.values())
    layout = LAYOUTS[(tuple(attributes), *map(type, values))]
    if not layout.flat:
        return _by_parts(module)
    for place in layout.tuples:
        if not PLAIN.issuperset(map(type, values[place])):
            return _by_parts(module)
    held: list[tuple[str, State[Any]]] = []
    arrays: dict[str, Any] = {}
    for name, place in layout.states:
        state = values[place]
        if held and any(state is known for _, known in held):
            continue
        held.append((name, state))
        spread(state.value, name, arrays)
        values[place] = None
    return arrays, (layout, *values), held


def is_flat(key: tuple[Any, ...]) -> bool:
    """Whether the layer of a key that `survey` gave holds states and plain configuration alone."""
    return bool(key) and key[0].__class__ is _Layout


def _by_parts(module: Any) -> Survey:
    """The same of a layer that holds layers."""
    held = named_states(module)
    arrays: dict[str, Any] = {}
    for name, state in held:
        spread(state.value, name, arrays)
    types = [state.__class__ for _, state in held]
    return arrays, (*configuration(module).values(), *types), held
