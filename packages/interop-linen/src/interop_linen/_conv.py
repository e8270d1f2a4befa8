"""Rows of the convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.layout import axes
from interop_core.mapping import (
    HAS,
    SPATIAL,
    Case,
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    iso,
    last_axis,
    leaf,
)

from ._arrays import COMPUTE_DTYPE, PROMOTION, shape_of
from ._padding import PADDING, PADDING_MODE


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


def rank_of(config: Config) -> int:
    """How many spatial axes a Linen convolution has."""
    size = config["kernel_size"]
    return 1 if isinstance(size, int) else len(size)


def _in_size(_: Any, config: Config) -> Any:
    channels = shape_of(config, "kernel", rank_of(config) + 2)[-2]
    return SPATIAL.back(channels * config["feature_group_count"], config)


def _mask_out(mask: Any, config: Config) -> Any:
    """A mask of the kernel's own shape, the only one that Linen takes."""
    shape = config["weight.weight.shape"]
    if mask is None or getattr(mask, "shape", None) == shape:
        return mask
    if isinstance(mask, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(shape, mask.dtype)
    if isinstance(mask, jax.Array):
        return jnp.broadcast_to(mask, shape)
    if isinstance(mask, np.ndarray):
        return np.broadcast_to(mask, shape)
    return np.full(shape, mask, config["weight.weight.dtype"])


def _mask_back(mask: Any, config: Config) -> Any:
    if mask is not None and mask.shape != config.get("kernel.shape", mask.shape):
        shapes = f"{mask.shape}, and the kernel {config['kernel.shape']}"
        raise Refusal(f"the mask has the shape {shapes}", "give both the same shape")
    return mask


# Linen takes None for 1 everywhere, in these places only.
PER_AXIS = iso(lambda v: v, lambda v: 1 if v is None else v, "None is 1")
SIZES = iso(lambda sizes: sizes, lambda v: (v,) if isinstance(v, int) else v, "one number is 1-d")
SIZE = {1: (7, 4), 2: (7, 6, 4), 3: (5, 6, 4, 4)}
"""Inputs of the cases, by the number of spatial axes."""

MASK = Iso(_mask_out, _mask_back, "broadcast to the kernel")


def _core_cases(rank: int) -> Iterator[Case]:
    def conv(**options: Any) -> Case:
        return case(in_size=SIZE[rank], out_channels=6, **options)

    zero = nn.init.ZeroInit()
    kernel, pairs = (3, 2, 2)[:rank], ((1, 2), (0, 1), (2, 0))[:rank]
    yield conv(kernel_size=3)
    yield conv(kernel_size=kernel, stride=2, padding="VALID", groups=2, b_init=zero)
    yield conv(kernel_size=3, padding=pairs, rhs_dilation=2)
    yield conv(kernel_size=4, padding_mode="CIRCULAR")
    if rank != 2:
        return  # the same code for any number of axes
    yield conv(kernel_size=3, b_init=zero, dtype=jnp.bfloat16, precision="highest")
    yield conv(kernel_size=3, padding=pairs, lhs_dilation=2)
    yield conv(kernel_size=2, padding="SAME_LOWER")
    yield conv(kernel_size=3, padding=1, stride=2, padding_mode="REFLECT")
    yield conv(kernel_size=3, padding="VALID", padding_mode="REPLICATE")
    mask = np.arange(3 * 2 * 4 * 6, dtype=np.float32).reshape(3, 2, 4, 6) % 2
    yield conv(kernel_size=kernel, w_mask=mask)
    yield conv(kernel_size=kernel, w_mask=mask[:, :, :1])
    yield conv(kernel_size=kernel, w_mask=0.5)


def _linen_cases(rank: int) -> Iterator[Case]:
    def conv(**options: Any) -> Case:
        return case(**{"features": 6, "kernel_size": (3, 2, 2)[:rank], **options}, input=SIZE[rank])

    yield conv()
    yield conv(strides=None, padding=1, input_dilation=None, kernel_dilation=None)
    if rank == 1:
        yield conv(kernel_size=3, padding="CAUSAL", kernel_dilation=2)
        yield conv(padding=((2, 1),))
    if rank != 2:
        return
    yield conv(strides=2, use_bias=False, padding=[1, 0], kernel_dilation=[2, 1])
    yield conv(padding=[(1, 2), (0, 1)], input_dilation=2)
    yield conv(padding="CIRCULAR", kernel_dilation=2)
    yield conv(padding="CIRCULAR", strides=(2, 2))
    yield conv(padding="REFLECT")
    mask = np.arange(3 * 2 * 2 * 6, dtype=np.float32).reshape(3, 2, 2, 6) % 2
    yield conv(feature_group_count=2, mask=mask)


def _refusals(rank: int) -> Iterator[Refused]:
    sizes: dict[str, Any] = {"in_size": SIZE[rank], "out_channels": 6, "kernel_size": 3}
    yield Refused("core", Case({**sizes, "channel_first": True}), "channel_first=True")
    if rank == 2:
        own: dict[str, Any] = {"features": 6, "kernel_size": (3, 3)}
        product = jax.lax.conv_general_dilated
        for name, value in (
            ("conv_general_dilated", product),
            ("conv_general_dilated_cls", lambda: product),
            ("promote_dtype", lambda *arrays, **_: arrays),
        ):
            yield Refused("foreign", Case({**own, name: value}, SIZE[rank]), f"{name}=")


def _conv(core: type, rank: int) -> LayerMap:
    ones = "1 " * rank
    return LayerMap(
        core,
        linen.Conv,
        (
            Opt("in_size", "kernel.shape", Iso(last_axis, _in_size, "channels of the kernel")),
            Opt("out_channels", "features"),
            Opt("kernel_size", "kernel_size", SIZES),
            Opt("stride", "strides", PER_AXIS),
            Opt("padding", "padding", PADDING),
            Opt("padding_mode", "padding", PADDING_MODE),
            Opt("lhs_dilation", "input_dilation", PER_AXIS),
            Opt("rhs_dilation", "kernel_dilation", PER_AXIS),
            Opt("groups", "feature_group_count"),
            Opt("b_init", "use_bias", HAS),
            Opt("w_mask", "mask", MASK),
            Opt("dtype", "dtype", COMPUTE_DTYPE),
            Opt("precision", "precision"),
            Only("core", "channel_first", False, "move the channels to the end"),
            Only("foreign", "conv_general_dilated", None),
            Only("foreign", "conv_general_dilated_cls", None),
            PROMOTION,
        ),
        (
            leaf("weight.weight", "kernel"),
            leaf("weight.bias", "bias", axes(f"{ones}c -> c"), when=_has_bias),
        ),
        cases=tuple(_core_cases(rank)),
        foreign_cases=tuple(_linen_cases(rank)),
        refusals=tuple(_refusals(rank)),
        select=lambda config: rank_of(config) == rank,
    )


ROWS: tuple[LayerMap, ...] = (
    _conv(nn.Conv1d, 1),
    _conv(nn.Conv2d, 2),
    _conv(nn.Conv3d, 3),
)
