"""The conversion: look at every layer first, raise every problem at once, then build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from interop_core.errors import (
    ConversionError,
    InteropError,
    Path,
    Problem,
    Refusal,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    raise_problems,
)
from interop_core.mapping import Context, LayerMapping

from ._read import INITIALIZERS, arguments_of, arrays_of, audit, entries_of, lost, make
from ._references import POINTERS, REFERENCES, check_reference, move_reference
from ._registered import mapping_of
from ._row import Row
from ._rows import ROWS, UPDATES
from ._sides import CORE, Side, holds_nodes, parameters
from ._states import check_state, move_state
from ._values import translated


class Conversion:
    """One model on its way; remembers what it built, so that what is shared stays shared.

    Args:
        source: the library that the model is of.
        target: the library that it becomes one of.
    """

    def __init__(self, source: Side, target: Side) -> None:
        self.source, self.target = source, target
        self.problems: list[Problem] = []
        self._paths: dict[int, Path] = {}
        self._open: set[int] = set()
        self._arguments: dict[int, dict[str, Any]] = {}
        # The sources are held, so that no other object takes the identity of one.
        self._built: dict[int, tuple[Any, Any]] = {}
        self._taken: set[int] = set()
        # What the model holds by itself, and what references in it point to.
        self._held: set[int] = set()
        self._pointed: list[tuple[Path, Any, str, Any]] = []

    def run(self, model: Any) -> Any:
        """Convert a model.

        Raises:
            InteropError: every problem in one error, before anything is built.
        """
        # As they are kept: read while jax traces, a value may become part of the trace.
        streams = [(side.streams, side.streams._value) for side in (self.source, self.target)]
        try:
            if isinstance(model, self.source.layers.HiData):
                return self._tree(model)
            self._check(model, ())
            self._check_pointed()
            raise_problems(self.problems)
            return self._build(model)
        finally:
            # Connectivity is drawn at construction, and what was drawn is moved: put back.
            for stream, value in streams:
                if stream._value is not value:
                    stream._value = value

    def _tree(self, data: Any) -> Any:
        """Convert a tree of named data, and what models there are in it."""
        for where, below in self._below(data.children, ()):
            self._check_below(data, below, (), where)
        self._check_pointed()
        try:
            translated(self.source, self.target, data, _itself)
        except Refusal as refusal:
            self._note((), data, refusal, UnsupportedConfigurationError)
        raise_problems(self.problems)
        return translated(self.source, self.target, data, self._build)

    # -- looking -----------------------------------------------------------------------------------

    def _note(self, path: Path, layer: Any, refusal: Refusal, error: type[InteropError]) -> None:
        self.problems.append(
            Problem(
                path, self._title(layer), refusal.error or error, refusal.reason, refusal.advice
            )
        )

    def _title(self, layer: Any) -> str:
        cls = type(layer)
        return f"{self.source.prefix if self.source.owns(cls) else ''}{cls.__name__}"

    def _check(self, layer: Any, path: Path) -> None:
        """Look at a layer and at all below it."""
        self._held.add(id(layer))
        if id(layer) in self._open:
            refusal = Refusal("holds itself", "take the circle out of the model")
            self._note(path, layer, refusal, UnsupportedStructureError)
            return
        if id(layer) in self._paths:
            return
        self._paths[id(layer)] = path
        held = vars(layer)
        self._open.add(id(layer))
        try:
            if mapping_of(self.source, type(layer)) is not None:
                # What its mapping need not know of: the delays that are called around its updates.
                held = {name: held[name] for name in UPDATES & held.keys()}
            elif self._is_reference(layer):
                self._check_reference(layer, path)
                return
            else:
                row = self._row(layer, path)
                if row is None:
                    return
                self._check_row(layer, row, path)
            for where, below in self._below(held, ()):
                # A delay of a state points back to the module that calls it.
                if where != ("_target",) or id(below) not in self._open:
                    self._check_below(layer, below, path, where)
        finally:
            self._open.discard(id(layer))

    def _is_reference(self, layer: Any) -> bool:
        return type(layer).__name__ in REFERENCES and self.source.is_public(type(layer))

    def _check_reference(self, layer: Any, path: Path) -> None:
        """Look at a reference; what it points to comes later, since it may stand further on."""
        try:
            check_reference(REFERENCES[type(layer).__name__], layer)
        except Refusal as refusal:
            self._note(path, layer, refusal, UnsupportedConfigurationError)
            return
        for name in sorted(POINTERS & vars(layer).keys()):
            self._pointed.append((path, layer, name, getattr(layer, name)))

    def _check_pointed(self) -> None:
        """Refuse references to what the model does not hold: a copy of it would go its own way."""
        for path, layer, name, pointed in self._pointed:
            if id(pointed) not in self._held:
                refusal = Refusal(
                    f"its {name} is a {type(pointed).__name__} that the model holds nowhere else",
                    "put what it points to into the model, so that both are converted together",
                )
                self._note(path, layer, refusal, UnsupportedStructureError)

    def _row(self, layer: Any, path: Path) -> Row | None:
        cls = type(layer)
        row = ROWS.get(cls.__name__)
        if row is not None and self.source.is_public(cls):
            if hasattr(self.target.layers, row.name):
                return row
            reason = f"{self.target.label} has no layer of this name"
            self._note(path, layer, Refusal(reason), UnsupportedLayerError)
            return None
        known = [b.__name__ for b in cls.__mro__[1:] if b.__name__ in ROWS]
        advice = (
            "register_layer_mapping(LayerMapping(..., 'brainstate', ...)) teaches it; a model of "
            "your own runs on the core's layers where it imports nn from there"
        )
        reason = f"no row names exactly this layer for {self.target.label}"
        if known:
            reason += f" (it extends {known[0]}, and may compute something else)"
        if self.source.owns(cls):
            advice = "register_layer_mapping(LayerMapping(..., 'brainstate', ...)) teaches it"
        self._note(path, layer, Refusal(reason, advice), UnmappedLayerError)
        return None

    def _check_row(self, layer: Any, row: Row, path: Path) -> None:
        try:
            given = arguments_of(self.source, row, layer)
            self._arguments[id(layer)] = given
            reasons = [why(given, layer) for why in row.refusals]
            for reason in filter(None, reasons):
                refusal = Refusal(reason, "the two layers would not compute the same")
                self._note(path, layer, refusal, UnsupportedConfigurationError)
            if any(reasons):
                return
            self._check_options(layer, row, given, path)
            unlike = audit(self.source, row, layer, given)
            if unlike:
                held = ", ".join(unlike)
                reason = f"is not what its class makes of its arguments: {held} differ"
                raise Refusal(reason, "put nothing on a layer after its construction")
        except Refusal as refusal:
            self._note(path, layer, refusal, UnsupportedConfigurationError)

    def _check_options(self, layer: Any, row: Row, given: dict[str, Any], path: Path) -> None:
        target = getattr(self.target.layers, row.name)
        for name, value in given.items():
            try:
                if lost(type(layer), target, row, name, value):
                    reason = f"{name}={value!r} has no counterpart in {self.target.label}"
                    self.problems.append(
                        Problem(
                            path,
                            self._title(layer),
                            UnsupportedConfigurationError,
                            reason,
                            f"leave {name} at its default",
                            name,
                            value,
                        )
                    )
                elif not holds_nodes(self.source, value):
                    self._translate(row, layer, name, value)
            except Refusal as refusal:
                self._note(path, layer, refusal, UnsupportedConfigurationError)
        if row.entries is not None:
            plain = [e for e in entries_of(row, layer) if not holds_nodes(self.source, e)]
            try:
                translated(self.source, self.target, plain, self._build)
            except Refusal as refusal:
                self._note(path, layer, refusal, UnsupportedStructureError)

    def _below(self, value: Any, where: Path) -> Iterator[tuple[Path, Any]]:
        """The states and layers in the attributes of a layer, with their places."""
        if isinstance(value, self.source.state | self.source.node):
            yield where, value
        elif isinstance(value, self.source.layers.HiData):
            yield from self._below(value.children, (*where, "children"))
        elif isinstance(value, dict):
            for key, entry in value.items():
                yield from self._below(entry, (*where, key if where == () else str(key)))
        elif isinstance(value, list | tuple):
            for index, entry in enumerate(value):
                yield from self._below(entry, (*where, index))

    def _check_below(self, layer: Any, below: Any, path: Path, where: Path) -> None:
        if isinstance(below, self.source.state):
            try:
                check_state(self.source, self.target, below)
            except Refusal as refusal:
                refusal.reason = f"{'.'.join(map(str, where))}: {refusal.reason}"
                self._note(path, layer, refusal, UnsupportedConfigurationError)
        else:
            self._check(below, (*path, *where))

    # -- building ----------------------------------------------------------------------------------

    def _build(self, node: Any) -> Any:
        known = self._built.get(id(node))
        if known is None:
            if isinstance(node, self.source.state):
                built = move_state(self.source, self.target, node)
            else:
                built = self._layer(node)
            known = self._built[id(node)] = (node, built)
        return known[1]

    def _layer(self, layer: Any) -> Any:
        mapping = mapping_of(self.source, type(layer))
        if mapping is not None:
            return self._mapped(mapping, layer)
        if self._is_reference(layer):
            return self._reference(layer)
        row = ROWS[type(layer).__name__]
        cls: Any = getattr(self.target.layers, row.name)
        accepted = {**parameters(cls), **dict.fromkeys(row.more)}
        given = {
            name: self._translate(row, layer, name, value)
            for name, value in self._arguments[id(layer)].items()
            if name in accepted or row.options is not None
        }
        entries = tuple(
            translated(self.source, self.target, entry, self._build)
            for entry in entries_of(row, layer)
        )
        try:
            built = make(self.target, row, entries, given, arrays_of(self.source, layer))
            # Its delays point back to it.
            self._built[id(layer)] = (layer, built)
            self._furnish(layer, built, row)
            if row.finish is not None:
                row.finish(layer, built, self._build)
        except Refusal as refusal:
            raise self._refused(layer, refusal) from None
        return built

    def _refused(self, layer: Any, refusal: Refusal) -> InteropError:
        """Give the error of a layer that turned out not to convert while it was built."""
        path = self._paths[id(layer)]
        error = refusal.error or UnsupportedConfigurationError
        problem = Problem(path, self._title(layer), error, refusal.reason, refusal.advice)
        return error(problems=[problem])

    def _reference(self, layer: Any) -> Any:
        """Build a reference around what it points to."""
        cls: Any = getattr(self.target.layers, type(layer).__name__)
        built = cls.__new__(cls)
        self._built[id(layer)] = (layer, built)
        try:
            move_reference(REFERENCES[cls.__name__], layer, built, self._build)
        except Refusal as refusal:
            raise self._refused(layer, refusal) from None
        return built

    def _translate(self, row: Row, layer: Any, name: str, value: Any) -> Any:
        changes = row.outward if self.source is CORE else row.inward
        try:
            value = translated(self.source, self.target, value, self._build)
        except Refusal:
            if name not in INITIALIZERS:
                raise
            # It is never called again: the states hold what it made.
            return self.target.layers.init.ZeroInit()
        return changes[name](value, layer) if name in changes else value

    def _furnish(self, layer: Any, built: Any, row: Row) -> None:
        """Put states and layers in their places, and sizes that were set."""
        held = vars(built)
        for name, value in vars(layer).items():
            if name in row.carried and not holds_nodes(self.source, value):
                setattr(built, name, translated(self.source, self.target, value, self._build))
            elif name != row.entries and holds_nodes(self.source, value):
                placed = self._place(value, held.get(name))
                if placed is not held.get(name):
                    setattr(built, name, placed)
        for size in ("in_size", "out_size"):
            theirs, ours = getattr(layer, size, None), getattr(built, size, None)
            if ours is None and theirs is not None:
                setattr(built, size, theirs)
            elif theirs is not None and ours != theirs:
                reason = f"has {size}={theirs}, and the layer made of its arguments {ours}"
                advice = "the two layers would not compute the same"
                raise self._refused(layer, Refusal(reason, advice, error=UnsupportedLayerError))

    def _place(self, value: Any, current: Any) -> Any:
        """Move what an attribute holds, into the states that the constructor made if it can."""
        if isinstance(value, self.source.state):
            if id(value) not in self._built and id(current) not in self._taken:
                into = current if isinstance(current, self.target.state) else None
                moved = move_state(self.source, self.target, value, into)
                self._built[id(value)] = (value, moved)
                self._taken.add(id(moved))
            return self._build(value)
        fresh = id(value) not in self._built
        moved = translated(self.source, self.target, value, self._build)
        if fresh and type(moved) is type(current) and isinstance(moved, self.target.module):
            self._remember(value, moved, current)
        same = isinstance(moved, list | tuple) and isinstance(current, list | tuple)
        if same and len(moved) == len(current) and all(map(_is, moved, current)):
            return current
        return moved

    def _remember(self, layer: Any, built: Any, made: Any) -> None:
        """Take over the initializers of a part that its owner's constructor made otherwise."""
        for name in INITIALIZERS.intersection(vars(made), vars(built)):
            kept = name in vars(layer) or name + "ializer" in vars(layer)
            used = vars(built)[name] is not None and vars(made)[name] is not None
            if used and not kept:
                setattr(built, name, vars(made)[name])

    def _mapped(self, mapping: LayerMapping, layer: Any) -> Any:
        path = self._paths[id(layer)]
        outward = self.source is CORE
        function = mapping.to_foreign if outward else mapping.to_bst
        wanted = mapping.foreign_type if outward else mapping.bst_type
        try:
            built = function(layer, Context("brainstate", path, None))
        except Refusal as refusal:
            problem = Problem(
                path, self._title(layer), ConversionError, refusal.reason, refusal.advice
            )
            raise ConversionError(problems=[problem]) from None
        if not isinstance(built, wanted):
            reason = f"the registered mapping gave a {type(built).__name__}"
            advice = f"return a {wanted.__name__}"
            problem = Problem(path, self._title(layer), ConversionError, reason, advice)
            raise ConversionError(problems=[problem])
        self._built[id(layer)] = (layer, built)
        if isinstance(layer, self.source.layers.Dynamics):
            self._add_updates(layer, built)
        return built

    def _add_updates(self, layer: Any, built: Any) -> None:
        """Give a module of the user's what the one here calls around its updates."""
        for when in ("before", "after"):
            there = getattr(layer, f"{when}_updates") or {}
            for key, function in there.items():
                if not getattr(built, f"has_{when}_update")(key):
                    moved = translated(self.source, self.target, function, self._build)
                    getattr(built, f"add_{when}_update")(key, moved)


def _itself(node: Any) -> Any:
    return node


def _is(a: Any, b: Any) -> bool:
    return a is b
