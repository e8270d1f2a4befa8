"""Companions that pool by power means, channels first."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Pads = tuple[tuple[int, int], ...]


class _LPPool(eqx.Module):
    """The power mean of each window."""

    axes: ClassVar[int]
    norm_type: float = eqx.field(static=True)
    kernel_size: tuple[int, ...] = eqx.field(static=True)
    stride: tuple[int, ...] = eqx.field(static=True)
    padding: str | Pads = eqx.field(static=True)

    def __init__(
        self,
        norm_type: float,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: str | Sequence[tuple[int, int]] = "VALID",
    ) -> None:
        if not 0 < norm_type < math.inf:
            raise ValueError(f"norm_type must be a positive finite number, got {norm_type!r}.")
        self.norm_type = norm_type
        self.kernel_size = self._per_axis(kernel_size)
        self.stride = self.kernel_size if stride is None else self._per_axis(stride)
        if not isinstance(padding, str):
            padding = tuple((before, after) for before, after in padding)
            self._per_axis([before for before, _ in padding])
        elif padding not in ("SAME", "SAME_LOWER", "VALID"):
            raise ValueError(f"padding must be SAME, SAME_LOWER, VALID or pairs, got {padding!r}.")
        self.padding = padding

    def _per_axis(self, value: int | Sequence[int]) -> tuple[int, ...]:
        entries = (value,) * self.axes if isinstance(value, int) else tuple(value)
        if len(entries) != self.axes:
            raise ValueError(f"expected an entry for each of {self.axes} axes, got {value!r}.")
        return entries

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Pool ``(channels, *spatial)``; the key is there for `eqx.nn.Sequential`.

        Returns:
            The power means, in the default floating-point type or a wider one of the input.

        Raises:
            ValueError: if the input has another number of axes.
        """
        x = jnp.asarray(x)
        if x.ndim != self.axes + 1:
            raise ValueError(
                f"{type(self).__name__} takes channels and {self.axes} axes behind them, got "
                f"shape {x.shape}."
            )
        # Powers of numbers in half precision would leave their range.
        x = x.astype(jnp.promote_types(x.dtype, jnp.result_type(float)))
        powers = _power(x, self.norm_type)
        window, stride = (1, *self.kernel_size), (1, *self.stride)
        padding: Any = self.padding
        if isinstance(padding, str):
            padding = lax.padtype_to_pads(x.shape[1:], self.kernel_size, self.stride, padding)
        zero = np.zeros((), powers.dtype)
        total = lax.reduce_window(powers, zero, lax.add, window, stride, ((0, 0), *padding))
        mean = total / math.prod(window)
        return mean if self.norm_type == 1 else _root(mean, self.norm_type)


def _power(x: Any, exponent: float) -> Any:
    """The magnitudes to a power, with a derivative of 0 at 0 where it would be infinite."""
    if exponent == 2:
        complex_ = jnp.iscomplexobj(x)
        return lax.square(x.real) + lax.square(x.imag) if complex_ else lax.square(x)
    magnitude = jnp.abs(x)
    if exponent == int(exponent):
        return lax.integer_pow(magnitude, int(exponent))
    if exponent > 1:
        return magnitude**exponent
    zero = magnitude == 0
    return jnp.where(zero, 0, jnp.where(zero, 1, magnitude) ** exponent)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _root(mean: Any, exponent: float) -> Any:
    """The root of a mean of powers."""
    return lax.sqrt(mean) if exponent == 2 else mean ** (1 / exponent)


@_root.defjvp
def _root_jvp(exponent: float, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    """The root's derivative is infinite at 0, where that of the mean is 0: their product is 0."""
    (mean,), (moving,) = primals, tangents
    root = _root(mean, exponent)
    zero = mean == 0
    slope = jnp.where(zero, 0, root / jnp.where(zero, 1, exponent * mean))
    return root, slope * moving


class LPPool1d(_LPPool):
    """The power mean of each window of ``(channels, length)``.

    The arguments are those of `LPPool2d` with one axis less.

    Example:
        >>> LPPool1d(2, 2)(jnp.array([[1.0, -7.0, 2.0, 2.0]])).tolist()
        [[5.0, 2.0]]
    """

    axes = 1


class LPPool2d(_LPPool):
    """The power mean of each window of ``(channels, height, width)``.

    ``y = (sum(abs(x) ** p) / n) ** (1 / p)`` over the ``n`` entries of a window, padding counted
    as zeros.

    Args:
        norm_type: the exponent ``p``, positive and finite.
        kernel_size: length of the window, one for all axes or one for each.
        stride: step of the window, likewise; None for ``kernel_size``.
        padding: ``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, or pairs (before, after).

    Raises:
        ValueError: if an argument is malformed.

    Example:
        >>> LPPool2d(3, 2)(jnp.ones((3, 8, 9))).shape
        (3, 4, 4)
    """

    axes = 2


class LPPool3d(_LPPool):
    """The power mean of each window of ``(channels, depth, height, width)``.

    The arguments are those of `LPPool2d` with one axis more.

    Example:
        >>> LPPool3d(2, 2)(jnp.ones((3, 4, 4, 4))).shape
        (3, 2, 2, 2)
    """

    axes = 3
