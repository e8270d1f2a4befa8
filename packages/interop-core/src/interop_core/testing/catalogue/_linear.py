"""Rows of linear layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._row import Row

BEYOND = "an option that the published layer does not have"
NONE = "the published library has no such layer"
SPARSE = "the published layer does not take the sparse matrices of JAX"

#: A mask, or signs, of 4 inputs and 3 outputs.
MASK = np.array([[1, 0, 2], [1, 1, 0], [0, 1, 1], [-1, 1, 1]], np.float32)
#: The entries of a sparse matrix of 4 inputs and 3 outputs, by rows.
VALUES, PLACES = np.arange(1, 6, dtype=np.float32), np.array([0, 2, 1, 0, 2], np.int32)
POINTERS, SHAPE = np.array([0, 2, 2, 3, 5], np.int32), (4, 3)


def by_coordinates(nn: Any) -> Any:
    """Build a layer around a matrix of single entries."""
    from jax.experimental import sparse  # here, because it brings SciPy

    places = np.stack([np.repeat(np.arange(4, dtype=np.int32), np.diff(POINTERS)), PLACES], axis=1)
    entries: Any = (VALUES, places)
    return nn.SparseLinear(sparse.BCOO(entries, shape=SHAPE))


def by_rows(nn: Any) -> Any:
    """Build a layer around a matrix of compressed rows."""
    from jax.experimental import sparse

    entries: Any = (VALUES, PLACES, POINTERS)
    matrix = sparse.BCSR(entries, shape=SHAPE)
    return nn.SparseLinear(matrix, b_init=nn.init.Constant(0.5), in_size=4)


ROWS: tuple[Row, ...] = (
    Row("Linear", lambda nn: nn.Linear(4, 3)),
    Row("Linear", lambda nn: nn.Linear(4, 3, b_init=None, w_mask=MASK), case="mask, no bias"),
    Row("Linear", lambda nn: nn.Linear((2, 4), (2, 3)), ((5, 2, 4),), "two axes"),
    Row(
        "Linear",
        lambda nn: nn.Linear(4, 3, dtype="float16"),
        case="dtype",
        tolerance=2e-3,
        differs=BEYOND,
    ),
    Row("ScaledWSLinear", lambda nn: nn.ScaledWSLinear(4, 3)),
    Row(
        "ScaledWSLinear",
        lambda nn: nn.ScaledWSLinear(4, 3, b_init=None, ws_gain=False),
        case="no gain, no bias",
    ),
    Row(
        "ScaledWSLinear",
        lambda nn: nn.ScaledWSLinear((2, 4), (2, 3), w_mask=MASK, eps=5.0),
        ((5, 2, 4),),
        "mask, eps",
    ),
    Row("SignedWLinear", lambda nn: nn.SignedWLinear(4, 3)),
    Row("SignedWLinear", lambda nn: nn.SignedWLinear(4, 3, w_sign=MASK), case="signs"),
    Row("AllToAll", lambda nn: nn.AllToAll(4, 4)),
    Row(
        "AllToAll",
        lambda nn: nn.AllToAll(4, 4, b_init=nn.init.Constant(0.5), include_self=False),
        case="no self, bias",
    ),
    Row("AllToAll", lambda nn: nn.AllToAll(4, 3, include_self=False), case="no self, fewer"),
    Row(
        "AllToAll",
        lambda nn: nn.AllToAll(4, 6, w_init=0.5, include_self=False),
        case="one weight, no self",
    ),
    Row(
        "AllToAll",
        lambda nn: nn.AllToAll(4, 3, w_init=0.5),
        case="one weight",
        differs="the published layer gives one column for all outputs, not its out_size",
    ),
    Row("OneToOne", lambda nn: nn.OneToOne(4)),
    Row(
        "OneToOne",
        lambda nn: nn.OneToOne((3, 4), b_init=nn.init.Constant(0.5)),
        ((2, 3, 4),),
        "two axes, bias",
    ),
    Row("OneToOne", lambda nn: nn.OneToOne(4, w_init=0.5), case="one weight"),
    Row("LoRA", lambda nn: nn.LoRA(4, 2, 3)),
    Row("LoRA", lambda nn: nn.LoRA(4, 2, 3, base_module=nn.Linear(4, 3)), case="base"),
    Row("LoRA", lambda nn: nn.LoRA(4, 2, 3, in_size=(2, 4)), ((5, 2, 4),), "two axes"),
    Row(
        "LinearGeneral",
        lambda nn: nn.LinearGeneral((2, 3, 4), (3, 5), axis=(-3, -1)),
        ((2, 2, 3, 4),),
        differs=NONE,
    ),
    Row(
        "LinearGeneral",
        lambda nn: nn.LinearGeneral(4, (3, 2), batch_axis={0: 5}, b_init=None),
        ((5, 4),),
        "batch axis, no bias",
        differs=NONE,
    ),
    Row(
        "Einsum",
        lambda nn: nn.Einsum((3, 4), "...ta,hab->...thb", (2, 4, 5), (2, 5)),
        ((2, 3, 4),),
        differs=NONE,
    ),
    Row(
        "Einsum",
        lambda nn: nn.Einsum(None, "nta,ba->tb", (3, 4)),
        ((2, 3, 4),),
        "batch summed over",
        differs=NONE,
    ),
    Row("SparseLinear", by_coordinates, differs=SPARSE),
    Row("SparseLinear", by_rows, ((5, 2, 4),), "rows, bias", differs=SPARSE),
)
