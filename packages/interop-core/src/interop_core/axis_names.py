"""Names of the axes of arrays, as Flax notes them to say how arrays are to be sharded.

The names say nothing of what a layer computes. They follow their axes through a conversion, or the
conversion says why they cannot. Imports `errors`, `graph`,
`layout`, `sharded` and `state`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from jax.sharding import PartitionSpec

from .errors import ConversionError, InteropError, Refusal
from .graph import named_states, spread
from .layout import IDENTITY, Layout, Shape
from .sharded import mesh_axes
from .state import State

Name = str | tuple[str, ...] | None
Box = Literal["Partitioned", "LogicallyPartitioned"]
_partition_spec: Any = PartitionSpec  # its constructor is untyped in some releases of jax


@dataclass(frozen=True, slots=True, repr=False)
class AxisNames:
    """Names of the axes of one array.

    A state of the core keeps them as its ``axis_names``: one `AxisNames` where its value is an
    array, else a dict of them by the names of the arrays in it.

    Attributes:
        names: for each axis the name of a mesh axis or a logical one, several of them, or None.
            Axes behind the last entry have none.
        mesh: the mesh that goes with the names, if one does.
        rules: pairs of a logical name and what it stands for, if some go with the names.
        box: the box of Flax Linen that the names come from; None for names that were in none.

    Raises:
        TypeError: for names or rules that are none.

    Example:
        >>> AxisNames(("embed", None, ("heads", "kv")))
        AxisNames(('embed', None, ('heads', 'kv')))
        >>> AxisNames(["embed"], rules=[("embed", "x")], box="LogicallyPartitioned").rules
        (('embed', 'x'),)
    """

    names: tuple[Name, ...]
    mesh: Any = None
    rules: tuple[tuple[str, Name], ...] | None = None
    box: Box | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.names, tuple | list | PartitionSpec):
            raise TypeError(f"{self.names!r} are no names of axes: pass a tuple")
        object.__setattr__(self, "names", tuple(map(_name, self.names)))
        if self.rules is not None:
            pairs = tuple((str(logical), _name(other)) for logical, other in self.rules)
            object.__setattr__(self, "rules", pairs)

    def __repr__(self) -> str:
        more = ((field, getattr(self, field)) for field in ("mesh", "rules", "box"))
        said = "".join(f", {field}={value!r}" for field, value in more if value is not None)
        return f"AxisNames({self.names!r}{said})"


def _name(entry: Any) -> Name:
    if entry is None or isinstance(entry, str):
        return entry
    if isinstance(entry, tuple | list) and all(isinstance(name, str) for name in entry):
        return tuple(entry)
    raise TypeError(f"{entry!r} names no axis: use a string, a tuple of strings, or None")


class NamedArrays(dict[str, Any]):
    """The arrays of a layer by name, some of them with named axes.

    Attributes:
        axis_names: the names of their axes, by the name of the array.
    """

    axis_names: Mapping[str, AxisNames] = MappingProxyType({})

    def put(self, name: str, array: Any, axis_names: AxisNames) -> None:
        """Enter an array with the names of its axes."""
        self[name] = array
        self.axis_names = {**self.axis_names, name: axis_names}


def read_names(arrays: Mapping[str, Any], held: Iterable[tuple[str, State[Any]]]) -> Any:
    """The arrays of a core layer with the names that its states give their axes.

    Args:
        arrays: the arrays by name.
        held: the states by name.

    Raises:
        Refusal: for names of what is no array of the state, or that are none.
    """
    found = NamedArrays(arrays)
    for state_name, state in held:
        given: Any = state.axis_names
        if given is None:
            continue
        own: dict[str, Any] = {}
        spread(state.value, state_name, own)
        entries = {"": given} if isinstance(given, AxisNames) else given
        if not isinstance(entries, Mapping):
            raise Refusal(f"the axis_names of {state_name} are {given!r}", _SAY, ConversionError)
        for key, names in entries.items():
            name = f"{state_name}.{key}" if key else state_name
            if not isinstance(names, AxisNames) or name not in own:
                said = f"the axis_names of {state_name} say {names!r} of {key!r}"
                raise Refusal(said, _SAY, ConversionError)
            if arrays.get(name) is not own[name]:
                said = f"{name} has named axes, and another array stands for it"
                raise Refusal(said, UNNAME, ConversionError)
            found.put(name, own[name], names)
    return found


_SAY = "use AxisNames for an array, and a dict of them by name for several"
UNNAME = "take the names off first: state.axis_names = None"


def put_names(layer: Any, names: Mapping[str, AxisNames]) -> Any:
    """Give the states of a core layer the names of the axes of their arrays; the layer itself."""
    for state_name, state in named_states(layer):
        start = f"{state_name}."
        own = {n.removeprefix(start): found for n, found in names.items() if n.startswith(start)}
        given = names.get(state_name, own)
        if given:
            state.axis_names = given
    return layer


def carry_names(
    layout: Layout, given: Sequence[AxisNames | None], shapes: Sequence[Shape]
) -> tuple[AxisNames | None, ...]:
    """The names of the axes of arrays after a layout.

    A name goes where its axis goes. One axis that is read as several gives its name to the first;
    parts of an axis, and arrays that are joined along it, have the name of the whole.

    Args:
        layout: the layout.
        given: the names before.
        shapes: the shapes before.

    Raises:
        Refusal: where the names would not come back the same: axes with names that become one
            axis, arrays with different names that are joined.

    Example:
        >>> from .layout import axes
        >>> carry_names(axes("i o -> o i"), [AxisNames(("in", "out"))], [(3, 4)])
        (AxisNames(('out', 'in')),)
    """
    for names, shape in zip(given, shapes, strict=True):
        if names is not None and len(names.names) > len(shape):
            count, axes = len(names.names), len(shape)
            raise Refusal(f"there are {count} names, {names.names}, for the {axes} axes of")
    if layout is IDENTITY:
        return tuple(given)
    whole = tuple(_whole(names, shape) for names, shape in zip(given, shapes, strict=True))
    after = layout.shapes(tuple(shapes))
    found = _after(layout, whole, shapes)
    if found is None or _after(layout.inverse, found, after) != whole:
        kinds = dict.fromkeys("none" if one is None else repr(one.names) for one in whole)
        said = " and ".join(kinds)
        raise Refusal(f"{layout} does not keep the names {said} of the axes of")
    return found


def _whole(names: AxisNames | None, shape: Shape) -> AxisNames | None:
    """Names with an entry for every axis."""
    if names is None:
        return None
    return replace(names, names=names.names + (None,) * (len(shape) - len(names.names)))


def _after(
    layout: Layout, given: tuple[AxisNames | None, ...], shapes: Sequence[Shape]
) -> tuple[AxisNames | None, ...] | None:
    """Where every axis comes from, asked of the layout's rule for shardings; with its name."""
    labels = tuple(
        _partition_spec(*(f"{place} {axis}" for axis in range(len(shape))))
        for place, shape in enumerate(shapes)
    )
    found: list[AxisNames | None] = []
    for spec in layout.spec(labels):
        names: list[Name] = []
        origins: dict[AxisNames | None, None] = {}
        for entry in spec:
            held: list[Name] = []
            for label in mesh_axes(entry):
                place, axis = map(int, label.split())
                origin = given[place]
                origins[None if origin is None else replace(origin, names=())] = None
                held.append(None if origin is None else origin.names[axis])
            if any(name is not None for name in held[1:]):
                return None  # it names a part of an axis, or one of several that become one
            names.append(held[0] if held else None)
        if len(origins) > 1:
            return None
        origin = next(iter(origins), None)
        found.append(None if origin is None else replace(origin, names=tuple(names)))
    return tuple(found)


def with_names(
    source: Any,
    target: Any,
    build: Any,
    moves: Iterable[Any],
    arrays: Mapping[str, Any],
    note: Callable[[type[InteropError], Refusal, str], None],
) -> tuple[Any, tuple[str, ...]]:
    """A function that builds layers whose arrays have named axes.

    Args:
        source: the framework of the arrays; its ``unname`` says how names are taken off.
        target: the framework of the layers; its ``put_names`` gives a layer the names. One without
            has no place for them.
        build: builds the layers without names.
        moves: which arrays become which.
        arrays: the source's arrays.
        note: takes the problem of names that cannot be kept, with the array's name.

    Returns:
        The function, and the names that it loses, in words.
    """
    known: Mapping[str, AxisNames] = getattr(arrays, "axis_names", {})
    if not known:
        return build, ()
    found: dict[str, AxisNames] = {}
    lost: list[str] = []
    put: Any = getattr(target, "put_names", None)
    for move in moves:
        named = tuple(name for name in move.source if name in known)
        if put is None:
            lost += [f"{name} {known[name].names}" for name in named]
        elif named:
            given = [known.get(name) for name in move.source]
            try:
                shapes = [tuple(arrays[name].shape) for name in move.source]
                after = carry_names(move.layout, given, shapes)
            except Refusal as refusal:
                error, advice = (getattr(source, word, None) for word in ("misfit", "unname"))
                refusal = Refusal(refusal.reason, advice or "", arrays=named)
                note(error or ConversionError, refusal, named[0])
                continue
            found |= {n: names for n, names in zip(move.target, after, strict=True) if names}
    if not found:
        return build, tuple(lost)
    return lambda arrays: put(build(arrays), found), ()
