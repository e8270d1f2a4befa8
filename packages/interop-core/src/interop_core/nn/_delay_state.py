"""The past values of a module's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from ..graph import Node
from ..state import State
from ._collective import call_order
from ._delay import Delay
from ._delay_buffer import described

__all__ = ["StateWithDelay"]


class StateWithDelay(Delay):
    """The past values of a state of a module.

    A `Dynamics` calls it after each update of its own, so that it holds the values after the
    steps; `Dynamics.prefetch_delay` makes it. Its buffer has the shape of the state at the time of
    ``init_state``, which comes after the module's own; a batch axis of the state is part of it.

    Args:
        target: the module that owns the state.
        item: the name of the state's attribute.
        init: the values before the first step; see `Delay`.
        interpolation: see `Delay`.
        **kwargs: further arguments of `Delay`, by name.

    Example:
        >>> node = Node()
        >>> past = StateWithDelay(node, "n")
        >>> node.n = State(jax.numpy.zeros(()))
        >>> past.init_state()
        >>> node.n.value = jax.numpy.asarray(2.0)
        >>> past.update()
        >>> float(past.retrieve_at_step(0))
        2.0
    """

    # After an update of the module it is called without the output.
    _not_receive_update_output = True

    def __init__(
        self,
        target: Node,
        item: str,
        init: Any = None,
        interpolation: str | Callable[..., Any] | None = "round",
        **kwargs: Any,
    ) -> None:
        super().__init__(None, init=init, interpolation=interpolation, **kwargs)
        self._target = target
        self._target_term = item

    @property
    def target(self) -> Node:
        """The module that owns the state."""
        return self._target

    @property
    def item(self) -> str:
        """The name of the state's attribute."""
        return self._target_term

    @property
    def state(self) -> State[Any]:
        """The state.

        Raises:
            AttributeError: if the module has none of that name yet.
            TypeError: if the attribute is no state.
        """
        found = getattr(self._target, self._target_term, None)
        if found is None:
            raise AttributeError(
                f"{type(self._target).__name__} has no state {self._target_term!r} yet: its "
                "init_state() makes it before the delay's."
            )
        if not isinstance(found, State):
            raise TypeError(f"Only states are delayed, and {self._target_term!r} is {found!r}.")
        return found

    @call_order(3)
    def init_state(self, *args: Any, **kwargs: Any) -> None:
        """Make the buffer for the state as it is.

        Args:
            *args: ignored: a batch axis is part of the state.
            **kwargs: ignored.
        """
        self.target_info = jax.tree.map(described, self.state.value)
        super().init_state()

    @call_order(3)
    def reset_state(self, *args: Any, **kwargs: Any) -> None:
        """Set the buffer back, for the state as it is.

        Args:
            *args: ignored.
            **kwargs: ignored.
        """
        self.target_info = jax.tree.map(described, self.state.value)
        super().reset_state()

    def update(self, *args: Any) -> None:
        """Write the value of the state.

        Args:
            *args: ignored.
        """
        super().update(self.state.value)
