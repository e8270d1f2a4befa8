"""Working out what a conversion will do, from structure and configuration alone.

`Planner` walks a model, finds the row of every layer, translates its options, names every array's
way and collects every problem. Imports everything below: `plan`, `registry`, `channels`, `recipe`
and the core's own layers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from .bridge import Bridge, Framework
from .channels import Stream, Widen
from .errors import (
    InteropError,
    MissingShapeError,
    Path,
    Problem,
    Refusal,
    UnmappedLayerError,
    UnsupportedLayerError,
    UnsupportedStructureError,
)
from .mapping import LayerMapping, Unconvertible
from .plan import Node, Plan
from .recipe import Recipe, find_recipe
from .registry import for_core, for_foreign
from .ties import Ties

_NOTHING: Iterable[tuple[str, Any]] = ()


def _none(_: Any) -> tuple[Any, ...]:
    return ()


class Planner:
    """Walks one model; see `make_plan`."""

    def __init__(self, source: Framework, target: Framework, bridge: Bridge, stream: Stream):
        self.source, self.target, self.bridge = source, target, bridge
        self.outward = target is bridge
        self.stream = stream
        self.problems: list[Problem] = []
        self._seen: dict[Hashable, Node] = {}
        self._lost = False
        self._ties = Ties()
        self._holders = getattr(source, "holders", _none)
        self._survey = getattr(source, "survey", self._survey_by_parts)

    def _survey_by_parts(
        self, place: Any
    ) -> tuple[Mapping[str, Any], tuple[Any, ...], Iterable[tuple[str, Any]]]:
        source = self.source
        return source.leaves(place), tuple(source.config(place).values()), self._holders(place)

    def visit(self, place: Any, path: Path, *, stacked: bool) -> Node:
        """Plan the layer or stack at one place; problems are noted, not raised."""
        source = self.source
        title = source.title(place)
        try:
            children = source.children(place)
        except Refusal as refusal:
            self._note(path, title, refusal, UnsupportedStructureError)
            return Node(path, title, place)
        if children is None:
            return self._layer(place, path, title, stacked)
        return self._stack(place, children, path, title)

    def _stack(self, place: Any, children: Any, path: Path, title: str) -> Node:
        identity = self.source.identity(place)
        first = self._seen.get(identity)
        if first is not None:
            return self._stack_again(place, path, title, first)
        entry, size = self.stream.moved, self.stream.size
        node = Node(path, title, place, children=[])
        self._seen[identity] = node
        assert node.children is not None
        for refusal in getattr(self.source, "strays", _none)(place):
            self._note(path, title, refusal, UnsupportedStructureError)
        for index, child in enumerate(children):
            here = (*path, "layers", index)
            planned = self.visit(child, here, stacked=True)
            for move in self.stream.take_moves():
                node.children.append(Node(here, "axis move", recipe=move))
            node.children.append(planned)
        # What the first caring layer decides holds for the data that enters the stack.
        node.entered = (self.stream.entry if entry is None else entry, size)
        node.left = self.stream.moved
        return node

    def _stack_again(self, place: Any, path: Path, title: str, first: Node) -> Node:
        """The same stack a second time: the same layers, so the data has to be alike."""
        node = Node(path, title, place, children=[], first=first)
        if first.entered is None:
            refusal = Refusal("stands inside itself, and never ends", "take it out of itself")
            self._note(path, title, refusal, UnsupportedStructureError)
            return node
        moved, size = first.entered
        now = self.stream.size
        if self.bridge.channels_first and size != now and None not in (size, now):
            refusal = Refusal(
                f"is used on examples of the shapes {size} and {now}", "use two stacks"
            )
            self._note(path, title, refusal, UnsupportedStructureError)
            return node
        if moved is not None:
            self.stream.demand(moved, self.target, self.outward)
        for inner in first.walk():
            if inner.recipe is not None and inner.source is not None:
                self._advance(inner.recipe, path, title, inner.absorbed)
        self.stream.moved = first.left if first.left is not None else self.stream.moved
        return node

    def _layer(self, place: Any, path: Path, title: str, stacked: bool) -> Node:
        identity = self.source.identity(place)
        first = self._seen.get(identity)
        node = Node(path, title, place, first=first)
        if first is None:
            self._seen[identity] = node
        try:
            key, holders = None, _NOTHING
            if first is None:
                node.leaves, key, holders = self._survey(place)
            else:
                node.leaves = first.leaves
            node.recipe = recipe = self._recipe(place, path, title, node, stacked, key)
            if recipe is not None:
                by_hand = isinstance(recipe.entry, LayerMapping)
                for tie in self._ties.check(holders, path, inside=not by_hand):
                    self._note(path, title, tie, UnsupportedStructureError)
                absorbs = stacked and self.bridge.channels_first  # on its own it is the model
                node.absorbed = absorbs and self.stream.absorbs(recipe, self.outward)
                if not node.absorbed and self._meet(recipe, node):  # another shape in the core
                    recipe = self._recipe(place, path, title, node, stacked, key) or recipe
                    node.recipe = recipe
                self._advance(recipe, path, title, node.absorbed)
            else:
                self._lose_track()
        except Refusal as refusal:
            self._note(path, title, refusal, UnsupportedLayerError)
            self._lose_track()
        return node

    def _lose_track(self) -> None:
        """Behind a layer that does not convert nobody knows the shape, and no one is to blame."""
        self.stream.size = None
        self._lost = True

    def _recipe(
        self, place: Any, path: Path, title: str, node: Node, stacked: bool, key: Any
    ) -> Recipe | None:
        if self.outward:
            self._heed_declared(place)
        first = node.first.recipe if node.first is not None else None
        if node.first is not None and (first is None or not self.outward or not first.sized):
            return first
        found = find_recipe(
            self.source,
            self.target,
            self.bridge,
            place,
            node.leaves,
            self._survey(place)[1] if key is None else key,
            example=self.stream.size,
            path=path,
            stacked=stacked,
        )
        if isinstance(found, Recipe):
            if first is not None and found.target_options != first.target_options:
                raise Refusal(
                    "is used on examples of different shapes, and becomes another layer for each",
                    "use two layers",
                    UnsupportedStructureError,
                )
            return first or found
        if isinstance(found, Unconvertible):
            reason = f"has no counterpart: {found.reason}"
            self._note(path, title, Refusal(reason, found.advice), UnsupportedLayerError)
        elif found is None:
            self._unknown(place, path, title)
        else:
            for problem in found:
                self._add(problem)
        return None

    def _heed_declared(self, place: Any) -> None:
        """Take what a core layer says of its input where the size is not known better."""
        declared = getattr(place, "in_size", None)
        size = self.stream.size
        if declared is None:
            return
        if size is None:
            self.stream.guess(tuple(declared))
        elif self.stream.may_widen and len(declared) > len(size) and declared[-1:] == size[-1:]:
            raise Widen(tuple(declared[: len(declared) - len(size)]))

    def _unknown(self, place: Any, path: Path, title: str) -> None:
        if self.source.holds_layers(place):
            self._note(
                path,
                title,
                Refusal(
                    "has a forward of its own around the layers it holds",
                    "convert its parts one by one, or register_layer_mapping for this class",
                ),
                UnsupportedStructureError,
            )
            return
        framework = self.bridge.name
        advice = f"register_layer_mapping(LayerMapping(..., {framework!r}, ...)) teaches it"
        parent = self.source.key(place)
        bases = parent.__mro__[1:] if isinstance(parent, type) else ()
        known = [base.__name__ for base in bases if self._is_known(base)]
        reason = f"no row names exactly this layer for {self.bridge.label}"
        if known:
            reason += f" (it extends {known[0]}, and may compute something else)"
        self._note(path, title, Refusal(reason, advice), UnmappedLayerError)

    def _is_known(self, key: Hashable) -> bool:
        found = for_core(self.bridge, key) if self.outward else for_foreign(self.bridge, key)
        return bool(found)

    def _meet(self, recipe: Recipe, node: Node) -> bool:
        """Have the data as the layer takes it: channels where, axes how many. Tell if it turned."""
        if not self.bridge.channels_first:
            return False
        size, rank = self.stream.size, recipe.example_rank
        if rank is not None and size is not None:
            rank += 0 if self.outward else self.bridge.lifted(node.source)
            if len(size) < rank or (len(size) > rank and not self.outward):
                raise Refusal(
                    f"takes {rank} axes for one example and gets the shape {size}",
                    "pass sample_input=<one unbatched example, channels last, or its shape>",
                    MissingShapeError,
                )
            node.axes = len(size) - rank
        if recipe.channels != "any" and (size is None or len(size) > 1):
            self.stream.demand(recipe.channels == "first", self.target, self.outward)
        return size != self.stream.size

    def _advance(self, recipe: Recipe, path: Path, title: str, absorbed: bool) -> None:
        """Carry the shape of the example past a layer."""
        if absorbed and not self.outward:
            return  # the framework's data turned, the core's did not
        size = self.stream.size
        if size is None:
            if self.outward:
                exact = self.bridge.channels_first and not self._lost
                self.stream.resume(recipe.declared_out, exact=exact)
            return
        try:
            same = self.bridge.channels_first and recipe.channels == "same"
            self.stream.pass_by(recipe.output_size(size), same=same)
        except ValueError as error:
            self.stream.size = recipe.declared_out
            if self.outward and self.stream.guessed and not self.bridge.channels_first:
                return  # the guess was wrong, and such a framework does not ask for it
            refusal = Refusal(str(error), "pass a sample_input that fits, channels last, unbatched")
            kind = UnsupportedStructureError if self.outward else MissingShapeError
            self._note(path, title, refusal, kind)

    def _note(self, path: Path, title: str, refusal: Refusal, error: type[InteropError]) -> None:
        self._add(Problem(path, title, refusal.error or error, refusal.reason, refusal.advice))

    def _add(self, problem: Problem) -> None:
        if not (self._lost and problem.error is MissingShapeError):
            self.problems.append(problem)


def make_plan(
    model: Any,
    source: Framework,
    target: Framework,
    bridge: Bridge,
    *,
    example: tuple[int, ...] | None = None,
    channels: str = "native",
) -> Plan:
    """Plan the conversion of a model.

    Args:
        model: a node of the source side.
        source: the side that the model is of.
        target: the side that it shall be of; one of the two is ``bridge``.
        bridge: the framework whose rows are used.
        example: shape of one unbatched input in the core's convention.
        channels: ``"native"`` for a channels-first framework's own convention at both ends,
            ``"last"`` for the core's.

    Returns:
        The plan, with every problem found; nothing is raised for them.
    """
    stream = Stream(example, moved=False if channels == "last" else None)
    planner, root = _walk(model, source, target, bridge, stream)
    stream = planner.stream
    before = stream.take_moves()
    if channels == "last" and bridge.channels_first:
        stream.demand(False, target, planner.outward)
    after = stream.take_moves()
    if before or after:
        nodes = [
            [Node((), "axis move", recipe=move) for move in moves] for moves in (before, after)
        ]
        if root.children is None:
            root = Node((), root.title, children=[*nodes[0], root, *nodes[1]])
        else:
            root.children += nodes[1]
    return Plan(
        source,
        target,
        bridge,
        root,
        tuple(planner.problems),
        bool(stream.entry),
        bool(stream.moved),
        stream.example,
    )


def _walk(
    model: Any, source: Framework, target: Framework, bridge: Bridge, stream: Stream
) -> tuple[Planner, Node]:
    """Visit the whole model; once more where what was guessed of its entrance does not hold."""
    planner = Planner(source, target, bridge, stream)
    try:
        root = planner.visit(model, (), stacked=False)
    except Widen as widen:
        return _walk(model, source, target, bridge, stream.widened(widen.leading))
    if planner.problems and stream.turned:
        other = Planner(source, target, bridge, stream.entering(moved=False))
        other_root = other.visit(model, (), stacked=False)
        if not other.problems:
            return other, other_root
    return planner, root
