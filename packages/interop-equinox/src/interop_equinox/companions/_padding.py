"""Companions that add entries around an image, channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import lax

Pads = tuple[tuple[int, int], ...]


class _ConstantPad(eqx.Module):
    """Adds a constant before and after each axis behind the channels."""

    axes: ClassVar[int]
    padding: Pads = eqx.field(static=True)
    value: float = eqx.field(static=True)

    def __init__(self, padding: int | Sequence[tuple[int, int]], value: float = 0) -> None:
        pairs = ((padding, padding),) * self.axes if isinstance(padding, int) else padding
        self.padding = tuple((before, after) for before, after in pairs)
        self.value = value
        if len(self.padding) != self.axes:
            raise ValueError(
                f"padding must be an integer or {self.axes} pairs (before, after), got {padding!r}."
            )

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Add the entries to ``(channels, *spatial)``; the key is there for `eqx.nn.Sequential`.

        Raises:
            ValueError: if the input has another number of axes.
        """
        x = jnp.asarray(x)
        if x.ndim != self.axes + 1:
            raise ValueError(
                f"{type(self).__name__} takes channels and {self.axes} axes behind them, got "
                f"shape {x.shape}."
            )
        widths = [(0, 0, 0), *((before, after, 0) for before, after in self.padding)]
        return lax.pad(x, jnp.asarray(self.value).astype(x.dtype), widths)


class ConstantPad1d(_ConstantPad):
    """Adds a constant before and after ``(channels, length)``.

    The arguments are those of `ConstantPad2d` with one axis less.

    Example:
        >>> ConstantPad1d(((1, 2),), 0.5)(jnp.ones((1, 2))).tolist()
        [[0.5, 1.0, 1.0, 0.5, 0.5]]
    """

    axes = 1


class ConstantPad2d(_ConstantPad):
    """Adds a constant around ``(channels, height, width)``.

    Args:
        padding: numbers of entries before and after each axis behind the channels, in pairs; one
            integer holds for all sides.
        value: the constant; it takes the dtype of the data.

    Raises:
        ValueError: if there are not as many pairs as axes.

    Example:
        >>> ConstantPad2d(((1, 0), (0, 0)), 2)(jnp.ones((1, 1, 3))).tolist()
        [[[2.0, 2.0, 2.0], [1.0, 1.0, 1.0]]]
    """

    axes = 2


class ConstantPad3d(_ConstantPad):
    """Adds a constant around ``(channels, depth, height, width)``.

    The arguments are those of `ConstantPad2d` with one axis more.

    Example:
        >>> ConstantPad3d(1)(jnp.ones((2, 1, 1, 1))).shape
        (2, 3, 3, 3)
    """

    axes = 3
