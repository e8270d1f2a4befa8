"""The table of a plan, for a terminal, for rich and for a notebook."""

from __future__ import annotations

import importlib.util
import io
import re
from typing import Any

import pytest

from interop_core import Explanation, explain, nn
from interop_core.convert import plan_from, plan_to
from interop_core.errors import NotAModelError, UnknownFrameworkError, UnmappedLayerError


def network() -> nn.Sequential:
    tied = nn.Linear(4, 4)
    return nn.Sequential(
        nn.Conv2d((5, 6, 2), 3, (2, 2), padding="VALID"),
        nn.Flatten(in_size=(4, 5, 3)),
        nn.Linear(60, 4),
        nn.Sequential(tied, nn.ReLU(), tied),
    )


class TestRows:
    def test_one_for_each_layer(self, fake: Any) -> None:
        rows = Explanation(plan_to(fake.BRIDGE, network())).rows
        assert [row.path for row in rows] == [
            "layers[0]",
            "layers[1]",
            "layers[1]",
            "layers[2]",
            "layers[3].layers[0]",
            "layers[3].layers[1]",
            "layers[3].layers[2]",
        ]
        assert [row.target for row in rows] == [
            "fake.Filter",
            "axis move",
            "fake.Apply(collapse)",
            "fake.Dense",
            "fake.Dense",
            "fake.Apply(relu)",
            "same as layers[3].layers[0]",
        ]

    def test_sizes_count_a_tied_layer_once(self, fake: Any) -> None:
        rows = Explanation(plan_to(fake.BRIDGE, network())).rows
        assert [row.parameters for row in rows] == [24, 0, 0, 244, 20, 0, 0]
        assert [row.bytes for row in rows] == [4 * row.parameters for row in rows]

    def test_layouts_are_written_out(self, fake: Any) -> None:
        (row,) = Explanation(plan_to(fake.BRIDGE, nn.Linear(3, 4))).rows
        assert row.layouts == "weight.weight: i o -> o i; weight.bias: ="

    def test_leading_axes_are_mentioned(self, fake: Any) -> None:
        (row,) = Explanation(plan_to(fake.BRIDGE, nn.Linear((5, 3), (5, 4)))).rows
        assert row.target == "fake.Dense over 1 leading axes"

    def test_a_move_that_the_data_needs_no_more_says_so(self, fake: Any) -> None:
        there = fake.to_fake(network())
        rows = Explanation(plan_from(fake.BRIDGE, there, sample_input=(5, 6, 2))).rows
        assert "nothing: the data lies so already" in [row.target for row in rows]

    def test_abstract_models_are_explained_as_well(self, fake: Any) -> None:
        with nn.init.abstract():
            model = nn.Linear(10**5, 10**5)
        (row,) = Explanation(plan_to(fake.BRIDGE, model)).rows
        assert row.parameters == 10**10 + 10**5


class TestText:
    def test_the_title_says_how_much_from_where_to_where(self, fake: Any) -> None:
        title = Explanation(plan_to(fake.BRIDGE, network())).title
        assert title == ("the core to Fakery: 7 layers, 288 parameters, 1,152 bytes, converts")

    def test_columns_stand_under_their_headings(self, fake: Any) -> None:
        lines = str(Explanation(plan_to(fake.BRIDGE, nn.Sequential(nn.Linear(3, 4))))).splitlines()
        assert lines[1].split() == ["path", "from", "to", "layouts", "parameters", "bytes"]
        assert lines[2].startswith("layers[0]  nn.Linear  fake.Dense")
        assert lines[2].index("fake.Dense") == lines[1].index("to")
        assert len(lines[1]) == len(lines[2])

    def test_the_ends_are_told_where_they_differ(self, fake: Any) -> None:
        boundary = Explanation(plan_to(fake.BRIDGE, network())).boundary
        assert boundary == "The Fakery model takes one example with the channels first."
        conv = nn.Conv2d((5, 6, 2), 3, (2, 2), padding="VALID")
        assert "takes and gives" in Explanation(plan_to(fake.BRIDGE, conv)).boundary
        assert Explanation(plan_to(fake.BRIDGE, nn.Linear(3, 4))).boundary == ""

    def test_every_problem_is_written_out(self, fake: Any) -> None:
        model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 4, w_mask=0.5))
        explanation = Explanation(plan_to(fake.BRIDGE, model))
        assert not explanation.convertible
        assert explanation.title.endswith("2 problems")
        assert len(re.findall("^problem: ", str(explanation), re.MULTILINE)) == 2
        assert [row.target for row in explanation.rows] == ["?", "?"]

    def test_a_model_that_converts_says_so(self, fake: Any) -> None:
        assert Explanation(plan_to(fake.BRIDGE, network())).convertible
        assert repr(Explanation(plan_to(fake.BRIDGE, network()))).startswith("the core to")


class TestHtml:
    def test_what_could_be_markup_is_escaped(self, fake: Any) -> None:
        def odd(x: Any) -> Any:
            return x

        odd.__name__ = "<b>odd</b>"
        model = nn.Sequential(nn.Linear(3, 4), odd)
        text = Explanation(plan_to(fake.BRIDGE, model))._repr_html_()
        assert "<b>" not in text
        assert "&lt;b&gt;odd" in text
        assert text.count("<tr>") == 3
        assert text.count("<li>") == 1

    def test_without_problems_there_is_no_list(self, fake: Any) -> None:
        text = Explanation(plan_to(fake.BRIDGE, network()))._repr_html_()
        assert "<li>" not in text
        assert "<table>" in text


@pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="rich is not installed")
def test_rich_prints_the_same_table(fake: Any) -> None:
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(Explanation(plan_to(fake.BRIDGE, nn.Sequential(nn.Dropout(0.5), network()))))
    text = console.export_text()
    for word in ("fake.Filter", "axis move", "problem: layers[0] (nn.Dropout)", "parameters"):
        assert word in text


class TestExplain:
    @pytest.fixture(autouse=True)
    def only_fake(self, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if the fake framework were the one installed."""
        from interop_core import api, discovery

        def find(name: str) -> Any:
            if name != "fake":
                raise discovery._unknown(name)
            return fake.BRIDGE

        monkeypatch.setattr(api, "find_bridge", find)
        monkeypatch.setattr(api, "installed_bridges", lambda: {"fake": fake.BRIDGE})

    def test_out_of_the_core(self, fake: Any) -> None:
        assert explain(network(), to="fake").convertible

    def test_into_the_core(self, fake: Any) -> None:
        there = fake.to_fake(network())
        assert explain(there, to="core", sample_input=(5, 6, 2)).convertible
        assert not explain(there, to="core").convertible

    def test_problems_are_shown_and_not_raised(self, fake: Any) -> None:
        class Mine(nn.Linear):
            pass

        (problem,) = explain(Mine(3, 3), to="fake").problems
        assert problem.error is UnmappedLayerError

    def test_an_unknown_framework_is_an_error(self, fake: Any) -> None:
        for model in (network(), fake.Dense(3, 2)):
            with pytest.raises(UnknownFrameworkError, match="'nowhere'"):
                explain(model, to="nowhere")

    @pytest.mark.parametrize("model", [None, nn.Linear, 3])
    def test_what_is_no_model_is_an_error(self, model: Any) -> None:
        with pytest.raises(NotAModelError):
            explain(model, to="fake")
