"""Rows of embeddings."""

from __future__ import annotations

import numpy as np

from ._row import Row

#: What is looked up in tables of 6 rows: some twice, one not at all.
WORDS = np.array([[0, 2, 5], [2, 3, 4]], np.int32)

ROWS: tuple[Row, ...] = (
    Row("Embedding", lambda nn: nn.Embedding(6, 4), (WORDS,)),
    Row("Embedding", lambda nn: nn.Embedding(6, (2, 3)), (WORDS,), "two axes"),
    Row("Embedding", lambda nn: nn.Embedding(6, 4, padding_idx=2), (WORDS,), "padding"),
    Row(
        "Embedding",
        lambda nn: nn.Embedding(6, 4, max_norm=0.5),
        (WORDS,),
        "norm",
        writes_eagerly=True,
    ),
    Row(
        "Embedding",
        lambda nn: nn.Embedding(6, 4, max_norm=0.5, norm_type=1.0),
        (WORDS,),
        "norm of order 1",
        writes_eagerly=True,
    ),
    Row("Embedding", lambda nn: nn.Embedding(6, 4, scale_grad_by_freq=True), (WORDS,), "frequency"),
    Row("Embedding", lambda nn: nn.Embedding(6, 4, freeze=True), (WORDS,), "frozen"),
)
