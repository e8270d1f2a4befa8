"""Normalisation of every channel of every example on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..state import NormalizationParamState, State
from . import init
from ._group_norm import GroupNorm
from ._statistics import Axes, AxisGroups, AxisName

__all__ = ["InstanceNorm"]

_ONE = init.Constant(1.0)
_ZERO = init.ZeroInit()


class InstanceNorm(GroupNorm):
    """Normalise every channel of every example on its own.

    The formula is that of `GroupNorm` with one channel in a group:
    ``y = (x - E[x]) / sqrt(Var[x] + epsilon) * scale + bias``, with mean and (biased) variance over
    every axis between the batch axis and the channels (Ulyanov, Vedaldi and Lempitsky, 2016).

    Args:
        in_size: the number of channels, also as a tuple of one entry.
        feature_axis: the axis of the channels in ``in_size``, which is the only one.
        epsilon: added to the variance.
        dtype: type of the result. None: what input and parameters promote to.
        use_bias: whether there is a bias.
        use_scale: whether there is a scale.
        bias_init: initializer of the bias.
        scale_init: initializer of the scale.
        axis_name: mapped axis or axes to take the statistics over as well.
        axis_index_groups: groups within the mapped axis, as in `jax.lax.pmean`.
        use_fast_variance: as in `LayerNorm`.
        param_type: the state type that holds the parameters.

    Raises:
        TypeError: if an axis is no integer.
        ValueError: if ``in_size`` has several entries.

    Example:
        >>> from jax import numpy as jnp
        >>> layer = InstanceNorm(2)
        >>> y = layer(jnp.array([[[1.0, 10.0], [3.0, 30.0]]]))
        >>> [[round(float(v), 3) for v in row] for row in y[0]]
        [[-1.0, -1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        in_size: int | Sequence[int],
        feature_axis: Axes = -1,
        *,
        epsilon: float = 1e-6,
        dtype: Any = None,
        use_bias: bool = True,
        use_scale: bool = True,
        bias_init: Any = _ZERO,
        scale_init: Any = _ONE,
        axis_name: AxisName = None,
        axis_index_groups: AxisGroups = None,
        use_fast_variance: bool = True,
        param_type: type[State[Any]] = NormalizationParamState,
    ) -> None:
        super().__init__(
            in_size,
            feature_axis,
            None,
            1,
            epsilon=epsilon,
            dtype=dtype,
            use_bias=use_bias,
            use_scale=use_scale,
            bias_init=bias_init,
            scale_init=scale_init,
            axis_name=axis_name,
            axis_index_groups=axis_index_groups,
            use_fast_variance=use_fast_variance,
            param_type=param_type,
        )
