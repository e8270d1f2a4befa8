"""Arithmetic that does logic on spikes."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from ._module import ElementWiseBlock
from ._parameters import as_array

__all__ = ["SpikeBitwise"]

_Operation = Callable[[Any, Any], Any]

_ARITHMETIC: MappingProxyType[str, _Operation] = MappingProxyType(
    {
        "add": lambda x, y: x + y,
        "and": lambda x, y: x * y,
        "iand": lambda x, y: (1 - x) * y,
        "or": lambda x, y: (x + y) - x * y,
        "xor": lambda x, y: (x + y) - 2 * (x * y),
        "ixor": lambda x, y: x * (1 - y) + (1 - x) * y,
    }
)
_LOGIC: MappingProxyType[str, _Operation] = MappingProxyType(
    {
        "add": lambda x, y: x.astype(int) + y,
        "and": jnp.logical_and,
        "iand": lambda x, y: jnp.logical_and(~x, y),
        "or": jnp.logical_or,
        "xor": jnp.logical_xor,
        "ixor": jnp.logical_xor,
    }
)


class SpikeBitwise(ElementWiseBlock):
    """Combine two arrays of spikes by arithmetic that is logic on 0 and 1.

    ========== =================== ===================
    ``op``     on spikes           computed as
    ========== =================== ===================
    ``"add"``  number of spikes    ``x + y``
    ``"and"``  both                ``x * y``
    ``"iand"`` the second alone    ``(1 - x) * y``
    ``"or"``   one at least        ``x + y - x * y``
    ``"xor"``  one, not both       ``x + y - 2 * x * y``
    ``"ixor"`` one, not both       ``x * (1 - y) + (1 - x) * y``
    ========== =================== ===================

    The formulas hold for other numbers too, and have gradients. Two boolean arrays are combined by
    logic; their sum is one of integers.

    Args:
        op: the operation.
        name: a label for the user.

    Raises:
        ValueError: if there is no such operation.

    Example:
        >>> x, y = jnp.array([0.0, 0.0, 1.0, 1.0]), jnp.array([0.0, 1.0, 0.0, 1.0])
        >>> SpikeBitwise("or")(x, y).tolist()
        [0.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, op: str = "add", name: str | None = None) -> None:
        super().__init__(name=name)
        if op not in _ARITHMETIC:
            raise ValueError(f"op must be one of {', '.join(_ARITHMETIC)}, got {op!r}.")
        self.op = op

    def update(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Combine two arrays.

        Args:
            x: the first array.
            y: the second, of a shape that broadcasts with that of the first.

        Returns:
            Array of the shape that both broadcast to.
        """
        x, y = as_array(x), as_array(y)
        boolean = x.dtype == y.dtype == np.bool_
        result: jax.Array = (_LOGIC if boolean else _ARITHMETIC)[self.op](x, y)
        return result
