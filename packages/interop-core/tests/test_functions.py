"""Plain functions as layers: what a function, or a partial of one, says of itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from interop_core import nn
from interop_core.core_side import CORE
from interop_core.errors import Refusal
from interop_core.function_rows import EXAMPLE_AXIS, LAST_AXIS, activation_rows, flatten_row
from interop_core.functions import function_of, is_function, keywords_of, name_of, with_keywords
from interop_core.mapping import Config
from interop_core.options import parameters

NOTHING: Config = {"example": None}


@pytest.mark.parametrize(
    "value, expected",
    [
        (jnp.tanh, True),
        (jax.nn.relu, True),
        (partial(jax.nn.gelu, approximate=False), True),
        (lambda x: x, True),
        (nn.Linear, False),
        (None, False),
        (3, False),
    ],
)
def test_what_is_a_function(value: Any, expected: bool) -> None:
    assert is_function(value) is expected


def test_the_function_behind_a_partial() -> None:
    assert function_of(partial(jax.nn.gelu, approximate=False)) is jax.nn.gelu
    assert function_of(jax.nn.relu) is jax.nn.relu


def test_the_options_of_a_function_are_its_defaults() -> None:
    assert keywords_of(jax.nn.gelu) == {"approximate": True}
    assert keywords_of(partial(jax.nn.gelu, approximate=False)) == {"approximate": False}


def test_a_partial_that_hides_the_inputs_place_is_refused() -> None:
    with pytest.raises(Refusal, match=r"positional arguments \(1,\)") as caught:
        keywords_of(partial(jax.nn.softmax, 1))
    assert "keyword" in caught.value.advice


@pytest.mark.parametrize("value", [nn.Dropout, partial(nn.Dropout, prob=0.5)])
def test_what_makes_layers_is_none(value: Any) -> None:
    with pytest.raises(Refusal, match="makes Dropout layers") as caught:
        keywords_of(value)
    assert caught.value.advice == "make one: Dropout(...)"


def test_a_partial_of_what_is_no_option_is_refused() -> None:
    with pytest.raises(Refusal, match="x, which is no option"):
        keywords_of(partial(jax.nn.relu, x=1))


@pytest.mark.parametrize(
    "value, name",
    [
        (jnp.tanh, "tanh"),
        (jax.nn.relu, "relu"),
        (partial(jax.nn.gelu, approximate=False), "partial(gelu)"),
    ],
)
def test_a_function_has_a_name_for_people(value: Any, name: str) -> None:
    assert name_of(value) == name


def test_a_callable_object_is_named_by_its_class() -> None:
    class Halve:
        def __call__(self, x: Any) -> Any:
            return x / 2

    assert name_of(Halve()) == "Halve"


def test_defaults_need_no_partial() -> None:
    assert with_keywords(jax.nn.gelu, {"approximate": True}) is jax.nn.gelu
    made: Any = with_keywords(jax.nn.gelu, {"approximate": False})
    assert keywords_of(made) == {"approximate": False}


@pytest.mark.parametrize("row", activation_rows(), ids=lambda row: row.core.__name__)
def test_every_activation_is_the_function_that_it_names(row: Any) -> None:
    x = jnp.linspace(-3, 3, 24).reshape(4, 6)
    for case in row.cases:
        layer = row.core(**case.options)
        options = {o.foreign: getattr(layer, o.core) for o in row.options if hasattr(o, "core")}
        if "axis" in options and options["axis"] is None:
            options["axis"] = -1
        expected = row.foreign(x, **options)
        # Two ways to write the same function may round differently in the last place.
        assert jnp.allclose(layer(x), expected, rtol=1e-6, atol=1e-6)


def test_activations_convert_both_ways_once_each() -> None:
    rows = activation_rows()
    exported = [row.core for row in rows if row.exports]
    assert len(set(exported)) == len(exported)
    assert len({row.foreign for row in rows}) == len(rows)


class TestAxes:
    def test_of_an_array_as_it_comes(self) -> None:
        assert LAST_AXIS.to(None, NOTHING) == -1
        assert LAST_AXIS.to(1, NOTHING) == 1

    def test_of_one_example_are_counted_from_the_end(self) -> None:
        assert EXAMPLE_AXIS.to(None, NOTHING) == -1
        assert EXAMPLE_AXIS.to(-2, NOTHING) == -2
        with pytest.raises(Refusal, match="counted from the front"):
            EXAMPLE_AXIS.to(1, NOTHING)
        assert EXAMPLE_AXIS.back(0, {"example": (3, 4)}) == -2
        with pytest.raises(Refusal, match="from the front"):
            EXAMPLE_AXIS.back(0, NOTHING)

    @pytest.mark.parametrize(
        "options", [{}, {"start_axis": 1}, {"end_axis": 1}, {"start_axis": -2, "end_axis": -1}]
    )
    def test_flatten_is_a_collapse(self, options: dict[str, int]) -> None:
        layer = nn.Flatten(**options, in_size=(3, 4, 2))
        config = {"in_size": (3, 4, 2), "example": None}
        start, stop, _ = flatten_row().options
        x = jnp.arange(48).reshape(2, 3, 4, 2)
        collapsed = jax.lax.collapse(
            x,
            start.iso.to(layer.start_axis, config),  # type: ignore[union-attr]
            stop.iso.to(layer.end_axis, config),  # type: ignore[union-attr]
        )
        assert jnp.array_equal(layer(x), collapsed)


class TestFunctionsInCoreStacks:
    def test_a_known_function_is_the_layer_that_it_is(self) -> None:
        stack = nn.Sequential(nn.Linear(2, 2), jnp.tanh, partial(jax.nn.gelu, approximate=True))
        children = CORE.children(stack)
        assert children is not None
        assert [type(child) for child in children] == [nn.Linear, nn.Tanh, nn.GELU]
        assert children[2].approximate is True

    def test_another_function_stays_what_it_is(self) -> None:
        stack = nn.Sequential(nn.Linear(2, 2), jnp.sin)
        children = CORE.children(stack)
        assert children is not None
        assert children[1] is jnp.sin
        assert CORE.title(children[1]) == "sin"


def test_parameters_of_rows_exist_in_this_release_of_jax() -> None:
    for row in activation_rows():
        for option in row.options:
            if hasattr(option, "foreign"):
                assert option.foreign in parameters(row.foreign)
