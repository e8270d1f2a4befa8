"""Attention called with keys, values and masks, inside stacks, and rotary positions."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import InteropError, MissingShapeError, environ, nn
from interop_core.testing import filled
from interop_equinox import companions, from_equinox, to_equinox


def numbers(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def spread(layer: Any) -> Any:
    """The layer with random numbers in every array."""
    arrays, rest = eqx.partition(layer, eqx.is_array)
    flat, structure = jax.tree.flatten(arrays)
    fresh = filled({str(n): a for n, a in enumerate(flat)}, lambda _: False)
    return eqx.combine(jax.tree.unflatten(structure, list(fresh.values())), rest)


SIZES: dict[str, Any] = {
    "key_size": 5,
    "value_size": 6,
    "qk_size": 3,
    "vo_size": 2,
    "output_size": 7,
}
MASKED = (
    None,
    np.random.default_rng(3).random((4, 3, 6)) < 0.6,
    np.random.default_rng(4).random((3, 6)) < 0.6,
    np.zeros((3, 6), bool),
)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (eqx.nn.MultiheadAttention, {"dropout_p": 0.3, "use_key_bias": True}),
        (companions.MultiHeadAttention, {"num_kv_heads": 2, "normalize_qk": True}),
    ],
)
def test_keys_values_and_masks_are_taken_alike(layer: Any, options: Any) -> None:
    theirs = layer(4, 8, **SIZES, use_output_bias=True, **options, key=jax.random.key(0))
    theirs = eqx.nn.inference_mode(spread(theirs))
    ours = from_equinox(theirs)
    again = to_equinox(ours)
    assert type(again) is layer
    query, key, value = numbers(3, 8), numbers(6, 5, seed=1), numbers(6, 6, seed=2)
    with environ.context(fit=False):
        for mask in MASKED:
            expected = theirs(query, key, value, mask)
            np.testing.assert_allclose(ours(query, key, value, mask), expected, 1e-4, 1e-5)
            np.testing.assert_allclose(again(query, key, value, mask), expected, 1e-6, 1e-6)


def test_the_companion_computes_what_equinox_computes() -> None:
    options: dict[str, Any] = {**SIZES, "use_query_bias": True, "key": jax.random.key(0)}
    stock = spread(eqx.nn.MultiheadAttention(4, 8, **options))
    own = spread(companions.MultiHeadAttention(4, 8, **options))
    query, key, value = numbers(3, 8), numbers(6, 5, seed=1), numbers(6, 6, seed=2)
    for mask in MASKED:
        expected = stock(query, key, value, mask)
        np.testing.assert_allclose(own(query, key, value, mask), expected, 1e-5, 1e-5)


def test_the_companion_drops_while_training() -> None:
    core = nn.MultiHeadAttention((5, 8), 2, dropout_rate=0.5, broadcast_dropout=False)
    stack, x = to_equinox(nn.Sequential(core)), numbers(5, 8)
    np.testing.assert_array_equal(stack(x), stack(x))
    trained = eqx.nn.inference_mode(stack, value=False)
    first, other = (trained(x, key=jax.random.key(n)) for n in (0, 1))
    assert np.abs(first - other).max() > 1e-3


def test_inside_a_stack_it_is_the_companion() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.MultiHeadAttention((5, 4), 2), nn.Linear(4, 3))
    converted, x = to_equinox(model), numbers(2, 5, 4)
    assert type(converted.layers[1]) is companions.MultiHeadAttention
    np.testing.assert_allclose(jax.vmap(converted)(x), model(x), 1e-5, 1e-5)
    back = from_equinox(converted, sample_input=(5, 4))
    np.testing.assert_allclose(back(x), model(x), 1e-5, 1e-5)


def test_a_stack_has_to_say_that_there_is_a_length() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.MultiHeadAttention(4, 2))
    with pytest.raises(MissingShapeError, match=r"takes 2 axes .* pass sample_input"):
        to_equinox(model)
    converted, x = to_equinox(model, sample_input=(5, 4)), numbers(5, 4)
    np.testing.assert_allclose(converted(x), model(x), 1e-5, 1e-5)


def test_stock_attention_in_a_stack_is_refused() -> None:
    layer = eqx.nn.MultiheadAttention(2, 4, key=jax.random.key(0))
    with pytest.raises(InteropError, match="which a stack does not pass"):
        from_equinox(eqx.nn.Sequential([layer]), sample_input=(5, 4))


@pytest.mark.parametrize(
    ("where", "part", "said"),
    [
        (lambda m: m.query_proj, eqx.nn.Identity(), "query_proj"),
        (lambda m: m.dropout, eqx.nn.Identity(), "its dropout is Identity"),
        (lambda m: m.dropout, eqx.nn.Dropout(0.5), None),
        (lambda m: m.key_proj, eqx.nn.Linear(4, 4, key=jax.random.key(0)), "key_proj.bias"),
    ],
)
def test_parts_of_another_kind_are_refused(where: Any, part: Any, said: str | None) -> None:
    layer = eqx.nn.MultiheadAttention(2, 4, key=jax.random.key(0))
    layer = eqx.tree_at(where, layer, part)
    if said is None:
        assert from_equinox(layer).dropout_rate == 0.5
        return
    with pytest.raises(InteropError, match=said):
        from_equinox(layer)


def test_rotary_positions_of_another_theta_do_not_share_a_table() -> None:
    x = numbers(5, 6)
    for theta in (50.0, 10_000.0):
        model = nn.RoPE((5, 6), theta=theta)
        converted = to_equinox(model)
        stock = type(converted) is eqx.nn.RotaryPositionalEmbedding
        assert stock is (theta == 10_000.0)
        np.testing.assert_allclose(converted(x), model(x), 1e-5, 1e-5)
    assert from_equinox(eqx.nn.RotaryPositionalEmbedding(6, theta=50.0)).theta == 50.0


def test_attention_over_leading_axes_is_called_with_one_input() -> None:
    ours = nn.MultiHeadAttention(4, 2)
    x = numbers(2, 5, 3, 4)
    theirs = to_equinox(ours, sample_input=(5, 3, 4))
    np.testing.assert_allclose(jax.vmap(theirs)(x), ours(x), rtol=1e-5, atol=1e-5)
    assert type(to_equinox(ours, sample_input=(3, 4))) is eqx.nn.MultiheadAttention
