"""Physical units on their way through a layer: what carries one is told by its mantissa and unit.

Imports no library of units. A quantity is any object with ``mantissa`` and ``unit``, such as those
of `saiunit` and `brainunit`; a plain array times a unit is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import jax
from jax import numpy as jnp

__all__ = [
    "alike",
    "bilinear",
    "clip",
    "from_bound",
    "is_quantity",
    "keeping_unit",
    "split",
    "to_bound",
    "with_unit",
]


def is_quantity(value: Any) -> bool:
    """Tell whether a value carries a physical unit.

    Example:
        >>> is_quantity(2.0)
        False
    """
    return hasattr(value, "mantissa") and hasattr(value, "unit")


def split(value: Any) -> tuple[Any, Any]:
    """Take the unit off.

    Args:
        value: a quantity, or anything else.

    Returns:
        The plain array and its unit; ``value`` and None where there is no unit.

    Example:
        >>> split(2.0)
        (2.0, None)
    """
    return (value.mantissa, value.unit) if is_quantity(value) else (value, None)


def with_unit(array: Any, unit: Any) -> jax.Array:
    """Attach a physical unit to an array; None leaves it a plain array."""
    # A quantity stands for an array in all that layers do with it.
    return cast("jax.Array", array if unit is None else array * unit)


def keeping_unit(function: Callable[[Any], Any], x: Any) -> jax.Array:
    """Apply a function with ``f(c x) = c f(x)`` for every positive ``c``: the unit stays."""
    array, unit = split(x)
    return with_unit(function(array), unit)


def bilinear(function: Callable[[Any, Any], Any], x: Any, y: Any) -> jax.Array:
    """Apply a function that is linear in both of its arguments: the units multiply."""
    (a, first), (b, second) = split(x), split(y)
    return with_unit(with_unit(function(a, b), first), second)


def alike(*values: Any) -> tuple[Any, ...]:
    """Bring values to one unit, that of the first which has one.

    Args:
        *values: quantities of one dimension, or plain numbers.

    Returns:
        The plain values, and the unit or None behind them.

    Raises:
        TypeError: if some have a unit and others have none.

    Example:
        >>> alike(1.0, 2.0)
        (1.0, 2.0, None)
    """
    units = [unit for _, unit in map(split, values)]
    known = [unit for unit in units if unit is not None]
    if not known:
        return (*values, None)
    if len(known) != len(values):
        raise TypeError(f"Either all of {values} need a unit or none of them.")
    first = known[0]
    plain = [
        array if unit == first else value / first
        for value, (array, unit) in zip(values, map(split, values), strict=True)
    ]
    return (*plain, first)


def from_bound(bound: Any, distance: Any) -> Any:
    """Go a plain distance away from a bound: it counts in the unit of the bound.

    Example:
        >>> from_bound(1.0, 2.0)
        3.0
    """
    return bound + with_unit(distance, split(bound)[1])


def to_bound(bound: Any, value: Any) -> Any:
    """Give the plain distance of a value from a bound, in the unit of the bound.

    Raises:
        TypeError: if one of them has a unit and the other has none.

    Example:
        >>> to_bound(1.0, 3.0)
        2.0
    """
    start, plain, _ = alike(bound, value)
    return plain - start


def clip(x: Any, lower: Any, upper: Any) -> Any:
    """Bring values between bounds, of which None is none.

    Raises:
        TypeError: if some have a unit and others have none.
    """
    bounds = [bound for bound in (lower, upper) if bound is not None]
    plain, *limits, unit = alike(x, *bounds)
    low = None if lower is None else limits[0]
    high = None if upper is None else limits[-1]
    return with_unit(jnp.clip(plain, low, high), unit)
