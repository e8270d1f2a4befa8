"""Running a function as one compiled program, whatever else than arrays it gives.

Imports jax and numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

UNTRACEABLE = (jax.errors.JAXTypeError, jax.errors.UnexpectedTracerError)
"""What functions raise that look at numbers, which a trace has not."""


def run_as_program(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function as one program, which compiles faster than each of its operations.

    A function that looks at its numbers, which a trace has not, is run operation by operation.

    Args:
        function: gives arrays, and perhaps other objects, in lists, tuples and dicts.
        *arguments: trees of arrays.

    Example:
        >>> run_as_program(lambda x: [x + 1, "name"], 1)
        [Array(2, dtype=int32, weak_type=True), 'name']
    """
    kept: list[Any] = []

    def program(*arguments: Any) -> list[Any]:
        flat, structure = jax.tree.flatten(function(*arguments))
        kept[:] = [structure, [None if _is_array(leaf) else leaf for leaf in flat]]
        return [leaf for leaf in flat if _is_array(leaf)]

    try:
        arrays = iter(jax.jit(program)(*arguments))
    except UNTRACEABLE:
        return function(*arguments)
    structure, flat = kept
    return jax.tree.unflatten(structure, [next(arrays) if e is None else e for e in flat])


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array)
