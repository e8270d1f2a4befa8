"""Mutation testing tells a row that its checks watch from one that they do not."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import equivalent_mutants
import mutate
from interop_core.mapping import LayerMap
from interop_core.testing import named_rows


def row_of(framework: str, name: str) -> LayerMap:
    return dict(named_rows(mutate.HARNESSES[framework].bridge))[name]


def survivors(framework: str, name: str, row: LayerMap) -> list[str]:
    harness = mutate.HARNESSES[framework]
    made = list(mutate.mutants(harness.bridge, row, mutate.shapes_of(harness, name, row)))
    assert len(made) > 3
    judge = mutate.Judge(harness, name, row)
    found = [mutant.mistake for mutant in made if not judge.kills(mutant)]
    assert not judge.broken
    return found


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
    judge = mutate.Judge(harness, "Linear", row)
    assert judge.kills(mutant)
    assert judge.kills(mutate.Mutant(row, "none")) is False


def test_what_is_said_to_be_equivalent_is_a_row() -> None:
    for entry in equivalent_mutants.EQUIVALENT:
        for framework in entry.frameworks:
            names = [name for name, _ in named_rows(mutate.HARNESSES[framework].bridge)]
            assert any(re.fullmatch(entry.row, name) for name in names), entry
