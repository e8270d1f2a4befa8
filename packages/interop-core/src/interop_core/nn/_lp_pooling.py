"""Pooling by the power mean of each window."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, final

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from ._parameters import as_array
from ._pooling import SlidingWindow

__all__ = ["LPPool1d", "LPPool2d", "LPPool3d"]


class _LPPool(SlidingWindow):
    """The power mean of each window."""

    def __init__(
        self,
        norm_type: float,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: Any = "VALID",
        channel_axis: int | None = -1,
        name: str | None = None,
        in_size: int | Sequence[int] | None = None,
    ) -> None:
        self.norm_type = _exponent(norm_type)
        super().__init__(kernel_size, stride, padding, channel_axis, name, in_size)

    def update(self, x: jax.Array) -> jax.Array:
        """Take the power mean of each window.

        Args:
            x: one example, with any number of batch axes in front.

        Returns:
            The power means, real and not negative. They have the default floating-point type, or
            that of the input where it is wider: powers of half-precision numbers would leave their
            range.

        Raises:
            ValueError: if axes are missing.
        """
        x = as_array(x)
        x = x.astype(jnp.promote_types(x.dtype, jnp.result_type(float)))
        window, stride, around = self._window(x.shape)
        powers = _power(x, self.norm_type)
        total = lax.reduce_window(
            powers, np.zeros((), powers.dtype), lax.add, window, stride, around
        )
        mean: jax.Array = total / math.prod(window)
        if self.norm_type == 1:
            return mean
        # What is used twice XLA does not take into the loop that follows: the sum over the windows
        # has a quicker loop of its own.
        pooled: jax.Array = jnp.where(total == 0, 0, _root(mean, self.norm_type))
        return pooled


def _exponent(norm_type: Any) -> float:
    """Check the exponent; integers stay integers.

    Raises:
        TypeError: if it is no real number.
        ValueError: if it is not positive, or not finite.
    """
    if isinstance(norm_type, str) or not hasattr(norm_type, "__float__"):
        raise TypeError(f"norm_type must be a real number, got {norm_type!r}.")
    exponent = int(norm_type) if isinstance(norm_type, int) else float(norm_type)
    if not 0 < exponent < math.inf:
        raise ValueError(
            f"norm_type must be a positive finite number, got {norm_type!r}. The limit of an "
            "infinite one is the largest magnitude: MaxPool of the absolute values."
        )
    return exponent


def _power(x: jax.Array, exponent: float) -> jax.Array:
    """Raise magnitudes to a power."""
    if exponent == 2:
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            return lax.square(lax.real(x)) + lax.square(lax.imag(x))
        return lax.square(x)
    magnitude = lax.abs(x)
    if exponent == int(exponent):
        return lax.integer_pow(magnitude, int(exponent))
    if exponent > 1:
        return magnitude**exponent
    # Below 1 a power has an infinite slope at 0, on both sides: 0 stands between the two.
    zero = magnitude == 0
    return jnp.where(zero, 0, jnp.where(zero, 1, magnitude) ** exponent)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _root(mean: jax.Array, exponent: float) -> jax.Array:
    """Take the root of a mean of powers."""
    return lax.sqrt(mean) if exponent == 2 else mean ** (1 / exponent)


@_root.defjvp
def _root_jvp(exponent: float, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    """Differentiate the root, at 0 too.

    The derivative of the root is infinite there, that of the mean of powers is 0: their product,
    the derivative of the whole along zeros, is taken to be 0 and must not become NaN.
    """
    (mean,), (moving,) = primals, tangents
    root = _root(mean, exponent)
    zero = mean == 0
    slope = jnp.where(zero, 0, root / jnp.where(zero, 1, exponent * mean))
    return root, slope * moving


@final
class LPPool1d(_LPPool):
    """The power mean of each window of ``(*batch, length, channels)``.

    The arguments are those of `LPPool2d` with one spatial axis less.

    Example:
        >>> LPPool1d(2, 2)(jnp.array([[1.0], [-7.0], [2.0], [2.0]])).tolist()
        [[5.0], [2.0]]
    """

    spatial = 1


@final
class LPPool2d(_LPPool):
    """The power mean of each window of ``(*batch, height, width, channels)``.

    ``y = (sum(abs(x) ** p) / n) ** (1 / p)`` over the ``n`` entries of a window, padding counted as
    zeros. With ``p = 1`` that is the mean of the magnitudes, with ``p = 2`` their root mean square;
    the larger ``p``, the nearer to the largest magnitude. (Without the division by ``n`` it would
    be the norm of the window, which some libraries give this name.) Windows are laid out as by
    `MaxPool2d`. The powers must stay in the range of the dtype. Where a derivative is infinite,
    at zeros, it is taken to be 0.

    Args:
        norm_type: the exponent ``p``, positive and finite.
        kernel_size: length of the window, one for all axes or one per axis.
        stride: step of the window, likewise; None for ``kernel_size``.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, an integer, an integer per axis, or
            (before, after) pairs; see `Conv2d`.
        channel_axis: as for `MaxPool2d`.
        name: a label for the user.
        in_size: shape of one example, where it is known.

    Raises:
        TypeError: if ``norm_type`` is no real number.
        ValueError: if an argument is malformed, or the window does not fit ``in_size``.

    Example:
        >>> layer = LPPool2d(3, 2, in_size=(8, 9, 3))
        >>> layer.stride, layer.out_size
        ((2, 2), (4, 4, 3))
        >>> layer(jnp.full((8, 9, 3), -2.0)).max().item()
        2.0
    """

    spatial = 2


@final
class LPPool3d(_LPPool):
    """The power mean of each window over three spatial axes, channels last.

    The arguments are those of `LPPool2d` with one spatial axis more.

    Example:
        >>> LPPool3d(2, 2)(jnp.ones((4, 4, 4, 3))).shape
        (2, 2, 2, 3)
    """

    spatial = 3
