"""The checks that rows give rise to: a right row passes, faults are found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import pytest

from interop_core import nn
from interop_core.layout import IDENTITY, axes
from interop_core.mapping import Opt, Refused, Tolerance, case, iso, leaf
from interop_core.testing import Call, Check, Harness, checks, filled, one_by_one


@pytest.mark.generated
def test_row_of_the_fake_framework(fake: Any, fake_check: Check) -> None:
    fake_check(fake.HARNESS)


def failures(fake: Any, row: Any) -> dict[str, str]:
    """Run all checks of one row of a bridge; the names of those that fail, and their words."""

    class Altered(fake.FakeBridge):  # type: ignore[misc]
        rows = (row,)

    harness = fake.FakeHarness(Altered())
    found = {}
    for check in checks(harness.bridge):
        try:
            check(harness)
        except Exception as error:
            found[check.name.rpartition("-")[2]] = str(error)
    return found


def dense(fake: Any, **changes: Any) -> Any:
    """The dense row with one square case, where only numbers tell a wrong layout."""
    return replace(fake.DENSE, **{"cases": (case(in_size=3, out_size=3),), **CASES, **changes})


CASES: dict[str, Any] = {"foreign_cases": (), "refusals": ()}


def test_a_right_row_passes(fake: Any) -> None:
    assert failures(fake, dense(fake)) == {}


def test_a_forgotten_transposition_is_found(fake: Any) -> None:
    leaves = (leaf("weight.weight", "matrix"), fake.DENSE.leaves[1])
    found = failures(fake, dense(fake, leaves=leaves))
    assert {"forward_agrees", "gradients_agree"} <= found.keys()


def test_an_array_left_out_is_found(fake: Any) -> None:
    found = failures(fake, dense(fake, leaves=fake.DENSE.leaves[:1]))
    assert "weight.bias" in found["forward_agrees"]


def test_an_array_named_twice_is_found(fake: Any) -> None:
    weight, bias = fake.DENSE.leaves
    twice = leaf("weight.weight", "matrix", axes("i o -> o i"))
    found = failures(fake, dense(fake, leaves=(weight, twice, bias)))
    assert "arrays_named_once" in found


@pytest.mark.parametrize(
    ("name", "side"), [("w_mask", "core"), ("precision", "core"), ("bias", "foreign")]
)
def test_a_parameter_without_a_word_is_found_by_its_name(fake: Any, name: str, side: str) -> None:
    def speaks_of_it(option: Any) -> bool:
        return name in (getattr(option, side, None), getattr(option, "name", None))

    options = tuple(option for option in fake.DENSE.options if not speaks_of_it(option))
    found = failures(fake, dense(fake, options=options))
    assert f"no word of {name}" in found["parameters_are_accounted_for"]


def test_an_option_that_no_class_has_is_found(fake: Any) -> None:
    options = (*fake.DENSE.options, Opt("rank", "outputs"))
    assert "rank" in failures(fake, dense(fake, options=options))["options_exist"]


def test_an_option_that_does_not_come_back_is_found(fake: Any) -> None:
    always = Opt("b_init", "bias", iso(lambda _: True, lambda _: nn.init.ZeroInit(), "lossy"))
    options = with_option(fake.DENSE.options, always)
    found = failures(fake, dense(fake, options=options, cases=(case(in_size=3, out_size=3),)))
    assert "constructor_agrees" not in found
    without = (case(in_size=3, out_size=3, b_init=None),)
    assert "constructor_agrees" in failures(fake, dense(fake, options=options, cases=without))


def with_option(options: tuple[Any, ...], new: Opt) -> tuple[Any, ...]:
    """The options with one in place of that of the same core parameter."""
    return tuple(new if getattr(o, "core", None) == new.core else o for o in options)


def test_a_row_without_cases_is_found(fake: Any) -> None:
    assert "row_has_cases" in failures(fake, dense(fake, cases=()))


def test_a_refusal_that_converts_is_found(fake: Any) -> None:
    refusal = Refused("core", case(in_size=3, out_size=3), "anything")
    found = failures(fake, dense(fake, refusals=(refusal,)))
    assert "nn.Linear was converted" in found["refusal0"]


def test_a_refusal_with_other_words_is_found(fake: Any) -> None:
    refusal = Refused("core", case(in_size=3, out_size=3, w_mask=0.5), "another reason")
    found = failures(fake, dense(fake, refusals=(refusal,)))
    assert "it says" in found["refusal0"]


def test_an_identity_that_copies_is_found(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(fake.TABLE, refusals=())
    assert failures(fake, row) == {}
    export = fake.FakeHarness.export

    def copying(harness: Harness, model: Any, sample_input: Any = None) -> Any:
        layer = export(harness, model, sample_input)
        inner = fake._inner(layer)
        inner.table = inner.table + 0
        return layer

    monkeypatch.setattr(fake.FakeHarness, "export", copying)
    assert "identity_shares_the_buffer" in failures(fake, row)


def test_a_tolerance_of_the_row_is_used(fake: Any) -> None:
    loose = Tolerance(10.0, 10.0, "so loose that a forgotten transposition passes")
    leaves = (leaf("weight.weight", "matrix"), fake.DENSE.leaves[1])
    row = dense(fake, leaves=leaves, tolerance=loose)
    assert "forward_agrees" not in failures(fake, row)


def test_names_of_checks_are_distinct(fake: Any) -> None:
    names = [check.name for check in checks(fake.BRIDGE)]
    assert len(set(names)) == len(names)


def test_filled_arrays_are_random_and_keep_shape_and_dtype() -> None:
    arrays = {"a": jnp.zeros((4, 5)), "var": jnp.zeros(4, jnp.bfloat16), "n": jnp.arange(3)}
    fresh = filled(arrays, lambda name: name == "var")
    assert {n: (a.shape, a.dtype) for n, a in fresh.items()} == {
        n: (a.shape, a.dtype) for n, a in arrays.items()
    }
    assert (fresh["var"] > 0).all()
    assert (fresh["a"] < 0).any()
    assert len(set(fresh["a"].ravel().tolist())) == 20
    assert fresh["n"] is arrays["n"]


def test_one_by_one_turns_the_channels_at_both_ends() -> None:
    call = Call(jnp.ones((2, 5, 6, 3)), 1, {"h": jnp.ones((2, 4))}, first_in=True, first_out=True)

    def on_one(x: Any, carry: Any) -> Any:
        assert x.shape == (3, 5, 6)
        assert carry["h"].shape == (4,)
        return x[:1], carry

    y, carry = one_by_one(on_one, call)
    assert y.shape == (2, 5, 6, 1)
    assert carry["h"].shape == (2, 4)


def test_the_identity_layout_is_the_only_one_of_the_table(fake: Any) -> None:
    assert fake.TABLE.leaves[0].at({}) is IDENTITY
