"""Where channels-first and channels-last data meet, and nowhere else, stands an axis move."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import InteropError, MissingShapeError, UnsupportedStructureError, explain, nn
from interop_equinox import Pointwise, companions, from_equinox, to_equinox

# Two convolutions and a few norms in float32, summed in another order.
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
IMAGE = (6, 5, 4)


def first(x: jax.Array) -> jax.Array:
    """A batch of images with the channels first."""
    return jnp.moveaxis(x, -1, 1)


def images(seed: int = 0) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), (2, *IMAGE))


def conv(**options: Any) -> nn.Conv2d:
    return nn.Conv2d(IMAGE, 4, 3, b_init=nn.init.Normal(), **options)


def moves(model: Any) -> list[int]:
    """Places of the axis moves in an Equinox stack."""
    return [
        index
        for index, layer in enumerate(model.layers)
        if type(layer) is eqx.nn.Lambda
        and isinstance(layer.fn, partial)
        and layer.fn.func is jnp.moveaxis
    ]


def test_a_single_convolution_is_bare() -> None:
    model = conv()
    converted = to_equinox(model)
    assert type(converted) is eqx.nn.Conv2d
    np.testing.assert_allclose(
        jax.vmap(converted)(first(images())), first(model(images())), **CLOSE
    )


def test_a_convolutional_stack_has_no_move() -> None:
    model = nn.Sequential(conv(), nn.ReLU(), nn.GroupNorm(4, num_groups=2), nn.MaxPool2d(2, 2))
    converted = to_equinox(model)
    assert moves(converted) == []
    assert len(converted.layers) == 4
    np.testing.assert_allclose(
        jax.vmap(converted)(first(images())), first(model(images())), **CLOSE
    )


@pytest.mark.parametrize(
    "layer, at",
    [
        (nn.Linear(4, 3), [1]),
        (nn.LayerNorm(4), [1]),
        (
            nn.LayerNorm(IMAGE, reduction_axes=(-3, -2, -1), feature_axes=(-3, -2, -1)),
            [1],
        ),
        (nn.RMSNorm(4), [1]),
        (nn.Flatten(in_size=IMAGE), [1]),
        (nn.Softmax(), [1]),
        (nn.Softmax(-3), [1]),
        (nn.GELU(), []),
        (nn.Identity(), []),
        (nn.Dropout(0.5), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_move_stands_before_what_looks_at_the_last_axis(layer: Any, at: list[int]) -> None:
    model = nn.Sequential(conv(), layer)
    converted = to_equinox(model)
    assert moves(converted) == at
    x = images()
    from interop_core import environ

    with environ.context(fit=False):
        expected = model(x)
    given = jax.vmap(converted)(first(x))
    np.testing.assert_allclose(given, expected if at else first(expected), **CLOSE)


def test_the_data_turns_back_for_the_next_convolution() -> None:
    model = nn.Sequential(conv(), nn.LayerNorm(4), nn.ReLU(), conv())
    converted = to_equinox(model)
    assert moves(converted) == [1, 4]
    np.testing.assert_allclose(
        jax.vmap(converted)(first(images())), first(model(images())), **CLOSE
    )


def test_moves_stand_inside_nested_stacks() -> None:
    model = nn.Sequential(conv(), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)), conv())
    converted = to_equinox(model)
    assert moves(converted.layers[1]) == [1]
    assert moves(converted) == [2]
    np.testing.assert_allclose(
        jax.vmap(converted)(first(images())), first(model(images())), **CLOSE
    )


def test_channels_last_at_both_ends_on_request() -> None:
    model = nn.Sequential(conv(), nn.ReLU())
    converted = to_equinox(model, channels="last")
    assert moves(converted) == [0, 3]
    np.testing.assert_allclose(jax.vmap(converted)(images()), model(images()), **CLOSE)
    single = to_equinox(conv(), channels="last")
    assert jax.vmap(single)(images()).shape == (2, *IMAGE)


@pytest.mark.parametrize("shape", [(5,), (6, 1), (4, 1, 1)])
def test_an_array_beside_the_entries_lines_up_with_them(shape: tuple[int, ...]) -> None:
    alpha = jnp.linspace(0.2, 3.0, math.prod(shape)).reshape(shape)
    native = eqx.nn.Conv2d(4, 4, 3, padding="SAME", key=jax.random.key(0))
    stack = eqx.nn.Sequential([native, eqx.nn.Lambda(partial(jax.nn.elu, alpha=alpha)), native])
    model = from_equinox(stack, sample_input=IMAGE)
    y = jax.vmap(stack)(first(images()))
    np.testing.assert_allclose(first(model(images())), y, **CLOSE)
    np.testing.assert_allclose(jax.vmap(to_equinox(model))(first(images())), y, **CLOSE)


def test_an_array_of_more_axes_than_the_entries_is_refused() -> None:
    alpha: Any = jnp.ones((1, *IMAGE))
    with pytest.raises(InteropError, match=r"alpha is an array of shape \(1, 6, 5, 4\)"):
        to_equinox(nn.Sequential(conv(), nn.ELU(alpha)))


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(ValueError, match="'native' or 'last'"):
        to_equinox(conv(), channels="first")  # type: ignore[arg-type]


def test_a_core_axis_move_is_taken_for_what_it_says() -> None:
    # What the core moves to the front lies there already.
    model = nn.Sequential(conv(), nn.MoveAxis(-1, -3), nn.Flatten(in_size=(4, 6, 5)))
    converted = to_equinox(model)
    assert moves(converted) == []
    np.testing.assert_allclose(jax.vmap(converted)(first(images())), model(images()), **CLOSE)
    # And channels-first data that the core moves to the back needs no move for a convolution.
    model = nn.Sequential(nn.MoveAxis(-3, -1), conv())
    converted = to_equinox(model, sample_input=(4, 6, 5))
    assert moves(converted) == []
    x = first(images())
    np.testing.assert_allclose(jax.vmap(converted)(x), first(model(x)), **CLOSE)


@pytest.mark.parametrize(("source", "destination"), [(-2, -1), (-1, -2)])
def test_an_axis_move_that_is_the_whole_model_moves(source: int, destination: int) -> None:
    model, x = nn.MoveAxis(source, destination), jnp.arange(15.0).reshape(3, 5)
    converted = to_equinox(model, sample_input=(3, 5))
    np.testing.assert_array_equal(converted(x), model(x))
    np.testing.assert_array_equal(from_equinox(converted, sample_input=(3, 5))(x), model(x))


def native_network() -> eqx.nn.Sequential:
    keys = jax.random.split(jax.random.key(3), 2)
    return eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(4, 3, 3, key=keys[0]),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.MaxPool2d(2, 2),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.Linear(6, 5, key=keys[1]),
        ]
    )


def test_a_native_network_keeps_the_order_of_its_features() -> None:
    network = native_network()
    model = from_equinox(network, sample_input=IMAGE)
    assert [type(layer) for layer in model.layers].count(nn.MoveAxis) == 1
    expected = jax.vmap(network)(first(images()))
    np.testing.assert_allclose(model(images()), expected, **CLOSE)
    # Out again, the axis move of the core says what Equinox does anyway.
    again = to_equinox(model)
    assert moves(again) == []
    assert len(again.layers) == 5
    np.testing.assert_array_equal(jax.vmap(again)(first(images())), expected)


def test_shapes_are_needed_where_conventions_meet() -> None:
    stack = eqx.nn.Sequential([eqx.nn.GroupNorm(2, 4), eqx.nn.Linear(4, 4, key=jax.random.key(0))])
    with pytest.raises(MissingShapeError, match=r"layers\[1\].*sample_input"):
        from_equinox(stack)


def test_linear_layers_on_images_are_lifted() -> None:
    model = nn.Sequential(conv(), nn.Linear(4, 3))
    lifted = to_equinox(model).layers[-1]
    assert type(lifted) is Pointwise
    assert lifted.axes == 2
    back = from_equinox(to_equinox(model), sample_input=IMAGE)
    np.testing.assert_array_equal(back(images()), model(images()))


def test_a_lifted_layer_without_counterpart_is_refused() -> None:
    lifted = Pointwise(eqx.nn.GroupNorm(2, 4), 1)
    with pytest.raises(UnsupportedStructureError, match="lifted"):
        from_equinox(lifted)


def test_a_tied_stack_turns_its_data_both_times() -> None:
    inner = nn.Sequential(nn.LayerNorm(4), nn.ReLU())
    model = nn.Sequential(conv(), inner, conv(), inner)
    converted = to_equinox(model)
    inner_stacks = [x for x in converted.layers if type(x) is eqx.nn.Sequential]
    assert len(inner_stacks) == 2
    assert inner_stacks[0] is inner_stacks[1]
    np.testing.assert_allclose(jax.vmap(converted)(first(images())), model(images()), **CLOSE)


def test_a_stack_tied_over_two_shapes_is_refused() -> None:
    inner = nn.Sequential(nn.Linear(4, 4))
    model = nn.Sequential(inner, nn.Flatten(in_size=(3, 4)), nn.Linear(12, 4), inner)
    with pytest.raises(UnsupportedStructureError, match=r"shapes \(3, 4\) and \(4,\)"):
        to_equinox(model, sample_input=(3, 4))


def test_a_layer_tied_over_two_ranks_is_lifted_where_needed() -> None:
    tied = nn.Linear(4, 4)
    model = nn.Sequential(tied, nn.Flatten(in_size=(3, 4)), nn.Linear(12, 4), tied)
    converted = to_equinox(model, sample_input=(3, 4))
    assert converted.layers[0].layer is converted.layers[3]
    x = jax.random.normal(jax.random.key(1), (2, 3, 4))
    np.testing.assert_allclose(jax.vmap(converted)(x), model(x), **CLOSE)


def test_sizes_that_the_first_layers_leave_out_come_from_later_ones() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.GroupNorm(4, num_groups=2), conv())
    converted = to_equinox(model)
    assert converted.layers[0].axes == 2
    np.testing.assert_allclose(jax.vmap(converted)(images()), first(model(images())), **CLOSE)


def test_an_example_of_more_axes_than_the_layer_takes_is_refused() -> None:
    # On a matrix an Equinox layer multiplies from the other side.
    linear = eqx.nn.Linear(3, 3, key=jax.random.key(0))
    with pytest.raises(MissingShapeError, match=r"takes 1 axes .* the shape \(3, 3\)"):
        from_equinox(linear, sample_input=(3, 3))
    pooled = eqx.nn.Sequential([eqx.nn.MaxPool2d(2, 1), linear])
    with pytest.raises(MissingShapeError, match=r"layers\[1\].*takes 1 axes"):
        from_equinox(pooled, sample_input=(3, 3, 3))
    lifted = Pointwise(linear, 1)
    assert from_equinox(lifted, sample_input=(3, 3)).out_size == (3, 3)


def test_the_explanation_says_how_the_ends_lie() -> None:
    text = str(explain(nn.Sequential(conv(), nn.Flatten(in_size=IMAGE)), to="equinox"))
    assert "axis move" in text
    assert "takes one example with the channels first" in text


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(6, 8), nn.Unflatten(-1, (2, 2, 2)), nn.Conv2d((2, 2, 2), 3, 1)),
        nn.Sequential(
            *(nn.Linear(6, 8), nn.Unflatten(-1, (2, 2, 2)), nn.Conv2d((2, 2, 2), 2, 1)),
            *(nn.Flatten(start_axis=-3), nn.Linear(8, 8), nn.Unflatten(-1, (2, 2, 2))),
            nn.ConvTranspose2d((2, 2, 2), 2, 1),
        ),
    ],
    ids=["decoder", "there and back"],
)
def test_axes_that_a_layer_makes_are_in_its_own_order(model: Any) -> None:
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    converted = to_equinox(model, verify=True)
    found = jax.vmap(converted)(x)  # channels first, as a convolution gives them
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), model(x), **CLOSE)
    back = from_equinox(converted, sample_input=(6,))
    np.testing.assert_allclose(back(x), model(x), **CLOSE)


class TestAxesInFrontOfAnEmbedding:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Conv1d((5, 4), 3, 3), nn.ReLU())
    words = np.array([[1, 2, 3, 4, 6], [0, 1, 0, 5, 2]])

    def test_they_are_known_from_the_example(self) -> None:
        found = jax.vmap(to_equinox(self.model, sample_input=(5,)))(self.words)
        expected = self.model(self.words)
        np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected, **CLOSE)

    def test_they_are_asked_for(self) -> None:
        with pytest.raises(MissingShapeError, match="a layer behind it takes more axes"):
            to_equinox(self.model)


@pytest.mark.parametrize("layer", [nn.Dropout2d(0.5), nn.FeatureAlphaDropout(0.5)])
def test_whole_channels_are_dropped_wherever_they_lie(layer: nn.Module) -> None:
    ones = nn.Conv2d(IMAGE, 32, 3, w_init=nn.init.ZeroInit(), b_init=nn.init.Constant(1.0))
    converted = to_equinox(nn.Sequential(ones, layer), channels="last")
    training = eqx.nn.inference_mode(converted, value=False)
    y = training(images()[0], key=jax.random.key(0))
    assert y.shape == (6, 5, 32)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:1, :1], y.shape))
    assert len(np.unique(y)) == 2


def test_a_layer_behind_an_axis_move_is_told_the_shape_that_it_gets() -> None:
    native = eqx.nn.Sequential(
        [companions.Softmax2d(), eqx.nn.AvgPool2d(3, stride=2, padding=1, use_ceil=True)]
    )
    x = jnp.arange(12.0).reshape(2, 3, 2)
    model = from_equinox(native, sample_input=x.shape)
    np.testing.assert_allclose(first(model(x)[None])[0], native(x), **CLOSE)
