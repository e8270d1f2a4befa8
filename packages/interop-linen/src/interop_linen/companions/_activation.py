"""Activations that jax has no function for, and the splitting of an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

__all__ = ["RReLU", "Softmax2d", "Threshold", "Unflatten"]


class Threshold(linen.Module):
    """Replaces what is not above a threshold: ``x`` where ``x > threshold``, else ``value``.

    Attributes:
        threshold: the threshold.
        value: what stands where the input is not above it, in the dtype of the input.

    Example:
        >>> Threshold(0.5, 20.0).apply({}, jnp.array([0.25, 0.75])).tolist()
        [20.0, 0.75]
    """

    threshold: float
    value: float

    def __call__(self, inputs: Any) -> Any:
        """Keep or replace each entry."""
        x = jnp.asarray(inputs)
        return jnp.where(x > self.threshold, x, jnp.asarray(self.value, x.dtype))


class RReLU(linen.Module):
    """Lets a random share through below zero: ``x`` where ``x >= 0``, else ``a * x``.

    ``a`` is drawn uniformly between two bounds, for every entry and in every call, whether in
    training or not.

    Attributes:
        lower: the smallest slope.
        upper: the largest slope.
        rng_collection: name of the random stream; needed where the bounds differ.

    Example:
        >>> layer, rngs = RReLU(0.25, 0.5), {"dropout": jax.random.key(0)}
        >>> slope = -layer.apply({}, jnp.array([-1.0]), rngs=rngs)[0]
        >>> bool(0.25 <= slope <= 0.5)
        True
    """

    lower: float = 1.0 / 8.0
    upper: float = 1.0 / 3.0
    rng_collection: str = "dropout"

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Draw the slopes and apply them.

        Args:
            inputs: an array of any shape.

        Raises:
            ValueError: if ``lower`` is above ``upper``.
        """
        if self.lower > self.upper:
            raise ValueError(f"lower={self.lower!r} must not be above upper={self.upper!r}.")
        x = jnp.asarray(inputs)
        if self.lower == self.upper:
            return jax.nn.leaky_relu(x, self.lower)
        key, dtype = self.make_rng(self.rng_collection), jnp.result_type(x, float)
        slopes = jax.random.uniform(key, x.shape, dtype, self.lower, self.upper)
        return jnp.where(x >= 0, x, slopes * x)


class Softmax2d(linen.Module):
    """Makes weights that sum to 1 over the channels of each pixel of an image ``(..., C, H, W)``.

    Example:
        >>> Softmax2d().apply({}, jnp.zeros((2, 1, 1))).ravel().tolist()
        [0.5, 0.5]
    """

    def __call__(self, inputs: Any) -> Any:
        """Compute the softmax along the channels.

        Args:
            inputs: an image ``(C, H, W)``, or a batch of them.

        Raises:
            ValueError: if the input has neither three nor four axes.
        """
        if jnp.ndim(inputs) not in (3, 4):
            raise ValueError(
                f"Softmax2d takes images (C, H, W) or (N, C, H, W), got shape {jnp.shape(inputs)}."
            )
        return jax.nn.softmax(inputs, axis=-3)


class Unflatten(linen.Module):
    """Splits one axis into several, the last of them varying fastest.

    Attributes:
        axis: the axis to split, of the whole array as it comes; one counted from the end leaves
            batch axes alone.
        sizes: lengths of the axes to make of it; -1 at most once, for what is left over.

    Example:
        >>> Unflatten(-1, (2, -1)).apply({}, jnp.ones((5, 6))).shape
        (5, 2, 3)
    """

    axis: int
    sizes: Sequence[int]

    def __call__(self, inputs: Any) -> Any:
        """Split the axis.

        Raises:
            ValueError: if the input has no such axis, or its length does not split so.
        """
        shape = jnp.shape(inputs)
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"Unflatten splits axis {self.axis}, got shape {shape}.")
        axis = self.axis % len(shape)
        sizes = _lengths(shape[axis], tuple(self.sizes))
        return jnp.reshape(inputs, (*shape[:axis], *sizes, *shape[axis + 1 :]))


def _lengths(length: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The lengths of the new axes, so that no other axis makes up for what does not fit."""
    known = 1
    for size in sizes:
        known *= 1 if size == -1 else size
    left = length // max(known, 1) if -1 in sizes else 1
    if known * left != length:
        raise ValueError(f"{length} entries cannot be split into {sizes}.")
    return tuple(left if size == -1 else size for size in sizes)
