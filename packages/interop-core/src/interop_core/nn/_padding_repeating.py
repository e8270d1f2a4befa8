"""Padding with entries of the data: mirrored, repeated, or from the other end."""

from __future__ import annotations

import functools
from typing import Any, final

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from ._padding import Pad

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
]


class _ReflectionPad(Pad):
    """Mirrors the data at its first and last entries, which are not repeated."""

    def _along(self, x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
        """Turn a piece from each end round, where it is long enough."""
        length = x.shape[axis]
        if max(before, after) >= length:
            return _taken(x, axis, _mirrored(length, before, after))
        piece = functools.partial(lax.slice_in_dim, x, axis=axis)
        head = lax.rev(piece(1, before + 1), (axis,))
        tail = lax.rev(piece(length - 1 - after, length - 1), (axis,))
        return lax.concatenate([head, x, tail], axis)


class _ReplicationPad(Pad):
    """Repeats the first and the last entry."""

    def _along(self, x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
        """Stretch the entry at each end."""
        piece = functools.partial(lax.slice_in_dim, x, axis=axis)
        length = x.shape[axis]
        shape = list(x.shape)
        shape[axis] = before
        head = jnp.broadcast_to(piece(0, 1), shape)
        shape[axis] = after
        tail = jnp.broadcast_to(piece(length - 1, length), shape)
        return lax.concatenate([head, x, tail], axis)


class _CircularPad(Pad):
    """Goes on behind each end with the data from the other."""

    def _along(self, x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
        """Copy a piece from each end to the other, where it is long enough."""
        length = x.shape[axis]
        if max(before, after) > length:
            return _taken(x, axis, np.arange(-before, length + after) % length)
        piece = functools.partial(lax.slice_in_dim, x, axis=axis)
        return lax.concatenate([piece(length - before, length), x, piece(0, after)], axis)


def _mirrored(length: int, before: int, after: int) -> np.ndarray[Any, Any]:
    """Say which entry stands where if the data is mirrored at both ends, again and again."""
    period = max(2 * (length - 1), 1)
    positions = np.arange(-before, length + after) % period
    return np.minimum(positions, period - positions)


def _taken(x: jax.Array, axis: int, positions: np.ndarray[Any, Any]) -> jax.Array:
    """Take entries by position: for padding longer than the data, which repeats them."""
    return jnp.take(x, positions, axis=axis, mode="clip")


@final
class ReflectionPad1d(_ReflectionPad):
    """Mirror, at both ends, ``([batch,] length, channels)``.

    The arguments are those of `ReflectionPad2d`, with one spatial axis less: two integers are the
    numbers of entries before and after it.

    Example:
        >>> ReflectionPad1d((1, 2))(jnp.arange(4.0)[:, None])[:, 0].tolist()
        [1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]
    """

    spatial = 1


@final
class ReflectionPad2d(_ReflectionPad):
    """Mirror, at all sides, ``([batch,] height, width, channels)``.

    The outermost entries, at which it is mirrored, are not repeated. Padding that is longer than
    the rest of the data is mirrored again at its other end; a single entry is repeated.

    Args:
        padding: number of entries before and after each spatial axis; see `ZeroPad2d`.
        in_size: shape of one example, where it is known.
        name: a label for the user.

    Raises:
        TypeError: if ``padding`` is no integer, and no sequence of integers or pairs.
        ValueError: if ``padding`` has another number of entries, or a negative one, or if
            ``in_size`` has too few or too many axes, or none of it along a padded axis.

    Example:
        >>> ReflectionPad2d((1, 2, 3, 4), in_size=(10, 10, 3)).out_size
        (13, 17, 3)
    """

    spatial = 2


@final
class ReflectionPad3d(_ReflectionPad):
    """Mirror, at all sides, ``([batch,] depth, height, width, channels)``.

    The arguments are those of `ReflectionPad2d` with one spatial axis more.

    Example:
        >>> ReflectionPad3d((1, 2, 3))(jnp.ones((4, 4, 4, 2))).shape
        (6, 8, 10, 2)
    """

    spatial = 3


@final
class ReplicationPad1d(_ReplicationPad):
    """Repeat the first and the last entry of ``([batch,] length, channels)``.

    The arguments are those of `ReplicationPad2d`, with one spatial axis less: two integers are the
    numbers of entries before and after it.

    Example:
        >>> ReplicationPad1d((1, 2))(jnp.arange(4.0)[:, None])[:, 0].tolist()
        [0.0, 0.0, 1.0, 2.0, 3.0, 3.0, 3.0]
    """

    spatial = 1


@final
class ReplicationPad2d(_ReplicationPad):
    """Repeat the outermost entries of ``([batch,] height, width, channels)``.

    Each added entry is that of the data which is nearest to it.

    Args:
        padding: number of entries before and after each spatial axis; see `ZeroPad2d`.
        in_size: shape of one example, where it is known.
        name: a label for the user.

    Raises:
        TypeError: if ``padding`` is no integer, and no sequence of integers or pairs.
        ValueError: if ``padding`` has another number of entries, or a negative one, or if
            ``in_size`` has too few or too many axes, or none of it along a padded axis.

    Example:
        >>> ReplicationPad2d((1, 2, 3, 4), in_size=(10, 10, 3)).out_size
        (13, 17, 3)
    """

    spatial = 2


@final
class ReplicationPad3d(_ReplicationPad):
    """Repeat the outermost entries of ``([batch,] depth, height, width, channels)``.

    The arguments are those of `ReplicationPad2d` with one spatial axis more.

    Example:
        >>> ReplicationPad3d((1, 2, 3))(jnp.ones((4, 4, 4, 2))).shape
        (6, 8, 10, 2)
    """

    spatial = 3


@final
class CircularPad1d(_CircularPad):
    """Continue each end of ``([batch,] length, channels)`` with the other end.

    The arguments are those of `CircularPad2d`, with one spatial axis less: two integers are the
    numbers of entries before and after it.

    Example:
        >>> CircularPad1d((1, 2))(jnp.arange(4.0)[:, None])[:, 0].tolist()
        [3.0, 0.0, 1.0, 2.0, 3.0, 0.0, 1.0]
    """

    spatial = 1


@final
class CircularPad2d(_CircularPad):
    """Continue each side of ``([batch,] height, width, channels)`` with the opposite one.

    As if the data were one period of a longer signal; padding longer than the data holds several.

    Args:
        padding: number of entries before and after each spatial axis; see `ZeroPad2d`.
        in_size: shape of one example, where it is known.
        name: a label for the user.

    Raises:
        TypeError: if ``padding`` is no integer, and no sequence of integers or pairs.
        ValueError: if ``padding`` has another number of entries, or a negative one, or if
            ``in_size`` has too few or too many axes, or none of it along a padded axis.

    Example:
        >>> CircularPad2d((1, 2, 3, 4), in_size=(10, 10, 3)).out_size
        (13, 17, 3)
    """

    spatial = 2


@final
class CircularPad3d(_CircularPad):
    """Continue each side of ``([batch,] depth, height, width, channels)`` with the opposite one.

    The arguments are those of `CircularPad2d` with one spatial axis more.

    Example:
        >>> CircularPad3d((1, 2, 3))(jnp.ones((4, 4, 4, 2))).shape
        (6, 8, 10, 2)
    """

    spatial = 3
