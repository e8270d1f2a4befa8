"""Layers of the frameworks with anything in any of their parameters: right, or refused."""

from __future__ import annotations

from collections import Counter

import pytest

import fuzz

EXAMPLES = 16
"""As many as a test run has time for; ``python scripts/fuzz.py`` draws as many as wanted."""


@pytest.mark.parametrize("framework", fuzz.KINDS)
def test_whatever_a_framework_accepts_converts_rightly_or_not_at_all(framework: str) -> None:
    seen: Counter[str] = Counter()
    for seed, verdict, text in fuzz.examples(framework, seed=20, count=EXAMPLES):
        assert not fuzz.bad(verdict), f"seed {seed}: {verdict}\n{text}"
        seen[verdict] += 1
    assert seen["agrees"] > 0, "nothing was compared"
    assert seen["refused"] > 0, "nothing odd was drawn"


def test_a_wrong_model_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "TOLERANCE", {2: -1.0, 4: -1.0, 8: -1.0})
    verdicts = [verdict for _, verdict, _ in fuzz.examples("nnx", seed=0, count=20)]
    assert any(map(fuzz.bad, verdicts))
