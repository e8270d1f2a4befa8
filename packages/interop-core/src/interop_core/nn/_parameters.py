"""How layers make their parameters from initializer arguments, and what they remember of those."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .._abstract import ABSTRACT
from . import init
from ._quantity import is_quantity, keeping_unit

__all__ = ["Given", "as_array", "as_inexact", "mask", "parameter", "remembered"]

Shape = tuple[int, ...]


class Given(init.Initializer):
    """Stands in a layer for an initial value that was passed as an array.

    The state alone holds the array. A layer that kept it as an argument too would keep it alive
    after training has replaced it, and two layers with different weights would differ in their
    configuration.

    Args:
        array_dtype: the dtype of the array.

    Example:
        >>> with init.abstract():
        ...     Given("bfloat16")((2, 3))
        ShapeDtypeStruct(shape=(2, 3), dtype=bfloat16)
    """

    def __init__(self, array_dtype: Any) -> None:
        self.array_dtype = np.dtype(array_dtype)

    def __call__(self, size: Any, dtype: Any = None) -> Any:
        """Give the shape inside `init.abstract`; there is nothing to compute an array from.

        Raises:
            ValueError: outside of `init.abstract`.
        """
        if ABSTRACT.get():
            return jax.ShapeDtypeStruct(init.to_size(size) or (), dtype or self.array_dtype)
        raise ValueError(
            "The layer that this argument comes from was built around an array, which is in its "
            "state now: pass an initializer or an array instead."
        )


def remembered(initializer: Any) -> Any:
    """Give what a layer keeps of an initializer argument: `Given` in place of an array.

    Args:
        initializer: the argument.
    """
    value = getattr(initializer, "value", initializer)  # of a state
    if callable(initializer) or not hasattr(value, "dtype") or not np.shape(value):
        return initializer
    return Given(value.dtype)


def parameter(initializer: Any, shape: Shape) -> Any:
    """Make one parameter in its full shape.

    Args:
        initializer: a callable of the shape, an array that broadcasts to it, or a number.
        shape: the shape.

    Returns:
        An array of that shape; inside `init.abstract` a ``jax.ShapeDtypeStruct``.

    Raises:
        ValueError: if the argument is of no such kind, or does not fit.

    Example:
        >>> parameter(2.0, (3,)).tolist()
        [2.0, 2.0, 2.0]
    """
    if isinstance(initializer, bool | int | float):
        initializer = init.Constant(initializer)
    value = init.param(initializer, shape, allow_none=False)
    if np.shape(value) != shape:
        if not init.are_broadcastable_shapes(np.shape(value), shape):
            raise ValueError(
                f"{initializer!r} made an array of shape {np.shape(value)}, not of {shape}."
            )
        if isinstance(value, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(shape, value.dtype)
        return keeping_unit(lambda array: jnp.broadcast_to(array, shape), value)
    return jnp.asarray(value) if isinstance(value, np.ndarray) else value


def mask(argument: Any, shape: Shape) -> Any:
    """Make the mask of a weight.

    A mask is configuration, so an array stays an array also inside `init.abstract`.

    Args:
        argument: an array that broadcasts to the shape, a number, a callable of the shape, or None.
        shape: the shape of the weight.

    Returns:
        An array or number, or None.

    Raises:
        ValueError: if an array does not fit.
    """
    if hasattr(argument, "shape") and not callable(argument):
        # Not the other way round: a mask with more entries would make a larger weight.
        missing = len(shape) - len(argument.shape)
        sizes = zip(argument.shape, shape[missing:], strict=True) if missing >= 0 else ()
        if missing < 0 or any(size not in (1, length) for size, length in sizes):
            raise ValueError(f"A mask of shape {argument.shape} does not fit a weight of {shape}.")
        return argument
    return argument if isinstance(argument, bool | int | float) else init.param(argument, shape)


def as_array(value: Any) -> jax.Array:
    """Take JAX arrays and quantities as they are; make an array of the rest, in JAX's dtype."""
    return value if isinstance(value, jax.Array) or is_quantity(value) else jnp.asarray(value)


def as_inexact(value: Any) -> Any:
    """Make floating-point numbers of integers, as wide as JAX's own functions make them.

    For formulas whose differences, sums or squares would leave the range of an integer type.
    Everything else, booleans included, is given as it is.

    Args:
        value: an array, or anything else.

    Example:
        >>> as_inexact(np.array([200, 255], np.uint8)).dtype
        dtype('float32')
    """
    dtype = getattr(value, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.integer):
        return value
    array = jnp.asarray(value)
    return array.astype(jnp.float64 if array.dtype.itemsize == 8 else jnp.float32)
