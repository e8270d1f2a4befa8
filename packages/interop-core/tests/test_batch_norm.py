"""Batch normalisation against the published layers, its documentation and the formula."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn
from interop_core.state import BatchState, LongTermState, NormalizationParamState, ParamState

Row = tuple[str, Any, dict[str, Any]]

ROWS: list[Row] = [
    ("BatchNorm0d", 3, {}),
    ("BatchNorm0d", (3,), {"affine": False}),
    ("BatchNorm1d", (4, 3), {}),
    ("BatchNorm1d", (4, 3), {"momentum": 0.5, "epsilon": 0.1}),
    ("BatchNorm1d", (4, 3), {"momentum": 0.0, "use_fast_variance": False}),
    ("BatchNorm1d", (4, 3), {"momentum": 1}),
    ("BatchNorm1d", (4, 3), {"feature_axis": (0, 1)}),
    ("BatchNorm1d", (4, 3), {"feature_axis": 1, "dtype": jnp.float32}),
    ("BatchNorm2d", (4, 5, 3), {}),
    ("BatchNorm2d", (4, 5, 3), {"affine": False, "momentum": 0.9}),
    ("BatchNorm3d", (2, 3, 2, 4), {}),
]
IDS = [f"{name}-{size}" + "".join(f"-{key}" for key in o) for name, size, o in ROWS]
every_row = pytest.mark.parametrize(("name", "size", "options"), ROWS, ids=IDS)


class fitting:
    """Set `fit` on both sides."""

    def __init__(self, fit: bool) -> None:
        self.contexts = (environ.context(fit=fit), brainstate.environ.context(fit=fit))

    def __enter__(self) -> None:
        for context in self.contexts:
            context.__enter__()

    def __exit__(self, *error: Any) -> None:
        for context in reversed(self.contexts):
            context.__exit__(*error)


def sample(*shape: int, seed: int = 7) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def pair(name: str, size: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    """Our layer and the published one, with the same states, none of them trivial."""
    ours = getattr(nn, name)(size, **options)
    published = getattr(brainstate.nn, name)(size, **options)
    mine, theirs = graph.states(ours), published.states()
    assert list(mine) == list(theirs)
    for index, (path, state) in enumerate(sorted(theirs.items())):
        assert jax.tree.map(jnp.shape, mine[path].value) == jax.tree.map(jnp.shape, state.value)
        if "dtype" not in options:  # the published layer also stores statistics in it, at first
            assert jax.tree.map(dtype_of, mine[path].value) == jax.tree.map(dtype_of, state.value)
        if path == ("weight",):
            value: Any = {
                key: sample(*array.shape, seed=position)
                for position, (key, array) in enumerate(sorted(state.value.items()))
            }
        else:
            value = 1 + jnp.abs(sample(*state.value.shape, seed=10 + index))
        mine[path].value = state.value = value
    return ours, published


def dtype_of(array: Any) -> Any:
    return array.dtype


def agree(ours: Any, published: Any, rtol: float = 1e-5) -> None:
    """The same dtype, shape and numbers. The default leaves room for another order of sums."""
    assert ours.dtype == published.dtype
    assert ours.shape == published.shape
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


def agree_in_states(ours: Any, published: Any) -> None:
    for path, state in published.states().items():
        jax.tree.map(agree, graph.states(ours)[path].value, state.value)


class TestAgainstPublished:
    @every_row
    @pytest.mark.parametrize("lead", [(), (8,)])
    def test_evaluation(self, name: str, size: Any, options: Any, lead: tuple[int, ...]) -> None:
        ours, published = pair(name, size, options)
        before = jax.tree.map(id, ours)
        x = 2 * sample(*lead, *ours.in_size) + 1
        with fitting(False):
            if lead:
                agree(jax.jit(ours.update)(x), brainstate.transform.jit(published)(x))
            else:
                agree(ours(x), published(x))
        assert jax.tree.leaves(jax.tree.map(id, ours)) == jax.tree.leaves(before)

    @every_row
    @pytest.mark.parametrize("lead", [(), (8,)])
    def test_training_steps(
        self, name: str, size: Any, options: Any, lead: tuple[int, ...]
    ) -> None:
        if options.get("feature_axis") == (0, 1) and not lead:
            pytest.skip("nothing to average over")
        ours, published = pair(name, size, options)
        with fitting(True):
            x = sample(*lead, *ours.in_size)
            for step in range(3):
                x = (1 + step) * sample(*lead, *ours.in_size, seed=step) + 0.5 * step
                # The fast variance of few values loses some digits.
                agree(ours(x), published(x), rtol=1e-4)
        agree_in_states(ours, published)
        with fitting(False):
            agree(ours(x), published(x))

    @every_row
    def test_training_steps_compiled(self, name: str, size: Any, options: Any) -> None:
        ours, published = pair(name, size, options)

        @jax.jit
        def step(layer: Any, x: jax.Array) -> Any:
            return layer(x), layer

        with fitting(True):
            compiled = brainstate.transform.jit(published)
            for index in range(3):
                x = sample(8, *ours.in_size, seed=index) + index
                y, ours = step(ours, x)
                agree(y, compiled(x), rtol=1e-4)
        agree_in_states(ours, published)

    @every_row
    @pytest.mark.parametrize("fit", [True, False])
    def test_gradients(self, name: str, size: Any, options: Any, fit: bool) -> None:
        ours, published = pair(name, size, options)
        x = sample(8, *ours.in_size)
        with fitting(fit):
            parameters = published.states(brainstate.ParamState)
            gradient = brainstate.transform.grad(
                lambda x: (published(x) ** 3).sum(), parameters or None, argnums=0
            )
            theirs = brainstate.transform.jit(gradient)(x)
            of_layer, of_x = jax.jit(jax.grad(lambda m, x: (m(x) ** 3).sum(), (0, 1)))(ours, x)
        of_states, of_input = theirs if parameters else ({}, theirs)
        agree(of_x, of_input, rtol=1e-3)  # cubes, and a difference of large terms
        grads = graph.leaves(of_layer)
        for path, value in of_states.items():
            for key, array in value.items():
                agree(grads[f"{path[0]}.{key}"], array, rtol=1e-4)

    @pytest.mark.parametrize("given", ["bfloat16", "int32"])
    @pytest.mark.parametrize("dtype", [None, "bfloat16"])
    @pytest.mark.parametrize("fit", [True, False])
    def test_dtypes(self, given: str, dtype: str | None, fit: bool) -> None:
        # The published layer rounds momentum to the dtype, 0.5 exactly.
        ours, published = pair("BatchNorm1d", (4, 3), {"dtype": dtype, "momentum": 0.5})
        x = (5 * sample(8, 4, 3)).astype(given)
        with fitting(fit):
            agree(ours(x), published(x), rtol=2**-7 if dtype == "bfloat16" else 1e-5)
        if fit:
            agree_in_states(ours, published)

    def test_mask(self) -> None:
        ours, published = pair("BatchNorm1d", (4, 3), {})
        x = sample(8, 4, 3)
        mask = np.asarray(x) > -1.0
        with fitting(True):
            agree(ours(x, mask), published(x, mask))
        agree_in_states(ours, published)

    def test_double_precision(self) -> None:
        with environ.context(precision=64), brainstate.environ.context(precision=64):
            ours, published = pair("BatchNorm0d", 3, {})
            x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)))
            with fitting(True):
                agree(ours(x), published(x), rtol=1e-13)
            assert ours.running_mean.value.dtype == np.float64
            agree(ours.running_var.value, published.running_var.value, rtol=1e-13)

    @every_row
    def test_sizes_and_types(self, name: str, size: Any, options: Any) -> None:
        ours, published = pair(name, size, options)
        assert ours.in_size == ours.out_size == published.in_size == published.out_size
        assert ours.output_size(ours.in_size) == ours.out_size
        assert type(ours.running_mean) is type(ours.running_var) is BatchState
        assert (ours.weight is None) == (published.weight is None)
        if ours.weight is not None:
            assert type(ours.weight) is NormalizationParamState


class TestFormula:
    def test_running_statistics(self) -> None:
        x = np.asarray(sample(5, 4, 3), np.float64)
        layer = nn.BatchNorm1d((4, 3), momentum=0.75, use_fast_variance=False)
        with environ.context(fit=True):
            layer(jnp.asarray(x, jnp.float32))
        assert layer.running_mean is not None
        assert layer.running_var is not None
        np.testing.assert_allclose(
            layer.running_mean.value[0], 0.25 * x.mean((0, 1)), rtol=1e-5, atol=1e-6
        )
        # The biased variance, of all but the last axis.
        np.testing.assert_allclose(
            layer.running_var.value[0], 0.75 + 0.25 * x.var((0, 1)), rtol=1e-5
        )

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_momentum_and_statistics_keep_their_precision(self, dtype: str) -> None:
        # The published layer rounds 0.99 to the dtype, which moves the statistics by up to 17 %.
        x = sample(8, 3) + 1
        layer, reference = nn.BatchNorm0d(3, dtype=dtype), nn.BatchNorm0d(3)
        with environ.context(fit=True):
            layer(x), reference(x)
        jax.tree.map(agree, graph.leaves(layer), graph.leaves(reference))

    def test_dtype_is_for_computing_and_not_for_states(self) -> None:
        layer = nn.BatchNorm0d(3, dtype="float16")
        for fit in (False, True):
            assert {leaf.dtype for leaf in jax.tree.leaves(layer)} == {np.dtype(np.float32)}
            with environ.context(fit=fit):
                assert layer(sample(8, 3)).dtype == np.float16
        assert {leaf.dtype for leaf in jax.tree.leaves(layer)} == {np.dtype(np.float32)}

    @pytest.mark.parametrize("axis", [0, -2, (0,)])
    def test_features_on_the_first_axis(self, axis: Any) -> None:
        # The published layer turns the statistics into a square here.
        layer = nn.BatchNorm1d((3, 4), feature_axis=axis, momentum=0.0)
        last = nn.BatchNorm1d((4, 3), momentum=0.0)
        x = sample(8, 3, 4)
        with environ.context(fit=True):
            agree(layer(x), jnp.swapaxes(last(jnp.swapaxes(x, 1, 2)), 1, 2))
        assert layer.running_mean is not None
        assert last.running_mean is not None
        agree(layer.running_mean.value, last.running_mean.value.T)

    @pytest.mark.parametrize("fit", [True, False, None])
    def test_without_running_statistics(self, fit: bool | None) -> None:
        # As documented: the batch's own statistics always. The published layer does nothing here.
        layer = nn.BatchNorm0d(3, track_running_stats=False, affine=False)
        assert graph.states(layer) == {}
        x = sample(8, 3)
        expected = (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5)
        if fit is None:
            agree(layer(x), expected)
        else:
            with environ.context(fit=fit):
                agree(layer(x), expected)

    @pytest.mark.parametrize(
        ("given", "stored", "statistics", "result"),
        [
            ("bfloat16", "bfloat16", "bfloat16", "bfloat16"),
            ("bfloat16", "bfloat16", "float32", "float32"),
            ("float32", "bfloat16", "bfloat16", "float32"),
        ],
    )
    @pytest.mark.parametrize("fit", [True, False])
    def test_result_type_without_dtype(
        self, given: str, stored: str, statistics: str, result: str, fit: bool
    ) -> None:
        layer = jax.tree.map(lambda leaf: leaf.astype(statistics), nn.BatchNorm0d(3))
        layer.weight.value = jax.tree.map(lambda leaf: leaf.astype(stored), layer.weight.value)
        with environ.context(fit=fit):
            assert layer(jnp.ones((2, 3), given)).dtype == result

    def test_half_precision_input_without_affine(self) -> None:
        # The running statistics count: as published, and as in Flax NNX.
        layer, published = pair("BatchNorm0d", 3, {"affine": False})
        with fitting(True):
            x = sample(8, 3).astype("bfloat16")
            agree(layer(x), published(x))

    def test_two_passes_survive_a_large_mean(self) -> None:
        x = sample(64, 3) + 1e4
        with environ.context(fit=True):
            y = nn.BatchNorm0d(3, use_fast_variance=False)(x)
        # The input itself is rounded to 1e-3 at this size.
        np.testing.assert_allclose(np.asarray(y).std(0), 1.0, atol=2e-3)

    @pytest.mark.parametrize("missing", ["bias", "scale"])
    def test_scale_or_bias_alone(self, missing: str) -> None:
        options: dict[str, Any] = {f"{missing}_initializer": None}
        layer = nn.BatchNorm0d(3, **options)
        assert layer.weight is not None
        assert set(layer.weight.value) == {"bias", "scale"} - {missing}
        x = sample(8, 3)
        with environ.context(fit=True):
            agree(layer(x), nn.BatchNorm0d(3, affine=False)(x))


class TestMappedAxis:
    @pytest.mark.parametrize("fast", [True, False])
    def test_statistics_of_all_examples(self, fast: bool) -> None:
        x = sample(6, 4, 3)
        mapped = nn.BatchNorm1d((4, 3), axis_name="batch", use_fast_variance=fast)
        whole = nn.BatchNorm1d((4, 3), use_fast_variance=fast)
        with environ.context(fit=True):
            y, mapped = jax.vmap(
                lambda layer, x: (layer(x), layer),
                in_axes=(None, 0),
                out_axes=(0, None),
                axis_name="batch",
            )(mapped, x)
            agree(y, whole(x))
        jax.tree.map(agree, graph.leaves(mapped), graph.leaves(whole))

    def test_several_axes(self) -> None:
        x = sample(2, 3, 4)
        layer = nn.BatchNorm0d(4, axis_name=("a", "b"))

        def call(x: jax.Array) -> Any:
            return jax.tree.map(lambda leaf: leaf, layer)(x)

        with environ.context(fit=True):
            y = jax.vmap(jax.vmap(call, axis_name="b"), axis_name="a")(x)
            agree(y.reshape(6, 4), nn.BatchNorm0d(4)(x.reshape(6, 4)))

    def test_evaluation_needs_no_axis(self) -> None:
        layer = nn.BatchNorm0d(3, axis_name="batch")
        with environ.context(fit=False):
            assert layer(sample(2, 3)).shape == (2, 3)

    def test_one_layer_for_each_example(self) -> None:
        layers = jax.vmap(lambda key: nn.BatchNorm0d(3))(jnp.arange(5))
        x = sample(5, 8, 3)
        with environ.context(fit=True):
            y, layers = jax.vmap(lambda layer, x: (layer(x), layer))(layers, x)
            single = nn.BatchNorm0d(3)
            agree(y[2], single(x[2]))
        assert layers.running_mean.value.shape == (5, 3)
        assert single.running_mean is not None
        agree(layers.running_mean.value[2], single.running_mean.value)


def test_one_compiled_function_for_both_modes() -> None:
    layer = nn.BatchNorm0d(3)
    call = jax.jit(lambda layer, x: layer(x))
    x = sample(8, 3) + 1
    with environ.context(fit=False):
        agree(call(layer, x), layer(x))
    with environ.context(fit=True):
        agree(call(layer, x), (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5))


def test_asks_whether_it_is_being_fitted() -> None:
    with pytest.raises(KeyError, match="fit"):
        nn.BatchNorm0d(3)(jnp.ones((2, 3)))


@every_row
def test_configuration(name: str, size: Any, options: Any) -> None:
    layer = getattr(nn, name)(size, **options)
    found = graph.configuration(layer)
    assert {key: found[key] for key in options} == options
    assert type(found["momentum"]) is type(options.get("momentum", 0.99))
    structure: Any = jax.tree.structure
    assert structure(type(layer)(**found)) == structure(layer)


@every_row
def test_abstract(name: str, size: Any, options: Any) -> None:
    layer = getattr(nn, name)(size, **options)
    with nn.init.abstract():
        skeleton = getattr(nn, name)(size, **options)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(skeleton))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), graph.leaves(skeleton)) == (
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), graph.leaves(layer))
    )


def test_types_of_states_can_be_chosen() -> None:
    layer = nn.BatchNorm0d(3, param_type=ParamState, mean_type=LongTermState, name="a")
    assert type(layer.weight) is ParamState
    assert type(layer.running_mean) is type(layer.running_var) is LongTermState
    assert layer.name == "a"


BAD_ARGUMENTS: list[tuple[str, Any, dict[str, Any], str]] = [
    ("BatchNorm0d", (4, 3), {}, "in_size of 1 entries"),
    ("BatchNorm1d", 3, {}, "in_size of 2 entries"),
    ("BatchNorm2d", (4, 3), {}, "in_size of 3 entries"),
    ("BatchNorm3d", (4, 4, 3), {}, "in_size of 4 entries"),
    ("BatchNorm1d", (4, 3), {"feature_axis": 2}, "feature_axis"),
    ("BatchNorm1d", (4, 3), {"feature_axis": (1, -1)}, "twice"),
    ("BatchNorm1d", (4, 3), {"track_running_stats": False}, "affine=False"),
]


@pytest.mark.parametrize(("name", "size", "options", "message"), BAD_ARGUMENTS)
def test_bad_arguments(name: str, size: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(nn, name)(size, **options)


@pytest.mark.parametrize("fit", [True, False])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3,), "axes"),
        ((2, 2, 4, 3), "axes"),
        ((2, 4, 5), "built for examples of shape"),
        ((2, 5, 3), "built for examples of shape"),
        ((4, 1), "built for examples of shape"),
    ],
)
def test_bad_inputs(shape: tuple[int, ...], message: str, fit: bool) -> None:
    layer, published = pair("BatchNorm1d", (4, 3), {})
    with fitting(fit), pytest.raises(ValueError, match=message):
        layer(jnp.ones(shape))
    with fitting(fit), pytest.raises(ValueError, match="expected"):
        published(jnp.ones(shape))


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3), (4, 1)])
def test_bad_sizes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="built for examples of shape"):
        nn.BatchNorm1d((4, 3)).output_size(shape)
