"""Layers around a layer that compute one of its weights out of the array that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


def with_weight(layer: Any, name: str, weight: Any, dtype: Any, x: Any) -> Any:
    """The layer with another weight, cast to a dtype if there is one, to be called on an input.

    Example:
        >>> layer = eqx.nn.Linear(2, 1, key=jax.random.key(0))
        >>> with_weight(layer, "weight", jnp.ones((1, 2)), None, 0.0)(jnp.ones(2)) == 2 + layer.bias
        Array([ True], dtype=bool)
    """
    if dtype is not None:
        # A convolution of Equinox takes a weight of its input's dtype alone.
        weight = weight.astype(dtype)
        weight = weight.astype(jnp.promote_types(weight.dtype, jnp.result_type(x)))
    return eqx.tree_at(lambda held: getattr(held, name), layer, weight)


class WeightNorm(eqx.Module):
    """A layer around whose weight length and direction are trained apart.

    The layer is called with ``scale * W / sqrt(sum(W**2) + epsilon)`` in place of its weight ``W``.
    Equinox's own has no ``epsilon``, and one axis at most.

    Args:
        layer: the layer.
        weight_name: the name of its weight.
        feature_axes: axis or axes of the weight that have a length each; None for one length of
            the whole weight.
        epsilon: added to the sum of squares.
        use_scale: whether there is a scale, which begins as the lengths that the weight has;
            without, all lengths are 1.
        dtype: what the weight is cast to; None for what weight and scale promote to.

    Example:
        >>> layer = WeightNorm(eqx.nn.Linear(3, 4, key=jax.random.key(0)))
        >>> bool(jnp.allclose(layer(jnp.ones(3)), layer.layer(jnp.ones(3)), atol=1e-5))
        True
    """

    layer: Any
    scale: Any
    weight_name: str = eqx.field(static=True)
    feature_axes: Any = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)
    use_scale: bool = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)

    def __init__(
        self,
        layer: Any,
        weight_name: str = "weight",
        feature_axes: int | Sequence[int] | None = 0,
        *,
        epsilon: float = 1e-12,
        use_scale: bool = True,
        dtype: Any = None,
    ) -> None:
        self.layer = layer
        self.weight_name = weight_name
        self.feature_axes = tuple(feature_axes) if isinstance(feature_axes, list) else feature_axes
        self.epsilon = epsilon
        self.use_scale = use_scale
        self.dtype = dtype
        squares = self._squares(getattr(layer, weight_name))
        self.scale = jnp.sqrt(squares) if use_scale else None

    def _squares(self, weight: Any) -> Any:
        """Sum the squares over what is no feature axis; the axes stay with length 1."""
        given = () if self.feature_axes is None else self.feature_axes
        axes = given if isinstance(given, tuple) else (given,)
        kept = {axis % weight.ndim for axis in axes}
        rest = tuple(axis for axis in range(weight.ndim) if axis not in kept)
        return jnp.sum(weight * weight, axis=rest, keepdims=True)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Call the layer with the normalised weight.

        Args:
            x: one example.
            key: not used.
        """
        weight = getattr(self.layer, self.weight_name)
        normed = weight * jax.lax.rsqrt(self._squares(weight) + self.epsilon)
        if self.scale is not None:
            normed = normed * self.scale
        return with_weight(self.layer, self.weight_name, normed, self.dtype, x)(x)


_FIRST_STEPS = 15
"""Steps from random vectors to some that evaluation can use before any training."""


class SpectralNorm(eqx.nn.StatefulLayer):
    """A layer around a layer whose weight it divides by the weight's largest singular value.

    Equinox's own keeps both vectors of the power iteration, which this one need not.

    Args:
        layer: the layer.
        weight_name: the name of its weight.
        axis: the axis of the weight that ``u`` is along.
        n_steps: steps of the power iteration in a call that iterates.
        epsilon: what keeps a vector of zeros from being divided by 0: added to the sum of squares,
            or with ``keep_v`` the least norm that is divided by.
        keep_v: whether ``v`` is kept as well, and not ``sigma``. Then training alone iterates;
            otherwise every call does, from ``u``.
        dtype: what the weight is cast to; None for what weight and vectors promote to.
        inference: whether what is kept stays as it is.
        key: what the vectors are drawn from.

    Example:
        >>> key = jax.random.key(0)
        >>> make = eqx.nn.make_with_state(SpectralNorm)
        >>> layer, state = make(eqx.nn.Linear(3, 4, key=key), key=key)
        >>> y, state = layer(jnp.ones(3), state)
        >>> y.shape, state.get(layer.u).shape
        ((4,), (4,))
    """

    layer: Any
    weight_name: str = eqx.field(static=True)
    axis: int = eqx.field(static=True)
    n_steps: int = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)
    keep_v: bool = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    inference: bool
    u: eqx.nn.StateIndex[Any]
    v: eqx.nn.StateIndex[Any] | None
    sigma: eqx.nn.StateIndex[Any] | None

    def __init__(
        self,
        layer: Any,
        weight_name: str = "weight",
        axis: int = 0,
        *,
        n_steps: int = 1,
        epsilon: float = 1e-12,
        keep_v: bool = False,
        dtype: Any = None,
        inference: bool = False,
        key: Any,
    ) -> None:
        self.layer = layer
        self.weight_name = weight_name
        self.axis = axis
        self.n_steps = n_steps
        self.epsilon = epsilon
        self.keep_v = keep_v
        self.dtype = dtype
        self.inference = inference
        weight = getattr(layer, weight_name)
        matrix, rest = self._matrix(weight)
        of_u, of_v = jax.random.split(key)
        u = jax.random.normal(of_u, matrix.shape[1:])
        v = jax.random.normal(of_v, matrix.shape[:1]) if keep_v else None
        if v is not None:
            u, v = self._iterated(matrix, u, v, _FIRST_STEPS)
        self.u = eqx.nn.StateIndex(u)
        self.v = None if v is None else eqx.nn.StateIndex(v.reshape(rest))
        self.sigma = None if keep_v else eqx.nn.StateIndex(jnp.ones(()))

    def _matrix(self, weight: Any) -> tuple[Any, tuple[int, ...]]:
        """The weight as a matrix whose columns are along the axis, and the shape of its rows."""
        moved = jnp.moveaxis(weight, self.axis, -1)
        return moved.reshape(-1, moved.shape[-1]), moved.shape[:-1]

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

    def __call__(
        self, x: Any, state: eqx.nn.State, *, key: Any = None, inference: bool | None = None
    ) -> tuple[Any, eqx.nn.State]:
        """Call the layer with the weight divided by its largest singular value.

        Args:
            x: one example.
            state: the state of the model.
            key: not used.
            inference: in place of the attribute, for this call.
        """
        fixed = self.inference if inference is None else inference
        weight = getattr(self.layer, self.weight_name)
        matrix, rest = self._matrix(weight)
        u = state.get(self.u)
        v = None if self.v is None else state.get(self.v).reshape(-1)
        if v is None or not fixed:
            u, v = self._iterated(jax.lax.stop_gradient(matrix), u, v, self.n_steps)
        if not self.keep_v:
            u, v = jax.lax.stop_gradient((u, v))
        sigma = jnp.vdot(v @ matrix, u)
        if not fixed:
            state = state.set(self.u, u)
            if self.v is not None:
                state = state.set(self.v, v.reshape(rest))
            if self.sigma is not None:
                state = state.set(self.sigma, jax.lax.stop_gradient(sigma))
        divided = weight / (sigma if self.keep_v else jnp.where(sigma != 0, sigma, 1))
        return with_weight(self.layer, self.weight_name, divided, self.dtype, x)(x), state
