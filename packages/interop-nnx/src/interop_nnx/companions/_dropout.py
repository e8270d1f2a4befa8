"""Companions that drop: whole channels, so that moments stay, or the same entries in every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from ._carry import Carrying
from ._random import Drawing, draw_key, stream

Shape = tuple[int, ...]
Streams = nnx.Rngs | nnx.RngStream | None

# What a scaled exponential linear unit tends to at minus infinity.
_SATURATION = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


class _Dropout(Drawing):
    """Drops with the probability ``rate``, unless deterministic."""

    def __init__(
        self, rate: float = 0.5, *, deterministic: bool = False, rngs: Streams = None
    ) -> None:
        _check(rate)
        self.rate, self.deterministic = rate, deterministic
        self.rngs = stream(rngs)

    def _drawn(self, shape: Shape) -> Shape:
        """The shape of the draws, with 1 for axes that share one."""
        return shape

    def __call__(self, x: Any, *, deterministic: bool | None = None, rngs: Any = None) -> Any:
        """Drop, or pass the array on.

        Args:
            x: an array.
            deterministic: whether to pass the array on, in place of the attribute.
            rngs: what to draw from instead of the layer's own stream; a key will do.

        Raises:
            ValueError: if there is nothing to draw from, or the array lacks an axis.
        """
        drawn = self._drawn(jnp.shape(x))
        passes = self.deterministic if deterministic is None else deterministic
        if passes or self.rate == 0:
            return x
        return self._drop(jnp.asarray(x), drawn, rngs)

    def _drop(self, x: Any, drawn: Shape, rngs: Any) -> Any:
        if self.rate == 1:
            return jnp.zeros_like(x)
        kept = jax.random.bernoulli(draw_key(self, rngs), 1 - self.rate, drawn)
        return jnp.where(kept, x / (1 - self.rate), 0).astype(x.dtype)


def _check(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be a probability, got {rate!r}.")


class _ChannelDropout(_Dropout):
    """Drops whole channels of each example."""

    axes: ClassVar[int]

    def __init__(
        self,
        rate: float = 0.5,
        channel_axis: int = -1,
        *,
        deterministic: bool = False,
        rngs: Streams = None,
    ) -> None:
        super().__init__(rate, deterministic=deterministic, rngs=rngs)
        self.channel_axis = channel_axis

    def _drawn(self, shape: Shape) -> Shape:
        rank = self.axes + 1
        if len(shape) < rank:
            raise ValueError(
                f"{type(self).__name__} takes {self.axes} axes and one of channels, got shape "
                f"{shape}."
            )
        leading = len(shape) - rank
        channel = leading + self.channel_axis % rank
        return tuple(n if i < leading or i == channel else 1 for i, n in enumerate(shape))


class Dropout1d(_ChannelDropout):
    """Drops channels of ``(..., length, channels)``, for each example its own.

    The arguments are those of `Dropout2d`.

    Example:
        >>> y = Dropout1d(0.5, rngs=nnx.Rngs(0))(jnp.ones((4, 30)))
        >>> sorted(set(y.ravel().tolist()))
        [0.0, 2.0]
    """

    axes = 1


class Dropout2d(_ChannelDropout):
    """Drops channels of ``(..., height, width, channels)``, for each example its own.

    Args:
        rate: probability to drop a channel.
        channel_axis: the axis of the channels, counted in one example without batch axes.
        deterministic: whether nothing is dropped.
        rngs: what is drawn from, by the stream ``"dropout"``.

    Raises:
        ValueError: if ``rate`` is no probability.

    Example:
        >>> y = Dropout2d(0.5, rngs=nnx.Rngs(0))(jnp.ones((2, 2, 30)))
        >>> sorted(set(y.ravel().tolist()))
        [0.0, 2.0]
    """

    axes = 2


class Dropout3d(_ChannelDropout):
    """Drops channels of ``(..., depth, height, width, channels)``, for each example its own.

    The arguments are those of `Dropout2d`.

    Example:
        >>> y = Dropout3d(0.5, rngs=nnx.Rngs(0))(jnp.ones((2, 2, 2, 30)))
        >>> sorted(set(y.ravel().tolist()))
        [0.0, 2.0]
    """

    axes = 3


class AlphaDropout(_Dropout):
    """Drops entries so that mean 0 and variance 1 stay: ``y = a * (x or s) + b``.

    A dropped entry becomes ``s``, what `jax.nn.selu` tends to at minus infinity, and all entries
    are scaled and shifted.

    Args:
        rate: probability to drop an entry, below 1.
        deterministic: whether nothing is dropped.
        rngs: what is drawn from, by the stream ``"dropout"``.

    Raises:
        ValueError: if ``rate`` is no probability, or 1.

    Example:
        >>> y = AlphaDropout(0.5, rngs=nnx.Rngs(0))(jnp.zeros(100))
        >>> len(set(y.tolist()))
        2
    """

    def __init__(
        self, rate: float = 0.5, *, deterministic: bool = False, rngs: Streams = None
    ) -> None:
        super().__init__(rate, deterministic=deterministic, rngs=rngs)
        if rate == 1:
            raise ValueError("rate=1 drops every entry, and no variance stays.")

    def _drop(self, x: Any, drawn: Shape, rngs: Any) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.result_type(float))  # a saturation value is no whole number
        share = 1 - self.rate
        kept = jax.random.bernoulli(draw_key(self, rngs), share, drawn)
        scale = 1 / math.sqrt(share * (1 + (1 - share) * _SATURATION**2))
        shift = -scale * (1 - share) * _SATURATION
        return jnp.where(kept, scale * x + shift, scale * _SATURATION + shift).astype(x.dtype)


class FeatureAlphaDropout(AlphaDropout):
    """Drops whole channels so that mean 0 and variance 1 stay; the first axis is the batch.

    Args:
        rate: probability to drop a channel, below 1.
        channel_axis: the axis of the channels, counted in the array given.
        deterministic: whether nothing is dropped.
        rngs: what is drawn from, by the stream ``"dropout"``.

    Raises:
        ValueError: if ``rate`` is no probability, or 1.

    Example:
        >>> y = FeatureAlphaDropout(0.5, rngs=nnx.Rngs(0))(jnp.zeros((2, 3, 30)))
        >>> bool((y == y[:, :1]).all())
        True
    """

    def __init__(
        self,
        rate: float = 0.5,
        channel_axis: int = -1,
        *,
        deterministic: bool = False,
        rngs: Streams = None,
    ) -> None:
        super().__init__(rate, deterministic=deterministic, rngs=rngs)
        self.channel_axis = channel_axis

    def _drawn(self, shape: Shape) -> Shape:
        if not -len(shape) <= self.channel_axis < len(shape):
            raise ValueError(f"there is no axis {self.channel_axis} of channels in shape {shape}.")
        channel = self.channel_axis % len(shape)
        return tuple(n if axis in (0, channel) else 1 for axis, n in enumerate(shape))


class DropoutFixed(Carrying, Drawing):
    """Drops the same entries in every step of a sequence.

    `reset_carry` draws which, and the variable ``mask`` of the type `Carry` holds them.

    Args:
        in_size: shape of one example.
        rate: probability to drop an entry.
        deterministic: whether nothing is dropped.
        rngs: what is drawn from, by the stream ``"dropout"``.

    Raises:
        ValueError: if ``rate`` is no probability.

    Example:
        >>> layer = DropoutFixed((100,), 0.5, rngs=nnx.Rngs(0))
        >>> layer.reset_carry((10,))
        >>> x = jnp.ones((10, 100))
        >>> bool((layer(x) == layer(x)).all()), sorted(set(layer(x).ravel().tolist()))
        (True, [0.0, 2.0])
    """

    carried = ("mask",)

    def __init__(
        self,
        in_size: Shape,
        rate: float = 0.5,
        *,
        deterministic: bool = False,
        rngs: Streams = None,
    ) -> None:
        _check(rate)
        self.in_size, self.rate, self.deterministic = tuple(in_size), rate, deterministic
        self.rngs = stream(rngs)

    def reset_carry(self, batch_shape: Sequence[int] = ()) -> None:
        """Draw the entries that the next sequence keeps.

        Args:
            batch_shape: the axes in front of one example.

        Raises:
            ValueError: if there is nothing to draw from.
        """
        if self.rate != 0:
            shape = (*batch_shape, *self.in_size)
            self.carry_on("mask", jax.random.bernoulli(draw_key(self, None), 1 - self.rate, shape))

    def __call__(self, x: Any, *, deterministic: bool | None = None) -> Any:
        """Drop the entries that the mask says, or pass the array on.

        Args:
            x: array of the shape of the mask.
            deterministic: whether to pass the array on, in place of the attribute.

        Raises:
            ValueError: if there is no mask yet, or it has another shape.
        """
        passes = self.deterministic if deterministic is None else deterministic
        if passes or self.rate == 0:
            return x
        x, held = jnp.asarray(x), getattr(self, "mask", None)
        if held is None:
            raise ValueError("This DropoutFixed has no mask yet: call reset_carry(batch_shape).")
        mask = held.get_value()
        if mask.shape != x.shape:
            raise ValueError(
                f"The input has the shape {x.shape} and the mask {mask.shape}. "
                "reset_carry(batch_shape) draws one that fits."
            )
        if self.rate == 1:
            return jnp.zeros_like(x)
        return jnp.where(mask, x / (1 - self.rate), 0).astype(x.dtype)
