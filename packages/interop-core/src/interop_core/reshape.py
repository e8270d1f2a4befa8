"""The layout that reads the same numbers in another shape.

Apart from the others in `layout` because it names shapes, not axes: a row makes it out of a
configuration. Imports `errors`, `layout` and `sharded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from jax.sharding import PartitionSpec

from .errors import Refusal
from .layout import Arrays, Shape, Shapes, Specs
from .sharded import mesh_axes

_partition_spec: Any = PartitionSpec  # its constructor is untyped in some releases of jax


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Reshape:
    """Read several axes as one, or one as several, in the order of the numbers.

    Example:
        >>> Reshape((2, 1, 3), (6,)).shapes(((2, 1, 3),))
        ((6,),)
        >>> Reshape((2, 3), (6,)).spec((PartitionSpec("x", None),)) == (PartitionSpec("x"),)
        True
    """

    source: Shape
    target: Shape
    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    @property
    def inverse(self) -> Reshape:
        return Reshape(self.target, self.source)

    def __call__(self, arrays: Arrays, /) -> Arrays:
        return tuple(array.reshape(self.target) for array in arrays)

    def shapes(self, shapes: Shapes, /) -> Shapes:
        for shape in shapes:
            if shape != self.source:
                raise Refusal(f"expected the shape {self.source}, got {shape}")
        return (self.target,) * len(shapes)

    def spec(self, specs: Specs, /) -> Specs:
        return tuple(self._spec(spec) for spec in specs)

    @property
    def touched(self) -> tuple[int, ...]:
        """The axes that do not stay an axis: all but the first of those that become one."""
        cut: list[int] = []
        for taken, given in _runs(self.source, self.target):
            alone = len(taken) == 1 and len(given) == 1
            cut += () if alone else taken[1:] if len(given) == 1 else taken
        return tuple(cut)

    def _spec(self, spec: PartitionSpec) -> Any:
        """Every mesh axis once: together on one long axis, spread over several in turn."""
        entries: list[Any] = [None] * len(self.target)
        held = (*spec, *[None] * len(self.source))
        for taken, given in _runs(self.source, self.target):
            if len(taken) == len(given) == 1:
                entries[given[0]] = held[taken[0]]
                continue
            names = [name for place in taken for name in mesh_axes(held[place])]
            for place, name in zip(given, names, strict=False):
                entries[place] = name
            if len(names) > len(given):
                entries[given[-1]] = tuple(names[len(given) - 1 :])
        return _partition_spec(*entries)

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


def _runs(source: Shape, target: Shape) -> list[tuple[list[int], list[int]]]:
    """Axes that hold the same numbers on both sides, in the shortest runs; without unit axes.

    Example:
        >>> _runs((2, 3, 1, 4), (6, 4))
        [([0, 1], [0]), ([3], [1])]
    """
    left, right = (
        [(place, size) for place, size in enumerate(shape) if size != 1][::-1]
        for shape in (source, target)
    )
    runs: list[tuple[list[int], list[int]]] = []
    while left and right:
        (first, a), (second, b) = left.pop(), right.pop()
        taken, given = [first], [second]
        while a != b:
            if a < b and left:
                first, size = left.pop()
                taken, a = [*taken, first], a * size
            elif right:
                second, size = right.pop()
                given, b = [*given, second], b * size
            else:
                break
        runs.append((taken, given))
    return runs
