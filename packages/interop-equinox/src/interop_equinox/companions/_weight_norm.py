"""Layers around a layer that compute one of its weights out of the array that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


def with_weight(layer: Any, name: str, weight: Any, dtype: Any) -> Any:
    """The layer with another weight, cast to a dtype if there is one.

    Example:
        >>> layer = eqx.nn.Linear(2, 1, key=jax.random.key(0))
        >>> with_weight(layer, "weight", jnp.ones((1, 2)), None)(jnp.ones(2)) == 2 + layer.bias
        Array([ True], dtype=bool)
    """
    weight = weight if dtype is None else weight.astype(dtype)
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
        return with_weight(self.layer, self.weight_name, normed, self.dtype)(x)
