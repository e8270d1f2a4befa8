"""Metrics against plain formulas of all the data at once, and against the published ones."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import graph, nn
from interop_core.testing import quick_compilation

CLASSES = 4
AVERAGES = ["macro", "micro", "weighted"]
RATIOS = ["PrecisionMetric", "RecallMetric", "F1ScoreMetric"]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def draws(seed: int = 0, batches: int = 3) -> list[dict[str, Any]]:
    """Batches of everything that a metric may ask for; the last class has no label."""
    draw = np.random.default_rng(seed)
    return [
        {
            "values": draw.normal(3, 2, (5, 4)).astype(np.float32),
            "logits": draw.normal(size=(20, CLASSES)).astype(np.float32),
            "predictions": draw.integers(0, CLASSES, 20).astype(np.int32),
            "labels": draw.integers(0, CLASSES - 1, 20).astype(np.int32),
        }
        for _ in range(batches)
    ]


def whole(name: str) -> Any:
    return np.concatenate([batch[name] for batch in draws()])


def updated(metric: Any, batches: Any = None) -> Any:
    for batch in draws() if batches is None else batches:
        metric.update(**{key: jnp.asarray(value) for key, value in batch.items()})
    return metric


def expected_ratio(name: str, average: str) -> float:
    """By the definition, in loops."""
    predicted, true = whole("predictions"), whole("labels")
    hits, alarms, misses = np.array(
        [
            [
                np.sum((predicted == c) & (true == c)),
                np.sum((predicted == c) & (true != c)),
                np.sum((predicted != c) & (true == c)),
            ]
            for c in range(CLASSES)
        ]
    ).T
    support = hits + misses
    if average == "micro":
        hits, alarms, misses = (np.array([x.sum()]) for x in (hits, alarms, misses))
        support = np.array([1])
    with np.errstate(invalid="ignore"):
        ratios = {
            "PrecisionMetric": hits / (hits + alarms),
            "RecallMetric": hits / (hits + misses),
            "F1ScoreMetric": 2 * hits / (2 * hits + alarms + misses),
        }
        found = np.nan_to_num(ratios[name])
    return float(np.average(found, weights=support if average == "weighted" else None))


METRICS: list[tuple[str, dict[str, Any]]] = [
    ("AverageMetric", {}),
    ("WelfordMetric", {}),
    ("AccuracyMetric", {}),
    *((name, {}) for name in RATIOS),
    *((name, {"num_classes": CLASSES, "average": a}) for name in RATIOS for a in AVERAGES),
    ("ConfusionMatrix", {"num_classes": CLASSES}),
]
IDS = [name + "".join(f"-{value}" for value in o.values()) for name, o in METRICS]
every_metric = pytest.mark.parametrize(("name", "options"), METRICS, ids=IDS)


def agree(ours: Any, theirs: Any, rtol: float = 1e-6) -> None:
    mine, others = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(mine) == len(others)
    for a, b in zip(mine, others, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=rtol)


def state_values(metric: Any) -> dict[str, Any]:
    kinds = (nn.MetricState, brainstate.nn.MetricState)
    found = {k: v.value for k, v in vars(metric).items() if isinstance(v, kinds)}
    for key in ("precision_metric", "recall_metric"):
        if hasattr(metric, key):
            found[key] = state_values(getattr(metric, key))
    return found


class TestEveryMetric:
    @every_metric
    def test_computes_what_the_published_metric_computes(
        self, name: str, options: dict[str, Any]
    ) -> None:
        ours, theirs = (getattr(space, name)(**options) for space in (nn, brainstate.nn))
        agree(ours.compute(), theirs.compute())
        agree(state_values(ours), state_values(theirs))
        for batch in draws():
            updated(ours, [batch])
            updated(theirs, [batch])
            agree(ours.compute(), theirs.compute(), 2e-6)
            agree(state_values(ours), state_values(theirs), 2e-6)

    @every_metric
    def test_is_an_argument_and_a_result_of_compiled_functions(
        self, name: str, options: dict[str, Any]
    ) -> None:
        metric = getattr(nn, name)(**options)
        together = jax.tree.map(lambda *xs: jnp.stack(xs), *draws())

        def step(metric: Any, batch: Any) -> Any:
            metric.update(**batch)
            return metric, metric.compute()

        after, _ = jax.jit(lambda m, b: jax.lax.scan(step, m, b))(metric, together)
        agree(after.compute(), updated(getattr(nn, name)(**options)).compute())
        structure: Any = jax.tree.structure
        assert structure(after) == structure(metric)
        agree(metric.compute(), getattr(nn, name)(**options).compute())  # left as it was

    @every_metric
    def test_reset(self, name: str, options: dict[str, Any]) -> None:
        metric = getattr(nn, name)(**options)
        states = graph.states(metric)
        assert states
        assert all(type(state) is nn.MetricState for state in states.values())
        updated(metric).reset()
        agree(jax.tree.leaves(metric), jax.tree.leaves(getattr(nn, name)(**options)))
        assert all(states[path] is state for path, state in graph.states(metric).items())

    @every_metric
    def test_copies(self, name: str, options: dict[str, Any]) -> None:
        metric = updated(getattr(nn, name)(**options))
        for other in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
            agree(other.compute(), metric.compute())
            other.reset()
        assert name in repr(metric)
        assert float(np.sum(jax.tree.leaves(metric)[0])) != 0.0
        found = graph.configuration(metric)
        assert {key: found[key] for key in options} == options

    @every_metric
    def test_vmap(self, name: str, options: dict[str, Any]) -> None:
        metrics = [updated(getattr(nn, name)(**options), [batch]) for batch in draws(batches=2)]
        stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *metrics)
        computed = jax.vmap(lambda metric: metric.compute())(stacked)
        for lane, metric in enumerate(metrics):
            agree(jax.tree.map(lambda x, i=lane: x[i], computed), metric.compute())

    @every_metric
    def test_double_precision(self, name: str, options: dict[str, Any]) -> None:
        with jax.enable_x64(True):
            batch = {k: jnp.asarray(v).astype(v.dtype.kind + "8") for k, v in draws()[0].items()}
            metric = getattr(nn, name)(**options)
            before = jax.tree.map(lambda x: x.dtype, jax.tree.leaves(metric))
            metric.update(**batch)
            # The same types as before, so that a scan takes it.
            assert jax.tree.map(lambda x: x.dtype, jax.tree.leaves(metric)) == before


class TestAverage:
    def test_mean_of_all(self) -> None:
        mean = whole("values").astype(np.float64).mean()
        assert float(updated(nn.AverageMetric()).compute()) == pytest.approx(mean, rel=1e-6)

    def test_weighs_numbers_and_not_batches(self) -> None:
        metric = nn.AverageMetric("loss")
        for loss in (1, [2.0, 3.0], np.full((2, 3), 7), jnp.array(True)):
            metric.update(loss=loss, other="passed over")
        assert float(metric.compute()) == pytest.approx((1 + 2 + 3 + 6 * 7 + 1) / 10)
        assert int(metric.count.value) == 10

    def test_of_nothing(self) -> None:
        metric = nn.AverageMetric()
        metric.update(values=jnp.zeros(0))
        assert jnp.isnan(metric.compute())

    @pytest.mark.parametrize("dtype", ["float16", "int16", "int32"])
    def test_large_sums(self, dtype: str) -> None:
        # The published sum of integers wraps around.
        metric = nn.AverageMetric()
        metric.update(values=jnp.full(200_000, 30_000, dtype))
        assert float(metric.compute()) == pytest.approx(30_000)

    @pytest.mark.parametrize("metric", [nn.AverageMetric("loss"), nn.WelfordMetric("loss")])
    def test_missing_argument(self, metric: Any) -> None:
        with pytest.raises(TypeError, match="'loss'"):
            metric.update(values=1.0)


class TestWelford:
    def test_double_precision(self) -> None:
        # Sizes whose shares are no dyadic fractions, and would be rounded in single precision.
        data = 10 + np.random.default_rng(0).normal(size=13)
        with jax.enable_x64(True):
            metric = nn.WelfordMetric()
            for batch in np.split(data, [3, 7]):
                metric.update(values=jnp.asarray(batch))
            found = metric.compute()
            assert float(found.mean) == pytest.approx(data.mean(), rel=1e-14)
            assert float(found.standard_deviation) == pytest.approx(data.std(), rel=1e-13)
            error = data.std() / np.sqrt(13)
            assert float(found.standard_error_of_mean) == pytest.approx(error, rel=1e-13)

    def test_statistics_of_all(self) -> None:
        values = whole("values").astype(np.float64)
        found = updated(nn.WelfordMetric()).compute()
        assert float(found.mean) == pytest.approx(values.mean(), rel=1e-6)
        assert float(found.standard_deviation) == pytest.approx(values.std(), rel=1e-6)
        error = values.std() / np.sqrt(values.size)
        assert float(found.standard_error_of_mean) == pytest.approx(error, rel=1e-6)

    def test_small_deviation_around_a_large_mean(self) -> None:
        metric = nn.WelfordMetric()
        for _ in range(10):
            metric.update(values=jnp.array([9_999.0, 10_001.0]))
        assert float(metric.compute().standard_deviation) == pytest.approx(1.0)

    def test_nothing_changes_nothing(self) -> None:
        # The published metric is not a number from then on.
        metric = nn.WelfordMetric()
        metric.update(values=jnp.zeros(0))
        mean, error, deviation = metric.compute()
        assert float(mean) == 0.0
        assert jnp.isnan(jnp.array([error, deviation])).all()
        metric.update(values=4)
        assert [float(x) for x in metric.compute()] == [4.0, 0.0, 0.0]

    def test_complex_numbers(self) -> None:
        with pytest.raises(TypeError, match="real"):
            nn.WelfordMetric().update(values=jnp.ones(2) * 1j)


class TestAccuracy:
    def test_share_of_right_ones(self) -> None:
        share = (whole("logits").argmax(-1) == whole("labels")).mean()
        assert float(updated(nn.AccuracyMetric()).compute()) == pytest.approx(share)

    def test_any_number_of_axes_and_name(self) -> None:
        # The published metric takes no other name, though its constructor does.
        metric = nn.AccuracyMetric("accuracy")
        metric.update(logits=jnp.eye(3).reshape(1, 3, 3), labels=np.array([[0, 1, 0]], np.uint8))
        metric.update(logits=jnp.array([0.0, 1.0]), labels=1)
        assert float(metric.compute()) == 0.75

    @pytest.mark.parametrize(
        ("labels", "match"),
        [
            (np.zeros((1, 3), int), "one axis more"),
            (np.zeros(2, int), "one axis more"),
            (np.zeros(1, int), "one axis more"),
            (np.zeros(3), "integers, got float32"),
            (np.zeros(3, bool), "integers, got bool"),
        ],
    )
    def test_labels_that_do_not_fit(self, labels: Any, match: str) -> None:
        with pytest.raises(ValueError, match=match):
            nn.AccuracyMetric().update(logits=jnp.eye(3), labels=jnp.asarray(labels))
        with pytest.raises(ValueError, match="one axis more"):
            nn.AccuracyMetric().update(logits=1.0, labels=1)


class TestRatios:
    @pytest.mark.parametrize("name", RATIOS)
    @pytest.mark.parametrize("average", AVERAGES)
    def test_definition(self, name: str, average: str) -> None:
        metric = updated(getattr(nn, name)(CLASSES, average))
        assert float(metric.compute()) == pytest.approx(expected_ratio(name, average), rel=1e-6)

    @pytest.mark.parametrize(
        ("metric", "expected"),
        [(nn.PrecisionMetric(), 2 / 3), (nn.RecallMetric(), 1 / 2), (nn.F1ScoreMetric(), 4 / 7)],
    )
    @pytest.mark.parametrize("dtype", [bool, np.int8])
    def test_two_classes(self, metric: Any, expected: float, dtype: Any) -> None:
        metric.reset()
        predictions, labels = [1, 0, 1, 1, 0, 0], [1, 0, 0, 1, 1, 1]
        metric.update(predictions=np.array(predictions, dtype), labels=np.array(labels, dtype))
        assert float(metric.compute()) == pytest.approx(expected)

    @pytest.mark.parametrize("name", RATIOS)
    @pytest.mark.parametrize("classes", [None, 2])
    def test_numbers_that_are_no_class(self, name: str, classes: int | None) -> None:
        batch = {"predictions": [0, 1, 2, -1, 1, 0], "labels": [0, 3, 2, 1, -1, 1]}
        ours, theirs = (getattr(space, name)(classes) for space in (nn, brainstate.nn))
        ours.update(**batch)
        theirs.update(**{key: jnp.array(value) for key, value in batch.items()})
        agree(state_values(ours), state_values(theirs))

    @pytest.mark.parametrize("name", RATIOS)
    def test_arguments(self, name: str) -> None:
        metric = getattr(nn, name)
        for average in (None, "none", "binary"):
            with pytest.raises(ValueError, match="micro, macro, weighted"):
                metric(average=average)
        for number in (0, -1):
            with pytest.raises(ValueError, match="must be positive"):
                metric(number)
        with pytest.raises(TypeError, match="integer"):
            metric(2.5)
        with pytest.raises(TypeError, match="labels"):
            metric().update(predictions=jnp.array([1]))


COMPARING = [
    *(getattr(nn, name)(n) for name in RATIOS for n in (None, 2)),
    nn.ConfusionMatrix(2),
    nn.MultiMetric(matrix=nn.ConfusionMatrix(2)),
]


@pytest.mark.parametrize("metric", COMPARING)
def test_predictions_and_labels_that_do_not_fit(metric: Any) -> None:
    # The published metrics let them broadcast.
    for shape in ((1,), (2,), (), (3, 1)):
        with pytest.raises(ValueError, match="one shape"):
            metric.update(predictions=np.zeros(3, int), labels=np.zeros(shape, int))
    with pytest.raises(ValueError, match="predictions must be numbers of classes"):
        metric.update(predictions=np.array([0.9]), labels=np.array([1]))
    with pytest.raises(ValueError, match="labels must be numbers of classes"):
        metric.update(predictions=np.array([1]), labels=np.array([1.0]))


class TestConfusionMatrix:
    def test_counts_pairs(self) -> None:
        expected = np.zeros((CLASSES, CLASSES), int)
        for predicted, true in zip(whole("predictions"), whole("labels"), strict=True):
            expected[true, predicted] += 1
        np.testing.assert_array_equal(updated(nn.ConfusionMatrix(CLASSES)).compute(), expected)

    def test_any_shape(self) -> None:
        metric = nn.ConfusionMatrix(2)
        metric.update(predictions=[[0, 1], [1, 1]], labels=[[0, 1], [0, 1]])
        metric.update(predictions=1, labels=0)
        metric.update(predictions=np.zeros(0, int), labels=np.zeros(0, int))
        assert metric.compute().tolist() == [[1, 2], [0, 2]]

    @pytest.mark.parametrize(
        ("predictions", "labels"), [([0, 3], [0, 1]), ([-1, 0], [0, 1]), ([0, 1], [0, -1])]
    )
    def test_numbers_that_are_no_class(self, predictions: list[int], labels: list[int]) -> None:
        metric = nn.ConfusionMatrix(3)
        with pytest.raises(ValueError, match="numbers of 3 classes"):
            metric.update(predictions=jnp.array(predictions), labels=jnp.array(labels))
        assert not metric.compute().any()

        @jax.jit
        def counted(predictions: Any, labels: Any) -> Any:
            metric = nn.ConfusionMatrix(3)
            metric.update(predictions=predictions, labels=labels)
            return metric.compute()

        # A compiled function cannot look at numbers; such a pair is left out.
        assert int(counted(jnp.array(predictions), jnp.array(labels)).sum()) == 1

    def test_number_of_classes(self) -> None:
        for number in (0, -1):
            with pytest.raises(ValueError, match="must be positive"):
                nn.ConfusionMatrix(number)
        for other in (None, 2.5):
            with pytest.raises(TypeError, match="integer"):
                nn.ConfusionMatrix(other)  # type: ignore[arg-type]
