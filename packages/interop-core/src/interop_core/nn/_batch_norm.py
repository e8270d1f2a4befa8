"""Batch normalisation: one implementation for any number of spatial axes, and its final classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, final

import jax

from .. import environ
from ..state import BatchState, NormalizationParamState, State
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

__all__ = ["BatchNorm0d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d"]

_ONE = init.Constant(1.0)
_ZERO = init.Constant(0.0)


class _BatchNorm(Module):
    """Batch normalisation for any number of spatial axes; `BatchNorm0d` describes it."""

    # Number of spatial axes; in_size has one entry more, for the features.
    _spatial: ClassVar[int]

    running_mean: State[jax.Array] | None
    running_var: State[jax.Array] | None
    weight: State[dict[str, jax.Array]] | None

    def __init__(
        self,
        in_size: int | Sequence[int],
        feature_axis: Axes = -1,
        *,
        track_running_stats: bool = True,
        epsilon: float = 1e-5,
        momentum: float = 0.99,
        affine: bool = True,
        bias_initializer: Any = _ZERO,
        scale_initializer: Any = _ONE,
        axis_name: AxisName = None,
        axis_index_groups: AxisGroups = None,
        use_fast_variance: bool = True,
        name: str | None = None,
        dtype: Any = None,
        param_type: type[State[Any]] = NormalizationParamState,
        mean_type: type[State[Any]] = BatchState,
    ) -> None:
        super().__init__(name=name)
        self.in_size = init.to_size(in_size)
        self.out_size = self.in_size
        if len(self.in_size) != self._spatial + 1:
            raise ValueError(
                f"{type(self).__name__} needs an in_size of {self._spatial + 1} entries, the shape "
                f"of one example with its channels; got {self.in_size}."
            )
        if affine and not track_running_stats:
            raise ValueError(
                "Without running statistics batch normalisation has no scale and bias: "
                "track_running_stats=False needs affine=False."
            )
        self.feature_axis = feature_axis
        self.track_running_stats = track_running_stats
        self.epsilon = epsilon
        self.momentum = momentum
        self.affine = affine
        self.bias_initializer = remembered(bias_initializer)
        self.scale_initializer = remembered(scale_initializer)
        self.axis_name = axis_name
        self.axis_index_groups = axis_index_groups
        self.use_fast_variance = use_fast_variance
        self.dtype = dtype
        self.param_type = param_type
        self.mean_type = mean_type
        features = self._features()
        shape = tuple(n if axis in features else 1 for axis, n in enumerate(self.in_size))
        self.running_mean = self.running_var = self.weight = None
        if track_running_stats:
            self.running_mean = mean_type(init.param(_ZERO, shape))
            self.running_var = mean_type(init.param(_ONE, shape))
        if affine:
            self.weight = affine_state(param_type, shape, scale_initializer, bias_initializer)

    def _features(self) -> tuple[int, ...]:
        """Give the feature axes of one example, counted from the front."""
        return resolve_axes(self.feature_axis, len(self.in_size), "feature_axis")

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size`` itself.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if it is not the shape that the layer was built for.
        """
        if tuple(in_size) != self.in_size:
            raise ValueError(
                f"{type(self).__name__} was built for examples of shape {self.in_size}, got "
                f"{tuple(in_size)}."
            )
        return tuple(in_size)

    def update(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """Normalise ``x``, and while fitting update the running statistics.

        Args:
            x: input of shape ``(batch, *in_size)`` or ``in_size``.
            mask: True for the elements that count in mean and variance; broadcasts to ``x``.

        Returns:
            Output of the shape of ``x``.

        Raises:
            ValueError: if ``x`` has another shape.
            KeyError: if `environ` does not know whether the model is being fitted.
        """
        x = as_array(x)
        batched = x.ndim - len(self.in_size)
        if batched not in (0, 1):
            raise ValueError(
                f"{type(self).__name__} takes {len(self.in_size) + 1} axes, or "
                f"{len(self.in_size)} without a batch; got shape {x.shape}."
            )
        self.output_size(x.shape[batched:])
        parameters = {} if self.weight is None else self.weight.value
        kept = self.running_mean, self.running_var
        if kept[0] is None or kept[1] is None:
            mean, variance = self._batch_statistics(x, batched, mask)
            y = normalized(x, mean, variance, self.epsilon)
            return scaled(y, parameters, self.dtype, x)
        running_mean, running_var = kept[0].value, kept[1].value
        if environ.get("fit", desc="whether the model is being fitted (bool)."):
            mean, variance = self._batch_statistics(x, batched, mask)
            kept[0].value = self.momentum * running_mean + (1 - self.momentum) * mean
            kept[1].value = self.momentum * running_var + (1 - self.momentum) * variance
        else:
            mean, variance = running_mean, running_var
        y = normalized(x, mean, variance, self.epsilon)
        return scaled(y, parameters, self.dtype, x, running_mean, running_var)

    def _batch_statistics(
        self, x: jax.Array, batched: int, mask: jax.Array | None
    ) -> tuple[jax.Array, jax.Array]:
        """Compute mean and variance over everything but the features, without a batch axis."""
        features = {axis + batched for axis in self._features()}
        mean, variance = moments(
            x,
            tuple(axis for axis in range(x.ndim) if axis not in features),
            dtype=self.dtype,
            fast=self.use_fast_variance,
            mask=mask,
            axis_name=self.axis_name,
            axis_index_groups=self.axis_index_groups,
        )
        if batched:
            mean, variance = mean.reshape(mean.shape[1:]), variance.reshape(variance.shape[1:])
        return mean, variance


@final
class BatchNorm0d(_BatchNorm):
    """Normalise every feature over the batch.

    The formula is ``y = (x - mean) / sqrt(var + epsilon) * scale + bias``.

    While fitting (``environ.context(fit=True)``), ``mean`` and ``var`` are those of the input over
    the batch axis and every axis that is no feature axis, and the running statistics follow:
    ``running = momentum * running + (1 - momentum) * batch``, for the variance with the biased
    estimate. Otherwise ``mean`` and ``var`` are the running statistics. Statistics are computed in
    float32 or wider.

    The states ``running_mean`` and ``running_var``, and the entries ``"scale"`` and ``"bias"`` of
    the state ``weight``, have the shape of ``in_size`` with 1 for every axis that is no feature
    axis. What the layer does not have is None.

    Inputs have shape ``(batch, features)`` or ``(features,)``. `BatchNorm1d`, `BatchNorm2d` and
    `BatchNorm3d` are the same with spatial axes between the two.

    Args:
        in_size: shape of one example, spatial axes included.
        feature_axis: axis or axes of ``in_size`` that hold the features.
        track_running_stats: keep running statistics. Without them the statistics of the batch are
            used always; `affine` must then be off.
        epsilon: added to the variance.
        momentum: share of the old value when a running statistic is updated.
        affine: whether there are scale and bias.
        bias_initializer: initializer of the bias; None for a scale alone.
        scale_initializer: initializer of the scale; None for a bias alone.
        axis_name: mapped axis or axes (`jax.vmap`, `jax.shard_map`) to take the statistics over as
            well, while fitting.
        axis_index_groups: groups within the mapped axis, as in `jax.lax.pmean`.
        use_fast_variance: compute the variance as ``E[x**2] - E[x]**2``, faster but inexact where
            the mean is large against the spread; otherwise as ``E[(x - E[x])**2]``.
        name: a label for the user.
        dtype: type of the result; states keep theirs. None: what input, parameters and running
            statistics promote to.
        param_type: the state type that holds scale and bias.
        mean_type: the state type that holds the running statistics.

    Raises:
        TypeError: if a feature axis is no integer.
        ValueError: if ``in_size`` has the wrong number of entries, a feature axis does not exist,
            or ``affine`` comes without ``track_running_stats``.

    Example:
        >>> layer = BatchNorm0d(2, momentum=0.5)
        >>> x = jax.numpy.array([[0.0, 1.0], [2.0, 3.0]])
        >>> with environ.context(fit=True):
        ...     y = layer(x)
        >>> layer.running_mean.value.tolist(), layer.running_var.value.tolist()
        ([0.5, 1.0], [1.0, 1.0])
    """

    _spatial = 0


@final
class BatchNorm1d(_BatchNorm):
    """Batch normalisation of sequences: `BatchNorm0d` with one spatial axis.

    Inputs have shape ``(batch, length, channels)`` or ``(length, channels)``. Arguments, states and
    errors are those of `BatchNorm0d`; ``in_size`` is ``(length, channels)``.

    Example:
        >>> layer = BatchNorm1d((8, 3))
        >>> layer.running_mean.value.shape
        (1, 3)
        >>> with environ.context(fit=False):
        ...     layer(jax.numpy.ones((2, 8, 3))).shape
        (2, 8, 3)
    """

    _spatial = 1


@final
class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: `BatchNorm0d` with two spatial axes.

    Inputs have shape ``(batch, height, width, channels)`` or ``(height, width, channels)``.
    Arguments, states and errors are those of `BatchNorm0d`; ``in_size`` is
    ``(height, width, channels)``.

    Example:
        >>> BatchNorm2d((8, 8, 3)).weight.value["scale"].shape
        (1, 1, 3)
    """

    _spatial = 2


@final
class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes: `BatchNorm0d` with three spatial axes.

    Inputs have shape ``(batch, height, width, depth, channels)``, or the same without the batch.
    Arguments, states and errors are those of `BatchNorm0d`; ``in_size`` is
    ``(height, width, depth, channels)``.

    Example:
        >>> BatchNorm3d((8, 8, 8, 3), affine=False).weight is None
        True
    """

    _spatial = 3
