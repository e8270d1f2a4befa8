"""Companions for spikes: products with events, and sparse connections."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._constant import constant, value_of
from ._linear import drawn


@jax.custom_jvp
def _fire(x: Any) -> Any:
    """1 where a number is positive, with the derivative of the identity.

    Whatever made the spikes has a surrogate gradient of its own, which this one reaches.
    """
    return (x > 0).astype(x.dtype)


@_fire.defjvp
def _fire_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _fire(*primals), tangents[0]


def _events(x: Any, weight: Any) -> Any:
    """The events of an array, in the dtype of the product."""
    dtype = jnp.result_type(x, weight)
    if jnp.issubdtype(x.dtype, jnp.floating):
        return _fire(x.astype(dtype))
    return (x > 0).astype(dtype)


def _checked(layer: Any, x: Any) -> Any:
    x = jnp.asarray(x)
    if x.shape[-1:] != (layer.in_features,):
        raise ValueError(
            f"{type(layer).__name__} takes {layer.in_features} inputs, got shape {x.shape}."
        )
    return x


class EventLinear(eqx.Module):
    """Multiplies spikes by a weight: ``y = W e(x)``, where ``e(x)`` is 1 at events, 0 elsewhere.

    An event is True or a positive number. The gradient by ``x`` is that of ``W x``.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        shared_weight: whether ``W`` is one number for all pairs.
        float_as_event: whether positive numbers count as events rather than by their size.
        key: what the weight is drawn from.

    Raises:
        ValueError: when called with another number of inputs.

    Example:
        >>> layer = EventLinear(3, 2, shared_weight=True, key=jax.random.key(0))
        >>> y = layer(jnp.array([0.5, -1.0, 3.0]))
        >>> bool((y == 2 * layer.weight).all())
        True
    """

    weight: jax.Array
    in_features: int = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    shared_weight: bool = eqx.field(static=True)
    float_as_event: bool = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        shared_weight: bool = False,
        float_as_event: bool = True,
        *,
        key: Any,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.shared_weight, self.float_as_event = shared_weight, float_as_event
        shape = () if shared_weight else (out_features, in_features)
        self.weight = drawn(key, shape, in_features)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Multiply the last axis of ``(..., in_features)``."""
        x, weight = _checked(self, x), self.weight
        if self.float_as_event:
            x = _events(x, weight)
        if not self.shared_weight:
            return jnp.dot(x, weight.T)
        total = x.sum(-1, keepdims=True, dtype=jnp.result_type(x, weight)) * weight
        return jnp.broadcast_to(total, (*x.shape[:-1], self.out_features))


class FixedNumConn(eqx.Module):
    """Sends numbers along connections, as many for every neuron.

    ``y[j]`` is the sum of ``w * x[i]`` over the connections from ``i`` to ``j``.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        indices: integers of shape ``(owners, number)``: a row lists the neurons at the other ends
            of the connections that one neuron owns.
        rows: which neurons own connections, in rising order; None where all do.
        efferent_target: whether the owners are inputs, ``"post"``, or outputs, ``"pre"``.
        shared_weight: whether all connections have one weight, a number.
        key: what the weights are drawn from.

    Raises:
        ValueError: if there is no such ``efferent_target``, or when called with another number of
            inputs.

    Example:
        >>> layer = FixedNumConn(2, 3, np.array([[0, 2], [1, 1]]), key=jax.random.key(0))
        >>> layer(jnp.ones(2)).shape
        (3,)
    """

    events: ClassVar[bool] = False
    weight: jax.Array | None
    in_features: int = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    indices: Any = eqx.field(static=True)
    rows: Any = eqx.field(static=True)
    efferent_target: str = eqx.field(static=True)
    shared_weight: bool = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        indices: Any,
        rows: Any = None,
        efferent_target: str = "post",
        shared_weight: bool = False,
        *,
        key: Any,
    ) -> None:
        if efferent_target not in ("post", "pre"):
            raise ValueError(f"efferent_target must be 'post' or 'pre', got {efferent_target!r}.")
        self.in_features, self.out_features = in_features, out_features
        self.indices, self.rows = constant(indices), constant(rows)
        self.efferent_target, self.shared_weight = efferent_target, shared_weight
        each = tuple(np.shape(indices)) if rows is None else (int(np.size(indices)),)
        self.weight = None
        if np.shape(indices)[1]:
            self.weight = jax.random.normal(key, () if shared_weight else each)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Send the last axis of ``(..., in_features)`` along the connections."""
        x = _checked(self, x)
        shape = (*x.shape[:-1], self.out_features)
        if self.weight is None:
            return jnp.zeros(shape, jnp.result_type(x.dtype, jnp.float32))
        dtype = jnp.result_type(x, self.weight)
        x = _events(x, self.weight) if self.events else x.astype(dtype)
        indices, rows = jnp.asarray(value_of(self.indices)), value_of(self.rows)
        weight = self.weight.astype(dtype)
        weight = weight if self.shared_weight else weight.reshape(*indices.shape, 1)
        # The batch comes last: one connection moves a whole row of numbers.
        columns = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T
        outputs = jnp.zeros((self.out_features, columns.shape[1]), dtype)
        if self.efferent_target == "post":
            owned = columns if rows is None else columns[jnp.asarray(rows)]
            sent = jnp.broadcast_to(owned[:, None], (*indices.shape, columns.shape[1])) * weight
            y = outputs.at[indices.ravel()].add(sent.reshape(-1, columns.shape[1]))
        else:
            y = (columns[indices] * weight).sum(1)
            y = y if rows is None else outputs.at[jnp.asarray(rows)].set(y)
        return y.T.reshape(shape)


class EventFixedNumConn(FixedNumConn):
    """Sends events along connections: what counts is whether an input is True, or positive.

    The arguments are those of `FixedNumConn`. The gradient by ``x`` is that of `FixedNumConn`.

    Example:
        >>> indices = np.array([[0, 2], [1, 1]])
        >>> layer = EventFixedNumConn(2, 3, indices, shared_weight=True, key=jax.random.key(0))
        >>> bool((layer(jnp.array([0.5, -1.0])) == jnp.array([1, 0, 1]) * layer.weight).all())
        True
    """

    events = True


class EventFixedProb(EventFixedNumConn):
    """The same layer as `EventFixedNumConn`, under the name for a probability of connections.

    Example:
        >>> layer = EventFixedProb(2, 3, np.array([[0], [1]]), key=jax.random.key(0))
        >>> layer(jnp.ones(2)).shape
        (3,)
    """


class SparseLinear(eqx.Module):
    """Multiplies by a sparse matrix and adds a bias: ``y = x @ M + b``.

    Args:
        in_features: number of rows of the matrix.
        out_features: number of its columns.
        row: row of each entry, an array of integers.
        col: column of each entry.
        shared_weight: whether all entries are one number.
        use_bias: whether there is a bias.
        key: what the parameters are drawn from.

    Raises:
        ValueError: when called with another number of inputs.

    Example:
        >>> row, col = np.array([0, 1]), np.array([2, 0])
        >>> SparseLinear(2, 3, row, col, key=jax.random.key(0))(jnp.ones(2)).shape
        (3,)
    """

    weight: jax.Array
    bias: jax.Array | None
    in_features: int = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    row: Any = eqx.field(static=True)
    col: Any = eqx.field(static=True)
    shared_weight: bool = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        row: Any,
        col: Any,
        shared_weight: bool = False,
        use_bias: bool = False,
        *,
        key: Any,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.row, self.col = constant(row), constant(col)
        self.shared_weight, self.use_bias = shared_weight, use_bias
        keys = jax.random.split(key)
        self.weight = jax.random.normal(keys[0], () if shared_weight else np.shape(row))
        self.bias = drawn(keys[1], (out_features,), in_features) if use_bias else None

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Multiply the last axis of ``(..., in_features)``, and add the bias."""
        x = _checked(self, x)
        row, col = jnp.asarray(value_of(self.row)), jnp.asarray(value_of(self.col))
        columns = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T
        terms = columns[row] * self.weight.reshape(-1, 1)
        y = jnp.zeros((self.out_features, columns.shape[1]), terms.dtype)
        y = y.at[col].add(terms).T.reshape(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias
