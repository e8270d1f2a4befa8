"""The layout that reads the same numbers in another shape.

Apart from the others in `layout` because it names shapes, not axes: a row makes it out of a
configuration. Imports `errors` and `layout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from jax.sharding import PartitionSpec

from .errors import Refusal
from .layout import Arrays, Shape, Shapes, Specs

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

    def _spec(self, spec: PartitionSpec) -> Any:
        """Every mesh axis once: together on one long axis, spread over several in turn."""
        names = [name for entry in spec for name in _mesh_axes(entry)]
        long = [place for place, size in enumerate(self.target) if size > 1]
        entries: list[Any] = [None] * len(self.target)
        for place, name in zip(long, names, strict=False):
            entries[place] = name
        if long and len(names) > len(long):
            entries[long[-1]] = tuple(names[len(long) - 1 :])
        return _partition_spec(*entries)

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


def _mesh_axes(entry: Any) -> tuple[str, ...]:
    """The mesh axes of one entry of a ``PartitionSpec``."""
    if entry is None:
        return ()
    return tuple(entry) if isinstance(entry, tuple) else (entry,)
