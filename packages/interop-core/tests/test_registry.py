"""Rows, and what users put in front of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import pytest

from interop_core import nn, supported_layers
from interop_core.convert import plan_to
from interop_core.errors import (
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
)
from interop_core.mapping import Context, LayerMap, LayerMapping, Opt, case
from interop_core.registry import (
    convertible,
    for_core,
    for_foreign,
    register_layer_mapping,
    registrations,
    version,
)
from interop_core.state import ParamState


class Scale(nn.Module):
    """A user's own layer."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.gain = ParamState(jnp.full(3, factor))

    def update(self, x: Any) -> Any:
        return self.gain.value * x

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        return in_size


@dataclass
class Gain:
    """A user's own layer in the framework."""

    gain: Any

    arrays = ("gain",)

    def __call__(self, x: Any) -> Any:
        return self.gain * x


def by_hand(seen: list[Context] | None = None) -> LayerMapping:
    """Two functions that convert the one into the other."""
    contexts: list[Context] = [] if seen is None else seen

    def to_core(layer: Any, context: Context) -> Any:
        contexts.append(context)
        made = Scale(1.0)
        made.gain.value = layer.gain
        return made

    def to_foreign(layer: Any, context: Context) -> Any:
        contexts.append(context)
        return Gain(layer.gain.value)

    return LayerMapping(Scale, "fake", Gain, to_core, to_foreign)


class TestLookup:
    def test_of_a_core_class(self, fake: Any) -> None:
        assert for_core(fake.BRIDGE, nn.Linear) == (fake.DENSE,)
        assert for_core(fake.BRIDGE, Scale) == ()

    def test_of_a_foreign_class(self, fake: Any) -> None:
        assert for_foreign(fake.BRIDGE, fake.Dense) == (fake.DENSE,)
        assert for_foreign(fake.BRIDGE, fake.Halves) == (fake.HALVES,)
        assert for_foreign(fake.BRIDGE, Gain) == ()

    def test_a_row_that_is_only_read_is_not_found_from_the_core(self, fake: Any) -> None:
        class Alone(fake.FakeBridge):  # type: ignore[misc]
            rows = (fake.HALVES,)

        assert for_core(Alone(), nn.Linear) == ()

    def test_of_two_rows_the_one_that_is_chosen(self, fake: Any) -> None:
        stacked = replace(fake.DENSE, chosen=lambda config: config["stacked"], note="in stacks")

        class Two(fake.FakeBridge):  # type: ignore[misc]
            rows = (stacked, fake.DENSE)

        layer = nn.Linear(4, 4)
        alone = plan_to(Two(), layer).root.recipe
        assert alone is not None
        assert alone.entry is fake.DENSE
        children = plan_to(Two(), nn.Sequential(layer)).root.children
        assert children is not None
        assert children[0].recipe is not None
        assert children[0].recipe.entry is stacked

    def test_a_row_that_is_not_chosen_converts_nothing(self, fake: Any) -> None:
        class Picky(fake.FakeBridge):  # type: ignore[misc]
            rows = (replace(fake.DENSE, chosen=lambda config: config["stacked"]),)

        (problem,) = plan_to(Picky(), nn.Linear(4, 4)).problems
        assert problem.error is UnsupportedConfigurationError
        assert "no row takes this configuration" in problem.reason

    def test_an_exact_type_alone(self, fake: Any) -> None:
        class Mine(nn.Linear):
            """It may compute anything."""

        assert for_core(fake.BRIDGE, Mine) == ()

    def test_what_has_no_counterpart_says_why(self, fake: Any) -> None:
        with pytest.raises(UnsupportedLayerError, match="nothing here is random"):
            fake.to_fake(nn.Dropout(0.5))
        with pytest.raises(UnsupportedLayerError, match="draws numbers as it runs") as caught:
            fake.from_fake(fake.Oddity())
        assert caught.value.advice == "leave it out"


class TestConvertible:
    def test_names_are_sorted_and_leave_out_what_has_no_counterpart(self, fake: Any) -> None:
        names = convertible(fake.BRIDGE)
        assert names == sorted(names)
        assert {"Linear", "Conv2d", "Embedding", "ReLU"} <= set(names)
        assert "Dropout" not in names

    def test_what_is_registered_counts(self, fake: Any) -> None:
        with registrations():
            register_layer_mapping(by_hand())
            assert "Scale" in convertible(fake.BRIDGE)
        assert "Scale" not in convertible(fake.BRIDGE)


class TestRegistrations:
    def test_two_functions_convert_a_layer(self, fake: Any) -> None:
        model = nn.Sequential(nn.Linear(3, 3), Scale(2.0))
        with registrations():
            register_layer_mapping(by_hand())
            there = fake.to_fake(model)
            assert isinstance(there.layers[1], Gain)
            back = fake.from_fake(fake.Stack(there.layers[0], there.layers[1]))
            assert isinstance(back.layers[1], Scale)
            assert back.layers[1].gain.value is model.layers[1].gain.value

    def test_they_hear_where_the_layer_is(self, fake: Any) -> None:
        seen: list[Context] = []
        with registrations():
            register_layer_mapping(by_hand(seen))
            fake.to_fake(nn.Sequential(nn.Linear(3, 3), nn.Sequential(Scale(2.0))))
        assert seen == [Context("fake", ("layers", 1, "layers", 0), (3,))]

    def test_a_row_does_as_well(self, fake: Any) -> None:
        class Wide(fake.Dense):  # type: ignore[misc]
            """Another class of the framework."""

        row = replace(fake.DENSE, foreign=Wide)
        with registrations():
            register_layer_mapping(row, framework="fake")
            assert type(fake.to_fake(nn.Linear(2, 3))) is Wide
            # What the bridge's own rows read, they still read.
            assert type(fake.from_fake(fake.Dense(2, 3))) is nn.Linear
        assert type(fake.to_fake(nn.Linear(2, 3))) is fake.Dense

    def test_the_last_stands_in_front(self, fake: Any) -> None:
        class A(fake.Dense):  # type: ignore[misc]
            pass

        class B(fake.Dense):  # type: ignore[misc]
            pass

        with registrations():
            register_layer_mapping(replace(fake.DENSE, foreign=A), framework="fake")
            register_layer_mapping(replace(fake.DENSE, foreign=B), framework="fake")
            assert type(fake.to_fake(nn.Linear(2, 3))) is B
            assert type(fake.from_fake(A(2, 3))) is nn.Linear

    def test_scopes_nest(self, fake: Any) -> None:
        with registrations():
            register_layer_mapping(by_hand())
            with registrations():
                register_layer_mapping(replace(fake.DENSE, foreign=Gain), framework="fake")
                assert for_core(fake.BRIDGE, nn.Linear) != (fake.DENSE,)
                assert for_core(fake.BRIDGE, Scale)
            assert for_core(fake.BRIDGE, nn.Linear) == (fake.DENSE,)
            assert for_core(fake.BRIDGE, Scale)
        assert for_core(fake.BRIDGE, Scale) == ()

    def test_a_scope_ends_with_an_error_as_well(self, fake: Any) -> None:
        def fail() -> None:
            with registrations():
                register_layer_mapping(by_hand())
                raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError, match="in the middle"):
            fail()
        assert for_core(fake.BRIDGE, Scale) == ()

    def test_one_framework_does_not_see_anothers(self, fake: Any) -> None:
        with registrations():
            register_layer_mapping(replace(by_hand(), framework="elsewhere"))
            assert for_core(fake.BRIDGE, Scale) == ()
            with pytest.raises(UnmappedLayerError):
                fake.to_fake(Scale(1.0))

    def test_what_was_worked_out_before_is_not_used_after(self, fake: Any) -> None:
        model = nn.Linear(2, 3)
        assert type(fake.to_fake(model)) is fake.Dense
        before = version()
        with registrations():
            register_layer_mapping(
                LayerMapping(nn.Linear, "fake", Gain, lambda f, _: f, lambda c, _: Gain(c))
            )
            assert type(fake.to_fake(model)) is Gain
        assert type(fake.to_fake(model)) is fake.Dense
        assert version() > before


class TestErrors:
    def test_a_row_needs_its_framework(self, fake: Any) -> None:
        with pytest.raises(TypeError, match="which framework"):
            register_layer_mapping(fake.DENSE)

    def test_two_functions_name_their_own(self) -> None:
        with registrations(), pytest.raises(TypeError, match="for 'fake', not for 'nnx'"):
            register_layer_mapping(by_hand(), framework="nnx")
        with registrations():
            register_layer_mapping(by_hand(), framework="fake")

    @pytest.mark.parametrize("mapping", [None, nn.Linear, (nn.Linear, Gain), {}])
    def test_nothing_else_is_a_mapping(self, mapping: Any) -> None:
        with pytest.raises(TypeError, match="expected a LayerMapping or a LayerMap"):
            register_layer_mapping(mapping)

    def test_nothing_is_registered_then(self, fake: Any) -> None:
        before = convertible(fake.BRIDGE)
        with pytest.raises(TypeError, match="expected"):
            register_layer_mapping("Linear")  # type: ignore[arg-type]
        assert convertible(fake.BRIDGE) == before


def test_a_row_of_several_is_chosen_by_the_configuration(fake: Any) -> None:
    narrow = replace(fake.DENSE, select=lambda config: config["inputs"] < 3, foreign_cases=())
    options = (*fake.DENSE.options[:2], Opt("b_init", "bias", fake.DENSE.options[2].iso))
    wide = LayerMap(
        nn.Linear,
        fake.Dense,
        (*options, *fake.DENSE.options[3:]),
        fake.DENSE.leaves,
        select=lambda config: 3 <= config["inputs"] < 5,
        cases=(case(in_size=3, out_size=3),),
        exports=False,
    )

    class Chosen(fake.FakeBridge):  # type: ignore[misc]
        rows = (narrow, wide)

    bridge = Chosen()
    assert for_foreign(bridge, fake.Dense) == (narrow, wide)
    harness = fake.FakeHarness(bridge)
    assert harness.import_(fake.Dense(4, 2)).in_size == (4,)
    with pytest.raises(UnsupportedLayerError, match="no row takes this configuration"):
        harness.import_(fake.Dense(6, 2))


def test_supported_layers_are_read_off_the_rows(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from interop_core import api

    monkeypatch.setattr(api, "find_bridge", lambda name: fake.BRIDGE)
    monkeypatch.setattr(api, "installed_bridges", lambda: {"fake": fake.BRIDGE})
    assert supported_layers("fake") == {"fake": convertible(fake.BRIDGE)}
    assert supported_layers() == {"fake": convertible(fake.BRIDGE)}
