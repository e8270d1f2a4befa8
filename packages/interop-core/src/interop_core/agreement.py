"""When two results are the same but for rounding. Imports jax and numpy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_FLOOR = 1e-3
"""Numbers far below one are compared with this in place of the largest of them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two results are from each other.

    Attributes:
        largest: the largest difference of two numbers; infinite for other shapes, or where one
            side alone has no number.
        allowed: what rounding explains.
        shapes: the shapes, where they differ; else empty.
    """

    largest: float
    allowed: float
    shapes: str = ""

    @property
    def agrees(self) -> bool:
        """Whether rounding explains all of it."""
        return self.largest <= self.allowed

    def widened(self, moved: Difference) -> Difference:
        """The same difference, where a result that rounding moves so far is off by that as well.

        Args:
            moved: how far the expected result moves for an input that is rounded otherwise.

        Example:
            >>> print(Difference(3e-5, 1e-5).widened(Difference(2e-5, 1e-5)).agrees)
            True
        """
        if not math.isfinite(moved.largest):
            return self
        return replace(self, allowed=self.allowed + moved.largest)

    def __str__(self) -> str:
        if self.shapes:
            return f"has the shapes {self.shapes}"
        found = f"{self.largest:.2g}" if math.isfinite(self.largest) else "numbers against none"
        return f"differs by up to {found}, where rounding explains {self.allowed:.2g}"


def relative_tolerance(dtypes: Iterable[Any], depth: int = 1) -> float:
    """The relative difference that rounding explains.

    One layer may be off by 64 units in the last place of the coarsest type involved, or by 8 of
    half precision and less, since what is summed there is kept in single precision by most
    devices. Rounding errors of layers behind each other add up as a random walk does.

    Args:
        dtypes: types of everything involved; those that are not floating do not count.
        depth: number of layers.

    Example:
        >>> f"{relative_tolerance([np.float32, np.int32]):.1e}"
        '7.6e-06'
        >>> relative_tolerance([np.float32, jnp.bfloat16], 4)
        0.125
    """
    precision: Any = jnp.finfo  # untyped in some releases of jax
    floating = [jnp.dtype(t) for t in dtypes if jnp.issubdtype(t, jnp.inexact)]
    coarsest = max((float(precision(dtype).eps) for dtype in floating), default=1e-7)
    units = 64 if coarsest < 1e-5 else 8
    return min(units * coarsest * math.sqrt(max(depth, 1)), 0.25)


def difference(
    found: Any, expected: Any, relative: float, scale: float | None = None
) -> Difference:
    """Compare two trees of arrays.

    Args:
        found: one side.
        expected: the other.
        relative: difference that rounding explains, relative to the largest number.
        scale: what to take for the largest number; by default, that of ``expected``.

    Example:
        >>> difference(np.ones(2), np.ones(2) + 1e-8, 1e-6).agrees
        True
        >>> print(difference(np.ones(2), np.ones(3), 1e-6))
        has the shapes (2,) and (3,)
    """
    ours, theirs = jax.tree.leaves(found), jax.tree.leaves(expected)
    shapes = [[np.shape(leaf) for leaf in side] for side in (ours, theirs)]
    if shapes[0] != shapes[1]:
        a, b = (", ".join(map(str, side)) or "none" for side in shapes)
        return Difference(math.inf, 0.0, f"{a} and {b}")
    largest = 0.0
    reach = scale
    if reach is None:
        reach = max(magnitude(expected), _FLOOR)
    for here, there in zip(map(_wide, ours), map(_wide, theirs), strict=True):
        if not np.array_equal(np.isfinite(here), np.isfinite(there)):
            return Difference(math.inf, relative * reach)
        with np.errstate(invalid="ignore"):
            apart = np.where(_alike(here, there), 0.0, np.abs(here - there))
        if apart.size:
            worst = float(np.max(apart))
            largest = max(largest, math.inf if math.isnan(worst) else worst)
    return Difference(largest, relative * reach)


def magnitude(tree: Any) -> float:
    """The largest finite number of a tree of arrays; 0 where there is none."""
    finite = (np.abs(array[np.isfinite(array)]) for array in map(_wide, jax.tree.leaves(tree)))
    return max((float(np.max(array)) for array in finite if array.size), default=0.0)


def has_numbers(tree: Any) -> bool:
    """Whether there is anything finite to compare."""
    return any(np.isfinite(_wide(leaf)).any() for leaf in jax.tree.leaves(tree))


def _alike(here: Any, there: Any) -> Any:
    return (here == there) | (np.isnan(here) & np.isnan(there))


def _wide(leaf: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(leaf)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
