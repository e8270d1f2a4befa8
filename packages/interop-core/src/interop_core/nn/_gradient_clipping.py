"""Limiting the size of gradients."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

__all__ = ["clip_grad_norm"]


def clip_grad_norm(
    grad: Any,
    max_norm: float | jax.Array,
    norm_type: int | float | str | None = 2.0,
    return_norm: bool = False,
) -> Any:
    """Scale gradients down, all by one factor, so that their norm is not above a limit.

    The norm is that of all gradients together, as of one vector: ``(sum |g|**p) ** (1 / p)``. The
    factor is ``min(1, max_norm / norm)``. Neither overflows where the gradients do not, whatever
    their precision.

    Args:
        grad: a pytree of arrays: nested dicts, a module as `jax.grad` gives it. Its structure and
            dtypes are those of the result; integers become floating-point numbers.
        max_norm: the limit.
        norm_type: ``p``, a number from 1; ``"inf"`` for the largest entry, ``"-inf"`` for the
            smallest, by absolute value. None means 2.
        return_norm: whether to return the norm before scaling too.

    Returns:
        The scaled gradients; with ``return_norm`` a pair of them and the norm.

    Raises:
        ValueError: if ``norm_type`` is none of these, or ``max_norm`` is negative or not
            one number.
        TypeError: if a leaf is no array.

    Example:
        >>> grads = {"w": jnp.array([3.0, 4.0]), "b": jnp.array([12.0])}
        >>> clipped, norm = clip_grad_norm(grads, 6.5, return_norm=True)
        >>> clipped["w"].tolist(), float(norm)
        ([1.5, 2.0], 13.0)
    """
    p = _order(norm_type)
    if np.ndim(max_norm):
        raise ValueError(f"max_norm must be one number, got an array of {np.shape(max_norm)}.")
    if not isinstance(max_norm, jax.core.Tracer) and not np.all(np.asarray(max_norm) >= 0):
        raise ValueError(f"max_norm must not be negative, got {max_norm!r}.")
    leaves, structure = jax.tree.flatten(grad)
    arrays = [_as_gradient(leaf) for leaf in leaves]
    norm = _norm([a for a in arrays if a.size and a.dtype != jax.dtypes.float0], p)
    small = norm <= max_norm
    factor = jnp.where(small, 1.0, max_norm / jnp.where(small, 1.0, norm))
    clipped = jax.tree.unflatten(structure, [_scaled(a, factor) for a in arrays])
    return (clipped, norm) if return_norm else clipped


def _order(norm_type: Any) -> float:
    """Read the order of a norm."""
    known = {None: 2.0, "inf": math.inf, "-inf": -math.inf}
    if norm_type is None or isinstance(norm_type, str):
        order = known.get(norm_type)
    else:
        order = float(norm_type)
    if order is None or not (order >= 1 or order == -math.inf):
        raise ValueError(
            f"norm_type must be a number from 1, 'inf', '-inf' or None, got {norm_type!r}."
        )
    return order


def _as_gradient(leaf: Any) -> Any:
    """Take an array as it is and make one of a number."""
    if isinstance(leaf, bool | int | float | complex):
        return jnp.asarray(leaf)
    if not hasattr(leaf, "dtype") or not hasattr(leaf, "shape"):
        raise TypeError(f"Gradients are arrays, got {type(leaf).__name__}: {leaf!r}.")
    return leaf


def _norm(arrays: list[Any], p: float) -> jax.Array:
    """Compute the norm of one vector made of all arrays; 0 of none."""
    if not arrays:
        return jnp.zeros((), jnp.result_type(float))
    if p == -math.inf:
        return jnp.stack([_sizes(a).min() for a in arrays]).min()
    if p == math.inf:
        return jnp.stack([_sizes(a).max() for a in arrays]).max()
    # A whole number as exponent means products, which are faster than a power.
    power = int(p) if p.is_integer() else p
    total = jnp.stack([jnp.sum(_sizes(a) ** power) for a in arrays]).sum()
    # Far from both ends of the range no entry that matters has been lost; the rest is rare.
    fits = jnp.isfinite(total) & (total > float(np.finfo(np.float32).tiny) ** 0.5)

    def scaled() -> Any:
        """Compute the norm in a unit in which no power overflows."""
        largest = jnp.stack([_sizes(a).max() for a in arrays]).max()
        usual = (largest > 0) & jnp.isfinite(largest)
        # The norm is the same in any unit, which therefore is a constant for the gradient.
        unit = jax.lax.stop_gradient(jnp.where(usual, largest, 1.0))
        total = jnp.stack([jnp.sum((_sizes(a) / unit) ** power) for a in arrays]).sum()
        nothing = total == 0  # where the root has no slope
        return jnp.where(nothing, 0.0, unit * jnp.where(nothing, 1.0, total) ** (1 / p))

    norm: jax.Array = jax.lax.cond(fits, lambda: jnp.where(fits, total, 1.0) ** (1 / p), scaled)
    return norm


def _sizes(array: Any) -> jax.Array:
    """Give absolute values, in single precision at least."""
    return jnp.abs(array).astype(jnp.promote_types(_real(array.dtype), np.float32))


def _real(dtype: Any) -> Any:
    """Give the type of absolute values."""
    return np.finfo(dtype).dtype if jnp.issubdtype(dtype, jnp.complexfloating) else dtype


def _scaled(array: Any, factor: jax.Array) -> Any:
    """Multiply by the factor, in the precision of both, and go back to the dtype of the array."""
    if array.dtype == jax.dtypes.float0:  # the gradient of an integer
        return array
    product = array * factor
    inexact = jnp.issubdtype(array.dtype, jnp.inexact)
    return product.astype(array.dtype) if inexact else product
