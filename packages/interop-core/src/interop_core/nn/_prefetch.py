"""References to states and outputs of dynamics, now or some time ago, made before they exist."""

from __future__ import annotations

from typing import Any

import jax

from .. import _structure, environ
from .._content import same
from ..graph import Node
from ..state import State
from ._delay import Delay
from ._delay_state import StateWithDelay
from ._dynamics import Dynamics

__all__ = ["OutputDelayAt", "Prefetch", "PrefetchDelay", "PrefetchDelayAt", "init_maybe_prefetch"]


class Prefetch(Node):
    """A reference to a state or attribute of a module, which may be made later.

    Args:
        module: the module.
        item: the attribute's name.

    Example:
        >>> group = Dynamics(3)
        >>> size = Prefetch(group, "in_size")
        >>> size()
        (3,)
    """

    def __init__(self, module: Dynamics, item: str) -> None:
        self.module = module
        self.item = item

    @property
    def delay(self) -> PrefetchDelay:
        """What gives access to earlier values: ``.delay.at(time)``."""
        return PrefetchDelay(self.module, self.item)

    def get_item(self) -> Any:
        """Find the state or attribute itself.

        Raises:
            AttributeError: if there is none of that name yet.
        """
        if not hasattr(self.module, self.item):
            raise AttributeError(
                f"{type(self.module).__name__} has no attribute {self.item!r}; the states of a "
                "sequence are made by init_all_states(model)."
            )
        return getattr(self.module, self.item)

    def get_item_value(self) -> Any:
        """Read it: the value of a state, or the attribute as it is.

        Raises:
            AttributeError: if there is none of that name yet.
        """
        item = self.get_item()
        return item.value if isinstance(item, State) else item

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what `get_item_value` does.

        Args:
            *args: ignored.
            **kwargs: ignored.
        """
        return self.get_item_value()


class PrefetchDelay(Node):
    """A reference to the past of a state; `at` says how long ago.

    Args:
        module: the module that will own the state.
        item: the state's name.

    Example:
        >>> with environ.context(dt=0.1):
        ...     early = PrefetchDelay(Dynamics(3), "v").at(0.3)
        >>> early.delay_info
        (3,)
    """

    def __init__(self, module: Dynamics, item: str) -> None:
        self.module = module
        self.item = item

    def at(self, *delay_time: Any) -> PrefetchDelayAt:
        """Say how long ago.

        Args:
            *delay_time: the time, and indices; see `Delay.register_delay`.

        Returns:
            What gives the value when called.
        """
        return PrefetchDelayAt(self.module, self.item, *delay_time)


class _Past(Node):
    """What references to the past have in common: the arguments of the delay that they read."""

    _delay_attribute: str

    def _delay(self) -> Any:
        return getattr(self, self._delay_attribute)

    @property
    def delay_init(self) -> Any:
        """The values before the first step."""
        return self._delay().init

    @property
    def interpolation(self) -> Any:
        """How the delay is read between two steps."""
        return self._delay().interpolation

    @property
    def update_every(self) -> Any:
        """The time between two rows of the delay; None for every step."""
        return self._delay().update_every


class PrefetchDelayAt(_Past):
    """A reference to the value that a state had some time ago.

    The module gets a `StateWithDelay` that keeps the values, one for all the delays of a state;
    it is called after each update. ``init_all_states`` makes its buffer.

    Args:
        module: the module that will own the state.
        item: the state's name.
        *time_and_index: how long ago, and indices; see `Delay.register_delay`. The time None is
            the value after the last step.
        delay_init: the values before the first step; see `Delay`.
        interpolation: see `Delay`.
        update_every: see `Delay`. States kept at other intervals have a buffer of their own.
        **kwargs: further arguments of `Delay`.

    Raises:
        ValueError: if another reference has asked for other values of the same arguments.

    Example:
        >>> with environ.context(dt=0.1):
        ...     early = PrefetchDelayAt(Dynamics(3), "v", 0.3)
        >>> early.delay_info
        (3,)
    """

    _delay_attribute = "state_delay"

    def __init__(
        self,
        module: Dynamics,
        item: str,
        *time_and_index: Any,
        delay_init: Any = None,
        interpolation: Any = None,
        update_every: Any = None,
        **kwargs: Any,
    ) -> None:
        self.module = module
        self.item = item
        self.delay_time = time_and_index
        options = {"init": delay_init, "interpolation": interpolation, **kwargs}
        self.state_delay = _state_delay(module, item, update_every, options)
        self.delay_info = self.state_delay.register_delay(*time_and_index)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Read the value.

        Args:
            *args: ignored.
            **kwargs: ignored.
        """
        return self.state_delay.retrieve_at_step(*(self.delay_info or (0,)))


class OutputDelayAt(_Past):
    """A reference to the output that a module gave some time ago.

    The module gets a `Delay` of the shape ``out_size`` and the default dtype, called with each
    output. ``init_all_states`` makes its buffer, with the batch size.

    Args:
        module: the module.
        *delay_time: how long ago, and indices; see `Delay.register_delay`. The time None is the
            last output.
        delay_init: the outputs before the first step; see `Delay`.
        interpolation: see `Delay`.
        update_every: see `Delay`. Outputs kept at other intervals have a buffer of their own.
        **kwargs: further arguments of `Delay`.

    Raises:
        ValueError: if another reference has asked for other values of the same arguments.

    Example:
        >>> class Leak(Dynamics):
        ...     def update(self, x):
        ...         return 0.5 * x
        >>> leak = Leak(1)
        >>> with environ.context(dt=0.1):
        ...     early = OutputDelayAt(leak, 0.2)
        >>> leak.after_updates["output-delay-None"].init_state()
        >>> for x in (2.0, 4.0, 6.0):
        ...     y = leak(x)
        >>> y, early().tolist()
        (3.0, [1.0])
    """

    _delay_attribute = "out_delay"

    def __init__(
        self,
        module: Dynamics,
        *delay_time: Any,
        delay_init: Any = None,
        interpolation: Any = None,
        update_every: Any = None,
        **kwargs: Any,
    ) -> None:
        self.module = module
        options = {"init": delay_init, "interpolation": interpolation, **kwargs}
        _require_after_updates(module)
        key = f"output-delay-{update_every}"
        if not module.has_after_update(key):
            blank = jax.ShapeDtypeStruct(module.out_size, environ.dftype())
            made = Delay(
                blank, **{"take_aware_unit": True, **options, "update_every": update_every}
            )
            module.add_after_update(key, made)
        else:
            _check_alike(key, module.get_after_update(key), options)
        found: Any = module.get_after_update(key)
        self.out_delay = found
        self.delay_info = found.register_delay(*delay_time)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Read the output.

        Args:
            *args: ignored.
            **kwargs: ignored.
        """
        return self.out_delay.retrieve_at_step(*(self.delay_info or (0,)))


for _cls in (Prefetch, PrefetchDelay, PrefetchDelayAt, OutputDelayAt):
    _structure.register(_cls)


def _state_delay(
    module: Dynamics, item: str, update_every: Any, options: dict[str, Any]
) -> StateWithDelay:
    """Find the delay of a state among what the module calls after updates, or add it."""
    _require_after_updates(module)
    key = f"{item}-prefetch-delay-{update_every}"
    if not module.has_after_update(key):
        made = StateWithDelay(module, item, **{**options, "update_every": update_every})
        module.add_after_update(key, made)
    else:
        _check_alike(key, module.get_after_update(key), options)
    found: Any = module.get_after_update(key)
    return found  # type: ignore[no-any-return]


def _require_after_updates(module: Any) -> None:
    """Refuse a module that cannot write a delay after its updates."""
    if not hasattr(module, "has_after_update"):
        raise TypeError(
            f"Only a Dynamics keeps a delay of its own, not {type(module).__name__}. "
            "Put a Delay beside the module and call it with what is to be remembered."
        )


def _check_alike(key: str, there: Any, options: dict[str, Any]) -> None:
    """Refuse options that the delay made before does not have; not saying them takes any."""
    for name, value in options.items():
        if value is not None and not same(value, getattr(there, name)):
            raise ValueError(
                f"{key} was made with {name}={getattr(there, name)!r}, so it cannot have "
                f"{name}={value!r}. All references share it: say the same, or say nothing."
            )


def init_maybe_prefetch(target: Any, *args: Any, **kwargs: Any) -> None:
    """Make sure that a reference finds what it refers to; do nothing for any other object.

    A `Prefetch` looks the attribute up, a `PrefetchDelay` adds the delay to the module; the others
    have registered theirs when they were made.

    Args:
        target: the reference.
        *args: ignored.
        **kwargs: ignored.

    Raises:
        AttributeError: if a `Prefetch` finds nothing.

    Example:
        >>> group = Dynamics(3)
        >>> init_maybe_prefetch(group.prefetch("v").delay)
        >>> list(group.after_updates)
        ['v-prefetch-delay-None']
    """
    if isinstance(target, Prefetch):
        target.get_item()
    elif isinstance(target, PrefetchDelay):
        _state_delay(target.module, target.item, None, {"interpolation": None})
