"""Standardised weights: mean 0 and a fixed variance for every output."""

from __future__ import annotations

import math
import operator
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from . import init
from ._parameters import as_array

__all__ = ["gain_of", "weight_standardization"]


def weight_standardization(
    w: jax.typing.ArrayLike, eps: float = 1e-4, gain: Any = None, out_axis: int = -1
) -> jax.Array:
    """Standardise a weight, so that inputs of variance 1 give outputs of variance 1.

    The result is ``(w - mean) / sqrt(max(n * var, eps)) * gain``. Mean and variance are taken over
    the ``n`` entries that belong to one output, that is over all axes but ``out_axis``.

    Args:
        w: the weight, with two axes or more where there is something to standardise.
        eps: lower bound of ``n * var``, so that equal entries give 0.
        gain: factor on the result: an array that broadcasts to the shape of ``w``, or a number.
        out_axis: the axis of the outputs.

    Returns:
        Array of the shape of ``w``, of floating-point type.

    Raises:
        ValueError: if ``w`` has no axis ``out_axis``, or ``gain`` does not fit its shape.

    Example:
        >>> w = weight_standardization(jnp.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> [[round(entry, 3) for entry in row] for row in w.tolist()]
        [[-0.707, 0.0], [0.707, 0.0]]
    """
    w = as_array(w)
    if not -w.ndim <= operator.index(out_axis) < w.ndim:
        raise ValueError(f"A weight of shape {w.shape} has no axis {out_axis} of outputs.")
    if not init.are_broadcastable_shapes(np.shape(gain), w.shape) or np.ndim(gain) > w.ndim:
        raise ValueError(f"A gain of shape {np.shape(gain)} does not fit a weight of {w.shape}.")
    axes = tuple(axis for axis in range(w.ndim) if axis != out_axis % w.ndim)
    mean = jnp.mean(w, axis=axes, keepdims=True)
    total = jnp.var(w, axis=axes, keepdims=True) * math.prod(w.shape[axis] for axis in axes)
    factor = lax.rsqrt(jnp.maximum(total, eps))
    return (w - mean) * (factor if gain is None else factor * gain)


def gain_of(kernel: Any) -> Any:
    """Make the gain of a layer whose outputs are on the last axis of its kernel: ones.

    Args:
        kernel: the kernel as `parameter` made it.

    Returns:
        Array of shape ``(1, ..., 1, out)`` in the dtype of the kernel, or its abstract form.
    """
    return init.Constant(1.0)((*(1,) * (len(kernel.shape) - 1), kernel.shape[-1]), kernel.dtype)
