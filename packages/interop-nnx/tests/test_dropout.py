"""The random streams of exported dropout layers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from interop_core import nn
from interop_nnx import from_nnx, to_nnx

X = jnp.ones((64, 64))


def dropped(layer: Any) -> Any:
    """Which entries a dropout layer drops in training."""
    layer.train()
    return np.asarray(layer(X) == 0)


def two() -> nn.Sequential:
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 64), nn.Sequential(nn.Dropout(0.5)))


def streams(model: Any) -> list[Any]:
    """Keys of the model's streams."""
    return [jax.random.key_data(layer.rngs.key.get_value()) for layer in dropouts(model)]


def dropouts(model: Any) -> list[nnx.Dropout]:
    return [model.layers[0], model.layers[2].layers[0]]


def test_evaluation_mode_until_told_otherwise() -> None:
    layer = to_nnx(nn.Dropout(0.75))
    np.testing.assert_array_equal(layer(X), X)
    share = dropped(layer).mean()
    assert abs(share - 0.25) < 0.03  # 4 sigma of 4096 draws
    layer.eval()
    np.testing.assert_array_equal(layer(X), X)


def test_what_is_kept_is_scaled() -> None:
    layer = to_nnx(nn.Dropout(0.8, broadcast_dims=(0,)))
    layer.train()
    y = np.asarray(layer(X))
    np.testing.assert_allclose(y[y != 0], 1 / 0.8, rtol=1e-6)  # one division
    assert (y == y[:1]).all()


def test_each_layer_draws_from_a_stream_of_its_own() -> None:
    converted = to_nnx(two())
    first, second = dropouts(converted)
    assert not (dropped(first) == dropped(second)).all()
    assert not (dropped(first) == dropped(first)).all()


def test_a_tied_layer_stays_one() -> None:
    tied = nn.Dropout(0.5)
    converted = to_nnx(nn.Sequential(tied, nn.ReLU(), tied))
    assert converted.layers[0] is converted.layers[2]


def test_no_rngs_is_seed_zero() -> None:
    for one, other in zip(streams(to_nnx(two())), streams(to_nnx(two())), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        streams(to_nnx(two())), streams(to_nnx(two(), rngs=nnx.Rngs(0))), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_streams_follow_the_users_own() -> None:
    other = streams(to_nnx(two(), rngs=nnx.Rngs(1)))
    assert not np.array_equal(streams(to_nnx(two()))[0], other[0])
    named = streams(to_nnx(two(), rngs=nnx.Rngs(0, dropout=1)))
    np.testing.assert_array_equal(named, other)
    bare = streams(to_nnx(two(), rngs=nnx.Rngs(dropout=1)["dropout"]))
    np.testing.assert_array_equal(bare, other)


def test_the_users_stream_is_not_advanced() -> None:
    rngs = nnx.Rngs(0, dropout=1)
    to_nnx(two(), rngs=rngs)
    assert int(rngs["dropout"].count.get_value()) == 0
    assert int(rngs["default"].count.get_value()) == 0


def test_no_key_is_one_that_the_user_draws() -> None:
    rngs = nnx.Rngs(0)
    keys = streams(to_nnx(two(), rngs=rngs))
    drawn = [jax.random.key_data(rngs()) for _ in range(4)]
    assert not any(np.array_equal(key, other) for key in keys for other in drawn)


def test_conversions_do_not_share_streams() -> None:
    """The skeleton of a layer is kept between conversions, and must not keep a stream."""
    first, second = to_nnx(nn.Dropout(0.4)), to_nnx(nn.Dropout(0.4))
    assert first.rngs is not second.rngs
    dropped(first)
    assert int(second.rngs.count.get_value()) == 0


def test_inside_a_trace() -> None:
    @jax.jit
    def run(x: Any) -> Any:
        layer = to_nnx(nn.Dropout(0.5))
        layer.train()
        return layer(x)

    np.testing.assert_array_equal(np.asarray(run(X) == 0), dropped(to_nnx(nn.Dropout(0.5))))


def test_importing_forgets_the_stream_and_advances_none() -> None:
    rngs = nnx.Rngs(0)
    layer = nnx.Dropout(0.3, rngs=rngs)
    assert layer.rngs is not None
    before = int(rngs["dropout"].count.get_value())
    converted = from_nnx(layer)
    assert type(converted) is nn.Dropout
    assert converted.prob == 0.7
    assert int(layer.rngs.count.get_value()) == 0
    assert int(rngs["dropout"].count.get_value()) == before


def test_rngs_that_are_none() -> None:
    wrong: Any = 3
    with pytest.raises(TypeError, match="rngs must be"):
        to_nnx(nn.Linear(3, 4), rngs=wrong)
    with pytest.raises(ValueError, match="neither a stream 'dropout' nor a default one"):
        to_nnx(nn.Dropout(0.5), rngs=nnx.Rngs(params=0))
    to_nnx(nn.Linear(3, 4), rngs=nnx.Rngs(params=0))  # nothing draws


def test_a_model_without_dropout_makes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_key(*args: Any) -> Any:
        raise AssertionError("a key was made")

    monkeypatch.setattr(jax.random, "fold_in", no_key)
    to_nnx(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
