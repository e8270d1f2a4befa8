"""Rows of the companions of convolutions: standardised, unshared, or with other padding.

Imports `companion_rows` and the convolutions of `nn`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from . import nn
from .companion_rows import Option, companion
from .layout import IDENTITY, Layout, axes
from .mapping import HAS, SPATIAL, Config, LayerMap, Only, Opt, Refused, case, leaf

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
SCALED_CONVOLUTIONS = (nn.ScaledWSConv1d, nn.ScaledWSConv2d, nn.ScaledWSConv3d)
LOCAL_CONVOLUTIONS = (nn.ConvLocal1d, nn.ConvLocal2d, nn.ConvLocal3d)


def _ones(rank: int) -> str:
    return " ".join("1" * rank)


def _flat_bias(rank: int) -> Layout:
    return axes(f"{_ones(rank)} c -> c")


def _flat_gain(rank: int) -> Layout:
    return axes(f"{_ones(rank + 1)} c -> c")


def _same_kernel(_: int) -> Layout:
    return IDENTITY


@dataclass(frozen=True, slots=True)
class Words:
    """How the convolutions of one framework's companions say what those of the core say.

    Attributes:
        options: its words for ``in_size`` and ``channel_first``.
        prefix: what stands in front of ``kernel``, ``bias`` and ``gain``.
        kernel: by the number of spatial axes, the layout of a kernel ``(*spatial, in, out)``.
        bias: likewise, of a bias, which the core stores with an axis for each spatial one.
        gain: likewise, of a gain, which the core stores in the shape of a kernel.
        more: other attributes of `LayerMap`.
    """

    options: tuple[Option, ...] = (
        Opt("in_size", "in_features", SPATIAL),
        Only("core", "channel_first", False, "build the layer with the channels last"),
    )
    prefix: str = ""
    kernel: Callable[[int], Layout] = _same_kernel
    bias: Callable[[int], Layout] = _flat_bias
    gain: Callable[[int], Layout] = _flat_gain
    more: tuple[tuple[str, Any], ...] = ()


def _biased(config: Config) -> bool:
    return config["b_init"] is not None


def _gained(config: Config) -> bool:
    return bool(config.get("ws_gain"))


def scaled_convolution_companions(companions: Any, words: Words) -> tuple[LayerMap, ...]:
    """The rows of the convolutions with standardised kernels.

    A companion takes the words of the core, sizes with an entry for each axis.

    Args:
        companions: where the companions are, each under its layer's name.
        words: how the framework says things.
    """
    return tuple(_row(core, companions, words) for core in SCALED_CONVOLUTIONS)


def convolution_companions(
    companions: Any, words: Words, chosen: Callable[[Config], bool]
) -> tuple[LayerMap, ...]:
    """The rows of the plain convolutions where the framework's own cannot say what they do.

    Args:
        companions: where the companions are, each under its layer's name.
        words: how the framework says things.
        chosen: which configurations of the core layer these are. Those that pad by repeating the
            ends must be among them.
    """
    return tuple(_row(core, companions, words, chosen) for core in CONVOLUTIONS)


def _row(
    core: Any, companions: Any, words: Words, chosen: Callable[[Config], bool] | None = None
) -> LayerMap:
    rank: int = core.spatial
    size, kernel = (5, 4, 4)[:rank], (3, 2, 2)[:rank]
    pairs = ((1, 2), (0, 1), (2, 0))[:rank]
    zeros = nn.init.ZeroInit()
    mask = (np.arange(3.0**rank, dtype=np.float32) % 2).reshape((3,) * rank)

    def of(**options: Any) -> Any:
        more = {"kernel_size": 3, **options}
        return case(in_size=(*size, 4), out_channels=2, **more)

    # What does not depend on the number of axes is tried on two.
    if chosen is not None:
        cases: tuple[Any, ...] = (of(padding=pairs, padding_mode="REPLICATE", b_init=zeros),)
        if rank == 2:
            cases += (
                of(kernel_size=kernel, stride=2, padding_mode="REPLICATE", groups=2),
                of(padding=pairs, padding_mode="REPLICATE", rhs_dilation=2, precision="highest",
                   w_mask=mask[..., None, None], dtype=jnp.float32),
            )  # fmt: skip
    else:
        cases = (of(kernel_size=kernel, stride=2, padding="VALID", groups=2, b_init=zeros),)
        if rank == 2:
            cases += (
                of(padding=pairs, rhs_dilation=2, ws_gain=False, eps=0.5),
                of(padding="SAME_LOWER", padding_mode="REFLECT", w_mask=mask[..., None, None]),
                of(padding=((0, 1),) * rank, lhs_dilation=2, precision="highest"),
                of(padding=2, padding_mode="CIRCULAR", dtype=jnp.float32),
            )
    more: dict[str, Any] = dict(words.more)
    if chosen is not None:
        more |= {"chosen": chosen, "note": "Where the framework's own has no such padding."}
    else:
        more["refusals"] = (
            *more.get("refusals", ()),
            *(
                Refused("core", of(channel_first=True), "channel_first=True")
                for option in words.options
                if isinstance(option, Only) and option.name == "channel_first"
            ),
        )
    gain = (
        ()
        if chosen is not None
        else (leaf("weight.gain", f"{words.prefix}gain", words.gain(rank), when=_gained),)
    )
    return companion(
        core,
        getattr(companions, core.__name__),
        *words.options,
        Opt("b_init", "use_bias", HAS),
        leaves=(
            leaf("weight.weight", f"{words.prefix}kernel", words.kernel(rank)),
            leaf("weight.bias", f"{words.prefix}bias", words.bias(rank), when=_biased),
            *gain,
        ),
        cases=cases,
        **more,
    )


def local_convolution_companions(
    companions: Any,
    in_size: Opt,
    *,
    cores: tuple[Any, ...] = LOCAL_CONVOLUTIONS,
    chosen: Callable[[Config], bool] | None = None,
    name: str = "kernel",
    kernel: Callable[[int], Layout] = _same_kernel,
    bias: Callable[[int], Layout] = _same_kernel,
    **more: Any,
) -> tuple[LayerMap, ...]:
    """The rows of the convolutions with a kernel of its own at every place.

    Args:
        companions: where the companions are, each under its layer's name.
        in_size: the framework's word for ``in_size``.
        cores: the core layers to make rows for.
        chosen: which configurations of the core layer these are; all, where it is left out. Those
            that pad by repeating the ends must be among them.
        name: what the kernel is called.
        kernel: by the number of spatial axes, the layout of a kernel ``(*places, window, out)``.
        bias: likewise, of a bias ``(*places, out)``.
        **more: other attributes of `LayerMap`.
    """

    def row(core: Any) -> LayerMap:
        rank: int = core.spatial
        size, pairs = (5, 4, 3)[:rank], ((1, 2), (0, 1), (2, 0))[:rank]

        def of(**options: Any) -> Any:
            return case(in_size=(*size, 3), out_channels=2, **options)

        zeros = nn.init.ZeroInit()
        if chosen is not None:
            repeated: dict[str, Any] = {
                "padding_mode": "REPLICATE",
                "kernel_size": (3, 2, 2)[:rank],
            }
            cases = [of(padding=pairs, stride=2, b_init=zeros, **repeated)]
            if rank == 2:
                cases += [
                    of(
                        rhs_dilation=2,
                        w_mask=0.5,
                        precision="highest",
                        dtype=jnp.float32,
                        **repeated,
                    )
                ]
        else:
            cases = [of(kernel_size=(3, 2, 2)[:rank], stride=2, padding="VALID", b_init=zeros)]
        if rank == 2 and chosen is None:  # the same code for any number of axes
            mask = np.arange(3 * 2, dtype=np.float32).reshape(3, 2) % 2
            mask = np.repeat(mask, 3, axis=0)[:, :1]
            cases += [
                of(kernel_size=2, padding=pairs, rhs_dilation=2, dtype=jnp.float32, b_init=zeros),
                of(kernel_size=3, padding=pairs, lhs_dilation=2, precision="highest"),
                of(kernel_size=(3, 1), padding_mode="CIRCULAR", w_mask=mask),
            ]
        return companion(
            core,
            getattr(companions, core.__name__),
            in_size,
            Opt("b_init", "use_bias", HAS),
            leaves=(
                leaf("weight.weight", name, kernel(rank)),
                leaf("weight.bias", "bias", bias(rank), when=_biased),
            ),
            cases=tuple(cases),
            **({} if chosen is None else {"chosen": chosen}),
            **more,
        )

    return tuple(map(row, cores))
