"""How one layer becomes its counterpart: the row, applied to one configuration.

Layers of equal configuration share a recipe, so that a model of many equal layers is thought
through once. Imports `bridge`, `registry`, `options` and the core's abstract construction.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from ._in_use import put_in_use
from ._recipe import Move, Recipe, Size, array_key, lined_up
from .axis_names import with_names
from .bridge import Bridge, Framework
from .composite import Parts
from .errors import (
    ConversionError,
    InteropError,
    MissingShapeError,
    Path,
    Problem,
    Refusal,
    UnsupportedConfigurationError,
    UnsupportedStructureError,
)
from .functions import class_title, name_of
from .graph import leaves as core_leaves
from .mapping import (
    Config,
    Context,
    LayerMap,
    LayerMapping,
    Leaf,
    Side,
    Unconvertible,
)
from .nn.init import abstract
from .options import CORE_IGNORED, Translation, parameters
from .params import held_otherwise, not_an_array, transformed
from .registry import for_core, for_foreign, version

__all__ = ["Recipe", "find_recipe"]

_recipes: dict[Hashable, Recipe] = {}
_RECIPES_KEPT = 4096


def find_recipe(
    source: Framework,
    target: Framework,
    bridge: Bridge,
    place: Any,
    leaves: Mapping[str, Any],
    config_key: tuple[Any, ...],
    *,
    example: Size | None,
    path: Path,
    stacked: bool,
) -> Recipe | Unconvertible | list[Problem] | None:
    """The recipe for a layer; or why there is none.

    Args:
        source: the side that the layer is of.
        target: the side of its counterpart.
        bridge: the one of the two whose rows are used.
        place: the layer.
        leaves: its arrays.
        config_key: equal for layers of one kind that have equal configurations.
        example: shape of one unbatched input, if known.
        path: where the layer is.
        stacked: whether it stands in a stack.

    Returns:
        The recipe; an `Unconvertible` that says why the layer has no counterpart; the problems
        of its configuration or arrays; or ``None`` for a layer that no row names.

    Raises:
        Refusal: for a problem that is not one of a single option or array.
    """
    outward = target is bridge
    key: Hashable = (
        id(bridge),
        outward,
        stacked,
        version(),
        source.key(place),
        example,
        config_key,
        tuple(map(type, config_key)),  # 1, 1.0 and True are equal, and do not compute the same
        array_key(leaves),
    )
    try:
        known = _recipes.get(key)
    except TypeError:  # an option that cannot be hashed, such as a mask
        key, known = None, None
    if known is not None:
        return known
    maker = _Maker(source, target, bridge, place, leaves, example, path)
    made = maker.make(source.config(place), stacked)
    if isinstance(made, Recipe) and key is not None and _lasts(made.entry):
        if len(_recipes) >= _RECIPES_KEPT:
            _recipes.clear()
        _recipes[key] = made
    return made


def _lasts(entry: LayerMap | LayerMapping | None) -> bool:
    # What a layer holds may change while it stays the same object.
    return isinstance(entry, LayerMap) and not entry.parts


class _Maker:
    """Works out one recipe; see `find_recipe`."""

    def __init__(
        self,
        source: Framework,
        target: Framework,
        bridge: Bridge,
        place: Any,
        leaves: Mapping[str, Any],
        example: Size | None,
        path: Path,
    ) -> None:
        self.source, self.target, self.bridge = source, target, bridge
        self.outward = target is bridge
        self.place, self.leaves, self.example, self.path = place, leaves, example, path
        self.given = leaves
        self.title = source.title(place)
        self.problems: list[Problem] = []

    def make(
        self, config: dict[str, Any], stacked: bool
    ) -> Recipe | Unconvertible | list[Problem] | None:
        config["example"] = self.example
        for name, array in self.leaves.items():
            config[f"{name}.shape"] = tuple(getattr(array, "shape", ()))
            config[f"{name}.dtype"] = getattr(array, "dtype", None)
        config["stacked"] = stacked
        entry = self._entry(config, stacked)
        if entry is None or isinstance(entry, Unconvertible):
            return entry
        if isinstance(entry, LayerMapping):
            return self._by_hand(entry)
        if stacked and entry.alone:
            raise Refusal(
                f"cannot stand inside a stack: {entry.alone}",
                "convert it on its own",
                UnsupportedStructureError,
            )
        if not self.outward and self.bridge.lifted(self.place) and entry.example_rank is None:
            raise Refusal(
                "is lifted over leading axes, which its counterpart does not leave apart",
                error=UnsupportedStructureError,
            )
        recipe = self._by_row(entry, config)
        if recipe is not None:
            self.source.audit(self.place)
        return self.problems or recipe

    def _entry(
        self, config: Config, stacked: bool
    ) -> LayerMap | LayerMapping | Unconvertible | None:
        key = self.source.key(self.place)
        entries = (for_core if self.outward else for_foreign)(self.bridge, key)
        if isinstance(entries, Unconvertible):
            return entries
        if not entries:
            return None
        for entry in entries:
            if isinstance(entry, LayerMapping):
                return entry
            if (entry.chosen if self.outward else entry.select)(config):
                return entry
        raise Refusal("no row takes this configuration", error=UnsupportedConfigurationError)

    def _by_hand(self, mapping: LayerMapping) -> Recipe:
        context = Context(self.bridge.name, self.path, self.example)
        source, target, place = self.source, self.target, self.place
        if self.outward:

            def build(_: Any) -> Any:
                return target.adopt(mapping.to_foreign(source.lend(place), context))

            return Recipe(mapping.foreign_type.__name__, (), build, core=place, entry=mapping)
        # The core layer has to exist for its sizes to be known: the layers behind it need them.
        made = mapping.to_bst(source.lend(place), context)
        return Recipe(mapping.bst_type.__name__, (), lambda _: made, core=made, entry=mapping)

    def _by_row(self, row: LayerMap, config: Config) -> Recipe | None:
        parts = self._parts(row, config) if row.parts else None
        side: Side = "core" if self.outward else "foreign"
        ignored = frozenset(CORE_IGNORED.names) if self.outward else self.bridge.ignored
        translation = Translation(row, side, config, ignored)
        options = {n: v for n, v in translation.options.items() if not n.endswith(".shape")}
        core_options: Config = config
        if not self.outward:
            core_options = {**parameters(row.core), **options, "example": self.example}
        if parts is not None:
            core_options = {**core_options, **parts.cores()}
        complaints = list(translation.errors())
        refused = {n: a for n, a in self.leaves.items() if isinstance(a, Refusal)}
        for name, refusal in refused.items():
            self._note(ConversionError, refusal, name)
        by_name = not refused and all(error is self._misfit() for error, *_ in complaints)
        if by_name:
            self._check_names(row, core_options)  # one problem for all that is missing
        for error, name, value, refusal in complaints:
            if not by_name or self.leaves.keys() >= set(refusal.arrays):
                self._note(error, refusal, name, value)
        core = None if self.problems else self._abstract_core(row, core_options)
        if core is None:
            return None
        for name, refusal in self._states_apart(core):
            self._note(ConversionError, refusal, name)
        moves = self._moves(row, core_options, core)
        through = None
        if parts is not None:
            moves += tuple(move for inner in parts.inner for move in inner.moves)
            options |= parts.counterparts()
            through = parts.through()
        rank = None if through is None else through.example_rank
        channels = row.channels_at(core_options)
        if self.bridge.channels_first:
            channels = lined_up(channels, core_options, self.example)
        names = tuple(name for move in moves for name in move.target)
        cls = row.foreign if self.outward else row.core
        build = self.target.builder(cls, options, names)
        given = {} if self.problems else self.given
        build, lost = with_names(self.source, self.target, build, moves, given, self._note)
        recipe = Recipe(
            self._target_title(row),
            moves,
            build,
            core,
            core_options,
            channels if through is None else through.channels,
            row.example_rank(core_options) if row.example_rank else rank,
            row,
            options,
            lost=lost,
        )
        if self.example is None:
            return recipe
        try:
            after = recipe.output_size(self.example)
        except ValueError:  # the planner asks again and hears why
            after = None
        return replace(recipe, example=self.example, example_out=after)

    def _parts(self, row: LayerMap, config: Config) -> Parts:
        """The layers that this one holds; their arrays are no longer taken for its own."""
        find = partial(find_recipe, self.source, self.target, self.bridge)
        parts = Parts(
            row,
            self.source,
            self.target,
            outward=self.outward,
            place=self.place,
            example=self.example,
            path=self.path,
            config=config,
            find=find,
        )
        self.problems += parts.problems
        self.leaves = {n: array for n, array in self.leaves.items() if n not in parts.arrays}
        return parts

    def _target_title(self, row: LayerMap) -> str:
        """Name of the row's layer on the target side."""
        layer = row.foreign if self.outward else row.core
        if isinstance(layer, type):
            return class_title(self.target.prefix, layer)
        return self.target.function_title.format(name_of(layer))

    def _abstract_core(self, row: LayerMap, options: Config) -> Any:
        known = parameters(row.core)
        try:
            with abstract():
                core = row.core(**{name: options[name] for name in known if name in options})
                if any(entry.optional for entry in self._held(row, options)):
                    put_in_use(core)
                return core
        except (ValueError, TypeError, AssertionError) as error:
            by_sample = not self.outward and self.example is not None
            kind = MissingShapeError if by_sample else UnsupportedConfigurationError
            advice = "pass a sample_input that fits, unbatched" if by_sample else ""
            self._note(kind, Refusal(f"{row.core.__name__} does not take this: {error}", advice))
            return None

    def _states_apart(self, core: Any) -> Iterator[tuple[str, Refusal]]:
        """What the core layer's states say beside their arrays, which no framework's would."""
        if self.outward:
            yield from held_otherwise(self.place, core)
            return
        for name, param in transformed(core):
            how = "does not train" if not param.fit else "trains through a transformation"
            reason = f"becomes a layer that {how} its {name}, another problem than this one"
            yield name, Refusal(reason, "register_layer_mapping for this class")

    def _check_names(self, row: LayerMap, options: Config) -> None:
        """Note the arrays that the row does not name, and those that the layer does not hold."""
        held = self._held(row, options)
        expected = {n for entry in held for n in (entry.core if self.outward else entry.foreign)}
        given = set(self.leaves) - (set(row.transient) if self.outward else set())
        for reason, names in (
            ("holds what belongs to no such layer:", given - expected),
            ("lacks", expected - given),
        ):
            if names:
                refusal = Refusal(reason, arrays=tuple(sorted(names)))
                self._note(self._misfit(), refusal, refusal.arrays[0])

    def _held(self, row: LayerMap, options: Config) -> list[Leaf]:
        """The row's leaves that a layer of this configuration has, and that this one may have."""
        return [
            entry
            for entry in row.leaves
            if entry.when(options)
            and not (
                entry.optional
                and self.leaves.keys().isdisjoint(entry.core if self.outward else entry.foreign)
            )
        ]

    def _moves(self, row: LayerMap, options: Config, core: Any) -> tuple[Move, ...]:
        moves = []
        shapes = {name: tuple(array.shape) for name, array in core_leaves(core).items()}
        for entry in self._held(row, options):
            layout = entry.at(options)
            move = Move(entry.core, entry.foreign, layout)
            if not self.outward:
                move = Move(entry.foreign, entry.core, layout.inverse)
            moves.append(move)
            self._check_arrays(move, shapes, batched=entry.optional)
        return tuple(moves)

    def _check_arrays(self, move: Move, core_shapes: Mapping[str, Size], *, batched: bool) -> None:
        for name in move.source:
            array = self.leaves[name]
            if not isinstance(array, jax.Array | np.ndarray | jax.ShapeDtypeStruct):
                refusal = not_an_array(self._titles((name,)), array)
                self._note(ConversionError, refusal, name, type(array))
                return
        shapes = tuple(tuple(self.leaves[name].shape) for name in move.source)
        made = move.source if self.outward else move.target
        try:
            if not core_shapes.keys() >= set(made):
                raise Refusal(f"the core layer's constructor does not make {', '.join(made)}")
            if self.outward:
                wanted = tuple(core_shapes[name] for name in move.source)
                got = shapes
            else:
                wanted = tuple(core_shapes[name] for name in move.target)
                got = move.layout.shapes(shapes)
            if batched:
                leading = got[0][: max(len(got[0]) - len(wanted[0]), 0)]
                wanted = tuple((*leading, *size) for size in wanted)
            if got != wanted:
                raise Refusal(f"its configuration asks for {wanted}, and it holds {got}")
            dtypes = {self.leaves[name].dtype for name in move.source}
            if len(dtypes) > 1 and len(move.target) % len(move.source):
                mixed = f"arrays of {' and '.join(sorted(map(str, dtypes)))} would be joined"
                raise Refusal(mixed, "cast them to one dtype first")
        except Refusal as refusal:
            names = self._titles(move.source)
            reason = f"{names} of shape {', '.join(map(str, shapes))}: {refusal.reason}"
            self._note(self._misfit(), Refusal(reason, refusal.advice), move.source[0])

    def _misfit(self) -> type[InteropError]:
        return getattr(self.source, "misfit", ConversionError)

    def _titles(self, names: Sequence[str]) -> str:
        """Arrays of the layer as people know them."""
        title = getattr(self.source, "array_title", None)
        return ", ".join(names if title is None else [title(self.place, name) for name in names])

    def _note(
        self,
        error: type[InteropError],
        refusal: Refusal,
        field: str | None = None,
        value: Any = None,
    ) -> None:
        reason = " ".join(filter(None, (refusal.reason, self._titles(refusal.arrays))))
        error, advice = refusal.error or error, refusal.advice
        if not advice and issubclass(error, ConversionError):
            advice = getattr(self.source, "misfit_advice", _MISFIT_ADVICE)
        self.problems.append(Problem(self.path, self.title, error, reason, advice, field, value))


_MISFIT_ADVICE = "give it the arrays that its constructor makes, of an ensemble those of one member"
