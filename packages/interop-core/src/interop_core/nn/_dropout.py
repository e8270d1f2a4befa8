"""Dropout of single entries, drawn anew in every call or once for a whole sequence."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .. import environ, random
from ..state import ShortTermState, State
from . import init
from ._module import ElementWiseBlock
from ._parameters import as_array
from ._quantity import split, with_unit

__all__ = ["Dropout", "DropoutFixed", "is_fitting", "keep_probability"]


def keep_probability(layer: Any, prob: Any) -> Any:
    """Check the probability to keep an entry.

    Args:
        layer: the layer that it is for.
        prob: the number.

    Returns:
        The number.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is no probability.
    """
    if isinstance(prob, str) or not hasattr(prob, "__float__") or np.ndim(prob):
        raise TypeError(
            f"{type(layer).__name__} keeps an entry with probability prob, one number, "
            f"got {prob!r}."
        )
    if not 0.0 <= prob <= 1.0:
        raise ValueError(
            f"{type(layer).__name__} keeps an entry with probability prob, which must lie in "
            f"[0, 1], got {prob!r}."
        )
    return prob


def is_fitting() -> bool:
    """Ask the environment whether the model is being fitted.

    Raises:
        KeyError: if it does not say.
    """
    return bool(environ.get("fit", desc="whether the model is being fitted (a bool)."))


class Dropout(ElementWiseBlock):
    """Keep each entry with probability ``prob`` while fitting; otherwise pass everything on.

    ``y = x / prob`` where the entry is kept and 0 where it is dropped, so the expected value is
    ``x``. The environment says which: under ``environ.context(fit=True)`` entries are dropped,
    under ``fit=False`` the input is returned as it is. One key is drawn per call from the default
    generator of `random`, none where ``prob`` is 0 or 1.

    Args:
        prob: probability to *keep* an entry, between 0 and 1. Other frameworks count the share that
            is dropped instead: their rate is ``1 - prob``.
        broadcast_dims: axes along which entries are kept or dropped together.
        name: a label for the user.

    Raises:
        TypeError: if ``prob`` is no number.
        ValueError: if ``prob`` is no probability.
        KeyError: when called while the environment does not say whether it is a fit.

    Example:
        >>> layer = Dropout(0.5)
        >>> with environ.context(fit=False):
        ...     layer(jnp.ones(3)).tolist()
        [1.0, 1.0, 1.0]
        >>> with environ.context(fit=True):
        ...     sorted(set(layer(jnp.ones(1000)).tolist()))
        [0.0, 2.0]
    """

    def __init__(
        self, prob: Any = 0.5, broadcast_dims: int | Sequence[int] = (), name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.prob = keep_probability(self, prob)
        axes: Any = broadcast_dims if np.ndim(broadcast_dims) else (broadcast_dims,)
        self.broadcast_dims = tuple(map(operator.index, axes))

    def update(self, x: jax.Array) -> jax.Array:
        """Drop entries while fitting.

        Args:
            x: array of any shape.

        Returns:
            Array of the same shape and dtype.

        Raises:
            KeyError: if the environment does not say whether it is a fit.
            ValueError: if the input lacks an axis named in ``broadcast_dims``.
        """
        if not is_fitting() or self.prob == 1.0:
            return x
        x = as_array(x)
        if self.prob == 0.0:
            return jnp.zeros_like(x)
        shape = list(x.shape)
        for axis in self.broadcast_dims:
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(
                    f"Dropout(broadcast_dims={self.broadcast_dims}) got an input of shape "
                    f"{x.shape}, which has no axis {axis}."
                )
            shape[axis] = 1
        kept = jax.random.bernoulli(random.split_key(), self.prob, tuple(shape))
        return jnp.where(kept, x / self.prob, 0).astype(x.dtype)


class DropoutFixed(ElementWiseBlock):
    """Drop the same entries in every step of a sequence while fitting.

    ``y = x / prob`` where the entry is kept and 0 where it is dropped. Which entries are kept is
    drawn by `init_state`, with one key of the default generator of `random`, and stands in the
    state ``mask`` until the next `init_state`: call it before each sequence. Where ``prob`` is 1
    there is no mask.

    In a network that runs over many steps of time, entries dropped anew in each step would average
    out; these do not (Lee et al. 2020, https://arxiv.org/abs/1903.06379).

    Args:
        in_size: shape of one example.
        prob: probability to *keep* an entry, between 0 and 1.
        name: a label for the user.

    Raises:
        TypeError: if ``prob`` is no number.
        ValueError: if ``prob`` is no probability.

    Example:
        >>> layer = DropoutFixed(100, prob=0.5)
        >>> layer.init_state(batch_size=10)
        >>> with environ.context(fit=True):
        ...     first, second = layer(jnp.ones((10, 100))), layer(jnp.ones((10, 100)))
        >>> bool((first == second).all()), sorted(set(first.ravel().tolist()))
        (True, [0.0, 2.0])
    """

    mask: State[jax.Array]

    def __init__(
        self, in_size: int | Sequence[int], prob: Any = 0.5, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.in_size = init.to_size(in_size)
        self.out_size = self.in_size
        self.prob = keep_probability(self, prob)

    def init_state(self, batch_size: int | None = None, **kwargs: Any) -> None:
        """Draw the mask of the next sequence.

        Args:
            batch_size: length of a leading axis; None for none.
            **kwargs: ignored, so that one call can serve layers of many kinds.
        """
        if self.prob == 1.0:
            return
        shape = self.in_size if batch_size is None else (operator.index(batch_size), *self.in_size)
        self.mask = ShortTermState(jax.random.bernoulli(random.split_key(), self.prob, shape))

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size``.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if it is not that of the layer.
        """
        if tuple(in_size) != self.in_size:
            raise ValueError(f"DropoutFixed({self.in_size}) got shape {tuple(in_size)}.")
        return tuple(in_size)

    def update(self, x: jax.Array) -> jax.Array:
        """Drop the entries that the mask says while fitting.

        Args:
            x: array of the shape of the mask, batch axis included.

        Returns:
            Array of the same shape and dtype.

        Raises:
            KeyError: if the environment does not say whether it is a fit.
            AttributeError: if there is no mask yet.
            ValueError: if the shape is not that of the mask.
        """
        if not is_fitting() or self.prob == 1.0:
            return x
        if "mask" not in self.__dict__:
            raise AttributeError(
                "This DropoutFixed has no mask yet: call init_state(batch_size), or "
                "init_all_states(model, batch_size) on the whole model."
            )
        (x, unit), mask = split(as_array(x)), self.mask.value
        if x.shape != mask.shape:
            raise ValueError(
                f"The input has shape {x.shape} and the mask {mask.shape}. "
                "init_state(batch_size) makes a mask that fits."
            )
        scaled = jnp.zeros_like(x) if self.prob == 0.0 else jnp.where(mask, x / self.prob, 0)
        return with_unit(scaled.astype(x.dtype), unit)
