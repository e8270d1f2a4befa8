"""A module as a JAX pytree: its states are the leaves, all the rest is structure."""

from __future__ import annotations

import functools
from typing import Any

import jax

from ._content import PLAIN, Content
from .graph import ATOM, DICT, KINDS, LIST, NAMED, NODE, ORDERS, STATE, TUPLE, Node


class _Mark:
    """A word of the structure code, equal to itself only."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


_NODE, _STATE, _SAME = _Mark("node"), _Mark("state"), _Mark("same")
_LIST, _TUPLE, _NAMED, _DICT = _Mark("list"), _Mark("tuple"), _Mark("named"), _Mark("dict")
# The attributes of a state without metadata, but for its value.
_LABELS = ("_name", "tag")


class _Trusted(dict[type, bool]):
    """Whether every object of a type can be hashed and compares by what it says."""

    def __missing__(self, cls: type) -> bool:
        trusted = cls in PLAIN or issubclass(cls, type) or hasattr(cls, "compares_by_content")
        self[cls] = trusted
        return trusted


_TRUSTED = _Trusted()


class _Names:
    """The names of attributes: equal in any order, since that decides nothing, but kept in theirs.

    Args:
        given: the names in the order of the object.
    """

    __slots__ = ("given", "ordered")

    def __init__(self, given: tuple[str, ...]) -> None:
        self.given = given
        self.ordered = ORDERS[given]

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is _Names and self.ordered == other.ordered)

    def __hash__(self) -> int:
        return hash(self.ordered)

    def __repr__(self) -> str:
        return repr(self.ordered)


class _KnownNames(dict[tuple[str, ...], _Names]):
    """The `_Names` of attribute lists met before: there are few more than classes."""

    def __missing__(self, given: tuple[str, ...]) -> _Names:
        names = _Names(given)
        if len(self) < 4096:
            self[given] = names
        return names


_NAMES = _KnownNames()


class Structure:
    """Everything of a module but the values of its states, as one flat hashable code.

    Modules that are built alike have equal structures, so that they can be mapped together and
    share compiled functions. The code is a depth-first listing: a mark or a type, then what
    belongs to it. An object that was met before is written as a number, so ties survive.

    Args:
        code: the listing.
    """

    __slots__ = ("__weakref__", "_hash", "code")

    def __init__(self, code: tuple[Any, ...]) -> None:
        self.code = code
        self._hash: int | None = None

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is Structure and self.code == other.code)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.code)
        return self._hash

    def __repr__(self) -> str:
        return f"<structure of {self.code[1].__name__}>"


class _Writer:
    """Writes the code of one module and collects its leaves."""

    __slots__ = ("code", "names", "seen", "values")

    def __init__(self) -> None:
        self.code: list[Any] = []
        self.values: list[Any] = []
        self.names: list[str] = []
        self.seen: dict[int, int] = {}

    def write(self, value: Any, name: str) -> None:
        """Write one object and all below it."""
        cls = value.__class__
        kind = KINDS[cls]
        code = self.code
        if kind == ATOM:
            # The type comes along, because 1 == 1.0 == True.
            code += (cls, value if _TRUSTED[cls] else _hashable(value))
        elif kind in (STATE, NODE):
            number = self.seen.get(id(value))
            if number is not None:
                code += (_SAME, number)
                return
            self.seen[id(value)] = len(self.seen)
            if kind == STATE:
                self._state(cls, value, name)
            else:
                self._node(cls, value, name)
        elif kind == DICT:
            code += (_DICT, cls, tuple(value))
            for key in ORDERS[tuple(value)]:
                self.write(value[key], f"{name}.{key}")
        else:
            if kind == TUPLE:
                types = tuple([entry.__class__ for entry in value])
                if PLAIN.issuperset(types):
                    code += (types, value)
                    return
            mark = _LIST if kind == LIST else _NAMED if kind == NAMED else _TUPLE
            code += (mark, cls, len(value))
            keys: Any = value._fields if kind == NAMED else range(len(value))
            for key, entry in zip(keys, value, strict=True):
                self.write(entry, f"{name}.{key}")

    def _node(self, cls: type, value: Any, name: str) -> None:
        attributes = value.__dict__
        names = _NAMES[tuple(attributes)]
        self.code += (_NODE, cls, names)
        prefix = name + "." if name else ""
        for key in names.ordered:
            child = attributes[key]
            child_cls = child.__class__
            # Most attributes are plain configuration: this shortcut is most of the speed.
            if _TRUSTED[child_cls]:
                self.code += (child_cls, child)
            else:
                self.write(child, prefix + key)

    def _state(self, cls: type, value: Any, name: str) -> None:
        self.values.append(value.value)
        self.names.append(name)
        attributes = value.__dict__
        if len(attributes) == 3 and value.tag is None:
            label = value._name
            self.code += (_STATE, cls, _LABELS, label.__class__, label, type(None), None)
            return
        order = tuple(key for key in ORDERS[tuple(attributes)] if key != "_value")
        self.code += (_STATE, cls, order)
        for key in order:
            self.write(attributes[key], f"{name}.{key}")


def _hashable(value: Any) -> Any:
    """Leave a value as it is if it can be hashed, else wrap it so that it compares by content."""
    if isinstance(value, functools.partial):
        return Content(value)
    try:
        hash(value)
    except TypeError:
        return Content(value)
    return value


class _Reader:
    """Builds a module from its code and the values of its states."""

    __slots__ = ("next", "seen", "values")

    def __init__(self, code: tuple[Any, ...], values: Any) -> None:
        self.next = iter(code).__next__
        self.values = iter(values)
        self.seen: list[Any] = []

    def read(self) -> Any:
        """Build the next object of the code."""
        word = self.next()
        if word.__class__ is not _Mark:
            value = self.next()
            return value.value if value.__class__ is Content else value
        if word is _SAME:
            return self.seen[self.next()]
        cls, detail = self.next(), self.next()
        if word is _NODE or word is _STATE:
            # Not through __init__: JAX passes None, tracers, shapes or any object as leaves.
            new = object.__new__(cls)
            self.seen.append(new)
            attributes = new.__dict__
            if word is _STATE:
                attributes["_value"] = next(self.values)
                for key in detail:
                    attributes[key] = self.read()
            else:
                entries = {key: self.read() for key in detail.ordered}
                for key in detail.given:
                    attributes[key] = entries[key]
            return new
        if word is _DICT:
            entries = {key: self.read() for key in ORDERS[detail]}
            return cls((key, entries[key]) for key in detail)
        items = [self.read() for _ in range(detail)]
        if word is _LIST:
            return items
        return cls(*items) if word is _NAMED else tuple(items)


def flatten(module: Node) -> tuple[list[Any], Structure]:
    """Take a module apart into the values of its unique states and its structure."""
    writer = _Writer()
    writer.write(module, "")
    return writer.values, Structure(tuple(writer.code))


def flatten_with_keys(module: Node) -> tuple[list[tuple[Any, Any]], Structure]:
    """Do what `flatten` does and name each value by the dotted path of its state."""
    writer = _Writer()
    writer.write(module, "")
    key = jax.tree_util.GetAttrKey
    named = [(key(n), v) for n, v in zip(writer.names, writer.values, strict=True)]
    return named, Structure(tuple(writer.code))


def unflatten(structure: Structure, values: Any) -> Any:
    """Put a module together again; the values may be anything."""
    return _Reader(structure.code, values).read()


def register(cls: type[Node]) -> None:
    """Make a node class a pytree."""
    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
