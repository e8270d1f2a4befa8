"""How a layer that holds layers is converted: each of them by its own row, inside the holder's.

A framework whose layers do not hold their arrays, or are not what their constructors take, says of
its nodes by members beyond `Framework`: ``inside(node, name)``, the node of a layer that one holds
under a parameter's name; ``inside_name(node, name, array)``, what the holder calls an array of it,
with ``None`` for a node that is not there yet; ``as_argument(node)``, the layer as a constructor
takes it. Imports `_recipe`, `bridge`, `errors` and `holding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from ._recipe import Move, Recipe, Size
from .bridge import Framework
from .errors import (
    InteropError,
    Path,
    Problem,
    Refusal,
    UnmappedLayerError,
    UnsupportedLayerError,
    UnsupportedStructureError,
)
from .holding import Part
from .mapping import Config, LayerMap, Unconvertible

Find = Callable[..., Recipe | Unconvertible | list[Problem] | None]
"""`recipe.find_recipe` with the frameworks known."""


@dataclass(frozen=True, slots=True)
class Inner:
    """One layer inside another, on its way.

    Attributes:
        part: what the holder's row says of it.
        recipe: how it is converted.
        moves: its arrays by the holder's names.
        shapes: what its counterpart's arrays will be, in the order of the moves.
        target: the side of the counterpart.
    """

    part: Part
    recipe: Recipe
    moves: tuple[Move, ...]
    shapes: tuple[jax.ShapeDtypeStruct, ...]
    target: Framework

    def counterpart(self) -> Any:
        """The target's layer with shapes for arrays, as a constructor takes it."""
        return _as_argument(self.target, self.recipe.build(self.shapes))


def _as_argument(framework: Framework, node: Any) -> Any:
    said = getattr(framework, "as_argument", None)
    return node if said is None else said(node)


def _stand_in(dtype: Any) -> Any:
    # The array itself takes the place later; a shape of a type that is switched off warns.
    return jax.dtypes.canonicalize_dtype(dtype)


class Parts:
    """The layers that one layer holds.

    Args:
        row: the holder's row.
        source: the side that it is of.
        target: the side of its counterpart.
        outward: whether it is a core layer.
        place: the holder.
        example: shape of one example of the holder, if known.
        path: where the holder is.
        config: the holder's configuration.
        find: finds a recipe.

    Attributes:
        inner: those that convert.
        problems: what is wrong with the others.
        arrays: names of the arrays that are theirs, as the holder calls them.
        absent: those that may be left out, and are.
    """

    def __init__(
        self,
        row: LayerMap,
        source: Framework,
        target: Framework,
        *,
        outward: bool,
        place: Any,
        example: Size | None,
        path: Path,
        config: Config,
        find: Find,
    ) -> None:
        self._source, self._target, self._outward = source, target, outward
        self._place, self._example, self._path, self._find = place, example, path, find
        self.inner: list[Inner] = []
        self.problems: list[Problem] = []
        self.arrays: set[str] = set()
        self.absent: list[Part] = []
        for part in row.parts:
            name = part.core if outward else part.foreign
            if part.optional and config.get(name, self) is None:
                self.absent.append(part)
            else:
                self._read(part, name)

    def _read(self, part: Part, name: str) -> None:
        source = self._source
        inside = getattr(source, "inside", None)
        node = getattr(self._place, name) if inside is None else inside(self._place, name)
        path = (*self._path, name)
        title = source.title(node)
        try:
            if source.children(node) is not None:
                raise Refusal(
                    f"is a stack, where {source.title(self._place)} holds a single layer",
                    "convert it on its own",
                )
            leaves = source.leaves(node)
            names = {array: self._name(source, self._place, name, array) for array in leaves}
            self.arrays.update(names.values())
            part.check("core" if self._outward else "foreign", _as_argument(source, node))
            example = None if self._example is None else part.example(self._example)
            key = tuple(source.config(node).values())
            found = self._find(node, leaves, key, example=example, path=path, stacked=False)
            if isinstance(found, Recipe):
                self.inner.append(self._inner(part, found, leaves, names))
            elif isinstance(found, list):
                self.problems += found
            elif found is None:
                raise Refusal(
                    "no row names exactly this layer",
                    "register_layer_mapping(LayerMapping(...)) for what holds it",
                    UnmappedLayerError,
                )
            else:
                reason = f"has no counterpart: {found.reason}"
                raise Refusal(reason, found.advice, UnsupportedLayerError)
        except Refusal as refusal:
            self._note(path, title, refusal)

    def _inner(
        self, part: Part, recipe: Recipe, leaves: Mapping[str, Any], names: Mapping[str, str]
    ) -> Inner:
        if not isinstance(recipe.entry, LayerMap):
            raise Refusal(
                "is converted by functions of its own, which a layer around it cannot wait for",
                "register_layer_mapping for the layer that holds it",
            )
        theirs = part.foreign if self._outward else part.core
        moves, shapes = [], []
        for move in recipe.moves:
            there = tuple(self._name(self._target, None, theirs, name) for name in move.target)
            moves.append(Move(tuple(names[name] for name in move.source), there, move.layout))
            taken = [leaves[name] for name in move.source]
            for shape in move.layout.shapes(tuple(tuple(array.shape) for array in taken)):
                shapes.append(jax.ShapeDtypeStruct(shape, _stand_in(taken[0].dtype)))
        return Inner(part, recipe, tuple(moves), tuple(shapes), self._target)

    def _note(self, path: Path, title: str, refusal: Refusal) -> None:
        error: type[InteropError] = refusal.error or UnsupportedStructureError
        self.problems.append(Problem(path, title, error, refusal.reason, refusal.advice))

    @staticmethod
    def _name(framework: Framework, node: Any, part: str, array: str) -> str:
        said = getattr(framework, "inside_name", None)
        return f"{part}.{array}" if said is None else str(said(node, part, array))

    def cores(self) -> dict[str, Any]:
        """Core layers without arrays, by the parameter of the core layer that holds them."""
        found: dict[str, Any] = {inner.part.core: inner.recipe.core for inner in self.inner}
        return found | {part.core: None for part in self.absent}

    def counterparts(self) -> dict[str, Any]:
        """The target's layers with shapes for arrays, by the parameter of their holder there."""
        side = "foreign" if self._outward else "core"
        made = {getattr(inner.part, side): inner.counterpart() for inner in self.inner}
        return made | {getattr(part, side): None for part in self.absent}

    def through(self) -> Recipe | None:
        """The recipe of the one layer that all data goes through, if the row says so."""
        return next((inner.recipe for inner in self.inner if inner.part.through), None)
