"""Delays: how far they reach and what they have registered, in each library's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import brainstate
import jax
import numpy as np
from jax import numpy as jnp

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.nn._delay_buffer import steps_of

from ._differences import RELEASE
from ._row import Row
from ._values import is_plain, number

__all__ = ["DELAYS", "counted", "plain"]

_ALIKE = ("nearest", "round", "linear", "linear_interp")
"""Interpolations that read the same in both libraries, up to both ends of the buffer."""


def _nothing(_: Any) -> None:
    """What a constructor is told of the times: they are moved as the rows that they came to."""


def _interpolation(value: Any, _: Any) -> Any:
    """None for the default, which the published layer calls by another name."""
    return None if value == "linear" else value


def _other_reading(_: Mapping[str, Any], layer: Any) -> str | None:
    if layer.take_aware_unit and not (is_plain(layer._unit) and is_plain(_unit(layer))):
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


def _unit(layer: Any) -> Any:
    """A unit of what is delayed; None where it has none."""
    held = (layer.target_info, layer.init if isinstance(layer, nn.Delay) else layer._init)
    leaves = jax.tree.leaves(held, is_leaf=lambda leaf: hasattr(leaf, "unit"))
    return next((leaf.unit for leaf in leaves if hasattr(leaf, "unit")), None)


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


_CALLED = "_not_receive_update_output"


def _called_otherwise(_: Mapping[str, Any], layer: Any) -> str | None:
    if vars(layer).get(_CALLED, True) is True:
        return None
    return "is marked to receive the outputs of its module, which it has no use for"


def _reach_of_state(layer: Any, built: Any, build: Callable[[Any], Any]) -> None:
    """As for any delay; and its module calls it without an output, which is marked there."""
    _reach(layer, built, build)
    if not isinstance(built, nn.Module):
        brainstate.nn.not_receive_update_output(built)


def _reach(layer: Any, built: Any, _: Callable[[Any], Any]) -> None:
    """Say of the delay that was built how far it reaches and what is registered."""
    for name in ("max_time", "max_length", "_registered_entries"):
        if not (hasattr(layer, name) and hasattr(built, name)):
            raise Refusal(f"does not say its {name}, which this release keeps elsewhere")
    inward = isinstance(built, nn.Module)
    built.max_time, built.max_length = _longest(layer), int(layer.max_length)
    registered = layer._registered_entries
    change = plain if inward else counted
    built._registered_entries = {
        name: None if info is None else change(*info) for name, info in registered.items()
    }
    if inward:
        built._unit = None if is_plain(layer._unit) else layer._unit
        built.entries = {
            name: None if info is None else _timed(built, *info)
            for name, info in built._registered_entries.items()
        }


def _unsaid_time(_: Mapping[str, Any], layer: Any) -> str | None:
    if _is_longest(layer) or brainstate.environ.get("dt", default=None) is not None:
        return None
    return (
        "keeps the time registered last in this release and not the longest one, which only the "
        "time step can tell: convert with brainstate.environ.context(dt=...)"
    )


def _is_longest(layer: Any) -> bool:
    """Whether the time that a layer keeps is the one that its buffer is made for.

    brainstate 0.4 keeps the one that was registered last, beside the longest number of steps.
    """
    if isinstance(layer, nn.Module) or RELEASE >= (0, 5) or np.max(layer.max_length) == 1:
        return True
    dt = brainstate.environ.get("dt", default=None)
    steps = None if dt is None else steps_of(layer.max_time, dt, "A delay")
    return np.ndim(layer.max_length) == 0 and steps == layer.max_length - 1


def _longest(layer: Any) -> Any:
    """The longest time, or one that comes to as many steps where that was not kept."""
    if _is_longest(layer):
        return number(layer.max_time)
    return brainstate.environ.get_dt() * (int(layer.max_length) - 1)


def plain(*info: Any) -> tuple[Any, ...]:
    """Steps and indices as numbers, or NumPy arrays where there are many."""
    return tuple(np.asarray(x) if np.ndim(x) else number(x) for x in info)


def counted(steps: Any, *indices: Any) -> tuple[Any, ...]:
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
        refusals=(_other_reading, _unsaid_time, _other_length),
        finish=_reach,
    ),
    Row(
        "StateWithDelay",
        {"target": "_target", "item": "_target_term", "interpolation": "interp_method"},
        inward={"interpolation": _interpolation},
        more=("take_aware_unit",),
        runtime=_RING | {_CALLED},
        carried=_MOVED,
        unseen=_REACH,
        refusals=(_other_reading, _unsaid_time, _other_length, _other_shape, _called_otherwise),
        finish=_reach_of_state,
    ),
)
"""Rows of delays: their buffers are states, and what was registered is told to the other side."""
