"""Low-rank adaptation of a layer."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from ..state import ParamState, State
from . import init
from ._last_axis import LastAxis
from ._parameters import parameter, remembered
from ._quantity import bilinear

__all__ = ["LoRA"]

_KERNEL = init.LecunNormal()


class LoRA(LastAxis):
    """Add a product of two narrow matrices to a layer: ``y = base(x) + x @ A @ B``.

    ``A`` has shape ``(in, rank)`` and ``B`` has ``(rank, out)``: together fewer numbers than a full
    matrix where the rank is small. The state ``weight`` holds ``{"lora_a": A, "lora_b": B}``.
    Training this state alone, and not those of the base module, adapts a trained model. Both
    matrices are drawn at random, so the result differs from the base module's from the start; set
    ``B`` to zeros to start from it.

    Args:
        in_features: number of input features.
        lora_rank: number of columns of ``A``.
        out_features: number of output features.
        base_module: what the product is added to: a module, or another function of the input. None
            for the product alone.
        kernel_init: initializer of both matrices, a callable of the shape.
        param_type: the state type that holds the matrices.
        in_size: shape of one example, where it is more than ``(in_features,)``.

    Raises:
        TypeError: if a number of features is no integer, or the base module cannot be called.
        ValueError: if a number of features is negative, or a size does not fit another.

    Example:
        >>> from ._linear import Linear
        >>> layer = LoRA(4, 2, 8, base_module=Linear(4, 8))
        >>> layer(jnp.ones((5, 4))).shape
        (5, 8)
        >>> sorted((".".join(path), type(state).__name__) for path, state in layer.states().items())
        [('base_module.weight', 'ParamState'), ('weight', 'ParamState')]
    """

    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        in_features: int,
        lora_rank: int,
        out_features: int,
        *,
        base_module: Callable[[jax.Array], jax.Array] | None = None,
        kernel_init: Any = _KERNEL,
        param_type: type[State[Any]] = ParamState,
        in_size: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.in_features = _count(in_features, "in_features")
        self.lora_rank = _count(lora_rank, "lora_rank")
        self.out_features = _count(out_features, "out_features")
        size = init.to_size(in_size) or (self.in_features,)
        if size[-1] != self.in_features:
            raise ValueError(
                f"LoRA(in_features={self.in_features}) needs an in_size that ends with this "
                f"number, got {in_size}."
            )
        self._set_sizes(size, (*size[:-1], self.out_features))
        if base_module is not None and not callable(base_module):
            raise TypeError(f"base_module must be a module or a function, not {base_module!r}.")
        base_size = getattr(base_module, "out_size", None)
        if base_size and base_size[-1] != self.out_features:
            raise ValueError(
                f"LoRA(out_features={self.out_features}) cannot be added to a base module with "
                f"outputs of shape {base_size}."
            )
        self.base_module = base_module
        self.kernel_init = remembered(kernel_init)
        self.param_type = param_type
        self.weight = param_type(
            {
                "lora_a": parameter(kernel_init, (self.in_features, self.lora_rank)),
                "lora_b": parameter(kernel_init, (self.lora_rank, self.out_features)),
            }
        )

    def update(self, x: jax.Array) -> jax.Array:
        """Compute ``base(x) + x @ A @ B``.

        Args:
            x: input of shape ``(..., in_features)``.

        Returns:
            Output of shape ``(..., out_features)``.

        Raises:
            ValueError: if the last axis has another length, or the base module gives another shape.
        """
        if np.shape(x)[-1:] != (self.in_features,):
            self.output_size(np.shape(x))
        matrices = self.weight.value
        y = bilinear(jnp.dot, bilinear(jnp.dot, x, matrices["lora_a"]), matrices["lora_b"])
        if self.base_module is None:
            return y
        base = self.base_module(x)
        if np.shape(base) != y.shape:
            raise ValueError(
                f"The base module gives shape {np.shape(base)} for an input of shape "
                f"{np.shape(x)}, and LoRA gives {y.shape}: they must agree."
            )
        return base + y


def _count(value: int, name: str) -> int:
    """Read a number of features.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is negative.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}.") from None
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number}.")
    return number
