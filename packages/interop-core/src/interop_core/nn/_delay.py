"""Delays: ring buffers of past values that are read some steps or some time ago."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import numpy as jnp

from .. import environ
from ..state import DelayState, ShortTermState, State
from ._collective import call_order
from ._delay_buffer import (
    NOT_BATCHED,
    ROUNDING,
    check_bounds,
    checked_init,
    described,
    filled,
    longer,
    steps_of,
)
from ._delay_interpolation import BUILT_IN, InterpolationRegistry, read_rows
from ._initializers import to_size
from ._module import Module

if TYPE_CHECKING:
    from ._delay_access import DelayAccess

__all__ = ["Delay"]

_METHODS = ("rotation", "concat", None)


class Delay(Module):
    """A buffer of past values, to be read some steps or some time ago.

    ``init_state`` makes a ring of ``max_length`` rows, each of the shape of the target (behind a
    batch axis if there is one). Every call of ``update`` writes the newest row over the oldest;
    ``retrieve_at_step(0)`` is the newest value and ``retrieve_at_step(n)`` the one of ``n`` steps
    before. The buffer holds ``ceil(max_time / dt) + 1`` rows, with the time step ``dt`` of
    `environ`; registering a longer delay makes it longer, so that comes before ``init_state``.

    Times are in the unit of ``environ.get_dt()``.

    Args:
        target_info: what is delayed: an array, its shape and dtype, or a pytree of them.
        time: the longest delay; None for that of the entries.
        init: the values before the first call: a number, an array that broadcasts to the buffer,
            a callable ``init(shape, dtype=dtype)``, or a pytree of them like the target. None for
            zeros.
        entries: delays to register, by name: a time, or a tuple of a time and indices, or None
            for the newest value.
        interpolation: how `retrieve_at_time` reads between two steps: a name that
            `InterpolationRegistry` knows, or a function as it describes.
        take_aware_unit: whether values that come with a unit are stored without it and given it
            back, where the target has none. All must have the same dimension.
        update_every: time between two rows, at least one step, rounded up to whole steps. Calls in
            between write nothing. None for every step.
        delay_method: "rotation", the ring. "concat" is accepted and does the same.
        interp_method: the older name of ``interpolation``; that one comes first.

    Attributes:
        max_time: the longest delay that was registered.
        max_length: the number of rows.
        update_every_step: the number of steps between two rows.

    Raises:
        ValueError: if a time is negative, there is no interpolation or delay method of a name, or
            ``update_every`` is shorter than a step.
        TypeError: if an argument is of another kind than said here.
        KeyError: if a time is given and no time step ``dt`` is set.

    Example:
        >>> with environ.context(dt=0.1):
        ...     delay = Delay(jnp.zeros(2), time=0.3, entries={"early": 0.2})
        >>> delay.init_state()
        >>> for i in range(5):
        ...     delay.update(jnp.array([i, 10.0 * i]))
        >>> delay.at("early").tolist(), delay.retrieve_at_step(0, 1).tolist()
        ([2.0, 20.0], 40.0)
        >>> with environ.context(dt=0.1, t=0.4):
        ...     delay.retrieve_at_time(0.25).round(4).tolist()
        [2.5, 25.0]
    """

    history: State[Any]
    write_ptr: State[jax.Array]

    def __init__(
        self,
        target_info: Any,
        time: Any = None,
        init: Any = None,
        entries: Mapping[Any, Any] | None = None,
        interpolation: str | Callable[..., Any] | None = None,
        take_aware_unit: bool = False,
        update_every: Any = None,
        delay_method: str | None = "rotation",
        interp_method: str | Callable[..., Any] = "linear_interp",
    ) -> None:
        super().__init__()
        self.target_info = jax.tree.map(described, target_info)
        if delay_method not in _METHODS:
            raise ValueError(f"delay_method must be 'rotation' or 'concat', not {delay_method!r}.")
        self.delay_method = "rotation"
        self.interpolation = interpolation
        self.interp_method = interp_method if interpolation is None else interpolation
        if isinstance(self.interp_method, str):
            InterpolationRegistry.get(self.interp_method)
        elif not callable(self.interp_method):
            raise TypeError(f"interpolation is a name or a function, not {self.interp_method!r}.")
        self.init = checked_init(init)
        self.take_aware_unit = take_aware_unit
        self._unit: Any = None
        self.update_every = update_every
        self.update_every_step = 1
        if update_every is not None:
            dt = environ.get_dt()
            if not bool(update_every >= dt * (1 - ROUNDING)):
                raise ValueError(f"update_every must be at least dt = {dt}, not {update_every!r}.")
            self.update_every_step = steps_of(update_every, dt, "update_every")
        self.max_time: Any = 0.0
        self.max_length = 1
        self._registered_entries: dict[Any, Any] = {}
        self.entries: dict[Any, Any] = {}
        if time is not None:
            self.register_delay(time)
        for name, delay in dict(entries or {}).items():
            self.register_entry(name, *(delay if isinstance(delay, tuple) else (delay,)))

    @property
    def time(self) -> Any:
        """The longest delay that was registered."""
        return self.max_time

    # -- what is read ----------------------------------------------------------------------------

    def register_delay(self, *time_and_idx: Any) -> tuple[Any, ...] | None:
        """Make room for a delay.

        Args:
            *time_and_idx: the time, a number or an array of one axis, and indices into the value,
                integers or arrays of them; those go together with the times as in NumPy.

        Returns:
            The number of rows in place of the time, and the indices: what `retrieve_at_step`
            takes. None where the time is None.

        Raises:
            ValueError: if there is no time, one is negative, or the arrays do not fit.
            TypeError: if a time is no number or an index no integer.
        """
        if not time_and_idx:
            raise ValueError("A delay needs a time, or None for the newest value.")
        time, *indices = time_and_idx
        if time is None:
            if indices:
                raise ValueError("The newest value (time None) is given whole, without indices.")
            return None
        dt = environ.get_dt()
        steps = steps_of(time, dt * self.update_every_step, "A delay")
        for index in indices:
            if isinstance(index, bool) or not jnp.issubdtype(np.asarray(index).dtype, jnp.integer):
                raise TypeError(f"The indices of a delay must be integers, not {index!r}.")
        arrays = [index if np.ndim(index) == 0 else np.asarray(index) for index in indices]
        try:
            np.broadcast_shapes(np.shape(steps), *map(np.shape, arrays))
        except ValueError as error:
            raise ValueError(
                f"Times and indices must have one size: {[steps, *arrays]!r} do not fit."
            ) from error
        longest = int(np.max(steps, initial=0))
        if longest + 1 > self.max_length or (np.ndim(time) == 0 and longer(time, self.max_time)):
            self.max_length = max(self.max_length, longest + 1)
            self.max_time = time if np.ndim(time) == 0 else time.max()
        return (steps, *arrays)

    def register_entry(self, entry: Any, *time_and_idx: Any) -> tuple[Any, ...] | None:
        """Name a delay, so that `at` reads it.

        Args:
            entry: the name.
            *time_and_idx: as for `register_delay`.

        Returns:
            What `register_delay` gives.

        Raises:
            KeyError: if the name is taken.
            ValueError: as for `register_delay`.
        """
        if entry in self._registered_entries:
            raise KeyError(
                f"The entry {entry!r} has been registered already, as {self.entries[entry]}."
            )
        info = self.register_delay(*time_and_idx)
        self._registered_entries[entry] = info
        self.entries[entry] = None if info is None else tuple(time_and_idx)
        return info

    def access(self, entry: Any, *time_and_idx: Any) -> DelayAccess:
        """Name a delay and give the object that reads it.

        Args:
            entry: the name.
            *time_and_idx: as for `register_delay`.
        """
        from ._delay_access import DelayAccess

        return DelayAccess(self, *time_and_idx, entry=entry)

    def at(self, entry: Any) -> Any:
        """Read an entry.

        Args:
            entry: its name.

        Raises:
            KeyError: if there is none of that name.
        """
        if entry not in self._registered_entries:
            raise KeyError(
                f"No delay is registered as {entry!r}; known are {list(self._registered_entries)}."
            )
        info = self._registered_entries[entry]
        return self.retrieve_at_step(*((0,) if info is None else info))

    def retrieve_at_step(self, delay_step: Any, *indices: Any) -> Any:
        """Read the value of some rows ago.

        Args:
            delay_step: how many rows, 0 for the newest: an integer or an array of integers. With
                ``update_every``, one row is so much time.
            *indices: integers, slices or arrays, which go together with the steps as in NumPy.

        Returns:
            The value, or the entries of it that the indices pick; the same pytree as the target.

        Raises:
            ValueError: if the buffer is not that long.
            TypeError: if the step is no integer.
            AttributeError: if there is no buffer yet.
        """
        if not jnp.issubdtype(jnp.result_type(delay_step), jnp.integer):
            raise TypeError(f"A number of steps is an integer, not {delay_step!r}.")
        if not isinstance(delay_step, jax.Array):
            steps = np.asarray(delay_step)
            if ((steps < 0) | (steps >= self.max_length)).any():
                raise ValueError(
                    f"The buffer holds the steps 0 to {self.max_length - 1}, not {delay_step}."
                )
        history = self._buffer()
        check_bounds(history, indices)
        rows = jnp.mod(self._newest() - delay_step, self.max_length)
        return self._with_unit(read_rows(history, rows, indices))

    def retrieve_at_time(self, delay_time: Any, *indices: Any) -> Any:
        """Read the value at a moment, a time ``t`` as the environment counts it.

        The newest value is that of the current time, ``environ.get("t")``.

        Args:
            delay_time: the moment, a number or an array; ``t - d`` reads a delay of ``d``.
            *indices: as for `retrieve_at_step`.

        Returns:
            The value, between two rows as ``interpolation`` says. A moment that the buffer does not
            reach counts as the nearest that it does, where it is only known to a traced function.

        Raises:
            ValueError: if the moment lies outside of the buffer.
            KeyError: if the environment says no time ``t`` or no time step ``dt``.
            AttributeError: if there is no buffer yet.
        """
        t = environ.get("t", desc="the current time")
        steps = (t - delay_time) / environ.get_dt()
        every, length = self.update_every_step, self.max_length
        if isinstance(steps, float | int | np.generic | np.ndarray):
            beyond = 0.01  # of a step; times carry the errors of many additions
            known_steps = np.asarray(steps)
            if ((known_steps < -beyond) | (known_steps > length * every - 1 + beyond)).any():
                raise ValueError(
                    f"At t = {t} the buffer reaches back {length * every - 1} steps of "
                    f"{environ.get_dt()}, so it does not hold the time {delay_time}."
                )
        history = self._buffer()
        check_bounds(history, indices)
        newest = self._newest()
        # Between two writes the newest row is some steps old itself.
        held = 0 if every == 1 else (self.write_ptr.value - 1) % every
        rows_ago = jnp.clip((steps - held) / every, 0, length - 1)
        method: Any = self.interp_method
        method = InterpolationRegistry.get(method) if isinstance(method, str) else method
        known = {"newest": newest} if method in BUILT_IN else {}
        return self._with_unit(method(history, indices, newest - rows_ago, length, **known))

    def _newest(self) -> Any:
        """Give the row written last; -1 stands for the last one of the ring."""
        pointer = self.write_ptr.value - 1
        return pointer if self.update_every_step == 1 else pointer // self.update_every_step

    def _buffer(self) -> Any:
        """Give the buffer.

        Raises:
            AttributeError: if there is none.
            ValueError: if it is shorter than the delays that were registered since.
        """
        if "history" not in self.__dict__:
            raise AttributeError(
                f"This {type(self).__name__} has no buffer yet: call init_state(), or "
                "init_all_states(model) on the whole model."
            )
        history = self.history.value
        for leaf in jax.tree.leaves(history):
            if leaf.shape[0] != self.max_length:
                raise ValueError(
                    f"The buffer has {leaf.shape[0]} rows and the delays need {self.max_length}: "
                    "call init_state() again after registering a longer delay."
                )
        return history

    # -- what is written -------------------------------------------------------------------------

    @call_order(3)
    def init_state(self, batch_size: Any = None, **kwargs: Any) -> None:
        """Make the buffer.

        Args:
            batch_size: length of an axis between rows and value; None for none.
            **kwargs: ignored, so that one call can serve layers of many kinds.
        """
        history = self._filled(batch_size)
        self.write_ptr = ShortTermState(jnp.zeros((), int), tag=NOT_BATCHED)
        self.history = DelayState(history)

    @call_order(3)
    def reset_state(self, batch_size: Any = None, **kwargs: Any) -> None:
        """Set the buffer back to the values before the first call.

        Args:
            batch_size: as for `init_state`.
            **kwargs: ignored.

        Raises:
            AttributeError: if there is no buffer yet.
        """
        if "history" not in self.__dict__:
            self._buffer()
        self.history.value = self._filled(batch_size)
        self.write_ptr.value = jnp.zeros((), int)

    def _filled(self, batch_size: Any) -> Any:
        """Make the values before the first call."""
        lead = (self.max_length, *(to_size(batch_size) or ()))
        return filled(self.target_info, self.init, lead)

    def update(self, current: Any) -> None:
        """Write the newest value.

        Args:
            current: a value like the target; it is cast to the dtype of the buffer.

        Raises:
            ValueError: if it has another structure or shape.
            TypeError: if its dtype is of another kind than the buffer's.
            AttributeError: if there is no buffer yet.
        """
        history, every = self._buffer(), self.update_every_step
        current = self._without_unit(current)
        pointer = self.write_ptr.value
        row = pointer if every == 1 else pointer // every

        def write(buffer: jax.Array, value: Any) -> Any:
            value = jnp.asarray(value)
            if not np.can_cast(value.dtype, buffer.dtype, "same_kind"):
                raise TypeError(f"A buffer of {buffer.dtype} cannot hold values of {value.dtype}.")
            value = jnp.broadcast_to(value.astype(buffer.dtype), buffer.shape[1:])
            if every > 1:
                value = jnp.where(pointer % every == 0, value, buffer[row])
            return jax.lax.dynamic_update_index_in_dim(buffer, value, row, 0)

        self.history.value = jax.tree.map(write, history, current)
        self.write_ptr.value = (pointer + 1) % (self.max_length * every)

    def _without_unit(self, current: Any) -> Any:
        """Take the unit off a value whose target has none, and remember it."""
        aware = self.take_aware_unit and not hasattr(self.target_info, "mantissa")
        if not aware or not hasattr(current, "mantissa"):
            return current
        if self._unit is None:
            self._unit = current.unit
        return current.to_decimal(self._unit)

    def _with_unit(self, value: Any) -> Any:
        """Give the unit back."""
        return value if self._unit is None else value * self._unit
