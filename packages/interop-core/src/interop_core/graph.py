"""Walking a module: its states, its nodes, its configuration, its leaves by name."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from ._content import PLAIN
from ._flat import Filter, FlatDict, Path, select
from .state import State

__all__ = [
    "FlatDict",
    "Node",
    "assign",
    "configuration",
    "leaves",
    "nodes",
    "states",
]

ATOM, STATE, NODE, LIST, TUPLE, NAMED, DICT = range(7)
EVERYWHERE = (0, 2**31 - 1)


class Node:
    """What traversal descends into: an object whose attributes may hold states and other nodes.

    A class cannot hide attributes from traversal by ``graph_invisible_attrs``: defining it so
    raises a `TypeError`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # JAX would see the states in them, and states() not: they would be trained and not saved.
        if getattr(cls, "graph_invisible_attrs", ()):
            raise TypeError(
                f"{cls.__name__} cannot hide attributes by graph_invisible_attrs: a module is a "
                "pytree of all that it holds. Put what no traversal is to find into a FakeState or "
                "an object of a class of your own."
            )


class _Kinds(dict[type, int]):
    """How the walk treats objects of a type; filled as types turn up."""

    def __missing__(self, cls: type) -> int:
        if issubclass(cls, State):
            kind = STATE
        elif issubclass(cls, Node):
            kind = NODE
        elif cls is list:
            kind = LIST
        elif cls is dict or cls is OrderedDict:
            kind = DICT
        elif issubclass(cls, tuple):
            kind = NAMED if hasattr(cls, "_fields") else TUPLE if cls is tuple else ATOM
        else:
            kind = ATOM
        self[cls] = kind
        return kind


KINDS = _Kinds()


class _Orders(dict[tuple[Any, ...], tuple[Any, ...]]):
    """Sorted attribute names or dict keys, by the names as they stand; sorting once is enough."""

    def __missing__(self, keys: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            order = tuple(sorted(keys))
        except TypeError:
            order = tuple(sorted(keys, key=lambda key: (type(key).__name__, str(key))))
        if len(self) < 4096:
            self[keys] = order
        return order


ORDERS = _Orders()


def children(value: Any, kind: int) -> Iterator[tuple[Any, Any]]:
    """Yield what a node or container holds, as (key, object), in the order of the keys."""
    if kind == NODE:
        attributes = value.__dict__
        for name in ORDERS[tuple(attributes)]:
            yield name, attributes[name]
    elif kind == DICT:
        for key in ORDERS[tuple(value)]:
            yield key, value[key]
    elif kind == NAMED:
        yield from zip(value._fields, value, strict=True)
    else:
        yield from enumerate(value)


def _walk(
    value: Any, path: Path, level: int, deepest: int, seen: set[int]
) -> Iterator[tuple[Path, int, int, Any]]:
    """Yield (path, kind, level, object) of every state and node, a node after what it holds."""
    kind = KINDS[value.__class__]
    if kind == ATOM:
        return
    if kind in (STATE, NODE):
        if id(value) in seen:
            return
        seen.add(id(value))
    if kind == STATE:
        yield path, kind, level, value
        return
    for key, child in children(value, kind):
        child_kind = KINDS[child.__class__]
        if child_kind:
            below = level + 1 if child_kind == NODE else level
            if below <= deepest:
                yield from _walk(child, (*path, key), below, deepest, seen)
    if kind == NODE:
        yield path, kind, level, value


def states(module: Any, *filters: Filter, allowed_hierarchy: tuple[int, int] = EVERYWHERE) -> Any:
    """Collect the states of a module and of everything below it.

    Attributes, lists, tuples and dicts are searched; each state appears once, under the first of
    its paths in the order of attribute names.

    Args:
        module: a module, or a container of modules.
        *filters: state types, tags, functions of (path, state), tuples of filters, ``...`` for the
            rest. A state goes to the first filter that takes it.
        allowed_hierarchy: lowest and highest level of the node that holds the state; the module
            itself has level 0, its children 1.

    Returns:
        A `FlatDict` from path to state; one for each filter, as a tuple, if there are several.

    Example:
        >>> box = Node()
        >>> box.layers = [State(1.0), State(2.0)]
        >>> list(states(box))
        [('layers', 0), ('layers', 1)]
    """
    low, high = allowed_hierarchy
    found: FlatDict[Any] = FlatDict(
        (path, entry)
        for path, kind, level, entry in _walk(module, (), 0, high, set())
        if kind == STATE and level >= low
    )
    return select(found, filters)


def nodes(module: Any, *filters: Filter, allowed_hierarchy: tuple[int, int] = EVERYWHERE) -> Any:
    """Collect a module and every node below it; a node comes after what it holds.

    Args:
        module: a module, or a container of modules.
        *filters: as for `states`, on nodes.
        allowed_hierarchy: lowest and highest level; the module itself has level 0.

    Returns:
        A `FlatDict` from path to node; one for each filter, as a tuple, if there are several.

    Example:
        >>> outer, inner = Node(), Node()
        >>> outer.child = inner
        >>> list(nodes(outer))
        [('child',), ()]
    """
    low, high = allowed_hierarchy
    found: FlatDict[Any] = FlatDict(
        (path, entry)
        for path, kind, level, entry in _walk(module, (), 0, high, set())
        if kind == NODE and level >= low
    )
    return select(found, filters)


def named_states(value: Any) -> list[tuple[str, State[Any]]]:
    """List the unique states with dotted names, in the order of `states`; the fast form."""
    found: list[tuple[str, State[Any]]] = []
    kind = KINDS[value.__class__]
    if kind == STATE:
        found.append(("", value))
    elif kind:
        _gather(value, kind, "", found, {id(value)})
    return found


def _gather(
    value: Any, kind: int, prefix: str, found: list[tuple[str, State[Any]]], seen: set[int]
) -> None:
    """Add the states below a node or container to ``found``."""
    kinds = KINDS
    entries: Any
    if kind in (NODE, DICT):
        held = value.__dict__ if kind == NODE else value
        order = ORDERS[tuple(held)]
        entries = zip(order, map(held.__getitem__, order), strict=True)
    else:
        entries = enumerate(value) if kind != NAMED else zip(value._fields, value, strict=True)
    for key, child in entries:
        child_kind = kinds[child.__class__]
        if child_kind == ATOM:
            continue
        if child_kind == STATE:
            if id(child) not in seen:
                seen.add(id(child))
                found.append((f"{prefix}{key}", child))
            continue
        if child_kind == NODE:
            if id(child) in seen:
                continue
            seen.add(id(child))
        elif child_kind == TUPLE and PLAIN.issuperset(map(type, child)):
            # A size; there are several in every layer.
            continue
        _gather(child, child_kind, f"{prefix}{key}.", found, seen)


_CONTAINERS = (dict, list, tuple)


def spread(value: Any, name: str, out: dict[str, Any]) -> None:
    """Add the arrays in a state's value to ``out`` under dotted names."""
    if not isinstance(value, _CONTAINERS):
        if value is not None:
            out[name] = value
        return
    start = f"{name}." if name else ""
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(entry, _CONTAINERS):
            spread(entry, f"{start}{key}", out)
        elif entry is not None:
            out[f"{start}{key}"] = entry


def leaves(module: Any) -> dict[str, Any]:
    """Read every array of a module by name: the path of its state, then the keys in its value.

    A tied state appears once, under its first name.

    Args:
        module: a module, or a container of modules.

    Returns:
        For a linear layer ``{"weight.weight": ..., "weight.bias": ...}``.

    Example:
        >>> box = Node()
        >>> box.weight = State({"weight": 1.0, "bias": 2.0})
        >>> leaves(box)
        {'weight.weight': 1.0, 'weight.bias': 2.0}
    """
    out: dict[str, Any] = {}
    for name, state in named_states(module):
        spread(state.value, name, out)
    return out


def _rebuild(value: Any, name: str, new: Mapping[str, Any], used: set[str]) -> Any:
    """Copy a state's value with the named arrays replaced; the value itself if none is named."""
    if isinstance(value, dict | list | tuple):
        keyed = value.items() if isinstance(value, dict) else enumerate(value)
        count = len(used)
        fresh = {
            key: _rebuild(entry, f"{name}.{key}" if name else str(key), new, used)
            for key, entry in keyed
        }
        if len(used) == count:
            return value
        if isinstance(value, dict):
            return fresh if type(value) is dict else type(value)(fresh)
        entries = fresh.values()
        if hasattr(value, "_fields"):
            return type(value)(*entries)
        return type(value)(entries)
    if value is not None and name in new:
        used.add(name)
        return new[name]
    return value


def assign(module: Any, values: Mapping[str, Any]) -> None:
    """Write arrays by name, the inverse of `leaves`; other leaves stay as they are.

    Args:
        module: the module to write to.
        values: arrays by the names that `leaves` gives.

    Raises:
        KeyError: if a name is unknown; nothing is written then.

    Example:
        >>> box = Node()
        >>> box.weight = State({"weight": 1.0, "bias": 2.0})
        >>> assign(box, {"weight.bias": 3.0})
        >>> leaves(box)
        {'weight.weight': 1.0, 'weight.bias': 3.0}
    """
    used: set[str] = set()
    writes: list[tuple[State[Any], Any]] = []
    for name, state in named_states(module):
        count = len(used)
        fresh = _rebuild(state.value, name, values, used)
        if len(used) != count:
            writes.append((state, fresh))
    if len(used) != len(values):
        unknown = sorted(set(values) - used)
        raise KeyError(f"No such leaf: {unknown}. The leaves are {list(leaves(module))}.")
    for state, fresh in writes:
        state.value = fresh


class _Parameters(dict[type, tuple[str, ...]]):
    """The names of constructor arguments by class, without ``*args`` and ``**kwargs``."""

    def __missing__(self, cls: type) -> tuple[str, ...]:
        loose = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = inspect.signature(cls).parameters.values()
        names = self[cls] = tuple(p.name for p in parameters if p.kind not in loose)
        return names


_PARAMETERS = _Parameters()


def configuration(module: Any) -> dict[str, Any]:
    """Read every constructor argument of a module back, under its own name.

    Args:
        module: a module whose arguments can be read as attributes, as those of all layers here.

    Returns:
        The arguments in the order of the signature, in canonical form where the layer has one
        (sizes are tuples). ``*args`` are left out.

    Example:
        >>> class Scale(Node):
        ...     def __init__(self, factor, bias=0):
        ...         self.factor, self.bias = factor, bias
        >>> configuration(Scale(2))
        {'factor': 2, 'bias': 0}
    """
    return {name: getattr(module, name) for name in _PARAMETERS[module.__class__]}
