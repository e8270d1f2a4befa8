"""How a delay reads its buffer between two rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import numpy as np
from jax import numpy as jnp

__all__ = ["InterpolationRegistry", "read_rows"]

Method = Callable[..., Any]


def read_rows(history: Any, rows: Any, indices: tuple[Any, ...]) -> Any:
    """Take rows out of the buffers, and entries out of the rows.

    Args:
        history: a pytree of buffers whose first axis is that of the rows.
        rows: one row or an array of rows, each between 0 and the number of rows.
        indices: indices into the further axes, which go together with ``rows`` as in NumPy.
    """
    return jax.tree.map(lambda buffer: buffer[(rows, *indices)], history)


def _blend(
    history: Any, indices: tuple[Any, ...], places: list[Any], weights: list[Any], length: int
) -> Any:
    """Add up rows with weights; the places of the rows may lie beyond the ends of the ring."""
    shapes = [np.shape(index) for index in indices if not isinstance(index, slice)]
    lead = len(np.broadcast_shapes(np.shape(weights[0]), *shapes))

    def of_one(buffer: jax.Array) -> Any:
        total: Any = 0
        for place, weight in zip(places, weights, strict=True):
            rows = jnp.mod(place, length).astype(jnp.int32)
            values = buffer[(rows, *indices)]
            if jnp.issubdtype(buffer.dtype, jnp.inexact):
                weight = jnp.asarray(weight).astype(buffer.dtype)
            if np.ndim(weight):
                weight = jnp.expand_dims(weight, tuple(range(lead, values.ndim)))
            total = total + values * weight
        return total

    return jax.tree.map(of_one, history)


def _lagrange(offset: Any, count: int) -> list[Any]:
    """Give the weights of the polynomial through ``count`` points at 0, 1, 2, ..."""
    return [
        math.prod([(offset - j) / (i - j) for j in range(count) if j != i], start=1.0 + 0 * offset)
        for i in range(count)
    ]


def nearest(
    history: Any, indices: tuple[Any, ...], float_idx: Any, max_length: int, newest: Any = None
) -> Any:
    """Take the row that is nearest; of two at the same distance the one of even number."""
    rows = jnp.mod(jnp.round(float_idx), max_length).astype(jnp.int32)
    return read_rows(history, rows, indices)


def linear(
    history: Any, indices: tuple[Any, ...], float_idx: Any, max_length: int, newest: Any = None
) -> Any:
    """Go straight from one row to the next."""
    low = jnp.floor(float_idx)
    high = low + 1
    # Beyond the newest row lies the oldest: it must not come in, not even with weight zero.
    high = high if newest is None else jnp.minimum(high, newest)
    part = float_idx - low
    return _blend(history, indices, [low, high], [1 - part, part], max_length)


def cubic(
    history: Any, indices: tuple[Any, ...], float_idx: Any, max_length: int, newest: Any = None
) -> Any:
    """Follow the cubic through two rows whose slopes are the differences of their neighbours.

    With ``p0, p1, p2, p3`` around the place ``u`` between ``p1`` and ``p2`` (Catmull and Rom)::

        p1 + u (p2 - p0) / 2 + u^2 (p0 - 5 p1 / 2 + 2 p2 - p3 / 2) + u^3 (3 p1 - p0 - 3 p2 + p3) / 2

    At either end of the buffer the slope is that of the last two rows.
    """
    if newest is not None and max_length == 1:
        return nearest(history, indices, newest + 0 * float_idx, max_length)
    low = jnp.floor(float_idx)
    if newest is not None:
        low = jnp.clip(low, newest - max_length + 1, newest - 1)
    u = float_idx - low
    weights = [
        u * (-0.5 + u * (1 - 0.5 * u)),
        1 + u * u * (-2.5 + 1.5 * u),
        u * (0.5 + u * (2 - 1.5 * u)),
        u * u * (-0.5 + 0.5 * u),
    ]
    places = [low - 1, low, low + 1, low + 2]
    if newest is not None:
        # A point beyond an end is the one that continues the last two in a straight line.
        first, last = low <= newest - max_length + 1, low + 1 >= newest
        before, after = jnp.where(first, weights[0], 0), jnp.where(last, weights[3], 0)
        weights = [
            weights[0] - before,
            weights[1] + 2 * before - after,
            weights[2] + 2 * after - before,
            weights[3] - after,
        ]
        places[0] = jnp.where(first, low, low - 1)
        places[3] = jnp.where(last, low + 1, low + 2)
    return _blend(history, indices, places, weights, max_length)


def _polynomial(
    count: int, history: Any, indices: tuple[Any, ...], place: Any, length: int, newest: Any
) -> Any:
    """Follow the polynomial through ``count`` rows around a place, fewer in a shorter buffer."""
    start = jnp.floor(place) - 1
    if newest is not None:
        count = min(count, length)
        start = jnp.clip(start, newest - length + 1, newest - count + 1)
    places = [start + i for i in range(count)]
    return _blend(history, indices, places, _lagrange(place - start, count), length)


def polynomial2(
    history: Any, indices: tuple[Any, ...], float_idx: Any, max_length: int, newest: Any = None
) -> Any:
    """Follow the parabola through the row below, the one before it and the one after it."""
    return _polynomial(3, history, indices, float_idx, max_length, newest)


def polynomial3(
    history: Any, indices: tuple[Any, ...], float_idx: Any, max_length: int, newest: Any = None
) -> Any:
    """Follow the cubic through the two rows on either side."""
    return _polynomial(4, history, indices, float_idx, max_length, newest)


#: What a delay tells where its newest row is, so that no value is taken from beyond the ends.
BUILT_IN = (nearest, linear, cubic, polynomial2, polynomial3)


class InterpolationRegistry:
    """The ways to read a delay between two steps, by name.

    Known from the start are ``nearest`` (also ``round``), ``linear`` (also ``linear_interp``),
    ``cubic`` and ``hermite`` (the spline of Catmull and Rom, which is a Hermite spline),
    ``polynomial2`` and ``polynomial3``.

    A method is called as ``method(history, indices, float_idx, max_length)``. ``history`` is the
    pytree of ring buffers with ``max_length`` rows each, ``float_idx`` the place to read: row
    ``k`` is at ``k``, at ``k - max_length`` and so on, and smaller is earlier. ``indices`` are to
    be applied to what is read.

    Example:
        >>> def earlier(history, indices, float_idx, max_length):
        ...     row = jnp.floor(float_idx).astype(int) % max_length
        ...     return history[(row, *indices)]
        >>> InterpolationRegistry.register("earlier", earlier)
        >>> float(InterpolationRegistry.get("earlier")(jnp.array([5.0, 6.0]), (), -0.5, 2))
        6.0
    """

    _methods: ClassVar[dict[str, Method]] = {
        "nearest": nearest,
        "round": nearest,
        "linear": linear,
        "linear_interp": linear,
        "cubic": cubic,
        "hermite": cubic,
        "polynomial2": polynomial2,
        "polynomial3": polynomial3,
    }

    @classmethod
    def register(cls, name: str, method: Method) -> None:
        """Add a method, or replace the one of that name.

        Args:
            name: its name.
            method: the function.

        Raises:
            TypeError: if it is no function.
        """
        if not callable(method):
            raise TypeError(f"An interpolation method is a function, not {method!r}.")
        cls._methods[name] = method

    @classmethod
    def get(cls, name: str) -> Method:
        """Find a method.

        Args:
            name: its name.

        Returns:
            The function.

        Raises:
            ValueError: if there is none of that name.
        """
        if name not in cls._methods:
            raise ValueError(
                f"{name!r} names no interpolation method; known are "
                f"{', '.join(cls.list_methods())}."
            )
        return cls._methods[name]

    @classmethod
    def list_methods(cls) -> list[str]:
        """List the names."""
        return list(cls._methods)
