"""Running a function that reads and writes states for many lanes at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
from jax import numpy as jnp

from .. import graph, random
from .._abstract import ABSTRACT
from .._flat import Path
from ..graph import FlatDict, Node
from ..random import RandomState
from ..state import State
from ._delay_buffer import NOT_BATCHED

__all__ = ["BatchAxisError", "Made", "checked_size", "is_shared", "run_mapped", "state_axes"]

Axis = int | None
# Where the user names no axis, the lanes still have to be told apart to draw their own numbers.
_LANES = "interop_lanes"


class BatchAxisError(ValueError):
    """A state that all lanes share was to get a value of each lane."""


@dataclass(frozen=True)
class Made:
    """A state that was made while the lanes ran.

    Attributes:
        path: where it is.
        state: the state.
        axis: the axis of the lanes in its value; None where they share it.
    """

    path: Path
    state: State[Any]
    axis: Axis


def checked_size(size: Any, what: str = "axis_size") -> int:
    """Take a number of lanes.

    Raises:
        ValueError: if it is missing, or below 1.
        TypeError: if it is no integer.
    """
    if size is None:
        raise ValueError(f"{what}, the number of lanes, is needed: a positive integer.")
    try:
        number = operator.index(size)
    except TypeError as error:
        raise TypeError(f"{what} must be a positive integer, not {size!r}.") from error
    if number < 1 or isinstance(size, bool):
        raise ValueError(f"{what} must be a positive integer, not {size!r}.")
    return number


def is_shared(state: State[Any]) -> bool:
    """Tell whether a state is one for all lanes, by its tag."""
    return NOT_BATCHED in (state.tag or ())


def state_axes(states: FlatDict[State[Any]], spec: Any) -> list[tuple[State[Any], int]]:
    """Find the states that a specification maps.

    Args:
        states: the states to choose from.
        spec: None for none of them; a filter for axis 0; or a dict from axis to filter.

    Returns:
        The states with their axes. Random generators that have one key are left out: lanes draw
        from them as it is.

    Raises:
        TypeError: if an axis is no integer.
    """
    found: dict[int, tuple[State[Any], int]] = {}
    for axis, chosen in (spec if isinstance(spec, Mapping) else {0: spec}).items():
        if not isinstance(axis, int) or isinstance(axis, bool):
            raise TypeError(f"States are mapped by {{axis: filter}}; {axis!r} is no axis.")
        if chosen is None:
            continue
        chosen = tuple(chosen) if isinstance(chosen, list) else chosen
        for state in states.filter(chosen).values():
            if not (isinstance(state, RandomState) and jnp.ndim(state.value) == 0):
                found.setdefault(id(state), (state, axis))
    return list(found.values())


def _same_value(a: Any, b: Any) -> bool:
    """Tell whether two values hold the very same arrays."""
    if a is b:
        return True
    left: Any
    (x, left), (y, right) = jax.tree.flatten(a), jax.tree.flatten(b)
    return bool(left == right) and all(map(operator.is_, x, y))


def _in_order_of_making(root: Any) -> Iterator[tuple[Path, State[Any]]]:
    """Walk the states node by node, as calls of the nodes made them."""
    seen: set[int] = set()
    for path, node in graph.nodes(root).items():
        places = {name: i for i, name in enumerate(vars(node))}
        own = graph.states(node, allowed_hierarchy=(0, 0)).items()
        for below, state in sorted(own, key=lambda item: places[item[0][0]]):
            if id(state) not in seen:
                seen.add(id(state))
                yield (*path, *below), state


@contextmanager
def _as_before(root: Any, states: Sequence[State[Any]]) -> Iterator[None]:
    """Put the states' values back at the end; after an error also the attributes of the nodes."""
    nodes: list[tuple[Node, dict[str, Any]]] = [
        (node, dict(vars(node))) for node in graph.nodes(root).values()
    ]
    values = [state._value for state in states]
    try:
        yield
    except BaseException:
        for node, attributes in nodes:
            vars(node).clear()
            vars(node).update(attributes)
        raise
    finally:
        for state, value in zip(states, values, strict=True):
            state._value = value


class _Lanes:
    """One mapped run: what goes in, what comes out, and on which axes.

    Args:
        root: the module, whose states the function reads and writes.
        function: what each lane calls.
        mapped: the axes on which states go in, by state.
        out: the axes on which written states come out, by the id of the state.
        axis_of_new: gives the axis of states that the function makes.
        axis_name: the name of the axis.
    """

    def __init__(
        self,
        root: Any,
        function: Callable[..., Any],
        mapped: Sequence[tuple[State[Any], int]],
        out: Mapping[int, int],
        axis_of_new: Callable[[Path, State[Any]], Axis],
        new_axes: Sequence[int],
        axis_name: Any,
    ) -> None:
        self.root, self.function, self.mapped, self.out = root, function, mapped, out
        self.axis_of_new, self.axis_name = axis_of_new, axis_name
        inside = [state for state, _ in mapped]
        self.there: FlatDict[State[Any]] = graph.states(root)
        ids = {id(state) for state in inside}
        others = [s for s in self.there.values() if id(s) not in ids]
        self.shared = {id(s): s for s in others if not isinstance(s, RandomState)}
        generators = {id(s): s for s in [random.DEFAULT, *others] if isinstance(s, RandomState)}
        self.generators = list(generators.values())
        self.axes: list[Axis] = [*sorted({*out.values(), *new_axes}), None]
        # Filled while a lane is traced.
        self.made: list[Made] = []
        self.written: list[list[State[Any]]] = []
        self.names: list[Path] = []
        self.drawn: list[bool] = []

    def lane(self, keys: list[Any], values: list[Any], args: Any, kwargs: Any) -> Any:
        """Do the work of one lane; give the output, and the written values by axis."""
        paths = {id(state): path for path, state in self.there.items()}
        before = {key: state._value for key, state in self.shared.items()}
        for (state, _), value in zip(self.mapped, values, strict=True):
            state._value = value
            before[id(state)] = value
        own: list[tuple[RandomState, Any]] = []
        for generator, key in _with_keys(self.generators, keys):
            generator._value = jax.random.fold_in(key, jax.lax.axis_index(self.axis_name))
            own.append((generator, generator._value))
        output = self.function(*args, **kwargs)
        self.drawn = [generator._value is not key for generator, key in own]
        states = {**self.shared, **{id(state): state for state, _ in self.mapped}}
        self.made = [
            Made(path, state, self.axis_of_new(path, state))
            for path, state in _in_order_of_making(self.root)
            if id(state) not in states and not isinstance(state, RandomState)
        ]
        groups: list[list[State[Any]]] = [[] for _ in self.axes]
        for key, state in states.items():
            if not _same_value(before[key], state._value):
                groups[self.axes.index(self.out.get(key))].append(state)
        for made in self.made:
            groups[self.axes.index(made.axis)].append(made.state)
            paths[id(made.state)] = made.path
        self.written = groups
        self.names = [paths[id(state)] for state in groups[-1]]
        return output, [[state._value for state in group] for group in groups]


def _with_keys(
    generators: Sequence[RandomState], keys: Sequence[Any]
) -> Iterator[tuple[RandomState, Any]]:
    """Pair the generators with their keys, where they have one."""
    for generator, key in zip(generators, keys, strict=True):
        if key is not None:
            yield generator, key


def _split(generator: RandomState) -> Any:
    """Draw the key that the lanes' keys come from; None where JAX traces and none may be drawn."""
    try:
        return generator.split_key()
    except RuntimeError:
        # Then whoever draws in a lane gets this error, and whoever does not, none.
        return None


def run_mapped(
    root: Any,
    function: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    mapped: Sequence[tuple[State[Any], int]] = (),
    mapped_out: Sequence[tuple[State[Any], int]] = (),
    axis_of_new: Callable[[Path, State[Any]], Axis] = lambda path, state: None,
    new_axes: Sequence[int] = (),
) -> tuple[Any, list[Made]]:
    """Call a function for many lanes at once, by ``jax.vmap`` over the values of states.

    States that are not mapped are the same for all lanes. Each lane draws random numbers of its
    own; the generators advance once where any lane draws.

    Args:
        root: the module whose states the function reads and writes.
        function: what each lane calls.
        args: positional arguments.
        kwargs: keyword arguments, mapped over their first axis.
        in_axes: as in ``jax.vmap``, for the positional arguments.
        out_axes: as in ``jax.vmap``.
        axis_name: as in ``jax.vmap``.
        axis_size: the number of lanes, where the arguments do not say.
        spmd_axis_name: as in ``jax.vmap``.
        mapped: the states of which each lane has its own value, with the axis of the lanes.
        mapped_out: the states that come out so, whether they went in so or not.
        axis_of_new: gives the axis of a state that the function makes; None for one that the lanes
            share.
        new_axes: the axes that ``axis_of_new`` can give.

    Returns:
        The output, and the states that were made, in the order of making.

    Raises:
        BatchAxisError: if a state that is not mapped was to get a value of each lane.
    """
    out = {id(state): axis for state, axis in [*mapped, *mapped_out]}
    name = _LANES if axis_name is None else axis_name
    lanes = _Lanes(root, function, mapped, out, axis_of_new, new_axes, name)
    if ABSTRACT.get():
        return _run_abstract(lanes, args, kwargs or {}, axis_size)
    axes = tuple(in_axes) if isinstance(in_axes, list) else in_axes
    keys_before = [generator._value for generator in lanes.generators]
    keys = [_split(generator) for generator in lanes.generators]
    values = [state._value for state, _ in mapped]
    state_axes_in = [axis for _, axis in mapped]

    def attempt(shared: Any) -> Any:
        with _as_before(root, [*lanes.there.values(), random.DEFAULT]):
            return jax.vmap(
                lanes.lane,
                in_axes=(None, state_axes_in, axes, 0),
                out_axes=(out_axes, [*lanes.axes[:-1], shared]),
                axis_name=name,
                axis_size=axis_size,
                spmd_axis_name=spmd_axis_name,
            )(keys, values, args, dict(kwargs or {}))

    try:
        output, groups = attempt(None)
    except ValueError as error:
        _explain(lanes, attempt, error)
        raise
    finally:
        used = iter(lanes.drawn)
        for generator, key, before in zip(lanes.generators, keys, keys_before, strict=True):
            if key is not None and not next(used, False):
                generator._value = before
    for states, news in zip(lanes.written, groups, strict=True):
        for state, value in zip(states, news, strict=True):
            state._value = value
    return output, lanes.made


def _explain(lanes: _Lanes, attempt: Callable[[Any], Any], error: ValueError) -> None:
    """Find the state that could not be shared, if that was the reason of an error."""
    if "out_axes is None" not in str(error):
        return
    names = list(lanes.names)
    for i, path in enumerate(names):
        shared: list[Axis] = [0] * len(names)
        shared[i] = None
        try:
            attempt(shared)
        except ValueError as again:
            if "out_axes is None" in str(again):
                raise BatchAxisError(
                    f"The state {'.'.join(map(str, path))} is one for all lanes and was to get a "
                    "value of each lane. Declare it as mapped, or write what is the same in all."
                ) from error


def _run_abstract(
    lanes: _Lanes, args: tuple[Any, ...], kwargs: Mapping[str, Any], size: int | None
) -> tuple[Any, list[Made]]:
    """Do one lane's work without numbers, and give the shapes that are made an axis of lanes."""
    before = {id(state) for state in lanes.there.values()}
    output = lanes.function(*args, **kwargs)
    made = [
        Made(path, state, lanes.axis_of_new(path, state))
        for path, state in _in_order_of_making(lanes.root)
        if id(state) not in before and not isinstance(state, RandomState)
    ]

    def wider(leaf: Any, axis: int) -> Any:
        shape = list(jnp.shape(leaf))
        shape.insert(axis, size or 1)
        return jax.ShapeDtypeStruct(tuple(shape), leaf.dtype)

    for entry in made:
        if entry.axis is not None:
            entry.state.value = jax.tree.map(
                lambda leaf, axis=entry.axis: wider(leaf, axis), entry.state.value
            )
    return output, made
