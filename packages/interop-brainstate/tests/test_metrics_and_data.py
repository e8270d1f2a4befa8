"""Metrics go on with what they have collected; trees of named data are moved as they are."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_brainstate import from_brainstate, to_brainstate
from interop_core import UnmappedLayerError, UnsupportedConfigurationError, nn

SIDES: list[Any] = [
    pytest.param(nn, to_brainstate, from_brainstate, id="to"),
    pytest.param(brainstate.nn, from_brainstate, to_brainstate, id="from"),
]
both = pytest.mark.parametrize("library, convert, back", SIDES)
EARLY = brainstate.__version__ < "0.5"
BATCH = {
    "values": jnp.arange(3.0),
    "logits": jnp.eye(3),
    "predictions": jnp.array([0, 1, 1]),
    "labels": jnp.array([0, 1, 0]),
}
METRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "average": ("AverageMetric", {}),
    "welford": ("WelfordMetric", {"argname": "values"}),
    "accuracy": ("AccuracyMetric", {}),
    "precision": ("PrecisionMetric", {}),
    "precision of classes": ("PrecisionMetric", {"num_classes": 3, "average": "weighted"}),
    "recall": ("RecallMetric", {"num_classes": 3, "average": "micro"}),
    "weighted recall": ("RecallMetric", {"num_classes": 3, "average": "weighted"}),
    "score": ("F1ScoreMetric", {}),
    "score of classes": ("F1ScoreMetric", {"num_classes": 3}),
    "confusion": ("ConfusionMatrix", {"num_classes": 3}),
}


@both
@pytest.mark.parametrize("case", METRICS)
def test_a_metric_goes_on_alike(library: Any, convert: Any, back: Any, case: str) -> None:
    name, options = METRICS[case]
    metric = library.MultiMetric(one=getattr(library, name)(**options))
    metric.update(**BATCH)
    if EARLY and case in ("precision of classes", "weighted recall", "score of classes"):
        with pytest.raises(UnsupportedConfigurationError, match="in this release"):
            convert(metric)
        return
    moved = convert(metric)
    again = back(moved)
    held = [state for state in vars(metric.one).values() if hasattr(state, "value")]
    for other in (moved, again):
        states = [state for state in vars(other.one).values() if hasattr(state, "value")]
        assert [id(state.value) for state in states] == [id(state.value) for state in held]
        assert vars(other).keys() == vars(metric).keys()
        assert type(other.one).__name__ == name
    for each in (metric, moved, again):
        each.update(**BATCH)
    for other in (moved, again):
        pairs = map(jax.tree.leaves, (other.compute()["one"], metric.compute()["one"]))
        for x, y in zip(*pairs, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6)
        other.reset()


@both
def test_metrics_of_ones_own_are_refused(library: Any, convert: Any, back: Any) -> None:
    class Mine(library.AverageMetric):  # type: ignore[misc]
        pass

    with pytest.raises(UnmappedLayerError, match="it extends AverageMetric"):
        convert(Mine())
    changed = library.AverageMetric()
    changed.scale = 2
    with pytest.raises(UnsupportedConfigurationError, match="scale differ"):
        convert(changed)
    score = library.F1ScoreMetric()
    score.recall_metric = library.RecallMetric(3)
    with pytest.raises(UnsupportedConfigurationError, match="made with another num_classes"):
        convert(score)


def test_an_accuracy_of_another_argument_is_refused() -> None:
    with pytest.raises(UnsupportedConfigurationError, match="asked for there"):
        to_brainstate(nn.AccuracyMetric("share"))


@both
def test_named_data_are_moved(library: Any, convert: Any, back: Any) -> None:
    x = jnp.ones(2)
    layer = library.Linear(2, 3)
    data = library.HiData({"z": x}, name="cell", below=library.HiData(layer=layer, n=2, same=layer))
    moved = convert(data)
    for other, kinds in ((moved, brainstate.nn if library is nn else nn), (back(moved), library)):
        assert type(other) is type(other.below) is kinds.HiData
        assert type(other.below.layer) is kinds.Linear
        assert other.below.layer is other.below.same
        assert (other.name, other.below.n) == ("cell", 2)
        assert other.z is x
    layer.weight.value = {"weight": library.HiData(a=x)}
    assert type(convert(layer).weight.value["weight"]) is type(moved)


@both
def test_data_of_ones_own_are_refused(library: Any, convert: Any, back: Any) -> None:
    class Mine(library.HiData):  # type: ignore[misc]
        pass

    layer = library.Linear(2, 3)
    layer.weight.value = {"weight": Mine(a=1)}
    for model in (Mine(a=1), library.HiData(a=[Mine(b=1)]), layer):
        with pytest.raises(UnsupportedConfigurationError, match="holds a Mine, which extends"):
            convert(model)
    with pytest.raises(UnmappedLayerError):
        convert(library.HiData(a=type("Net", (library.Module,), {})()))
