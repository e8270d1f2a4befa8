"""Rows of dropout, and the random streams of exported dropout layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
from flax import nnx

from interop_core import nn
from interop_core.companion_dropout_rows import dropout_companions
from interop_core.mapping import COMPLEMENT, LayerMap, Opt, case, ignored, iso

from . import companions
from .companions import Drawing

_MODE = ignored(
    "foreign",
    "deterministic",
    "a mode, which the core is told in every call; exported in evaluation mode",
)

DROPOUT = LayerMap(
    nn.Dropout,
    nnx.Dropout,
    (
        Opt("prob", "rate", COMPLEMENT),
        Opt("broadcast_dims", "broadcast_dims", iso(tuple, tuple, "=")),
        _MODE,
        ignored("foreign", "rng_collection", "where random numbers come from"),
    ),
    cases=(
        case(prob=0.3, input=(4, 3)),
        case(prob=1.0, input=(3,)),
        case(prob=0.0, input=(3,)),
        case(prob=0.5, broadcast_dims=(0, -1), input=(4, 3)),
    ),
    foreign_cases=(
        case(rate=0.1, input=(4, 3)),
        case(rate=0.7, deterministic=True, broadcast_dims=[1], input=(4, 3)),
        case(rate=0.5, deterministic=None, rng_collection="noise", input=(3,)),
    ),
    channels="any",
    note="The core's `prob` is the probability to keep. Exported in evaluation mode.",
)

ROWS: tuple[LayerMap, ...] = (DROPOUT, *dropout_companions(companions, _MODE))

_OWN_BRANCH = 0x1D0B
"""Folded into the user's key first, so that no key drawn here is one that the user draws."""


def give_streams(model: Any, rngs: nnx.Rngs | nnx.RngStream | None) -> None:
    """Give every dropout layer of a freshly converted model a random stream of its own.

    Args:
        model: a layer or a stack, just made; it is changed in place.
        rngs: what the streams are derived from; it is not advanced. ``None`` is seed 0.

    Raises:
        TypeError: for an ``rngs`` that is none.
        ValueError: for one without a stream for dropout.
    """
    if not isinstance(rngs, nnx.Rngs | nnx.RngStream | None):
        raise TypeError(f"rngs must be nnx.Rngs(...) or None, not {rngs!r}")
    branch: Any = None
    for count, layer in enumerate(_dropouts(model, set())):
        if branch is None:
            branch = jax.random.fold_in(_key_of(rngs), _OWN_BRANCH)
        # Said to be data, because an attention layer was made with none.
        layer.rngs = nnx.data(nnx.RngStream(jax.random.fold_in(branch, count), tag="dropout"))


def _key_of(rngs: nnx.Rngs | nnx.RngStream | None) -> Any:
    if rngs is None:
        return jax.random.key(0)
    if isinstance(rngs, nnx.Rngs):
        try:
            rngs = rngs["dropout"]  # the default stream where there is none of this name
        except (KeyError, AttributeError):  # releases differ
            raise ValueError(
                "rngs has neither a stream 'dropout' nor a default one, and the model holds "
                "dropout layers: pass nnx.Rngs(0) or nnx.Rngs(dropout=0)"
            ) from None
    return rngs.key.get_value()


def _dropouts(node: Any, seen: set[int]) -> Iterator[Any]:
    """Layers that drop something, in the order of the model, each once."""
    if type(node) is nnx.Sequential:
        for element in node.layers:
            yield from _dropouts(element, seen)
        return
    draws = (
        type(node) is nnx.Dropout
        or isinstance(node, Drawing)
        or (type(node) is nnx.MultiHeadAttention and node.dropout_rate > 0)
    )
    if draws and id(node) not in seen:
        seen.add(id(node))
        yield node
