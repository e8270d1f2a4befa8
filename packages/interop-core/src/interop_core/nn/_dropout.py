"""Dropout."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from .. import environ, random
from ._module import ElementWiseBlock
from ._parameters import as_array

__all__ = ["Dropout"]


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
        if not 0.0 <= prob <= 1.0:
            raise ValueError(
                f"Dropout keeps an entry with probability prob, which must lie in [0, 1], "
                f"got {prob!r}."
            )
        self.prob = prob
        self.broadcast_dims = tuple(
            operator.index(axis)
            for axis in (
                broadcast_dims if isinstance(broadcast_dims, Sequence) else (broadcast_dims,)
            )
        )

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
        fit = environ.get("fit", desc="whether the model is being fitted (a bool)")
        if not fit or self.prob == 1.0:
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
