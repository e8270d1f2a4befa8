"""Layers around a layer that compute one of its weights out of the array that is trained."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from .. import environ
from .._abstract import ABSTRACT
from ..graph import leaves
from ..state import BatchState, ParamState, State
from . import init
from ._module import Module
from ._parameters import parameter
from ._wrapper import checked_module

__all__ = ["SpectralNorm", "WeightNorm"]

Size = tuple[int, ...]
Axes = int | Sequence[int] | None

_NORMAL = init.Normal(0.0, 1.0)
_ONE = init.Constant(1.0)
_FIRST_STEPS = 15
"""Steps from random vectors to some that evaluation can use before any training."""


def with_array(held: Any, name: str, array: Any) -> Any:
    """A layer, state, dict or list with another array in one place; nothing is changed in place.

    Args:
        held: what holds the array.
        name: where it is, dotted.
        array: what stands there instead.

    Example:
        >>> with_array({"a": [1, 2], "b": 3}, "a.1", 5)
        {'a': [1, 5], 'b': 3}
    """
    if isinstance(held, State):
        return held.replace(with_array(held.value, name, array))
    if not name:
        return array
    key, _, rest = name.partition(".")
    if isinstance(held, dict):
        # A key may be an integer, and its name is always text.
        return type(held)(
            (k, with_array(v, rest, array) if str(k) == key else v) for k, v in held.items()
        )
    if isinstance(held, list | tuple):
        return type(held)(
            with_array(v, rest, array) if str(i) == key else v for i, v in enumerate(held)
        )
    new = held.__class__.__new__(held.__class__)
    new.__dict__.update(held.__dict__)
    new.__dict__[key] = with_array(held.__dict__[key], rest, array)
    return new


class _Reparametrized(Module):
    """Calls a layer with one of its arrays computed from the one it holds."""

    def __init__(self, layer: Module, weight_name: str, dtype: Any, name: str | None) -> None:
        super().__init__(name=name)
        self.layer = checked_module(layer, type(self).__name__)
        self._in_size, self._out_size = self.layer.in_size, self.layer.out_size
        self.weight_name = weight_name
        self.dtype = dtype
        held = leaves(layer)
        if weight_name not in held:
            raise ValueError(
                f"{type(self).__name__} finds no {weight_name!r} in {type(layer).__name__}, which "
                f"holds {', '.join(held) or 'no array'}."
            )

    def output_size(self, in_size: Size) -> Size:
        """Give what the layer gives.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if it does not fit the layer.
        """
        size: Size = self.layer.output_size(in_size)
        return size

    def _weight(self) -> Any:
        """Give the array that is trained."""
        return leaves(self.layer)[self.weight_name]

    def _call(self, weight: jax.Array, *args: Any, **kwargs: Any) -> Any:
        """Call the layer with a weight; its own stays what it is."""
        weight = weight if self.dtype is None else weight.astype(self.dtype)
        return with_array(self.layer, self.weight_name, weight)(*args, **kwargs)


class WeightNorm(_Reparametrized):
    """Train the length and the direction of a layer's weight apart.

    The layer is called with ``scale * W / sqrt(sum(W**2) + epsilon)`` in place of its weight ``W``
    (Salimans and Kingma, 2016). The sum goes over all axes but the feature axes, along which
    lengths differ; ``W`` in the layer is the direction and stays what it is.

    The state ``scale`` has an axis for each feature axis, in the order of the weight's axes;
    without feature axes it is a number.

    Args:
        layer: the layer around whose weight this is.
        weight_name: the array, by the name that `graph.leaves` gives it.
        feature_axes: axis or axes of the weight that have a length each; None for one length of
            the whole weight.
        epsilon: added to the sum of squares.
        use_scale: whether there is a scale; without, all lengths are 1.
        scale_init: initializer of the scale; None for the lengths that the weight has, so that the
            layer begins as it was.
        dtype: type of the weight that the layer is called with. None: what weight and scale promote
            to.
        name: a label for the user.
        param_type: the state type that holds the scale.

    Raises:
        TypeError: if ``layer`` is no module.
        ValueError: if it has no such array, or the array no such axis.

    Example:
        >>> from ._linear import Linear
        >>> layer = WeightNorm(Linear(2, 1, w_init=jnp.array([[3.0], [4.0]])))
        >>> layer.scale.value.tolist(), layer(jnp.ones((1, 2))).tolist()
        ([5.0], [[7.0]])
        >>> layer.scale.value = jnp.array([10.0])
        >>> layer(jnp.ones((1, 2))).tolist(), layer.layer.weight.value["weight"].tolist()
        ([[14.0]], [[3.0], [4.0]])
    """

    scale: State[Any] | None

    def __init__(
        self,
        layer: Module,
        weight_name: str = "weight.weight",
        feature_axes: Axes = -1,
        *,
        epsilon: float = 1e-12,
        use_scale: bool = True,
        scale_init: Any = None,
        dtype: Any = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
    ) -> None:
        super().__init__(layer, weight_name, dtype, name)
        self.feature_axes = tuple(feature_axes) if isinstance(feature_axes, list) else feature_axes
        self.epsilon = epsilon
        self.use_scale = use_scale
        self.scale_init = scale_init
        self.param_type = param_type
        weight = self._weight()
        kept = self._features(weight.ndim)
        shape = tuple(weight.shape[axis] for axis in kept)
        self.scale = None
        if use_scale and scale_init is not None:
            self.scale = param_type(parameter(scale_init, shape))
        elif use_scale and ABSTRACT.get():
            abstract: Any = jax.ShapeDtypeStruct
            self.scale = param_type(abstract(shape, weight.dtype))
        elif use_scale:
            self.scale = param_type(jnp.sqrt(self._squares(weight)).reshape(shape))

    def _features(self, rank: int) -> Size:
        """Give the feature axes from the front, in the order of the weight's."""
        given = () if self.feature_axes is None else self.feature_axes
        axes = tuple(given) if isinstance(given, Sequence) else (given,)
        if not all(-rank <= operator.index(axis) < rank for axis in axes):
            raise ValueError(f"feature_axes={self.feature_axes} are no axes of {rank}.")
        return tuple(sorted({axis % rank for axis in axes}))

    def _squares(self, weight: jax.Array) -> jax.Array:
        """Sum the squares over what is no feature axis; the axes stay with length 1."""
        kept = self._features(weight.ndim)
        rest = tuple(axis for axis in range(weight.ndim) if axis not in kept)
        return jnp.sum(weight * weight, axis=rest, keepdims=True)

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer with the normalised weight.

        Args:
            *args: for the layer.
            **kwargs: for the layer.

        Returns:
            The output of the layer.
        """
        weight = self._weight()
        squares = self._squares(weight)
        normed = weight * jax.lax.rsqrt(squares + self.epsilon)
        if self.scale is not None:
            normed = normed * self.scale.value.reshape(squares.shape)
        return self._call(normed, *args, **kwargs)


class SpectralNorm(_Reparametrized):
    """Call a layer with its weight divided by the weight's largest singular value.

    The value is estimated by power iteration (Miyato et al., 2018). With ``M`` the weight as a
    matrix whose columns are along ``axis``, a step is ``v = normed(M @ u)``, ``u = normed(v @ M)``,
    and ``sigma = v @ M @ u``. No gradient reaches the weight through the vectors, of which there
    are two ways to keep them:

    - With ``keep_v=False`` the state ``u`` alone is kept. Every call iterates from it, in
      evaluation as well; fitting (``environ.context(fit=True)``) puts what came out into ``u`` and
      ``sigma``, which is there to be looked at. A vector is normed as
      ``x / sqrt(sum(x**2) + epsilon)``, and where ``sigma`` is 0 the weight is used as it is.
    - With ``keep_v=True`` the states ``u`` and ``v`` are kept. Fitting iterates, each step ``u``
      first: ``u = normed(v @ M)``, ``v = normed(M @ u)``. Evaluation uses both as they are. A
      vector is normed as ``x / max(epsilon, sqrt(sum(x**2)))``.

    ``u`` has the length of the axis, ``v`` the shape of the weight without it, and ``sigma`` is a
    number.

    Args:
        layer: the layer around whose weight this is.
        weight_name: the array, by the name that `graph.leaves` gives it.
        axis: the axis of the weight that ``u`` is along; the others are the rows of the matrix.
        n_steps: steps of the power iteration in a call that iterates.
        epsilon: what keeps a vector of zeros from being divided by 0.
        keep_v: whether both vectors are kept.
        dtype: type of the weight that the layer is called with. None: what weight and vectors
            promote to.
        name: a label for the user.
        mean_type: the state type that holds what is kept.

    Raises:
        TypeError: if ``layer`` is no module.
        ValueError: if it has no such array, the array no such axis or only one, or there is no
            step.

    Example:
        >>> from ._linear import Linear
        >>> layer = SpectralNorm(Linear(2, 2, w_init=jnp.diag(jnp.array([4.0, 1.0]))), n_steps=20)
        >>> with environ.context(fit=True):
        ...     y = layer(jnp.ones((1, 2)))
        >>> [round(number, 4) for number in y[0].tolist()], round(float(layer.sigma.value), 4)
        ([1.0, 0.25], 4.0)
    """

    u: State[Any]
    v: State[Any] | None
    sigma: State[Any] | None

    def __init__(
        self,
        layer: Module,
        weight_name: str = "weight.weight",
        axis: int = -1,
        *,
        n_steps: int = 1,
        epsilon: float = 1e-12,
        keep_v: bool = False,
        dtype: Any = None,
        name: str | None = None,
        mean_type: type[State[Any]] = BatchState,
    ) -> None:
        super().__init__(layer, weight_name, dtype, name)
        self.axis = operator.index(axis)
        self.n_steps = operator.index(n_steps)
        self.epsilon = epsilon
        self.keep_v = keep_v
        self.mean_type = mean_type
        weight = self._weight()
        if weight.ndim < 2:
            raise ValueError(f"SpectralNorm needs a weight of two axes or more, not {weight.ndim}.")
        if not -weight.ndim <= self.axis < weight.ndim:
            raise ValueError(f"axis={axis} is no axis of {weight.ndim}.")
        if self.n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {n_steps}.")
        rest = list(weight.shape)
        columns = rest.pop(self.axis)
        self.u = mean_type(init.param(_NORMAL, (columns,)))
        self.v = mean_type(init.param(_NORMAL, tuple(rest))) if keep_v else None
        self.sigma = None if keep_v else mean_type(init.param(_ONE, ()))
        if self.v is not None and not ABSTRACT.get():
            self.u.value, v = self._iterate(
                self._matrix(weight), self.u.value, self.v.value.reshape(-1), _FIRST_STEPS
            )
            self.v.value = v.reshape(rest)

    def _matrix(self, weight: jax.Array) -> jax.Array:
        """Give the weight as a matrix whose columns are along the axis."""
        moved = jnp.moveaxis(weight, self.axis, -1)
        return moved.reshape(-1, moved.shape[-1])

    def _iterate(
        self, matrix: jax.Array, u: jax.Array, v: jax.Array | None, steps: int
    ) -> tuple[jax.Array, jax.Array]:
        """Take steps of the power iteration: from ``v`` where it is kept, else from ``u``."""
        if self.keep_v and v is not None:
            for _ in range(steps):
                u = self._normed(v @ matrix)
                v = self._normed(matrix @ u)
            return u, v
        for _ in range(steps):
            v = self._normed(matrix @ u)
            u = self._normed(v @ matrix)
        assert v is not None
        return u, v

    def _normed(self, vector: jax.Array) -> jax.Array:
        """Bring a vector to length 1, one of zeros excepted."""
        squares = jnp.sum(vector * vector)
        if self.keep_v:
            return vector / jnp.maximum(self.epsilon, jnp.sqrt(squares))
        return vector * jax.lax.rsqrt(squares + self.epsilon)

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer with the weight divided by its largest singular value.

        Args:
            *args: for the layer.
            **kwargs: for the layer.

        Returns:
            The output of the layer.

        Raises:
            KeyError: if `environ` does not know whether the model is being fitted.
        """
        fit = environ.get("fit", desc="whether the model is being fitted (bool).")
        weight = self._weight()
        matrix = self._matrix(weight)
        still = jax.lax.stop_gradient(matrix)
        u = self.u.value
        v = None if self.v is None else self.v.value.reshape(-1)
        if v is None or fit:
            u, v = self._iterate(still, u, v, self.n_steps)
        if not self.keep_v:
            u, v = jax.lax.stop_gradient((u, v))
        sigma = jnp.vdot(v @ matrix, u)
        if fit:
            self.u.value = u
            if self.v is not None:
                self.v.value = v.reshape(self.v.value.shape)
            if self.sigma is not None:
                self.sigma.value = jax.lax.stop_gradient(sigma)
        divisor = sigma if self.keep_v else jnp.where(sigma != 0, sigma, 1)
        return self._call(weight / divisor, *args, **kwargs)
