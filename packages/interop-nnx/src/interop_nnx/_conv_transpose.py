"""Rows of the transposed convolutions.

`nnx.ConvTranspose` reads its kernel in one of two ways. With ``transpose_kernel=True`` the kernel
is the core's own; without, it is that one with the window turned round and the channels swapped.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

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
    leaf,
)
from interop_core.mirror import Flip

from ._conv import Pads, _mask_back, _mask_to, _pairs, _per_axis
from ._linear import _elementwise, _has_bias
from ._options import COMPUTE_DTYPE, PREFERRED_ELEMENT_TYPE, PROMOTE_DTYPE

_LETTERS = "dhw"


def _padding_back(padding: Any, config: Config) -> str | Pads:
    """A name or pairs; what else jax takes means something else with every stride."""
    if not isinstance(padding, str):
        return _pairs(padding, len(config["kernel_size"]))
    if padding in ("SAME", "VALID"):
        return padding
    raise Refusal(f"padding={padding!r} has no counterpart", "use SAME, VALID or pairs")


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

    def to_nnx(**options: Any) -> Any:
        more = {"kernel_size": kernel, "transpose_kernel": transpose_kernel, **options}
        return case(in_features=4, out_features=3, input=(*size, 4), **more)

    masks: tuple[Opt | Only, ...] = (
        (Opt("w_mask", "mask", Iso(_mask_to, _mask_back, "of the kernel's own shape")),)
        if transpose_kernel
        else (
            Only("foreign", "mask", None, "use transpose_kernel=True, or multiply the kernel"),
            Only("core", "w_mask", None),
        )
    )
    # A mask of the core's kernel is the other way round: it fits one kind and the other has none.
    mask_refused = "mask has the shape" if transpose_kernel else "mask="
    # What does not depend on the number of axes is tried on two.
    several = (
        to_core(b_init=zeros, dtype=jnp.float32, precision="highest"),
        to_core(w_mask=mask[..., None, None]),
    )
    foreign_cases = (
        to_nnx(strides=[2] * rank, padding="VALID", kernel_dilation=2),
        *(
            (to_nnx(padding=1, use_bias=False, dtype=jnp.float32, precision="highest"),)
            if rank == 2
            else ()
        ),
    )
    return LayerMap(
        core,
        nnx.ConvTranspose,
        (
            Opt("in_size", "in_features", SPATIAL),
            Opt("out_channels", "out_features"),
            Opt("kernel_size", "kernel_size"),
            Opt("stride", "strides", _per_axis("strides")),
            Opt("padding", "padding", Iso(lambda p, _: p, _padding_back, "by name or in pairs")),
            Opt("rhs_dilation", "kernel_dilation", _per_axis("kernel_dilation")),
            Opt("b_init", "use_bias", HAS),
            *masks,
            Opt("dtype", "dtype", COMPUTE_DTYPE),
            Opt("precision", "precision"),
            Only("foreign", "transpose_kernel", transpose_kernel),
            Only("core", "groups", 1, "nnx.ConvTranspose has no groups: use a layer for each"),
            Only("core", "channel_first", False, "build the layer with the channels last"),
            PREFERRED_ELEMENT_TYPE,
            PROMOTE_DTYPE,
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
            len(config["kernel_size"]) == rank
            and bool(config["transpose_kernel"]) is transpose_kernel
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
            Refused("core", to_core(out_channels=4, groups=2), "groups=2"),
            Refused("core", to_core(channel_first=True), "channel_first=True"),
            Refused("foreign", to_nnx(padding="CIRCULAR"), "padding='CIRCULAR'"),
            Refused("foreign", to_nnx(padding="same"), "padding='same'"),
            Refused("foreign", to_nnx(strides=(1,) * (rank + 1)), r"strides=\(1, 1"),
            Refused("foreign", to_nnx(promote_dtype=_elementwise), "promote_dtype=.*_elem"),
            Refused(
                "foreign", to_nnx(preferred_element_type=jnp.float32), "preferred_element_type="
            ),
        )
        if transpose_kernel and rank == 2
        else (
            Refused("foreign", to_nnx(padding="CIRCULAR"), "padding='CIRCULAR'"),
            Refused("foreign", to_nnx(mask=np.ones((*kernel, 4, 3))), mask_refused),
            Refused(
                "foreign", to_nnx(preferred_element_type=jnp.float32), "preferred_element_type="
            ),
            Refused("foreign", to_nnx(promote_dtype=_elementwise), "promote_dtype=.*_elem"),
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
