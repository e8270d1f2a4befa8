"""Metrics: numbers about a model that are collected over batches."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax import numpy as jnp

from .. import _structure
from .._pretty import call_text
from ..graph import Node
from ..state import LongTermState
from ._parameters import as_array

__all__ = [
    "AccuracyMetric",
    "AverageMetric",
    "Metric",
    "MetricState",
    "MultiMetric",
    "Statistics",
    "WelfordMetric",
]

T = TypeVar("T")


class MetricState(LongTermState[T]):
    """What a metric has collected so far.

    Args:
        value: the value, or another state whose value is taken over.
        name: a label for the user.
        **metadata: further attributes, as for `State`.

    Example:
        >>> total = MetricState(jnp.array(0.0))
        >>> total.value = total.value + 1.5
        >>> float(total.value)
        1.5
    """


class Metric(Node):
    """The base class of metrics: something to `update` with each batch and to `compute` at the end.

    A subclass makes its states in ``__init__`` and defines `reset`, `update` and `compute`.

    A metric is a JAX pytree like a module. So it goes through ``jax.jit`` and ``jax.lax.scan`` as
    an argument and comes back as a result; a compiled function that changes a metric from outside
    cannot work.

    Example:
        >>> @jax.jit
        ... def evaluate(metric, batch):
        ...     metric.update(values=batch)
        ...     return metric
        >>> metric = AverageMetric()
        >>> for batch in (jnp.array([1.0, 2.0]), jnp.array([3.0, 6.0])):
        ...     metric = evaluate(metric, batch)
        >>> float(metric.compute())
        3.0
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _structure.register(cls)

    def reset(self) -> None:
        """Forget everything, in place.

        Raises:
            NotImplementedError: in this base class.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define reset().")

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take in a batch, in place; arguments that are for other metrics are passed over.

        Args:
            *args: none in the metrics of this package.
            **kwargs: what the metric is about.

        Raises:
            NotImplementedError: in this base class.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update().")

    def compute(self) -> Any:
        """Give the number, or numbers, for all batches since the last `reset`.

        Raises:
            NotImplementedError: in this base class.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define compute().")

    def __repr__(self) -> str:
        shown = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return call_text(type(self).__name__, shown)


_structure.register(Metric)


def _argument(metric: Any, given: dict[str, Any]) -> jax.Array:
    """Pick the argument that a metric is about."""
    if metric.argname not in given:
        raise TypeError(
            f"{type(metric).__name__}.update() needs the argument {metric.argname!r}, got "
            f"{sorted(given)}."
        )
    return as_array(given[metric.argname])


def _zero() -> jax.Array:
    """Give the sum of nothing, in the default floating-point type of JAX."""
    return jnp.zeros((), jnp.result_type(float))


def _none() -> jax.Array:
    """Give the count of nothing."""
    return jnp.zeros((), np.int32)


class AverageMetric(Metric):
    """The mean of all numbers: their sum ``total`` by their number ``count``.

    Args:
        argname: name of the argument of `update` that holds the numbers.

    Example:
        >>> loss = AverageMetric("loss")
        >>> loss.update(loss=jnp.array([1, 2, 3, 4]))
        >>> loss.update(loss=6)
        >>> float(loss.compute())
        3.200000047683716
    """

    total: MetricState[jax.Array]
    count: MetricState[jax.Array]

    def __init__(self, argname: str = "values") -> None:
        self.argname = argname
        self.total = MetricState(_zero())
        self.count = MetricState(_none())

    def reset(self) -> None:
        """Set sum and count to zero."""
        self.total.value = _zero()
        self.count.value = _none()

    def update(self, **kwargs: Any) -> None:
        """Add numbers.

        Args:
            **kwargs: among them, under the name ``argname``, an array of any shape or a number.

        Raises:
            TypeError: if the argument is missing.
        """
        self._add(_argument(self, kwargs))

    def _add(self, values: jax.Array) -> None:
        """Add numbers, summed in the type of the total: a narrow type would overflow."""
        total = self.total.value
        dtype = jnp.result_type(total.dtype, values.dtype)
        self.total.value = total + jnp.sum(values, dtype=dtype)
        self.count.value = self.count.value + values.size

    def compute(self) -> jax.Array:
        """Give the mean; NaN of no numbers."""
        return self.total.value / self.count.value


class Statistics(NamedTuple):
    """What a `WelfordMetric` computes.

    Attributes:
        mean: the mean.
        standard_error_of_mean: the standard deviation divided by the root of the count.
        standard_deviation: the root of the mean square of the distances to the mean.
    """

    mean: jax.Array
    standard_error_of_mean: jax.Array
    standard_deviation: jax.Array


class WelfordMetric(Metric):
    """Mean and standard deviation of all numbers, without the cancellation of large sums.

    The states are the ``count``, the ``mean`` and the sum ``m2`` of the squared distances to it.
    A batch of ``n`` numbers with mean ``u`` and sum of squared distances ``q`` changes them by
    Welford's rule, in the form for batches::

        mean' = mean + (u - mean) * n / (count + n)
        m2'   = m2 + q + (u - mean)**2 * count * n / (count + n)

    Args:
        argname: name of the argument of `update` that holds the numbers.

    Example:
        >>> metric = WelfordMetric()
        >>> metric.update(values=jnp.array([1.0, 2.0, 3.0]))
        >>> metric.update(values=jnp.array([4.0, 5.0]))
        >>> found = metric.compute()
        >>> float(found.mean), round(float(found.standard_deviation) ** 2, 4)
        (3.0, 2.0)
    """

    count: MetricState[jax.Array]
    mean: MetricState[jax.Array]
    m2: MetricState[jax.Array]

    def __init__(self, argname: str = "values") -> None:
        self.argname = argname
        self.count = MetricState(_none())
        self.mean = MetricState(_zero())
        self.m2 = MetricState(_zero())

    def reset(self) -> None:
        """Set count, mean and sum of squares to zero."""
        self.count.value = _none()
        self.mean.value = _zero()
        self.m2.value = _zero()

    def update(self, **kwargs: Any) -> None:
        """Take in numbers; an empty array changes nothing.

        Args:
            **kwargs: among them, under the name ``argname``, an array of any shape or a number.

        Raises:
            TypeError: if the argument is missing, or of complex numbers.
        """
        values = _argument(self, kwargs)
        if jnp.issubdtype(values.dtype, jnp.complexfloating):
            raise TypeError("WelfordMetric takes real numbers, got complex ones.")
        if values.size == 0:
            return
        mean = self.mean.value
        values = values.astype(jnp.result_type(mean.dtype, values.dtype))
        new = values.mean()
        before, after = self.count.value, self.count.value + values.size
        # Of two 32-bit integers JAX makes a 32-bit quotient, whatever the precision of the mean.
        share = values.size / after.astype(values.dtype)
        apart = new - mean
        self.count.value = after
        self.mean.value = mean + apart * share
        self.m2.value = (
            self.m2.value + jnp.sum(jnp.square(values - new)) + jnp.square(apart) * before * share
        )

    def compute(self) -> Statistics:
        """Give the statistics; of no numbers a mean of 0, and NaN for the rest."""
        deviation = jnp.sqrt(self.m2.value / self.count.value)
        error = deviation / jnp.sqrt(self.count.value.astype(deviation.dtype))
        return Statistics(self.mean.value, error, deviation)


class AccuracyMetric(AverageMetric):
    """The share of right predictions, where the largest of the scores is the prediction.

    Args:
        argname: kept for the interface of `AverageMetric`; the arguments of `update` are
            ``logits`` and ``labels``.

    Example:
        >>> metric = AccuracyMetric()
        >>> logits = jnp.array([[0.1, 0.9], [0.8, 0.2]])
        >>> metric.update(logits=logits, labels=jnp.array([1, 1]))
        >>> float(metric.compute())
        0.5
    """

    def update(  # type: ignore[override]
        self, *, logits: Any, labels: Any, **_: Any
    ) -> None:
        """Compare predictions and labels.

        Args:
            logits: the scores, of shape ``(..., classes)``.
            labels: integers of shape ``(...)``.
            **_: arguments for other metrics.

        Raises:
            ValueError: if the shapes do not fit, or the labels are no integers.
        """
        logits, labels = as_array(logits), as_array(labels)
        if logits.ndim == 0 or logits.shape[:-1] != labels.shape:
            raise ValueError(
                "logits must have the shape of labels and one axis more, got "
                f"{logits.shape} and {labels.shape}."
            )
        if not jnp.issubdtype(labels.dtype, jnp.integer):
            raise ValueError(f"labels must be integers, got {labels.dtype}.")
        self._add(logits.argmax(axis=-1) == labels)


class MultiMetric(Metric):
    """Several metrics that are updated together; each is an attribute under its name.

    Args:
        **metrics: the metrics by name.

    Raises:
        ValueError: if a name is that of a method or another attribute of this class.
        TypeError: if something is no metric.

    Example:
        >>> metrics = MultiMetric(accuracy=AccuracyMetric(), loss=AverageMetric("loss"))
        >>> metrics.update(logits=jnp.eye(2), labels=jnp.array([0, 0]), loss=jnp.array([1.0, 2.0]))
        >>> {name: float(value) for name, value in metrics.compute().items()}
        {'accuracy': 0.5, 'loss': 1.5}
    """

    def __init__(self, **metrics: Metric) -> None:
        for name, metric in metrics.items():
            if name == "_metric_names" or hasattr(type(self), name):
                raise ValueError(
                    f"A metric cannot be named {name!r}, which is an attribute of MultiMetric."
                )
            if not isinstance(metric, Metric):
                raise TypeError(f"{name}={metric!r} is no Metric.")
        self._metric_names = list(metrics)
        for name, metric in metrics.items():
            setattr(self, name, metric)

    def _metrics(self) -> dict[str, Metric]:
        """Give the metrics by name."""
        return {name: getattr(self, name) for name in self._metric_names}

    def reset(self) -> None:
        """Reset every metric."""
        for metric in self._metrics().values():
            metric.reset()

    def update(self, **updates: Any) -> None:
        """Update every metric.

        Args:
            **updates: the arguments of all of them; each takes what it knows.

        Raises:
            TypeError: if a metric misses an argument.
        """
        for metric in self._metrics().values():
            metric.update(**updates)

    def compute(self) -> dict[str, Any]:
        """Give what each metric computes, by name."""
        return {name: metric.compute() for name, metric in self._metrics().items()}
