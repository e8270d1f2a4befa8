"""The layout that gives each of several arrays a layout of its own.

Apart from the others in `layout`. Imports that alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .layout import Arrays, Layout, Shapes, Specs


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Beside:
    """Several layouts side by side, each on the next arrays in line.

    Attributes:
        parts: how many arrays a layout takes, the layout, and how many it gives.

    Example:
        >>> from .layout import IDENTITY, Join
        >>> Beside(((1, IDENTITY, 1), (2, Join((2, 3), 0), 1))).shapes(((4,), (2,), (3,)))
        ((4,), (5,))
    """

    parts: tuple[tuple[int, Layout, int], ...]

    @property
    def exact(self) -> bool:
        return all(layout.exact for _, layout, _ in self.parts)

    @property
    def linear(self) -> bool:
        return all(layout.linear for _, layout, _ in self.parts)

    @property
    def inverse(self) -> Beside:
        return Beside(tuple((gives, layout.inverse, takes) for takes, layout, gives in self.parts))

    def _each(self, values: tuple[Any, ...], act: Callable[[Layout], Any]) -> tuple[Any, ...]:
        found: list[Any] = []
        start = 0
        for takes, layout, _ in self.parts:
            found += act(layout)(values[start : start + takes])
            start += takes
        return tuple(found)

    def __call__(self, arrays: Arrays, /) -> Arrays:
        return self._each(arrays, lambda layout: layout)

    def shapes(self, shapes: Shapes, /) -> Shapes:
        return self._each(shapes, lambda layout: layout.shapes)

    def spec(self, specs: Specs, /) -> Specs:
        return self._each(specs, lambda layout: layout.spec)

    def __str__(self) -> str:
        return " | ".join(str(layout) for _, layout, _ in self.parts)
