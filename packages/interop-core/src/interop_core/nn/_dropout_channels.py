"""Dropout of whole channels, and dropout that keeps mean and variance."""

from __future__ import annotations

import math
import operator
from typing import Any, ClassVar, final

import jax
from jax import numpy as jnp

from .. import random
from ._dropout import is_fitting, keep_probability
from ._module import ElementWiseBlock
from ._parameters import as_array

__all__ = ["AlphaDropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]

Shape = tuple[int, ...]

# What a scaled exponential linear unit tends to at minus infinity.
_SATURATION = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


class _ChannelDropout(ElementWiseBlock):
    """Keep each channel of each example with probability ``prob`` while fitting."""

    spatial: ClassVar[int]

    def __init__(self, prob: Any = 0.5, channel_axis: int = -1, name: str | None = None) -> None:
        super().__init__(name=name)
        self.prob = keep_probability(self, prob)
        self.channel_axis = operator.index(channel_axis)
        axes = self.spatial + 1
        if not -axes <= self.channel_axis < axes:
            raise ValueError(
                f"One example of {type(self).__name__} has {axes} axes, none of which is "
                f"channel_axis={channel_axis}."
            )

    def _check(self, shape: Shape, batch: bool) -> None:
        """Refuse a shape that is not one of an example, or of a batch of them."""
        axes = self.spatial + 1
        if len(shape) - axes not in (0, int(batch)):
            raise ValueError(
                f"{type(self).__name__} needs {self.spatial} spatial axes and a channel axis"
                f"{', and a batch axis or none' if batch else ''}, got shape {shape}."
            )

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size``.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if it has another number of axes.
        """
        self._check(tuple(in_size), batch=False)
        return tuple(in_size)

    def update(self, x: jax.Array) -> jax.Array:
        """Drop channels while fitting.

        Args:
            x: one example or a batch of them.

        Returns:
            Array of the same shape and dtype.

        Raises:
            KeyError: if the environment does not say whether it is a fit.
            ValueError: if the input has another number of axes.
        """
        shape = jnp.shape(x)
        self._check(shape, batch=True)
        if not is_fitting() or self.prob == 1.0:
            return x
        x = as_array(x)
        if self.prob == 0.0:
            return jnp.zeros_like(x)
        axes = self.spatial + 1
        lead = len(shape) - axes
        channel = lead + self.channel_axis % axes
        drawn = [n if i < lead or i == channel else 1 for i, n in enumerate(shape)]
        kept = jax.random.bernoulli(random.split_key(), self.prob, tuple(drawn))
        return jnp.where(kept, x / self.prob, 0).astype(x.dtype)


@final
class Dropout1d(_ChannelDropout):
    """Keep each channel of a series with probability ``prob`` while fitting, or pass all on.

    ``y = x / prob`` where the channel is kept and 0 where it is dropped. The input has shape
    ``(L, C)`` or ``(N, L, C)``; each example of a batch has channels of its own dropped.
    As with `Dropout`, the setting ``fit`` of `environ` says whether anything is dropped, and one
    key is drawn per call from the default generator of `random`.

    Args:
        prob: probability to *keep* a channel, between 0 and 1.
        channel_axis: the axis of the channels, counted in one example without a batch axis.
        name: a label for the user.

    Raises:
        ValueError: if ``prob`` is no probability, or one example has no such axis.

    Example:
        >>> from .. import environ
        >>> with environ.context(fit=True):
        ...     y = Dropout1d(0.5)(jnp.ones((2, 4, 30)))
        >>> bool((y == y[:, :1]).all()), sorted(set(y.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    spatial = 1


@final
class Dropout2d(_ChannelDropout):
    """Keep each channel of an image with probability ``prob`` while fitting, or pass all on.

    ``y = x / prob`` where the channel is kept and 0 where it is dropped. The input has shape
    ``(H, W, C)`` or ``(N, H, W, C)``; each example of a batch has channels of its own dropped.
    As with `Dropout`, the setting ``fit`` of `environ` says whether anything is dropped, and one
    key is drawn per call from the default generator of `random`.

    Args:
        prob: probability to *keep* a channel, between 0 and 1.
        channel_axis: the axis of the channels, counted in one example without a batch axis.
        name: a label for the user.

    Raises:
        ValueError: if ``prob`` is no probability, or one example has no such axis.

    Example:
        >>> from .. import environ
        >>> with environ.context(fit=True):
        ...     y = Dropout2d(0.5)(jnp.ones((2, 4, 4, 30)))
        >>> bool((y == y[:, :1, :1]).all()), sorted(set(y.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    spatial = 2


@final
class Dropout3d(_ChannelDropout):
    """Keep each channel of a volume with probability ``prob`` while fitting, or pass all on.

    ``y = x / prob`` where the channel is kept and 0 where it is dropped. The input has shape
    ``(D, H, W, C)`` or ``(N, D, H, W, C)``; each example of a batch has channels of its own
    dropped. As with `Dropout`, the setting ``fit`` of `environ` says whether anything is dropped,
    and one key is drawn per call from the default generator of `random`.

    Args:
        prob: probability to *keep* a channel, between 0 and 1.
        channel_axis: the axis of the channels, counted in one example without a batch axis.
        name: a label for the user.

    Raises:
        ValueError: if ``prob`` is no probability, or one example has no such axis.

    Example:
        >>> from .. import environ
        >>> with environ.context(fit=True):
        ...     y = Dropout3d(0.5)(jnp.ones((2, 3, 3, 3, 30)))
        >>> bool((y == y[:, :1, :1, :1]).all()), sorted(set(y.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    spatial = 3


class _SaturatingDropout(ElementWiseBlock):
    """Put the saturation value of a SELU where an entry is dropped, and restore the moments."""

    def __init__(self, prob: Any, name: str | None) -> None:
        super().__init__(name=name)
        self.prob = keep_probability(self, prob)
        if prob == 0.0:
            raise ValueError(
                f"{type(self).__name__} keeps the variance, which nothing does that drops every "
                f"entry: prob must not be 0."
            )

    def _drawn(self, shape: Shape) -> Shape:
        """Give the shape of the draws, with 1 for axes that share one."""
        return shape

    def update(self, x: jax.Array) -> jax.Array:
        """Drop entries while fitting.

        Args:
            x: the input.

        Returns:
            Array of the same shape; of floating-point type also where the input is not.

        Raises:
            KeyError: if the environment does not say whether it is a fit.
            ValueError: if the input lacks an axis.
        """
        drawn = self._drawn(jnp.shape(x))
        if not is_fitting() or self.prob == 1.0:
            return x
        x = as_array(x)
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.result_type(float))  # a saturation value is no whole number
        kept = jax.random.bernoulli(random.split_key(), self.prob, drawn)
        share = float(self.prob)
        scale = 1 / math.sqrt(share * (1 + (1 - share) * _SATURATION**2))
        shift = -scale * (1 - share) * _SATURATION
        return jnp.where(kept, scale * x + shift, scale * _SATURATION + shift).astype(x.dtype)


class AlphaDropout(_SaturatingDropout):
    """Drop entries while fitting so that mean 0 and variance 1 stay what they are.

    With ``s = -1.7581``, what `SELU` tends to at minus infinity, a dropped entry becomes ``s``
    and then all entries are scaled and shifted::

        y = a * (x or s) + b
        a = (prob * (1 + (1 - prob) * s**2)) ** -0.5
        b = -a * (1 - prob) * s

    (Klambauer et al. 2017, https://arxiv.org/abs/1706.02515). As with `Dropout`, the setting
    ``fit`` of `environ` says whether anything is dropped, and one key is drawn per call.

    Args:
        prob: probability to *keep* an entry, above 0 and at most 1.
        name: a label for the user.

    Raises:
        ValueError: if ``prob`` is no probability, or 0.

    Example:
        >>> from .. import environ
        >>> with random.seed_context(0), environ.context(fit=True):
        ...     y = AlphaDropout(0.5)(random.normal(size=100_000))
        >>> bool(abs(y.mean()) < 0.02), bool(abs(y.var() - 1) < 0.02)
        (True, True)
    """

    def __init__(self, prob: Any = 0.5, name: str | None = None) -> None:
        super().__init__(prob, name)


class FeatureAlphaDropout(_SaturatingDropout):
    """Drop whole channels while fitting so that mean 0 and variance 1 stay what they are.

    What `AlphaDropout` does to an entry is done to a channel as a whole. The first axis of the
    input is the batch: each example has channels of its own dropped.

    Args:
        prob: probability to *keep* a channel, above 0 and at most 1.
        channel_axis: the axis of the channels, counted in the array given, batch axis included.
        name: a label for the user.

    Raises:
        ValueError: if ``prob`` is no probability, or 0.

    Example:
        >>> from .. import environ
        >>> with environ.context(fit=True):
        ...     y = FeatureAlphaDropout(0.5)(jnp.ones((2, 4, 4, 30)))
        >>> bool((y == y[:, :1, :1]).all()), len(set(y.ravel().tolist()))
        (True, 2)
    """

    def __init__(self, prob: Any = 0.5, channel_axis: int = -1, name: str | None = None) -> None:
        super().__init__(prob, name)
        self.channel_axis = operator.index(channel_axis)

    def _drawn(self, shape: Shape) -> Shape:
        """Give the shape of the draws: 1 but for the batch and the channels."""
        if not -len(shape) <= self.channel_axis < len(shape):
            raise ValueError(
                f"FeatureAlphaDropout(channel_axis={self.channel_axis}) got an input of shape "
                f"{shape}, which has no such axis."
            )
        channel = self.channel_axis % len(shape)
        return tuple(n if axis in (0, channel) else 1 for axis, n in enumerate(shape))
