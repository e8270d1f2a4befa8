"""Rows of padding."""

from __future__ import annotations

from typing import Any

from ._row import Row

KINDS = ("CircularPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad")


def _row(kind: str, shape: tuple[int, ...], padding: Any, case: str = "", **options: Any) -> Row:
    """Give the row of a layer of as many spatial axes as stand between batch and channels."""
    name = f"{kind}{len(shape) - 2}d"
    return Row(name, lambda nn: getattr(nn, name)(padding, **options), (shape,), case)


ROWS: tuple[Row, ...] = (
    *(_row(kind, (2, 4, 2), 1) for kind in KINDS),
    *(_row(kind, (2, 4, 2), (0, 3), "sides", in_size=(4, 2)) for kind in KINDS),
    *(_row(kind, (2, 3, 4, 2), 2, in_size=(3, 4, 2)) for kind in KINDS),
    _row("ReflectionPad", (2, 3, 4, 1), (2, 0), "axes"),
    *(_row(kind, (2, 3, 4, 1), (0, 1, 2, 3), "sides") for kind in KINDS),
    *(_row(kind, (2, 3, 2, 2, 1), (1, 0, 2, 1, 0, 0)) for kind in KINDS),
    *(_row(kind, (2, 3, 1), (4, 7), "longer than the data") for kind in KINDS[::2]),
    _row("ConstantPad", (2, 4, 2), 1, "value", value=0.5),
    _row("ConstantPad", (2, 2, 3, 1), (1, 2), "value", value=-3),
    _row("ConstantPad", (2, 2, 2, 2, 1), 1, "value", value=2.0),
)
