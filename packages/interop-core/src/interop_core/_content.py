"""Comparing configuration by what it says, arrays and partial functions included."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

#: Types whose values can stand in a hashed structure as they are.
PLAIN: frozenset[type] = frozenset(
    {bool, int, float, complex, str, bytes, type(None), type, type(Ellipsis), type(len)}
    | {type(lambda: None), type(np.sin), type(np.dtype("float32")), frozenset}
)


class Content:
    """A hashable view of a value that compares by content.

    Arrays are equal when shape, dtype and every element are (NaN equals NaN); containers when
    their entries are; partial functions when function and arguments are. Whatever has no value
    yet, a traced array, is equal to itself only.

    Args:
        value: the value to look at.

    Example:
        >>> import numpy as np
        >>> Content(np.arange(3)) == Content(np.arange(3))
        True
        >>> Content(1) == Content(1.0)
        False
    """

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Content and same(self.value, other.value)

    def __hash__(self) -> int:
        return fingerprint(self.value)

    def __repr__(self) -> str:
        return f"Content({self.value!r})"


def same(a: Any, b: Any) -> bool:
    """Tell whether two configuration values say the same, types included.

    Args:
        a: one value.
        b: the other.

    Returns:
        True if they can stand for each other in a compiled function.
    """
    if a is b:
        return True
    # A NumPy and a JAX array differ in how they promote, so they are not the same; two concrete
    # JAX arrays may be, whatever classes hold them.
    both_arrays = isinstance(a, jax.Array) and isinstance(b, jax.Array)
    if type(a) is not type(b) and not both_arrays:
        return False
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
        return False
    if isinstance(a, jax.Array | np.ndarray):
        return _same_array(a, b)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, functools.partial):
        return same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
    try:
        return bool(a == b) or (a != a and b != b)
    except Exception:  # a foreign type whose comparison fails can only be told apart by identity
        return False


def _same_array(a: Any, b: Any) -> bool:
    """Compare two concrete arrays."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if getattr(a, "weak_type", False) != getattr(b, "weak_type", False):
        return False
    if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
        a, b = jax.random.key_data(a), jax.random.key_data(b)
    x, y = np.asarray(a), np.asarray(b)
    if x.dtype.hasobject:
        return bool(np.array_equal(x, y))
    # Bit by bit: NaN equals itself, and -0.0 differs from 0.0.
    return bool(np.array_equal(_bits(x), _bits(y)))


def _bits(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """View an array as bytes, without a copy where it is contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def fingerprint(value: Any) -> int:
    """Hash a configuration value so that what is `same` hashes the same.

    Arrays hash by shape and dtype alone: reading them would wait for the device.

    Args:
        value: the value.

    Returns:
        The hash.
    """
    if isinstance(value, jax.Array | np.ndarray):
        return hash((value.shape, str(value.dtype)))
    if isinstance(value, tuple | list):
        return hash(tuple(map(fingerprint, value)))
    if isinstance(value, dict):
        return hash(frozenset((k, fingerprint(v)) for k, v in value.items()))
    if isinstance(value, functools.partial):
        return hash((fingerprint(value.func), len(value.args)))
    try:
        return hash(value)
    except TypeError:
        return hash(type(value))
