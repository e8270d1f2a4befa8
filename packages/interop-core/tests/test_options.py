"""The closed world of options: what a row does not speak of converts at its default alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import nn
from interop_core.errors import MissingShapeError, Refusal, UnsupportedConfigurationError
from interop_core.mapping import Config, Given, LayerMap, Only, Opt, Side, ignored, iso
from interop_core.options import CORE_IGNORED, REQUIRED, Translation, parameters, same


class Here:
    """A layer of the core."""

    def __init__(
        self, size: int, mode: str = "plain", scale: float = 1.0, seed: int = 0
    ) -> None: ...


class There:
    """A layer of a framework."""

    def __init__(self, width: int, kind: str = "plain", gain: float = 1.0) -> None: ...


def translate(
    options: tuple[Any, ...], config: Config, source: Side = "core", ignored: str = "seed"
) -> Translation:
    row = LayerMap(Here, There, options)
    return Translation(row, source, config, frozenset(ignored.split()))


def complaints(translation: Translation) -> list[tuple[str, Any, str]]:
    return [(name, value, refusal.reason) for name, value, refusal in translation.complaints]


SIZE = Opt("size", "width")


class TestTranslation:
    def test_a_mapped_option_goes_over(self) -> None:
        found = translate((SIZE,), {"size": 3, "mode": "plain", "scale": 1.0})
        assert found.options == {"width": 3}
        assert not found.complaints
        assert translate((SIZE,), {"width": 3}, "foreign").options == {"size": 3}

    def test_an_option_off_its_default_that_nobody_speaks_of_is_a_complaint(self) -> None:
        found = translate((SIZE,), {"size": 3, "mode": "odd", "scale": 2.0})
        assert complaints(found) == [
            ("mode", "odd", "mode='odd' is not understood"),
            ("scale", 2.0, "scale=2.0 is not understood"),
        ]

    def test_so_is_one_of_the_framework(self) -> None:
        found = translate((SIZE,), {"width": 3, "kind": "odd"}, "foreign")
        assert complaints(found) == [("kind", "odd", "kind='odd' is not understood")]

    def test_an_option_without_default_has_to_be_spoken_of(self) -> None:
        assert complaints(translate((), {"size": 3})) == [("size", 3, "size=3 is not understood")]

    def test_an_ignored_option_may_be_anything(self) -> None:
        config = {"size": 3, "mode": "odd", "seed": 7}
        row = (SIZE, ignored("core", "mode", "it changes nothing"))
        assert not translate(row, config).complaints

    def test_what_one_side_ignores_the_other_does_not(self) -> None:
        config = {"size": 3, "mode": "odd"}
        assert translate((SIZE, ignored("foreign", "mode", "")), config).complaints

    def test_a_pinned_option_must_hold_and_is_given_on_the_way_in(self) -> None:
        row = (SIZE, Only("core", "mode", "odd", "do it by hand"))
        assert not translate(row, {"size": 3, "mode": "odd"}).complaints
        assert translate(row, {"width": 3}, "foreign").options == {"size": 3, "mode": "odd"}
        (name, value, refusal) = translate(row, {"size": 3, "mode": "plain"}).complaints[0]
        assert (name, value) == ("mode", "plain")
        assert refusal.reason == "mode='plain' has no counterpart"
        assert refusal.advice == "do it by hand"

    def test_a_pinned_option_says_its_value_where_the_row_has_no_advice(self) -> None:
        found = translate((SIZE, Only("core", "mode", "odd")), {"size": 3, "mode": "plain"})
        assert found.complaints[0][2].advice == "use mode='odd'"

    def test_a_given_option_is_checked_on_the_way_out(self) -> None:
        def not_odd(value: Any, _: Config) -> None:
            if value == "odd":
                raise Refusal("odd is odd")

        row = (SIZE, Given("core", "mode", "given", not_odd))
        assert not translate(row, {"size": 3, "mode": "anything"}).complaints
        assert complaints(translate(row, {"size": 3, "mode": "odd"})) == [
            ("mode", "odd", "odd is odd")
        ]
        assert translate(row, {"width": 3}, "foreign").options == {"size": 3, "mode": "given"}

    def test_a_value_that_an_iso_refuses_is_a_complaint(self) -> None:
        def no(_: Any) -> Any:
            raise Refusal("no such size", "take another", MissingShapeError)

        row = (Opt("size", "width", iso(no, no, "never")),)
        found = translate(row, {"size": 3})
        assert list(found.errors()) == [(MissingShapeError, "size", 3, found.complaints[0][2])]

    def test_a_value_that_no_iso_can_read_is_a_complaint(self) -> None:
        found = translate((Opt("size", "width", iso(tuple, tuple, "")),), {"size": 3})
        assert complaints(found) == [("size", 3, "size=3 is not understood")]

    def test_a_complaint_is_about_the_configuration_unless_it_says_otherwise(self) -> None:
        (error, *_) = next(translate((), {"size": 3}).errors())
        assert error is UnsupportedConfigurationError

    def test_two_options_that_ask_for_two_values_of_one_are_a_complaint(self) -> None:
        row = (SIZE, Opt("scale", "width"))
        assert not translate(row, {"size": 1, "scale": 1.0}).complaints
        (complaint,) = complaints(translate(row, {"size": 3, "scale": 2.0}))
        assert complaint[0] == "scale"
        assert "another option for 3" in complaint[2]

    def test_every_complaint_is_collected(self) -> None:
        row = (SIZE, Only("core", "mode", "odd"))
        found = translate(row, {"size": 3, "mode": "plain", "scale": 5.0})
        assert [name for name, *_ in found.complaints] == ["mode", "scale"]

    def test_the_state_types_of_the_core_say_what_to_do(self) -> None:
        class Frozen(nn.Linear):
            """Only its name is used."""

        row = LayerMap(nn.Linear, There, (Opt("in_size", "width"), Opt("out_size", "width")))
        config = {"in_size": 3, "out_size": 3, "param_type": Frozen}
        found = Translation(row, "core", config, frozenset(CORE_IGNORED.names))
        (complaint,) = found.complaints
        assert complaint[0] == "param_type"
        assert "default state types" in complaint[2].advice


class TestParameters:
    def test_of_a_class(self) -> None:
        assert parameters(There) == {"width": REQUIRED, "kind": "plain", "gain": 1.0}

    def test_of_a_function_behind_its_first(self) -> None:
        assert parameters(jax.nn.gelu) == {"approximate": True}

    def test_variadic_ones_are_left_out(self) -> None:
        def function(x: Any, *args: Any, a: int = 1, **options: Any) -> None: ...

        assert parameters(function) == {"a": 1}

    def test_of_what_does_not_say(self) -> None:
        assert parameters(min) in ({}, parameters(min))


class TestSame:
    @pytest.mark.parametrize(
        "a, b, expected",
        [
            (1, 1, True),
            (1, 2, False),
            ((1, 2), (1, 2), True),
            (None, None, True),
            (None, 0, False),
            ("a", "a", True),
            (jnp.tanh, jnp.tanh, True),
            (jnp.tanh, jax.nn.relu, False),
            (jnp.float32, jnp.float32, True),
            (1.0, 1, True),
        ],
    )
    def test_of_values(self, a: Any, b: Any, expected: bool) -> None:
        assert same(a, b) is expected

    def test_arrays_only_where_they_are_the_same_object(self) -> None:
        array = np.ones(3)
        assert same(array, array)
        assert not same(array, np.ones(3))
        assert not same(array, 1)
        assert not same(None, jnp.ones(3))

    def test_what_cannot_be_compared_is_not_the_same(self) -> None:
        class Stubborn:
            def __eq__(self, other: object) -> bool:
                raise RuntimeError("never")

            __hash__ = None  # type: ignore[assignment]

        assert not same(Stubborn(), Stubborn())

    def test_two_partials_are_two(self) -> None:
        assert not same(partial(jnp.tanh), partial(jnp.tanh))
