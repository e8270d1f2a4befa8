"""The row of the embedding."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.mapping import (
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
    iso,
    leaf,
)

from ._linear import _elementwise
from ._options import PROMOTE_DTYPE


def _one_axis(size: tuple[int, ...]) -> int:
    if len(size) != 1:
        raise Refusal(f"embedding_size={size} is not one axis", "flatten the rows of the table")
    return size[0]


def _named(dtype: Any, config: Config) -> Any:
    # An nnx layer always names the dtype of its rows; the core leaves it out where it is the
    # table's.
    return config.get("weight.dtype") if dtype is None else dtype


def _left_out(dtype: Any, config: Config) -> Any:
    return None if dtype is None or jnp.dtype(dtype) == config["embedding.dtype"] else dtype


EMBEDDING = LayerMap(
    nn.Embedding,
    nnx.Embed,
    (
        Opt("num_embeddings", "num_embeddings"),
        Opt("embedding_size", "features", iso(_one_axis, lambda size: (size,), "one axis")),
        Opt("dtype", "dtype", Iso(_named, _left_out, "the table's own, if not another")),
        Only("core", "padding_idx", None, "zero that row's gradient in the training step"),
        Only("core", "max_norm", None, "rescale the table in the training step"),
        Only("core", "scale_grad_by_freq", False, "scale the gradient in the training step"),
        Only("core", "freeze", False, "leave the table out of what the optimizer updates"),
        ignored("core", "norm_type", "it says something only where max_norm is set"),
        PROMOTE_DTYPE,
    ),
    (leaf("weight", "embedding"),),
    cases=(
        case(num_embeddings=7, embedding_size=3, input=(), below=7),
        case(num_embeddings=7, embedding_size=(3,), norm_type=1.0, input=(4,), below=7),
        # Few look-ups in a large table: where a row is looked up twice, nnx adds its gradients up
        # in the compute dtype, and the core in that of the table.
        case(num_embeddings=99, embedding_size=3, dtype=jnp.bfloat16, input=(), below=99),
        case(num_embeddings=1, embedding_size=3, input=(4,), below=1),
    ),
    foreign_cases=(
        case(num_embeddings=7, features=3, input=(4, 2), below=7),
        case(num_embeddings=99, features=3, dtype=jnp.bfloat16, input=(), below=99),
    ),
    refusals=(
        Refused("core", case(num_embeddings=7, embedding_size=3, padding_idx=0), "padding_idx=0"),
        Refused("core", case(num_embeddings=7, embedding_size=3, max_norm=1.5), "max_norm=1.5"),
        Refused("core", case(num_embeddings=7, embedding_size=3, freeze=True), "freeze=True"),
        Refused(
            "core",
            case(num_embeddings=7, embedding_size=3, scale_grad_by_freq=True),
            "scale_grad_by_freq=True",
        ),
        Refused("core", case(num_embeddings=7, embedding_size=(3, 2)), r"embedding_size=\(3, 2\)"),
        Refused(
            "foreign",
            case(num_embeddings=7, features=3, promote_dtype=_elementwise),
            "promote_dtype=.*_elem",
        ),
    ),
    note="Beyond the table the core takes its first or last row, and NNX gives NaN.",
)

ROWS: tuple[LayerMap, ...] = (EMBEDDING,)
