"""Calling a method on all modules of a model for many lanes at once; writing states by path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
from jax import numpy as jnp

from .. import graph
from ..graph import FlatDict
from ..state import State
from ._collective import call_all_fns
from ._mapping import checked_size, is_shared, run_mapped
from ._module import Module

__all__ = [
    "assign_state_values",
    "vmap_call_all_fns",
    "vmap_init_all_states",
    "vmap_reset_all_states",
]

T = TypeVar("T")


def vmap_call_all_fns(
    target: T,
    fn_name: str,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    axis_size: int | None = None,
    node_to_exclude: Any = None,
    state_tag: str | None = None,
    fn_if_not_exist: str = "raise",
) -> T:
    """Call a method on a module and on every module below it, in many lanes at once.

    Each lane draws random numbers of its own. The states that the method makes get a leading axis,
    one entry a lane, and are remembered as such: a later call with as many lanes gives each lane
    its own entry and keeps what it writes. All other states are the same for all lanes, and so are
    the arguments. A state tagged ``INIT_NO_BATCHING`` is made once for all lanes.

    Args:
        target: the module.
        fn_name: the method's name.
        args: positional arguments; what is no tuple is taken as the only one.
        kwargs: keyword arguments.
        axis_size: the number of lanes.
        node_to_exclude: a filter for modules to pass over; see `graph.nodes`.
        state_tag: a tag for every state that is made.
        fn_if_not_exist: what to do about a module without the method: "raise", "warn" or "pass".

    Returns:
        The target.

    Raises:
        ValueError: if ``axis_size`` is missing or below 1; if a state has the entries of another
            number of lanes; or if a state that the lanes share was to get a value of each lane.
        TypeError: if ``axis_size`` is no integer or ``kwargs`` no mapping.
        AttributeError: if a module lacks the method and ``fn_if_not_exist`` is "raise".

    Example:
        >>> class Noisy(Module):
        ...     def make(self, size):
        ...         self.noise = State(jnp.zeros(size))
        >>> vmap_call_all_fns(Noisy(), "make", 2, axis_size=3).noise.value.shape
        (3, 2)
    """
    lanes = checked_size(axis_size)
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs must be a mapping, not {kwargs!r}.")
    _call(target, fn_name, args, kwargs, lanes, node_to_exclude, state_tag, None, fn_if_not_exist)
    return target


def vmap_init_all_states(
    target: T,
    *init_args: Any,
    axis_size: int | None = None,
    node_to_exclude: Any = None,
    state_to_exclude: Any = None,
    state_tag: str | None = None,
    in_states: Any = None,
    out_states: Any = None,
    **init_kwargs: Any,
) -> T:
    """Call ``init_state`` on a module and on every module below it, in many lanes at once.

    The states that are made get a leading axis, one entry a lane, with random numbers of its own.
    What was there before, parameters above all, stays one for all lanes.

    Args:
        target: the module.
        *init_args: passed on, usually the batch size.
        axis_size: the number of lanes.
        node_to_exclude: a filter for modules to pass over; see `graph.nodes`.
        state_to_exclude: a filter for states that are made once for all lanes; those with random
            numbers have those of the first lane.
        state_tag: a tag for every state that is made.
        in_states: refused: states that are there already are not mapped.
        out_states: refused.
        **init_kwargs: passed on.

    Returns:
        The target.

    Raises:
        ValueError: as for `vmap_call_all_fns`, and if ``in_states`` or ``out_states`` is given.
        TypeError: if ``axis_size`` is no integer.

    Example:
        >>> class Memory(Module):
        ...     def init_state(self, batch_size=1):
        ...         self.h = State(jnp.zeros((batch_size, 2)))
        >>> vmap_init_all_states(Memory(), 5, axis_size=3).h.value.shape
        (3, 5, 2)
    """
    if in_states is not None or out_states is not None:
        raise ValueError(
            "vmap_init_all_states maps the states that it makes, not those that are there: it "
            "takes neither in_states nor out_states. Vmap and Map do."
        )
    lanes = checked_size(axis_size)
    _call(
        target, "init_state", init_args, init_kwargs, lanes, node_to_exclude, state_tag,
        state_to_exclude, "raise",
    )  # fmt: skip
    return target


def vmap_reset_all_states(
    target: T,
    *reset_args: Any,
    axis_size: int | None = None,
    node_to_exclude: Any = None,
    state_tag: str | None = None,
    **reset_kwargs: Any,
) -> T:
    """Call ``reset_state`` on a module and on every module below it, in many lanes at once.

    The states that `vmap_init_all_states` made for as many lanes are set back in each of them,
    with random numbers of its own.

    Args:
        target: the module.
        *reset_args: passed on.
        axis_size: the number of lanes.
        node_to_exclude: a filter for modules to pass over; see `graph.nodes`.
        state_tag: a tag for every state that is made.
        **reset_kwargs: passed on.

    Returns:
        The target.

    Raises:
        ValueError: as for `vmap_call_all_fns`.
        TypeError: if ``axis_size`` is no integer.

    Example:
        >>> class Memory(Module):
        ...     def init_state(self):
        ...         self.h = State(jnp.zeros(2))
        ...
        ...     def reset_state(self):
        ...         self.h.value = jnp.ones(2)
        >>> memory = vmap_init_all_states(Memory(), axis_size=3)
        >>> vmap_reset_all_states(memory, axis_size=3).h.value.shape
        (3, 2)
    """
    lanes = checked_size(axis_size)
    _call(
        target, "reset_state", reset_args, reset_kwargs, lanes, node_to_exclude, state_tag, None,
        "raise",
    )  # fmt: skip
    return target


def _call(
    target: Any,
    fn_name: str,
    args: Any,
    kwargs: Mapping[str, Any] | None,
    lanes: int,
    node_to_exclude: Any,
    state_tag: str | None,
    state_to_exclude: Any,
    fn_if_not_exist: str,
) -> None:
    """Call the method in each lane; mark the states that have an entry for each."""
    mapped: list[tuple[State[Any], int]] = []
    for path, state in graph.states(target).items():
        there = getattr(state, "lanes", None)
        if there is None:
            continue
        if there != lanes and fn_name != "init_state":
            raise ValueError(
                f"The state {'.'.join(map(str, path))} was made for {there} lanes, so axis_size "
                f"cannot be {lanes}."
            )
        if there == lanes:
            mapped.append((state, 0))

    def call() -> None:
        call_all_fns(target, fn_name, args, kwargs, node_to_exclude, fn_if_not_exist)

    _, made = run_mapped(
        target,
        call,
        in_axes=None,
        out_axes=None,
        axis_size=lanes,
        mapped=mapped,
        axis_of_new=lambda path, state: None if is_shared(state) else 0,
        new_axes=(0,),
    )
    found: FlatDict[State[Any]] = FlatDict((entry.path, entry.state) for entry in made)
    once = {id(state) for state in found.filter(state_to_exclude).values()}
    for entry in made:
        entry.state.add_tag(state_tag)
        if id(entry.state) in once and entry.axis is not None:
            entry.state.value = jax.tree.map(_first, entry.state.value)
        elif entry.axis is not None:
            entry.state.lanes = lanes  # type: ignore[attr-defined]


def _first(leaf: Any) -> Any:
    """Take the entry of the first lane."""
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
    return leaf[0]


def assign_state_values(
    target: Module, *state_by_abs_path: Mapping[Any, Any]
) -> tuple[list[Any], list[Any]]:
    """Write the values of states by path.

    Args:
        target: the module.
        *state_by_abs_path: dicts from path to value; in later ones a path comes first. A path is
            that of `Module.states`, a tuple, or the same joined by dots. Arrays in a value become
            JAX arrays.

    Returns:
        The paths that the module does not have, and the paths of the module that got no value.

    Raises:
        TypeError: if an argument is no dict.
        ValueError: if a state is named in both ways, or a value has another structure or other
            shapes than the one there. Nothing is written then.

    Example:
        >>> box = Module()
        >>> box.w, box.b = State(jnp.zeros(2)), State(jnp.zeros(1))
        >>> assign_state_values(box, {("w",): [1.0, 2.0], "x": 3})
        (['x'], [('b',)])
        >>> box.w.value.tolist()
        [1.0, 2.0]
    """
    given: dict[Any, Any] = {}
    for part in state_by_abs_path:
        if not isinstance(part, Mapping):
            raise TypeError(f"Values come in dicts by path, not in {part!r}.")
        given.update(part)
    states: FlatDict[State[Any]] = target.states()
    dotted = {".".join(map(str, path)): path for path in states}
    values: dict[Any, Any] = {}
    unexpected: list[Any] = []
    for key, value in given.items():
        path = key if key in states else dotted.get(key) if isinstance(key, str) else None
        if path is None:
            unexpected.append(key)
        elif path in values:
            raise ValueError(f"The state {path} is given twice, by its path and by its name.")
        else:
            values[path] = _like(states[path].value, value, path)
    for path, value in values.items():
        states[path].value = value
    return unexpected, [path for path in states if path not in values]


def _like(there: Any, value: Any, path: Any) -> Any:
    """Make JAX arrays of a new value of a state.

    Raises:
        ValueError: if it does not fit the value there.
    """
    value = value.value if isinstance(value, State) else value
    if hasattr(there, "shape"):
        made = jnp.asarray(value)
        fits = made.shape == there.shape
    else:
        made = jax.tree.map(jnp.asarray, value)
        structure: Any = jax.tree.structure(made)
        fits = bool(structure == jax.tree.structure(there)) and all(
            jnp.shape(a) == jnp.shape(b)
            for a, b in zip(jax.tree.leaves(made), jax.tree.leaves(there), strict=True)
        )
    if not fits:
        raise ValueError(f"A value for the state {path} does not have the shapes of the one there.")
    return made
