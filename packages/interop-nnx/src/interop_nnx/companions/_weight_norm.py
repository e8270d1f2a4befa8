"""Layers around a layer that compute one of its weights out of the array that is trained.

NNX has layers of these names that write the computed weight over the trained one in every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ._linear import ONES, value

VECTOR = nnx.initializers.normal(1.0)
_FIRST_STEPS = 15
"""Steps from random vectors to some that evaluation can use before any training."""


def with_weight(layer: Any, name: str, weight: Any, dtype: Any) -> Any:
    """A layer that shares all but one weight with another.

    Args:
        layer: the layer, which stays as it is.
        name: the weight.
        weight: what stands in its place.
        dtype: what that is cast to, if it is.

    Example:
        >>> layer = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
        >>> with_weight(layer, "kernel", jnp.ones((2, 1)), None)(jnp.ones(2)).tolist()
        [2.0]
    """
    new = copy(layer)
    setattr(new, name, nnx.Param(weight if dtype is None else weight.astype(dtype)))
    return new


def kept(feature_axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Feature axes from the front, in their order.

    Example:
        >>> kept((-1, 0), 3)
        (0, 2)
    """
    given = () if feature_axes is None else feature_axes
    axes = tuple(given) if isinstance(given, Sequence) else (given,)
    return tuple(sorted({axis % rank for axis in axes}))


class WeightNorm(nnx.Module):
    """A layer around whose weight length and direction are trained apart.

    The layer is called with ``scale * W / sqrt(sum(W**2) + epsilon)`` in place of its weight ``W``,
    which stays what it is. The scale is an `nnx.Param`.

    Args:
        layer: the layer.
        weight_name: the name of its weight.
        feature_axes: axis or axes of the weight that have a length each; None for one length of
            the whole weight.
        epsilon: added to the sum of squares.
        use_scale: whether there is a scale; without, all lengths are 1.
        dtype: what the weight is cast to; None for what weight and scale promote to.
        param_dtype: the dtype that the scale starts in.
        scale_init: initializer of the scale.
        rngs: what the scale is drawn from.

    Example:
        >>> layer = WeightNorm(nnx.Linear(3, 4, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1))
        >>> layer.scale.shape, layer(jnp.ones((2, 3))).shape
        ((4,), (2, 4))
    """

    def __init__(
        self,
        layer: Any,
        weight_name: str = "kernel",
        feature_axes: int | Sequence[int] | None = -1,
        *,
        epsilon: float = 1e-12,
        use_scale: bool = True,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        scale_init: Any = ONES,
        rngs: nnx.Rngs,
    ) -> None:
        self.layer = layer
        self.weight_name = weight_name
        self.feature_axes = tuple(feature_axes) if isinstance(feature_axes, list) else feature_axes
        self.epsilon = epsilon
        self.use_scale = use_scale
        self.dtype = dtype
        shape = value(getattr(layer, weight_name)).shape
        lengths = tuple(shape[axis] for axis in kept(self.feature_axes, len(shape)))
        init = scale_init(rngs.params(), lengths, param_dtype) if use_scale else None
        self.scale = None if init is None else nnx.Param(init)

    def __call__(self, x: Any) -> Any:
        """Call the layer with the normalised weight.

        Args:
            x: the input.
        """
        weight = value(getattr(self.layer, self.weight_name))
        axes = kept(self.feature_axes, weight.ndim)
        rest = tuple(axis for axis in range(weight.ndim) if axis not in axes)
        squares = jnp.sum(weight * weight, axis=rest, keepdims=True)
        normed = weight * jax.lax.rsqrt(squares + self.epsilon)
        if self.scale is not None:
            normed = normed * value(self.scale).reshape(squares.shape)
        return with_weight(self.layer, self.weight_name, normed, self.dtype)(x)


class SpectralNorm(nnx.Module):
    """A layer around a layer whose weight it divides by the weight's largest singular value.

    The weight in the layer stays what it is. What is kept of the power iteration, ``u`` and ``v``
    or ``sigma``, are `nnx.BatchStat`.

    Args:
        layer: the layer.
        weight_name: the name of its weight.
        axis: the axis of the weight that ``u`` is along.
        n_steps: steps of the power iteration in a call that iterates.
        epsilon: what keeps a vector of zeros from being divided by 0: added to the sum of squares,
            or with ``keep_v`` the least norm that is divided by.
        keep_v: whether ``v`` is kept as well. Then training alone iterates; otherwise every call
            does, from ``u``.
        dtype: what the weight is cast to; None for what weight and vectors promote to.
        use_running_average: whether what is kept stays as it is; ``.train()`` and ``.eval()``
            switch it.
        vector_init: initializer of the vectors.
        rngs: what the vectors are drawn from.

    Example:
        >>> layer = SpectralNorm(nnx.Linear(3, 4, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1))
        >>> layer(jnp.ones((2, 3))).shape, layer.u.shape, layer.sigma.shape
        ((2, 4), (4,), ())
    """

    def __init__(
        self,
        layer: Any,
        weight_name: str = "kernel",
        axis: int = -1,
        *,
        n_steps: int = 1,
        epsilon: float = 1e-12,
        keep_v: bool = False,
        dtype: Any = None,
        use_running_average: bool = False,
        vector_init: Any = VECTOR,
        rngs: nnx.Rngs,
    ) -> None:
        self.layer = layer
        self.weight_name = weight_name
        self.axis = axis
        self.n_steps = n_steps
        self.epsilon = epsilon
        self.keep_v = keep_v
        self.dtype = dtype
        self.use_running_average = use_running_average
        weight = value(getattr(layer, weight_name))
        rest = list(weight.shape)
        columns = rest.pop(axis)
        u = vector_init(rngs.params(), (columns,), jnp.float32)
        v = vector_init(rngs.params(), tuple(rest), jnp.float32) if keep_v else None
        if v is not None and isinstance(weight, jax.Array) and isinstance(v, jax.Array):
            u, v = self._iterated(self._matrix(weight), u, v.reshape(-1), _FIRST_STEPS)
            v = v.reshape(rest)
        self.u = nnx.BatchStat(u)
        self.v = None if v is None else nnx.BatchStat(v)
        self.sigma = None if keep_v else nnx.BatchStat(jnp.ones(()))

    def _matrix(self, weight: Any) -> Any:
        """The weight as a matrix whose columns are along the axis."""
        moved = jnp.moveaxis(weight, self.axis, -1)
        return moved.reshape(-1, moved.shape[-1])

    def _normed(self, vector: Any) -> Any:
        """Bring a vector to length 1, one of zeros excepted."""
        squares = jnp.sum(vector * vector)
        if self.keep_v:
            return vector / jnp.maximum(self.epsilon, jnp.sqrt(squares))
        return vector * jax.lax.rsqrt(squares + self.epsilon)

    def _iterated(self, matrix: Any, u: Any, v: Any, steps: int) -> tuple[Any, Any]:
        """Take steps of the power iteration: from ``v`` where it is kept, else from ``u``."""
        for _ in range(steps):
            if self.keep_v:
                u = self._normed(v @ matrix)
                v = self._normed(matrix @ u)
            else:
                v = self._normed(matrix @ u)
                u = self._normed(v @ matrix)
        return u, v

    def __call__(self, x: Any, use_running_average: bool | None = None) -> Any:
        """Call the layer with the weight divided by its largest singular value.

        Args:
            x: the input.
            use_running_average: in place of the attribute, for this call.
        """
        given = use_running_average
        fixed = self.use_running_average if given is None else given
        weight = value(getattr(self.layer, self.weight_name))
        matrix = self._matrix(weight)
        u = value(self.u)
        v = None if self.v is None else value(self.v).reshape(-1)
        if v is None or not fixed:
            u, v = self._iterated(jax.lax.stop_gradient(matrix), u, v, self.n_steps)
        if not self.keep_v:
            u, v = jax.lax.stop_gradient((u, v))
        sigma = jnp.vdot(v @ matrix, u)
        if not fixed:
            self.u.set_value(u)
            if self.v is not None:
                self.v.set_value(v.reshape(self.v.shape))
            if self.sigma is not None:
                self.sigma.set_value(jax.lax.stop_gradient(sigma))
        divided = weight / (sigma if self.keep_v else jnp.where(sigma != 0, sigma, 1))
        return with_weight(self.layer, self.weight_name, divided, self.dtype)(x)
