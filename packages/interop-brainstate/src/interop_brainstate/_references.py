"""References to a delay or a module: objects without states that point into the same model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interop_core import nn
from interop_core.errors import Refusal

from ._delays import counted, plain
from ._values import alike, number

__all__ = ["POINTERS", "REFERENCES", "Reference", "check_reference", "move_reference"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A class of references, which is built around what it points to.

    Its constructor would register the delay a second time, so it is not called.

    Attributes:
        ours: the attributes in the core.
        published: the attributes in the published package.
        delay: the attribute that points to a delay, if any.
    """

    ours: frozenset[str]
    published: frozenset[str]
    delay: str | None = None

    def held(self, layer: Any) -> frozenset[str]:
        """The attributes of a reference."""
        return self.ours if isinstance(layer, nn.DelayAccess | _OURS) else self.published


_OURS = nn.Prefetch | nn.PrefetchDelay | nn.PrefetchDelayAt | nn.OutputDelayAt

_ITEM = frozenset({"module", "item"})
_AT = _ITEM | {"delay_time", "state_delay", "delay_info"}
_OUTPUT = frozenset({"module", "out_delay", "delay_info"})

REFERENCES = {
    "DelayAccess": Reference(
        frozenset({"delay", "entry"}), frozenset({"delay", "_delay_entry", "delay_info"}), "delay"
    ),
    "Prefetch": Reference(_ITEM, _ITEM),
    "PrefetchDelay": Reference(_ITEM, _ITEM),
    "PrefetchDelayAt": Reference(_AT, _AT, "state_delay"),
    "OutputDelayAt": Reference(_OUTPUT, _OUTPUT, "out_delay"),
}
"""The classes by name."""

POINTERS = frozenset({"module", "delay", "state_delay", "out_delay"})
"""Attributes of references that point to what the model holds elsewhere."""


def check_reference(reference: Reference, layer: Any) -> None:
    """Look at a reference before anything is built.

    Raises:
        Refusal: where it holds more than is known, or reads otherwise there.
    """
    other = vars(layer).keys() ^ reference.held(layer)
    if other:
        names = ", ".join(sorted(other))
        raise Refusal(f"is not what its class makes of its arguments: {names} differ")
    if "_delay_entry" in vars(layer):
        entries = layer.delay._registered_entries
        entry = layer._delay_entry
        if entry not in entries or not alike(entries[entry], layer.delay_info):
            raise Refusal(f"reads another delay than its entry {entry!r} says")
    elif vars(layer).get("delay_info", ()) is None:
        raise Refusal(
            "reads the newest value, which the published reference fails to do",
            "read the state or output itself",
        )


def move_reference(
    reference: Reference, layer: Any, built: Any, build: Callable[[Any], Any]
) -> None:
    """Fill a reference that is being built.

    Args:
        reference: its class.
        layer: the reference.
        built: the empty one.
        build: what converts a layer.

    Raises:
        Refusal: where nobody there would write the delay that it reads.
    """
    inward = isinstance(built, nn.DelayAccess | _OURS)
    change = plain if inward else counted
    for name in POINTERS & vars(layer).keys():
        setattr(built, name, build(getattr(layer, name)))
    if reference.delay == "delay":
        entry = layer._delay_entry if inward else layer.entry
        setattr(built, "entry" if inward else "_delay_entry", entry)
        if not inward:
            info = layer.delay._registered_entries[entry]
            built.delay_info = None if info is None else change(*info)
        return
    if "item" in vars(layer):
        built.item = layer.item
    if "delay_time" in vars(layer):
        built.delay_time = tuple(number(time) for time in layer.delay_time)
    if reference.delay is not None:
        built.delay_info = change(*layer.delay_info)
        _check_written(layer, built, reference.delay)


def _check_written(layer: Any, built: Any, delay: str) -> None:
    """Make sure that the module there writes the delay where the one here does."""
    writes, still = (
        any(fun is getattr(each, delay) for fun in (each.module.after_updates or {}).values())
        for each in (layer, built)
    )
    if writes and not still:
        raise Refusal(
            "reads a delay that its module would not write there: the registered mapping gave a "
            "module with another one of that name",
            "let the mapping leave before_updates and after_updates alone",
        )
