"""Attention called with keys, values and masks, in half precision, and with other variables."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from interop_core import InteropError, environ, nn
from interop_core.testing import filled
from interop_linen import companions, from_linen, to_linen


def numbers(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def made(*inputs: Any, **options: Any) -> Any:
    """An attention of Linen and variables of random numbers."""
    module = linen.MultiHeadDotProductAttention(num_heads=4, **options)
    variables = module.init(jax.random.key(0), *inputs)
    arrays, structure = jax.tree.flatten(variables)
    fresh = filled({str(n): a for n, a in enumerate(arrays)}, lambda _: False)
    return module, jax.tree.unflatten(structure, list(fresh.values()))


@pytest.mark.parametrize(
    "options",
    [{}, {"qkv_features": 12, "out_features": 6, "normalize_qk": True, "dropout_rate": 0.3}],
)
def test_keys_values_and_masks_are_taken_alike(options: Any) -> None:
    query, key, value = numbers(2, 3, 8), numbers(2, 6, 5, seed=1), numbers(2, 6, 7, seed=2)
    module, variables = made(query, key, value, deterministic=True, **options)
    ours = from_linen(module, variables)
    again, same = to_linen(ours)
    draw = np.random.default_rng(3)
    masks = (draw.random((2, 4, 3, 6)) < 0.6, draw.random((3, 6)) < 0.6, np.zeros((3, 6), bool))
    with environ.context(fit=False):
        for mask in (None, *masks):
            expected = module.apply(variables, query, key, value, mask=mask)
            np.testing.assert_allclose(ours(query, key, value, mask), expected, 1e-4, 1e-5)
            np.testing.assert_array_equal(again.apply(same, query, key, value, mask=mask), expected)


@pytest.mark.parametrize("forced", [False, True])
def test_types_of_half_precision(forced: bool) -> None:
    x = numbers(2, 5, 8).astype(jnp.bfloat16)
    module, variables = made(x, param_dtype=jnp.bfloat16, force_fp32_for_softmax=forced)
    ours, theirs = from_linen(module, variables)(x), module.apply(variables, x)
    assert ours.dtype == theirs.dtype == (jnp.float32 if forced else jnp.bfloat16)
    np.testing.assert_allclose(np.float32(ours), np.float32(theirs), 2**-5, 2**-6)


def test_inside_a_stack() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.MultiHeadAttention(4, 2), nn.Linear(4, 3))
    (module, variables), x = to_linen(model), numbers(2, 5, 4)
    np.testing.assert_allclose(module.apply(variables, x), model(x), 1e-5, 1e-5)
    np.testing.assert_allclose(from_linen(module, variables)(x), model(x), 1e-5, 1e-5)


def test_variables_that_do_not_fit_are_refused() -> None:
    module, variables = made(numbers(3, 8))
    other = linen.MultiHeadDotProductAttention(num_heads=2)
    with pytest.raises(InteropError, match="query/kernel"):
        from_linen(other, variables)
    with pytest.raises(InteropError, match=r"lacks.*query_ln/scale"):
        from_linen(module.clone(normalize_qk=True), variables)
    with pytest.raises(InteropError, match="cached_key"):
        from_linen(module, {**variables, "cache": {"cached_key": jnp.zeros(2)}})
    with pytest.raises(InteropError, match="5 features are not 4 heads"):
        from_linen(module.clone(qkv_features=5), variables)


def test_the_companion_takes_keys_values_and_masks_alike() -> None:
    sizes: dict[str, Any] = {"key_size": 5, "value_size": 6, "qk_size": 3, "vo_size": 2}
    ours = nn.MultiHeadAttention(8, 4, 7, **sizes, num_kv_heads=2, use_key_bias=False)
    query, key, value = numbers(2, 3, 8), numbers(2, 6, 5, seed=1), numbers(2, 6, 6, seed=2)
    mask = np.random.default_rng(3).random((2, 4, 3, 6)) < 0.6
    layer, variables = to_linen(ours)
    assert type(layer) is companions.MultiHeadAttention
    for allowed in (None, mask, mask[:, :1]):
        found: Any = layer.apply(variables, query, key, value, allowed)
        np.testing.assert_allclose(found, ours(query, key, value, allowed), 1e-5, 1e-6)


def test_the_companion_drops_while_training() -> None:
    ours, x = nn.MultiHeadAttention(8, 2, dropout_rate=0.5, use_key_bias=False), numbers(2, 5, 8)
    layer, variables = to_linen(ours)
    trained = layer.clone(deterministic=False)
    first, other = (
        trained.apply(variables, x, rngs={"dropout": jax.random.key(n)}) for n in (0, 1)
    )
    assert np.abs(first - other).max() > 1e-3
    np.testing.assert_array_equal(layer.apply(variables, x), layer.apply(variables, x))
