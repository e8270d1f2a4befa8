"""States: the boxes of the two libraries around the same arrays."""

from __future__ import annotations

from typing import Any

import jax

from interop_core.errors import Refusal

from ._sides import CORE, PUBLISHED, Side
from ._values import state_type, translated

__all__ = ["check_state", "move_state", "register_state_type"]

_BOOKKEEPING = frozenset(
    {"_value", "_name", "tag", "_trace_state", "_level", "_source_info", "_hooks_manager"}
    | {"_been_writen"}
)
"""Attributes that a state has beside its metadata."""

_OWN_HOOKS = frozenset({"param_cache_invalidator"})
"""Hooks that the published library puts on states itself, and its constructors put on again."""


def register_state_type(core: type, published: type) -> None:
    """Say that two state types are one and the same thing.

    The states of the library itself are known. A type of your own is a class in each library: one
    that extends a state of the core, one that extends a published state, of the same constructor.

    Args:
        core: the type in models of the core.
        published: the type in published models.

    Raises:
        TypeError: if an argument is no state type of its library.
        ValueError: if the two do not bear one name, or another type of that name is known.

    Example:
        >>> from interop_core import ParamState
        >>> import brainstate
        >>> class Slow(ParamState): ...
        >>> ours = Slow
        >>> class Slow(brainstate.ParamState): ...
        >>> register_state_type(ours, Slow)
    """
    given: tuple[tuple[Side, Any], ...] = ((CORE, core), (PUBLISHED, published))
    for side, cls in given:
        if not (isinstance(cls, type) and issubclass(cls, side.state)):
            raise TypeError(f"expected a state type of {side.label}, got {cls!r}")
    name = core.__name__
    if published.__name__ != name:
        raise ValueError(f"give both types one name, not {name} and {published.__name__}")
    if CORE.states.get(name, core) is not core:
        raise ValueError(f"another state type is called {name} already")
    CORE.states[name], PUBLISHED.states[name] = core, published  # type: ignore[index]


def check_state(source: Side, target: Side, state: Any) -> None:
    """Look at a state before anything is built.

    Raises:
        Refusal: for a type without counterpart, or for more than a state can carry over.
    """
    state_type(source, target, type(state))
    if source is PUBLISHED:
        # By their documented names, since the library's own hooks stay behind.
        foreign = [h.name for h in state.list_hooks() if h.name not in _OWN_HOOKS]
        if foreign:
            raise Refusal(f"a state has hooks ({', '.join(foreign)})", "clear_state_hooks first")
    value = held(source, target, state.value)
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(value)):
        try:
            state_type(source, target, type(state))(value)
        except (TypeError, ValueError) as error:
            raise Refusal(
                f"a {type(state).__name__} does not hold shapes there", "give it arrays"
            ) from error
    strange = [n for n in _metadata(state) if n.startswith("_")]
    if strange:
        raise Refusal(f"a state holds {', '.join(strange)}, which is not known")


def _metadata(state: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(state).items() if name not in _BOOKKEEPING}


def move_state(source: Side, target: Side, state: Any, into: Any = None) -> Any:
    """Put the value of a state into a state of the other library.

    Args:
        source: the library of the state.
        target: the other one.
        state: the state.
        into: a state to fill, if there is one that a constructor made.

    Returns:
        ``into`` where its type is right, else a new state.
    """
    cls: Any = state_type(source, target, type(state))
    value = held(source, target, state.value)
    if type(into) is cls:
        into.value = value
    else:
        into = cls(value)
    if state.name is not None:
        into.name = state.name
    for tag in sorted(state.tag or (), key=str):
        into.add_tag(tag)
    for name, entry in _metadata(state).items():
        setattr(into, name, entry)
    return into


def held(source: Side, target: Side, value: Any) -> Any:
    """The same arrays in containers of their own: writing to one model leaves the other alone.

    Args:
        source: the library of the state.
        target: the other one.
        value: the value of the state.

    Raises:
        Refusal: for what belongs to the library and has no counterpart.
    """
    return translated(source, target, value, _no_node)


def _no_node(value: Any) -> Any:
    raise Refusal(f"the value of a state holds a {type(value).__name__}", "make it an attribute")
