"""LayerNorm, RMSNorm and GroupNorm against the published layers and against the formulas."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn
from interop_core.state import NormalizationParamState, ParamState

# Class, in_size, options, shape of an input of the least number of axes.
Row = tuple[str, Any, dict[str, Any], tuple[int, ...]]

ROWS: list[Row] = [
    ("LayerNorm", 6, {}, (6,)),
    ("LayerNorm", (4, 6), {}, (4, 6)),
    ("LayerNorm", 6, {"use_bias": False}, (6,)),
    ("LayerNorm", 6, {"use_scale": False}, (6,)),
    ("LayerNorm", 6, {"use_scale": False, "use_bias": False}, (6,)),
    ("LayerNorm", 6, {"epsilon": 0.1, "use_fast_variance": False}, (6,)),
    ("LayerNorm", (4, 6), {"reduction_axes": (-2, -1)}, (4, 6)),
    ("LayerNorm", (4, 6), {"reduction_axes": (-1, -2), "feature_axes": (-2, -1)}, (4, 6)),
    ("LayerNorm", (4, 6), {"reduction_axes": -2, "feature_axes": 0}, (4, 6)),
    ("LayerNorm", (4, 6), {"reduction_axes": [0, 1], "feature_axes": [0, 1]}, (4, 6)),
    ("LayerNorm", 6, {"dtype": jnp.float32}, (6,)),
    ("RMSNorm", 6, {}, (6,)),
    ("RMSNorm", 6, {"use_scale": False}, (6,)),
    ("RMSNorm", 6, {"epsilon": 0.1, "use_fast_variance": False}, (6,)),
    ("RMSNorm", (4, 6), {"reduction_axes": (-2, -1), "feature_axes": (-2, -1)}, (4, 6)),
    ("RMSNorm", (4, 6), {"reduction_axes": 0, "feature_axes": -2}, (4, 6)),
    ("GroupNorm", 8, {"num_groups": 4}, (2, 8)),
    ("GroupNorm", (8,), {"num_groups": 1}, (2, 8)),
    ("GroupNorm", 8, {"num_groups": 8}, (2, 5, 8)),
    ("GroupNorm", 8, {"num_groups": None, "group_size": 2}, (2, 8)),
    ("GroupNorm", 8, {"num_groups": 2, "use_bias": False}, (2, 3, 8)),
    ("GroupNorm", 8, {"num_groups": 2, "use_scale": False}, (2, 3, 8)),
    ("GroupNorm", 8, {"num_groups": 2, "use_scale": False, "use_bias": False}, (2, 3, 8)),
    ("GroupNorm", 8, {"num_groups": 2, "epsilon": 0.1, "use_fast_variance": False}, (2, 3, 3, 8)),
    ("GroupNorm", 8, {"num_groups": 2, "reduction_axes": (1, -1)}, (2, 3, 8)),
    ("GroupNorm", 8, {"num_groups": 2, "feature_axis": 0}, (2, 8)),
    ("GroupNorm", 32, {}, (2, 12, 32)),
]
IDS = [f"{name}-{size}" + "".join(f"-{key}" for key in options) for name, size, options, _ in ROWS]
every_row = pytest.mark.parametrize(("name", "size", "options", "shape"), ROWS, ids=IDS)


def state_of(layer: Any) -> Any:
    """The state of scale and bias, or None."""
    return layer.scale if type(layer).__name__ == "RMSNorm" else layer.weight


def pair(name: str, size: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    """Our layer and the published one, with the same parameters, none of them trivial."""
    ours = getattr(nn, name)(size, **options)
    published = getattr(brainstate.nn, name)(size, **options)
    mine, theirs = state_of(ours), state_of(published)
    if theirs is None:
        assert mine is None
        return ours, published
    assert {k: (v.shape, v.dtype) for k, v in mine.value.items()} == {
        k: (v.shape, v.dtype) for k, v in theirs.value.items()
    }
    mine.value = theirs.value = {
        key: sample(*value.shape, seed=index) + 0.5
        for index, (key, value) in enumerate(sorted(theirs.value.items()))
    }
    return ours, published


def sample(*shape: int, seed: int = 7) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def agree(ours: Any, published: Any, rtol: float = 1e-6) -> None:
    """The same dtype, shape and numbers. The default leaves room for another order of sums."""
    assert ours.dtype == published.dtype
    assert ours.shape == published.shape
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


class TestAgainstPublished:
    @every_row
    @pytest.mark.parametrize("lead", [(), (2,)])
    def test_forward(
        self, name: str, size: Any, options: Any, shape: tuple[int, ...], lead: tuple[int, ...]
    ) -> None:
        if lead and options.get("reduction_axes") == (1, -1):
            pytest.skip("axes counted from the front belong to one rank")
        ours, published = pair(name, size, options)
        # Away from zero mean, so that forgetting to subtract it shows, but not so far that the fast
        # variance loses more digits than the tolerance allows.
        x = 2 * sample(*lead, *shape) + 0.5
        if lead:
            agree(jax.jit(ours.update)(x), jax.jit(published)(x), rtol=1e-5)
        else:
            agree(ours(x), published(x), rtol=1e-5)

    @every_row
    def test_gradients(self, name: str, size: Any, options: Any, shape: tuple[int, ...]) -> None:
        ours, published = pair(name, size, options)
        x = sample(*shape)
        agree(
            jax.jit(jax.grad(lambda x: (ours(x) ** 3).sum()))(x),
            jax.jit(jax.grad(lambda x: (published(x) ** 3).sum()))(x),
            rtol=1e-4,  # cubes, and a difference of large terms in the variance
        )
        if state_of(ours) is None:
            return
        gradient = brainstate.transform.grad(
            lambda: (published(x) ** 3).sum(), published.states(brainstate.ParamState)
        )
        theirs = brainstate.transform.jit(gradient)()
        grads = graph.leaves(jax.jit(jax.grad(lambda layer: (layer(x) ** 3).sum()))(ours))
        (path,) = theirs
        for key, value in theirs[path].items():
            agree(grads[f"{path[0]}.{key}"], value, rtol=1e-4)

    @every_row
    def test_sizes(self, name: str, size: Any, options: Any, shape: tuple[int, ...]) -> None:
        ours, published = pair(name, size, options)
        assert ours.in_size == published.in_size
        assert ours.out_size == published.out_size
        assert ours.output_size(ours.in_size) == ours.out_size
        assert ours.output_size(shape) == ours(sample(*shape)).shape

    @pytest.mark.parametrize(
        ("name", "size", "options", "shape"),
        [
            ("LayerNorm", (4, 6), {"reduction_axes": (-2, -1)}, (4, 6)),
            ("LayerNorm", 6, {"use_fast_variance": False}, (6,)),
            ("RMSNorm", 6, {}, (6,)),
            ("GroupNorm", 8, {"num_groups": 2}, (3, 8)),
        ],
    )
    def test_mask(self, name: str, size: Any, options: Any, shape: tuple[int, ...]) -> None:
        ours, published = pair(name, size, options)
        x = sample(2, *shape)
        mask = np.ones(x.shape, bool)
        mask[..., 0, -1] = False
        agree(ours(x, mask=mask), published(x, mask=mask), rtol=1e-5)

    @pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "GroupNorm"])
    @pytest.mark.parametrize("given", ["bfloat16", "int32"])
    @pytest.mark.parametrize("dtype", [None, "float16", "bfloat16"])
    def test_dtypes(self, name: str, given: str, dtype: str | None) -> None:
        groups = {"num_groups": 2} if name == "GroupNorm" else {}
        ours, published = pair(name, 8, {"dtype": dtype, **groups})
        x = (5 * sample(3, 8)).astype(given)
        # One rounding of the result: statistics are in float32 on both sides.
        agree(ours(x), published(x), rtol=2**-7 if dtype in ("bfloat16", "float16") else 1e-5)

    @pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "GroupNorm"])
    def test_double_precision(self, name: str) -> None:
        groups = {"num_groups": 2} if name == "GroupNorm" else {}
        with environ.context(precision=64), brainstate.environ.context(precision=64):
            ours, published = pair(name, 8, groups)
            x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8)))
            assert ours(x).dtype == np.float64
            agree(ours(x), published(x), rtol=1e-13)

    @pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
    def test_mapped_axis(self, name: str) -> None:
        ours, published = pair(name, 6, {"axis_name": "batch"})
        x = sample(3, 6)
        agree(
            jax.vmap(ours, axis_name="batch")(x),
            jax.vmap(published, axis_name="batch")(x),
            rtol=1e-5,
        )

    @every_row
    def test_state_type(self, name: str, size: Any, options: Any, shape: tuple[int, ...]) -> None:
        ours, published = pair(name, size, options)
        if state_of(ours) is not None:
            assert type(state_of(ours)) is NormalizationParamState
            assert type(state_of(published)).__name__ == "NormalizationParamState"
            assert list(graph.states(ours)) == list(published.states())


@every_row
def test_configuration(name: str, size: Any, options: Any, shape: tuple[int, ...]) -> None:
    layer = getattr(nn, name)(size, **options)
    found = graph.configuration(layer)
    assert {key: found[key] for key in options} == options
    structure: Any = jax.tree.structure
    assert structure(type(layer)(**found)) == structure(layer)


@every_row
def test_abstract(name: str, size: Any, options: Any, shape: tuple[int, ...]) -> None:
    layer = getattr(nn, name)(size, **options)
    with nn.init.abstract():
        skeleton = getattr(nn, name)(size, **options)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(skeleton))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), graph.leaves(skeleton)) == (
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), graph.leaves(layer))
    )
    out = jax.eval_shape(
        lambda layer, x: layer(x), skeleton, jax.ShapeDtypeStruct(shape, jnp.float32)
    )
    assert out.shape == shape


@pytest.mark.parametrize("row", [1, 14, 22], ids=[IDS[1], IDS[14], IDS[22]])
def test_vmap(row: int) -> None:
    name, size, options, shape = ROWS[row]
    layer, _ = pair(name, size, options)
    x = sample(3, *shape)
    agree(jax.vmap(layer)(x), jnp.stack([layer(row) for row in x]), rtol=1e-5)


class TestResultType:
    """Without ``dtype``, input and parameters decide, as the published documentation says."""

    @pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "GroupNorm"])
    @pytest.mark.parametrize(
        ("given", "stored", "result"),
        [
            ("bfloat16", "bfloat16", "bfloat16"),
            ("bfloat16", "float32", "float32"),
            ("float32", "bfloat16", "float32"),
            ("float16", "bfloat16", "float32"),
            ("int32", "bfloat16", "bfloat16"),
        ],
    )
    def test_promotion(self, name: str, given: str, stored: str, result: str) -> None:
        groups = {"num_groups": 2} if name == "GroupNorm" else {}
        layer, _ = pair(name, 8, groups)
        layer = jax.tree.map(lambda leaf: leaf.astype(stored), layer)
        assert layer(jnp.ones((3, 8), given)).dtype == result

    @pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "GroupNorm"])
    @pytest.mark.parametrize(("given", "result"), [("bfloat16", "bfloat16"), ("int32", "float32")])
    def test_without_parameters(self, name: str, given: str, result: str) -> None:
        options: dict[str, Any] = {"use_scale": False, "use_bias": False}
        if name == "GroupNorm":
            options["num_groups"] = 2
        assert getattr(nn, name)(8, **options)(jnp.ones((3, 8), given)).dtype == result

    @pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "GroupNorm"])
    def test_half_precision_neither_overflows_nor_cancels(self, name: str) -> None:
        # 300**2 is beyond float16, and so is the precision of the variance.
        groups = {"num_groups": 1} if name == "GroupNorm" else {}
        layer = getattr(nn, name)(8, dtype="float16", **groups)
        x = (300 + 10 * sample(3, 8)).astype("float16")
        wide = getattr(nn, name)(8, dtype="float32", **groups)(x)
        agree(layer(x), wide.astype("float16"), rtol=2**-10)

    def test_double_precision_input(self) -> None:
        layer = nn.LayerNorm(6, use_fast_variance=False)
        with jax.enable_x64(True):
            x = np.random.default_rng(0).normal(size=(3, 6)) + 1e3
            y = layer(jnp.asarray(x))
            expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
            assert y.dtype == np.float64
            np.testing.assert_allclose(y, expected, rtol=1e-9)


class TestVariance:
    @pytest.mark.parametrize("name", ["LayerNorm", "GroupNorm"])
    def test_two_passes_survive_a_large_mean(self, name: str) -> None:
        groups = {"num_groups": 1} if name == "GroupNorm" else {}
        x = sample(3, 8) + 1e4
        exact = np.asarray(x, np.float64)
        exact = exact - exact.mean(-1, keepdims=True)
        exact = exact / np.sqrt((exact**2).mean(-1, keepdims=True) + 1e-6)
        slow = getattr(nn, name)(8, use_fast_variance=False, **groups)(x)
        # The input itself is rounded to 1e-3 at this size, the mean once more.
        np.testing.assert_allclose(slow, exact, atol=2e-3)

    def test_fast_variance_is_never_negative(self) -> None:
        y = nn.LayerNorm(8)(jnp.full((2, 8), 1e4) + jnp.float32(1e-3) * sample(2, 8))
        assert bool(jnp.isfinite(y).all())

    def test_complex_numbers(self) -> None:
        x = sample(3, 6) + 1j * sample(3, 6, seed=8)
        y = nn.LayerNorm(6)(x)
        centered = x - x.mean(-1, keepdims=True)
        spread = (jnp.abs(centered) ** 2).mean(-1, keepdims=True)
        np.testing.assert_allclose(y, centered / jnp.sqrt(spread + 1e-6), rtol=1e-4)


class TestGroupNormFormula:
    @pytest.mark.parametrize(
        ("axes", "grouped"),
        [(None, (1, 2, 4)), (-1, (4,)), ((2, -1), (2, 4)), ((-1, 0, 1, 2), (0, 1, 2, 4))],
    )
    def test_reduction_axes(self, axes: Any, grouped: tuple[int, ...]) -> None:
        x = sample(2, 3, 4, 8)
        layer = nn.GroupNorm(8, num_groups=2, reduction_axes=axes)
        split = np.asarray(x, np.float64).reshape(2, 3, 4, 2, 4)
        mean, variance = split.mean(grouped, keepdims=True), split.var(grouped, keepdims=True)
        expected = ((split - mean) / np.sqrt(variance + 1e-6)).reshape(x.shape)
        np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)

    def test_without_batch(self) -> None:
        layer, _ = pair("GroupNorm", 8, {"num_groups": 2})
        x = sample(3, 8)
        agree(layer(x[0]), layer(x)[0])
        agree(jax.vmap(layer)(x), layer(x))

    def test_groups(self) -> None:
        assert nn.GroupNorm(8, num_groups=4).groups == 4
        layer = nn.GroupNorm(8, num_groups=None, group_size=4)
        assert (layer.groups, layer.num_groups, layer.group_size) == (2, None, 4)

    def test_mapped_axis(self) -> None:
        layer = nn.GroupNorm(8, num_groups=2, axis_name="batch")
        x = sample(3, 2, 8)
        agree(
            jax.vmap(layer, axis_name="batch")(x),
            jnp.swapaxes(nn.GroupNorm(8, num_groups=2)(jnp.swapaxes(x, 0, 1)), 0, 1),
            rtol=1e-5,
        )


class TestRMSNormBias:
    def test_added_at_the_end(self) -> None:
        layer = nn.RMSNorm(6, use_bias=True, bias_init=nn.init.Constant(2.0))
        assert layer.scale is not None
        assert set(layer.scale.value) == {"scale", "bias"}
        x = sample(3, 6)
        agree(layer(x), nn.RMSNorm(6)(x) + 2.0)

    def test_alone(self) -> None:
        layer = nn.RMSNorm(6, use_scale=False, use_bias=True)
        assert layer.scale is not None
        assert set(layer.scale.value) == {"bias"}


class TestParameters:
    def test_given_arrays(self) -> None:
        layer = nn.LayerNorm(3, scale_init=np.arange(3.0, dtype=np.float32), bias_init=2.0)
        assert layer.weight is not None
        assert layer.weight.value["scale"].tolist() == [0.0, 1.0, 2.0]
        assert layer.weight.value["bias"].tolist() == [2.0, 2.0, 2.0]

    @pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "GroupNorm"])
    def test_state_type(self, name: str) -> None:
        groups = {"num_groups": 1} if name == "GroupNorm" else {}
        layer = getattr(nn, name)(3, param_type=ParamState, **groups)
        assert type(state_of(layer)) is ParamState


BAD_ARGUMENTS: list[tuple[str, Any, dict[str, Any], str]] = [
    ("LayerNorm", (4, 6), {"feature_axes": 2}, "feature_axes"),
    ("LayerNorm", (4, 6), {"feature_axes": (1, -1)}, "twice"),
    ("RMSNorm", 6, {"feature_axes": -2}, "feature_axes"),
    ("GroupNorm", 8, {}, "num_groups=32 does not divide the 8 channels"),
    ("GroupNorm", 8, {"num_groups": 3}, "num_groups=3"),
    ("GroupNorm", 8, {"num_groups": 0}, "num_groups=0"),
    ("GroupNorm", 8, {"num_groups": None, "group_size": 3}, "group_size=3"),
    ("GroupNorm", 8, {"num_groups": 2, "group_size": 4}, "either"),
    ("GroupNorm", 8, {"num_groups": None}, "either"),
    ("GroupNorm", (4, 8), {"num_groups": 2}, "number of channels alone"),
    ("GroupNorm", 8, {"num_groups": 2, "feature_axis": 1}, "feature_axis"),
]


@pytest.mark.parametrize(("name", "size", "options", "message"), BAD_ARGUMENTS)
def test_bad_arguments(name: str, size: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(nn, name)(size, **options)


BAD_INPUTS: list[tuple[str, Any, dict[str, Any], tuple[int, ...], str]] = [
    ("LayerNorm", 6, {}, (5,), "does not fit"),
    ("LayerNorm", 6, {}, (2, 1), "does not fit"),
    ("LayerNorm", 6, {}, (), "does not fit"),
    ("LayerNorm", (4, 6), {}, (6,), "does not fit"),
    ("LayerNorm", (4, 6), {"feature_axes": -2}, (3, 6), "does not fit"),
    ("LayerNorm", 6, {"reduction_axes": 1}, (6,), "reduction_axes"),
    ("LayerNorm", 6, {"reduction_axes": (-1, 1)}, (2, 6), "twice"),
    ("RMSNorm", 6, {}, (2, 5), "does not fit"),
    ("RMSNorm", 6, {"reduction_axes": -2}, (6,), "reduction_axes"),
    ("GroupNorm", 8, {"num_groups": 2}, (2, 9), "8 channels"),
    ("GroupNorm", 8, {"num_groups": 2}, (2, 16), "8 channels"),
    ("GroupNorm", 8, {"num_groups": 2}, (), "8 channels"),
    ("GroupNorm", 8, {"num_groups": 2, "reduction_axes": 1}, (2, 3, 8), "last axis"),
    ("GroupNorm", 8, {"num_groups": 2, "reduction_axes": 3}, (2, 3, 8), "reduction_axes"),
]


@pytest.mark.parametrize(("name", "size", "options", "shape", "message"), BAD_INPUTS)
def test_bad_inputs(
    name: str, size: Any, options: Any, shape: tuple[int, ...], message: str
) -> None:
    layer = getattr(nn, name)(size, **options)
    with pytest.raises(ValueError, match=message):
        layer(jnp.ones(shape))
    if "reduction" not in "".join(options):
        with pytest.raises(ValueError, match=message):
            layer.output_size(shape)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_axes_without_features_may_have_any_length(name: str) -> None:
    layer = getattr(nn, name)((4, 6))
    assert layer.output_size((2, 5, 6)) == (2, 5, 6)
    assert layer(jnp.ones((2, 5, 6))).shape == (2, 5, 6)
