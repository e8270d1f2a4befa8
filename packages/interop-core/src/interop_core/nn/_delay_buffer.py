"""What delays are made of: times in steps, the values before the start, indices in bounds."""

from __future__ import annotations

import operator
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

__all__ = [
    "NOT_BATCHED",
    "ROUNDING",
    "check_bounds",
    "checked_init",
    "described",
    "filled",
    "longer",
    "steps_of",
]

#: The tag of states that are one for all lanes of a mapped module.
NOT_BATCHED = "INIT_NO_BATCHING"

# Times are multiples of the step up to rounding: 0.3 / 0.1 is no 3 in floating-point numbers.
ROUNDING = 1e-6


def steps_of(time: Any, interval: Any, what: str) -> Any:
    """Count the intervals that cover a time: an integer, or an array of integers.

    Raises:
        TypeError: if the time is no number in the unit of the step.
        ValueError: if it is negative, or has more than one axis.
    """
    try:
        # Not as part of a trace that may be going on: the length of a buffer is a number.
        with jax.ensure_compile_time_eval():
            ratio = np.asarray(time / interval, np.float64)
    except TypeError as error:
        raise TypeError(
            f"{what} must be a number or an array of them, in the unit of the time step, "
            f"not {time!r}."
        ) from error
    if ratio.ndim > 1 or (ratio < 0).any() or not np.isfinite(ratio).all():
        raise ValueError(f"{what} must be zero or more, one number or one axis, not {time!r}.")
    steps = np.ceil(ratio * (1 - ROUNDING)).astype(np.int32)
    return int(steps) if steps.ndim == 0 else steps


def described(leaf: Any) -> jax.ShapeDtypeStruct:
    """Keep shape and dtype of an array."""
    if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
        raise TypeError(
            f"target_info is an array, the shape and dtype of one (jax.ShapeDtypeStruct), or a "
            f"pytree of such; {leaf!r} is none."
        )
    return jax.ShapeDtypeStruct(leaf.shape, jnp.result_type(leaf.dtype))


def longer(time: Any, than: Any) -> bool:
    """Compare times, one of which may be the zero without a unit."""
    return bool(time > than) if not isinstance(than, float) or than else bool(time > 0 * time)


def checked_init(init: Any) -> Any:
    """Refuse what no buffer can be filled with."""
    for leaf in jax.tree.leaves(init):
        number = isinstance(leaf, bool | int | float | complex | np.generic)
        if not (callable(leaf) or number or hasattr(leaf, "shape")):
            raise TypeError(f"init is a number, an array or a callable of a shape, not {leaf!r}.")
    return init


def filled(target_info: Any, init: Any, lead: tuple[int, ...]) -> Any:
    """Make buffers: for each array of the target one with leading axes."""
    targets, structure = jax.tree.flatten(target_info)
    given: Any
    values, given = jax.tree.flatten(init)
    if init is None or not bool(given == structure):
        values = [init] * len(targets)
    leaves = [_fill(v, (*lead, *t.shape), t.dtype) for v, t in zip(values, targets, strict=True)]
    return jax.tree.unflatten(structure, leaves)


def _fill(init: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Make one buffer."""
    value = jnp.zeros(shape, dtype) if init is None else init
    if callable(init):
        value = init(shape, dtype=dtype)
    if isinstance(value, jax.ShapeDtypeStruct):
        return value
    return jnp.broadcast_to(jnp.asarray(value).astype(dtype), shape)


def check_bounds(history: Any, indices: tuple[Any, ...]) -> None:
    """Refuse plain indices that no entry has; JAX takes the last one instead."""
    for leaf in jax.tree.leaves(history):
        for axis, index in enumerate(indices, 1):
            if not isinstance(index, int | np.integer) or axis >= leaf.ndim:
                continue
            if not -leaf.shape[axis] <= operator.index(index) < leaf.shape[axis]:
                raise ValueError(
                    f"The value has {leaf.shape[axis]} entries on axis {axis - 1}; there is no "
                    f"index {index}."
                )
