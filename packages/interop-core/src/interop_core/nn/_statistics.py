"""What normalisation layers share: mean and variance over axes, and the formula that uses them."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp

from ..state import State
from ._parameters import parameter

Axes = int | Sequence[int]
AxisName = str | Sequence[str] | None
AxisGroups = Sequence[Sequence[int]] | None

_pmean: Any = lax.pmean  # without types in some versions of JAX


def resolve_axes(axes: Axes, ndim: int, what: str) -> tuple[int, ...]:
    """Count axes from the front.

    Args:
        axes: one axis or several, from the front or (negative) from the end.
        ndim: number of axes of the array they belong to.
        what: name for the error message.

    Returns:
        The same axes in the same order, each in ``range(ndim)``.

    Raises:
        TypeError: if an axis is no integer.
        ValueError: if an axis does not exist or occurs twice.

    Example:
        >>> resolve_axes((-1, 0), 3, "axes")
        (2, 0)
    """
    try:
        given = tuple(map(operator.index, axes if isinstance(axes, Sequence) else (axes,)))
    except TypeError:
        raise TypeError(f"{what} must be an integer or integers, got {axes!r}.") from None
    if any(not -ndim <= axis < ndim for axis in given):
        raise ValueError(f"{what} {given} do not exist in an array of {ndim} axes.")
    resolved = tuple(axis % ndim for axis in given)
    if len(set(resolved)) != len(resolved):
        raise ValueError(f"{what} {given} name an axis of {ndim} twice.")
    return resolved


def affine_state(
    param_type: type[State[Any]], shape: tuple[int, ...], scale_init: Any, bias_init: Any
) -> State[dict[str, jax.Array]] | None:
    """Make the state of scale and bias.

    Args:
        param_type: type of the state.
        shape: shape of both.
        scale_init: initializer, array or number; None for no scale.
        bias_init: the same for the bias.

    Returns:
        A state with the entries asked for; None where none is.
    """
    value = {}
    if scale_init is not None:
        value["scale"] = parameter(scale_init, shape)
    if bias_init is not None:
        value["bias"] = parameter(bias_init, shape)
    return param_type(value) if value else None


def _squared(x: jax.Array) -> jax.Array:
    """Compute ``|x|**2``, real for complex numbers as well."""
    if jnp.iscomplexobj(x):
        return lax.square(x.real) + lax.square(x.imag)
    return lax.square(x)


def moments(
    x: jax.Array,
    axes: tuple[int, ...],
    *,
    dtype: Any,
    fast: bool,
    mask: jax.Array | None,
    axis_name: AxisName,
    axis_index_groups: AxisGroups,
) -> tuple[jax.Array, jax.Array]:
    """Compute mean and biased variance over axes, which stay with length 1.

    Args:
        x: the data.
        axes: what is averaged.
        dtype: compute dtype of the layer, None for that of ``x``. The result is at least float32,
            so that half-precision data neither overflows nor loses the variance.
        fast: take ``E[|x|**2] - |E[x]|**2``, cut off at 0: one pass over the data, but it cancels
            when the mean is large against the spread. Otherwise ``E[|x - E[x]|**2]``.
        mask: True for the elements that count; broadcasts to ``x``.
        axis_name: mapped axis or axes to average over as well.
        axis_index_groups: groups within the mapped axis.

    Returns:
        Mean and variance.
    """
    x = _widened(x, dtype)
    mean = _mean(x, axes, mask)
    if fast:
        mean, square = _across((mean, _mean(_squared(x), axes, mask)), axis_name, axis_index_groups)
        return mean, jnp.maximum(square - _squared(mean), 0)
    mean = _across(mean, axis_name, axis_index_groups)
    variance = _mean(_squared(x - mean), axes, mask)
    return mean, _across(variance, axis_name, axis_index_groups)


def mean_square(
    x: jax.Array,
    axes: tuple[int, ...],
    *,
    dtype: Any,
    mask: jax.Array | None,
    axis_name: AxisName,
    axis_index_groups: AxisGroups,
) -> jax.Array:
    """Compute ``E[|x|**2]`` over axes, which stay with length 1; arguments as in `moments`."""
    square = _mean(_squared(_widened(x, dtype)), axes, mask)
    return _across(square, axis_name, axis_index_groups)  # type: ignore[no-any-return]


def _widened(x: jax.Array, dtype: Any) -> jax.Array:
    """Cast to the dtype of statistics."""
    wide = jnp.promote_types(x.dtype if dtype is None else dtype, jnp.float32)
    return x.astype(wide)


def _mean(x: jax.Array, axes: tuple[int, ...], mask: jax.Array | None) -> jax.Array:
    """Average over axes and keep them."""
    return jnp.mean(x, axes, keepdims=True, where=mask)


def _across(values: Any, axis_name: AxisName, groups: AxisGroups) -> Any:
    """Average over the mapped axis, if there is one."""
    if axis_name is None:
        return values
    return _pmean(values, axis_name, axis_index_groups=groups)


def normalized(
    x: jax.Array,
    mean: jax.Array | None,
    variance: jax.Array,
    epsilon: Any,
) -> jax.Array:
    """Compute ``(x - mean) / sqrt(variance + epsilon)``; no ``mean`` means 0."""
    centered = x if mean is None else x - mean
    return centered * lax.rsqrt(variance + epsilon)


def scaled(
    y: jax.Array, parameters: Mapping[str, jax.Array], dtype: Any, *inputs: jax.Array
) -> jax.Array:
    """Compute ``y * scale + bias``, as far as there are any.

    Args:
        y: normalised data.
        parameters: ``"scale"`` and ``"bias"``.
        dtype: type of the result; None for what ``inputs`` and parameters promote to, but at least
            a floating-point type.
        *inputs: what ``y`` was computed from.

    Returns:
        The output of the layer.
    """
    if "scale" in parameters:
        y = y * parameters["scale"]
    if "bias" in parameters:
        y = y + parameters["bias"]
    if dtype is None:
        dtype = jnp.result_type(*inputs, *parameters.values())
        if not jnp.issubdtype(dtype, jnp.inexact):
            dtype = jnp.promote_types(dtype, jnp.float32)
    return y.astype(dtype)
