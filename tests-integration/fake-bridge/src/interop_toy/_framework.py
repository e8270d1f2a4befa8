"""How Toy layers are read, recognised and built.

The one place of this package that knows how Toy holds its arrays.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from interop_core.bridge import Build
from interop_core.core_side import not_a_model
from interop_core.errors import Refusal
from interop_core.functions import function_of, keywords_of, name_of, with_keywords
from interop_core.mapping import Config, LayerMap, Unconvertible
from interop_core.options import parameters

from . import stand_in
from ._rows import ROWS, UNCONVERTIBLE, UNCONVERTIBLE_CORE

ARRAYS = ("weight", "bias")
"""Attributes in which a layer of the framework may hold an array."""


class ToyBridge:
    """Toy as one side of a conversion."""

    name = "toy"
    label = "Toy"
    prefix = "toy."
    function_title = "{}"
    rows: tuple[LayerMap, ...] = ROWS
    unconvertible: tuple[Unconvertible, ...] = UNCONVERTIBLE
    unconvertible_core: tuple[Unconvertible, ...] = UNCONVERTIBLE_CORE
    # Parameters of any layer that say how it starts and not what it computes.
    ignored = frozenset({"seed"})
    channels_first = False

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no layer."""
        if not _is_layer(model):
            raise not_a_model(model, self.label)

    def key(self, node: Any) -> Hashable:
        """The exact class, or the function that the element is."""
        return _class_of(node) if _is_layer(node) else function_of(node)

    def title(self, node: Any) -> str:
        """``toy.Linear``; a function's own name."""
        return self.prefix + type(node).__name__ if _is_layer(node) else name_of(node)

    def identity(self, node: Any) -> Hashable:
        """One object, one layer."""
        return id(node)

    def children(self, node: Any) -> Sequence[Any] | None:
        """The elements of a plain stack; a subclass may do something else with them."""
        return node.layers if type(node) is stand_in.Stack else None

    def holds_layers(self, node: Any) -> bool:
        """Whether the node is a stack with a class of its own."""
        return isinstance(node, stand_in.Stack)

    def config(self, node: Any) -> dict[str, Any]:
        """The constructor's parameters that the layer keeps."""
        if not _is_layer(node):
            return keywords_of(node)
        held = vars(node)
        return {name: held[name] for name in parameters(_class_of(node)) if name in held}

    def audit(self, node: Any) -> None:
        """Nothing beyond the configuration and the arrays makes a difference."""

    def leaves(self, node: Any) -> Mapping[str, Any]:
        """The layer's arrays by name."""
        if not _is_layer(node):
            return {}
        held = vars(node)
        return {name: held[name] for name in ARRAYS if held.get(name) is not None}

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """Make a layer without running its constructor, so that nothing is drawn at random."""
        if not isinstance(target, type):
            function = with_keywords(target, options)
            return lambda _: function
        strangers = set(names) - set(ARRAYS)
        if strangers:
            raise Refusal(f"the row names arrays that no layer has: {sorted(strangers)}")
        blank = {**dict.fromkeys(ARRAYS), **options}

        def build(arrays: Sequence[Any]) -> Any:
            layer: Any = object.__new__(target)
            vars(layer).update(blank, **dict(zip(names, arrays, strict=True)))
            return layer

        return build

    def stack(self, layers: Sequence[Any]) -> stand_in.Stack:
        """A `Stack`."""
        return stand_in.Stack(layers)

    def lift(self, layer: Any, axes: int) -> Any:
        """The layers take leading axes as they are."""
        return layer

    def lifted(self, node: Any) -> int:
        """No layer is lifted."""
        return 0

    def lend(self, node: Any) -> Any:
        """The layer."""
        return node

    def adopt(self, layer: Any) -> Any:
        """The layer."""
        return layer


def _is_layer(node: Any) -> bool:
    return isinstance(node, stand_in.Layer)


def _class_of(node: Any) -> Any:
    return type(node)
