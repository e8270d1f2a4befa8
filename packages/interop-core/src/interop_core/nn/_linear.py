"""Fully connected layers: the plain one, with standardised weights, with weights of fixed sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..state import ParamState, State
from . import init
from ._last_axis import LastAxis, affine
from ._parameters import as_array, mask, parameter, remembered
from ._weight_standardization import gain_of, weight_standardization

__all__ = ["Linear", "ScaledWSLinear", "SignedWLinear"]

_KERNEL = init.KaimingNormal()
_BIAS = init.ZeroInit()


class Linear(LastAxis):
    """Multiply the last axis by a weight matrix and add a bias: ``y = x @ (W * mask) + b``.

    ``x`` has shape ``(..., in)``, ``W`` has ``(in, out)``, ``b`` has ``(out,)`` and ``y`` has
    ``(..., out)``; any number of leading axes, none included. The state ``weight`` holds
    ``{"weight": W, "bias": b}``, without ``"bias"`` where ``b_init`` is None.

    Args:
        in_size: number of input features, or the shape of one example; its last entry counts. With
            ``()`` the examples are numbers, which have no axis of features: ``W`` is ``(1, out)``.
        out_size: number of output features, or the shape of one output. Its entries before the
            last must be those of ``in_size``. With ``()`` the outputs are numbers.
        w_init: initializer of ``W``: a callable of the shape, or the array itself.
        b_init: the same for ``b``; None for no bias.
        w_mask: factor on ``W`` in every call: an array that broadcasts to its shape, a number, or
            a callable of the shape. Where it is zero no gradient reaches ``W``.
        name: a label for the user.
        param_type: the state type that holds the parameters.
        dtype: what input and parameters are cast to before computing. None: as `jax.numpy`
            promotes them.
        precision: precision of the product, as in `jax.lax.dot_general`.

    Raises:
        ValueError: if the sizes do not fit each other.

    Example:
        >>> layer = Linear(4, 8)
        >>> layer.weight.value["weight"].shape, layer.in_size, layer.out_size
        ((4, 8), (4,), (8,))
        >>> layer(jax.numpy.ones((2, 4))).shape
        (2, 8)
        >>> layer.output_size((5, 4))
        (5, 8)
        >>> Linear((), 8)(jax.numpy.ones(2)).shape, Linear(4, ())(jax.numpy.ones((2, 4))).shape
        ((2, 8), (2,))
    """

    scalars = True
    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        in_size: int | Sequence[int],
        out_size: int | Sequence[int],
        w_init: Any = _KERNEL,
        b_init: Any = _BIAS,
        w_mask: Any = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
        *,
        dtype: Any = None,
        precision: Any = None,
    ) -> None:
        super().__init__(name=name)
        self._set_sizes(in_size, out_size)
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.param_type = param_type
        self.dtype = dtype
        self.precision = precision
        shape = ((1, *self.in_size)[-1], (1, *self.out_size)[-1])
        self.w_mask = mask(w_mask, shape)
        weight = {"weight": parameter(w_init, shape)}
        if b_init is not None:
            weight["bias"] = parameter(b_init, shape[1:])
        self.weight = param_type(weight)

    def update(self, x: jax.Array) -> jax.Array:
        """Compute ``x @ (W * mask) + b``.

        Args:
            x: input of shape ``(..., in)``.

        Returns:
            Output of shape ``(..., out)``.

        Raises:
            ValueError: if the last axis has another length.
        """
        parameters = self.weight.value
        kernel = parameters["weight"]
        bias = parameters.get("bias")
        if not self.in_size:
            x = as_array(x)[..., None]
        elif np.shape(x)[-1:] != kernel.shape[:1]:
            self.output_size(np.shape(x))
        if self.w_mask is not None:
            kernel = kernel * self.w_mask
        y = affine(x, kernel, bias, self.dtype, self.precision)
        return y if self.out_size else y[..., 0]


class ScaledWSLinear(LastAxis):
    """Multiply by a weight that is standardised for each output, and add a bias.

    ``y = x @ (S * mask) + b`` with ``S = (W - mean) / sqrt(max(in * var, eps)) * gain``, where mean
    and variance are those of each column of ``W``; see `weight_standardization`. Shapes are as for
    `Linear`. The state ``weight`` holds ``{"weight": W, "bias": b, "gain": gain}``, without
    ``"bias"`` where ``b_init`` is None and without ``"gain"`` where ``ws_gain`` is False; ``gain``
    has shape ``(1, out)`` and starts as ones.

    Args:
        in_size: number of input features, or the shape of one example; its last entry counts.
        out_size: number of output features, or the shape of one output. Its entries before the
            last must be those of ``in_size``.
        w_init: initializer of ``W``: a callable of the shape, or the array itself.
        b_init: the same for ``b``; None for no bias.
        w_mask: factor on the standardised weight: an array that broadcasts to its shape, a number,
            or a callable of the shape.
        ws_gain: whether there is a gain to be trained.
        eps: lower bound of ``in * var``.
        name: a label for the user.
        param_type: the state type that holds the parameters.
        dtype: what input, standardised weight and bias are cast to before computing. None: as
            `jax.numpy` promotes them.
        precision: precision of the product, as in `jax.lax.dot_general`.

    Raises:
        ValueError: if the sizes do not fit each other.

    Example:
        >>> layer = ScaledWSLinear(4, 8)
        >>> {name: entry.shape for name, entry in sorted(layer.weight.value.items())}
        {'bias': (8,), 'gain': (1, 8), 'weight': (4, 8)}
        >>> layer(jax.numpy.ones((2, 4))).shape
        (2, 8)
    """

    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        in_size: int | Sequence[int],
        out_size: int | Sequence[int],
        w_init: Any = _KERNEL,
        b_init: Any = _BIAS,
        w_mask: Any = None,
        ws_gain: bool = True,
        eps: float = 1e-4,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
        *,
        dtype: Any = None,
        precision: Any = None,
    ) -> None:
        super().__init__(name=name)
        self._set_sizes(in_size, out_size)
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.ws_gain = bool(ws_gain)
        self.eps = eps
        self.param_type = param_type
        self.dtype = dtype
        self.precision = precision
        shape = (self.in_size[-1], self.out_size[-1])
        self.w_mask = mask(w_mask, shape)
        weight = {"weight": parameter(w_init, shape)}
        if b_init is not None:
            weight["bias"] = parameter(b_init, shape[1:])
        if self.ws_gain:
            weight["gain"] = gain_of(weight["weight"])
        self.weight = param_type(weight)

    def update(self, x: jax.Array) -> jax.Array:
        """Compute ``x @ (S * mask) + b``.

        Args:
            x: input of shape ``(..., in)``.

        Returns:
            Output of shape ``(..., out)``.

        Raises:
            ValueError: if the last axis has another length.
        """
        parameters = self.weight.value
        if np.shape(x)[-1:] != self.in_size[-1:]:
            self.output_size(np.shape(x))
        kernel = weight_standardization(parameters["weight"], self.eps, parameters.get("gain"))
        if self.w_mask is not None:
            kernel = kernel * self.w_mask
        return affine(x, kernel, parameters.get("bias"), self.dtype, self.precision)


class SignedWLinear(LastAxis):
    """Multiply by a weight whose signs are fixed: ``y = x @ (|W| * w_sign)``.

    Training moves the size of an entry, never its sign. Shapes are those of `Linear`. There is no
    bias, so the state ``weight`` holds ``W`` itself, of shape ``(in, out)``.

    Args:
        in_size: number of input features, or the shape of one example; its last entry counts.
        out_size: number of output features, or the shape of one output. Its entries before the
            last must be those of ``in_size``.
        w_init: initializer of ``W``: a callable of the shape, or the array itself.
        w_sign: the signs, 1 and -1: an array that broadcasts to the shape of ``W``, a number, or a
            callable of the shape. Other numbers scale the weight as well. None for 1.
        name: a label for the user.
        param_type: the state type that holds the parameters.
        dtype: what input and weight are cast to before computing. None: as `jax.numpy` promotes
            them.
        precision: precision of the product, as in `jax.lax.dot_general`.

    Raises:
        ValueError: if the sizes, or the signs, do not fit.

    Example:
        >>> w = jax.numpy.array([[1.0, -2.0], [-3.0, 4.0]])
        >>> layer = SignedWLinear(2, 2, w_init=w, w_sign=-1)
        >>> layer(jax.numpy.array([1.0, 0.0])).tolist()
        [-1.0, -2.0]
    """

    weight: State[jax.Array]

    def __init__(
        self,
        in_size: int | Sequence[int],
        out_size: int | Sequence[int],
        w_init: Any = _KERNEL,
        w_sign: Any = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
        *,
        dtype: Any = None,
        precision: Any = None,
    ) -> None:
        super().__init__(name=name)
        self._set_sizes(in_size, out_size)
        self.w_init = remembered(w_init)
        self.param_type = param_type
        self.dtype = dtype
        self.precision = precision
        shape = (self.in_size[-1], self.out_size[-1])
        self.w_sign = mask(w_sign, shape)
        self.weight = param_type(parameter(w_init, shape))

    def update(self, x: jax.Array) -> jax.Array:
        """Compute ``x @ (|W| * w_sign)``.

        Args:
            x: input of shape ``(..., in)``.

        Returns:
            Output of shape ``(..., out)``.

        Raises:
            ValueError: if the last axis has another length.
        """
        if np.shape(x)[-1:] != self.in_size[-1:]:
            self.output_size(np.shape(x))
        kernel = abs(self.weight.value)
        if self.w_sign is not None:
            kernel = kernel * self.w_sign
        return affine(x, kernel, None, self.dtype, self.precision)
