"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax import numpy as jnp

from ..state import ParamState, State
from . import init
from ._module import Module
from ._parameters import mask, parameter, remembered

__all__ = ["Linear"]

_KERNEL = init.KaimingNormal()
_BIAS = init.ZeroInit()


class Linear(Module):
    """Multiply the last axis by a weight matrix and add a bias: ``y = x @ (W * mask) + b``.

    ``x`` has shape ``(..., in)``, ``W`` has ``(in, out)``, ``b`` has ``(out,)`` and ``y`` has
    ``(..., out)``; any number of leading axes, none included. The state ``weight`` holds
    ``{"weight": W, "bias": b}``, without ``"bias"`` where ``b_init`` is None.

    Args:
        in_size: number of input features, or the shape of one example; its last entry counts.
        out_size: number of output features, or the shape of one output. Its entries before the
            last must be those of ``in_size``.
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
        >>> layer(jnp.ones((2, 4))).shape
        (2, 8)
        >>> layer.output_size((5, 4))
        (5, 8)
    """

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
        self.in_size = init.to_size(in_size)
        self.out_size = init.to_size(out_size)
        if not self.in_size or self.in_size[:-1] != self.out_size[:-1]:
            raise ValueError(
                "Linear acts on the last axis alone: in_size and out_size must agree in every "
                f"entry before the last, got {self.in_size} and {self.out_size}."
            )
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.param_type = param_type
        self.dtype = dtype
        self.precision = precision
        shape = (self.in_size[-1], self.out_size[-1])
        self.w_mask = mask(w_mask, shape)
        weight = {"weight": parameter(w_init, shape)}
        if b_init is not None:
            weight["bias"] = parameter(b_init, shape[1:])
        self.weight = param_type(weight)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``(*in_size[:-1], out)``.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if its last entry is not the number of input features.
        """
        features = self.in_size[-1]
        if not in_size or in_size[-1] != features:
            raise ValueError(
                f"Linear expects {features} features on the last axis, got shape {tuple(in_size)}."
            )
        return (*in_size[:-1], self.out_size[-1])

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
        if jnp.shape(x)[-1:] != kernel.shape[:1]:
            self.output_size(jnp.shape(x))
        if self.w_mask is not None:
            kernel = kernel * self.w_mask
        if self.dtype is not None:
            x = jnp.asarray(x, self.dtype)
            kernel = kernel.astype(self.dtype)
            bias = None if bias is None else bias.astype(self.dtype)
        y = jnp.dot(x, kernel, precision=self.precision)
        return y if bias is None else y + bias
