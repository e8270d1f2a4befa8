"""The base class of modules that evolve in time, with what is called around each of their steps."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from ._initializers import to_size
from ._module import Module

if TYPE_CHECKING:
    from ._prefetch import OutputDelayAt, Prefetch, PrefetchDelayAt

__all__ = [
    "Dynamics",
    "not_receive_update_input",
    "not_receive_update_output",
    "receive_update_input",
    "receive_update_output",
]

C = TypeVar("C")


def receive_update_input(cls: C) -> C:
    """Mark a class or function: before an update it is called with the arguments of the update.

    Args:
        cls: what `Dynamics.add_before_update` takes, or its class.

    Returns:
        The same.

    Example:
        >>> @receive_update_input
        ... def show(x):
        ...     print("before", x)
        >>> class Twice(Dynamics):
        ...     def update(self, x):
        ...         return 2 * x
        >>> layer = Twice(1)
        >>> layer.add_before_update("show", show)
        >>> layer(3)
        before 3
        6
    """
    cls._receive_update_input = True  # type: ignore[attr-defined]
    return cls


def not_receive_update_input(cls: C) -> C:
    """Mark a class or function: before an update it is called without arguments, as is usual.

    Args:
        cls: what `Dynamics.add_before_update` takes, or its class.

    Returns:
        The same.

    Example:
        >>> @not_receive_update_input
        ... def show():
        ...     print("before")
        >>> show()
        before
    """
    cls._receive_update_input = False  # type: ignore[attr-defined]
    return cls


def receive_update_output(cls: C) -> C:
    """Mark a class or function: after an update it is called with the output, as is usual.

    Args:
        cls: what `Dynamics.add_after_update` takes, or its class.

    Returns:
        The same.

    Example:
        >>> @receive_update_output
        ... def show(y):
        ...     print("after", y)
        >>> show(1)
        after 1
    """
    cls._not_receive_update_output = False  # type: ignore[attr-defined]
    return cls


def not_receive_update_output(cls: C) -> C:
    """Mark a class or function: after an update it is called without arguments.

    Args:
        cls: what `Dynamics.add_after_update` takes, or its class.

    Returns:
        The same.

    Example:
        >>> @not_receive_update_output
        ... def show():
        ...     print("after")
        >>> class Twice(Dynamics):
        ...     def update(self, x):
        ...         return 2 * x
        >>> layer = Twice(1)
        >>> layer.add_after_update("show", show)
        >>> layer(3)
        after
        6
    """
    cls._not_receive_update_output = True  # type: ignore[attr-defined]
    return cls


class Dynamics(Module):
    """The base class of modules with a state that evolves in time, such as groups of neurons.

    A call runs what was added before updates, then `update`, then what was added after updates,
    each in the order of adding, and returns the output of `update`. Delays of its states and of
    its output are such additions.

    Args:
        in_size: the shape of the group, without batch: an integer or a tuple of integers.
        name: a label for the user.

    Raises:
        ValueError: if the size is no such thing, or is empty.

    Example:
        >>> from jax import numpy as jnp
        >>> class Leak(Dynamics):
        ...     def update(self, x):
        ...         return 0.5 * x
        >>> leak = Leak((2, 3))
        >>> leak.varshape, leak(jnp.ones((2, 3))).shape
        ((2, 3), (2, 3))
    """

    def __init__(self, in_size: Any, name: str | None = None) -> None:
        super().__init__(name=name)
        if not (to_size(in_size) if in_size is not None else ()):
            raise ValueError(
                f"in_size is the shape of the group, an integer or a tuple of at least one, not "
                f"{in_size!r}."
            )
        self.in_size = in_size
        self.out_size = self.in_size
        self._before_updates: dict[Any, Callable[..., Any]] | None = None
        self._after_updates: dict[Any, Callable[..., Any]] | None = None

    @property
    def varshape(self) -> tuple[int, ...]:
        """The shape of the group's variables: ``in_size``."""
        return self.in_size  # type: ignore[no-any-return]

    # -- what is called around an update ---------------------------------------------------------

    @property
    def before_updates(self) -> dict[Any, Callable[..., Any]] | None:
        """What is called before each update, by key; None where there is nothing."""
        return self._before_updates

    @property
    def after_updates(self) -> dict[Any, Callable[..., Any]] | None:
        """What is called after each update, by key; None where there is nothing."""
        return self._after_updates

    def add_before_update(self, key: Hashable, fun: Callable[..., Any]) -> None:
        """Call a function before each update.

        Args:
            key: what to find it by.
            fun: a function or module, called without arguments unless `receive_update_input`
                marks it.

        Raises:
            KeyError: if the key is taken.
            TypeError: if it cannot be called.
        """
        self._before_updates = self._added(self._before_updates, key, fun, "before")

    def add_after_update(self, key: Hashable, fun: Callable[..., Any]) -> None:
        """Call a function after each update.

        Args:
            key: what to find it by.
            fun: a function or module, called with the output of the update unless
                `not_receive_update_output` marks it.

        Raises:
            KeyError: if the key is taken.
            TypeError: if it cannot be called.
        """
        self._after_updates = self._added(self._after_updates, key, fun, "after")

    def _added(
        self, there: dict[Any, Callable[..., Any]] | None, key: Any, fun: Any, when: str
    ) -> dict[Any, Callable[..., Any]]:
        """Add an entry to the additions of one kind."""
        there = {} if there is None else there
        if key in there:
            raise KeyError(
                f"{key!r} is registered already in {when}_updates of {type(self).__name__}."
            )
        if not callable(fun):
            raise TypeError(f"{when}_updates holds what can be called, not {fun!r}.")
        there[key] = fun
        return there

    def get_before_update(self, key: Hashable) -> Callable[..., Any]:
        """Find what is called before each update.

        Args:
            key: its key.

        Raises:
            KeyError: if there is none of that key.
        """
        return self._found(self._before_updates, key, "before")

    def get_after_update(self, key: Hashable) -> Callable[..., Any]:
        """Find what is called after each update.

        Args:
            key: its key.

        Raises:
            KeyError: if there is none of that key.
        """
        return self._found(self._after_updates, key, "after")

    def _found(
        self, there: dict[Any, Callable[..., Any]] | None, key: Any, when: str
    ) -> Callable[..., Any]:
        """Find an entry in the additions of one kind."""
        if there is None or key not in there:
            raise KeyError(
                f"{key!r} is not registered in {when}_updates of {type(self).__name__}; "
                f"registered are {list(there or ())}."
            )
        return there[key]

    def has_before_update(self, key: Hashable) -> bool:
        """Tell whether something of that key is called before each update."""
        return self._before_updates is not None and key in self._before_updates

    def has_after_update(self, key: Hashable) -> bool:
        """Tell whether something of that key is called after each update."""
        return self._after_updates is not None and key in self._after_updates

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for fun in (self._before_updates or {}).values():
            if getattr(fun, "_receive_update_input", False):
                fun(*args, **kwargs)
            else:
                fun()
        output = self.update(*args, **kwargs)
        for fun in (self._after_updates or {}).values():
            if getattr(fun, "_not_receive_update_output", False):
                fun()
            else:
                fun(output)
        return output

    # -- values of other times -------------------------------------------------------------------

    def prefetch(self, item: str) -> Prefetch:
        """Refer to a state or attribute that may not be there yet.

        Args:
            item: its name.

        Returns:
            What gives its value when called, and has ``.delay.at(time)`` for earlier values.
        """
        from ._prefetch import Prefetch

        return Prefetch(self, item)

    def prefetch_delay(
        self,
        state: str,
        *time_and_index: Any,
        init: Any = None,
        interpolation: Any = None,
        **kwargs: Any,
    ) -> PrefetchDelayAt:
        """Refer to an earlier value of a state that may not be there yet.

        Args:
            state: its name.
            *time_and_index: how long ago, and indices; see `Delay.register_delay`.
            init: the values before the first step; see `Delay`.
            interpolation: see `Delay`.
            **kwargs: further arguments of `Delay`, such as ``update_every``.

        Returns:
            What gives the value when called.
        """
        from ._prefetch import PrefetchDelayAt

        return PrefetchDelayAt(
            self, state, *time_and_index, delay_init=init, interpolation=interpolation, **kwargs
        )

    def output_delay(
        self, *time_and_index: Any, init: Any = None, interpolation: Any = None, **kwargs: Any
    ) -> OutputDelayAt:
        """Refer to an earlier output.

        Args:
            *time_and_index: how long ago, and indices; see `Delay.register_delay`.
            init: the values before the first step; see `Delay`.
            interpolation: see `Delay`.
            **kwargs: further arguments of `Delay`, such as ``update_every``.

        Returns:
            What gives the output when called.
        """
        from ._prefetch import OutputDelayAt

        return OutputDelayAt(
            self, *time_and_index, delay_init=init, interpolation=interpolation, **kwargs
        )
