"""What a conversion will do, as data: a `Plan` of a `Node` for every place in the model.

`planner` works it out, `convert` carries it out and `explain` shows it. Imports `bridge`, `recipe`
and the errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .bridge import Bridge, Framework
from .errors import Path, Problem, raise_problems
from .recipe import Recipe


@dataclass(slots=True)
class Node:
    """One place in a model.

    Attributes:
        path: where it is in the source.
        title: the source layer's name.
        source: the source layer; ``None`` for an axis move that stands in the target alone.
        leaves: the source layer's arrays.
        recipe: how the layer is made; ``None`` for a stack.
        children: the elements, if the node is a stack.
        first: the node that holds the same layer earlier in the model.
        axes: on how many leading axes the target's layer is lifted.
        absorbed: whether the target needs no layer here: an axis move whose data is so already.
        entered: of a stack, the convention and the shape that its data enters in; ``None`` while
            its elements are being planned.
        left: the convention that the data leaves it in.
    """

    path: Path
    title: str
    source: Any = None
    leaves: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    children: list[Node] | None = None
    first: Node | None = None
    axes: int = 0
    absorbed: bool = False
    entered: tuple[bool | None, tuple[int, ...] | None] | None = None
    left: bool | None = None

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the model."""
        yield self
        for child in self.children or ():
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Plan:
    """A conversion that has been thought through and not yet done.

    Attributes:
        source: the side that the model is of.
        target: the side that it becomes one of.
        bridge: the framework whose rows are used.
        root: the model.
        problems: everything that stands in the way.
        channels_first_in: whether the framework's model takes spatial data channels first where
            the core's takes it channels last.
        channels_first_out: whether it gives it so.
        example: shape of one unbatched input in the core's convention, if known.
    """

    source: Framework
    target: Framework
    bridge: Bridge
    root: Node
    problems: tuple[Problem, ...]
    channels_first_in: bool
    channels_first_out: bool
    example: tuple[int, ...] | None

    def require(self) -> Plan:
        """The plan itself where it can be carried out; else raise every problem in one error."""
        raise_problems(self.problems)
        return self
