"""The layouts that turn something round: the sign of a block, the order along axes.

Apart from the others in `layout`. Imports that alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .errors import Refusal
from .layout import Arrays, Blocks, Shapes, Specs, _library


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Negate:
    """Change the sign of one of the equal blocks along an axis: exact in floating point.

    Example:
        >>> Negate("rz", "z")((np.asarray([1.0, 2.0]),))[0].tolist()
        [1.0, -2.0]
    """

    blocks: str
    block: str
    axis: int = -1
    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    @property
    def inverse(self) -> Negate:
        return self

    def __call__(self, arrays: Arrays, /) -> Arrays:
        return tuple(self._negate(array) for array in arrays)

    def _negate(self, array: Any) -> Any:
        library = _library(array)
        parts = list(library.split(array, len(self.blocks), self.axis))
        index = self.blocks.index(self.block)
        parts[index] = -parts[index]
        return library.concatenate(parts, self.axis)

    def shapes(self, shapes: Shapes, /) -> Shapes:
        return Blocks(self.blocks, self.blocks, self.axis).shapes(shapes)

    def spec(self, specs: Specs, /) -> Specs:
        return specs

    def __str__(self) -> str:
        return f"-{self.block}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Flip:
    """Read the first axes backwards, as the window of a transposed convolution.

    Example:
        >>> Flip(1)((np.asarray([1.0, 2.0]),))[0].tolist()
        [2.0, 1.0]
    """

    count: int
    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    @property
    def touched(self) -> range:
        return range(self.count)

    @property
    def inverse(self) -> Flip:
        return self

    def __call__(self, arrays: Arrays, /) -> Arrays:
        backwards = (slice(None, None, -1),) * self.count
        # A copy: a view with negative strides would be as good as none to other libraries.
        return tuple(
            np.ascontiguousarray(array[backwards])
            if isinstance(array, np.ndarray)
            else array[backwards]
            for array in arrays
        )

    def shapes(self, shapes: Shapes, /) -> Shapes:
        for shape in shapes:
            if len(shape) < self.count:
                raise Refusal(f"expected {self.count} axes or more, got the shape {shape}")
        return shapes

    def spec(self, specs: Specs, /) -> Specs:
        return specs

    def __str__(self) -> str:
        return f"flip {self.count} {'axis' if self.count == 1 else 'axes'}"
