"""Connections between populations: all to all, and one to one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from ..state import ParamState, State
from . import init
from ._last_axis import LastAxis
from ._module import Module
from ._parameters import as_array, parameter, remembered
from ._quantity import bilinear, keeping_unit

__all__ = ["AllToAll", "OneToOne"]

_KERNEL = init.KaimingNormal()
_VECTOR = init.Normal()


def _weight(initializer: Any, shape: tuple[int, ...]) -> Any:
    """Make a weight: of the shape, or without axes where a number is shared by all connections."""
    number = not callable(initializer) and initializer is not None and not np.shape(initializer)
    return parameter(initializer, () if number else shape)


class AllToAll(LastAxis):
    """Connect every input to every output, or to every output but the one at its own position.

    ``y = x @ W + b``. With ``include_self=False`` the entries ``W[i, i]`` count as 0: they are
    stored, but not used, and get no gradient. The state ``weight`` holds ``{"weight": W, "bias":
    b}``, without ``"bias"`` where ``b_init`` is None. ``W`` has shape ``(in, out)``; or none, where
    ``w_init`` is a number: then all connections share that one weight, and the work grows with the
    number of units instead of connections.

    Args:
        in_size: number of inputs, or the shape of one example; its last entry counts.
        out_size: number of outputs, or the shape of one output. Its entries before the last must be
            those of ``in_size``.
        w_init: initializer of ``W``: a callable of the shape, the array itself, or a number.
        b_init: initializer of ``b``, of shape ``(out,)``; None for no bias.
        include_self: whether input ``i`` is connected to output ``i``.
        name: a label for the user.
        param_type: the state type that holds the parameters.

    Raises:
        ValueError: if the sizes do not fit each other.

    Example:
        >>> layer = AllToAll(3, 3, w_init=1.0, include_self=False)
        >>> layer(jnp.array([1.0, 2.0, 4.0])).tolist()
        [6.0, 5.0, 3.0]
    """

    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        in_size: int | Sequence[int],
        out_size: int | Sequence[int],
        w_init: Any = _KERNEL,
        b_init: Any = None,
        include_self: bool = True,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
    ) -> None:
        super().__init__(name=name)
        self._set_sizes(in_size, out_size)
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.include_self = bool(include_self)
        self.param_type = param_type
        shape = (self.in_size[-1], self.out_size[-1])
        weight = {"weight": _weight(w_init, shape)}
        if b_init is not None:
            weight["bias"] = parameter(b_init, shape[1:])
        self.weight = param_type(weight)

    def update(self, x: jax.Array) -> jax.Array:
        """Compute ``x @ W + b``.

        Args:
            x: input of shape ``(..., in)``.

        Returns:
            Output of shape ``(..., out)``.

        Raises:
            ValueError: if the last axis has another length.
        """
        if np.shape(x)[-1:] != self.in_size[-1:]:
            self.output_size(np.shape(x))
        parameters = self.weight.value
        kernel = parameters["weight"]
        if not np.shape(kernel):
            y = bilinear(self._sum, as_array(x), kernel)
        else:
            if not self.include_self:
                own = jnp.eye(kernel.shape[0], kernel.shape[1], dtype=bool)
                kernel = keeping_unit(partial(jnp.where, own, 0), kernel)
            y = bilinear(jnp.dot, x, kernel)
        bias = parameters.get("bias")
        return y if bias is None else y + bias

    def _sum(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Compute the product with a matrix of equal entries: all outputs are one sum."""
        x = x.astype(jnp.result_type(x, weight))
        inputs, outputs = self.in_size[-1], self.out_size[-1]
        total = jnp.sum(x, axis=-1, keepdims=True)
        if self.include_self:
            return jnp.broadcast_to(total * weight, (*x.shape[:-1], outputs))
        rest: list[tuple[int, int, int]] = [(0, 0, 0)] * (x.ndim - 1)
        own = lax.pad(x, np.zeros((), x.dtype), [*rest, (0, outputs - inputs, 0)])
        return (total - own) * weight


class OneToOne(Module):
    """Multiply each input by a weight of its own: ``y = x * W + b``.

    The state ``weight`` holds ``{"weight": W, "bias": b}``, both of shape ``in_size``, without
    ``"bias"`` where ``b_init`` is None. Where ``w_init`` is a number, ``W`` is one weight without
    axes that all connections share.

    Args:
        in_size: number of inputs, or the shape of one example: also that of one output.
        w_init: initializer of ``W``: a callable of the shape, the array itself, or a number.
        b_init: initializer of ``b``; None for no bias.
        name: a label for the user.
        param_type: the state type that holds the parameters.

    Raises:
        ValueError: if ``in_size`` is no size.

    Example:
        >>> layer = OneToOne(3, w_init=jnp.array([1.0, 0.0, -1.0]))
        >>> layer(jnp.array([[1.0, 2.0, 3.0]])).tolist()
        [[1.0, 0.0, -3.0]]
    """

    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        in_size: int | Sequence[int],
        w_init: Any = _VECTOR,
        b_init: Any = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
    ) -> None:
        super().__init__(name=name)
        self.in_size = in_size
        self.out_size = in_size
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.param_type = param_type
        weight = {"weight": _weight(w_init, self.in_size)}
        if b_init is not None:
            weight["bias"] = parameter(b_init, self.in_size)
        self.weight = param_type(weight)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give ``in_size``.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if it does not end with the shape of the weights.
        """
        rank = len(self.in_size)
        if rank and tuple(in_size)[-rank:] != self.in_size:
            raise ValueError(
                f"OneToOne has weights of shape {self.in_size}, got an input of shape "
                f"{tuple(in_size)}."
            )
        return tuple(in_size)

    def update(self, x: jax.Array) -> jax.Array:
        """Compute ``x * W + b``.

        Args:
            x: input of shape ``(..., *in_size)``.

        Returns:
            Output of the same shape.

        Raises:
            ValueError: if the input has another shape.
        """
        self.output_size(np.shape(x))
        parameters = self.weight.value
        y = x * parameters["weight"]
        bias = parameters.get("bias")
        return y if bias is None else y + bias
