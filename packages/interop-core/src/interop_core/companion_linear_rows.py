"""Rows of the companions of linear layers, and of connections between all units.

Imports `companion_rows` and the linear layers of `nn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from . import nn
from .companion_rows import Option, companion
from .errors import Refusal
from .holding import Check, Part, anything
from .layout import IDENTITY, Layout, axes
from .mapping import (
    FEATURES,
    HAS,
    OUT_FEATURES,
    Config,
    Iso,
    LayerMap,
    Leaf,
    Opt,
    case,
    ignored,
    iso,
    leaf,
)
from .options import parameters

SIZES: tuple[Option, ...] = (
    Opt("in_size", "in_features", FEATURES),
    Opt("out_size", "out_features", OUT_FEATURES),
)
"""How many features go in and come out of a companion that is told both."""


_FLAT = axes("1 o -> o")


@dataclass(frozen=True, slots=True)
class Words:
    """How the linear companions of one framework say what the layers of the core say.

    Attributes:
        sizes: its words for ``in_size`` and ``out_size``.
        prefix: what stands in front of ``kernel``, ``bias`` and ``gain``.
        kernel: the layout of a kernel ``(in, out)``.
        gain: the layout of a gain, which the core stores as ``(1, out)``.
    """

    sizes: tuple[Option, ...] = SIZES
    prefix: str = ""
    kernel: Layout = IDENTITY
    gain: Layout = _FLAT


def biased(config: Config) -> bool:
    """Whether a layer of the core has a bias."""
    return config["b_init"] is not None


def _gained(config: Config) -> bool:
    return bool(config["ws_gain"])


def masked(config: Config) -> bool:
    """Whether a layer of the core has a mask."""
    return config["w_mask"] is not None


_BIAS = Opt("b_init", "use_bias", HAS)


def _is_number(initializer: Any) -> bool:
    return initializer is not None and not callable(initializer) and not np.shape(initializer)


def shared(core: type) -> Opt:
    """The option of a layer whose connections may share one weight, which is then a number."""
    several = parameters(core)["w_init"]
    back = lambda shared: 1.0 if shared else several  # noqa: E731
    return Opt("w_init", "shared_weight", iso(_is_number, back, "is a number"))


def _kernel_at(words: Words) -> Any:
    """The layout of a kernel that may be one number."""
    return lambda config: IDENTITY if _is_number(config["w_init"]) else words.kernel


def _leaves(words: Words, *more: Leaf, bias: bool = True) -> tuple[Leaf, ...]:
    kernel = leaf("weight.weight", f"{words.prefix}kernel", words.kernel)
    biases = (leaf("weight.bias", f"{words.prefix}bias", when=biased),) if bias else ()
    return (kernel, *biases, *more)


_MASK = np.array([[1.0, 0.0, 0.5, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, -1.0]], np.float32)


def masked_linear(companions: Any, words: Words) -> LayerMap:
    """The row of `nn.Linear` with a mask: ``MaskedLinear``, with the ``w_mask`` as it is.

    Args:
        companions: where the companions are.
        words: how the framework says things.
    """
    return companion(
        nn.Linear,
        companions.MaskedLinear,
        *words.sizes,
        _BIAS,
        leaves=_leaves(words),
        cases=(
            case(in_size=3, out_size=4, w_mask=_MASK),
            case(
                in_size=(2, 3),
                out_size=(2, 4),
                w_mask=jnp.asarray(_MASK[:, :1]),
                b_init=None,
            ),
            case(in_size=3, out_size=4, w_mask=0.5, precision="highest", dtype=jnp.float32),
        ),
        chosen=masked,
        note="With a mask.",
    )


def linear_companions(companions: Any, words: Words) -> tuple[LayerMap, ...]:
    """The rows of the linear layers with other weights than those that they store.

    Args:
        companions: where the companions are, each under its layer's name.
        words: how the framework says things.
    """
    return (
        companion(
            nn.SignedWLinear,
            companions.SignedWLinear,
            *words.sizes,
            leaves=(leaf("weight", f"{words.prefix}kernel", words.kernel),),
            cases=(
                case(in_size=3, out_size=4),
                case(in_size=(5, 3), out_size=(5, 4), w_sign=np.sign(_MASK + 0.1)),
                case(in_size=3, out_size=4, w_sign=-1, dtype=jnp.float32, precision="highest"),
            ),
        ),
        companion(
            nn.ScaledWSLinear,
            companions.ScaledWSLinear,
            *words.sizes,
            _BIAS,
            leaves=_leaves(
                words, leaf("weight.gain", f"{words.prefix}gain", words.gain, when=_gained)
            ),
            cases=(
                case(in_size=3, out_size=4),
                case(in_size=(2, 3), out_size=(2, 4), ws_gain=False, b_init=None, eps=0.5),
                case(in_size=3, out_size=4, w_mask=_MASK, dtype=jnp.float32, precision="highest"),
            ),
        ),
    )


def connection_companions(
    companions: Any, words: Words, size: Iso | None = None
) -> tuple[LayerMap, ...]:
    """The rows of `nn.AllToAll` and `nn.OneToOne`.

    A companion takes ``shared_weight``: whether all its connections have one weight, a number.

    Args:
        companions: where the companions are, each under its layer's name.
        words: how the framework says things.
        size: what the ``in_size`` of `nn.OneToOne` is, by default itself.
    """
    bias = leaf("weight.bias", f"{words.prefix}bias", when=biased)
    zeros = nn.init.ZeroInit()
    return (
        companion(
            nn.AllToAll,
            companions.AllToAll,
            *words.sizes,
            _BIAS,
            shared(nn.AllToAll),
            leaves=(leaf("weight.weight", f"{words.prefix}kernel", _kernel_at(words)), bias),
            cases=(
                case(in_size=3, out_size=4, b_init=zeros),
                case(in_size=(2, 4), out_size=(2, 3), include_self=False),
                case(in_size=3, out_size=4, w_init=0.5, include_self=False, b_init=zeros),
                case(in_size=4, out_size=3, w_init=0.5),
            ),
        ),
        companion(
            nn.OneToOne,
            companions.OneToOne,
            Opt("in_size", "in_size", size) if size else Opt("in_size", "in_size"),
            _BIAS,
            shared(nn.OneToOne),
            leaves=(leaf("weight.weight", f"{words.prefix}kernel"), bias),
            cases=(
                case(in_size=(2, 3), b_init=zeros),
                case(in_size=3, w_init=0.5),
            ),
        ),
    )


def _of_one_dtype(features: Any, config: Config) -> Any:
    dtypes = {str(value) for name, value in config.items() if name.endswith(".dtype")}
    if config.get("base_module") is not None and len(dtypes) > 1:
        raise Refusal(
            f"holds arrays of {' and '.join(sorted(dtypes))}, which not everybody promotes in the "
            "same order",
            "cast them to one dtype first",
        )
    return features


def of_lora(check: Check = anything) -> tuple[Option, ...]:
    """The layer that the product of LoRA is added to, and what holds for the two together.

    Args:
        check: raises `Refusal` for a layer that a bridge cannot have there.
    """
    return (
        Part("base_module", "base_module", check=check, optional=True, through=True),
        Opt("out_features", "out_features", Iso(_of_one_dtype, _of_one_dtype, "=")),
        ignored("core", "kernel_init", "how the matrices start; they are converted"),
    )
