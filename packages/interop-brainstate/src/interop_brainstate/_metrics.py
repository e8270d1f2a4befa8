"""Metrics: what they have collected goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interop_core import nn

from ._differences import Refuse, before
from ._row import Row

__all__ = ["METRICS"]


def _other_argument(given: Mapping[str, Any], layer: Any) -> str | None:
    if given["argname"] == "values" or not isinstance(layer, nn.Metric):
        return None
    return f"argname={given['argname']!r} is asked for there, beside logits and labels"


def _unlike_parts(given: Mapping[str, Any], layer: Any) -> str | None:
    precision, recall = layer.precision_metric, layer.recall_metric
    for name in ("num_classes", "average"):
        if not given[name] == getattr(precision, name) == getattr(recall, name):
            return f"its precision and its recall were made with another {name}"
    return None


def _classwise(given: Mapping[str, Any], _: Any) -> str | None:
    if given["num_classes"] is None:
        return None
    return "several classes are not weighted by their labels in this release"


def _weighted(given: Mapping[str, Any], _: Any) -> str | None:
    if given["num_classes"] is None or given["average"] != "weighted":
        return None
    return "average='weighted' is no number in this release"


_EARLY: tuple[Refuse, ...] = before((0, 5), _classwise)

METRICS = (
    Row("AverageMetric"),
    Row("WelfordMetric"),
    Row("AccuracyMetric", refusals=(_other_argument,)),
    Row("PrecisionMetric", refusals=_EARLY),
    Row("RecallMetric", refusals=before((0, 5), _weighted)),
    Row(
        "F1ScoreMetric",
        {
            "num_classes": lambda layer: layer.precision_metric.num_classes,
            "average": lambda layer: layer.precision_metric.average,
        },
        refusals=(_unlike_parts, *_EARLY),
    ),
    Row("ConfusionMatrix"),
    Row(
        "MultiMetric",
        options=lambda layer: {name: getattr(layer, name) for name in layer._metric_names},
    ),
)
"""Rows of metrics, whose states are moved as those of layers."""
