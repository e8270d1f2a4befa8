"""What a row of the catalogue says: how one public layer is built and called in a test.

Imports jax and numpy; neither a layer nor a test library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

__all__ = ["Row"]

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Row:
    """One construction of one layer, with what it is called on.

    Attributes:
        name: the layer's public name.
        make: builds it out of a namespace: this library's ``nn`` or one with the same interface.
        inputs: for each argument of the call its shape, batch included, to be filled with numbers
            of mean 0 and variance 1, or the array itself.
        case: what is special about this construction; empty for the plain one.
        batch: what ``init_all_states`` gets; None where the layer has no state of a sequence.
        steps: how many times the layer is called in a row, each time on other numbers.
        context: settings of ``environ`` during construction and call.
        tolerance: largest difference to the same computation done otherwise, relative to the
            largest entry; the default leaves room for another order of sums.
        differentiable: whether the output has gradients worth comparing.
        writes_eagerly: whether a call changes states outside of JAX's transformations alone.
        chance: whether a call draws random numbers, so that only distributions can be compared.
        differs: why the published layer gives other numbers; None where it gives the same.
    """

    name: str
    make: Callable[[Any], Any]
    inputs: tuple[Shape | np.ndarray | jax.Array, ...] = ((2, 4),)
    case: str = ""
    batch: int | None = None
    steps: int = 1
    context: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 2e-6
    differentiable: bool = True
    writes_eagerly: bool = False
    chance: bool = False
    differs: str | None = None

    def __str__(self) -> str:
        return f"{self.name}-{self.case}" if self.case else self.name

    def arguments(self, step: int = 0, dtype: Any = np.float32) -> tuple[Any, ...]:
        """Draw the inputs of one call.

        Args:
            step: which call; each has its own numbers.
            dtype: the type of drawn numbers; arrays that the row gives keep theirs.
        """
        draw = np.random.default_rng(step)
        return tuple(
            jax.numpy.asarray(draw.normal(size=given).astype(dtype))
            if isinstance(given, tuple)
            else jax.numpy.asarray(given)
            for given in self.inputs
        )
