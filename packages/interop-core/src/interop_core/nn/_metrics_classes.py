"""Metrics of classification, counted class by class."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from ._metrics import Metric, MetricState
from ._parameters import as_array

__all__ = ["ConfusionMatrix", "F1ScoreMetric", "PrecisionMetric", "RecallMetric"]

_AVERAGES = ("micro", "macro", "weighted")


class _Counts(NamedTuple):
    """Hits, false alarms and misses: one number each, or one for each class."""

    hits: jax.Array
    alarms: jax.Array
    misses: jax.Array


def _indices(predictions: Any, labels: Any) -> tuple[jax.Array, jax.Array]:
    """Take predictions and labels, if they are class numbers of one shape."""
    predictions, labels = as_array(predictions), as_array(labels)
    for what, array in (("predictions", predictions), ("labels", labels)):
        if not jnp.issubdtype(array.dtype, jnp.integer) and array.dtype != np.bool_:
            raise ValueError(f"{what} must be numbers of classes, integers, got {array.dtype}.")
    if predictions.shape != labels.shape:
        raise ValueError(
            f"predictions and labels must have one shape, got {predictions.shape} and "
            f"{labels.shape}."
        )
    return predictions.ravel().astype(np.int32), labels.ravel().astype(np.int32)


def _classes(num_classes: int) -> int:
    """Check a number of classes."""
    number = operator.index(num_classes)
    if number < 1:
        raise ValueError(f"num_classes must be positive, got {num_classes}.")
    return number


def _tally(classes: jax.Array, counted: Any, num_classes: int) -> jax.Array:
    """Count, for each class, where it occurs and ``counted`` is true."""
    # A negative index would count from the end; one beyond the end is dropped.
    places = jnp.where(classes < 0, num_classes, classes)
    zeros = jnp.zeros(num_classes, np.int32)
    return zeros.at[places].add(counted.astype(np.int32), mode="drop")


def _count(num_classes: int | None, predictions: Any, labels: Any) -> _Counts:
    """Compare predictions with labels; without a number of classes, class 1 counts alone."""
    predicted, true = _indices(predictions, labels)
    right = predicted == true
    if num_classes is None:
        pairs = ((1, 1), (1, 0), (0, 1))
        return _Counts(*(jnp.sum((predicted == p) & (true == t), dtype=np.int32) for p, t in pairs))
    return _Counts(
        _tally(predicted, right, num_classes),
        _tally(predicted, ~right, num_classes),
        _tally(true, ~right, num_classes),
    )


def _ratio(part: jax.Array, whole: jax.Array) -> jax.Array:
    """Divide; 0 where there is nothing to divide by."""
    return jnp.where(whole > 0, part / jnp.maximum(whole, 1), 0.0)


def _average(average: str, part: jax.Array, whole: jax.Array, support: jax.Array) -> jax.Array:
    """Average the ratios of the classes, or of the sums over all of them."""
    if average == "micro":
        return _ratio(part.sum(), whole.sum())
    ratios = _ratio(part, whole)
    if average == "macro":
        return ratios.mean()
    return _ratio(jnp.sum(ratios * support), support.sum())


class _ClassMetric(Metric):
    """A ratio of counts, of class 1 alone or averaged over all classes."""

    num_classes: int | None

    def __init__(self, num_classes: int | None = None, average: str = "macro") -> None:
        if average not in _AVERAGES:
            raise ValueError(f"average must be one of {', '.join(_AVERAGES)}, got {average!r}.")
        self.num_classes = None if num_classes is None else _classes(num_classes)
        self.average = average

    def _zeros(self) -> jax.Array:
        """Give the count of nothing."""
        return jnp.zeros(() if self.num_classes is None else (self.num_classes,), np.int32)

    def _states(self) -> list[MetricState[jax.Array]]:
        """Give the states that count."""
        return [state for state in vars(self).values() if isinstance(state, MetricState)]

    def reset(self) -> None:
        """Set all counts to zero."""
        for state in self._states():
            state.value = self._zeros()

    def update(self, *, predictions: Any, labels: Any, **_: Any) -> None:
        """Compare predictions and labels.

        Args:
            predictions: the classes that were predicted: integers, or booleans for 0 and 1.
            labels: the true classes, of the same shape. A number that is no class makes the other
                one of the pair count as wrong. Without ``num_classes`` such pairs do not count.
            **_: arguments for other metrics.

        Raises:
            ValueError: if the shapes differ, or these are no integers.
        """
        self._add(_count(self.num_classes, predictions, labels))

    def _add(self, counts: _Counts) -> None:
        """Add the counts of a batch."""
        raise NotImplementedError


class PrecisionMetric(_ClassMetric):
    """The share of right ones among the predictions of a class: ``TP / (TP + FP)``.

    The states ``true_positives`` and ``false_positives`` count over all batches, for several
    classes in arrays of shape ``(num_classes,)`` and beside the ``support``, the number of labels
    of each class. A class that is never predicted has precision 0.

    Args:
        num_classes: number of classes; None for two, of which class 1 counts.
        average: "macro" for the mean over all classes, "weighted" for that with the weights of
            the support, "micro" for the ratio of the sums over all classes. Of no effect for two
            classes.

    Raises:
        TypeError: if ``num_classes`` is no integer.
        ValueError: if ``num_classes`` is not positive, or there is no such average.

    Example:
        >>> metric = PrecisionMetric()
        >>> metric.update(predictions=jnp.array([1, 0, 1, 1, 0]), labels=jnp.array([1, 0, 0, 1, 0]))
        >>> round(float(metric.compute()), 4)
        0.6667
    """

    true_positives: MetricState[jax.Array]
    false_positives: MetricState[jax.Array]
    support: MetricState[jax.Array]

    def __init__(self, num_classes: int | None = None, average: str = "macro") -> None:
        super().__init__(num_classes, average)
        self.true_positives = MetricState(self._zeros())
        self.false_positives = MetricState(self._zeros())
        if self.num_classes is not None:
            self.support = MetricState(self._zeros())

    def _add(self, counts: _Counts) -> None:
        self.true_positives.value = self.true_positives.value + counts.hits
        self.false_positives.value = self.false_positives.value + counts.alarms
        if self.num_classes is not None:
            self.support.value = self.support.value + counts.hits + counts.misses

    def compute(self) -> jax.Array:
        """Give the precision, a scalar; 0 of no predictions."""
        hits = self.true_positives.value
        predicted = hits + self.false_positives.value
        if self.num_classes is None:
            return _ratio(hits, predicted)
        return _average(self.average, hits, predicted, self.support.value)


class RecallMetric(_ClassMetric):
    """The share of right ones among the labels of a class: ``TP / (TP + FN)``.

    The states ``true_positives`` and ``false_negatives`` count over all batches, for several
    classes in arrays of shape ``(num_classes,)``. A class without labels has recall 0.

    Args:
        num_classes: number of classes; None for two, of which class 1 counts.
        average: "macro" for the mean over all classes, "weighted" for that with the weights of
            the support, "micro" for the ratio of the sums over all classes. Of no effect for two
            classes.

    Raises:
        TypeError: if ``num_classes`` is no integer.
        ValueError: if ``num_classes`` is not positive, or there is no such average.

    Example:
        >>> metric = RecallMetric()
        >>> metric.update(predictions=jnp.array([1, 0, 1, 1, 0]), labels=jnp.array([1, 0, 0, 1, 1]))
        >>> round(float(metric.compute()), 4)
        0.6667
    """

    true_positives: MetricState[jax.Array]
    false_negatives: MetricState[jax.Array]

    def __init__(self, num_classes: int | None = None, average: str = "macro") -> None:
        super().__init__(num_classes, average)
        self.true_positives = MetricState(self._zeros())
        self.false_negatives = MetricState(self._zeros())

    def _add(self, counts: _Counts) -> None:
        self.true_positives.value = self.true_positives.value + counts.hits
        self.false_negatives.value = self.false_negatives.value + counts.misses

    def compute(self) -> jax.Array:
        """Give the recall, a scalar; 0 of no labels."""
        hits = self.true_positives.value
        labelled = hits + self.false_negatives.value
        if self.num_classes is None:
            return _ratio(hits, labelled)
        return _average(self.average, hits, labelled, labelled)


class F1ScoreMetric(_ClassMetric):
    """The harmonic mean of precision and recall: ``2 TP / (2 TP + FP + FN)``.

    Precision and recall are metrics of their own, ``precision_metric`` and ``recall_metric``. With
    several classes the score of each class is computed first and then averaged.

    Args:
        num_classes: number of classes; None for two, of which class 1 counts.
        average: "macro" for the mean over all classes, "weighted" for that with the weights of
            the support, "micro" for the ratio of the sums over all classes. Of no effect for two
            classes.

    Raises:
        TypeError: if ``num_classes`` is no integer.
        ValueError: if ``num_classes`` is not positive, or there is no such average.

    Example:
        >>> metric = F1ScoreMetric()
        >>> metric.update(predictions=jnp.array([1, 0, 1, 1, 0]), labels=jnp.array([1, 0, 0, 1, 0]))
        >>> round(float(metric.compute()), 4)
        0.8
    """

    def __init__(self, num_classes: int | None = None, average: str = "macro") -> None:
        super().__init__(num_classes, average)
        self.precision_metric = PrecisionMetric(num_classes, average)
        self.recall_metric = RecallMetric(num_classes, average)

    def reset(self) -> None:
        """Set all counts to zero."""
        self.precision_metric.reset()
        self.recall_metric.reset()

    def _add(self, counts: _Counts) -> None:
        self.precision_metric._add(counts)
        self.recall_metric._add(counts)

    def compute(self) -> jax.Array:
        """Give the score, a scalar; 0 where precision and recall are both 0."""
        hits = self.precision_metric.true_positives.value
        labelled = hits + self.recall_metric.false_negatives.value
        both = hits + self.precision_metric.false_positives.value + labelled
        if self.num_classes is None:
            return _ratio(2 * hits, both)
        return _average(self.average, 2 * hits, both, labelled)


class ConfusionMatrix(Metric):
    """How often a class was predicted where the label was another, or the same.

    The state ``matrix`` has shape ``(num_classes, num_classes)``: labels in rows, predictions in
    columns.

    Args:
        num_classes: number of classes.

    Raises:
        TypeError: if ``num_classes`` is no integer.
        ValueError: if it is not positive.

    Example:
        >>> metric = ConfusionMatrix(2)
        >>> metric.update(predictions=jnp.array([0, 1, 1]), labels=jnp.array([0, 0, 1]))
        >>> metric.compute().tolist()
        [[1, 1], [0, 1]]
    """

    matrix: MetricState[jax.Array]

    def __init__(self, num_classes: int) -> None:
        self.num_classes = _classes(num_classes)
        self.matrix = MetricState(self._zeros())

    def _zeros(self) -> jax.Array:
        """Give the count of nothing."""
        return jnp.zeros((self.num_classes, self.num_classes), np.int32)

    def reset(self) -> None:
        """Set all counts to zero."""
        self.matrix.value = self._zeros()

    def update(self, *, predictions: Any, labels: Any, **_: Any) -> None:
        """Count pairs.

        Args:
            predictions: the classes that were predicted, integers.
            labels: the true classes, of the same shape.
            **_: arguments for other metrics.

        Raises:
            ValueError: if the shapes differ, these are no integers, or some number is no class. In
                a compiled function, where numbers cannot be looked at, a pair with such a number
                is not counted.
        """
        predicted, true = _indices(predictions, labels)
        n = self.num_classes
        for what, array in (("predictions", predicted), ("labels", true)):
            if isinstance(array, jax.core.Tracer) or not array.size:
                continue
            low, high = int(array.min()), int(array.max())
            if low < 0 or high >= n:
                raise ValueError(
                    f"{what} must be numbers of {n} classes, from 0 to {n - 1}; they range from "
                    f"{low} to {high}."
                )
        # Out of bounds on either axis means not counted; a negative index would count from the end.
        rows, columns = (jnp.where(array < 0, n, array) for array in (true, predicted))
        self.matrix.value = self.matrix.value.at[rows, columns].add(1, mode="drop")

    def compute(self) -> jax.Array:
        """Give the matrix: in row ``i`` and column ``j`` the number of ``i`` taken for ``j``."""
        return self.matrix.value
