"""Delays: how far they reach and what they have registered, in each library's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from interop_core import nn
from interop_core.errors import Refusal

from ._row import Row
from ._values import number

__all__ = ["DELAYS"]

_ALIKE = ("nearest", "round", "linear", "linear_interp")
"""Interpolations that read the same in both libraries, up to both ends of the buffer."""


def _nothing(_: Any) -> None:
    """What a constructor is told of the times: they are moved as the rows that they came to."""


def _interpolation(value: Any, _: Any) -> Any:
    """None for the default, which the published layer calls by another name."""
    return None if value == "linear" else value


def _other_reading(_: Mapping[str, Any], layer: Any) -> str | None:
    if layer.take_aware_unit:
        return "take_aware_unit=True does not take values with a unit there"
    if layer.update_every_step != 1:
        return (
            f"update_every={layer.update_every!r} leaves steps between two rows, and reading by "
            "time takes no account of them there"
        )
    method = layer.interp_method
    if isinstance(method, str) and method not in _ALIKE:
        if method in ("cubic", "hermite", "polynomial2", "polynomial3"):
            return f"interpolation={method!r} takes values from the other end of the buffer there"
        return f"interpolation={method!r} is a name that one library alone was told"
    if layer.delay_method != "rotation":
        return f"delay_method={layer.delay_method!r} keeps the rows in another order"
    return None


def _other_length(_: Mapping[str, Any], layer: Any) -> str | None:
    if np.ndim(layer.max_length):
        return "a vector of times gave it several lengths"
    buffer = layer.history.value if "history" in vars(layer) else None
    rows = {leaf.shape[0] for leaf in jax.tree.leaves(buffer)}
    if rows - {int(layer.max_length)}:
        return (
            f"its buffer has {rows.pop()} rows and its delays need {int(layer.max_length)}: a "
            "longer one was registered after init_state"
        )
    return None


def _other_shape(given: Mapping[str, Any], layer: Any) -> str | None:
    if "history" not in vars(layer):
        return None
    state = getattr(given["target"], given["item"], None)
    if state is None:
        return f"its target has no state {given['item']} to be delayed"
    shapes = [leaf.shape[1:] for leaf in jax.tree.leaves(layer.history.value)]
    values = [jnp.shape(leaf) for leaf in jax.tree.leaves(state.value)]
    if shapes != values:
        return f"its buffer holds values of the shapes {shapes} and the state has {values}"
    return None


def _reach(layer: Any, built: Any, _: Callable[[Any], Any]) -> None:
    """Say of the delay that was built how far it reaches and what is registered."""
    for name in ("max_time", "max_length", "_registered_entries"):
        if not (hasattr(layer, name) and hasattr(built, name)):
            raise Refusal(f"does not say its {name}, which this release keeps elsewhere")
    inward = isinstance(built, nn.Module)
    built.max_time, built.max_length = number(layer.max_time), int(layer.max_length)
    registered = layer._registered_entries
    change = _plain if inward else _counted
    built._registered_entries = {
        name: None if info is None else change(*info) for name, info in registered.items()
    }
    if inward:
        built.entries = {
            name: None if info is None else _timed(built, *info)
            for name, info in built._registered_entries.items()
        }


def _plain(*info: Any) -> tuple[Any, ...]:
    """Steps and indices as numbers, or NumPy arrays where there are many."""
    return tuple(np.asarray(x) if np.ndim(x) else number(x) for x in info)


def _counted(steps: Any, *indices: Any) -> tuple[Any, ...]:
    """Steps as the array that the published layer makes of a time."""
    return (jnp.asarray(steps), *indices)


def _timed(delay: nn.Delay, steps: Any, *indices: Any) -> tuple[Any, ...]:
    """A time that comes to so many steps; the published layer does not keep the one given.

    The longest delay takes ``max_length - 1`` steps, of which it may not fill the last: the same
    share of it for fewer steps lacks less than one step too.
    """
    longest = delay.max_length - 1
    return (delay.max_time * (steps / longest if longest else 0.0), *indices)


_MOVED = frozenset({"update_every", "update_every_step", "_unit", "target_info"})
_REACH = frozenset({"max_time", "max_length", "_registered_entries", "entries"})


def _other_release(_: Mapping[str, Any], layer: Any) -> str | None:
    """Refuse delays of brainstate 0.4, which keeps the times of its entries otherwise."""
    if isinstance(layer, nn.Module) or not metadata.version("brainstate").startswith("0.4."):
        return None
    return "the delays of brainstate 0.4 keep their times in another form"


_RING = frozenset({"history", "write_ptr"})
_TIMES: dict[str, Any] = dict.fromkeys(("time", "entries", "update_every"), _nothing)

DELAYS = (
    Row(
        "Delay",
        {**_TIMES, "interpolation": "interp_method", "interp_method": lambda _: "linear_interp"},
        _TIMES,
        inward={"interpolation": _interpolation},
        runtime=_RING,
        carried=_MOVED,
        unseen=_REACH,
        refusals=(_other_release, _other_reading, _other_length),
        finish=_reach,
    ),
    Row(
        "StateWithDelay",
        {"target": "_target", "item": "_target_term", "interpolation": "interp_method"},
        inward={"interpolation": _interpolation},
        more=("take_aware_unit",),
        runtime=_RING,
        carried=_MOVED,
        unseen=_REACH,
        refusals=(_other_release, _other_reading, _other_length, _other_shape),
        finish=_reach,
    ),
)
"""Rows of delays: their buffers are states, and what was registered is told to the other side."""
