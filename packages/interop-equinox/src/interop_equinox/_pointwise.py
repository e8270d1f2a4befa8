"""One layer on every position of leading axes: what `jax.vmap` is to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax


class Pointwise(eqx.Module):
    """A layer of one example, applied at every position of leading axes.

    `eqx.nn.Linear` takes a vector; ``Pointwise(linear, 2)`` takes an array of shape
    ``(height, width, channels)`` and applies it to each of the ``height * width`` vectors. The
    layer stays an ordinary part of the tree, so that its weights train.

    Args:
        layer: the layer.
        axes: how many leading axes it is applied along; with 0 it is called as it is, with no key.

    Example:
        >>> import jax.numpy as jnp
        >>> linear = eqx.nn.Linear(3, 4, key=jax.random.key(0))
        >>> Pointwise(linear, 2)(jnp.ones((8, 9, 3))).shape
        (8, 9, 4)
    """

    layer: Callable[..., Any]
    axes: int = eqx.field(static=True)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Apply the layer along the leading axes; the key is there for `eqx.nn.Sequential`."""
        function: Callable[[Any], Any] = self.layer
        for _ in range(self.axes):
            function = jax.vmap(function)
        return function(x)
