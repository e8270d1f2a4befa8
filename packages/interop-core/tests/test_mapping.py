"""The words that rows are written in."""

from __future__ import annotations

from typing import Any

import pytest

from interop_core import nn
from interop_core.errors import MissingShapeError, Refusal
from interop_core.layout import IDENTITY, Layout, Split, axes
from interop_core.mapping import (
    COMPLEMENT,
    FEATURES,
    HAS,
    OUT_FEATURES,
    SAME,
    SPATIAL,
    Case,
    Config,
    LayerMap,
    case,
    ignored,
    iso,
    leaf,
    table,
)

NOTHING: Config = {"example": None}


class Foreign:
    """Somebody's layer."""


class TestIsos:
    def test_the_same_value_is_the_same(self) -> None:
        value = object()
        assert SAME.to(value, NOTHING) is value
        assert SAME.back(value, NOTHING) is value

    @pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.3, 0.7, 0.9, 0.999, 1.0, 1e-3, 0.123456789])
    def test_the_complement_comes_back_to_the_bit(self, rate: float) -> None:
        there = COMPLEMENT.to(rate, NOTHING)
        assert there == pytest.approx(1 - rate)
        assert COMPLEMENT.back(there, NOTHING) == rate

    def test_an_iso_of_the_value_alone(self) -> None:
        double = iso(lambda v: 2 * v, lambda v: v // 2, "twice")
        assert double.to(3, NOTHING) == 6
        assert double.back(6, NOTHING) == 3
        assert double.doc == "twice"

    def test_a_table_goes_both_ways_and_refuses_the_rest(self) -> None:
        modes = table({"ZEROS": "constant", "REFLECT": "reflect"})
        assert modes.to("ZEROS", NOTHING) == "constant"
        assert modes.back("reflect", NOTHING) == "REFLECT"
        with pytest.raises(Refusal, match="'WRAP' has no counterpart") as caught:
            modes.to("WRAP", NOTHING)
        assert caught.value.advice == "use one of 'ZEROS', 'REFLECT'"

    def test_a_table_refuses_what_cannot_be_looked_up(self) -> None:
        with pytest.raises(Refusal, match=r"\[1\] has no counterpart"):
            table({1: 2}).to([1], NOTHING)

    def test_a_flag_out_of_an_initializer(self) -> None:
        assert HAS.to(None, NOTHING) is False
        assert HAS.to(nn.init.Normal(), NOTHING) is True
        assert HAS.back(False, NOTHING) is None
        assert HAS.back(True, NOTHING) == nn.init.ZeroInit()


class TestSizes:
    def test_features_are_the_last_axis(self) -> None:
        assert FEATURES.to((5, 3), NOTHING) == 3
        assert FEATURES.back(3, NOTHING) == (3,)
        assert FEATURES.back(3, {"example": (5, 3)}) == (5, 3)

    def test_an_unknown_size_is_refused(self) -> None:
        with pytest.raises(Refusal, match="in_size is not known"):
            FEATURES.to(None, NOTHING)

    def test_features_that_the_example_does_not_have_are_refused(self) -> None:
        with pytest.raises(Refusal, match=r"takes 3 channels.*\(3, 5\)") as caught:
            FEATURES.back(3, {"example": (3, 5)})
        assert caught.value.error is MissingShapeError

    def test_an_empty_example_is_refused(self) -> None:
        with pytest.raises(Refusal, match=r"\(\)"):
            FEATURES.back(3, {"example": ()})

    def test_out_features_keep_the_sizes_before(self) -> None:
        assert OUT_FEATURES.back(4, NOTHING) == (4,)
        assert OUT_FEATURES.back(4, {"example": (5, 3)}) == (5, 4)

    def test_a_spatial_layer_needs_the_example(self) -> None:
        assert SPATIAL.to((8, 8, 3), NOTHING) == 3
        assert SPATIAL.back(3, {"example": (8, 8, 3)}) == (8, 8, 3)
        with pytest.raises(Refusal, match="not known") as caught:
            SPATIAL.back(3, NOTHING)
        assert caught.value.error is MissingShapeError
        assert "sample_input" in caught.value.advice


class TestRows:
    def test_names_of_arrays_are_split(self) -> None:
        entry = leaf("W.weight W.bias", "kernel")
        assert entry.core == ("W.weight", "W.bias")
        assert entry.foreign == ("kernel",)
        assert entry.layout is IDENTITY
        assert entry.when({})

    def test_a_layout_may_depend_on_the_configuration(self) -> None:
        def halves(config: Config) -> Layout:
            return Split((config["n"], config["n"]), 0)

        assert leaf("a", "b c", halves).at({"n": 2}) == Split((2, 2), 0)
        assert leaf("a", "b", axes("i o -> o i")).at({}) == axes("i o -> o i")

    def test_a_case_keeps_input_apart_from_options(self) -> None:
        assert case(a=1, input=(2,), below=3) == Case({"a": 1}, (2,), 3)

    def test_ignored_names_are_split(self) -> None:
        assert ignored("core", "a b", "they start it").names == ("a", "b")

    def test_channels_may_depend_on_the_configuration(self) -> None:
        row = LayerMap(nn.Linear, Foreign, channels=lambda c: "first" if c["n"] > 1 else "any")
        assert row.channels_at({"n": 2}) == "first"
        assert row.channels_at({"n": 1}) == "any"
        assert LayerMap(nn.Linear, Foreign).channels_at({}) == "same"

    def test_rows_are_immutable(self) -> None:
        row: Any = LayerMap(nn.Linear, Foreign)
        with pytest.raises(AttributeError, match="cannot assign"):
            row.core = nn.ReLU
