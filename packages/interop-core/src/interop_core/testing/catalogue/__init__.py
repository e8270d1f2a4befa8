"""The catalogue of layers: a row for each public layer, by family.

Generic checks run over every row (tests of the core, of bridges, of whoever vendors it), and the
pages of the documentation are made from them. A new layer adds its row here.
"""

from __future__ import annotations

from . import (
    _activation,
    _attention,
    _convolution,
    _dropout,
    _dynamics,
    _embedding,
    _event,
    _linear,
    _normalization,
    _padding,
    _pooling,
    _recurrent,
    _wrapper,
)
from ._regularization import REGULARIZATIONS, RegularizationRow
from ._row import Row
from ._transform import TRANSFORMS, TransformRow

__all__ = [
    "FAMILIES",
    "REGULARIZATIONS",
    "ROWS",
    "TRANSFORMS",
    "RegularizationRow",
    "Row",
    "TransformRow",
]

FAMILIES: dict[str, tuple[Row, ...]] = {
    "element-wise layers": _activation.ROWS,
    "linear layers": _linear.ROWS,
    "convolutions": _convolution.ROWS,
    "pooling and reshaping": _pooling.ROWS,
    "padding": _padding.ROWS,
    "normalisation": _normalization.ROWS,
    "dropout": _dropout.ROWS,
    "embeddings": _embedding.ROWS,
    "attention": _attention.ROWS,
    "event-based and sparse connections": _event.ROWS,
    "recurrent cells": _recurrent.ROWS,
    "dynamics and delays": _dynamics.ROWS,
    "containers and wrappers": _wrapper.ROWS,
}
"""The rows by family, in the order of the documentation."""

ROWS: tuple[Row, ...] = tuple(row for rows in FAMILIES.values() for row in rows)
"""All rows."""
