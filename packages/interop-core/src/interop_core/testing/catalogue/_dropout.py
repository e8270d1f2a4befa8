"""Rows of dropout: exact while nothing is dropped, and drawn while fitting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._row import Row, Shape


def _both(
    name: str,
    make: Callable[[Any], Any],
    shape: Shape = (2, 8),
    case: str = "",
    batch: int | None = None,
) -> tuple[Row, Row]:
    """Make the row of evaluation and that of fitting."""
    fitting = f"{case}-fitting" if case else "fitting"
    return (
        Row(name, make, (shape,), case, batch, context={"fit": False}),
        Row(name, make, (shape,), fitting, batch, context={"fit": True}, chance=True),
    )


ROWS: tuple[Row, ...] = (
    *_both("Dropout", lambda nn: nn.Dropout(0.6)),
    *_both("Dropout", lambda nn: nn.Dropout(0.6, 0), case="broadcast"),
    Row(
        "Dropout",
        lambda nn: nn.Dropout(0.0),
        case="nothing-kept",
        context={"fit": True},
        differs="the published gradient is not a number where everything is dropped",
    ),
    *_both("Dropout1d", lambda nn: nn.Dropout1d(0.6), (2, 3, 8)),
    *_both("Dropout1d", lambda nn: nn.Dropout1d(0.6, 0), (2, 3, 8), "channels-first"),
    *_both("Dropout2d", lambda nn: nn.Dropout2d(0.6), (2, 3, 2, 8)),
    *_both("Dropout3d", lambda nn: nn.Dropout3d(0.6), (2, 2, 1, 3, 8)),
    *_both("AlphaDropout", lambda nn: nn.AlphaDropout(0.6)),
    *_both("FeatureAlphaDropout", lambda nn: nn.FeatureAlphaDropout(0.6), (2, 3, 8)),
    *_both("FeatureAlphaDropout", lambda nn: nn.FeatureAlphaDropout(0.6, 1), (2, 8, 3), "axis"),
    # The mask is a state, so what a fit computes is no chance.
    Row("DropoutFixed", lambda nn: nn.DropoutFixed(8, 0.6), ((2, 8),), "", 2, 2, {"fit": True}),
    Row("DropoutFixed", lambda nn: nn.DropoutFixed(8), ((2, 8),), "idle", 2, 1, {"fit": False}),
    Row("DropoutFixed", lambda nn: nn.DropoutFixed(8, 1.0), ((2, 8),), "all", 2, 1, {"fit": True}),
)
