"""A layer around a layer whose weight it divides by the weight's largest singular value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

__all__ = ["SpectralNorm"]

STATISTICS = "batch_stats"
_FIRST_STEPS = 15
"""Steps from random vectors to some that evaluation can use before any training."""


def normed(vector: Any, epsilon: float, keep_v: bool) -> Any:
    """Bring a vector to length 1, one of zeros excepted.

    Example:
        >>> normed(jnp.array([3.0, 4.0]), 1e-12, True).tolist()
        [0.6000000238418579, 0.800000011920929]
    """
    squares = jnp.sum(vector * vector)
    if keep_v:
        return vector / jnp.maximum(epsilon, jnp.sqrt(squares))
    return vector * jax.lax.rsqrt(squares + epsilon)


class SpectralNorm(linen.Module):
    """A layer around a layer whose weight it divides by the weight's largest singular value.

    Linen's own keeps one vector of the power iteration, has to be told in every call whether to
    update it, and so cannot stand in a `linen.Sequential`. This one can, and may keep both.

    The collection ``"batch_stats"`` holds ``u``, and ``v`` or ``sigma``.

    Args:
        layer_instance: the layer.
        weight_name: the name of its weight.
        axis: the axis of the weight that ``u`` is along.
        n_steps: steps of the power iteration in a call that iterates.
        epsilon: what keeps a vector of zeros from being divided by 0: added to the sum of squares,
            or with ``keep_v`` the least norm that is divided by.
        keep_v: whether ``v`` is kept as well. Then training alone iterates; otherwise every call
            does, from ``u``.
        dtype: what the weight is cast to; None for what weight and vectors promote to.
        use_running_average: whether what is kept stays as it is, as it has to in evaluation.

    Example:
        >>> layer = SpectralNorm(linen.Dense(4), keep_v=True, use_running_average=True)
        >>> variables = layer.init(jax.random.key(0), jnp.ones((2, 3)))
        >>> jax.tree.map(jnp.shape, variables["batch_stats"])
        {'u': (4,), 'v': (3,)}
    """

    layer_instance: Any
    weight_name: str = "kernel"
    axis: int = -1
    n_steps: int = 1
    epsilon: float = 1e-12
    keep_v: bool = False
    dtype: Any = None
    use_running_average: bool | None = None

    @linen.compact
    def __call__(self, x: Any, use_running_average: bool | None = None) -> Any:
        """Call the layer with the weight divided by its largest singular value.

        Args:
            x: the input.
            use_running_average: as the attribute, where that does not say.
        """
        fixed = linen.merge_param(
            "use_running_average", self.use_running_average, use_running_average
        )
        return linen.map_variables(
            lambda layer: layer(x),
            "params",
            trans_in_fn=lambda held: self._divided(held, fit=not fixed),
            init=self.is_initializing(),
        )(self.layer_instance)

    @linen.nowrap
    def _divided(self, held: Mapping[str, Any], *, fit: bool) -> dict[str, Any]:
        params = dict(held.get("params", {}))
        if self.weight_name in params:
            params[self.weight_name] = self._weight(params[self.weight_name], fit)
        return {**held, "params": params}

    @linen.nowrap
    def _weight(self, weight: Any, fit: bool) -> Any:
        moved = jnp.moveaxis(weight, self.axis, -1)
        matrix = moved.reshape(-1, moved.shape[-1])
        still = jax.lax.stop_gradient(matrix)
        begun = self.has_variable(STATISTICS, "u")
        kept = {"u": self.variable(STATISTICS, "u", self._drawn, begun, moved.shape[-1:])}
        u: Any = kept["u"].value
        v: Any = None
        if self.keep_v:
            kept["v"] = self.variable(STATISTICS, "v", self._drawn, begun, moved.shape[:-1])
            v = kept["v"].value.reshape(-1)
        else:
            kept["sigma"] = self.variable(STATISTICS, "sigma", jnp.ones, ())
        if self.keep_v and not begun:
            u, v = self._iterated(still, u, v, _FIRST_STEPS)
            kept["u"].value, kept["v"].value = u, v.reshape(moved.shape[:-1])
        if fit or not self.keep_v:
            u, v = self._iterated(still, u, v, self.n_steps)
        if not self.keep_v:
            u, v = jax.lax.stop_gradient((u, v))
        sigma = jnp.vdot(v @ matrix, u)
        if fit:
            kept["u"].value = u
            if self.keep_v:
                kept["v"].value = v.reshape(moved.shape[:-1])
            else:
                kept["sigma"].value = sigma
        divided = weight / (sigma if self.keep_v else jnp.where(sigma != 0, sigma, 1))
        return divided if self.dtype is None else divided.astype(self.dtype)

    @linen.nowrap
    def _drawn(self, begun: bool, shape: tuple[int, ...]) -> Any:
        return jnp.zeros(shape) if begun else jax.random.normal(self.make_rng("params"), shape)

    @linen.nowrap
    def _iterated(self, matrix: Any, u: Any, v: Any, steps: int) -> tuple[Any, Any]:
        """Take steps of the power iteration: from ``v`` where it is kept, else from ``u``."""
        for _ in range(steps):
            if self.keep_v:
                u = normed(v @ matrix, self.epsilon, True)
                v = normed(matrix @ u, self.epsilon, True)
            else:
                v = normed(matrix @ u, self.epsilon, False)
                u = normed(v @ matrix, self.epsilon, False)
        return u, v
