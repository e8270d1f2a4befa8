"""Attention called with keys, values and masks, in training, and with parts of another kind."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from interop_core import InteropError, environ, nn
from interop_core.testing import filled
from interop_nnx import companions, from_nnx, to_nnx


def numbers(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def made(**options: Any) -> Any:
    """An attention layer of NNX with random numbers in every array."""
    layer = nnx.MultiHeadAttention(4, 8, decode=False, rngs=nnx.Rngs(0), **options)
    state = nnx.state(layer, nnx.Param)
    arrays = {str(n): a for n, a in enumerate(jax.tree.leaves(state))}
    fresh = filled(arrays, lambda _: False)
    nnx.update(layer, jax.tree.unflatten(jax.tree.structure(state), list(fresh.values())))
    return layer


OTHERS = {"in_kv_features": 5, "qkv_features": 12, "out_features": 6, "normalize_qk": True}
GROUPED = "num_kv_heads" in nnx.MultiHeadAttention.__init__.__annotations__


@pytest.mark.parametrize(
    "options", [OTHERS, *([{**OTHERS, "num_kv_heads": 2, "dropout_rate": 0.3}] if GROUPED else [])]
)
def test_keys_values_and_masks_are_taken_alike(options: Any) -> None:
    theirs = made(deterministic=True, **options)
    ours = from_nnx(theirs)
    again = to_nnx(ours)
    query, key, value = numbers(2, 3, 8), numbers(2, 6, 5, seed=1), numbers(2, 6, 5, seed=2)
    draw = np.random.default_rng(3)
    masks = (draw.random((2, 4, 3, 6)) < 0.6, draw.random((1, 1, 3, 6)) < 0.6)
    nothing = np.zeros((1, 1, 3, 6), bool)
    with environ.context(fit=False):
        for mask in (None, *masks, nothing):
            expected = theirs(query, key, value, mask=mask)
            np.testing.assert_allclose(ours(query, key, value, mask), expected, 1e-4, 1e-5)
            np.testing.assert_array_equal(again(query, key, value, mask=mask), expected)
        np.testing.assert_allclose(ours(query, key), theirs(query, key), 1e-4, 1e-5)


def test_inside_a_stack() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.MultiHeadAttention(4, 2), nn.Linear(4, 3))
    converted, x = to_nnx(model), numbers(2, 5, 4)
    np.testing.assert_allclose(converted(x), model(x), 1e-5, 1e-5)
    np.testing.assert_allclose(from_nnx(converted)(x), model(x), 1e-5, 1e-5)


def test_dropout_is_off_until_told_otherwise() -> None:
    core = nn.MultiHeadAttention(8, 2, dropout_rate=0.5)
    layer, x = to_nnx(core), numbers(2, 5, 8)
    with environ.context(fit=False):
        np.testing.assert_allclose(layer(x), core(x), 1e-5, 1e-5)
    layer.train()
    assert np.abs(layer(x) - layer(x)).max() > 1e-3  # from a stream of its own


def test_a_decode_of_none_is_left_to_the_call() -> None:
    layer = nnx.MultiHeadAttention(2, 4, rngs=nnx.Rngs(0))
    x = numbers(3, 4)
    np.testing.assert_allclose(from_nnx(layer)(x), layer(x, decode=False), 1e-5, 1e-5)


def lora(layer: Any) -> None:
    layer.query = nnx.LoRALinear(8, 8, lora_rank=2, rngs=nnx.Rngs(0))


def cache(layer: Any) -> None:
    layer.init_cache((2, 3, 8))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lora, "query is LoRALinear, not nnx.LinearGeneral"),
        (lambda m: setattr(m.out, "axis", (-1, -2)), "out has axis"),
        (lambda m: setattr(m.key, "precision", "highest"), "key has precision='highest'"),
        (lambda m: setattr(m.query_ln, "epsilon", 0.1), "query_ln has epsilon=0.1"),
        (lambda m: setattr(m, "qkv_dot_general", jax.lax.dot_general), "qkv_dot_general"),
        (cache, "cached_key is an nnx.Cache"),
    ],
)
def test_parts_of_another_kind_are_refused(change: Any, said: str) -> None:
    layer = made(normalize_qk=True)
    change(layer)
    with pytest.raises(InteropError, match=said):
        from_nnx(layer)


def test_parameters_of_two_types_are_refused_unless_one_is_given() -> None:
    layer = made()
    layer.key.kernel.set_value(layer.key.kernel.get_value().astype(jnp.bfloat16))
    with pytest.raises(InteropError, match="dtype=None with parameters of bfloat16 and float32"):
        from_nnx(layer)
    layer = made(dtype=jnp.float32)
    layer.key.kernel.set_value(layer.key.kernel.get_value().astype(jnp.bfloat16))
    x = numbers(3, 8)
    np.testing.assert_allclose(from_nnx(layer)(x), layer(x), 1e-4, 1e-5)


def test_the_companion_takes_keys_values_and_masks_alike() -> None:
    sizes: dict[str, Any] = {"key_size": 5, "value_size": 6, "qk_size": 3, "vo_size": 2}
    ours = nn.MultiHeadAttention(8, 4, 7, **sizes, num_kv_heads=2, use_key_bias=False)
    query, key, value = numbers(2, 3, 8), numbers(2, 6, 5, seed=1), numbers(2, 6, 6, seed=2)
    mask = np.random.default_rng(3).random((2, 4, 3, 6)) < 0.6
    layer = to_nnx(ours)
    assert type(layer) is companions.MultiHeadAttention
    for allowed in (None, mask, mask[:, :1]):
        found = layer(query, key, value, allowed)
        np.testing.assert_allclose(found, ours(query, key, value, allowed), 1e-5, 1e-6)


def test_the_companion_drops_while_training() -> None:
    ours, x = nn.MultiHeadAttention(8, 2, dropout_rate=0.5, use_key_bias=False), numbers(2, 5, 8)
    layer = to_nnx(ours)
    np.testing.assert_array_equal(layer(x), layer(x))
    layer.train()
    assert np.abs(layer(x) - layer(x)).max() > 1e-3
