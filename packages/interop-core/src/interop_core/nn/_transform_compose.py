"""Invertible transformations made of others."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .._pretty import enclose
from ._transform import Transform, argument, array, sum_last

__all__ = ["ChainT", "MaskedT"]


class ChainT(Transform):
    """Applies transformations one after the other, the first given first.

    Args:
        *transforms: the transformations. None at all leave values as they are.

    Raises:
        TypeError: if one is no transformation.

    Example:
        >>> from ._transform_half_bounded import ReluT
        >>> ChainT(ReluT(1.0), ReluT(-2.0))(jnp.array([-1.0, 3.0])).tolist()
        [-1.0, 2.0]
    """

    def __init__(self, *transforms: Transform) -> None:
        for entry in transforms:
            if not isinstance(entry, Transform):
                raise TypeError(f"A ChainT is made of transformations, not of {entry!r}.")
        self.transforms = transforms

    def forward(self, x: Any) -> Any:
        """Apply all, from the first to the last."""
        for transform in self.transforms:
            x = transform.forward(x)
        return x

    def inverse(self, y: Any) -> Any:
        """Invert all, from the last to the first."""
        for transform in reversed(self.transforms):
            y = transform.inverse(y)
        return y

    def log_slope(self, x: Any) -> jax.Array:
        """Add up the logarithms of the slopes."""
        total = jnp.zeros_like(jnp.asarray(x))
        for transform in self.transforms:
            total = total + transform.log_slope(x)
            x = transform.forward(x)
        return total

    def log_abs_det_jacobian(self, x: Any, y: Any) -> jax.Array:
        """Add up those of all transformations."""
        total = sum_last(jnp.zeros_like(jnp.asarray(x)))
        for transform in self.transforms:
            value = transform.forward(x)
            total = total + transform.log_abs_det_jacobian(x, value)
            x = value
        return total

    def __repr__(self) -> str:
        return enclose("ChainT(", (("", repr(entry)) for entry in self.transforms), ")")


class MaskedT(Transform):
    """Transforms the numbers that a mask picks, and leaves the others as they are.

    Args:
        mask: an array of booleans that broadcasts; True picks.
        transform: the transformation of those.
        safe_value: stands in for the others while the transformation is computed, so that they
            cause no NaN in gradients. It must be a number that the transformation can take.

    Raises:
        TypeError: if ``transform`` is no transformation.

    Example:
        >>> from ._transform_half_bounded import ReluT
        >>> MaskedT(jnp.array([False, True]), ReluT())(jnp.array([-1.0, -1.0])).tolist()
        [-1.0, 0.0]
    """

    def __init__(self, mask: Any, transform: Transform, safe_value: Any = 1.0) -> None:
        if not isinstance(transform, Transform):
            raise TypeError(f"A MaskedT applies a transformation, not {transform!r}.")
        # A list is kept as NumPy array: a mask is configuration and never computed with.
        self.mask = np.asarray(mask) if isinstance(mask, list | tuple) else argument(mask)
        self.transform = transform
        self.safe_value = safe_value

    def _picked(self, x: Any) -> Any:
        """Put the safe value in the place of the numbers that stay."""
        return jnp.where(self.mask, x, jnp.asarray(self.safe_value, x.dtype))

    def forward(self, x: Any) -> Any:
        """Transform the picked numbers."""
        x = array(x)
        return jnp.where(self.mask, self.transform.forward(self._picked(x)), x)

    def inverse(self, y: Any) -> Any:
        """Map the picked values back."""
        y = array(y)
        safe = self.transform.forward(jnp.full_like(y, self.safe_value))
        return jnp.where(self.mask, self.transform.inverse(jnp.where(self.mask, y, safe)), y)

    def log_slope(self, x: Any) -> jax.Array:
        """Give the logarithms of the slopes, 0 for what stays as it is.

        Raises:
            NotImplementedError: if the transformation does not work number by number.
        """
        return jnp.where(self.mask, self.transform.log_slope(self._picked(jnp.asarray(x))), 0)
