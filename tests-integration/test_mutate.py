"""Mutation testing tells a row that its checks watch from one that they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mutate
from interop_core.mapping import LayerMap
from interop_core.testing import named_rows


def row_of(framework: str, name: str) -> LayerMap:
    return dict(named_rows(mutate.HARNESSES[framework].bridge))[name]


def survivors(framework: str, name: str, row: LayerMap) -> list[str]:
    harness = mutate.HARNESSES[framework]
    made = list(mutate.mutants(harness.bridge, row, mutate.shapes_of(harness, name, row)))
    assert len(made) > 3
    return [mutant.mistake for mutant in made if not mutate.is_killed(harness, name, mutant)]


@pytest.mark.parametrize(
    ("framework", "name"),
    [("nnx", "LSTMCell-LSTMCell"), ("linen", "Linear-Dense"), ("equinox", "Linear-Linear")],
)
def test_every_mistake_in_a_row_is_noticed(framework: str, name: str) -> None:
    assert survivors(framework, name, row_of(framework, name)) == []


def test_a_row_without_the_case_for_an_option_is_found_out() -> None:
    row = row_of("nnx", "LSTMCell-LSTMCell")
    poor = replace(row, cases=row.cases[:1], foreign_cases=(), refusals=())
    assert "drops gate_activation" in survivors("nnx", "LSTMCell-LSTMCell", poor)


def test_a_mutant_leaves_no_trace() -> None:
    harness = mutate.HARNESSES["equinox"]
    row = row_of("equinox", "Linear-Linear")
    mutant = next(iter(mutate.mutants(harness.bridge, row, {})))
    assert mutate.is_killed(harness, "Linear", mutant)
    assert mutate.is_killed(harness, "Linear", mutate.Mutant(row, "none")) is False
