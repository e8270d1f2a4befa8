"""A tree of named data that cannot be changed."""

from __future__ import annotations

import copy
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from dataclasses import FrozenInstanceError
from typing import Any, NoReturn

import jax
import numpy as np

from .._content import same
from .._pretty import enclose, value_text

__all__ = ["HiData"]


class HiData:
    """Named data, and below it more of the same kind: the states of a composed system, say.

    A child is read as an attribute, ``data.v``, or as an item, ``data["v"]``; the item is the way
    where the name is that of a method. Nothing is changed in place: `add`, `pop` and `replace` give
    a new object. An object is a JAX pytree, whose leaves are those of the children in the order of
    their names.

    Args:
        children: the children by name.
        name: a label for the user.
        **kwargs: more children; they win over those of the same name in ``children``.

    Attributes:
        children: the children by name.
        name: the label.

    Raises:
        TypeError: if ``children`` is no mapping, or a key no string.

    Example:
        >>> data = HiData(name="cell", v=-65.0, channel=HiData(m=0.1))
        >>> data.v, data["channel"].m
        (-65.0, 0.1)
        >>> data.replace(v=-60.0)
        HiData(name='cell', v=-60.0, channel=HiData(m=0.1))
        >>> jax.tree.map(lambda x: 2 * x, data).channel.m
        0.2
    """

    children: dict[str, Any]
    name: str | None

    __slots__ = ("__dict__", "__weakref__")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, children: Mapping[str, Any] | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        given = _as_children({} if children is None else children)
        self.__dict__.update(children={**given, **kwargs}, name=name)

    # -- access ----------------------------------------------------------------------------------

    def __getattr__(self, key: str) -> Any:
        # A copy that is being made has no children yet.
        children = self.__dict__.get("children", {})
        if key in children:
            return children[key]
        raise AttributeError(f"This HiData has no {key!r}; it has {sorted(children)}.")

    def __getitem__(self, key: str) -> Any:
        return self.children[key]

    def __contains__(self, key: object) -> bool:
        return key in self.children

    def __iter__(self) -> Iterator[str]:
        return iter(self.children)

    def __len__(self) -> int:
        return len(self.children)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HiData):
            return NotImplemented
        return self.name == other.name and same(self.children, other.children)

    def __setattr__(self, key: str, value: Any) -> NoReturn:
        raise FrozenInstanceError(
            f"A HiData cannot be changed: replace({key}=...) gives another one."
        )

    def __delattr__(self, key: str) -> NoReturn:
        raise FrozenInstanceError(f"A HiData cannot be changed: pop({key!r}) gives another one.")

    def keys(self) -> KeysView[str]:
        """Give the names of the children."""
        return self.children.keys()

    def items(self) -> ItemsView[str, Any]:
        """Give names and children."""
        return self.children.items()

    def values(self) -> ValuesView[Any]:
        """Give the children."""
        return self.children.values()

    @property
    def state_size(self) -> int:
        """The number of data in the tree; None does not count."""
        return sum(
            child.state_size if isinstance(child, HiData) else child is not None
            for child in self.values()
        )

    @property
    def dtype(self) -> Any:
        """The dtype of the first array in the tree.

        Raises:
            ValueError: if there is none.
        """
        for child in self.values():
            if isinstance(child, HiData) and not _holds_array(child):
                continue
            if isinstance(child, HiData) or _is_array(child):
                return child.dtype
        raise ValueError("This HiData holds no array.")

    # -- other ones ------------------------------------------------------------------------------

    def clone(self) -> HiData:
        """Copy the tree and the data in it.

        Example:
            >>> array = np.zeros(2)
            >>> HiData(x=array).clone().x is array
            False
        """
        return copy.deepcopy(self)

    def add(self, *args: HiData | Mapping[str, Any], **updates: Any) -> HiData:
        """Give one with more children; a child of the same name is replaced.

        Args:
            *args: objects or dicts whose children are taken over.
            **updates: children by name.

        Raises:
            TypeError: if an argument is neither.

        Example:
            >>> HiData(a=1).add({"b": 2}, c=3)
            HiData(a=1, b=2, c=3)
        """
        children = dict(self.children)
        for more in args:
            children.update(more.children if isinstance(more, HiData) else _as_children(more))
        return HiData({**children, **updates}, self.name)

    def pop(self, *args: str) -> HiData:
        """Give one without some children.

        Args:
            *args: their names.

        Raises:
            KeyError: if there is no child of a name.

        Example:
            >>> HiData(a=1, b=2).pop("a")
            HiData(b=2)
        """
        children = dict(self.children)
        for key in args:
            del children[key]
        return HiData(children, self.name)

    def replace(self, **updates: Any) -> HiData:
        """Give one with other children.

        Args:
            **updates: children by name. ``name`` is the label, ``children`` all children at once.

        Raises:
            TypeError: if ``children`` is no mapping.
        """
        name = updates.pop("name", self.name)
        children = _as_children(updates.pop("children", self.children))
        return HiData({**children, **updates}, name)

    def to_dict(self) -> dict[str, Any]:
        """Give the tree as nested dicts; labels are left out."""
        return {
            key: child.to_dict() if isinstance(child, HiData) else child
            for key, child in self.items()
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> HiData:
        """Make a tree of nested dicts.

        Args:
            d: children by name; a dict among them becomes an object of this class.

        Raises:
            TypeError: if this is no mapping, or a key no string.

        Example:
            >>> HiData.from_dict({"a": 1, "b": {"c": 2}}).b.c
            2
        """
        return cls(
            {
                key: cls.from_dict(child) if isinstance(child, dict) else child
                for key, child in _as_children(d).items()
            }
        )

    def __repr__(self) -> str:
        label = [] if self.name is None else [("name=", repr(self.name))]
        children = ((f"{key}=", value_text(child)) for key, child in self.items())
        return enclose("HiData(", [*label, *children], ")")


def _as_children(given: Any) -> dict[str, Any]:
    """Check children that come as a mapping."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Children of a HiData are a mapping of names, not {given!r}.")
    for key in given:
        if not isinstance(key, str):
            raise TypeError(f"The name of a child of a HiData must be a string, not {key!r}.")
    return dict(given)


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray | np.generic)


def _holds_array(data: HiData) -> bool:
    """Tell whether there is an array in a tree."""
    return any(
        _holds_array(child) if isinstance(child, HiData) else _is_array(child)
        for child in data.values()
    )


def _flatten_with_keys(data: HiData) -> tuple[tuple[tuple[Any, Any]], str | None]:
    return ((jax.tree_util.GetAttrKey("children"), data.children),), data.name


def _flatten(data: HiData) -> tuple[tuple[dict[str, Any]], str | None]:
    return (data.children,), data.name


def _unflatten(name: str | None, parts: Iterable[Any]) -> HiData:
    # Not through __init__: JAX passes any object in the place of the children.
    (children,) = parts
    new = object.__new__(HiData)
    new.__dict__.update(children=children, name=name)
    return new


jax.tree_util.register_pytree_with_keys(HiData, _flatten_with_keys, _unflatten, _flatten)
