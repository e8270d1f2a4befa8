"""Invertible maps between the values of options.

Imports `errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .errors import Refusal

Config = Mapping[str, Any]
"""A layer's options by constructor parameter.

The planner adds ``example``, the shape of one unbatched input in the core's convention (``None``
while unknown), and for every array ``NAME`` of the layer its shape as ``NAME.shape`` and its dtype
as ``NAME.dtype``.
"""


@dataclass(frozen=True, slots=True)
class Iso:
    """An invertible map between the values of two options.

    Each function takes the value and its own side's whole configuration, for values that mean
    something only beside others; it raises `Refusal` for a value with no counterpart.
    """

    to: Callable[[Any, Config], Any]
    back: Callable[[Any, Config], Any]
    doc: str


def iso(to: Callable[[Any], Any], back: Callable[[Any], Any], doc: str) -> Iso:
    """An `Iso` whose functions look at the value alone."""
    return Iso(lambda value, _: to(value), lambda value, _: back(value), doc)


def table(pairs: Mapping[Any, Any], doc: str = "by name") -> Iso:
    """An `Iso` from a one-to-one table; every other value is refused."""
    inverse = {foreign: core for core, foreign in pairs.items()}

    def look_up(entries: Mapping[Any, Any]) -> Callable[[Any], Any]:
        def find(value: Any) -> Any:
            try:
                return entries[value]
            except (KeyError, TypeError):
                known = ", ".join(map(repr, entries))
                raise Refusal(f"{value!r} has no counterpart", f"use one of {known}") from None

        return find

    return iso(look_up(pairs), look_up(inverse), doc)


def _complement(value: Any) -> float:
    # 1 - (1 - 0.3) is 0.30000000000000004 in binary; in decimal the way back is exact.
    return float(1 - Decimal(repr(float(value))))


SAME = iso(lambda value: value, lambda value: value, "=")
COMPLEMENT = iso(_complement, _complement, "1 - v")
