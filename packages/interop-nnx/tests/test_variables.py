"""Variables that no row may carry over, and what is said of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from interop_core import (
    AxisNames,
    ConversionError,
    LayerMapping,
    UnsupportedStructureError,
    nn,
    register_layer_mapping,
    registrations,
)
from interop_nnx import from_nnx, to_nnx


def linear(**options: Any) -> nnx.Linear:
    return nnx.Linear(3, 4, rngs=nnx.Rngs(0), **options)


def stacked(layer: Any) -> nnx.Sequential:
    return nnx.Sequential(nnx.relu, layer)


class Frozen(nnx.Param[Any]):
    """A parameter of a kind of one's own."""


class TestKinds:
    def test_a_kind_of_ones_own(self) -> None:
        layer = linear()
        layer.kernel = Frozen(layer.kernel.get_value())
        with pytest.raises(ConversionError, match=r"layers\[1\] \(nnx\.Linear\): kernel is an nnx"):
            from_nnx(stacked(layer))

    def test_a_parameter_held_as_a_statistic(self) -> None:
        layer: Any = linear()
        layer.kernel = nnx.BatchStat(layer.kernel.get_value())
        with pytest.raises(ConversionError, match=r"kernel is an nnx\.BatchStat, where"):
            from_nnx(layer)
        bn: Any = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
        bn.mean = nnx.Param(bn.mean.get_value())
        with pytest.raises(ConversionError, match=r"mean is an nnx\.Param, where"):
            from_nnx(bn, sample_input=(3,))

    def test_what_was_sown(self) -> None:
        layer: Any = linear()
        layer.features = nnx.Intermediate(jnp.ones(3))
        with pytest.raises(ConversionError, match=r"features is an nnx\.Intermediate.*nnx\.pop"):
            from_nnx(layer)
        nnx.pop(layer, nnx.Intermediate)
        assert type(from_nnx(layer)) is nn.Linear

    @pytest.mark.parametrize("extra", [nnx.Param(jnp.ones(2)), jnp.ones(2), np.ones(2)])
    def test_more_arrays_than_the_layer_has(self, extra: Any) -> None:
        layer: Any = linear()
        layer.extra = nnx.data(extra)
        with pytest.raises(ConversionError, match="extra"):
            from_nnx(layer)

    def test_arrays_in_containers(self) -> None:
        layer: Any = linear()
        layer.extras = nnx.List([nnx.Param(jnp.ones(2))])
        with pytest.raises(ConversionError, match=r"extras"):
            from_nnx(layer)
        layer.extras = nnx.data({"a": [nnx.Param(jnp.ones(2))]})
        with pytest.raises(ConversionError, match=r"extras\.a\.0"):
            from_nnx(layer)

    def test_a_missing_array(self) -> None:
        layer = linear()
        layer.bias = nnx.data(None)
        with pytest.raises(ConversionError, match="lacks bias"):
            from_nnx(layer)

    def test_an_array_of_another_shape(self) -> None:
        layer = linear()
        layer.kernel = nnx.Param(jnp.ones((4, 3)))
        with pytest.raises(ConversionError, match=r"kernel of shape \(4, 3\)"):
            from_nnx(layer)

    def test_a_value_that_is_no_array(self) -> None:
        layer: Any = linear()
        layer.bias = nnx.Param("none")
        with pytest.raises(ConversionError, match="bias is a str, not an array"):
            from_nnx(layer)

    def test_everything_at_once(self) -> None:
        layer: Any = linear(preferred_element_type=jnp.float32)
        layer.kernel = nnx.Param(layer.kernel.get_value(), unit="mV")
        layer.bias = nnx.Cache(layer.bias.get_value())
        with pytest.raises(ConversionError) as info:
            from_nnx(nnx.Sequential(layer, linear(), linear(promote_dtype=print)))
        fields = [problem.field for problem in info.value.problems]
        assert fields == ["kernel", "bias", "preferred_element_type", "promote_dtype"]


class TestMetadata:
    @pytest.mark.parametrize("named", [{"unit": "mV"}, {"sharding_rules": (("a", "b"),)}])
    def test_what_would_be_lost(self, named: dict[str, Any]) -> None:
        layer = linear(kernel_metadata=named)
        ((key, _),) = named.items()
        with pytest.raises(ConversionError, match=f"kernel is annotated with {key}=.*lost|cannot"):
            from_nnx(layer)
        layer.kernel.del_metadata(key)
        assert type(from_nnx(layer)) is nn.Linear

    def test_a_sharding(self) -> None:
        layer: Any = linear()
        layer.bias.set_metadata("out_sharding", ("model",))
        layer.bias.set_metadata("mesh", None)  # stands beside it, and is nothing to take off
        assert from_nnx(layer).weight.axis_names == {"bias": AxisNames(("model",))}
        layer.bias.set_metadata("out_sharding", None)  # says nothing
        assert from_nnx(layer).weight.axis_names is None

    @pytest.mark.parametrize(
        "named, words",
        [
            ((1,), "bias: 1 names no axis"),
            (("a", "b"), "there are 2 names, .* for the 1 axes of bias"),
        ],
    )
    def test_names_that_are_none(self, named: tuple[Any, ...], words: str) -> None:
        layer: Any = linear()
        layer.bias.set_metadata("out_sharding", named)
        with pytest.raises(ConversionError, match=words) as info:
            from_nnx(layer)
        assert info.value.problems[0].advice.endswith("del_metadata('out_sharding')")

    @pytest.mark.skipif(not hasattr(nnx, "var_defaults"), reason="this flax has no var_defaults")
    @pytest.mark.parametrize("mode", ["hijax", "ref"])
    def test_how_a_variable_is_changed_is_a_mode(self, mode: str) -> None:
        settings: Any = nnx.var_defaults(**{mode: True})  # type: ignore[call-overload,unused-ignore]
        with settings:
            layer = linear()
            converted = from_nnx(layer)
        np.testing.assert_array_equal(converted.weight.value["weight"], layer.kernel[...])
        assert isinstance(converted.weight.value["weight"], jax.Array)


class TestPartsOfCells:
    def test_another_layer_in_place_of_a_dense_one(self) -> None:
        cell: Any = nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0))
        cell.hf = nnx.LoRALinear(4, 4, lora_rank=2, rngs=nnx.Rngs(0))
        with pytest.raises(ConversionError, match=r"hf is LoRALinear, not nnx\.Linear"):
            from_nnx(cell)

    @pytest.mark.parametrize(
        "kind, part", [(nnx.LSTMCell, "ii"), (nnx.OptimizedLSTMCell, "dense_h")]
    )
    @pytest.mark.parametrize("option, value", [("precision", "highest"), ("dtype", jnp.bfloat16)])
    def test_a_dense_layer_that_was_changed(
        self, kind: Any, part: str, option: str, value: Any
    ) -> None:
        cell = kind(3, 4, rngs=nnx.Rngs(0))
        setattr(getattr(cell, part), option, value)
        with pytest.raises(ConversionError, match=f"{part} has {option}="):
            from_nnx(cell)

    def test_what_a_cell_hands_down_is_no_change(self) -> None:
        cell = nnx.LSTMCell(3, 4, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
        assert from_nnx(cell).dtype == jnp.bfloat16


class TestStacks:
    def test_parameters_besides_the_layers(self) -> None:
        stack: Any = nnx.Sequential(linear())
        stack.gain = nnx.Param(jnp.ones(3))
        stack.more = nnx.List([linear()])
        with pytest.raises(UnsupportedStructureError, match="holds gain, more besides its layers"):
            from_nnx(stack)

    def test_notes_are_no_parameters(self) -> None:
        stack: Any = nnx.Sequential(linear())
        stack.note, stack.shape = "first", (3, 4)
        assert len(from_nnx(stack).layers) == 1


class TestSharedVariables:
    def test_two_layers_of_nnx(self) -> None:
        first, second = linear(), linear()
        second.kernel = first.kernel
        with pytest.raises(
            UnsupportedStructureError,
            match=r"layers\[1\] .*kernel and kernel of layers\[0\] are one variable",
        ):
            from_nnx(nnx.Sequential(first, second))

    def test_a_part_of_a_cell(self) -> None:
        cell = nnx.LSTMCell(4, 4, rngs=nnx.Rngs(0))
        cell.hf.kernel = cell.ii.kernel
        with pytest.raises(
            UnsupportedStructureError, match=r"hf\.kernel and ii\.kernel of model are one variable"
        ):
            from_nnx(cell)

    def test_two_layers_of_the_core(self) -> None:
        first, second = nn.Linear(4, 4), nn.Linear(4, 4)
        second.weight = first.weight
        model = nn.Sequential(nn.Sequential(first), nn.ReLU(), second)
        with pytest.raises(
            UnsupportedStructureError,
            match=r"layers\[2\] .*weight and weight of layers\[0\]\.layers\[0\] are one variable",
        ):
            to_nnx(model)

    def test_the_same_array_is_no_tie(self) -> None:
        first, second = linear(), linear()
        second.kernel = nnx.Param(first.kernel.get_value())
        assert len(from_nnx(nnx.Sequential(first, second, first)).layers) == 3


class Scale(nnx.Module):
    """A layer of a user's own, with a variable of its own kind."""

    def __init__(self, features: int, rngs: nnx.Rngs) -> None:
        self.factor = Frozen(jax.random.normal(rngs.params(), (features,)))

    def __call__(self, x: Any) -> Any:
        return x * self.factor[...]


class CoreScale(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.factor = nn.init.param(nn.init.ZeroInit(), (features,))


def test_a_mapping_written_by_hand_may_know_better() -> None:
    def to_bst(layer: Scale, _: Any) -> nn.Linear:
        weight: Any = jnp.diag(layer.factor.get_value())
        return nn.Linear(3, 3, w_init=weight, b_init=None)

    mapping = LayerMapping(nn.Linear, "nnx", Scale, to_bst, lambda *_: Scale(3, nnx.Rngs(0)))
    scale = Scale(3, nnx.Rngs(0))
    with registrations():
        register_layer_mapping(mapping)
        converted = from_nnx(nnx.Sequential(scale))
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(converted(x), scale(x), rtol=1e-6)  # a product with a diagonal
    assert type(to_nnx(converted).layers[0]) is nnx.Linear
