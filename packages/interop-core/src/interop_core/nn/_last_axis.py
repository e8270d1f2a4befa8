"""The base of layers that turn the features on the last axis into others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import jax
from jax import numpy as jnp

from . import init
from ._module import Module
from ._parameters import as_array
from ._quantity import bilinear

__all__ = ["LastAxis", "affine"]


class LastAxis(Module):
    """A layer that reads and writes features on the last axis and leaves the others alone."""

    scalars: ClassVar[bool] = False

    def _set_sizes(self, in_size: int | Sequence[int], out_size: int | Sequence[int]) -> None:
        """Remember the shapes of one input and of one output.

        Raises:
            ValueError: if they differ before the last entry.
        """
        self.in_size = init.to_size(in_size)
        self.out_size = init.to_size(out_size)
        has_axes = self.scalars or (self.in_size and self.out_size)
        if not has_axes or self.in_size[:-1] != self.out_size[:-1]:
            raise ValueError(
                f"{type(self).__name__} acts on the last axis alone: in_size and out_size must "
                f"agree in every entry before the last, got {self.in_size} and {self.out_size}."
            )

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``(*in_size[:-1], out)``.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if its last entry is not the number of input features.
        """
        if not self.in_size and self.scalars:
            return (*in_size, *self.out_size)
        features = self.in_size[-1]
        if not in_size or in_size[-1] != features:
            raise ValueError(
                f"{type(self).__name__} expects {features} features on the last axis, got shape "
                f"{tuple(in_size)}."
            )
        return (*in_size[:-1], *self.out_size[-1:])


def affine(x: Any, kernel: Any, bias: Any, dtype: Any, precision: Any) -> jax.Array:
    """Compute ``x @ kernel + bias``.

    Args:
        x: array of shape ``(..., in)``.
        kernel: array of shape ``(in, out)``.
        bias: array of shape ``(out,)``, or None for none.
        dtype: what all of them are cast to; None for what `jax.numpy` promotes them to.
        precision: precision of the product.
    """
    if dtype is not None:
        x = as_array(x).astype(dtype)
        kernel = kernel.astype(dtype)
        bias = None if bias is None else bias.astype(dtype)
    y = bilinear(partial(jnp.dot, precision=precision), x, kernel)
    return y if bias is None else y + bias
