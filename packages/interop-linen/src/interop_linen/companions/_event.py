"""Layers for spikes: products with events, and sparse connections."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from ._linear import KERNEL, ZEROS, first_of

__all__ = ["EventFixedNumConn", "EventFixedProb", "EventLinear", "FixedNumConn", "SparseLinear"]

NORMAL = linen.initializers.normal(1.0)


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


class _Connected(linen.Module):
    """Has a kernel with an entry for each connection, or one number for all."""

    in_features: int
    out_features: int

    @linen.nowrap
    def _checked(self, inputs: Any) -> Any:
        x = jnp.asarray(inputs)
        if x.shape[-1:] != (self.in_features,):
            raise ValueError(
                f"{type(self).__name__} takes {self.in_features} inputs, got shape {x.shape}."
            )
        return x

    @linen.nowrap
    def _kernel(self, shape: tuple[int, ...]) -> Any:
        layer: Any = self
        if layer.shared_weight:
            return self.param(
                "kernel", lambda key: first_of(layer.kernel_init, key, shape, layer.param_dtype)
            )
        return self.param("kernel", layer.kernel_init, shape, layer.param_dtype)


class EventLinear(_Connected):
    """Multiplies spikes by a kernel: ``y = e(x) @ W``, where ``e(x)`` is 1 at events, 0 elsewhere.

    An event is True or a positive number. The gradient by ``x`` is that of ``x @ W``.

    Attributes:
        in_features: number of inputs.
        out_features: number of outputs.
        shared_weight: whether ``W`` is one number for all pairs.
        float_as_event: whether positive numbers count as events rather than by their size.
        param_dtype: the dtype that the kernel starts in.
        kernel_init: initializer of the kernel.

    Example:
        >>> layer = EventLinear(3, 2, kernel_init=linen.initializers.ones_init())
        >>> layer.init_with_output(jax.random.key(0), jnp.array([0.5, -1.0, 3.0]))[0].tolist()
        [2.0, 2.0]
    """

    shared_weight: bool = False
    float_as_event: bool = True
    param_dtype: Any = jnp.float32
    kernel_init: Any = KERNEL

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Multiply the last axis.

        Raises:
            ValueError: if it has another length.
        """
        x, kernel = self._checked(inputs), self._kernel((self.in_features, self.out_features))
        if self.float_as_event:
            x = _events(x, kernel)
        if kernel.ndim:
            return jnp.dot(x, kernel)
        total = x.sum(-1, keepdims=True, dtype=jnp.result_type(x, kernel)) * kernel
        return jnp.broadcast_to(total, (*x.shape[:-1], self.out_features))


class FixedNumConn(_Connected):
    """Sends numbers along connections, as many for every neuron.

    ``y[..., j]`` is the sum of ``w * x[..., i]`` over the connections from ``i`` to ``j``.

    Attributes:
        in_features: number of inputs.
        out_features: number of outputs.
        indices: integers of shape ``(owners, number)``: a row lists the neurons at the other ends
            of the connections that one neuron owns.
        rows: which neurons own connections, in rising order; ``None`` where all do.
        efferent_target: whether the owners are inputs, ``"post"``, or outputs, ``"pre"``.
        shared_weight: whether all connections have one weight, a number.
        param_dtype: the dtype that the weights start in.
        kernel_init: initializer of the weights.

    Example:
        >>> layer = FixedNumConn(2, 3, np.array([[0, 2], [1, 1]]))
        >>> layer.init_with_output(jax.random.key(0), jnp.ones((4, 2)))[0].shape
        (4, 3)
    """

    events: ClassVar[bool] = False

    indices: Any
    rows: Any = None
    efferent_target: str = "post"
    shared_weight: bool = False
    param_dtype: Any = jnp.float32
    kernel_init: Any = NORMAL

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Send the last axis along the connections.

        Raises:
            ValueError: if it has another length, or there is no such ``efferent_target``.
        """
        if self.efferent_target not in ("post", "pre"):
            raise ValueError(
                f"efferent_target must be 'post' or 'pre', got {self.efferent_target!r}."
            )
        x, size = self._checked(inputs), tuple(np.shape(self.indices))
        shape = (*x.shape[:-1], self.out_features)
        if not size[1]:
            return jnp.zeros(shape, jnp.result_type(x.dtype, jnp.float32))
        kernel = self._kernel(size if self.rows is None else (math.prod(size),))
        dtype = jnp.result_type(x, kernel)
        x = _events(x, kernel) if self.events else x.astype(dtype)
        kernel = kernel.astype(dtype)
        indices = jnp.asarray(self.indices)
        weight = kernel.reshape(size) if kernel.ndim else kernel
        # The batch comes last: one connection moves a whole row of numbers.
        columns = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T
        y = (self._send if self.efferent_target == "post" else self._gather)(
            columns, indices, weight
        )
        y = y if weight.ndim else y * weight
        return y.T.reshape(shape)

    @linen.nowrap
    def _send(self, columns: Any, indices: Any, weight: Any) -> Any:
        """Add up at the outputs what the inputs send."""
        owned = columns if self.rows is None else columns[jnp.asarray(self.rows)]
        sent = jnp.broadcast_to(owned[:, None], (*indices.shape, columns.shape[1]))
        sent = sent * weight[..., None] if weight.ndim else sent
        y = jnp.zeros((self.out_features, columns.shape[1]), columns.dtype)
        return y.at[indices.ravel()].add(sent.reshape(-1, columns.shape[1]))

    @linen.nowrap
    def _gather(self, columns: Any, indices: Any, weight: Any) -> Any:
        """Collect at the outputs what the inputs hold."""
        seen = columns[indices]
        y = (seen * weight[..., None] if weight.ndim else seen).sum(1)
        if self.rows is None:
            return y
        full = jnp.zeros((self.out_features, columns.shape[1]), columns.dtype)
        return full.at[jnp.asarray(self.rows)].set(y)


class EventFixedNumConn(FixedNumConn):
    """Sends events along connections: what counts is whether an input is True, or positive.

    The attributes are those of `FixedNumConn`, and so is the gradient by ``x``.

    Example:
        >>> ones, indices = linen.initializers.ones_init(), np.array([[0, 2], [1, 1]])
        >>> layer = EventFixedNumConn(2, 3, indices, kernel_init=ones)
        >>> layer.init_with_output(jax.random.key(0), jnp.array([0.5, -1.0]))[0].tolist()
        [1.0, 0.0, 1.0]
    """

    events = True


class EventFixedProb(EventFixedNumConn):
    """The same layer as `EventFixedNumConn`, under the name for a probability of connections.

    Example:
        >>> layer = EventFixedProb(2, 3, np.array([[0], [1]]))
        >>> layer.init_with_output(jax.random.key(0), jnp.ones(2))[0].shape
        (3,)
    """


class SparseLinear(_Connected):
    """Multiplies by a sparse matrix and adds a bias: ``y = x @ M + b``.

    Attributes:
        in_features: number of rows of the matrix.
        out_features: number of its columns.
        row: row of each entry, an array of integers.
        col: column of each entry.
        shared_weight: whether all entries are one number.
        use_bias: whether there is a bias.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the entries.
        bias_init: initializer of the bias.

    Example:
        >>> layer = SparseLinear(2, 3, np.array([0, 1]), np.array([2, 0]))
        >>> layer.init_with_output(jax.random.key(0), jnp.ones((4, 2)))[0].shape
        (4, 3)
    """

    row: Any
    col: Any
    shared_weight: bool = False
    use_bias: bool = False
    param_dtype: Any = jnp.float32
    kernel_init: Any = NORMAL
    bias_init: Any = ZEROS

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Multiply the last axis, and add the bias.

        Raises:
            ValueError: if it has another length.
        """
        x, kernel = self._checked(inputs), self._kernel(tuple(np.shape(self.row)))
        columns = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T
        terms = columns[jnp.asarray(self.row)] * kernel.reshape(-1, 1)
        y = jnp.zeros((self.out_features, columns.shape[1]), terms.dtype)
        y = y.at[jnp.asarray(self.col)].add(terms).T.reshape(*x.shape[:-1], self.out_features)
        if self.use_bias:
            y = y + self.param("bias", self.bias_init, (self.out_features,), self.param_dtype)
        return y
