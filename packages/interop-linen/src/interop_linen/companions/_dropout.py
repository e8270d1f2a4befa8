"""Dropout of channels, dropout that keeps the moments, and dropout that stays for a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen

__all__ = [
    "AlphaDropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutFixed",
    "FeatureAlphaDropout",
]

Shape = tuple[int, ...]

# What a scaled exponential linear unit tends to at minus infinity.
_SATURATION = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


def _kept_or_zero(x: Any, kept: Any, rate: float) -> Any:
    return jnp.where(kept, x / (1 - rate), 0).astype(x.dtype)


def _axis(axis: int, shape: Shape, layer: Any) -> int:
    if not -len(shape) <= axis < len(shape):
        raise ValueError(
            f"{type(layer).__name__}(channel_axis={axis}) got an input of shape {shape}, which has "
            "no such axis."
        )
    return axis % len(shape)


class _ChannelDropout(linen.Module):
    """Drop each channel of each example with probability ``rate``."""

    spatial: ClassVar[int]

    rate: float
    channel_axis: int = -1
    deterministic: bool | None = None
    rng_collection: str = "dropout"

    @linen.compact
    def __call__(self, inputs: Any, deterministic: bool | None = None) -> Any:
        """Drop channels, or pass the input on.

        Args:
            inputs: one example or a batch of them.
            deterministic: whether to pass it on, where the attribute does not say.

        Raises:
            ValueError: for an input with another number of axes.
        """
        shape, axes = jnp.shape(inputs), self.spatial + 1
        if len(shape) - axes not in (0, 1):
            raise ValueError(
                f"{type(self).__name__} takes {self.spatial} spatial axes and one of channels, and "
                f"a batch axis or none; got shape {shape}."
            )
        mode = linen.merge_param("deterministic", self.deterministic, deterministic)
        if mode or self.rate == 0.0:
            return inputs
        x = jnp.asarray(inputs)
        if self.rate == 1.0:
            return jnp.zeros_like(x)
        lead = len(shape) - axes
        channel = lead + _axis(self.channel_axis, shape[lead:], self)
        drawn = [n if i < lead or i == channel else 1 for i, n in enumerate(shape)]
        key = self.make_rng(self.rng_collection)
        return _kept_or_zero(x, jax.random.bernoulli(key, 1 - self.rate, tuple(drawn)), self.rate)


class _SaturatingDropout(linen.Module):
    """Put the saturation value of a SELU where an entry is dropped, and restore the moments."""

    rate: float
    deterministic: bool | None = None
    rng_collection: str = "dropout"

    @linen.nowrap
    def _drawn(self, shape: Shape) -> Shape:
        """The shape of the draws, with 1 for axes that share one."""
        return shape

    @linen.compact
    def __call__(self, inputs: Any, deterministic: bool | None = None) -> Any:
        """Drop entries, or pass the input on.

        Args:
            inputs: the input.
            deterministic: whether to pass it on, where the attribute does not say.

        Raises:
            ValueError: for an input without the axis of the channels, or where ``rate`` is 1.
        """
        drawn = self._drawn(jnp.shape(inputs))
        if self.rate == 1.0:
            raise ValueError(
                f"{type(self).__name__} keeps the variance, which nothing does that drops every "
                "entry: rate must not be 1."
            )
        mode = linen.merge_param("deterministic", self.deterministic, deterministic)
        if mode or self.rate == 0.0:
            return inputs
        x = jnp.asarray(inputs)
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.result_type(float))
        share = 1 - self.rate
        kept = jax.random.bernoulli(self.make_rng(self.rng_collection), share, drawn)
        scale = 1 / math.sqrt(share * (1 + (1 - share) * _SATURATION**2))
        shift = -scale * (1 - share) * _SATURATION
        return jnp.where(kept, scale * x + shift, scale * _SATURATION + shift).astype(x.dtype)


class DropoutFixed(linen.Module):
    """Drops the same entries in every step of a sequence.

    ``y = x / (1 - rate)`` where the entry is kept and 0 where it is dropped. Which are kept stands
    in the collection ``"carry"`` under ``mask``; where it is not there yet, it is drawn. Leave the
    collection out to begin another sequence.

    Attributes:
        in_size: shape of one example.
        rate: probability to drop an entry.
        deterministic: whether to pass the input on instead.
        rng_collection: name of the random stream.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, x = DropoutFixed((100,), 0.5, deterministic=False), jnp.ones((10, 100))
        >>> options = {"mutable": ["carry"], "rngs": {"dropout": jax.random.key(0)}}
        >>> first, held = layer.apply({}, x, **options)
        >>> second = layer.apply(held, x)
        >>> bool((first == second).all()), sorted(set(first.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    in_size: int | Sequence[int]
    rate: float
    deterministic: bool | None = None
    rng_collection: str = "dropout"

    @linen.compact
    def __call__(self, inputs: Any, deterministic: bool | None = None) -> Any:
        """Drop the entries that the mask says, or pass the input on.

        Args:
            inputs: array of the shape of the mask, batch axes included.
            deterministic: whether to pass it on, where the attribute does not say.

        Raises:
            ValueError: for an input of another shape than the mask.
        """
        mode = linen.merge_param("deterministic", self.deterministic, deterministic)
        if mode or self.rate == 0.0:
            return inputs
        x = jnp.asarray(inputs)
        mask = self.variable("carry", "mask", self._draw, x.shape).value
        if x.shape != mask.shape:
            raise ValueError(
                f"The input has shape {x.shape} and the mask {mask.shape}. Leave the collection "
                "'carry' out to draw one that fits."
            )
        return jnp.zeros_like(x) if self.rate == 1.0 else _kept_or_zero(x, mask, self.rate)

    @linen.nowrap
    def _draw(self, shape: Shape) -> Any:
        return jax.random.bernoulli(self.make_rng(self.rng_collection), 1 - self.rate, shape)


class Dropout1d(_ChannelDropout):
    """Drops each channel of a series as a whole, each example its own.

    ``y = x / (1 - rate)`` where the channel is kept and 0 where it is dropped. The input has shape
    ``(L, C)`` or ``(N, L, C)``.

    Attributes:
        rate: probability to drop a channel.
        channel_axis: the axis of the channels, counted in one example without a batch axis.
        deterministic: whether to pass the input on instead.
        rng_collection: name of the random stream.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, rngs = Dropout1d(0.5, deterministic=False), {"dropout": jax.random.key(0)}
        >>> y = layer.apply({}, jnp.ones((2, 4, 30)), rngs=rngs)
        >>> bool((y == y[:, :1]).all()), sorted(set(y.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    spatial = 1


class Dropout2d(_ChannelDropout):
    """Drops each channel of an image as a whole, each example its own.

    ``y = x / (1 - rate)`` where the channel is kept and 0 where it is dropped. The input has shape
    ``(H, W, C)`` or ``(N, H, W, C)``.

    Attributes:
        rate: probability to drop a channel.
        channel_axis: the axis of the channels, counted in one example without a batch axis.
        deterministic: whether to pass the input on instead.
        rng_collection: name of the random stream.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, rngs = Dropout2d(0.5, deterministic=False), {"dropout": jax.random.key(0)}
        >>> y = layer.apply({}, jnp.ones((2, 4, 4, 30)), rngs=rngs)
        >>> bool((y == y[:, :1, :1]).all()), sorted(set(y.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    spatial = 2


class Dropout3d(_ChannelDropout):
    """Drops each channel of a volume as a whole, each example its own.

    ``y = x / (1 - rate)`` where the channel is kept and 0 where it is dropped. The input has shape
    ``(D, H, W, C)`` or ``(N, D, H, W, C)``.

    Attributes:
        rate: probability to drop a channel.
        channel_axis: the axis of the channels, counted in one example without a batch axis.
        deterministic: whether to pass the input on instead.
        rng_collection: name of the random stream.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, rngs = Dropout3d(0.5, deterministic=False), {"dropout": jax.random.key(0)}
        >>> y = layer.apply({}, jnp.ones((2, 3, 3, 3, 30)), rngs=rngs)
        >>> bool((y == y[:, :1, :1, :1]).all()), sorted(set(y.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    spatial = 3


class AlphaDropout(_SaturatingDropout):
    """Drops entries so that mean 0 and variance 1 stay what they are.

    With ``s = -1.7581``, what a SELU tends to at minus infinity, and ``p = 1 - rate``, a dropped
    entry becomes ``s``, and then all are scaled and shifted::

        y = a * (x or s) + b
        a = (p * (1 + (1 - p) * s**2)) ** -0.5
        b = -a * (1 - p) * s

    Attributes:
        rate: probability to drop an entry, below 1.
        deterministic: whether to pass the input on instead.
        rng_collection: name of the random stream.

    Example:
        >>> import jax
        >>> layer, rngs = AlphaDropout(0.5, deterministic=False), {"dropout": jax.random.key(0)}
        >>> y = layer.apply({}, jax.random.normal(jax.random.key(1), (100_000,)), rngs=rngs)
        >>> bool(abs(y.mean()) < 0.02), bool(abs(y.var() - 1) < 0.02)
        (True, True)
    """


class FeatureAlphaDropout(_SaturatingDropout):
    """Drops whole channels so that mean 0 and variance 1 stay what they are.

    What `AlphaDropout` does to an entry is done to a channel as a whole. The first axis of the
    input is the batch: each example has channels of its own dropped.

    Attributes:
        rate: probability to drop a channel, below 1.
        deterministic: whether to pass the input on instead.
        rng_collection: name of the random stream.
        channel_axis: the axis of the channels, counted in the array given, batch axis included.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer = FeatureAlphaDropout(0.5, deterministic=False)
        >>> y = layer.apply({}, jnp.ones((2, 4, 4, 30)), rngs={"dropout": jax.random.key(0)})
        >>> bool((y == y[:, :1, :1]).all()), len(set(y.ravel().tolist()))
        (True, 2)
    """

    channel_axis: int = -1

    @linen.nowrap
    def _drawn(self, shape: Shape) -> Shape:
        channel = _axis(self.channel_axis, shape, self)
        return tuple(n if axis in (0, channel) else 1 for axis, n in enumerate(shape))
