"""The layout of states, which may have the axes of a batch in front.

Apart from the others in `layout`, whose arrays have a known number of axes. Imports that alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .layout import Arrays, Axes, Layout, Shape, Shapes, Specs, axes


@dataclass(frozen=True, slots=True, weakref_slot=True)
class BatchedAxes:
    """Permute the last axes, those of one example, whatever axes stand in front of them.

    Example:
        >>> images = batched_axes("h w c -> c h w")
        >>> images.shapes(((4, 3, 2), (16, 4, 3, 2)))
        ((2, 4, 3), (16, 2, 4, 3))
        >>> str(images)
        '... h w c -> ... c h w'
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    touched: ClassVar[tuple[int, ...]] = ()

    @property
    def inverse(self) -> BatchedAxes:
        return BatchedAxes(self.target, self.source)

    def __call__(self, arrays: Arrays, /) -> Arrays:
        return tuple(self._of(array.ndim)((array,))[0] for array in arrays)

    def shapes(self, shapes: Shapes, /) -> Shapes:
        return tuple(self._shape(shape) for shape in shapes)

    def _shape(self, shape: Shape) -> Shape:
        return self._of(len(shape)).shapes((shape,))[0]

    def spec(self, specs: Specs, /) -> Specs:
        return tuple(self._of(len(spec)).spec((spec,))[0] for spec in specs)

    def _of(self, count: int) -> Axes:
        """What becomes of an array with this many axes."""
        front = tuple(f"batch {place}" for place in range(count - len(self.source)))
        return Axes((*front, *self.source), (*front, *self.target))

    def __str__(self) -> str:
        return f"... {' '.join(self.source)} -> ... {' '.join(self.target)}"


def batched_axes(pattern: str) -> Layout:
    """`layout.axes` for arrays that may have any axes in front; see `BatchedAxes`.

    Args:
        pattern: ``"source -> target"``, names of the last axes, the same on both sides.

    Raises:
        ValueError: where a name stands on one side only.

    Example:
        >>> batched_axes("c -> c").shapes(((16, 4),))
        ((16, 4),)
    """
    found = axes(pattern)
    return BatchedAxes(found.source, found.target) if isinstance(found, Axes) else found
