"""Whole models both ways: the same numbers in both modes, the same buffers, gradients, jit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from flax.core import FrozenDict, freeze

from interop_core import environ, nn, random
from interop_core.graph import leaves
from interop_linen import BRIDGE, from_linen, to_linen

IMAGE = (8, 8, 3)


def convolutional() -> nn.Sequential:
    random.seed(0)
    return nn.Sequential(
        nn.Conv2d(IMAGE, 6, 3, b_init=nn.init.ZeroInit()),
        nn.BatchNorm2d((8, 8, 6), momentum=0.8),
        nn.ReLU(),
        nn.MaxPool2d(2, 2, in_size=(8, 8, 6)),
        nn.Sequential(nn.Conv2d((4, 4, 6), 6, 3, groups=2), nn.GroupNorm(6, num_groups=3)),
        nn.GELU(),
        nn.AvgPool2d(2, 2),
        nn.Flatten(in_size=(2, 2, 6)),
        nn.LayerNorm(24),
        nn.Dropout(0.6),
        nn.Linear(24, 5),
        nn.LogSoftmax(),
    )


def core_call(model: Any, x: Any, *, fit: bool = False) -> Any:
    with environ.context(fit=fit):
        return model(x)


def image(seed: int = 0, batch: int = 4) -> Any:
    return jax.random.normal(jax.random.key(seed), (batch, *IMAGE))


def close(found: Any, expected: Any) -> None:
    # Both sides add the same float32 products, in an order that the compiler chooses.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_evaluation_agrees_both_ways() -> None:
    model, x = convolutional(), image()
    module, variables = to_linen(model)
    expected = core_call(model, x)
    close(module.apply(variables, x), expected)
    close(core_call(from_linen(module, variables, sample_input=x[0]), x), expected)


def test_the_tree_is_the_one_that_linen_makes() -> None:
    module, variables = to_linen(convolutional())
    made = module.init(jax.random.key(0), image())
    shapes = partial(jax.tree.map, lambda array: (array.shape, array.dtype))
    assert shapes(variables) == shapes(made)


def test_training_mode_trains_the_statistics_alike() -> None:
    model = nn.Sequential(
        nn.Conv2d(IMAGE, 4, 3), nn.BatchNorm2d((8, 8, 4), momentum=0.7), nn.ReLU()
    )
    module, variables = to_linen(model, training=True)
    params, statistics = variables["params"], variables["batch_stats"]
    x = image()
    for step in range(4):
        x = image(step)
        y, moved = module.apply(
            {"params": params, "batch_stats": statistics}, x, mutable=["batch_stats"]
        )
        statistics = moved["batch_stats"]
        close(y, core_call(model, x, fit=True))
    _, after = to_linen(model)
    jax.tree.map(close, statistics, after["batch_stats"])
    evaluating, _ = to_linen(model)
    close(evaluating.apply({"params": params, "batch_stats": statistics}, x), core_call(model, x))


def test_dropout_drops_in_training_mode_alone() -> None:
    model, x = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5)), jnp.ones((3, 4))
    module, variables = to_linen(model)
    close(module.apply(variables, x), core_call(model, x))
    module, variables = to_linen(model, training=True)
    y = module.apply(variables, x, rngs={"dropout": jax.random.key(0)})
    kept = np.asarray(core_call(model, x) * 2)
    assert 0.3 < np.mean(np.asarray(y) == 0) < 0.7
    close(y, np.where(np.asarray(y) == 0, 0, kept))


def test_modes_do_not_mix() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm0d(4))
    for training in (False, True, False, True):
        module, _ = to_linen(model, training=training)
        dropout, norm = module.layers
        assert dropout.deterministic is not training
        assert norm.use_running_average is not training


def test_flags_of_any_kind_are_imported() -> None:
    for flag in (True, False, None):
        module = linen.Sequential(
            [linen.Dropout(0.3, deterministic=flag), linen.BatchNorm(use_running_average=flag)]
        )
        ones = jnp.ones(4)
        variables = {
            "params": {"layers_1": {"scale": ones, "bias": ones}},
            "batch_stats": {"layers_1": {"mean": ones, "var": ones}},
        }
        model = from_linen(module, variables, sample_input=(4,))
        assert model.layers[0].prob == 0.7
        assert isinstance(model.layers[1], nn.BatchNorm0d)


def test_arrays_are_the_same_buffers() -> None:
    model = nn.Sequential(
        nn.Embedding(5, 4), nn.Linear(4, 8), nn.LayerNorm(8), nn.RMSNorm(8), nn.GroupNorm(8, -1, 2)
    )
    module, variables = to_linen(model)
    params = variables["params"]
    pairs = [
        (params["layers_0"]["embedding"], model.layers[0].weight.value),
        (params["layers_1"]["kernel"], model.layers[1].weight.value["weight"]),
        (params["layers_1"]["bias"], model.layers[1].weight.value["bias"]),
        (params["layers_2"]["scale"], model.layers[2].weight.value["scale"]),
        (params["layers_3"]["scale"], model.layers[3].scale.value["scale"]),
        (params["layers_4"]["bias"], model.layers[4].weight.value["bias"]),
    ]
    assert all(here is there for here, there in pairs)
    back = from_linen(module, variables)
    assert back.layers[1].weight.value["weight"] is params["layers_1"]["kernel"]
    norm: Any = nn.BatchNorm0d(3)
    assert to_linen(norm)[1]["batch_stats"]["var"] is norm.running_var.value


def test_gradients_agree() -> None:
    model, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), jnp.ones((3, 4))
    module, variables = to_linen(model)
    there = jax.grad(lambda v: jnp.sum(module.apply(v, x) ** 2))(variables)
    here = to_linen(jax.grad(lambda m: jnp.sum(m(x) ** 2))(model))[1]
    jax.tree.map(close, there, here)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8"])
def test_dtypes_and_host_arrays_stay(dtype: str) -> None:
    kernel = np.ones((4, 2), jnp.dtype(dtype))
    model = from_linen(linen.Dense(2, use_bias=False), {"params": {"kernel": kernel}})
    assert model.weight.value["weight"] is kernel
    assert to_linen(model)[1]["params"]["kernel"] is kernel


def test_a_frozen_tree_is_taken_and_left_alone() -> None:
    module = linen.Sequential([linen.Dense(3), linen.Sequential([linen.LayerNorm()])])
    frozen = freeze(module.init(jax.random.key(0), jnp.ones((1, 4))))
    leaves_before = jax.tree.leaves(frozen)
    model = from_linen(module, frozen)
    _, variables = to_linen(model)
    assert all(a is b for a, b in zip(jax.tree.leaves(frozen), leaves_before, strict=True))
    assert isinstance(frozen, FrozenDict)
    assert type(variables) is type(variables["params"]["layers_1"]) is dict
    jax.tree.map(close, variables, frozen.unfreeze())


def test_nothing_of_the_source_changes() -> None:
    model = convolutional()
    before, text = leaves(model), repr(model)
    module, variables = to_linen(model)
    assert repr(model) == text
    assert all(leaves(model)[name] is array for name, array in before.items())
    arrays, description = jax.tree.leaves_with_path(variables), repr(module)
    from_linen(module, variables, sample_input=IMAGE)
    assert [*map(str, jax.tree.leaves_with_path(variables))] == [*map(str, arrays)]
    assert repr(module) == description


def test_shapes_convert_without_arrays() -> None:
    model = convolutional()
    module, variables = to_linen(model)
    abstract = jax.eval_shape(lambda v: v, variables)
    back = from_linen(module, abstract, sample_input=IMAGE)
    assert all(isinstance(array, jax.ShapeDtypeStruct) for array in leaves(back).values())
    again = to_linen(back)[1]
    assert jax.tree.map(lambda a: a.shape, again) == jax.tree.map(lambda a: a.shape, abstract)
    with nn.init.abstract():
        skeleton = nn.Sequential(nn.Linear(4, 3), nn.LSTMCell(3, 2))
    assert to_linen(skeleton.layers[1])[1]["params"]["hf"]["bias"].shape == (2,)


def test_conversions_run_inside_traces() -> None:
    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), jnp.ones((2, 4))
    module, variables = to_linen(model)

    @jax.jit
    def through_linen(m: Any, x: Any) -> Any:
        inner, v = to_linen(m)
        return inner.apply(v, x)

    close(through_linen(model, x), model(x))
    back: Callable[..., Any] = jax.jit(lambda v, x: from_linen(module, v)(x))
    close(back(variables, x), model(x))
    shape = jax.eval_shape(lambda v: from_linen(module, v)(x), variables)
    assert shape.shape == (2, 3)


def test_a_conversion_inside_a_module_does_not_join_it() -> None:
    model = nn.Linear(4, 3)

    class Outer(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            inner, variables = to_linen(nn.Sequential(model, nn.Dropout(0.5)))
            return linen.Dense(2)(inner.apply(variables, x))

    variables = Outer().init(jax.random.key(0), jnp.ones((1, 4)))
    assert list(variables["params"]) == ["Dense_0"]


def test_a_lone_function_comes_in_a_stack() -> None:
    module, variables = to_linen(nn.GELU(approximate=True))
    assert isinstance(module, linen.Sequential)
    assert module.layers == [jax.nn.gelu]
    assert variables == {}
    x = jnp.linspace(-2, 2, 5)
    close(module.apply(variables, x), nn.GELU(approximate=True)(x))
    assert isinstance(from_linen(module, variables).layers[0], nn.GELU)


def test_stacks_of_none_and_of_one() -> None:
    x = jnp.ones((2, 3))
    empty, variables = to_linen(nn.Sequential())
    np.testing.assert_array_equal(empty.apply(variables, x), x)
    inner, variables = to_linen(nn.Sequential(nn.Sequential(), nn.Linear(3, 2), nn.Sequential()))
    assert list(variables["params"]) == ["layers_1"]
    assert inner.apply(variables, x).shape == (2, 2)
    assert from_linen(linen.Sequential([]), {}).layers == []
    one = to_linen(nn.Sequential(nn.Linear(3, 2)))[0]
    assert [type(layer) for layer in one.layers] == [linen.Dense]


def test_functions_are_not_tied() -> None:
    module = linen.Sequential([linen.relu, linen.relu])
    model = from_linen(module, {})
    assert model.layers[0] is not model.layers[1]


def test_functions_that_people_write() -> None:
    module = linen.Sequential(
        [
            linen.Conv(4, (3, 3)),
            partial(linen.gelu, approximate=False),
            partial(linen.max_pool, window_shape=(2, 2), strides=(2, 2)),
            partial(linen.avg_pool, window_shape=(2, 2), padding="SAME", count_include_pad=False),
            partial(linen.leaky_relu, negative_slope=0.2),
            linen.softmax,
        ]
    )
    x = image()
    variables = module.init(jax.random.key(0), x)
    model = from_linen(module, variables, sample_input=IMAGE)
    close(model(x), module.apply(variables, x))
    again, variables = to_linen(model)
    close(again.apply(variables, x), model(x))
    assert again.layers[2].func is linen.max_pool


def test_a_recurrent_cell_is_exact_on_the_way_in() -> None:
    cell = linen.OptimizedLSTMCell(5)
    x = jax.random.normal(jax.random.key(0), (3, 4))
    carry = cell.initialize_carry(jax.random.key(1), x.shape)
    variables = cell.init(jax.random.key(2), carry, x)
    model = from_linen(cell, variables)
    assert model.forget_bias == 0.0
    again = to_linen(model)[1]
    jax.tree.map(np.testing.assert_array_equal, again, variables)
    model.init_state(3)
    for _ in range(4):
        carry, y = cell.apply(variables, carry, x)
        close(model(x), y)
        close(model.c.value, carry[0])


def test_the_forget_bias_goes_into_the_bias() -> None:
    cell = nn.LSTMCell(3, 2, forget_bias=1.5)
    module, variables = to_linen(cell)
    assert type(module) is linen.LSTMCell
    close(variables["params"]["hf"]["bias"], jnp.full(2, 1.5))
    close(variables["params"]["hi"]["bias"], jnp.zeros(2))


def test_names_do_not_matter() -> None:
    module = linen.Sequential([linen.Dense(2, name="head"), linen.Dense(3, name="tail")])
    variables = module.init(jax.random.key(0), jnp.ones((1, 4)))
    model = from_linen(module, variables)
    assert [layer.out_size for layer in model.layers] == [(2,), (3,)]
    root = linen.Dense(2, name="root")
    assert from_linen(root, root.init(jax.random.key(0), jnp.ones((1, 4)))).out_size == (2,)


def test_equal_layers_share_what_was_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    builder = type(BRIDGE).builder

    def counted(self: Any, *arguments: Any) -> Any:
        calls.append(arguments)
        return builder(self, *arguments)

    monkeypatch.setattr(type(BRIDGE), "builder", counted)
    module, _ = to_linen(nn.Sequential(*(nn.Linear(7, 7) for _ in range(5))))
    assert len(calls) <= 1
    assert len({layer._id for layer in module.layers}) == 5


def test_leading_axes_behind_an_embedding_are_guessed_once() -> None:
    model = nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm((5, 4)), nn.Linear(4, 2))
    module, variables = to_linen(model)
    words = np.array([[1, 2, 3, 4, 6], [0, 1, 0, 5, 2]])
    np.testing.assert_allclose(module.apply(variables, words), model(words), 1e-5, 1e-5)
