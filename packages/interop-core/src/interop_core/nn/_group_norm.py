"""Normalisation over groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from ..state import NormalizationParamState, State
from . import init
from ._module import Module
from ._parameters import as_array, remembered
from ._statistics import (
    Axes,
    AxisGroups,
    AxisName,
    affine_state,
    moments,
    normalized,
    resolve_axes,
    scaled,
)

__all__ = ["GroupNorm"]

_ONE = init.Constant(1.0)
_ZERO = init.ZeroInit()


class GroupNorm(Module):
    """Normalise over groups of channels.

    The formula is ``y = (x - E[x]) / sqrt(Var[x] + epsilon) * scale + bias``. Channels are the last
    axis, and neighbours make a group. Mean and (biased) variance are taken over the channels of a
    group and over every axis between the first and the last, in float32 or wider.

    The first axis is the batch: of an image ``(height, width, channels)`` without batch axis the
    rows would be normalised one by one. An array of one axis has no batch. The state ``weight``
    holds ``{"scale": ..., "bias": ...}`` of shape ``(channels,)``; without either it is None.

    Args:
        in_size: the number of channels, also as a tuple of one entry.
        feature_axis: the axis of the channels in ``in_size``, which is the only one.
        num_groups: number of groups.
        group_size: number of channels in a group. Give one of the two and None for the other.
        epsilon: added to the variance.
        dtype: type of the result. None: what input and parameters promote to.
        use_bias: whether there is a bias.
        use_scale: whether there is a scale.
        bias_init: initializer of the bias.
        scale_init: initializer of the scale.
        reduction_axes: what mean and variance are taken over, counted in the array given; the
            last axis, which stands for the channels of a group, must be among them. None: all but
            the first.
        axis_name: mapped axis or axes to take the statistics over as well.
        axis_index_groups: groups within the mapped axis, as in `jax.lax.pmean`.
        use_fast_variance: as in `LayerNorm`.
        param_type: the state type that holds the parameters.

    Raises:
        TypeError: if an axis, ``num_groups`` or ``group_size`` is no integer.
        ValueError: if ``in_size`` has several entries, or the groups do not share the channels
            evenly, or both or neither of ``num_groups`` and ``group_size`` are given.

    Example:
        >>> layer = GroupNorm(4, num_groups=2)
        >>> layer.groups
        2
        >>> y = layer(jnp.array([[1.0, 3.0, 10.0, 30.0]]))
        >>> [round(float(v), 3) for v in y[0]]
        [-1.0, 1.0, -1.0, 1.0]
    """

    weight: State[dict[str, jax.Array]] | None

    def __init__(
        self,
        in_size: int | Sequence[int],
        feature_axis: Axes = -1,
        num_groups: int | None = 32,
        group_size: int | None = None,
        *,
        epsilon: float = 1e-6,
        dtype: Any = None,
        use_bias: bool = True,
        use_scale: bool = True,
        bias_init: Any = _ZERO,
        scale_init: Any = _ONE,
        reduction_axes: Axes | None = None,
        axis_name: AxisName = None,
        axis_index_groups: AxisGroups = None,
        use_fast_variance: bool = True,
        param_type: type[State[Any]] = NormalizationParamState,
    ) -> None:
        super().__init__()
        self.in_size = init.to_size(in_size)
        self.out_size = self.in_size
        if len(self.in_size) != 1:
            raise ValueError(
                "GroupNorm takes the number of channels alone as in_size, for inputs of any "
                f"spatial shape; got {self.in_size}."
            )
        resolve_axes(feature_axis, 1, "feature_axis")
        self.feature_axis = feature_axis
        self.num_groups = num_groups
        self.group_size = group_size
        self._check_groups()
        self.epsilon = epsilon
        self.dtype = dtype
        self.use_bias = use_bias
        self.use_scale = use_scale
        self.bias_init = remembered(bias_init)
        self.scale_init = remembered(scale_init)
        self.reduction_axes = reduction_axes
        self.axis_name = axis_name
        self.axis_index_groups = axis_index_groups
        self.use_fast_variance = use_fast_variance
        self.param_type = param_type
        self.weight = affine_state(
            param_type,
            self.in_size,
            scale_init if use_scale else None,
            bias_init if use_bias else None,
        )

    def _check_groups(self) -> None:
        """Refuse groups that do not share the channels evenly."""
        if (self.num_groups is None) == (self.group_size is None):
            raise ValueError(
                "GroupNorm takes either num_groups or group_size. To give group_size, pass "
                "num_groups=None, because its default is 32."
            )
        part = self.group_size if self.num_groups is None else self.num_groups
        assert part is not None
        name = "group_size" if self.num_groups is None else "num_groups"
        if not hasattr(part, "__index__"):
            raise TypeError(f"{name} must be an integer, got {part!r}.")
        if part < 1 or self.in_size[0] % part:
            raise ValueError(f"{name}={part} does not divide the {self.in_size[0]} channels.")

    @property
    def groups(self) -> int:
        """The number of groups, whichever way it was given."""
        if self.num_groups is not None:
            return self.num_groups
        assert self.group_size is not None
        return int(self.in_size[0]) // self.group_size

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size`` itself.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if its last entry is not the number of channels.
        """
        if tuple(in_size[-1:]) != self.in_size:
            raise ValueError(
                f"GroupNorm expects {self.in_size[0]} channels on the last axis, got shape "
                f"{tuple(in_size)}."
            )
        return tuple(in_size)

    def _reduced(self, ndim: int) -> tuple[int, ...]:
        """Give the reduced axes of the array whose last axis is split into groups and channels."""
        if self.reduction_axes is None:
            return (*range(1, ndim - 1), ndim)
        axes = resolve_axes(self.reduction_axes, ndim, "reduction_axes")
        if ndim - 1 not in axes:
            raise ValueError(
                f"reduction_axes={self.reduction_axes} must contain the last axis, which holds "
                "the channels."
            )
        return tuple(ndim if axis == ndim - 1 else axis for axis in axes)

    def update(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        """Normalise ``x``.

        Args:
            x: input of shape ``(batch, ..., channels)`` or ``(channels,)``.
            mask: True for the elements that count in mean and variance; broadcasts to ``x``.

        Returns:
            Output of the shape of ``x``.

        Raises:
            ValueError: if the last axis is not as long as there are channels, or the reduction
                axes do not exist.
        """
        x = as_array(x)
        self.output_size(x.shape)
        split = (*x.shape[:-1], self.groups, self.in_size[0] // self.groups)
        statistics = moments(
            x.reshape(split),
            self._reduced(x.ndim),
            dtype=self.dtype,
            fast=self.use_fast_variance,
            mask=None if mask is None else jnp.broadcast_to(mask, x.shape).reshape(split),
            axis_name=self.axis_name,
            axis_index_groups=self.axis_index_groups,
        )
        # The few statistics are repeated for every channel, so that the data keeps its shape:
        # XLA does not fuse the whole formula through a reshape.
        mean, variance = (_per_channel(moment, split[-1]) for moment in statistics)
        parameters = {} if self.weight is None else self.weight.value
        return scaled(normalized(x, mean, variance, self.epsilon), parameters, self.dtype, x)


def _per_channel(moment: jax.Array, group_size: int) -> jax.Array:
    """Repeat the values of groups, shape ``(..., groups, 1)``, for their channels."""
    repeated = jnp.broadcast_to(moment, (*moment.shape[:-1], group_size))
    return repeated.reshape(*moment.shape[:-2], moment.shape[-2] * group_size)
