"""Activation layers that act along an axis."""

from __future__ import annotations

import operator

import jax
from jax import numpy as jnp
from jax.typing import ArrayLike

from . import _functional as F
from ._module import ElementWiseBlock

__all__ = ["GLU", "LogSoftmax", "Softmax", "Softmax2d", "Softmin"]


class Softmax(ElementWiseBlock):
    """Make weights that sum to 1 along an axis: ``y = exp(x) / sum(exp(x))``.

    Args:
        dim: the axis, counted in the array given, batch axis included. None is the last axis,
            whatever the number of axes.

    Raises:
        ValueError: when called on an array that does not have the axis.

    Example:
        >>> Softmax()(jax.numpy.zeros((3, 2))).tolist()[0]
        [0.5, 0.5]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute the softmax along ``dim``."""
        return F.softmax(x, -1 if self.dim is None else self.dim)


class LogSoftmax(ElementWiseBlock):
    """Take the logarithm of `Softmax`: ``y = x - logsumexp(x)``.

    Args:
        dim: the axis, counted in the array given, batch axis included. None is the last axis,
            whatever the number of axes.

    Raises:
        ValueError: when called on an array that does not have the axis.

    Example:
        >>> bool(LogSoftmax()(jax.numpy.zeros(2))[0] == -jax.numpy.log(2.0))
        True
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute the logarithm of the softmax along ``dim``."""
        return F.log_softmax(x, -1 if self.dim is None else self.dim)


class Softmin(ElementWiseBlock):
    """Make weights that are large where the input is small: ``y = exp(-x) / sum(exp(-x))``.

    Args:
        dim: the axis, counted in the array given, batch axis included. None is the last axis,
            whatever the number of axes.

    Raises:
        ValueError: when called on an array that does not have the axis.

    Example:
        >>> Softmin()(jax.numpy.array([0.0, jax.numpy.inf])).tolist()
        [1.0, 0.0]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute the softmax of ``-x`` along ``dim``."""
        return F.softmin(x, -1 if self.dim is None else self.dim)


class Softmax2d(ElementWiseBlock):
    """Make weights that sum to 1 over the channels of each pixel of a channels-first image.

    ``x`` has shape ``(C, H, W)`` or ``(N, C, H, W)``; the sum goes along ``C``, the third axis
    from the end. For images with the channels last there is `Softmax`.

    Args:
        name: a label for the user.

    Example:
        >>> Softmax2d()(jax.numpy.zeros((2, 1, 1))).ravel().tolist()
        [0.5, 0.5]
    """

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size``.

        Args:
            in_size: shape of one image.

        Raises:
            ValueError: if it has not three axes.
        """
        if len(in_size) != 3:
            raise ValueError(f"Softmax2d takes images (C, H, W), got shape {tuple(in_size)}.")
        return tuple(in_size)

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute the softmax along the channels.

        Args:
            x: an image ``(C, H, W)`` or a batch of them.

        Returns:
            Array of the same shape.

        Raises:
            ValueError: if the input has neither three nor four axes.
        """
        if jnp.ndim(x) not in (3, 4):
            raise ValueError(
                f"Softmax2d takes an image (C, H, W) or a batch (N, C, H, W), got shape "
                f"{jnp.shape(x)}."
            )
        return F.softmax(x, -3)


class GLU(ElementWiseBlock):
    """Gate one half of the input with the other: ``y = a * sigmoid(b)``.

    ``a`` and ``b`` are the halves of ``x`` along an axis, which is half as long in the output.

    Args:
        dim: the axis, counted in the array given, batch axis included.

    Raises:
        TypeError: if ``dim`` is no integer.

    Example:
        >>> GLU()(jax.numpy.array([3.0, 0.0])).tolist()
        [1.5]
        >>> GLU().output_size((5, 6))
        (5, 3)
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = operator.index(dim)

    def _check(self, shape: tuple[int, ...]) -> int:
        """Find the axis, and see to it that it can be halved."""
        if not -len(shape) <= self.dim < len(shape):
            raise ValueError(f"GLU(dim={self.dim}) got shape {shape}, which has no such axis.")
        axis = self.dim % len(shape)
        if shape[axis] % 2:
            raise ValueError(
                f"GLU(dim={self.dim}) halves an axis, whose length must be even, got shape {shape}."
            )
        return axis

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size`` with one axis half as long.

        Args:
            in_size: shape of one example. A ``dim`` counted from the front counts the batch axis
                as axis 0, as it does in a batch.

        Raises:
            ValueError: if there is no such axis, its length is odd, or it is the batch axis.
        """
        shape = list(in_size)
        if self.dim < 0:
            axis = self._check(tuple(in_size))
        elif self.dim > 0:
            axis = self._check((2, *in_size)) - 1
        else:
            raise ValueError("GLU(dim=0) halves the batch axis, which one example does not have.")
        shape[axis] //= 2
        return tuple(shape)

    def update(self, x: ArrayLike) -> jax.Array:
        """Compute ``a * sigmoid(b)``.

        Args:
            x: array of any shape with an even number of entries along ``dim``.

        Returns:
            Array half as long along ``dim``.

        Raises:
            ValueError: if the axis is missing or its length is odd.
        """
        return F.glu(x, self._check(jnp.shape(x)))
