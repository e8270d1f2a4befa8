"""The base of initializers, the constant ones, and `param`, through which every state is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .. import environ, random
from .._abstract import ABSTRACT
from .._content import fingerprint, same
from .._pretty import call_text
from ..state import State
from ._quantity import split, with_unit

Size = tuple[int, ...]

_ALL_INT = frozenset({int})
# JAX publishes its constructor without types.
_shape_dtype: Any = jax.ShapeDtypeStruct


@contextmanager
def abstract() -> Iterator[None]:
    """Build skeletons inside a ``with`` block: shapes and dtypes instead of arrays.

    Inside, `param` and every initializer return ``jax.ShapeDtypeStruct``, nothing is computed and
    no random key is drawn. The block concerns the thread or task that entered it and no other.

    Example:
        >>> with abstract():
        ...     param(ZeroInit(), (2, 3))
        ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """
    token = ABSTRACT.set(True)
    try:
        yield
    finally:
        ABSTRACT.reset(token)


def to_size(x: Any) -> Size | None:
    """Make a size of an integer or a sequence of integers.

    Args:
        x: an integer, a tuple or list of integers, or None.

    Returns:
        A tuple of Python integers; None for None.

    Raises:
        ValueError: for anything else.

    Example:
        >>> to_size(3), to_size([3, 4]), to_size(None)
        ((3,), (3, 4), None)
    """
    if x.__class__ is tuple and _ALL_INT.issuperset([n.__class__ for n in x]):
        return x
    if x is None:
        return None
    if isinstance(x, int | np.integer) and not isinstance(x, bool):
        return (int(x),)
    if isinstance(x, tuple | list) and all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) for n in x
    ):
        return tuple(int(n) for n in x)
    raise ValueError(f"Cannot make a size of {x!r}: an integer or a tuple of integers is needed.")


def are_broadcastable_shapes(shape1: Sequence[int], shape2: Sequence[int]) -> bool:
    """Tell whether two shapes broadcast together.

    Args:
        shape1: one shape.
        shape2: the other.

    Example:
        >>> are_broadcastable_shapes((1, 3), (2, 3)), are_broadcastable_shapes((4,), (2, 3))
        (True, False)
    """
    pairs = zip(reversed(shape1), reversed(shape2), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


class Initializer:
    """The base class of initializers: objects that make an array of a given shape.

    A subclass keeps its arguments as attributes, does not change them, and defines `make`. Two
    initializers are equal when they have the same class and arguments, so layers that are built
    alike are alike.
    """

    compares_by_content = True
    _hash: int

    def __call__(self, size: int | Sequence[int], dtype: Any = None) -> Any:
        """Make an array.

        Args:
            size: its shape.
            dtype: its dtype; the default is `environ.dftype()`.

        Returns:
            The array; inside `abstract` a ``jax.ShapeDtypeStruct``.
        """
        shape = to_size(size) or ()
        dtype = environ.dftype() if dtype is None else dtype
        if ABSTRACT.get():
            return _shape_dtype(shape, jax.dtypes.canonicalize_dtype(dtype))
        return self.make(shape, dtype)

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        raise NotImplementedError(f"{type(self).__name__} does not define make().")

    def _arguments(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Initializer) or type(self) is not type(other):
            return False
        return same(self._arguments(), other._arguments())

    def __hash__(self) -> int:
        # Arguments do not change, and a model is hashed at every call of a jitted function.
        known = self.__dict__.get("_hash")
        if known is None:
            known = self._hash = hash((type(self), fingerprint(self._arguments())))
        return known

    def __repr__(self) -> str:
        shown = {k: v for k, v in self._arguments().items() if v is not None}
        return call_text(type(self).__name__, shown)


class Seeded(Initializer):
    """An initializer that draws: from the default generator, or from its own where it has a seed.

    Args:
        seed: seed or key of its own. Successive calls of one initializer give different arrays.
        unit: the physical unit of the result; None for plain numbers.
    """

    def __init__(self, seed: Any, unit: Any) -> None:
        self.seed = seed
        self.unit = unit
        self._rng: random.RandomState | None = None

    def key(self) -> jax.Array:
        """Draw the key for one array."""
        if self.seed is None:
            return random.DEFAULT.fixed_key()
        if self._rng is None:
            self._rng = random.RandomState(self.seed)
        return self._rng.fixed_key()


class ZeroInit(Initializer):
    """All zeros.

    Args:
        unit: the physical unit of the result; None for plain numbers.

    Example:
        >>> ZeroInit()((2,)).tolist()
        [0.0, 0.0]
    """

    def __init__(self, unit: Any = None) -> None:
        self.unit = unit

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        return with_unit(jnp.zeros(size, dtype), self.unit)


class Constant(Initializer):
    """One value everywhere, or an array broadcast to the shape.

    Args:
        value: a number, or an array that broadcasts to the shape asked for.

    Example:
        >>> Constant(2.0)((2,)).tolist()
        [2.0, 2.0]
    """

    def __init__(self, value: Any = 1.0) -> None:
        self.value = value

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        value, unit = split(self.value)
        return with_unit(jnp.full(size, value, dtype), unit)


class Identity(Initializer):
    """The identity matrix, which may have more rows or columns, times a value.

    Args:
        value: a number, or an array that broadcasts to the matrix.
        unit: the physical unit of the result; None for plain numbers.

    Example:
        >>> Identity(2.0)((2, 3)).tolist()
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    def __init__(self, value: Any = 1.0, unit: Any = None) -> None:
        self.value = value
        self.unit = unit

    def __call__(self, size: int | Sequence[int], dtype: Any = None) -> Any:
        """Make a matrix.

        Args:
            size: its shape; one number makes it square.
            dtype: its dtype; the default is `environ.dftype()`.

        Raises:
            ValueError: if the shape has more than two axes.
        """
        shape = to_size(size) or ()
        if len(shape) not in (1, 2):
            raise ValueError(f"The identity is a matrix; it has no shape {shape}.")
        return super().__call__(shape * 2 if len(shape) == 1 else shape, dtype)

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        value, unit = split(self.value)
        matrix = jnp.eye(size[0], size[1], dtype=dtype) * jnp.asarray(value, dtype)
        return with_unit(with_unit(matrix, unit), self.unit)


def param(
    parameter: Any,
    sizes: int | Sequence[int],
    batch_size: int | None = None,
    allow_none: bool = True,
    allow_scalar: bool = True,
) -> Any:
    """Make the initial value of a state.

    Args:
        parameter: an initializer or another function of a shape; an array that broadcasts to the
            shape, taken as it is; a number; a state, whose value is checked in its place; or None.
        sizes: the shape without batch axis.
        batch_size: with it, the result has a leading axis of that length: an initializer is asked
            for the longer shape, an array is repeated. A number stays a number.
        allow_none: whether None is accepted, and given back.
        allow_scalar: whether a number is accepted, and given back.

    Returns:
        The value. Inside `abstract`, a ``jax.ShapeDtypeStruct`` of its shape and dtype.

    Raises:
        ValueError: if ``parameter`` is of no such kind or does not fit the shape.

    Example:
        >>> param(Constant(3.0), 2, batch_size=1).tolist()
        [[3.0, 3.0]]
        >>> param(None, 2) is None
        True
    """
    size = to_size(sizes)
    if size is None:
        raise ValueError("param needs a size.")
    if parameter is None:
        if allow_none:
            return None
        raise ValueError(f"A value of shape {size} is needed here, not None.")
    if isinstance(parameter, State):
        value = _fit(parameter.value, size, batch_size)
        return parameter if value is parameter.value else parameter.replace(value)
    if isinstance(parameter, bool | int | float | complex | np.generic | str):
        if isinstance(parameter, str) or not allow_scalar:
            raise ValueError(f"Cannot make a value of shape {size} from {parameter!r}.")
        return shape_of(parameter) if ABSTRACT.get() else parameter
    if hasattr(parameter, "shape") and hasattr(parameter, "dtype"):
        return _fit(parameter, size, batch_size)
    if callable(parameter):
        full = size if batch_size is None else (int(batch_size), *size)
        return _call(parameter, full)
    raise ValueError(
        f"Cannot make a value of shape {size} from {parameter!r}: an initializer, a function of "
        "the shape, an array, a number or a state is needed."
    )


def _call(make: Callable[..., Any], size: Size) -> Any:
    """Ask a function for an array, or for its shape alone while skeletons are built."""
    if isinstance(make, Initializer) or not ABSTRACT.get():
        return make(size)
    # Random draws inside find a blank key in this mode, so tracing leaves no trace behind.
    return jax.eval_shape(lambda: make(size))


def shape_of(value: Any) -> Any:
    """Give shape and dtype of an array or number, as JAX would hold it."""
    if isinstance(value, jax.ShapeDtypeStruct):
        return value
    return jax.eval_shape(lambda: jnp.asarray(value))


def _fit(array: Any, size: Size, batch_size: int | None) -> Any:
    """Check an array against a shape and give it a batch axis if asked."""
    shape = tuple(array.shape)
    fits = are_broadcastable_shapes(shape, size)
    if batch_size is None or len(shape) <= len(size):
        if not fits or len(shape) > len(size):
            raise ValueError(f"An array of shape {shape} does not fit the shape {size}.")
    elif shape[0] != batch_size or not are_broadcastable_shapes(shape[1:], size):
        raise ValueError(
            f"An array of shape {shape} does not fit the shape {size} with batch {batch_size}."
        )
    if ABSTRACT.get():
        array = shape_of(array)
    if batch_size is None or len(shape) > len(size):
        return array
    missing = len(size) - len(shape)
    full = (int(batch_size), *(1,) * missing, *shape)
    if isinstance(array, jax.ShapeDtypeStruct):
        return _shape_dtype(full, array.dtype)
    if isinstance(array, np.ndarray):
        # A copy, because a state's value is written to in place by those who use NumPy.
        return np.broadcast_to(array.reshape(full[1:]), full).copy()
    return jnp.broadcast_to(array.reshape(full[1:]), full)
