"""Reading a layer: the arguments that it was made of, and a layer made of arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from interop_core.errors import Refusal

from ._row import Row
from ._sides import CORE, PUBLISHED, REQUIRED, Side, holds_nodes, parameters, states_below
from ._values import Placed, alike, number

INITIALIZERS = frozenset(
    {"w_init", "b_init", "bias_init", "scale_init", "bias_initializer", "scale_initializer"}
    | {"kernel_init", "embedding_init"}
)
"""Arguments that are used once, at construction: the states hold what became of them."""

_STATE_TYPES = {"param_type": ("weight", "scale"), "mean_type": ("running_mean",)}
"""Arguments that are the type of a state, with the attributes that may hold it."""

_SIZES = frozenset({"_in_size", "_out_size"})


def arguments_of(side: Side, row: Row, layer: Any) -> dict[str, Any]:
    """Read what a layer was made of, in its own library's terms.

    Args:
        side: the library of the layer.
        row: its row.
        layer: the layer.

    Returns:
        Arguments by name; those that nothing is known of, and that mean nothing, are left out.

    Raises:
        Refusal: where an argument is not to be found.
    """
    try:
        return _arguments_of(side, row, layer)
    except AttributeError as error:
        raise Refusal(
            f"lacks an attribute that its class has: {error.name}",
            "take nothing off a layer after its construction",
        ) from error


def _arguments_of(side: Side, row: Row, layer: Any) -> dict[str, Any]:
    kept = row.kept if side is PUBLISHED else row.ours
    held = vars(layer)
    found: dict[str, Any] = {}
    names = dict(parameters(type(layer)))
    names.update(dict.fromkeys(row.more))
    for name, default in names.items():
        read = kept.get(name)
        if name in INITIALIZERS:
            if side is PUBLISHED:
                found[name] = _initializer(layer, name, default, read)
            else:
                found[name] = getattr(layer, name)
        elif callable(read):
            found[name] = read(layer)
        elif name in _STATE_TYPES:
            found[name] = _state_type(side, layer, name, default)
        elif name in ("name", "in_size", "out_size"):
            found[name] = getattr(layer, name)
        else:
            place = read or (name if side is CORE or name in held else "_" + name)
            if side is PUBLISHED and place not in held:
                raise Refusal(f"does not say its {name}, which this release keeps elsewhere")
            value = getattr(layer, place)
            if isinstance(value, side.state):  # a number that is trained: the state is moved
                value = getattr(value, "value", None) if default is REQUIRED else default
            found[name] = number(value) if side is PUBLISHED else value
    if row.options is not None:
        options = row.options
        found.update(options(layer) if callable(options) else getattr(layer, options))
    return found


def _initializer(layer: Any, name: str, default: Any, read: Any) -> Any:
    if callable(read) and not read(layer):
        return None
    held = vars(layer)
    kept = held.get(name, held.get(name + "ializer", default))
    return PUBLISHED.layers.init.ZeroInit() if kept is None and callable(read) else kept


def _state_type(side: Side, layer: Any, name: str, default: Any) -> Any:
    for attribute in _STATE_TYPES[name]:
        state = vars(layer).get(attribute)
        if isinstance(state, side.state):
            return type(state)
    return getattr(layer, name) if side is CORE else default


def entries_of(row: Row, layer: Any) -> tuple[Any, ...]:
    """What a layer was made of by position, where its constructor takes any number."""
    return tuple(getattr(layer, row.entries)) if row.entries is not None else ()


def arrays_of(side: Side, layer: Any) -> dict[tuple[int, ...], Any]:
    """The arrays in the states of a layer and all below it, by shape."""
    found: dict[tuple[int, ...], Any] = {}
    for state in states_below(side, layer):
        for leaf in jax.tree.leaves(state.value, is_leaf=lambda x: hasattr(x, "unit")):
            found[tuple(getattr(leaf, "shape", ()))] = leaf
    return found


def make(
    side: Side,
    row: Row,
    entries: tuple[Any, ...],
    arguments: Mapping[str, Any],
    arrays: Mapping[tuple[int, ...], Any],
) -> Any:
    """Build a layer by its public constructor; no initial value is computed or copied.

    Args:
        side: the library to build in.
        row: the layer's row.
        entries: arguments by position.
        arguments: arguments by name.
        arrays: what initializers hand in, by shape.

    Raises:
        Refusal: where the constructor does not take them.
    """
    cls = getattr(side.layers, row.name)
    given = {name: value for name, value in arguments.items() if name not in row.later}
    placed: dict[str, Placed] = {}
    if side is PUBLISHED:
        for name in INITIALIZERS.intersection(given):
            if given[name] is not None:
                given[name] = placed[name] = Placed(arrays)
    try:
        with side.blank():
            layer = cls(*entries, **given)
    except (ValueError, TypeError, AssertionError, NotImplementedError) as error:
        text = str(error) or type(error).__name__
        raise Refusal(f"{side.prefix}{row.name} does not take these options: {text}") from error
    for name in row.later:
        if name in arguments:
            setattr(layer, name, arguments[name])
    for name, stand_in in placed.items():
        stand_in.arrays = None
        for attribute, value in list(vars(layer).items()):
            if value is stand_in:
                setattr(layer, attribute, arguments[name])
    return layer


def audit(side: Side, row: Row, layer: Any, arguments: Mapping[str, Any]) -> list[str]:
    """Compare a layer with what its class makes of its arguments.

    Args:
        side: the library of the layer.
        row: its row.
        layer: the layer.
        arguments: what was read of it.

    Returns:
        The attributes that differ: those put on it or changed after construction, and those that
        a release has which is not known.
    """
    fresh = vars(make(side, row, entries_of(row, layer), arguments, arrays_of(side, layer)))
    unlike: list[str] = []
    for name, value in vars(layer).items():
        if name in row.unseen or name in _SIZES or name in row.carried or name in INITIALIZERS:
            continue
        if name.endswith("_initializer") and name != "_state_initializer":
            continue
        if name not in fresh:
            if name not in row.runtime:
                unlike.append(name)
        elif holds_nodes(side, value):
            if type(fresh[name]) is not type(value):
                unlike.append(name)
        elif not alike(value, fresh[name]):
            unlike.append(name)
    missing = fresh.keys() - vars(layer).keys() - _SIZES
    return unlike + sorted(missing)


def lost(source: Any, target: Any, row: Row, name: str, value: Any) -> bool:
    """Whether an argument off its default has no place in the other library's constructor.

    Args:
        source: the class of the layer.
        target: the class that it becomes.
        row: its row.
        name: the argument.
        value: its value.
    """
    if name in parameters(target) or name in row.more or row.options is not None:
        return False
    default = parameters(source).get(name, REQUIRED)
    return name not in INITIALIZERS and not alike(value, default)
