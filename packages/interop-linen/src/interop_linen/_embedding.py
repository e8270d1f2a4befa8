"""The row of the embedding table."""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.mapping import (
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
    iso,
    leaf,
)

from ._arrays import PROMOTION


def _features(size: tuple[int, ...]) -> int:
    if len(size) != 1:
        raise Refusal(f"rows of shape {size} are no vectors", "use one integer")
    return size[0]


EMBEDDING = LayerMap(
    nn.Embedding,
    linen.Embed,
    (
        Opt("num_embeddings", "num_embeddings"),
        Opt("embedding_size", "features", iso(_features, lambda size: (size,), "one axis")),
        Only("core", "padding_idx", None, "mask the padding in front of the layer"),
        Only("core", "max_norm", None, "scale the table itself"),
        Only("core", "scale_grad_by_freq", False, "scale the gradients themselves"),
        Only("core", "freeze", False, "leave the table out of the optimiser"),
        ignored("core", "norm_type", "it says something only beside max_norm"),
        Opt("dtype", "dtype"),
        PROMOTION,
    ),
    (leaf("weight", "embedding"),),
    cases=(
        case(num_embeddings=7, embedding_size=4, input=(5,), below=7),
        case(num_embeddings=1, embedding_size=(4,), input=(3, 2), below=1),
        case(num_embeddings=97, embedding_size=4, dtype=jnp.bfloat16, input=(), below=97),
    ),
    foreign_cases=(
        case(num_embeddings=7, features=4, input=(5,), below=7),
        case(num_embeddings=7, features=4, dtype=jnp.float32, input=(5,), below=7),
    ),
    refusals=(
        Refused("core", case(num_embeddings=7, embedding_size=(4, 2)), r"rows of shape \(4, 2\)"),
        Refused("core", case(num_embeddings=7, embedding_size=4, padding_idx=0), "padding_idx=0"),
        Refused("core", case(num_embeddings=7, embedding_size=4, max_norm=1.0), "max_norm=1.0"),
        Refused("core", case(num_embeddings=7, embedding_size=4, scale_grad_by_freq=True),
                "scale_grad_by_freq=True"),
        Refused("core", case(num_embeddings=7, embedding_size=4, freeze=True), "freeze=True"),
        Refused("foreign", case(num_embeddings=7, features=4, input=(5,), below=7,
                                promote_dtype=lambda *arrays, **_: arrays), "promote_dtype="),
    ),
    channels="any",
    note="An index outside of the table gives NaN in Linen, and the nearest row in the core.",
)  # fmt: skip

ROWS: tuple[LayerMap, ...] = (EMBEDDING,)
