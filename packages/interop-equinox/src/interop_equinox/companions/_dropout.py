"""Dropout of channels, dropout that keeps the moments, and dropout that stays for a sequence."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

Shape = tuple[int, ...]

# What a scaled exponential linear unit tends to at minus infinity.
_SATURATION = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


class _Dropout(eqx.Module):
    """Drop entries with probability ``p``, unless in inference mode."""

    p: float
    inference: bool

    def __init__(self, p: float = 0.5, inference: bool = False) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p must be a probability, got {p!r}.")
        self.p = p
        self.inference = inference

    def _drawn(self, shape: Shape) -> Shape:
        """The shape of the draws, with 1 for axes that share one."""
        return shape

    def _mask(self, x: Any, kept: Any) -> Any:
        """What is passed on of an array."""
        return jnp.where(kept, x / (1 - self.p), 0).astype(x.dtype)

    def __call__(self, x: Any, *, key: Any = None, inference: bool | None = None) -> Any:
        """Drop entries, or pass the array on.

        Args:
            x: one example.
            key: what is drawn from; needed where something may be dropped.
            inference: whether to pass the array on, in place of the attribute.

        Raises:
            RuntimeError: if something may be dropped and there is no key.
            ValueError: if the array has not the axes of the layer.
        """
        shape = self._drawn(jnp.shape(x))
        if (self.inference if inference is None else inference) or self.p == 0:
            return x
        if key is None:
            raise RuntimeError(f"{type(self).__name__} needs a key when not in inference mode.")
        kept = jax.random.bernoulli(key, 1 - self.p, shape)
        return self._mask(jnp.asarray(x), kept)


class _ChannelDropout(_Dropout):
    """Drop whole channels, the first axis of an example."""

    axes: ClassVar[int]

    def _drawn(self, shape: Shape) -> Shape:
        if len(shape) != self.axes + 1:
            raise ValueError(
                f"{type(self).__name__} takes channels and {self.axes} axes behind them, got "
                f"shape {shape}."
            )
        return (shape[0],) + (1,) * self.axes

    def _mask(self, x: Any, kept: Any) -> Any:
        return jnp.zeros_like(x) if self.p == 1 else super()._mask(x, kept)


class Dropout1d(_ChannelDropout):
    """Drops channels of ``(channels, length)`` with probability ``p``; see `Dropout2d`.

    Example:
        >>> y = Dropout1d(0.5)(jnp.ones((30, 4)), key=jax.random.key(0))
        >>> bool((y == y[:, :1]).all()), sorted(set(y.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    axes = 1


class Dropout2d(_ChannelDropout):
    """Drops channels of ``(channels, height, width)`` with probability ``p``.

    ``y = x / (1 - p)`` where the channel is kept and 0 where it is dropped.

    Args:
        p: probability to drop a channel.
        inference: whether nothing is dropped; `eqx.nn.inference_mode` sets it.

    Raises:
        ValueError: if ``p`` is no probability.

    Example:
        >>> y = Dropout2d(0.5)(jnp.ones((30, 4, 4)), key=jax.random.key(0))
        >>> bool((y == y[:, :1, :1]).all()), sorted(set(y.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    axes = 2


class Dropout3d(_ChannelDropout):
    """Drops channels of ``(channels, depth, height, width)`` with probability ``p``.

    See `Dropout2d`.

    Example:
        >>> Dropout3d(0.5, inference=True)(jnp.ones((2, 3, 3, 3))).shape
        (2, 3, 3, 3)
    """

    axes = 3


class AlphaDropout(_Dropout):
    """Drops entries so that mean 0 and variance 1 stay what they are.

    What is dropped becomes the value that a SELU saturates at, and the whole is scaled and shifted.

    Args:
        p: probability to drop an entry, below 1.
        inference: whether nothing is dropped; `eqx.nn.inference_mode` sets it.

    Raises:
        ValueError: if ``p`` is no probability, or 1: nothing keeps the variance that drops all.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (100_000,))
        >>> y = AlphaDropout(0.5)(x, key=jax.random.key(1))
        >>> bool(abs(y.mean()) < 0.02), bool(abs(y.var() - 1) < 0.02)
        (True, True)
    """

    def __init__(self, p: float = 0.5, inference: bool = False) -> None:
        super().__init__(p, inference)
        if p == 1:
            raise ValueError("p must not be 1: nothing keeps the variance that drops every entry.")

    def _mask(self, x: Any, kept: Any) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.result_type(float))
        share = 1 - self.p
        scale = 1 / math.sqrt(share * (1 + self.p * _SATURATION**2))
        shift = -scale * self.p * _SATURATION
        return jnp.where(kept, scale * x + shift, scale * _SATURATION + shift).astype(x.dtype)


class FeatureAlphaDropout(AlphaDropout):
    """Drops whole channels so that mean 0 and variance 1 stay what they are; see `AlphaDropout`.

    Args:
        p: probability to drop a channel, below 1.
        channel_axis: the axis of the channels in one example.
        inference: whether nothing is dropped; `eqx.nn.inference_mode` sets it.

    Raises:
        ValueError: if ``p`` is no probability, or 1.

    Example:
        >>> y = FeatureAlphaDropout(0.5)(jnp.ones((4, 30)), key=jax.random.key(0))
        >>> bool((y == y[:1]).all()), len(set(y.ravel().tolist()))
        (True, 2)
    """

    channel_axis: int = eqx.field(static=True)

    def __init__(self, p: float = 0.5, channel_axis: int = -1, inference: bool = False) -> None:
        super().__init__(p, inference)
        self.channel_axis = channel_axis

    def _drawn(self, shape: Shape) -> Shape:
        if not -len(shape) <= self.channel_axis < len(shape):
            raise ValueError(f"There is no axis {self.channel_axis} in an input of shape {shape}.")
        channel = self.channel_axis % len(shape)
        return tuple(n if axis == channel else 1 for axis, n in enumerate(shape))


class DropoutFixed(_Dropout):
    """Drops entries of an example; given one key for all steps of a sequence, the same ones.

    Args:
        in_size: shape of one example.
        p: probability to drop an entry.
        inference: whether nothing is dropped; `eqx.nn.inference_mode` sets it.

    Raises:
        ValueError: if ``p`` is no probability.

    Example:
        >>> layer, key = DropoutFixed((100,)), jax.random.key(0)
        >>> bool((layer(jnp.ones(100), key=key) == layer(jnp.ones(100), key=key)).all())
        True
    """

    in_size: Shape = eqx.field(static=True)

    def __init__(self, in_size: Shape, p: float = 0.5, inference: bool = False) -> None:
        super().__init__(p, inference)
        self.in_size = tuple(in_size)

    def _drawn(self, shape: Shape) -> Shape:
        if shape != self.in_size:
            raise ValueError(f"DropoutFixed({self.in_size}) got an input of shape {shape}.")
        return shape

    def _mask(self, x: Any, kept: Any) -> Any:
        return jnp.zeros_like(x) if self.p == 1 else super()._mask(x, kept)
