"""Which row stands for a layer: a bridge's own rows, and what users registered in front of them.

Imports `errors`, `mapping` and `bridge`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .bridge import Bridge
from .mapping import LayerMap, LayerMapping, Unconvertible

Entry = LayerMap | LayerMapping


@dataclass(frozen=True, slots=True)
class Index:
    """The rows of one framework by what they are looked up by.

    Attributes:
        by_core: the rows of each core class, or the reason for none.
        by_foreign: the rows of each foreign class or function, or the reason for none.
    """

    by_core: dict[Hashable, tuple[Entry, ...] | Unconvertible] = field(default_factory=dict)
    by_foreign: dict[Hashable, tuple[Entry, ...] | Unconvertible] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Enter a row behind those that already stand for the same layers."""
        core = entry.bst_type if isinstance(entry, LayerMapping) else entry.core
        foreign = entry.foreign_type if isinstance(entry, LayerMapping) else entry.foreign
        if isinstance(entry, LayerMapping) or entry.exports:
            self.by_core[core] = (*_rows(self.by_core.get(core, ())), entry)
        self.by_foreign[foreign] = (*_rows(self.by_foreign.get(foreign, ())), entry)


def _rows(known: tuple[Entry, ...] | Unconvertible) -> tuple[Entry, ...]:
    return known if isinstance(known, tuple) else ()


_own: dict[int, tuple[Bridge, Index]] = {}  # by identity: two bridges may share a name
_registered: dict[str, Index] = {}
_version = 0


def own_rows(bridge: Bridge) -> Index:
    """The bridge's own rows, entered once."""
    known = _own.get(id(bridge))
    if known is None:
        index = Index()
        for row in bridge.rows:
            index.add(row)
        index.by_core.update({entry.layer: entry for entry in bridge.unconvertible_core})
        index.by_foreign.update({entry.layer: entry for entry in bridge.unconvertible})
        known = _own[id(bridge)] = (bridge, index)
    return known[1]


def version() -> int:
    """Changes with every registration, so that what was worked out before it is not used after."""
    return _version


def for_core(bridge: Bridge, layer: Hashable) -> tuple[Entry, ...] | Unconvertible:
    """The rows of a core class; an empty tuple where there is none."""
    registered = _registered.get(bridge.name)
    found = registered.by_core.get(layer) if registered else None
    return found or own_rows(bridge).by_core.get(layer, ())


def for_foreign(bridge: Bridge, layer: Hashable) -> tuple[Entry, ...] | Unconvertible:
    """The rows of a foreign class or function; an empty tuple where there is none."""
    registered = _registered.get(bridge.name)
    found = registered.by_foreign.get(layer) if registered else None
    return found or own_rows(bridge).by_foreign.get(layer, ())


def register_layer_mapping(mapping: Entry, framework: str | None = None) -> None:
    """Teach the converter one more layer, or another way for a known one.

    What is registered stands in front of the bridges' own rows, and the last registration in
    front of those before it.

    Args:
        mapping: two functions (`LayerMapping`) or a declarative row (`LayerMap`).
        framework: the framework that a `LayerMap` is for; a `LayerMapping` names its own.

    Raises:
        TypeError: for anything else, or for a `LayerMap` without a framework.

    Example:
        >>> class Scale: ...
        >>> class ForeignScale: ...
        >>> with registrations():
        ...     register_layer_mapping(
        ...         LayerMapping(
        ...             Scale,
        ...             "nnx",
        ...             ForeignScale,
        ...             lambda f, _: Scale(),
        ...             lambda c, _: ForeignScale(),
        ...         )
        ...     )
    """
    global _version
    if isinstance(mapping, LayerMapping):
        name = mapping.framework
        if framework not in (None, name):
            raise TypeError(f"the mapping is for {name!r}, not for {framework!r}")
    elif isinstance(mapping, LayerMap):
        if framework is None:
            raise TypeError("say which framework the row is for: framework='nnx'")
        name = framework
    else:
        raise TypeError(f"expected a LayerMapping or a LayerMap, got {type(mapping).__name__}")
    newest = Index()
    newest.add(mapping)
    before = _registered.get(name, Index())
    _registered[name] = Index(
        {**before.by_core, **newest.by_core}, {**before.by_foreign, **newest.by_foreign}
    )
    _version += 1


@contextmanager
def registrations() -> Iterator[None]:
    """A scope: what is registered inside is forgotten at its end."""
    global _version
    before = dict(_registered)
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(before)
        _version += 1


def convertible(bridge: Bridge) -> list[str]:
    """Names of the core layers that the bridge converts, registered ones included, sorted."""
    layers: set[Any] = set()
    for index in (own_rows(bridge), _registered.get(bridge.name, Index())):
        layers |= {c for c, entry in index.by_core.items() if not isinstance(entry, Unconvertible)}
    return sorted(layer.__name__ for layer in layers)
