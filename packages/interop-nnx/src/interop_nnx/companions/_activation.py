"""Element-wise companions, and those along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ._random import Drawing, draw_key, stream


class Threshold(nnx.Module):
    """Replaces what is not above a threshold: ``x`` where ``x > threshold``, else ``value``.

    Args:
        threshold: the threshold.
        value: what stands where the input is not above it, in the dtype of the input.

    Example:
        >>> Threshold(0.5, 20.0)(jnp.array([0.25, 0.75])).tolist()
        [20.0, 0.75]
    """

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold, self.value = threshold, value

    def __call__(self, x: Any) -> Any:
        """Keep or replace each entry."""
        x = jnp.asarray(x)
        return jnp.where(x > self.threshold, x, jnp.asarray(self.value, x.dtype))


class RReLU(Drawing):
    """Lets a random share through below zero: ``x`` where ``x >= 0``, else ``a * x``.

    ``a`` is drawn uniformly between two bounds, for every entry and in every call, whether in
    training or not.

    Args:
        lower: the smallest slope.
        upper: the largest slope.
        rngs: what slopes are drawn from, by the stream ``"dropout"``; needed where the bounds
            differ, here or in the call.

    Raises:
        ValueError: if ``lower`` is above ``upper``.

    Example:
        >>> RReLU(0.5, 0.5)(jnp.array([-1.0, 2.0])).tolist()
        [-0.5, 2.0]
    """

    def __init__(
        self,
        lower: float = 1.0 / 8.0,
        upper: float = 1.0 / 3.0,
        *,
        rngs: nnx.Rngs | nnx.RngStream | None = None,
    ) -> None:
        if lower > upper:
            raise ValueError(f"lower={lower!r} must not be above upper={upper!r}.")
        self.lower, self.upper = lower, upper
        self.rngs = stream(rngs)

    def __call__(self, x: Any, *, rngs: Any = None) -> Any:
        """Draw the slopes and apply them.

        Args:
            x: an array of any shape.
            rngs: what to draw from instead of the layer's own stream; a key will do.

        Raises:
            ValueError: if there is nothing to draw from, and the bounds differ.
        """
        x = jnp.asarray(x)
        if self.lower == self.upper:
            return jax.nn.leaky_relu(x, self.lower)
        dtype = jnp.result_type(x, float)
        slopes = jax.random.uniform(draw_key(self, rngs), x.shape, dtype, self.lower, self.upper)
        return jnp.where(x >= 0, x, slopes * x)


class Softmax2d(nnx.Module):
    """Makes weights that sum to 1 over the channels of each pixel of an image ``(..., C, H, W)``.

    Example:
        >>> Softmax2d()(jnp.zeros((2, 1, 1))).ravel().tolist()
        [0.5, 0.5]
    """

    def __call__(self, x: Any) -> Any:
        """Compute the softmax along the channels.

        Args:
            x: an image ``(C, H, W)``, or a batch of them.

        Raises:
            ValueError: if the input has neither three nor four axes.
        """
        if jnp.ndim(x) not in (3, 4):
            raise ValueError(
                f"Softmax2d takes images (C, H, W) or (N, C, H, W), got shape {jnp.shape(x)}."
            )
        return jax.nn.softmax(x, axis=-3)


class Unflatten(nnx.Module):
    """Splits one axis into several, the last of them varying fastest.

    Args:
        axis: the axis to split, of the whole array as it comes; one counted from the end leaves
            batch axes alone.
        sizes: lengths of the axes to make of it; -1 at most once, for what is left over.

    Example:
        >>> Unflatten(-1, (2, -1))(jnp.ones((5, 6))).shape
        (5, 2, 3)
    """

    def __init__(self, axis: int, sizes: Sequence[int]) -> None:
        self.axis, self.sizes = axis, tuple(sizes)

    def __call__(self, x: Any) -> Any:
        """Split the axis.

        Raises:
            ValueError: if the input has no such axis.
        """
        shape = list(jnp.shape(x))
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"Unflatten splits axis {self.axis}, got shape {tuple(shape)}.")
        axis = self.axis % len(shape)
        return jnp.reshape(x, (*shape[:axis], *_lengths(shape[axis], self), *shape[axis + 1 :]))


def _lengths(length: int, layer: Unflatten) -> tuple[int, ...]:
    """The lengths of the new axes, so that no other axis makes up for what does not fit."""
    known = 1
    for size in layer.sizes:
        known *= 1 if size == -1 else size
    left = length // max(known, 1) if -1 in layer.sizes else 1
    if known * left != length:
        raise ValueError(f"{length} entries cannot be split into {layer.sizes}.")
    return tuple(left if size == -1 else size for size in layer.sizes)
