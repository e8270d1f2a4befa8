"""Companions for spikes: products with events, and sparse connections."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ._linear import KERNEL, ZEROS, parameter, shared_or_each, value

NORMAL = nnx.initializers.normal(1.0)


@jax.custom_jvp
def _fire(x: Any) -> Any:
    """1 where a number is positive, with the derivative of the identity.

    Whatever made the spikes has a surrogate gradient of its own, which this one reaches.
    """
    return (x > 0).astype(x.dtype)


@_fire.defjvp
def _fire_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return _fire(*primals), tangents[0]


def _events(x: Any, kernel: Any) -> Any:
    """The events of an array, in the dtype of the product."""
    dtype = jnp.result_type(x, kernel)
    if jnp.issubdtype(x.dtype, jnp.floating):
        return _fire(x.astype(dtype))
    return (x > 0).astype(dtype)


class EventLinear(nnx.Module):
    """Multiplies spikes by a kernel: ``y = e(x) @ W``, where ``e(x)`` is 1 at events, 0 elsewhere.

    An event is True or a positive number. The gradient by ``x`` is that of ``x @ W``.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        shared_weight: whether ``W`` is one number for all pairs.
        float_as_event: whether positive numbers count as events rather than by their size.
        param_dtype: the dtype that the kernel starts in.
        kernel_init: initializer of the kernel.
        rngs: what the kernel is drawn from.

    Example:
        >>> ones = nnx.initializers.ones_init()
        >>> layer = EventLinear(3, 2, kernel_init=ones, rngs=nnx.Rngs(0))
        >>> layer(jnp.array([0.5, -1.0, 3.0])).tolist()
        [2.0, 2.0]
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        shared_weight: bool = False,
        float_as_event: bool = True,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.shared_weight, self.float_as_event = shared_weight, float_as_event
        shape = (in_features, out_features)
        self.kernel = shared_or_each(kernel_init, rngs, shape, shared_weight, param_dtype)

    def __call__(self, x: Any) -> Any:
        """Multiply the last axis.

        Raises:
            ValueError: if it has another length.
        """
        x, kernel = _checked(self, x), value(self.kernel)
        if self.float_as_event:
            x = _events(x, kernel)
        if kernel.ndim:
            return jnp.dot(x, kernel)
        total = x.sum(-1, keepdims=True, dtype=jnp.result_type(x, kernel)) * kernel
        return jnp.broadcast_to(total, (*x.shape[:-1], self.out_features))


class FixedNumConn(nnx.Module):
    """Sends numbers along connections, as many for every neuron.

    ``y[..., j]`` is the sum of ``w * x[..., i]`` over the connections from ``i`` to ``j``.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        indices: integers of shape ``(owners, number)``: a row lists the neurons at the other ends
            of the connections that one neuron owns.
        rows: which neurons own connections, in rising order; ``None`` where all do.
        efferent_target: whether the owners are inputs, ``"post"``, or outputs, ``"pre"``.
        shared_weight: whether all connections have one weight, a number.
        param_dtype: the dtype that the weights start in.
        kernel_init: initializer of the weights.
        rngs: what the weights are drawn from.

    Raises:
        ValueError: if there is no such ``efferent_target``.

    Example:
        >>> layer = FixedNumConn(2, 3, np.array([[0, 2], [1, 1]]), rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((4, 2))).shape
        (4, 3)
    """

    events: ClassVar[bool] = False

    def __init__(
        self,
        in_features: int,
        out_features: int,
        indices: Any,
        *,
        rows: Any = None,
        efferent_target: str = "post",
        shared_weight: bool = False,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = NORMAL,
        rngs: nnx.Rngs,
    ) -> None:
        if efferent_target not in ("post", "pre"):
            raise ValueError(f"efferent_target must be 'post' or 'pre', got {efferent_target!r}.")
        self.in_features, self.out_features = in_features, out_features
        self.indices, self.rows = indices, rows
        self.efferent_target, self.shared_weight = efferent_target, shared_weight
        shape = tuple(np.shape(indices)) if rows is None else (int(np.size(indices)),)
        self.kernel = (
            shared_or_each(kernel_init, rngs, shape, shared_weight, param_dtype)
            if np.shape(indices)[1]
            else None
        )

    def __call__(self, x: Any) -> Any:
        """Send the last axis along the connections.

        Raises:
            ValueError: if it has another length.
        """
        x = _checked(self, x)
        shape = (*x.shape[:-1], self.out_features)
        if self.kernel is None:
            return jnp.zeros(shape, jnp.result_type(x.dtype, jnp.float32))
        kernel = value(self.kernel)
        dtype = jnp.result_type(x, kernel)
        x = _events(x, kernel) if self.events else x.astype(dtype)
        kernel = kernel.astype(dtype)
        indices = jnp.asarray(self.indices)
        weight = kernel.reshape(indices.shape) if kernel.ndim else kernel
        # The batch comes last: one connection moves a whole row of numbers.
        columns = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T
        if self.efferent_target == "post":
            owned = columns if self.rows is None else columns[jnp.asarray(self.rows)]
            sent = jnp.broadcast_to(owned[:, None], (*indices.shape, columns.shape[1]))
            sent = sent * weight[..., None] if weight.ndim else sent
            y = jnp.zeros((self.out_features, columns.shape[1]), dtype)
            y = y.at[indices.ravel()].add(sent.reshape(-1, columns.shape[1]))
        else:
            seen = columns[indices]
            y = (seen * weight[..., None] if weight.ndim else seen).sum(1)
            if self.rows is not None:
                full = jnp.zeros((self.out_features, columns.shape[1]), dtype)
                y = full.at[jnp.asarray(self.rows)].set(y)
        y = y if weight.ndim else y * weight
        return y.T.reshape(shape)


class EventFixedNumConn(FixedNumConn):
    """Sends events along connections: what counts is whether an input is True, or positive.

    The arguments are those of `FixedNumConn`. The gradient by ``x`` is that of `FixedNumConn`.

    Example:
        >>> ones = nnx.initializers.ones_init()
        >>> indices = np.array([[0, 2], [1, 1]])
        >>> layer = EventFixedNumConn(2, 3, indices, kernel_init=ones, rngs=nnx.Rngs(0))
        >>> layer(jnp.array([0.5, -1.0])).tolist()
        [1.0, 0.0, 1.0]
    """

    events = True


class EventFixedProb(EventFixedNumConn):
    """The same layer as `EventFixedNumConn`, under the name for a probability of connections.

    Example:
        >>> layer = EventFixedProb(2, 3, np.array([[0], [1]]), rngs=nnx.Rngs(0))
        >>> layer(jnp.ones(2)).shape
        (3,)
    """


class SparseLinear(nnx.Module):
    """Multiplies by a sparse matrix and adds a bias: ``y = x @ M + b``.

    Args:
        in_features: number of rows of the matrix.
        out_features: number of its columns.
        row: row of each entry, an array of integers.
        col: column of each entry.
        shared_weight: whether all entries are one number.
        use_bias: whether there is a bias.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the entries.
        bias_init: initializer of the bias.
        rngs: what the parameters are drawn from.

    Example:
        >>> layer = SparseLinear(2, 3, np.array([0, 1]), np.array([2, 0]), rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((4, 2))).shape
        (4, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        row: Any,
        col: Any,
        *,
        shared_weight: bool = False,
        use_bias: bool = False,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = NORMAL,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.row, self.col = row, col
        self.shared_weight, self.use_bias = shared_weight, use_bias
        entries = tuple(np.shape(row))
        self.kernel = shared_or_each(kernel_init, rngs, entries, shared_weight, param_dtype)
        bias = (out_features,)
        self.bias = parameter(bias_init, rngs, bias, param_dtype) if use_bias else None

    def __call__(self, x: Any) -> Any:
        """Multiply the last axis, and add the bias.

        Raises:
            ValueError: if it has another length.
        """
        x, kernel = _checked(self, x), value(self.kernel)
        columns = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T
        terms = columns[jnp.asarray(self.row)] * kernel.reshape(-1, 1)
        y = jnp.zeros((self.out_features, columns.shape[1]), terms.dtype)
        y = y.at[jnp.asarray(self.col)].add(terms).T.reshape(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + value(self.bias)


def _checked(layer: Any, x: Any) -> Any:
    x = jnp.asarray(x)
    if x.shape[-1:] != (layer.in_features,):
        raise ValueError(
            f"{type(layer).__name__} takes {layer.in_features} inputs, got shape {x.shape}."
        )
    return x
