"""Rows of the convolutions.

`nnx.Conv` is one class for any number of spatial axes; the length of its kernel says how many. Its
padding is one option where the core's is two: how much, and what with.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.layout import axes
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

from ._linear import _elementwise, _has_bias
from ._options import COMPUTE_DTYPE, CONV_GENERAL_DILATED, PREFERRED_ELEMENT_TYPE, PROMOTE_DTYPE

Pads = tuple[tuple[int, int], ...]

_NAMED = ("SAME", "SAME_LOWER", "VALID")
_AROUND = ("CIRCULAR", "REFLECT")
"""What `nnx.Conv` can pad with besides zeros, always so that the output is as long as the input."""


def _numbers(value: Any, config: Config, what: str) -> tuple[int, ...]:
    """One number per spatial axis, out of what `nnx.Conv` takes for it."""
    rank = len(config["kernel_size"])
    try:
        if value is None:
            return (1,) * rank
        if isinstance(value, int):
            return (value,) * rank
        numbers = tuple(map(operator.index, value))
    except TypeError:
        numbers = ()
    if len(numbers) != rank:
        raise Refusal(
            f"{what}={value!r} is not one integer per axis of kernel_size={config['kernel_size']}"
        )
    return numbers


def _per_axis(foreign: str) -> Iso:
    return Iso(
        lambda value, _: value, lambda value, c: _numbers(value, c, foreign), "one for each axis"
    )


def _window(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """How far the dilated kernel reaches."""
    return tuple((size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True))


def _around(window: Sequence[int]) -> Pads:
    """How much `nnx.Conv` adds where it pads with something else than zeros."""
    return tuple(((size - 1) // 2, size // 2) for size in window)


def _core_pads(config: Config) -> Pads:
    """The core's padding in numbers."""
    padding, lengths = config["padding"], config["in_size"][:-1]
    window = _window(config["kernel_size"], config["rhs_dilation"])
    if padding == "VALID":
        return ((0, 0),) * len(window)
    if not isinstance(padding, str):
        return tuple(padding)
    pads = []
    for length, size, step in zip(lengths, window, config["stride"], strict=True):
        total = max((-(-length // step) - 1) * step + size - length, 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if padding == "SAME" else (large, small))
    return tuple(pads)


def padding_of(config: Config) -> str | Pads | None:
    """The one option that says padding and padding mode of a core layer; ``None`` if none does."""
    mode = config["padding_mode"]
    if mode == "ZEROS":
        padding: str | Pads = config["padding"]
        return padding
    pads = _core_pads(config)
    if not any(map(any, pads)):
        return "VALID"
    window = _window(config["kernel_size"], config["rhs_dilation"])
    return str(mode) if mode in _AROUND and pads == _around(window) else None


def _mode_to(mode: str, config: Config) -> str | Pads:
    padding = padding_of(config)
    if padding is not None:
        return padding
    if mode not in _AROUND:
        raise Refusal(
            f"padding_mode={mode!r} has no counterpart",
            f"nnx.Conv pads with ZEROS, {' or '.join(_AROUND)}",
        )
    window = _window(config["kernel_size"], config["rhs_dilation"])
    raise Refusal(
        f"padding_mode={mode!r} with padding={config['padding']!r} has no counterpart",
        f"nnx.Conv always pads {_around(window)} in this mode: use that, or padding_mode='ZEROS'",
    )


def _padding_back(padding: Any, config: Config) -> str | Pads:
    rank = len(config["kernel_size"])
    dilation = _numbers(config.get("kernel_dilation"), config, "kernel_dilation")
    window = _window(config["kernel_size"], dilation)
    if not isinstance(padding, str):
        return _pairs(padding, rank)
    if any(step != 1 for step in _numbers(config.get("input_dilation"), config, "input_dilation")):
        raise Refusal(
            f"padding={padding!r} has no meaning beside input_dilation="
            f"{config['input_dilation']!r}: jax itself refuses the two together",
            "give (before, after) pairs",
        )
    if padding in _AROUND:
        return _around(window)
    if padding == "CAUSAL" and rank == 1:
        return ((window[0] - 1, 0),)
    if padding.upper() in _NAMED:
        return padding.upper()
    axes_of = "axis" if rank == 1 else "axes"
    raise Refusal(f"padding={padding!r} is none that nnx.Conv knows for {rank} spatial {axes_of}")


def _pairs(padding: Any, rank: int) -> Pads:
    """The numeric forms of padding, read as `nnx.Conv` reads them."""
    if isinstance(padding, int):
        return ((padding, padding),) * rank
    pairs = []
    for side in padding if isinstance(padding, Sequence) else ():
        if isinstance(side, int):
            pairs.append((side, side))
        elif isinstance(side, tuple) and len(side) == 2:
            pairs.append((operator.index(side[0]), operator.index(side[1])))
    if not isinstance(padding, Sequence) or not len(pairs) == len(padding) == rank:
        raise Refusal(
            f"padding={padding!r} is none that nnx.Conv takes",
            "give a name, an integer, or an integer or a (before, after) tuple for each axis",
        )
    return tuple(pairs)


def _mode_back(padding: Any, _: Config) -> str:
    return padding if isinstance(padding, str) and padding in _AROUND else "ZEROS"


def _mask_to(mask: Any, config: Config) -> Any:
    """A mask of the kernel's own shape, which is the only one that `nnx.Conv` takes."""
    if mask is None:
        return None
    shape = config["weight.weight.shape"]
    if not hasattr(mask, "shape"):
        return np.full(shape, mask, config["weight.weight.dtype"])
    if mask.shape == shape:
        return mask
    if isinstance(mask, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(shape, mask.dtype)
    return (np if isinstance(mask, np.ndarray) else jnp).broadcast_to(mask, shape)


def _mask_back(mask: Any, config: Config) -> Any:
    if mask is not None and tuple(mask.shape) != config["kernel.shape"]:
        raise Refusal(
            f"mask has the shape {tuple(mask.shape)}, and the kernel {config['kernel.shape']}"
        )
    return mask


def _conv(core: type, rank: int) -> LayerMap:
    size = (7, 6, 5)[:rank]
    ones = " ".join("1" * rank)
    pairs = ((1, 2), (0, 1), (2, 0))[:rank]
    kernel = (3, 2, 2)[:rank]
    zeros = nn.init.ZeroInit()
    mask = (np.arange(3.0**rank, dtype=np.float32) % 2).reshape((3,) * rank)

    def to_core(**options: Any) -> Any:
        return case(in_size=(*size, 4), out_channels=6, **{"kernel_size": 3, **options})

    def to_nnx(**options: Any) -> Any:
        more = {"kernel_size": kernel, "input": (*size, 4), **options}
        return case(in_features=4, out_features=6, **more)

    # What does not depend on the number of axes is tried on two.
    several = (
        to_core(),
        to_core(kernel_size=kernel, padding="SAME_LOWER", stride=2),
        to_core(padding=pairs, lhs_dilation=(2, 3, 1)[:rank], b_init=zeros),
        to_core(padding=((-1, 0),) * rank),
        to_core(kernel_size=2, padding=((0, 1),) * rank, padding_mode="CIRCULAR", stride=2),
        to_core(padding=1, padding_mode="REFLECT", stride=2),
        to_core(padding=2, padding_mode="REFLECT", rhs_dilation=2),
        to_core(padding="VALID", padding_mode="REPLICATE"),
        to_core(w_mask=np.broadcast_to(mask[..., None, None], (*mask.shape, 4, 6)).copy()),
        to_core(w_mask=jnp.asarray(mask)[..., None, None], b_init=zeros),
        to_core(w_mask=0.5),
        to_core(precision="highest", dtype=jnp.float32),
    )
    several_foreign = (
        to_nnx(use_bias=False, strides=None, padding=1),
        to_nnx(padding=list(pairs), input_dilation=2, kernel_dilation=None),
        to_nnx(padding="valid", feature_group_count=2),
        to_nnx(padding="SAME_LOWER", strides=(2,) * rank),
        to_nnx(padding="REFLECT"),
        to_nnx(mask=np.ones((*kernel, 4, 6), np.float32) * 0.5),
        to_nnx(mask=jnp.ones((*kernel, 4, 6)) * 0.5, use_bias=False),
    )
    return LayerMap(
        core,
        nnx.Conv,
        (
            Opt("in_size", "in_features", SPATIAL),
            Opt("out_channels", "out_features"),
            Opt("kernel_size", "kernel_size"),
            Opt("stride", "strides", _per_axis("strides")),
            Opt(
                "padding",
                "padding",
                Iso(
                    lambda padding, c: padding if padding_of(c) is None else padding_of(c),
                    _padding_back,
                    "by name or in pairs",
                ),
            ),
            Opt("padding_mode", "padding", Iso(_mode_to, _mode_back, "part of padding")),
            Opt("lhs_dilation", "input_dilation", _per_axis("input_dilation")),
            Opt("rhs_dilation", "kernel_dilation", _per_axis("kernel_dilation")),
            Opt("groups", "feature_group_count"),
            Opt("b_init", "use_bias", HAS),
            Opt("w_mask", "mask", Iso(_mask_to, _mask_back, "of the kernel's own shape")),
            Opt("dtype", "dtype", COMPUTE_DTYPE),
            Opt("precision", "precision"),
            Only("core", "channel_first", False, "build the layer with the channels last"),
            CONV_GENERAL_DILATED,
            PREFERRED_ELEMENT_TYPE,
            PROMOTE_DTYPE,
        ),
        (
            leaf("weight.weight", "kernel"),
            leaf("weight.bias", "bias", axes(f"{ones} c -> c"), when=_has_bias),
        ),
        select=lambda config: len(config["kernel_size"]) == rank,
        cases=(
            to_core(b_init=zeros),
            to_core(kernel_size=kernel, stride=2, padding="VALID", groups=2),
            to_core(padding=pairs, rhs_dilation=2),
            to_core(padding_mode="CIRCULAR", b_init=zeros),
            *(several if rank == 2 else ()),
        ),
        foreign_cases=(
            to_nnx(),
            to_nnx(strides=[2] * rank, padding=[1] * rank, kernel_dilation=2),
            to_nnx(padding="CIRCULAR", kernel_dilation=2, strides=2),
            *((to_nnx(padding="CAUSAL", kernel_dilation=2, strides=2),) if rank == 1 else ()),
            *((to_nnx(kernel_size=4),) if rank == 1 else ()),
            *(several_foreign if rank == 2 else ()),
        ),
        refusals=(
            Refused("core", to_core(channel_first=True), "channel_first=True"),
            Refused("foreign", to_nnx(padding="SAME", input_dilation=2), "input_dilation=2"),
            Refused("foreign", to_nnx(padding="CIRCULAR", input_dilation=2), "input_dilation=2"),
            Refused("foreign", to_nnx(padding="EVERYWHERE"), "padding='EVERYWHERE'"),
            Refused("foreign", to_nnx(padding=[[1, 1]] * rank), r"padding=\[\[1, 1\]"),
            Refused("foreign", to_nnx(padding=(1,) * (rank + 1)), r"padding=\(1, 1"),
            Refused("foreign", to_nnx(strides=(1,) * (rank + 1)), r"strides=\(1, 1"),
            Refused("foreign", to_nnx(mask=np.ones((1, 4, 6))), "mask has the shape"),
            Refused("foreign", to_nnx(promote_dtype=_elementwise), "promote_dtype=.*_elem"),
            Refused(
                "foreign", to_nnx(conv_general_dilated=_elementwise), "conv_general_dilated=.*_elem"
            ),
            Refused(
                "foreign", to_nnx(preferred_element_type=jnp.float32), "preferred_element_type="
            ),
            *(
                (Refused("foreign", to_nnx(padding="CAUSAL"), "padding='CAUSAL'"),)
                if rank > 1
                else ()
            ),
        ),
    )


ROWS: tuple[LayerMap, ...] = (
    _conv(nn.Conv1d, 1),
    _conv(nn.Conv2d, 2),
    _conv(nn.Conv3d, 3),
)
