"""Convolution with a standardised kernel, over one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import jax

from ..state import ParamState, State
from . import init
from ._conv import Conv
from ._weight_standardization import gain_of, weight_standardization

__all__ = ["ScaledWSConv1d", "ScaledWSConv2d", "ScaledWSConv3d"]

_KERNEL = init.XavierNormal()


class _ScaledWSConv(Conv):
    """Convolution with a kernel that is standardised for each output channel."""

    def __init__(
        self,
        in_size: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Any = "SAME",
        lhs_dilation: int | Sequence[int] = 1,
        rhs_dilation: int | Sequence[int] = 1,
        groups: int = 1,
        ws_gain: bool = True,
        eps: float = 1e-4,
        w_init: Any = _KERNEL,
        b_init: Any = None,
        w_mask: Any = None,
        channel_first: bool = False,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
        *,
        padding_mode: str = "ZEROS",
        dtype: Any = None,
        precision: Any = None,
    ) -> None:
        self.ws_gain = bool(ws_gain)
        self.eps = eps
        super().__init__(
            in_size,
            out_channels,
            kernel_size,
            stride,
            padding,
            lhs_dilation,
            rhs_dilation,
            groups,
            w_init,
            b_init,
            w_mask,
            channel_first,
            name,
            param_type,
            padding_mode=padding_mode,
            dtype=dtype,
            precision=precision,
        )

    def _add_parameters(self, weight: dict[str, Any]) -> None:
        """Add the gain."""
        if self.ws_gain:
            weight["gain"] = gain_of(weight["weight"])

    def _kernel(self, parameters: dict[str, jax.Array]) -> jax.Array:
        """Give the standardised kernel, masked."""
        kernel = weight_standardization(parameters["weight"], self.eps, parameters.get("gain"))
        return kernel if self.w_mask is None else kernel * self.w_mask


@final
class ScaledWSConv1d(_ScaledWSConv):
    """Convolution with a standardised kernel over one spatial axis.

    The arguments are those of `ScaledWSConv2d` with one spatial axis less; two integers as
    ``padding`` are one (before, after) pair.

    Example:
        >>> layer = ScaledWSConv1d((8, 3), 4, 3, padding="VALID")
        >>> layer.weight.value["gain"].shape, layer.out_size
        ((1, 1, 4), (6, 4))
        >>> layer(jax.numpy.ones((2, 8, 3))).shape
        (2, 6, 4)
    """

    spatial = 1


@final
class ScaledWSConv2d(_ScaledWSConv):
    """Convolution over two spatial axes with a kernel that is standardised in every call.

    What `Conv2d` computes, with the kernel ``(W - mean) / sqrt(max(n * var, eps)) * gain`` in the
    place of ``W``. Mean and variance are those of the ``n`` entries that belong to one output
    channel; see `weight_standardization`. The state ``weight`` holds ``{"weight": W, "bias": b,
    "gain": gain}``, without ``"bias"`` where ``b_init`` is None and without ``"gain"`` where
    ``ws_gain`` is False; ``gain`` has shape ``(1, 1, 1, out_channels)`` and starts as ones.

    Args:
        in_size: as for `Conv2d`, like all arguments that are not named here.
        out_channels: number of output channels.
        kernel_size: length of the window.
        stride: step of the window.
        padding: what is put around the input.
        lhs_dilation: step between the entries of the input.
        rhs_dilation: step between the entries of the kernel.
        groups: number of groups of channels.
        ws_gain: whether there is a gain to be trained.
        eps: lower bound of ``n * var``.
        w_init: initializer of ``W``.
        b_init: initializer of ``b``; None for no bias.
        w_mask: factor on the standardised kernel.
        channel_first: whether the channels stand in front of the spatial axes.
        name: a label for the user.
        param_type: the state type that holds the parameters.
        padding_mode: what the padding holds.
        dtype: what input and standardised kernel are cast to before computing.
        precision: precision of the products.

    Raises:
        ValueError: if the arguments do not fit each other, or the window does not fit the input.

    Example:
        >>> layer = ScaledWSConv2d((8, 8, 3), 4, 3, ws_gain=False)
        >>> list(layer.weight.value), layer.out_size
        (['weight'], (8, 8, 4))
        >>> layer(jax.numpy.ones((2, 8, 8, 3))).shape
        (2, 8, 8, 4)
    """

    spatial = 2


@final
class ScaledWSConv3d(_ScaledWSConv):
    """Convolution with a standardised kernel over three spatial axes.

    The arguments are those of `ScaledWSConv2d` with one spatial axis more.

    Example:
        >>> layer = ScaledWSConv3d((4, 4, 4, 3), 2, (1, 3, 3))
        >>> layer.weight.value["gain"].shape, layer.out_size
        ((1, 1, 1, 1, 2), (4, 4, 4, 2))
        >>> layer(jax.numpy.ones((4, 4, 4, 3))).shape
        (4, 4, 4, 2)
    """

    spatial = 3
