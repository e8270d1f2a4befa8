"""What a conversion will do: paths, ties, sizes, channels, and every problem at once."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import nn
from interop_core.convert import plan_from, plan_to
from interop_core.errors import (
    ConversionError,
    InteropError,
    MissingShapeError,
    NotAModelError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    format_path,
)
from interop_core.layout import axes
from interop_core.plan import Plan
from interop_core.state import ParamState


class Mine(nn.Linear):
    """A subclass, which may compute anything."""


class Residual(nn.Module):
    """A forward of its own around a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def update(self, x: Any) -> Any:
        return x + self.inner(x)


class Tower(nn.Sequential):
    """A stack with a class of its own."""


def conv(channels: int = 2, out: int = 3, size: tuple[int, ...] = (5, 6)) -> nn.Conv2d:
    return nn.Conv2d((*size, channels), out, (2, 2), padding="VALID")


def titles(plan: Plan) -> list[str]:
    """What stands in the target, in order."""
    return [
        node.recipe.title
        for node in plan.root.walk()
        if node.recipe is not None and not node.absorbed
    ]


def problems(plan: Plan) -> dict[str, type[InteropError]]:
    return {format_path(problem.path): problem.error for problem in plan.problems}


class TestWalk:
    def test_paths_name_every_layer(self, fake: Any) -> None:
        model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
        plan = plan_to(fake.BRIDGE, model)
        assert [format_path(node.path) for node in plan.root.walk()] == [
            "model",
            "layers[0]",
            "layers[1]",
            "layers[1].layers[0]",
            "layers[1].layers[1]",
        ]
        assert [node.title for node in plan.root.walk()] == [
            "nn.Sequential",
            "nn.Linear",
            "nn.Sequential",
            "nn.ReLU",
            "nn.Linear",
        ]

    def test_a_plan_names_the_way_of_every_array(self, fake: Any) -> None:
        (node,) = plan_to(fake.BRIDGE, nn.Linear(3, 4)).root.walk()
        assert node.recipe is not None
        (weight, bias) = node.recipe.moves
        assert (weight.source, weight.target) == (("weight.weight",), ("matrix",))
        assert weight.layout == axes("i o -> o i")
        assert (bias.source, bias.target) == (("weight.bias",), ("offset",))
        assert node.recipe.target_options == {"inputs": 3, "outputs": 4, "bias": True}

    def test_planning_touches_no_array(self, fake: Any) -> None:
        with nn.init.abstract():
            model = nn.Sequential(nn.Linear(10**6, 10**6), nn.Linear(10**6, 10**6))
        assert plan_to(fake.BRIDGE, model).require().problems == ()

    def test_layers_of_one_configuration_share_a_recipe(self, fake: Any) -> None:
        plan = plan_to(fake.BRIDGE, nn.Sequential(*(nn.Linear(4, 4) for _ in range(3))))
        recipes = [node.recipe for node in plan.root.children or ()]
        assert len(recipes) == 3
        assert len(set(map(id, recipes))) == 1

    def test_an_empty_stack_is_a_stack(self, fake: Any) -> None:
        assert plan_to(fake.BRIDGE, nn.Sequential()).require().root.children == []
        assert fake.to_fake(nn.Sequential()).layers == []
        assert fake.from_fake(fake.Stack()).layers == []

    def test_a_stack_of_one_stays_a_stack(self, fake: Any) -> None:
        there = fake.to_fake(nn.Sequential(nn.Linear(3, 4)))
        assert type(there) is fake.Stack
        assert type(fake.from_fake(there)) is nn.Sequential


class TestTies:
    def test_a_layer_in_two_places_is_planned_once(self, fake: Any) -> None:
        layer = nn.Linear(3, 3)
        plan = plan_to(fake.BRIDGE, nn.Sequential(layer, nn.ReLU(), layer))
        children = plan.root.children or []
        assert children[2].first is children[0]

    def test_it_stays_one_layer_both_ways(self, fake: Any) -> None:
        layer = nn.Linear(3, 3)
        there = fake.to_fake(nn.Sequential(layer, nn.ReLU(), nn.Sequential(layer)))
        assert there.layers[0] is there.layers[2].layers[0]
        back = fake.from_fake(there)
        assert back.layers[0] is back.layers[2].layers[0]

    def test_equal_layers_stay_two(self, fake: Any) -> None:
        there = fake.to_fake(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)))
        assert there.layers[0] is not there.layers[1]

    def test_a_stack_in_two_places_stays_one(self, fake: Any) -> None:
        inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        there = fake.to_fake(nn.Sequential(inner, inner))
        assert there.layers[0] is there.layers[1]
        back = fake.from_fake(there)
        assert back.layers[0] is back.layers[1]

    def test_a_layer_lifted_in_one_place_is_the_same_in_the_other(self, fake: Any) -> None:
        layer = nn.Linear(3, 3)
        model = nn.Sequential(layer, nn.Flatten(in_size=(2, 3)), nn.Linear(6, 3), layer)
        there = fake.to_fake(model)
        assert type(there.layers[0]) is fake.Over
        assert there.layers[0].layer is there.layers[3]
        back = fake.from_fake(there, sample_input=(2, 3))
        assert back.layers[0] is back.layers[3]

    def test_a_stack_on_two_shapes_is_refused_where_the_framework_sees_shapes(
        self, fake: Any
    ) -> None:
        inner = nn.Sequential(nn.Linear(3, 3))
        model = nn.Sequential(inner, nn.Flatten(in_size=(2, 3)), nn.Linear(6, 3), inner)
        plan = plan_to(fake.BRIDGE, model, sample_input=(2, 3))
        assert problems(plan) == {"layers[3]": UnsupportedStructureError}


class TestSizes:
    def test_they_propagate_from_the_sample(self, fake: Any) -> None:
        stack = fake.Stack(fake.Filter(2, 3, (2, 2)), fake.Filter(3, 4, (3, 3)))
        back = fake.from_fake(stack, sample_input=(6, 7, 2))
        assert back.layers[0].in_size == (6, 7, 2)
        assert back.layers[1].in_size == (5, 6, 3)

    def test_an_array_stands_for_its_shape(self, fake: Any) -> None:
        layer = fake.Filter(2, 3, (2, 2))
        for sample in (jnp.ones((6, 7, 2)), np.ones((6, 7, 2)), [6, 7, 2], (6, 7, 2)):
            assert fake.from_fake(layer, sample_input=sample).in_size == (6, 7, 2)

    def test_a_layer_that_needs_its_size_says_so(self, fake: Any) -> None:
        plan = plan_from(fake.BRIDGE, fake.Stack(fake.Filter(2, 3, (2, 2))))
        assert problems(plan) == {"layers[0]": MissingShapeError}
        assert "sample_input" in plan.problems[0].advice

    @pytest.mark.parametrize("sample", [(2, 5, 6), (5, 2), (1, 5, 6, 3), (5, 6, 3)])
    def test_a_sample_that_does_not_fit_is_refused(
        self, fake: Any, sample: tuple[int, ...]
    ) -> None:
        with pytest.raises(MissingShapeError, match="channels"):
            fake.from_fake(fake.Filter(2, 3, (2, 2)), sample_input=sample)

    @pytest.mark.parametrize("sample", ["big", 3.5, (0, 3), (2.0, 3), object()])
    def test_a_sample_that_is_no_shape_is_refused(self, fake: Any, sample: Any) -> None:
        with pytest.raises(MissingShapeError, match="neither an array nor a tuple"):
            fake.from_fake(fake.Dense(3, 2), sample_input=sample)

    def test_layers_that_do_not_fit_each_other_are_a_problem(self, fake: Any) -> None:
        plan = plan_to(fake.BRIDGE, nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2)))
        assert problems(plan) == {"layers[1]": UnsupportedStructureError}

    def test_leading_axes_that_a_later_layer_speaks_of_hold_for_the_earlier(
        self, fake: Any
    ) -> None:
        model = nn.Sequential(nn.Linear(3, 4), nn.Flatten(in_size=(5, 4)), nn.Linear(20, 2))
        plan = plan_to(fake.BRIDGE, model).require()
        assert plan.example == (5, 3)
        assert [node.axes for node in plan.root.children or ()] == [1, 0, 0]


class TestChannels:
    def test_a_single_convolution_is_a_bare_layer(self, fake: Any) -> None:
        plan = plan_to(fake.BRIDGE, conv())
        assert titles(plan) == ["fake.Filter"]
        assert plan.channels_first_in
        assert plan.channels_first_out

    def test_a_move_stands_where_conventions_meet_and_nowhere_else(self, fake: Any) -> None:
        model = nn.Sequential(
            conv(),
            nn.ReLU(),
            nn.Conv2d((4, 5, 3), 2, (2, 2), padding="VALID"),
            nn.Flatten(in_size=(3, 4, 2)),
            nn.Linear(24, 5),
            nn.ReLU(),
        )
        plan = plan_to(fake.BRIDGE, model)
        assert titles(plan) == [
            "fake.Filter",
            "fake.Apply(relu)",
            "fake.Filter",
            "axis move",
            "fake.Apply(collapse)",
            "fake.Dense",
            "fake.Apply(relu)",
        ]
        assert plan.channels_first_in
        assert not plan.channels_first_out

    def test_a_dense_layer_between_convolutions_has_a_move_on_each_side(self, fake: Any) -> None:
        model = nn.Sequential(conv(), nn.Linear((4, 5, 3), (4, 5, 3)), conv(3, 2, (4, 5)))
        plan = plan_to(fake.BRIDGE, model)
        assert titles(plan) == [
            "fake.Filter",
            "axis move",
            "fake.Dense",
            "axis move",
            "fake.Filter",
        ]
        assert [node.axes for node in plan.root.children or ()] == [0, 0, 2, 0, 0]

    def test_a_stack_without_channels_has_none_first(self, fake: Any) -> None:
        plan = plan_to(fake.BRIDGE, nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
        assert not plan.channels_first_in
        assert not plan.channels_first_out

    def test_the_ends_may_have_the_channels_last(self, fake: Any) -> None:
        plan = plan_to(fake.BRIDGE, nn.Sequential(conv()), channels="last")
        assert titles(plan) == ["axis move", "fake.Filter", "axis move"]
        assert not plan.channels_first_in
        assert not plan.channels_first_out

    def test_nothing_else_is_a_convention(self, fake: Any) -> None:
        with pytest.raises(ValueError, match="'native' or 'last'"):
            plan_to(fake.BRIDGE, conv(), channels="first")

    @pytest.mark.parametrize("channels", ["native", "last"])
    def test_the_way_back_takes_the_moves_out_again(self, fake: Any, channels: str) -> None:
        model = nn.Sequential(conv(), nn.ReLU(), nn.Flatten(in_size=(4, 5, 3)), nn.Linear(60, 2))
        back = fake.from_fake(fake.to_fake(model, channels=channels), sample_input=(5, 6, 2))
        assert [type(layer) for layer in back.layers] == [type(layer) for layer in model.layers]

    def test_data_that_a_framework_stack_turns_itself_is_turned_in_the_core(
        self, fake: Any
    ) -> None:
        stack = fake.Stack(
            fake.Filter(2, 3, (2, 2)),
            fake.to_fake(nn.Flatten(in_size=(4, 5, 3))),
            fake.Dense(60, 2),
        )
        back = fake.from_fake(stack, sample_input=(5, 6, 2))
        assert [type(layer) for layer in back.layers] == [
            nn.Conv2d,
            nn.MoveAxis,
            nn.Flatten,
            nn.Linear,
        ]
        x = jax.random.normal(jax.random.key(0), (2, 5, 6, 2))
        expected = jax.vmap(stack)(jnp.moveaxis(x, -1, 1))
        # The same float32 sums in another order.
        np.testing.assert_allclose(back(x), expected, rtol=1e-5, atol=1e-5)


class TestProblems:
    def test_all_of_them_come_at_once_with_their_places(self, fake: Any) -> None:
        model = nn.Sequential(
            nn.Linear(3, 4, w_mask=np.ones((3, 4))),
            nn.Sequential(Mine(4, 4), nn.Dropout(0.5), nn.ReLU()),
            Residual(),
            nn.Conv2d((5, 6, 2), 3, (2, 2)),
        )
        with pytest.raises(UnsupportedConfigurationError) as caught:
            fake.to_fake(model)
        assert {format_path(p.path): p.error for p in caught.value.problems} == {
            "layers[0]": UnsupportedConfigurationError,
            "layers[1].layers[0]": UnmappedLayerError,
            "layers[1].layers[1]": UnsupportedLayerError,
            "layers[2]": UnsupportedStructureError,
            "layers[3]": UnsupportedConfigurationError,
        }
        assert all((problem.reason and problem.advice) or problem.error is UnsupportedLayerError
                   for problem in caught.value.problems)  # fmt: skip

    def test_a_field_is_named_with_its_value(self, fake: Any) -> None:
        layer = nn.Conv2d((5, 6, 2), 4, (2, 2), padding="VALID", stride=2, groups=2)
        with pytest.raises(UnsupportedConfigurationError) as caught:
            fake.to_fake(layer)
        assert {p.field: p.value for p in caught.value.problems} == {"stride": (2, 2), "groups": 2}
        assert caught.value.field == "stride"

    def test_a_subclass_is_told_from_its_base(self, fake: Any) -> None:
        with pytest.raises(UnmappedLayerError, match="extends Linear") as caught:
            fake.to_fake(Mine(3, 3))
        assert "register_layer_mapping" in caught.value.advice

    def test_a_stack_with_a_class_of_its_own_is_refused(self, fake: Any) -> None:
        with pytest.raises(UnsupportedStructureError, match="forward of its own"):
            fake.to_fake(Tower(nn.Linear(3, 3)))

        class Odd(fake.Stack):  # type: ignore[misc]
            pass

        with pytest.raises(UnsupportedStructureError, match="forward of its own"):
            fake.from_fake(Odd(fake.Dense(3, 3)))

    def test_a_stack_inside_itself_is_refused(self, fake: Any) -> None:
        model = nn.Sequential(nn.Linear(3, 3))
        model.layers = [*model.layers, model]
        with pytest.raises(UnsupportedStructureError, match=r"layers\[1\] .*inside itself"):
            fake.to_fake(model)

    def test_a_stack_that_holds_more_than_its_layers_is_refused(self, fake: Any) -> None:
        for extra in (ParamState(jnp.ones(3)), [nn.Linear(3, 3)], {"a": ParamState(jnp.ones(3))}):
            model: Any = nn.Sequential(nn.Linear(3, 3))
            model.extra = extra
            with pytest.raises(UnsupportedStructureError, match="extra besides its layers"):
                fake.to_fake(model)
        stack = fake.Stack(fake.Dense(3, 3))
        stack.extra = fake.Dense(3, 3)
        with pytest.raises(UnsupportedStructureError, match="extra besides its layers"):
            fake.from_fake(stack)

    def test_an_unknown_function_is_a_problem_of_its_place(self, fake: Any) -> None:
        with pytest.raises(UnmappedLayerError, match=r"layers\[1\] \(sin\)"):
            fake.to_fake(nn.Sequential(nn.Linear(3, 3), jnp.sin))

    @pytest.mark.parametrize("model", [None, nn.Linear, jnp.tanh, 3, {"layers": []}, "model"])
    def test_what_is_no_model_is_refused(self, fake: Any, model: Any) -> None:
        with pytest.raises(NotAModelError) as caught:
            fake.to_fake(model)
        assert "interop_core.nn" in caught.value.advice
        with pytest.raises(NotAModelError):
            fake.from_fake(model)

    def test_an_array_of_another_shape_is_a_problem(self, fake: Any) -> None:
        layer = fake.Dense(3, 4)
        layer.matrix = jnp.ones((4, 5))
        with pytest.raises(ConversionError, match=r"\(4, 5\)"):
            fake.from_fake(layer)
        core = nn.Linear(3, 4)
        core.weight.value = {**core.weight.value, "weight": jnp.ones((5, 4))}
        with pytest.raises(ConversionError, match=r"\(5, 4\)"):
            fake.to_fake(core)

    def test_an_array_too_many_or_too_few_is_a_problem(self, fake: Any) -> None:
        core = nn.Linear(3, 4)
        core.weight.value = {**core.weight.value, "gain": jnp.ones(4)}
        with pytest.raises(ConversionError, match=r"weight\.gain"):
            fake.to_fake(core)
        layer = fake.Dense(3, 4)
        layer.offset = None
        with pytest.raises(ConversionError, match="offset"):
            fake.from_fake(layer)

    def test_what_is_no_array_is_a_problem(self, fake: Any) -> None:
        layer = fake.Dense(3, 4)
        layer.matrix = [[1.0] * 3] * 4
        with pytest.raises(ConversionError, match="matrix"):
            fake.from_fake(layer)

    def test_a_forward_put_on_one_object_is_refused(self, fake: Any) -> None:
        layer: Any = nn.Linear(3, 3)
        layer.update = lambda x: x
        with pytest.raises(UnsupportedLayerError, match="update of its own"):
            fake.to_fake(layer)
