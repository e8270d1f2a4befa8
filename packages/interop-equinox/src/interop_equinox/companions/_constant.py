"""Arrays that are part of a layer's structure: masks and connections, which nothing trains."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


class Constant:
    """An array that compares by content, so that it can stand in a static field.

    In a field of its own an array is a leaf of the tree: gradients would be taken of it.

    Args:
        value: the array.

    Example:
        >>> Constant(np.ones(2)) == Constant(np.ones(2))
        True
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant):
            return NotImplemented
        a, b = self.value, other.value
        return a is b or (
            type(a) is type(b)
            and a.shape == b.shape
            and a.dtype == b.dtype
            and bool(np.array_equal(np.asarray(a), np.asarray(b)))
        )

    def __hash__(self) -> int:
        return hash((self.value.shape, str(self.value.dtype)))

    def __repr__(self) -> str:
        return f"Constant({self.value.dtype}{list(self.value.shape)})"


def constant(value: Any) -> Any:
    """A `Constant` of an array; anything else as it is."""
    return Constant(value) if isinstance(value, jax.Array | np.ndarray) else value


def value_of(held: Any) -> Any:
    """The array in a `Constant`; anything else as it is."""
    return held.value if isinstance(held, Constant) else held
