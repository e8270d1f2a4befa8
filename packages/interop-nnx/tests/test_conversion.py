"""What a user of the NNX bridge meets: layers, stacks, ties, modes, traces."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from interop_core import (
    MissingShapeError,
    UnsupportedConfigurationError,
    environ,
    explain,
    nn,
    random,
)
from interop_core.graph import leaves
from interop_nnx import from_nnx, to_nnx

# A few layers in float32, whose sums may run in another order.
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
KEY = jax.random.key(0)
IMAGE = (8, 8, 3)


def mlp() -> nn.Sequential:
    with random.seed_context(0):
        return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2))


def cnn() -> nn.Sequential:
    with random.seed_context(1):
        return nn.Sequential(
            nn.Conv2d(IMAGE, 4, 3, b_init=nn.init.ZeroInit()),
            nn.BatchNorm2d((8, 8, 4)),
            nn.GELU(),
            nn.MaxPool2d(2),
            nn.Sequential(
                nn.Conv2d((4, 4, 4), 6, 3, stride=2, padding=1, padding_mode="CIRCULAR"),
                nn.GroupNorm(6, num_groups=3),
                nn.SiLU(),
            ),
            nn.AvgPool2d(2, 2),
            nn.Flatten(in_size=(1, 1, 6)),
            nn.Dropout(0.8),
            nn.Linear(6, 5),
            nn.BatchNorm0d(5, momentum=0.9),
            nn.LogSoftmax(),
        )


def nnx_cnn() -> nnx.Sequential:
    rngs = nnx.Rngs(3)
    return nnx.Sequential(
        nnx.Conv(3, 4, (3, 3), padding="CIRCULAR", rngs=rngs),
        nnx.BatchNorm(4, momentum=0.8, rngs=rngs),
        nnx.relu,
        partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2)),
        nnx.Conv(4, 6, (3, 3), strides=2, use_bias=False, rngs=rngs),
        partial(nnx.gelu, approximate=False),
        partial(jax.lax.collapse, start_dimension=1),
        nnx.Dropout(0.1, rngs=rngs),
        nnx.Linear(24, 5, rngs=rngs),
        nnx.RMSNorm(5, rngs=rngs),
        nnx.log_softmax,
    )


def evaluated(model: Any, x: Any) -> Any:
    with environ.context(fit=False):
        return model(x)


class TestNumbers:
    def test_the_documented_example(self) -> None:
        model, x = mlp(), jax.random.normal(KEY, (3, 4))
        converted = to_nnx(model, rngs=nnx.Rngs(0))
        np.testing.assert_allclose(converted(x), model(x), **CLOSE)
        np.testing.assert_allclose(from_nnx(converted)(x), model(x), **CLOSE)

    def test_the_documented_convolution(self) -> None:
        conv = nnx.Conv(in_features=3, out_features=4, kernel_size=(3, 3), rngs=nnx.Rngs(0))
        converted = from_nnx(conv, sample_input=(8, 8, 3))
        x = jax.random.normal(KEY, (2, 8, 8, 3))
        np.testing.assert_allclose(converted(x), conv(x), **CLOSE)

    def test_a_deep_stack_out_of_the_core_and_back(self) -> None:
        model, x = cnn(), jax.random.normal(KEY, (7, *IMAGE))
        expected = evaluated(model, x)
        converted = to_nnx(model)
        np.testing.assert_allclose(converted(x), expected, **CLOSE)
        back = from_nnx(converted, sample_input=x[0])
        np.testing.assert_allclose(evaluated(back, x), expected, **CLOSE)

    def test_a_deep_stack_into_the_core_and_back(self) -> None:
        model, x = nnx_cnn(), jax.random.normal(KEY, (7, *IMAGE))
        model.eval()
        converted = from_nnx(model, sample_input=IMAGE)
        np.testing.assert_allclose(evaluated(converted, x), model(x), **CLOSE)
        np.testing.assert_allclose(to_nnx(converted)(x), model(x), **CLOSE)

    def test_training_moves_the_same_statistics(self) -> None:
        model, x = cnn(), jax.random.normal(KEY, (4, 16, *IMAGE))
        model.layers[7] = nn.Identity()  # two frameworks never drop the same
        converted = to_nnx(model)
        converted.train()
        for batch in x:
            with environ.context(fit=True):
                expected = model(batch)
            np.testing.assert_allclose(converted(batch), expected, **CLOSE)
        held = leaves(model)
        for place in (1, 9):
            layer = converted.layers[place]
            for name, ours in (("mean", "running_mean"), ("var", "running_var")):
                found = getattr(layer, name).get_value()
                expected = held[f"layers.{place}.{ours}"].reshape(found.shape)
                assert not np.allclose(expected, 0 if name == "mean" else 1)
                np.testing.assert_allclose(found, expected, **CLOSE)

    def test_gradients(self) -> None:
        model, x = mlp(), jax.random.normal(KEY, (6, 4))

        def loss(model: Any) -> Any:
            return jnp.sum(model(x) ** 2)

        grads = nnx.grad(loss)(to_nnx(model))
        expected = leaves(jax.grad(loss)(model))
        for place in (0, 3):
            for name, ours in (("kernel", "weight"), ("bias", "bias")):
                np.testing.assert_allclose(
                    grads["layers"][place][name].get_value(),
                    expected[f"layers.{place}.weight.{ours}"],
                    rtol=1e-4,  # the loss sums 12 squares
                    atol=1e-5,
                )

    @pytest.mark.parametrize("dtype, tolerance", [("bfloat16", 0.06), ("float16", 0.01)])
    def test_half_precision(self, dtype: str, tolerance: float) -> None:
        # Both sides round to 8 or 11 bits in every layer, NNX inside normalisations too.
        model = jax.tree.map(lambda array: array.astype(dtype), cnn())
        x = jax.random.normal(KEY, (7, *IMAGE), dtype)
        converted = to_nnx(model)
        assert {a.dtype for a in jax.tree.leaves(nnx.state(converted, nnx.Param))} == {x.dtype}
        found, expected = converted(x), evaluated(model, x)
        assert found.dtype == expected.dtype == x.dtype
        np.testing.assert_allclose(
            found.astype(np.float32), expected.astype(np.float32), tolerance, tolerance
        )

    def test_double_precision(self) -> None:
        with jax.enable_x64(True):
            model = jax.tree.map(lambda array: array.astype(np.float64), cnn())
            x = jax.random.normal(KEY, (7, *IMAGE), np.float64)
            found, expected = to_nnx(model)(x), evaluated(model, x)
            assert found.dtype == expected.dtype == np.float64
            np.testing.assert_allclose(found, expected, 1e-13, 1e-13)

    def test_a_compute_dtype_goes_over(self) -> None:
        x = jax.random.normal(KEY, (3, 4))
        layer = nn.Linear(4, 8, dtype=jnp.bfloat16)
        converted = to_nnx(layer)
        assert converted.dtype == jnp.bfloat16
        np.testing.assert_array_equal(converted(x), layer(x))
        assert converted.kernel.dtype == jnp.float32

    def test_parameters_of_two_dtypes(self) -> None:
        layer = nn.Linear(4, 8, b_init=jnp.ones(8, jnp.bfloat16))
        with pytest.raises(UnsupportedConfigurationError, match="of bfloat16 and float32"):
            to_nnx(layer)
        foreign = nnx.Linear(4, 8, rngs=nnx.Rngs(0))
        foreign.bias = nnx.Param(jnp.ones(8, jnp.bfloat16))
        with pytest.raises(UnsupportedConfigurationError, match="of bfloat16 and float32"):
            from_nnx(foreign)
        foreign.dtype = jnp.float32
        x = jax.random.normal(KEY, (3, 4))
        np.testing.assert_array_equal(from_nnx(foreign)(x), foreign(x))

    def test_batch_normalisation_in_half_precision_with_full_statistics(self) -> None:
        layer = nn.BatchNorm0d(4)
        assert layer.weight is not None
        layer.weight.value = jax.tree.map(lambda a: a.astype(jnp.bfloat16), layer.weight.value)
        x = jax.random.normal(KEY, (3, 4), jnp.bfloat16)
        found, expected = to_nnx(layer)(x), evaluated(layer, x)
        assert found.dtype == expected.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, **CLOSE)


class TestArrays:
    def test_weights_are_the_same_buffers(self) -> None:
        model = mlp()
        converted = to_nnx(model)
        back = from_nnx(converted)
        for place, pairs in {
            0: (("kernel", "weight"), ("bias", "bias")),
            1: (("scale", "scale"), ("bias", "bias")),
        }.items():
            for name, ours in pairs:
                array = model.layers[place].weight.value[ours]
                assert getattr(converted.layers[place], name).get_value() is array
                assert back.layers[place].weight.value[ours] is array

    def test_weights_on_the_host_stay_there(self) -> None:
        layer = nn.Conv1d((8, 3), 4, 3, b_init=nn.init.ZeroInit())
        weights: Any = jax.tree.map(np.asarray, layer.weight.value)
        layer.weight.value = weights
        converted = to_nnx(layer)
        assert converted.kernel.get_value() is weights["weight"]
        assert np.shares_memory(converted.bias.get_value(), weights["bias"])

    def test_models_are_apart_after_conversion(self) -> None:
        model = mlp()
        converted = to_nnx(model)
        before = model.layers[0].weight.value["bias"]
        converted.layers[0].bias[...] = jnp.ones(8)
        assert model.layers[0].weight.value["bias"] is before
        model.layers[0].weight.value = {"weight": jnp.zeros((4, 8)), "bias": before}
        assert not np.allclose(converted.layers[0].kernel[...], 0)

    def test_the_source_is_not_changed(self) -> None:
        model = nnx_cnn()
        graph, state = nnx.split(model)
        from_nnx(model, sample_input=IMAGE)
        graph_after, state_after = nnx.split(model)
        assert graph == graph_after
        for array, after in zip(jax.tree.leaves(state), jax.tree.leaves(state_after), strict=True):
            assert array is after
        model_of_core = cnn()
        before = leaves(model_of_core)
        to_nnx(model_of_core, rngs=nnx.Rngs(0))
        after_of_core = leaves(model_of_core)
        assert before.keys() == after_of_core.keys()
        assert all(before[name] is after_of_core[name] for name in before)

    def test_two_conversions_share_no_variable(self) -> None:
        model = mlp()
        first, second = to_nnx(model), to_nnx(model)
        first.layers[0].bias[...] = jnp.ones(8)
        assert np.allclose(second.layers[0].bias[...], 0)
        first.layers[0].note = "mine"
        assert not hasattr(second.layers[0], "note")


class TestStructure:
    def test_tied_layers_stay_tied(self) -> None:
        tied = nn.Linear(4, 4)
        inner = nn.Sequential(tied, nn.Tanh())
        converted = to_nnx(nn.Sequential(tied, inner, nn.ReLU(), inner))
        assert converted.layers[0] is converted.layers[1].layers[0]
        assert converted.layers[1] is converted.layers[3]
        assert len(jax.tree.leaves(nnx.state(converted))) == 2
        back = from_nnx(converted)
        assert back.layers[0] is back.layers[1].layers[0]
        assert back.layers[1] is back.layers[3]

    def test_small_stacks(self) -> None:
        x = jnp.arange(3.0)
        empty = to_nnx(nn.Sequential())
        assert type(empty) is nnx.Sequential
        np.testing.assert_array_equal(empty(x), x)
        assert len(from_nnx(empty).layers) == 0
        one = to_nnx(nn.Sequential(nn.ReLU()))
        assert list(one.layers) == [jax.nn.relu]
        assert type(from_nnx(one).layers[0]) is nn.ReLU

    def test_functions_become_layers_and_back(self) -> None:
        stack = nnx.Sequential(
            partial(nnx.max_pool, window_shape=(2,), strides=(2,)),
            nnx.leaky_relu,
            partial(nnx.softmax, axis=-2),
            nnx.identity,
        )
        converted = from_nnx(stack)
        kinds = [type(layer) for layer in converted.layers]
        assert kinds == [nn.MaxPool1d, nn.LeakyReLU, nn.Softmax, nn.Identity]
        x = jax.random.normal(KEY, (2, 6, 3))
        np.testing.assert_allclose(converted(x), stack(x), **CLOSE)
        again = to_nnx(converted)
        assert again.layers[1] is jax.nn.leaky_relu
        np.testing.assert_allclose(again(x), stack(x), **CLOSE)

    @pytest.mark.parametrize("alphas", [(0.7, np.float64(0.7)), (np.float64(0.7), 0.7)])
    def test_numbers_that_are_equal_may_promote_otherwise(self, alphas: Any) -> None:
        x = jnp.array([-1.0, 2.0], jnp.bfloat16)
        for alpha in alphas:
            stack = nnx.Sequential(partial(nnx.elu, alpha=alpha))
            assert from_nnx(stack)(x).dtype == stack(x).dtype

    def test_plain_functions_in_a_core_stack(self) -> None:
        converted = to_nnx(nn.Sequential(nn.Linear(4, 4), jax.nn.relu))
        assert converted.layers[1] is jax.nn.relu

    def test_one_partial_may_stand_where_shapes_differ(self) -> None:
        pool = partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2))
        stack = nnx.Sequential(pool, pool)
        x = jax.random.normal(KEY, (2, 8, 8, 3))
        np.testing.assert_array_equal(from_nnx(stack, sample_input=(8, 8, 3))(x), stack(x))

    def test_modes(self) -> None:
        converted = to_nnx(nn.Sequential(nn.BatchNorm0d(3), nn.Dropout(0.5)))
        norm, dropout = converted.layers
        assert (norm.use_running_average, dropout.deterministic) == (True, True)
        converted.train()
        assert (norm.use_running_average, dropout.deterministic) == (False, False)
        for mode in (True, False, None):
            bn = nnx.BatchNorm(3, use_running_average=mode, rngs=nnx.Rngs(0))
            assert type(from_nnx(bn, sample_input=(3,))) is nn.BatchNorm0d

    def test_sizes_come_from_the_example(self) -> None:
        converted = from_nnx(nnx_cnn(), sample_input=jnp.ones(IMAGE))
        assert converted.layers[0].in_size == (8, 8, 3)
        assert converted.layers[1].in_size == (8, 8, 4)
        assert converted.layers[4].in_size == (4, 4, 4)
        with pytest.raises(MissingShapeError, match=r"layers\[0\] \(nnx.Conv\)"):
            from_nnx(nnx_cnn())

    def test_explanation(self) -> None:
        plan = explain(cnn(), to="nnx")
        assert plan.convertible
        assert plan.rows[0].cells()[1:3] == ("nn.Conv2d", "nnx.Conv")


class TestTraces:
    def test_shapes_alone(self) -> None:
        abstract = nnx.eval_shape(lambda: nnx_cnn())
        converted = from_nnx(abstract, sample_input=IMAGE)
        expected = leaves(from_nnx(nnx_cnn(), sample_input=IMAGE))
        found = leaves(converted)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            assert isinstance(found[name], jax.ShapeDtypeStruct)
            assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        for leaf in jax.tree.leaves(nnx.state(to_nnx(converted), nnx.Param, nnx.BatchStat)[0]):
            assert isinstance(leaf, jax.ShapeDtypeStruct)

    def test_a_masked_convolution_of_shapes_alone(self) -> None:
        layer = nnx.Conv(3, 4, (3,), mask=jnp.ones((3, 3, 4)), rngs=nnx.Rngs(0))
        converted = from_nnx(nnx.eval_shape(lambda: layer), sample_input=(8, 3))
        assert isinstance(converted.w_mask, jax.ShapeDtypeStruct)
        assert isinstance(to_nnx(converted).mask, jax.ShapeDtypeStruct)

    def test_inside_jit(self) -> None:
        model, x = cnn(), jax.random.normal(KEY, (3, *IMAGE))

        @jax.jit
        def there_and_back(model: Any, x: Any) -> Any:
            converted = to_nnx(model)
            y = converted(x)
            return y, evaluated(from_nnx(converted, sample_input=x[0]), x)

        for y in there_and_back(model, x):
            np.testing.assert_allclose(y, evaluated(model, x), **CLOSE)

    def test_training_inside_jit(self) -> None:
        model, x = cnn(), jax.random.normal(KEY, (3, *IMAGE))

        @jax.jit
        def step(model: Any, x: Any) -> Any:
            converted = to_nnx(model)
            converted.train()  # what is made in a trace can be changed in it
            return converted(x), converted.layers[1].mean[...]

        _, mean = step(model, x)
        assert mean.shape == (4,)
        assert not np.allclose(mean, 0)

    def test_a_model_out_of_a_trace(self) -> None:
        made = jax.eval_shape(to_nnx, mlp())
        assert type(made) is nnx.Sequential
        model = mlp()
        copy = jax.jit(to_nnx)(model)
        x = jax.random.normal(KEY, (3, 4))
        np.testing.assert_allclose(copy(x), model(x), **CLOSE)

    def test_differentiation_through_the_conversion(self) -> None:
        model, x = mlp(), jax.random.normal(KEY, (6, 4))
        direct = jax.grad(lambda m: jnp.sum(m(x) ** 2))(model)
        through = jax.grad(lambda m: jnp.sum(to_nnx(m)(x) ** 2))(model)
        for one, other in zip(jax.tree.leaves(direct), jax.tree.leaves(through), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)  # as in test_gradients

    def test_a_traced_mask(self) -> None:
        @jax.jit
        def run(mask: Any, x: Any) -> Any:
            layer = nnx.Conv(3, 4, (3,), mask=mask, rngs=nnx.Rngs(0))
            return from_nnx(layer, sample_input=(8, 3))(x) - layer(x)

        x = jax.random.normal(KEY, (2, 8, 3))
        np.testing.assert_allclose(run(jnp.eye(3)[:, :, None] * jnp.ones(4), x), 0, atol=1e-6)


class TestVariableSettings:
    @pytest.mark.skipif(not hasattr(nnx, "var_defaults"), reason="this flax has no var_defaults")
    def test_skeletons_do_not_keep_the_settings_they_were_made_under(self) -> None:
        layer = nn.Linear(11, 13)  # a configuration that no other test has
        with nnx.var_defaults(ref=True):
            to_nnx(layer)
        converted = to_nnx(layer)
        assert not converted.kernel.ref
        converted.kernel[...] = jnp.zeros((11, 13))
        np.testing.assert_array_equal(converted(jnp.ones(11)), jnp.zeros(13))
