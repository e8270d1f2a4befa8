"""The row of the embedding."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.mapping import LayerMap, Only, Opt, Refused, case, ignored, iso, leaf


def _one_axis(size: tuple[int, ...]) -> int:
    if len(size) != 1:
        raise Refusal(f"embedding_size={size} has more than one axis", "flatten the embeddings")
    return size[0]


EMBEDDING = LayerMap(
    nn.Embedding,
    eqx.nn.Embedding,
    (
        Opt("num_embeddings", "num_embeddings"),
        Opt("embedding_size", "embedding_size", iso(_one_axis, lambda size: (size,), "one axis")),
        Only("core", "padding_idx", None),
        Only("core", "max_norm", None),
        ignored("core", "norm_type", "it says something only beside max_norm"),
        Only("core", "scale_grad_by_freq", False),
        Only("core", "freeze", False, "stop the gradient in the loss instead"),
        ignored("foreign", "weight", "the table itself is converted"),
        Only("core", "dtype", None, "cast the model instead"),
    ),
    (leaf("weight", "weight"),),
    cases=(
        case(num_embeddings=7, embedding_size=3, input=(), below=7),
        case(num_embeddings=7, embedding_size=3, input=(4,), below=7),
    ),
    refusals=(
        Refused("core", case(num_embeddings=7, embedding_size=3, max_norm=1.0), "max_norm=1.0"),
        Refused("core", case(num_embeddings=7, embedding_size=3, padding_idx=0), "padding_idx=0"),
        Refused("core", case(num_embeddings=7, embedding_size=(3, 2)), "more than one axis"),
        Refused(
            "core",
            case(num_embeddings=7, embedding_size=3, scale_grad_by_freq=True),
            "scale_grad_by_freq=True",
        ),
        Refused("core", case(num_embeddings=7, embedding_size=3, freeze=True), "freeze=True"),
        Refused("core", case(num_embeddings=7, embedding_size=3, dtype=jnp.bfloat16), "dtype="),
    ),
    example_rank=lambda config: 0,
    note="One example is one index; arrays of them are worked on by `Pointwise`.",
)

ROWS: tuple[LayerMap, ...] = (EMBEDDING,)
