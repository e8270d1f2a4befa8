"""The table of embedding vectors."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from ..state import ParamState, State
from . import init
from ._module import Module
from ._parameters import as_array, parameter, remembered
from ._quantity import keeping_unit, split, with_unit

__all__ = ["Embedding"]

_TABLE = init.LecunUniform()


class Embedding(Module):
    """Look integers up in a table of vectors: ``y[..., :] = W[i[...], :]``.

    ``i`` has any shape, ``W`` is the state ``weight`` of shape ``(num_embeddings,
    *embedding_size)``, and ``y`` has shape ``(*i.shape, *embedding_size)``. Negative integers count
    from the end of the table; those beyond either end take its first or last row.

    Args:
        num_embeddings: number of rows of the table.
        embedding_size: length, or shape, of one row.
        embedding_init: initializer of the table: a callable of the shape, or the array itself.
        padding_idx: a row that starts as zeros, gets no gradient and is never rescaled.
        max_norm: rows with a larger norm are scaled down to it when they are looked up. Outside of
            JAX transformations the table keeps the scaled rows. The gradient passes as if the table
            had held them already.
        norm_type: the p of the norm, ``(sum |w|^p)^(1/p)``, for ``max_norm``; ``inf`` takes the
            largest entry.
        scale_grad_by_freq: divide the gradient of each row by the number of times that the input
            names it.
        freeze: let no gradient reach the table.
        name: a label for the user.
        param_type: the state type that holds the table.
        dtype: what the rows are cast to. None: the dtype of the table.

    Raises:
        ValueError: for a negative number of rows, a ``padding_idx`` outside of the table, a
            ``max_norm`` that is not positive, or a table that does not fit.

    Example:
        >>> layer = Embedding(7, 4, padding_idx=0)
        >>> layer(jnp.array([[0, 2], [1, 6]])).shape
        (2, 2, 4)
        >>> layer(0).tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    weight: State[jax.Array]

    def __init__(
        self,
        num_embeddings: int,
        embedding_size: int | Sequence[int],
        embedding_init: Any = _TABLE,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        freeze: bool = False,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name)
        self.num_embeddings = operator.index(num_embeddings)
        self.embedding_size = init.to_size(embedding_size) or ()
        self.padding_idx = None if padding_idx is None else operator.index(padding_idx)
        if self.num_embeddings < 0:
            raise ValueError(f"num_embeddings must not be negative, got {num_embeddings}.")
        if self.padding_idx is not None and not 0 <= self.padding_idx < self.num_embeddings:
            raise ValueError(
                f"padding_idx must name one of the {self.num_embeddings} rows, got {padding_idx}."
            )
        if max_norm is not None and not max_norm > 0:
            raise ValueError(f"max_norm must be positive, got {max_norm}.")
        self.embedding_init = remembered(embedding_init)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.freeze = freeze
        self.param_type = param_type
        self.dtype = dtype
        self.out_size = self.embedding_size
        shape = (self.num_embeddings, *self.embedding_size)
        table = parameter(embedding_init, shape)
        if self.padding_idx is not None and not isinstance(table, jax.ShapeDtypeStruct):
            table = keeping_unit(lambda rows: rows.at[self.padding_idx].set(0), table)
        self.weight = param_type(table)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``(*in_size, *embedding_size)``.

        Args:
            in_size: shape of the integers.
        """
        return (*in_size, *self.embedding_size)

    def update(self, indices: jax.typing.ArrayLike) -> jax.Array:
        """Look up rows.

        Args:
            indices: integers of any shape.

        Returns:
            The rows, of shape ``(*indices.shape, *embedding_size)``.

        Raises:
            TypeError: if the indices are no integers.
        """
        rows = self._rows(indices)
        return rows if self.dtype is None else rows.astype(self.dtype)

    def _rows(self, indices: jax.typing.ArrayLike) -> jax.Array:
        """Look up rows in the dtype of the table."""
        index = as_array(indices)
        if not jnp.issubdtype(index.dtype, jnp.integer):
            raise TypeError(f"Embedding looks up integers, got {index.dtype}.")
        if index.dtype.itemsize < 4:
            index = index.astype(jnp.int32)  # so that every row of a large table has a number
        table, unit = split(as_array(self.weight.value))
        if unit is not None and self.max_norm is not None:
            raise TypeError(f"max_norm={self.max_norm} has no unit, and the table has {unit}.")
        return with_unit(self._taken(table, index), unit)

    def _taken(self, table: jax.Array, index: jax.Array) -> jax.Array:
        """Look up rows of a table without a unit."""
        if self.freeze:
            table = jax.lax.stop_gradient(table)
        if self.max_norm is None and self.padding_idx is None and not self.scale_grad_by_freq:
            return table.at[index].get(mode="clip")
        # One explicit position per lookup: padding and frequency are told by comparing positions.
        index = jnp.where(index < 0, index + self.num_embeddings, index)
        index = jnp.clip(index, 0, self.num_embeddings - 1)
        rows = table.at[index].get(mode="promise_in_bounds")
        taken = rows if self.max_norm is None else self._scaled(index, rows, self.max_norm)
        return _look_up(rows, taken, self._gradient_factor(index, rows))

    def _scaled(self, index: jax.Array, rows: jax.Array, max_norm: float) -> jax.Array:
        """Bring rows down to the largest norm, in the table as well where that is possible."""
        rows = jax.lax.stop_gradient(rows)
        flat = rows.reshape(*index.shape, math.prod(self.embedding_size))
        norm = jnp.linalg.norm(flat, ord=self.norm_type, axis=-1)
        factor = max_norm / jnp.maximum(norm, max_norm)  # exactly 1 for short rows
        if self.padding_idx is not None:
            factor = jnp.where(index == self.padding_idx, 1, factor)
        rows = (rows * _beside(factor, rows)).astype(rows.dtype)
        if not isinstance(rows, jax.core.Tracer):
            # Inside a transformation the rows are scaled anew in every call instead: writing there
            # would leave a tracer behind in a table that the caller holds.
            self.weight.value = as_array(self.weight.value).at[index].set(rows)
        return rows

    def _gradient_factor(self, index: jax.Array, rows: jax.Array) -> jax.Array:
        """Say with which weight the cotangent of each lookup goes into the gradient."""
        factor = jnp.ones((), rows.dtype)
        if self.scale_grad_by_freq:
            counts = jnp.zeros(self.num_embeddings, jnp.int32).at[index].add(1)
            factor = (1 / counts[index]).astype(rows.dtype)
        if self.padding_idx is not None:
            factor = jnp.where(index == self.padding_idx, 0, factor)
        return _beside(factor, rows)


def _beside(factor: jax.Array, rows: jax.Array) -> jax.Array:
    """Give one factor per lookup unit axes at the end, so that it multiplies whole rows."""
    return factor.reshape(factor.shape + (1,) * (rows.ndim - factor.ndim if factor.ndim else 0))


@jax.custom_jvp
def _look_up(rows: jax.Array, taken: jax.Array, factor: jax.Array) -> jax.Array:
    """Return ``taken``, with the derivative of ``factor * rows``."""
    return taken


@_look_up.defjvp
def _look_up_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    _, taken, factor = primals
    return taken, factor * tangents[0]
