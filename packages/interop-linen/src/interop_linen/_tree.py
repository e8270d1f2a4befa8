"""Linen modules with the variables that belong to them: taken out of a tree, and put into one.

Linen names a module by the place where it meets it first, and it meets the elements of a stack all
before it descends into any, in the order of their indices *as text*: ``layers_10`` before
``layers_2``. A module that stands in several places has its variables at that first one alone.
Imports flax alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flax import config, linen

Variables = dict[str, Any]
"""By collection (``"params"``, ``"batch_stats"``), the subtree of one module."""


@dataclass(slots=True, eq=False)
class LinenNode:
    """A module in its place, or a plain function between modules.

    Attributes:
        module: the module or function.
        variables: the module's own variables; for a stack, those of its elements too.
        place: keys from the root of a collection down to the module.
        children: the elements, if the module is a plain stack.
        strays: variables below a stack that belong to none of its elements, by full name.
    """

    module: Any
    variables: Variables
    place: tuple[str, ...] = ()
    children: list[LinenNode] | None = None
    strays: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def keys(count: int) -> tuple[str, ...]:
    """What Linen calls the elements of a stack."""
    return tuple(f"layers_{index}" for index in range(count))


@lru_cache(maxsize=256)
def meeting_order(count: int) -> tuple[int, ...]:
    """The order in which Linen meets them.

    Example:
        >>> meeting_order(12)
        (0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)
    """
    return tuple(sorted(range(count), key=str))


def plain(tree: Any) -> Any:
    """A tree of mappings, frozen ones among them, as plain dicts of its own.

    Example:
        >>> from flax.core import freeze
        >>> plain(freeze({"params": {"bias": 1}}))
        {'params': {'bias': 1}}
    """
    if isinstance(tree, dict | Mapping):
        return {key: plain(below) for key, below in tree.items()}
    return tree


def grow(module: Any, variables: Variables) -> LinenNode:
    """A node for a module and for everything below it, each with its own variables.

    Args:
        module: an unbound module.
        variables: the whole tree of its variables, in plain dicts.
    """
    root = LinenNode(module, variables)
    _grow(root, {_identity(module): root})
    return root


def _identity(module: Any) -> Any:
    # A copy.copy() of a module is the same module to Linen: it goes by this number.
    return vars(module).get("_id", id(module))


def _grow(node: LinenNode, known: dict[Any, LinenNode]) -> None:
    if type(node.module) is not linen.Sequential:
        return
    layers: Sequence[Any] = node.module.layers
    children: dict[int, LinenNode] = {}
    met: dict[str, LinenNode] = {}
    for index in meeting_order(len(layers)):
        element = layers[index]
        if not isinstance(element, linen.Module):
            children[index] = LinenNode(element, {})
            continue
        child = known.get(_identity(element))
        if child is None:
            key = key_of(element, f"layers_{index}")
            below = {
                collection: tree[key]
                for collection, tree in node.variables.items()
                if isinstance(tree, dict) and key in tree
            }
            child = met[key] = LinenNode(element, below, (*node.place, key))
            known[_identity(element)] = child
        children[index] = child
    node.children = [children[index] for index in range(len(layers))]
    node.strays = tuple(
        name
        for collection, tree in node.variables.items()
        for name in _strays(tree, met, "/".join((collection, *node.place)))
    )
    for child in met.values():
        _grow(child, known)


def key_of(module: Any, adopted: str) -> str:
    """The key of a module's variables below the module that it was given to.

    Args:
        module: the module.
        adopted: what the other calls it.
    """
    # A process-wide switch of flax lets the modules' own names stand.
    own: str | None = module.name if config.flax_preserve_adopted_names else None
    return own or adopted


def _strays(tree: Any, taken: Mapping[str, Any], prefix: str) -> Iterator[str]:
    if not isinstance(tree, dict):
        yield prefix
        return
    for key, below in tree.items():
        if key not in taken:
            yield from (name for name, _ in leaves(below, f"{prefix}/{key}", "/"))


def leaves(tree: Any, prefix: str, separator: str) -> Iterator[tuple[str, Any]]:
    """Everything in a tree of dicts that is no dict, with its joined keys.

    Example:
        >>> list(leaves({"hi": {"kernel": 1}, "bias": None}, "", "."))
        [('hi.kernel', 1)]
    """
    if isinstance(tree, dict):
        start = prefix + separator if prefix else ""
        for key, below in tree.items():
            yield from leaves(below, f"{start}{key}", separator)
    elif tree is not None:  # as everywhere in jax, None holds nothing
        yield prefix, tree


def assemble(root: LinenNode) -> tuple[Any, Variables]:
    """The module of a node that was built, and the tree of all variables below it."""
    if root.children is None:
        return root.module, root.variables
    variables: Variables = {}
    if not _place(root, variables, (), {id(root): ()}):
        # Some layer stands in two places: Linen's own order decides which of them counts.
        places = _places(root)
        variables = {}
        _place(root, variables, (), places, settled=True)
    return root.module, variables


def _place(
    node: LinenNode,
    variables: Variables,
    here: tuple[str, ...],
    places: dict[int, tuple[str, ...]],
    *,
    settled: bool = False,
) -> bool:
    """Put the variables below a stack into the tree; whether every layer stands once."""
    children = node.children or ()
    for key, child in zip(keys(len(children)), children, strict=True):
        there = (*here, key)
        if settled:
            if places[id(child)] != there:
                continue
        elif places.setdefault(id(child), there) is not there:
            return False
        if child.children is not None:
            if not _place(child, variables, there, places, settled=settled):
                return False
            continue
        for collection, own in child.variables.items():
            tree = variables.setdefault(collection, {})
            for above in here:
                tree = tree.setdefault(above, {})
            tree[key] = own
    return True


def _places(root: LinenNode) -> dict[int, tuple[str, ...]]:
    """Where Linen meets each node first."""
    places: dict[int, tuple[str, ...]] = {id(root): ()}

    def meet(node: LinenNode) -> None:
        children = node.children or []
        fresh = []
        for index in meeting_order(len(children)):
            child = children[index]
            if id(child) not in places:
                places[id(child)] = (*places[id(node)], f"layers_{index}")
                fresh.append(child)
        for child in fresh:
            meet(child)

    meet(root)
    return places
