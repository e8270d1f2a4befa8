"""Going through a model layer by layer, with the data in the core's convention in between.

Imports `plan` and `calling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .bridge import Framework
from .calling import Call
from .errors import Path
from .plan import Node, Plan

Run = Callable[[Node, Any, Call], Any]
"""Calls the source's layer that stands in one place."""


def places(node: Node) -> Iterator[Node]:
    """The layers of a plan in the order of the data; a stack that stands twice counts twice.

    Args:
        node: the root of the plan, or any place in it.
    """
    if node.children is None:
        yield node
        return
    for child in (node.first or node).children or ():
        yield from places(child)


def layers_of(framework: Framework, node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The layers of a model with their paths, in the order of the data."""
    children = framework.children(node)
    if children is None:
        yield path, node
    for index, child in enumerate(children or ()):
        yield from layers_of(framework, child, (*path, "layers", index))


@dataclass(frozen=True, slots=True)
class Passage:
    """What happens at one layer of the source.

    Attributes:
        node: the place.
        x: the input, in the core's convention.
        first: whether the framework's data has the channels first here.
        y: the output, in the core's convention.
    """

    node: Node
    x: Any
    first: bool
    y: Any


def passages(plan: Plan, source: Any, x: Any, leading: int, run: Run) -> Iterator[Passage]:
    """Send an input through the source of a plan.

    Axis moves that stand on one side alone turn that side's data; they are no passage.

    Args:
        plan: the plan, without problems.
        source: the model that the plan is of, or one that is equal but for its arrays.
        x: a batch, in the core's convention.
        leading: how many batch axes it has.
        run: calls a layer.
    """
    outward = plan.target is plan.bridge
    first = plan.channels_first_in
    layers = layers_of(plan.source, source)
    for node in places(plan.root):
        layer = None if node.source is None else next(layers)[1]
        if node.source is None or node.absorbed:
            first = not first
            if node.absorbed == outward:  # the core's side has the move
                assert node.recipe is not None
                move: Any = layer if outward else node.recipe.core
                x = move(x)
            continue
        y = run(node, layer, Call(x, leading, first_in=first, first_out=first))
        yield Passage(node, x, first, y)
        x = y
