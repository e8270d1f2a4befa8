"""Element-wise companions, and those along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


class Threshold(eqx.Module):
    """Replaces what is not above a threshold: ``x`` where ``x > threshold``, else ``value``.

    Args:
        threshold: the threshold.
        value: what stands where the input is not above it, in the dtype of the input.

    Example:
        >>> Threshold(0.5, 20.0)(jnp.array([0.25, 0.75])).tolist()
        [20.0, 0.75]
    """

    threshold: float = eqx.field(static=True)
    value: float = eqx.field(static=True)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Keep or replace each entry; the key is there for `eqx.nn.Sequential`."""
        x = jnp.asarray(x)
        return jnp.where(x > self.threshold, x, jnp.asarray(self.value, x.dtype))


class RReLU(eqx.Module):
    """Lets a random share through below zero: ``x`` where ``x >= 0``, else ``a * x``.

    ``a`` is drawn uniformly between two bounds, for every entry and in every call, whether in
    training or not.

    Args:
        lower: the smallest slope.
        upper: the largest slope.

    Raises:
        ValueError: if ``lower`` is above ``upper``.

    Example:
        >>> RReLU(0.5, 0.5)(jnp.array([-1.0, 2.0])).tolist()
        [-0.5, 2.0]
    """

    lower: float = eqx.field(static=True)
    upper: float = eqx.field(static=True)

    def __init__(self, lower: float = 1.0 / 8.0, upper: float = 1.0 / 3.0) -> None:
        if lower > upper:
            raise ValueError(f"lower={lower!r} must not be above upper={upper!r}.")
        self.lower = lower
        self.upper = upper

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Draw the slopes and apply them.

        Args:
            x: an array of any shape.
            key: what the slopes are drawn from; needed where the bounds differ.

        Raises:
            RuntimeError: if there is no key, and the bounds differ.
        """
        x = jnp.asarray(x)
        if self.lower == self.upper:
            return jax.nn.leaky_relu(x, self.lower)
        if key is None:
            raise RuntimeError("RReLU draws slopes in every call: give it a key.")
        dtype = jnp.result_type(x, float)
        slopes = jax.random.uniform(key, x.shape, dtype, self.lower, self.upper)
        return jnp.where(x >= 0, x, slopes * x)


class Softmax2d(eqx.Module):
    """Makes weights that sum to 1 over the channels of each pixel of an image ``(C, H, W)``.

    Example:
        >>> Softmax2d()(jnp.zeros((2, 1, 1))).ravel().tolist()
        [0.5, 0.5]
    """

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Compute the softmax along the channels; the key is there for `eqx.nn.Sequential`.

        Raises:
            ValueError: if the input has not three axes.
        """
        if jnp.ndim(x) != 3:
            raise ValueError(f"Softmax2d takes an image (C, H, W), got shape {jnp.shape(x)}.")
        return jax.nn.softmax(x, axis=-3)


class Unflatten(eqx.Module):
    """Splits one axis of an example into several, without changing the order of the entries.

    Args:
        axis: the axis to split.
        sizes: lengths of the axes to make of it; -1 at most once, for what is left over.

    Example:
        >>> Unflatten(0, (2, -1))(jnp.ones((6, 4))).shape
        (2, 3, 4)
    """

    axis: int = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, axis: int, sizes: Sequence[int]) -> None:
        self.axis = axis
        self.sizes = tuple(sizes)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Split the axis; the key is there for `eqx.nn.Sequential`."""
        shape = list(jnp.shape(x))
        axis = range(len(shape))[self.axis]
        shape[axis : axis + 1] = self.sizes
        return jnp.reshape(x, shape)
