"""Conversions that check themselves, that share nothing, and parameters that are no plain array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import graph, nn, random
from interop_core.agreement import difference, relative_tolerance
from interop_core.errors import (
    ConversionError,
    InteropError,
    MissingShapeError,
    VerificationError,
)
from interop_core.mapping import FEATURES, LayerMap, LayerMapping, Opt, case, leaf
from interop_core.registry import register_layer_mapping, registrations
from interop_core.state import LongTermState, ParamState
from interop_core.testing import quick_compilation


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    """Compiled once and run once: compiling is what takes the time."""
    with quick_compilation():
        yield


class Scale(nn.Module):
    """A factor for each channel."""

    def __init__(self, in_size: int) -> None:
        super().__init__()
        self.in_size = self.out_size = in_size
        self.factor: Any = ParamState(jnp.arange(1.0, self.in_size[-1] + 1))

    def update(self, x: Any) -> Any:
        factor = self.factor
        return x * (factor.value() if isinstance(factor, nn.Param) else factor.value)


def network() -> nn.Sequential:
    """Images, an axis move, a stack inside, a layer that stands twice."""
    with random.seed_context(0):
        shared = nn.Linear(3, 3, b_init=nn.init.Normal())
        return nn.Sequential(
            nn.Conv2d((4, 5, 2), 3, (2, 2), padding="VALID", b_init=nn.init.Normal()),
            nn.ReLU(),
            nn.Flatten(in_size=(3, 4, 3)),
            nn.Linear(36, 3),
            nn.Sequential(shared, nn.ReLU(), shared),
        )


class TestVerify:
    @pytest.mark.parametrize("channels", ["native", "last"])
    def test_a_right_conversion_passes_both_ways(self, fake: Any, channels: str) -> None:
        before = np.asarray(random.get_key_data())
        model = network()
        there = fake.to_fake(model, channels=channels, verify=True)
        fake.from_fake(there, sample_input=(4, 5, 2), verify=True)
        np.testing.assert_array_equal(random.get_key_data(), before)

    @pytest.mark.parametrize("sample", [None, (5,), np.array([1, 6, 0, 0, 3])])
    def test_an_embedding_gets_indices(self, fake: Any, sample: Any) -> None:
        fake.to_fake(nn.Sequential(nn.Embedding(7, 3), nn.ReLU()), sample_input=sample, verify=True)

    def scaled(self, fake: Any, function: Any, **where: Any) -> Any:
        class Scaled(fake.Layer):  # type: ignore[misc]
            arrays = ("factor",)

            def __init__(self, factor: Any) -> None:
                self.factor = factor

            def __call__(self, x: Any) -> Any:
                return function(x, self.factor)

        def to_core(layer: Any, _: Any) -> Any:
            core = Scale(3)
            core.factor.value = layer.factor
            return core

        def to_fake(layer: Any, _: Any) -> Any:
            return Scaled(layer.factor.value)

        model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), Scale(3)), nn.Linear(3, 2))
        with registrations():
            register_layer_mapping(LayerMapping(Scale, "fake", Scaled, to_core, to_fake))
            there = fake.to_fake(model, **where)
            if where:
                fake.from_fake(there, **where)

    def test_a_mapping_by_hand_that_is_right_passes(self, fake: Any) -> None:
        self.scaled(fake, lambda x, factor: x * factor, verify=True)

    @pytest.mark.parametrize(
        "function, what, reason",
        [
            (lambda x, f: x * f * 1.001, "output", "differs by up to"),
            (lambda x, f: (x * f)[:2], "output", "has the shapes"),
            (lambda x, f: x * f / jnp.where(x > -9, 1.0, 0) + f @ jnp.ones(2), "output", "run as"),
            (lambda x, f: x * jax.lax.stop_gradient(f), "gradient by 0", "differs"),
            (lambda x, f: jax.lax.stop_gradient(x) * f, "gradient by the input", "differs"),
            (lambda x, f: x * f * jnp.nan, "output", "numbers against none"),
        ],
        ids=["factor", "shape", "raises", "frozen", "cut", "nan"],
    )
    def test_a_wrong_layer_is_named(self, fake: Any, function: Any, what: str, reason: str) -> None:
        self.scaled(fake, function)  # nobody asked
        with pytest.raises(VerificationError, match=reason) as caught:
            self.scaled(fake, function, verify=True)
        error = caught.value
        assert error.path == ("layers", 1, "layers", 1)
        assert error.layer == "nn.Scale"
        assert error.difference > error.tolerance
        assert error.what.startswith(what.removesuffix("0"))
        assert error.advice

    def test_what_is_asked_for_where_nothing_says_the_shape(self, fake: Any) -> None:
        model = nn.Sequential(nn.ReLU(), nn.GELU())
        with pytest.raises(MissingShapeError, match="sample_input"):
            fake.to_fake(model, verify=True)
        fake.to_fake(model, verify=True, sample_input=(3,))
        with pytest.raises(MissingShapeError, match="sample_input"):
            fake.from_fake(fake.Table(7, 3), verify=True, sample_input=jnp.ones(2))

    def test_numbers_are_needed(self, fake: Any) -> None:
        with nn.init.abstract():
            model = nn.Linear(3, 2)
        with pytest.raises(ConversionError, match=r"weight\.\w+ has no numbers"):
            fake.to_fake(model, verify=True)

    def test_all_nan_is_no_agreement(self, fake: Any) -> None:
        layer = nn.Linear(3, 2, b_init=nn.init.Constant(np.nan))
        with pytest.raises(VerificationError, match="no finite number"):
            fake.to_fake(layer, verify=True)

    def test_a_bridge_that_cannot_run_its_layers_says_so(
        self, fake: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(fake.FakeBridge, "call")
        with pytest.raises(InteropError, match="does not say how its layers are run"):
            fake.to_fake(nn.Linear(3, 2), verify=True)


class TestCopy:
    def test_an_array_is_shared_unless_a_copy_is_asked_for(self, fake: Any) -> None:
        core = nn.Embedding(7, 3)
        shared, own = fake.to_fake(core), fake.to_fake(core, copy=True)
        assert shared.table is core.weight.value
        assert own.table is not core.weight.value
        np.testing.assert_array_equal(own.table, core.weight.value)
        pointer = core.weight.value.unsafe_buffer_pointer()
        assert own.table.unsafe_buffer_pointer() != pointer
        back = fake.from_fake(shared, copy=True)
        assert back.weight.value.unsafe_buffer_pointer() != pointer

    def test_donating_a_copy_leaves_the_source(self, fake: Any) -> None:
        core = nn.Sequential(nn.Embedding(7, 3), nn.ReLU())
        back = fake.from_fake(fake.to_fake(core), copy=True)
        jax.tree.map(lambda array: array.delete(), back)
        assert np.isfinite(core(jnp.arange(7))).all()

    def test_ties_stay(self, fake: Any) -> None:
        there = fake.to_fake(network(), copy=True)
        inner = there.layers[-1].layers
        assert inner[0] is inner[2]
        back = fake.from_fake(there, sample_input=(4, 5, 2), copy=True)
        assert back.layers[-1].layers[0] is back.layers[-1].layers[2]
        assert len(graph.leaves(back)) == len(graph.leaves(network()))

    def test_a_mask_is_copied_too(self) -> None:
        from interop_core.core_side import CORE

        layer = nn.Linear(2, 2, w_mask=np.ones((2, 2)))
        assert CORE.duplicate(layer).w_mask is not layer.w_mask


class Factored(nn.Module):
    """The same factor in an `nn.Param`."""

    def __init__(self, in_size: int) -> None:
        super().__init__()
        self.in_size = self.out_size = in_size
        self.factor = nn.Param(nn.init.param(nn.init.Constant(1.0), self.in_size))

    def update(self, x: Any) -> Any:
        return x * self.factor.value()


@pytest.fixture
def scale_row(fake: Any) -> Iterator[None]:
    """A row for a layer with a parameter that is an `nn.Param`."""

    class Factor(fake.Layer):  # type: ignore[misc]
        arrays = ("factor",)

        def __init__(self, size: int) -> None:
            self.size, self.factor = size, jnp.ones(size)

        def __call__(self, x: Any) -> Any:
            return x * self.factor

    row = LayerMap(
        Factored,
        Factor,
        (Opt("in_size", "size", FEATURES),),
        (leaf("factor.val", "factor"),),
        cases=(case(in_size=3),),
    )
    with registrations():
        register_layer_mapping(row, framework="fake")
        yield


def held(**options: Any) -> Factored:
    """A layer whose parameter was replaced by one with options."""
    layer = Factored(3)
    layer.factor = nn.Param(jnp.array([1.0, 2.0, 3.0]), **options)
    return layer


class TestParameters:
    def test_a_plain_param_is_its_array(self, fake: Any, scale_row: Any) -> None:
        layer = held()
        there = fake.to_fake(layer, verify=True)
        assert there.factor is layer.factor.val.value
        assert fake.from_fake(there, verify=True).factor.val.value is there.factor

    @pytest.mark.parametrize(
        "options",
        [{"t": nn.SoftplusT(0.0)}, {"precompute": jnp.square}],
        ids=["transformed", "precomputed"],
    )
    def test_a_transformed_one_is_refused_or_gives_its_value(
        self, fake: Any, scale_row: Any, options: Any
    ) -> None:
        layer = held(**options)
        fake.to_fake(held())  # what is known of a plain one is not taken for it
        with pytest.raises(ConversionError, match=r"factor is trained through.*apply_transforms"):
            fake.to_fake(nn.Sequential(nn.ReLU(), layer))
        there = fake.to_fake(layer, apply_transforms=True, verify=True)
        np.testing.assert_array_equal(there.factor, layer.factor.value())

    @pytest.mark.parametrize(
        "options, match",
        [
            ({"fit": False}, "not trained, and on the other side it would be"),
            ({"reg": nn.L2Reg(0.1)}, "adds the penalty L2Reg to the loss.*reg = None"),
        ],
        ids=["frozen", "penalty"],
    )
    @pytest.mark.parametrize("apply", [False, True])
    def test_what_goes_with_no_array_is_refused(
        self, fake: Any, scale_row: Any, options: Any, match: str, apply: bool
    ) -> None:
        with pytest.raises(ConversionError, match=match):
            fake.to_fake(held(**options), apply_transforms=apply)

    def test_a_state_of_another_type_is_refused(self, fake: Any) -> None:
        layer = nn.Linear(3, 2)
        fake.to_fake(layer)
        layer.weight = LongTermState(layer.weight.value)
        with pytest.raises(ConversionError, match="LongTermState, which is not trained"):
            fake.to_fake(layer)

    def test_a_core_layer_that_transforms_is_not_made(self, fake: Any) -> None:
        class Positive(nn.Module):
            def __init__(self, in_size: int) -> None:
                super().__init__()
                self.in_size = self.out_size = in_size
                self.factor = nn.Param(
                    nn.init.param(nn.init.Constant(1.0), (in_size,)), nn.ExpT(0.0)
                )

            def update(self, x: Any) -> Any:
                return x * self.factor.value()

        class Factor(fake.Layer):  # type: ignore[misc]
            arrays = ("factor",)

            def __init__(self, size: int) -> None:
                self.size, self.factor = size, jnp.ones(size)

        row = LayerMap(
            Positive,
            Factor,
            (Opt("in_size", "size"),),
            (leaf("factor.val", "factor"),),
            cases=(case(in_size=3),),
        )
        with registrations():
            register_layer_mapping(row, framework="fake")
            with pytest.raises(ConversionError, match="trains through a transformation its factor"):
                fake.from_fake(Factor(3))


class TestAgreement:
    def test_the_tolerance_follows_the_coarsest_type_and_the_depth(self) -> None:
        single = relative_tolerance([np.float32, np.float64, np.int8])
        assert relative_tolerance([np.float64]) < single < relative_tolerance([np.float32], 9)
        assert single < relative_tolerance([jnp.bfloat16, np.float32]) < 0.1
        assert relative_tolerance([jnp.bfloat16], 10**6) == 0.25

    @pytest.mark.parametrize(
        "found, agrees",
        [
            (np.array([1.0, np.nan, np.inf]), True),
            (np.array([1.0, np.nan, -np.inf]), False),
            (np.array([1.0, 0.0, np.inf]), False),
            (np.array([1.1, np.nan, np.inf]), False),
        ],
    )
    def test_infinities_and_nan(self, found: Any, agrees: bool) -> None:
        expected = np.array([1.0, np.nan, np.inf])
        assert difference(found, expected, 1e-6).agrees is agrees

    def test_small_numbers_are_compared_among_themselves(self) -> None:
        assert not difference(np.full(3, 2e-6), np.full(3, 1e-6), 1e-5).agrees
