"""Metrics that are made of others, and those of a user."""

from __future__ import annotations

from typing import Any

import jax
import pytest
from jax import numpy as jnp

from interop_core import graph, nn
from interop_core.state import LongTermState


class TestMultiMetric:
    def test_updates_and_computes_all(self) -> None:
        metrics: Any = nn.MultiMetric(
            mean=nn.AverageMetric(),
            inner=nn.MultiMetric(matrix=nn.ConfusionMatrix(2), right=nn.AccuracyMetric()),
        )
        for _ in range(2):
            metrics.update(
                values=jnp.array([1.0, 2.0]),
                logits=jnp.array([[0.0, 1.0], [1.0, 0.0]]),
                predictions=jnp.array([1, 0]),
                labels=jnp.array([1, 1]),
            )
        found = metrics.compute()
        assert list(found) == ["mean", "inner"]
        assert float(found["mean"]) == 1.5
        assert found["inner"]["matrix"].tolist() == [[0, 0], [2, 2]]
        assert float(found["inner"]["right"]) == 0.5
        assert metrics.mean.compute() == found["mean"]
        assert ("inner", "right", "total") in graph.states(metrics)
        metrics.reset()
        assert int(metrics.inner.right.count.value) == 0

    def test_compiled(self) -> None:
        @jax.jit
        def step(metrics: nn.MultiMetric, values: jax.Array) -> nn.MultiMetric:
            metrics.update(values=values)
            return metrics

        metrics = nn.MultiMetric(a=nn.AverageMetric(), b=nn.WelfordMetric())
        found = step(step(metrics, jnp.arange(3.0)), jnp.arange(4.0)).compute()
        assert float(found["a"]) == float(found["b"].mean) == pytest.approx(9 / 7)

    def test_empty(self) -> None:
        assert nn.MultiMetric().compute() == {}

    @pytest.mark.parametrize("name", ["reset", "update", "compute", "_metric_names", "__init__"])
    def test_reserved_names(self, name: str) -> None:
        with pytest.raises(ValueError, match="cannot be named"):
            nn.MultiMetric(**{name: nn.AverageMetric()})

    def test_errors(self) -> None:
        with pytest.raises(TypeError, match="no Metric"):
            nn.MultiMetric(a=3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="'loss'"):
            nn.MultiMetric(a=nn.AverageMetric("loss")).update(values=1.0)


class TestOwnMetric:
    def test_base_class_defines_nothing(self) -> None:
        class Nothing(nn.Metric):
            pass

        for method in ("reset", "update", "compute"):
            with pytest.raises(NotImplementedError, match=rf"Nothing does not define {method}\(\)"):
                getattr(Nothing(), method)()

    def test_is_a_pytree(self) -> None:
        class Largest(nn.Metric):
            def __init__(self) -> None:
                self.found = nn.MetricState(jnp.array(-jnp.inf))

            def update(self, *, values: Any, **_: Any) -> None:
                self.found.value = jnp.maximum(self.found.value, values.max())

            def compute(self) -> Any:
                return self.found.value

        metrics = nn.MultiMetric(largest=Largest(), mean=nn.AverageMetric())
        metrics.update(values=jnp.arange(5.0))
        assert float(metrics.compute()["largest"]) == 4.0
        assert len(jax.tree.leaves(metrics)) == 3

    def test_state_outlives_a_sequence(self) -> None:
        state = nn.MetricState(1.0, name="m", tag="t")
        assert isinstance(state, LongTermState)
        assert (state.value, state.name, set(state.tag or ())) == (1.0, "m", {"t"})
