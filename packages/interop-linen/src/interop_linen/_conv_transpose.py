"""Rows of the transposed convolutions.

`linen.ConvTranspose` reads its kernel in one of two ways. With ``transpose_kernel=True`` the kernel
is the core's own; without, it is that one with the window turned round and the channels swapped.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.layout import axes, chain
from interop_core.mapping import (
    HAS,
    SPATIAL,
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    last_axis,
    leaf,
)
from interop_core.mirror import Flip

from ._arrays import COMPUTE_DTYPE, PROMOTION, shape_of
from ._conv import MASK, PER_AXIS, SIZES, _has_bias, rank_of
from ._padding import PADDING

_LETTERS = "dhw"


def _in_size(_: Any, config: Config) -> Any:
    shape = shape_of(config, "kernel", rank_of(config) + 2)
    return SPATIAL.back(shape[-1 if config["transpose_kernel"] else -2], config)


def _padding_back(padding: Any, config: Config) -> Any:
    """A name or pairs; what else jax takes means something else with every stride."""
    if isinstance(padding, str):
        if padding in ("SAME", "VALID"):
            return padding
        raise Refusal(f"padding={padding!r} has no counterpart", "use SAME, VALID or pairs")
    return PADDING.back(padding, config)


def _transposed(core: type, rank: int, *, transpose_kernel: bool) -> LayerMap:
    size = (5, 4, 3)[:rank]
    ones = " ".join("1" * rank)
    window = " ".join(_LETTERS[3 - rank :])
    kernel = (3, 2, 1)[:rank]
    pairs = ((1, 2), (0, 1), (2, 0))[:rank]
    zeros = nn.init.ZeroInit()
    mask = (np.arange(3.0**rank, dtype=np.float32) % 2).reshape((3,) * rank)

    def to_core(**options: Any) -> Any:
        more = {"out_channels": 3, "kernel_size": 3, **options}
        return case(in_size=(*size, 4), **more)

    def to_linen(**options: Any) -> Any:
        more = {"kernel_size": kernel, "transpose_kernel": transpose_kernel, **options}
        return case(features=3, input=(*size, 4), **more)

    masks: tuple[Opt | Only, ...] = (
        (Opt("w_mask", "mask", MASK),)
        if transpose_kernel
        else (
            Only("foreign", "mask", None, "use transpose_kernel=True, or multiply the kernel"),
            Only("core", "w_mask", None),
        )
    )
    # What does not depend on the number of axes is tried on two.
    several = (
        to_core(b_init=zeros, dtype=jnp.float32, precision="highest"),
        to_core(w_mask=mask[..., None, None]),
    )
    foreign_cases = (
        to_linen(strides=[2] * rank, padding="VALID", kernel_dilation=[2] * rank),
        *(
            (to_linen(padding=1, use_bias=False, dtype=jnp.float32, precision="highest"),)
            if rank == 2
            else ()
        ),
    )
    shared = (
        Refused("core", to_core(out_channels=4, groups=2), "groups=2"),
        Refused("core", to_core(channel_first=True), "channel_first=True"),
        Refused("foreign", to_linen(padding="same"), "padding='same'"),
    )
    circular = Refused("foreign", to_linen(padding="CIRCULAR"), "padding='CIRCULAR'")
    masked = Refused("foreign", to_linen(mask=np.ones((*kernel, 4, 3))), "mask=")
    return LayerMap(
        core,
        linen.ConvTranspose,
        (
            Opt("in_size", "kernel.shape", Iso(last_axis, _in_size, "channels of the kernel")),
            Opt("out_channels", "features"),
            Opt("kernel_size", "kernel_size", SIZES),
            Opt("stride", "strides", PER_AXIS),
            Opt("padding", "padding", Iso(lambda p, _: p, _padding_back, "by name or in pairs")),
            Opt("rhs_dilation", "kernel_dilation", PER_AXIS),
            Opt("b_init", "use_bias", HAS),
            *masks,
            Opt("dtype", "dtype", COMPUTE_DTYPE),
            Opt("precision", "precision"),
            Only("foreign", "transpose_kernel", transpose_kernel),
            Only("core", "groups", 1, "linen.ConvTranspose has no groups: use a layer for each"),
            Only("core", "channel_first", False, "move the channels to the end"),
            Only("foreign", "preferred_element_type", None, "give the layer a dtype"),
            PROMOTION,
        ),
        (
            leaf("weight.weight", "kernel")
            if transpose_kernel
            else leaf(
                "weight.weight", "kernel", chain(Flip(rank), axes(f"{window} o i -> {window} i o"))
            ),
            leaf("weight.bias", "bias", axes(f"{ones} c -> c"), when=_has_bias),
        ),
        select=lambda config: (
            rank_of(config) == rank and bool(config["transpose_kernel"]) is transpose_kernel
        ),
        cases=(
            to_core(stride=2),
            to_core(kernel_size=kernel, stride=3, padding="VALID", b_init=zeros),
            to_core(kernel_size=kernel, stride=2, padding=pairs, rhs_dilation=2),
            *(several if rank == 2 else ()),
        )
        if transpose_kernel
        else (),
        foreign_cases=foreign_cases,
        refusals=(
            *(shared if transpose_kernel and rank == 2 else (circular,)),
            *(() if transpose_kernel else (masked,)),
            Refused("foreign", to_linen(promote_dtype=lambda *arrays, **_: arrays), "promote_d"),
            Refused("foreign", to_linen(preferred_element_type=jnp.float32), "preferred_element"),
        ),
        exports=transpose_kernel,
        note=""
        if transpose_kernel
        else "Only imported: without `transpose_kernel` the window is the other way round.",
    )


ROWS: tuple[LayerMap, ...] = tuple(
    _transposed(core, rank, transpose_kernel=transpose_kernel)
    for transpose_kernel in (True, False)
    for rank, core in enumerate((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), 1)
)
