"""What a user of the Equinox bridge meets: layers, stacks, ties, modes, bad input."""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import (
    ConversionError,
    MissingShapeError,
    NotAModelError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    environ,
    nn,
)
from interop_equinox import from_equinox, to_equinox

# A few dense layers in float32, summed in another order.
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
KEY = jax.random.key(0)


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2))


def test_the_documented_example() -> None:
    model = mlp()
    x = jax.random.normal(KEY, (3, 4))
    converted = to_equinox(model, key=KEY)
    np.testing.assert_allclose(jax.vmap(converted)(x), model(x), **CLOSE)
    np.testing.assert_allclose(from_equinox(converted)(x), model(x), **CLOSE)


def test_weights_that_keep_their_layout_share_their_buffer() -> None:
    model = nn.Linear(4, 8)
    converted = to_equinox(model)
    assert converted.bias is model.weight.value["bias"]
    np.testing.assert_array_equal(converted.weight, model.weight.value["weight"].T)


def test_numpy_weights_stay_views() -> None:
    model = nn.Linear(4, 8)
    kernel = np.ones((4, 8), np.float32)
    weights: Any = {"weight": kernel, "bias": np.zeros(8, np.float32)}
    model.weight.value = weights
    assert np.shares_memory(to_equinox(model).weight, kernel)


def test_a_tied_layer_stays_one() -> None:
    tied = nn.Linear(4, 4)
    converted = to_equinox(nn.Sequential(tied, nn.ReLU(), tied))
    assert converted.layers[0] is converted.layers[2]
    back = from_equinox(converted)
    assert back.layers[0] is back.layers[2]


def test_small_stacks() -> None:
    x = jnp.arange(3.0)
    empty = to_equinox(nn.Sequential())
    assert type(empty) is eqx.nn.Sequential
    np.testing.assert_array_equal(empty(x), x)
    assert len(from_equinox(empty).layers) == 0
    assert len(to_equinox(nn.Sequential(nn.ReLU())).layers) == 1


def test_dropout_comes_in_evaluation_mode_and_trains() -> None:
    converted = to_equinox(nn.Sequential(nn.Dropout(0.25)))
    x = jnp.ones(1000)
    np.testing.assert_array_equal(converted(x), x)
    trained = eqx.nn.inference_mode(converted, value=False)(x, key=KEY)
    # The core's prob is what is kept; 1000 draws stray from it by less than 0.06 in 4 sigma.
    assert abs(float((trained != 0).mean()) - 0.25) < 0.06
    assert from_equinox(converted).layers[0].prob == 0.25


@pytest.mark.parametrize("prob", [0.1, 0.3, 0.7, 1.0, 1 / 3])
def test_probabilities_come_back_as_they_were(prob: float) -> None:
    assert from_equinox(to_equinox(nn.Dropout(prob))).prob == prob


def test_lstm_steps_agree() -> None:
    cell = nn.LSTMCell(3, 5)
    converted = to_equinox(cell)
    cell.init_state()
    h, c = jnp.zeros(5), jnp.zeros(5)
    for seed in range(3):
        x = jax.random.normal(jax.random.key(seed), (3,))
        h, c = converted(x, (h, c))
        np.testing.assert_allclose(cell(x), h, **CLOSE)
        np.testing.assert_allclose(cell.c.value, c, **CLOSE)


def test_an_imported_lstm_has_its_bits() -> None:
    cell = eqx.nn.LSTMCell(3, 5, key=KEY)
    # A bias so small that adding and subtracting 1 would lose it.
    cell = eqx.tree_at(lambda c: c.bias, cell, replace_fn=lambda bias: bias * 1e-9)
    back = to_equinox(from_equinox(cell))
    for name in ("weight_ih", "weight_hh", "bias"):
        np.testing.assert_array_equal(getattr(back, name), getattr(cell, name))


def test_abstract_models_convert() -> None:
    shapes = eqx.filter_eval_shape(eqx.nn.Linear, 4, 8, key=KEY)
    model = from_equinox(shapes)
    assert isinstance(model.weight.value["weight"], jax.ShapeDtypeStruct)
    assert model.weight.value["weight"].shape == (4, 8)
    assert to_equinox(model).weight.shape == (8, 4)


def test_conversion_runs_inside_jit() -> None:
    model = mlp()
    x = jax.random.normal(KEY, (3, 4))

    @jax.jit
    def apply(model: nn.Sequential, x: jax.Array) -> Any:
        return jax.vmap(to_equinox(model))(x)

    np.testing.assert_allclose(apply(model, x), model(x), **CLOSE)


def test_use_ceil_becomes_padding() -> None:
    pool = eqx.nn.MaxPool2d(3, 2, use_ceil=True)
    model = from_equinox(pool, sample_input=(6, 5, 2))
    x = jax.random.normal(KEY, (6, 5, 2))
    expected = jnp.moveaxis(pool(jnp.moveaxis(x, -1, 0)), 0, -1)
    np.testing.assert_array_equal(model(x), expected)
    with pytest.raises(MissingShapeError, match="use_ceil"):
        from_equinox(pool)


class MyLinear(eqx.nn.Linear):
    """A subclass may compute anything."""

    def __init__(self) -> None:
        super().__init__(2, 3, key=KEY)


class MyStack(eqx.nn.Sequential):
    """So may a stack."""

    def __init__(self) -> None:
        super().__init__([LINEAR])


class Residual(eqx.Module):
    """A module with a forward of its own."""

    inner: eqx.nn.Linear

    def __call__(self, x: Any) -> Any:
        return x + self.inner(x)


LINEAR = eqx.nn.Linear(3, 3, key=KEY)


@pytest.mark.parametrize(
    "model, error, message",
    [
        (None, NotAModelError, "got None"),
        (eqx.nn.Linear, NotAModelError, "the class Linear"),
        (jnp.tanh, NotAModelError, "the function tanh"),
        (nn.Linear(2, 3), NotAModelError, "interop_core"),
        (MyLinear(), UnmappedLayerError, "extends Linear"),
        (MyStack(), UnsupportedStructureError, "forward of its own"),
        (Residual(LINEAR), UnsupportedStructureError, "forward of its own"),
        (eqx.nn.Sequential([Residual(LINEAR)]), UnsupportedStructureError, r"layers\[0\]"),
        (eqx.nn.BatchNorm(3, "batch", mode="ema"), ConversionError, "which was not passed"),
        (eqx.nn.Lambda(partial(eqx.nn.Dropout, p=0.5)), NotAModelError, "makes Dropout layers"),
        (eqx.nn.Lambda(lambda x: x), UnmappedLayerError, "lambda"),
        (eqx.nn.Lambda(LINEAR), UnsupportedLayerError, "calls a module"),
        (eqx.nn.Pool(0.0, jnp.add, 1, 2), UnsupportedConfigurationError, "operation="),
        (eqx.nn.AdaptivePool(2, 1, jnp.max), UnsupportedLayerError, "may be any function"),
    ],
)
def test_bad_models_are_named(model: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_equinox(model)


@pytest.mark.parametrize(
    "sample_input, message",
    [
        (None, "sample_input"),
        ((3, 8, 8), "takes 3 channels"),
        ((2, 8, 8, 3), "2 spatial lengths"),
        ((8, 3), "2 spatial lengths"),
        ((3,), "2 spatial lengths"),
        ("image", "neither an array nor a tuple"),
    ],
)
def test_bad_sample_inputs_are_named(sample_input: Any, message: str) -> None:
    model = eqx.nn.Conv2d(3, 4, 3, key=KEY)
    with pytest.raises(MissingShapeError, match=message):
        from_equinox(model, sample_input=sample_input)


def test_every_problem_is_told_at_once() -> None:
    model = nn.Sequential(
        nn.LayerNorm(3, axis_name="batch"),
        nn.Sequential(nn.BatchNorm0d((3,)), nn.Embedding(3, 4, max_norm=1.0)),
    )
    with pytest.raises(UnsupportedConfigurationError) as caught:
        to_equinox(model)
    assert [problem.path for problem in caught.value.problems] == [
        ("layers", 0),
        ("layers", 1, "layers", 0),
        ("layers", 1, "layers", 1),
    ]
    assert caught.value.field == "axis_name"


def test_a_weight_of_another_shape_is_refused() -> None:
    linear = eqx.tree_at(lambda m: m.weight, LINEAR, jnp.ones((3, 2)))
    with pytest.raises(ConversionError, match=r"weight of shape \(3, 2\)"):
        from_equinox(linear)


def test_a_weight_with_a_type_of_its_own_is_refused() -> None:
    class Quantity:
        shape, dtype, unit = (3, 3), np.dtype("float32"), "mV"

    linear = eqx.tree_at(lambda m: m.weight, LINEAR, Quantity())
    with pytest.raises(ConversionError, match="unit mV"):
        from_equinox(linear)


def test_the_source_is_never_changed() -> None:
    model = mlp()
    before = {path: dict(state.value) for path, state in model.states().items()}
    converted = to_equinox(model)
    eqx.tree_at(lambda m: m.layers[0].bias, converted, jnp.ones(8))
    after = {path: dict(state.value) for path, state in model.states().items()}
    for path, value in before.items():
        assert all(after[path][name] is array for name, array in value.items())


def test_gradients_agree() -> None:
    model = mlp()
    converted = to_equinox(model)
    x = jax.random.normal(KEY, (3, 4))

    def core_loss(kernel: jax.Array) -> jax.Array:
        copy = jax.tree.map(lambda leaf: leaf, model)
        copy.layers[0].weight.value = {**model.layers[0].weight.value, "weight": kernel}
        loss: jax.Array = (copy(x) ** 2).sum()
        return loss

    with environ.context(fit=False):
        expected = jax.grad(core_loss)(model.layers[0].weight.value["weight"])
    gradient: Any = eqx.filter_grad
    grads = gradient(lambda m: (jax.vmap(m)(x) ** 2).sum())(converted)
    # One more product than the forward pass.
    np.testing.assert_allclose(grads.layers[0].weight.T, expected, rtol=1e-4, atol=1e-5)


def test_a_field_that_the_constructor_would_not_set_is_refused() -> None:
    pool = eqx.tree_at(lambda p: p.init, eqx.nn.MaxPool2d(2, 2), 0.0)
    with pytest.raises(UnsupportedLayerError, match=r"not what MaxPool2d makes: init=0\.0"):
        from_equinox(pool)


@pytest.mark.parametrize("norm", [nn.LayerNorm(8), nn.GroupNorm(8, num_groups=2)], ids=str)
def test_half_precision_in_front_of_a_norm_is_refused(norm: Any) -> None:
    # Equinox's norms give half precision for half, and the core's what their parameters are.
    layer = nn.Linear(6, 8, dtype=jnp.bfloat16)
    with pytest.raises(UnsupportedConfigurationError, match="computes in bfloat16"):
        to_equinox(nn.Sequential(layer, norm), sample_input=(4, 6))
    alone = to_equinox(layer)
    assert jax.vmap(alone)(jnp.ones((2, 6))).dtype == jnp.bfloat16
    with pytest.raises(UnsupportedConfigurationError, match="computes in bfloat16"):
        from_equinox(eqx.nn.Sequential([alone, eqx.nn.LayerNorm(8)]))
