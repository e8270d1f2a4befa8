"""Calling one method on every module of a model, in a declared order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .. import graph
from ..graph import FlatDict
from ._module import Module

__all__ = ["call_all_fns", "call_order", "init_all_states", "reset_all_states"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def call_order(level: int = 0, check_order_boundary: bool = True) -> Callable[[F], F]:
    """Declare when `call_all_fns` calls a method, relative to the same method of other modules.

    Args:
        level: lower levels come first; methods without one come before all of them.
        check_order_boundary: whether to refuse levels outside 0 to 9.

    Returns:
        The decorator.

    Raises:
        ValueError: if the level is out of bounds.

    Example:
        >>> @call_order(2)
        ... def init_state(self): ...
        >>> init_state.call_order
        2
    """
    if check_order_boundary and not 0 <= level < 10:
        raise ValueError(f"A call order lies between 0 and 9; {level} does not.")

    def mark(fn: F) -> F:
        fn.call_order = level  # type: ignore[attr-defined]
        return fn

    return mark


def call_all_fns(
    target: T,
    fn_name: str,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    node_to_exclude: Any = None,
    fn_if_not_exist: str = "raise",
) -> T:
    """Call a method on a module and on every module below it.

    Args:
        target: the module.
        fn_name: the method's name.
        args: positional arguments; what is no tuple is taken as the only one.
        kwargs: keyword arguments.
        node_to_exclude: a filter for modules to pass over; see `graph.nodes`.
        fn_if_not_exist: what to do about a module without the method: "raise", "warn" or "pass".

    Returns:
        The target.

    Raises:
        AttributeError: if a module lacks the method and ``fn_if_not_exist`` is "raise".
        ValueError: if ``fn_if_not_exist`` is something else.
    """
    if fn_if_not_exist not in ("raise", "warn", "pass", "none"):
        raise ValueError(f"fn_if_not_exist must be raise, warn or pass, not {fn_if_not_exist!r}.")
    # References to states are nodes too, but it is the modules that have states.
    found: FlatDict[Module] = graph.nodes(target, Module)
    if node_to_exclude is not None:
        excluded = {id(node) for node in found.filter(node_to_exclude).values()}
        found = FlatDict((path, node) for path, node in found.items() if id(node) not in excluded)
    arguments = args if isinstance(args, tuple) else (args,)
    calls: list[tuple[int, Callable[..., Any]]] = []
    for path, node in found.items():
        method = getattr(node, fn_name, None)
        if callable(method):
            calls.append((getattr(method, "call_order", -1), method))
        elif fn_if_not_exist in ("raise", "warn"):
            where = ".".join(map(str, path)) or "the module itself"
            message = f"{type(node).__name__} ({where}) has no method {fn_name!r}."
            if fn_if_not_exist == "raise":
                raise AttributeError(message)
            warnings.warn(message, UserWarning, stacklevel=2)
    # Sorting is stable: modules of one level are called in the order of the walk.
    for _, method in sorted(calls, key=lambda call: call[0]):
        method(*arguments, **(kwargs or {}))
    return target


def init_all_states(
    target: T, *init_args: Any, node_to_exclude: Any = None, **init_kwargs: Any
) -> T:
    """Call ``init_state`` on a module and on every module below it.

    Args:
        target: the module.
        *init_args: passed on, usually the batch size.
        node_to_exclude: a filter for modules to pass over.
        **init_kwargs: passed on.

    Returns:
        The target.
    """
    return call_all_fns(target, "init_state", init_args, init_kwargs, node_to_exclude)


def reset_all_states(
    target: T, *reset_args: Any, node_to_exclude: Any = None, **reset_kwargs: Any
) -> T:
    """Call ``reset_state`` on a module and on every module below it.

    Args:
        target: the module.
        *reset_args: passed on.
        node_to_exclude: a filter for modules to pass over.
        **reset_kwargs: passed on.

    Returns:
        The target.
    """
    return call_all_fns(target, "reset_state", reset_args, reset_kwargs, node_to_exclude)
