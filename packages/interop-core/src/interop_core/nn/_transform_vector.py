"""Invertible transformations of the vectors along the last axis."""

from __future__ import annotations

from typing import Any

import jax
from jax import numpy as jnp

from ._transform import Transform, array
from ._transform_half_bounded import inverse_softplus

__all__ = ["OrderedT", "SimplexT", "UnitVectorT"]

# JAX publishes it without types.
_finfo: Any = jnp.finfo


def _vectors(x: Any, transform: Transform) -> Any:
    """Make an array with a last axis.

    Raises:
        ValueError: if there is none.
    """
    x = array(x)
    if not x.ndim:
        raise ValueError(f"{type(transform).__name__} needs vectors, got a single number.")
    return x


class OrderedT(Transform):
    r"""Maps vectors to vectors that rise strictly along the last axis.

    :math:`y_1 = x_1` and :math:`y_i = y_{i-1} + \log(1 + e^{x_i})`.

    Example:
        >>> [round(y, 3) for y in OrderedT()(jnp.array([0.0, 1.0, 0.5])).tolist()]
        [0.0, 1.313, 2.287]
    """

    def forward(self, x: Any) -> Any:
        """Map vectors to rising ones.

        Raises:
            ValueError: if ``x`` has no axes.
        """
        x = _vectors(x, self)
        steps = jnp.concatenate([x[..., :1], jax.nn.softplus(x[..., 1:])], -1)
        return jnp.cumsum(steps, -1)

    def inverse(self, y: Any) -> Any:
        """Map rising vectors back: minus infinity where entries are equal, NaN where they fall.

        Raises:
            ValueError: if ``y`` has no axes.
        """
        y = _vectors(y, self)
        steps = y[..., 1:] - y[..., :-1]
        return jnp.concatenate([y[..., :1], inverse_softplus(steps)], -1)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> jax.Array:
        """Sum the logarithms of the sigmoids of all numbers but the first."""
        return jax.nn.log_sigmoid(jnp.asarray(_vectors(x, self)[..., 1:])).sum(-1)


class SimplexT(Transform):
    r"""Maps ``n - 1`` numbers to ``n`` shares, which are positive and sum to 1 along the last axis.

    Each number breaks its share off what is left of a stick: with :math:`z_i = \sigma(x_i)`,
    :math:`y_i = z_i \prod_{j<i} (1 - z_j)`, and the last share is all that is left.

    Example:
        >>> SimplexT()(jnp.array([0.0, 0.0])).tolist()
        [0.5, 0.25, 0.25]
    """

    def forward(self, x: Any) -> Any:
        """Map vectors of length ``n - 1`` to shares of length ``n``.

        Raises:
            ValueError: if ``x`` has no axes.
        """
        x = _vectors(x, self)
        # The sigmoid of whole numbers is refused.
        x = x.astype(jnp.result_type(x, 0.0))
        one = jnp.ones_like(x, shape=(*x.shape[:-1], 1))
        # The sigmoid of -x is what is left, also where that of x rounds to 1.
        left = jnp.cumprod(jax.nn.sigmoid(-x), -1)
        taken = jnp.concatenate([jax.nn.sigmoid(x), one], -1)
        return taken * jnp.concatenate([one, left], -1)

    def inverse(self, y: Any) -> Any:
        r"""Map shares back: :math:`x_i = \log y_i - \log \sum_{j>i} y_j`.

        A share of exactly 0, which no finite number gives, counts as the resolution of the dtype
        times what is left of the stick.

        Raises:
            ValueError: if ``y`` has no axes, or none along the last.
        """
        y = _vectors(y, self)
        if not y.shape[-1]:
            raise ValueError(f"SimplexT has no shares of length 0, got shape {tuple(y.shape)}.")
        y = y.astype(jnp.result_type(y, 0.0))
        taken = y[..., :-1]
        left = jax.lax.cumsum(y[..., 1:], axis=y.ndim - 1, reverse=True)
        whole = taken + left
        least = float(_finfo(y.dtype).eps) * jnp.where(whole == 0, 1, whole)
        return jnp.log(jnp.where(taken == 0, least, taken)) - jnp.log(
            jnp.where(left == 0, least, left)
        )

    def log_abs_det_jacobian(self, x: Any, y: Any) -> jax.Array:
        """Give the determinant of the map to the first ``n - 1`` shares, which fix the last."""
        x = jnp.asarray(_vectors(x, self))
        left = jax.nn.log_sigmoid(-x)
        before = jnp.cumsum(left, -1) - left
        return (jax.nn.log_sigmoid(x) + left + before).sum(-1)


class UnitVectorT(Transform):
    r"""Scales vectors along the last axis to length 1: :math:`y = x / \|x\|`.

    All vectors of one direction have the same value, so this has no determinant, and `inverse`
    gives back vectors as they are. A vector of zeros stays one.

    Example:
        >>> [round(y, 3) for y in UnitVectorT()(jnp.array([3.0, 4.0])).tolist()]
        [0.6, 0.8]
    """

    def forward(self, x: Any) -> Any:
        """Scale vectors to length 1.

        Raises:
            ValueError: if ``x`` has no axes.
        """
        x = _vectors(x, self)
        # Large and small vectors are brought near 1 first, so that their squares are numbers. The
        # result does not depend on by how much, so no gradient goes through that.
        size = jax.lax.stop_gradient(jnp.max(jnp.abs(x), -1, keepdims=True, initial=0))
        x = x / jnp.where(size == 0, 1, size)
        squares = jnp.sum(x * x, -1, keepdims=True)
        return x / jnp.sqrt(jnp.where(size == 0, 1, squares))

    def inverse(self, y: Any) -> Any:
        """Return ``y``."""
        return y
