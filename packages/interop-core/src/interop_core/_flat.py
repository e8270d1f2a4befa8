"""What traversal finds: a dict by path, and the filters that select from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax

from .state import State

__all__ = ["FlatDict", "select"]

Path = tuple[Any, ...]
Filter = Any
V = TypeVar("V")


class FlatDict(dict[Path, V]):
    """What traversal finds, by path; a pytree whose leaves are the entries.

    Example:
        >>> found = FlatDict({("layers", 0, "weight"): State(1.0)})
        >>> found.to_nest()
        {'layers': {0: {'weight': State(value=1.0)}}}
    """

    def to_nest(self) -> dict[Any, Any]:
        """Turn ``{("a", 0): x}`` into ``{"a": {0: x}}``."""
        nest: dict[Any, Any] = {}
        for path, entry in self.items():
            inner = nest
            for key in path[:-1]:
                inner = inner.setdefault(key, {})
            inner[path[-1]] = entry
        return nest

    def to_dict_values(self) -> dict[Path, Any]:
        """Take the values out of the states."""
        return {p: s.value if isinstance(s, State) else s for p, s in self.items()}

    def assign_dict_values(self, values: Mapping[Path, Any]) -> None:
        """Put values back into the states, path by path.

        Raises:
            KeyError: if a path is missing; nothing is written then.
        """
        missing = [path for path in self if path not in values]
        if missing:
            raise KeyError(f"No value for {missing}.")
        for path, entry in self.items():
            if not isinstance(entry, State):
                raise TypeError(f"{path} is a {type(entry).__name__}, not a state.")
            entry.value = values[path]

    def filter(self, *filters: Filter) -> Any:
        """Select entries as `states` does: one FlatDict per filter."""
        return select(self, filters)


def _flatten_flat(flat: FlatDict[Any]) -> tuple[tuple[tuple[Any, Any], ...], tuple[Path, ...]]:
    key = jax.tree_util.DictKey
    return tuple((key(path), entry) for path, entry in flat.items()), tuple(flat)


jax.tree_util.register_pytree_with_keys(
    FlatDict,
    _flatten_flat,
    lambda paths, entries: FlatDict(zip(paths, entries, strict=True)),
)


def _predicate(which: Filter) -> Callable[[Path, Any], bool]:
    """Turn a filter into a function of path and object."""
    if which is ... or which is True:
        return lambda path, x: True
    if which is None or which is False:
        return lambda path, x: False
    if isinstance(which, type):
        return lambda path, x: isinstance(x, which)
    if isinstance(which, str):
        return lambda path, x: which in (getattr(x, "tag", None) or ())
    if isinstance(which, tuple | list):
        parts = [_predicate(part) for part in which]
        return lambda path, x: any(part(path, x) for part in parts)
    if callable(which):
        return lambda path, x: bool(which(path, x))
    raise TypeError(
        f"{which!r} is no filter. A filter is a type, a tag, a function of (path, object), "
        "a tuple of filters (any of them), `...` (everything) or None (nothing)."
    )


def select(found: FlatDict[V], filters: tuple[Filter, ...]) -> Any:
    """Distribute entries over filters; each goes to the first that takes it."""
    if not filters:
        return found
    tests = [_predicate(which) for which in filters]
    parts: list[FlatDict[V]] = [FlatDict() for _ in filters]
    for path, entry in found.items():
        for test, part in zip(tests, parts, strict=True):
            if test(path, entry):
                part[path] = entry
                break
    return parts[0] if len(parts) == 1 else tuple(parts)
