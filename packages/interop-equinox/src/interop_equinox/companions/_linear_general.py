"""Companions that multiply over several axes, and along the axes of a formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ._linear import drawn


def _tuple(value: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)


def _in_one_dtype(dtype: Any, *arrays: Any) -> Any:
    """The arrays as they are, or in one dtype."""
    if dtype is None:
        return arrays
    return tuple(None if a is None else jnp.asarray(a).astype(dtype) for a in arrays)


class LinearGeneral(eqx.Module):
    """A linear layer that sums over several axes at once, and gives several new ones.

    ``y[r, o] = sum_i x[r and i in their places] W[i, o] + b[o]``, with ``i`` the indices of the
    axes that are summed over, ``o`` those of the new ones, and ``r`` those of the axes that stay.

    Args:
        in_features: sizes of the axes to sum over, in the order of the input.
        out_features: sizes of the new axes, which come last.
        axis: the axes to sum over, counted from the end.
        use_bias: whether there is a bias.
        dtype: what input and parameters are cast to; None for what `jax.numpy` promotes them to.
        precision: precision of the product.
        key: what the parameters are drawn from.

    Raises:
        ValueError: if ``axis`` names not as many axes as ``in_features`` sizes.

    Example:
        >>> layer = LinearGeneral((2, 3), (4, 5), axis=(-2, -1), key=jax.random.key(0))
        >>> layer.weight.shape, layer(jnp.ones((2, 3))).shape
        ((2, 3, 4, 5), (4, 5))
    """

    weight: jax.Array
    bias: jax.Array | None
    in_features: tuple[int, ...] = eqx.field(static=True)
    out_features: tuple[int, ...] = eqx.field(static=True)
    axis: tuple[int, ...] = eqx.field(static=True)
    use_bias: bool = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    precision: Any = eqx.field(static=True)

    def __init__(
        self,
        in_features: int | Sequence[int],
        out_features: int | Sequence[int],
        axis: int | Sequence[int] = -1,
        use_bias: bool = True,
        dtype: Any = None,
        precision: Any = None,
        *,
        key: Any,
    ) -> None:
        self.in_features, self.out_features = _tuple(in_features), _tuple(out_features)
        self.axis, self.use_bias = tuple(sorted(_tuple(axis))), use_bias
        if len(self.axis) != len(self.in_features):
            raise ValueError(f"in_features={in_features} are not the sizes of axis={axis}.")
        self.dtype, self.precision = dtype, precision
        keys, inputs = jax.random.split(key), math.prod(self.in_features)
        self.weight = drawn(keys[0], (*self.in_features, *self.out_features), inputs)
        self.bias = drawn(keys[1], self.out_features, inputs) if use_bias else None

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Sum over the axes, and add the bias."""
        x, weight, bias = _in_one_dtype(self.dtype, x, self.weight, self.bias)
        behind = tuple(range(len(self.axis)))
        y = jnp.tensordot(x, weight, (self.axis, behind), precision=self.precision)
        return y if bias is None else y + bias


class Einsum(eqx.Module):
    """A product along the axes that a formula names: ``y = einsum(einsum_str, x, W) + b``.

    The bias stands along the axes of the result that the kernel has too.

    Args:
        einsum_str: the axes of one example, of the kernel and of the result, such as
            ``"ta,hab->thb"``; the kernel's are all named. ``...`` in the others stands for any
            number of axes.
        kernel_shape: shape of the kernel.
        bias_shape: shape of the bias, with as many entries as the axes that the result has of the
            kernel, in the result's order; None for no bias.
        dtype: what input and parameters are cast to; None for what `jax.numpy` promotes them to.
        precision: precision of the product.
        key: what the parameters are drawn from.

    Example:
        >>> layer = Einsum("ta,hab->thb", (3, 2, 4), (3, 4), key=jax.random.key(0))
        >>> layer(jnp.ones((5, 2))).shape
        (5, 3, 4)
    """

    weight: jax.Array
    bias: jax.Array | None
    einsum_str: str = eqx.field(static=True)
    kernel_shape: tuple[int, ...] = eqx.field(static=True)
    bias_shape: tuple[int, ...] | None = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    precision: Any = eqx.field(static=True)

    def __init__(
        self,
        einsum_str: str,
        kernel_shape: Sequence[int],
        bias_shape: Sequence[int] | None = None,
        dtype: Any = None,
        precision: Any = None,
        *,
        key: Any,
    ) -> None:
        self.einsum_str = einsum_str.replace(" ", "")
        self.kernel_shape = tuple(kernel_shape)
        self.bias_shape = None if bias_shape is None else tuple(bias_shape)
        self.dtype, self.precision = dtype, precision
        kernel, result = self._axes()
        sizes = zip(kernel, self.kernel_shape, strict=True)
        inputs = math.prod(size for letter, size in sizes if letter not in result)
        keys = jax.random.split(key)
        self.weight = drawn(keys[0], self.kernel_shape, inputs)
        self.bias = None if self.bias_shape is None else drawn(keys[1], self.bias_shape, inputs)

    def _axes(self) -> tuple[str, str]:
        """The letters of the kernel and of the result, with one mark for the unnamed axes."""
        operands, _, result = self.einsum_str.partition("->")
        return operands.partition(",")[2], result.replace("...", ".")

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Multiply along the axes of the formula, and add the bias."""
        x, weight, bias = _in_one_dtype(self.dtype, x, self.weight, self.bias)
        y = jnp.einsum(self.einsum_str, x, weight, precision=self.precision)
        if bias is None:
            return y
        kernel, result = self._axes()
        sizes = dict(zip(kernel, self.kernel_shape, strict=True))
        along: list[int] = []
        for letter in result:
            along += [1] * (y.ndim - len(result) + 1) if letter == "." else [sizes.get(letter, 1)]
        return y + jnp.reshape(bias, along)
