"""Layers that normalise over axes of one example: LayerNorm and RMSNorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from ..state import NormalizationParamState, State
from . import init
from ._module import Module
from ._parameters import as_array, remembered
from ._statistics import (
    Axes,
    AxisGroups,
    AxisName,
    affine_state,
    mean_square,
    moments,
    normalized,
    resolve_axes,
    scaled,
)

__all__ = ["LayerNorm", "RMSNorm"]

_ONE = init.Constant(1.0)
_ZERO = init.ZeroInit()


class _AxesNorm(Module):
    """What LayerNorm and RMSNorm share: where the features are, and what fits."""

    feature_axes: Axes

    def _set_sizes(self, in_size: Any, feature_axes: Axes) -> tuple[int, ...]:
        """Keep the sizes and give the shape of the parameters."""
        self.in_size = init.to_size(in_size)
        self.out_size = self.in_size
        self.feature_axes = feature_axes
        return self._parameter_shape()

    def _parameter_shape(self) -> tuple[int, ...]:
        """Give the shape of the parameters: ``in_size`` with 1 where no feature axis is."""
        size: tuple[int, ...] = self.in_size
        axes = resolve_axes(self.feature_axes, len(size), "feature_axes")
        return tuple(n if axis in axes else 1 for axis, n in enumerate(size))

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size`` itself.

        Args:
            in_size: shape of one example. It ends in axes like those of the layer; only the
                feature axes must have the same length.

        Raises:
            ValueError: if the feature axes are missing or have another length.
        """
        shape = self._parameter_shape()
        last = in_size[len(in_size) - len(shape) :]
        if len(last) < len(shape) or any(
            n not in (1, given) for n, given in zip(shape, last, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__} was built for shape {self.in_size} with features on "
                f"feature_axes={self.feature_axes}; the shape {tuple(in_size)} does not fit."
            )
        return tuple(in_size)


class LayerNorm(_AxesNorm):
    """Normalise over axes of one example.

    The formula is ``y = (x - E[x]) / sqrt(Var[x] + epsilon) * scale + bias``. Mean and (biased)
    variance are taken over ``reduction_axes`` and computed in float32 or wider. The state
    ``weight`` holds ``{"scale": ..., "bias": ...}``, both of the shape of ``in_size`` with 1 for
    every axis that is no feature axis; without either it is None.

    Args:
        in_size: shape of one example, or of its last axes.
        reduction_axes: what mean and variance are taken over, counted in the array given. Negative
            axes mean the same with and without a batch; positive ones count the batch axis.
        feature_axes: axes of ``in_size`` along which scale and bias vary.
        epsilon: added to the variance.
        use_bias: whether there is a bias.
        use_scale: whether there is a scale.
        bias_init: initializer of the bias.
        scale_init: initializer of the scale.
        axis_name: mapped axis or axes (`jax.vmap`, `jax.shard_map`) to take the statistics over as
            well.
        axis_index_groups: groups within the mapped axis, as in `jax.lax.pmean`.
        use_fast_variance: compute the variance as ``E[x**2] - E[x]**2``, faster but inexact where
            the mean is large against the spread; otherwise as ``E[(x - E[x])**2]``.
        dtype: type of the result. None: what input and parameters promote to.
        param_type: the state type that holds the parameters.

    Raises:
        TypeError: if an axis is no integer.
        ValueError: if an axis does not exist or is named twice.

    Example:
        >>> layer = LayerNorm(4)
        >>> y = layer(jax.numpy.array([1.0, 2.0, 3.0, 4.0]))
        >>> [round(float(v), 2) for v in y]
        [-1.34, -0.45, 0.45, 1.34]
    """

    weight: State[dict[str, jax.Array]] | None

    def __init__(
        self,
        in_size: int | Sequence[int],
        reduction_axes: Axes = -1,
        feature_axes: Axes = -1,
        *,
        epsilon: float = 1e-6,
        use_bias: bool = True,
        use_scale: bool = True,
        bias_init: Any = _ZERO,
        scale_init: Any = _ONE,
        axis_name: AxisName = None,
        axis_index_groups: AxisGroups = None,
        use_fast_variance: bool = True,
        dtype: Any = None,
        param_type: type[State[Any]] = NormalizationParamState,
    ) -> None:
        super().__init__()
        shape = self._set_sizes(in_size, feature_axes)
        self.reduction_axes = reduction_axes
        self.epsilon = epsilon
        self.use_bias = use_bias
        self.use_scale = use_scale
        self.bias_init = remembered(bias_init)
        self.scale_init = remembered(scale_init)
        self.axis_name = axis_name
        self.axis_index_groups = axis_index_groups
        self.use_fast_variance = use_fast_variance
        self.dtype = dtype
        self.param_type = param_type
        self.weight = affine_state(
            param_type, shape, scale_init if use_scale else None, bias_init if use_bias else None
        )

    def update(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        """Normalise ``x``.

        Args:
            x: input, with any number of axes in front of those of ``in_size``.
            mask: True for the elements that count in mean and variance; broadcasts to ``x``.

        Returns:
            Output of the shape of ``x``.

        Raises:
            ValueError: if the shape does not fit or has no such reduction axes.
        """
        x = as_array(x)
        self.output_size(x.shape)
        mean, variance = moments(
            x,
            resolve_axes(self.reduction_axes, x.ndim, "reduction_axes"),
            dtype=self.dtype,
            fast=self.use_fast_variance,
            mask=mask,
            axis_name=self.axis_name,
            axis_index_groups=self.axis_index_groups,
        )
        parameters = {} if self.weight is None else self.weight.value
        return scaled(normalized(x, mean, variance, self.epsilon), parameters, self.dtype, x)


class RMSNorm(_AxesNorm):
    """Divide by the root mean square: ``y = x / sqrt(E[x**2] + epsilon) * scale``.

    The mean square is taken over ``reduction_axes`` and computed in float32 or wider. The state
    ``scale`` holds ``{"scale": ...}``, and a ``"bias"`` that is added where ``use_bias`` asks for
    it; without either it is None.

    Args:
        in_size: shape of one example, or of its last axes.
        epsilon: added to the mean square.
        dtype: type of the result. None: what input and parameters promote to.
        use_scale: whether there is a scale.
        scale_init: initializer of the scale.
        reduction_axes: what the mean is taken over, counted in the array given; better negative.
        feature_axes: axes of ``in_size`` along which scale and bias vary.
        axis_name: mapped axis or axes to take the mean over as well.
        axis_index_groups: groups within the mapped axis, as in `jax.lax.pmean`.
        use_fast_variance: without effect, as there is no mean to subtract.
        param_type: the state type that holds the parameters.
        use_bias: whether there is a bias.
        bias_init: initializer of the bias.

    Raises:
        TypeError: if an axis is no integer.
        ValueError: if an axis does not exist or is named twice.

    Example:
        >>> y = RMSNorm(2, epsilon=0.0)(jax.numpy.array([3.0, 4.0]))
        >>> [round(float(v), 4) for v in y]
        [0.8485, 1.1314]
    """

    scale: State[dict[str, jax.Array]] | None

    def __init__(
        self,
        in_size: int | Sequence[int],
        *,
        epsilon: float = 1e-6,
        dtype: Any = None,
        use_scale: bool = True,
        scale_init: Any = _ONE,
        reduction_axes: Axes = -1,
        feature_axes: Axes = -1,
        axis_name: AxisName = None,
        axis_index_groups: AxisGroups = None,
        use_fast_variance: bool = True,
        param_type: type[State[Any]] = NormalizationParamState,
        use_bias: bool = False,
        bias_init: Any = _ZERO,
    ) -> None:
        super().__init__()
        shape = self._set_sizes(in_size, feature_axes)
        self.epsilon = epsilon
        self.dtype = dtype
        self.use_scale = use_scale
        self.scale_init = remembered(scale_init)
        self.reduction_axes = reduction_axes
        self.axis_name = axis_name
        self.axis_index_groups = axis_index_groups
        self.use_fast_variance = use_fast_variance
        self.param_type = param_type
        self.use_bias = use_bias
        self.bias_init = remembered(bias_init)
        self.scale = affine_state(
            param_type, shape, scale_init if use_scale else None, bias_init if use_bias else None
        )

    def update(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        """Divide ``x`` by its root mean square.

        Args:
            x: input, with any number of axes in front of those of ``in_size``.
            mask: True for the elements that count in the mean; broadcasts to ``x``.

        Returns:
            Output of the shape of ``x``.

        Raises:
            ValueError: if the shape does not fit or has no such reduction axes.
        """
        x = as_array(x)
        self.output_size(x.shape)
        square = mean_square(
            x,
            resolve_axes(self.reduction_axes, x.ndim, "reduction_axes"),
            dtype=self.dtype,
            mask=mask,
            axis_name=self.axis_name,
            axis_index_groups=self.axis_index_groups,
        )
        parameters = {} if self.scale is None else self.scale.value
        return scaled(normalized(x, None, square, self.epsilon), parameters, self.dtype, x)
