"""What the catalogue's checks cannot see of attention: the formulas, masks, chance, errors."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.test_util import check_grads

from interop_core import environ, graph, nn, random

SIZES: dict[str, Any] = {
    "key_size": 3,
    "value_size": 5,
    "qk_size": 4,
    "vo_size": 6,
    "num_kv_heads": 2,
}


def numbers(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def spread(layer: Any) -> Any:
    """The layer with other numbers than zeros and ones in its biases and scales."""
    draw = np.random.default_rng(1)
    layer.weight.value = {
        name: a + 0.3 * draw.normal(size=a.shape).astype(np.float32)
        for name, a in layer.weight.value.items()
    }
    return layer


def attention(layer: Any, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
    """The formula of the paper in double precision, head after head."""
    weight = {name: np.asarray(a, np.float64) for name, a in layer.weight.value.items()}
    query, key, value = (np.asarray(a, np.float64) for a in (query, key, value))
    total = 0.0
    for head in range(layer.num_heads):
        group = head // (layer.num_heads // layer.num_kv_heads)
        parts = []
        for name, x, place in (
            ("query", query, head),
            ("key", key, group),
            ("value", value, group),
        ):
            y = x @ weight[f"{name}_weight"][:, place]
            bias = weight.get(f"{name}_bias")
            y = y if bias is None else y + bias[place]
            if layer.normalize_qk and name != "value":
                y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-6)
                y = y * weight[f"{name}_scale"]
            parts.append(y)
        q, k, v = parts
        logits = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        if mask is not None:
            allowed = np.broadcast_to(
                mask, (*logits.shape[:-2], layer.num_heads, *logits.shape[-2:])
            )
            logits = np.where(allowed[..., head, :, :], logits, -1e30)
        scores = np.exp(logits - logits.max(-1, keepdims=True))
        total = total + scores / scores.sum(-1, keepdims=True) @ v @ weight["output_weight"][head]
    return total + weight.get("output_bias", 0.0)


class TestFormula:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {**SIZES, "normalize_qk": True},
            {**SIZES, "use_query_bias": False, "use_value_bias": False, "use_output_bias": False},
        ],
        ids=["plain", "sizes", "biases"],
    )
    def test_is_that_of_the_paper(self, options: Any) -> None:
        layer = spread(nn.MultiHeadAttention(8, 4, 7, **options))
        query = numbers(2, 3, 8)
        key, value = numbers(2, 6, layer.key_size, seed=1), numbers(2, 6, layer.value_size, seed=2)
        mask = np.random.default_rng(3).random((2, 4, 3, 6)) < 0.7
        for allowed in (None, mask, mask[:, :1], mask[0]):
            expected = attention(layer, query, key, value, allowed)
            np.testing.assert_allclose(layer(query, key, value, allowed), expected, 1e-4, 1e-5)

    def test_of_one_array_is_self_attention(self) -> None:
        layer, x = spread(nn.MultiHeadAttention(8, 2)), numbers(2, 3, 8)
        np.testing.assert_array_equal(layer(x), layer(x, x, x))
        np.testing.assert_array_equal(layer(x, x[:, :2]), layer(x, x[:, :2], x[:, :2]))

    def test_leading_axes_are_a_batch(self) -> None:
        layer, x = spread(nn.MultiHeadAttention(8, 2)), numbers(2, 3, 4, 8)
        np.testing.assert_allclose(layer(x)[1, 2], layer(x[1, 2]), 1e-5, 1e-6)

    def test_causal_positions_see_no_later_one(self) -> None:
        layer, x = spread(nn.MultiHeadAttention(8, 2)), numbers(2, 5, 8)
        triangle = np.tril(np.ones((5, 5), bool))
        np.testing.assert_allclose(
            layer(x, is_causal=True), attention(layer, x, x, x, triangle), 1e-4, 1e-5
        )
        allowed = np.ones((5, 5), bool)
        allowed[:, 0] = False
        np.testing.assert_array_equal(
            layer(x, mask=allowed, is_causal=True), layer(x, mask=allowed & triangle)
        )
        changed = layer(x.at[:, 3:].add(1.0), is_causal=True)
        np.testing.assert_array_equal(changed[:, :3], layer(x, is_causal=True)[:, :3])

    def test_all_count_alike_where_none_may(self) -> None:
        layer, x = spread(nn.MultiHeadAttention(8, 2)), numbers(3, 8)
        y = layer(x, mask=np.zeros((3, 3), bool))
        expected = layer(x, x.at[:].set(x[:1]), jnp.broadcast_to(x.mean(0), x.shape))
        np.testing.assert_allclose(y, expected, 1e-5, 1e-5)

    def test_heads_are_processed_before_they_meet(self) -> None:
        layer, turn, x = spread(nn.MultiHeadAttention(8, 2)), nn.RoPE(), numbers(2, 5, 8)

        def turned(q: Any, k: Any, v: Any) -> Any:
            over_heads = jax.vmap(turn, -2, -2)
            return over_heads(q), over_heads(k), v

        plain, placed = layer(x), layer(x, process_heads=turned)
        assert np.abs(plain - placed).max() > 1e-2
        # Only how far apart two positions are counts.
        shifted = layer(
            x,
            process_heads=lambda q, k, v: (
                jax.vmap(lambda a: turn(a, jnp.arange(5) + 7), -2, -2)(q),
                jax.vmap(lambda a: turn(a, jnp.arange(5) + 7), -2, -2)(k),
                v,
            ),
        )
        np.testing.assert_allclose(placed, shifted, 1e-4, 1e-4)

    def test_gradients_are_those_of_finite_differences(self) -> None:
        with environ.context(precision=64):
            layer = spread(nn.MultiHeadAttention(4, 2, **{**SIZES, "num_kv_heads": 1}))
            layer = jax.tree.map(lambda a: a.astype(np.float64), layer)
            query, key, value = (
                jnp.asarray(np.random.default_rng(n).normal(size=(3, n)) * 0.5) for n in (4, 3, 5)
            )
            check_grads(
                lambda m, *xs: m(*xs), (layer, query, key, value), 1, modes=("rev",), atol=1e-3
            )


class TestTypes:
    def test_half_precision_stays(self) -> None:
        layer, x = nn.MultiHeadAttention(8, 2, dtype=jnp.bfloat16), numbers(3, 8)
        assert layer(x).dtype == jnp.bfloat16
        np.testing.assert_allclose(
            np.asarray(layer(x), np.float32), attention(layer, x, x, x), 2**-4, 2**-5
        )

    def test_attention_weights_may_stay_in_single(self) -> None:
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), nn.MultiHeadAttention(8, 2))
        assert half(numbers(3, 8).astype(jnp.bfloat16)).dtype == jnp.bfloat16
        forced = nn.MultiHeadAttention(8, 2, force_fp32_for_softmax=True)
        forced = jax.tree.map(lambda a: a.astype(jnp.bfloat16), forced)
        assert forced(numbers(3, 8).astype(jnp.bfloat16)).dtype == jnp.float32


class TestDropout:
    def test_drops_while_fitting_alone(self) -> None:
        layer, x = spread(nn.MultiHeadAttention(8, 2, dropout_rate=0.5)), numbers(2, 5, 8)
        with environ.context(fit=False):
            np.testing.assert_allclose(layer(x), attention(layer, x, x, x), 1e-4, 1e-5)
        with environ.context(fit=True), random.seed_context(0):
            assert np.abs(layer(x) - layer(x)).max() > 1e-2
        with pytest.raises(KeyError, match="fitted"):
            layer(x)
        assert nn.MultiHeadAttention(8, 2)(x).shape == x.shape  # nothing to ask for

    @pytest.mark.parametrize("together", [True, False])
    def test_examples_and_heads_drop_together_or_not(self, together: bool) -> None:
        layer = nn.MultiHeadAttention(4, 2, dropout_rate=0.5, broadcast_dropout=together)
        eye = jnp.eye(4).reshape(4, 2, 2)
        layer.weight.value = {
            **{name: jnp.zeros_like(a) for name, a in layer.weight.value.items()},
            "value_weight": eye,
            "output_weight": eye.reshape(2, 2, 4),
        }
        with environ.context(fit=True), random.seed_context(0):
            y = np.asarray(layer(jnp.ones((3, 40, 4))))  # the sum of the weights of each head
        heads = y.reshape(3, 40, 2, 2)[..., 0]
        assert np.ptp(heads[0, :, 0]) > 0.1
        alike = np.allclose(heads, heads[:1, :, :1], atol=1e-5)
        assert alike is together
        assert abs(heads.mean() - 1) < 0.1

    def test_one_program_draws_with_the_key_of_its_call(self) -> None:
        layer, x = nn.MultiHeadAttention(8, 2, dropout_rate=0.5), numbers(2, 5, 8)

        @jax.jit
        def train(layer: Any, x: Any, key: Any) -> Any:
            with environ.context(fit=True), random.seed_context(key):
                return layer(x)

        first, again, other = (train(layer, x, jax.random.key(n)) for n in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 1e-2


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"num_heads": 3}, "8 features are not 3 heads"),
            ({"num_heads": 0, "qk_size": 2, "vo_size": 2}, "num_heads=0"),
            ({"num_heads": 4, "num_kv_heads": 3}, "num_kv_heads=3"),
            ({"num_heads": 2, "dropout_rate": 1.0}, r"\[0, 1\)"),
            ({"num_heads": 2, "out_size": (3, 8)}, "agree"),
        ],
    )
    def test_of_the_constructor(self, options: Any, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            nn.MultiHeadAttention(8, **options)

    @pytest.mark.parametrize(
        "shapes",
        [
            [(8,)],
            [(3, 7)],
            [(3, 8), (4, 7)],
            [(3, 8), (4, 8), (5, 8)],
            [(2, 3, 8), (4, 8)],
        ],
    )
    def test_of_shapes(self, shapes: Any) -> None:
        with pytest.raises(ValueError, match="MultiHeadAttention takes query, key and value"):
            nn.MultiHeadAttention(8, 2)(*(jnp.ones(shape) for shape in shapes))

    def test_of_a_value_without_key(self) -> None:
        with pytest.raises(ValueError, match="pass both"):
            nn.MultiHeadAttention(8, 2)(jnp.ones((3, 8)), value=jnp.ones((3, 8)))


def test_initial_values_count_the_inputs_of_each_projection() -> None:
    layer = nn.MultiHeadAttention(256, 4, w_init=nn.init.LecunNormal())
    for array in graph.leaves(layer).values():
        if array.ndim > 1 and array.size > 1000:
            assert abs(float(array.std()) - 1 / 16) < 0.01


class TestRoPE:
    def test_turns_the_planes_of_two_halves(self) -> None:
        x = np.asarray(numbers(2, 5, 6), np.float64)
        points = x[..., :3] + 1j * x[..., 3:]
        turned = points * np.exp(1j * np.arange(5)[:, None] / 50.0 ** (np.arange(3) / 3))
        expected = np.concatenate([turned.real, turned.imag], axis=-1)
        layer = nn.RoPE(theta=50.0)
        np.testing.assert_allclose(layer(jnp.asarray(x, jnp.float32)), expected, 1e-5, 1e-5)
        positions = jnp.array([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
        again = layer(jnp.asarray(np.stack([x[0], x[1, ::-1]]), jnp.float32), positions)
        np.testing.assert_allclose(again, np.stack([expected[0], expected[1, ::-1]]), 1e-5, 1e-5)

    @pytest.mark.parametrize(("keep", "dtype"), [(True, "bfloat16"), (False, "float32")])
    def test_keeps_the_type_or_promotes(self, keep: bool, dtype: str) -> None:
        x = jnp.ones((3, 4), jnp.bfloat16)
        assert nn.RoPE(keep_dtype=keep)(x).dtype == dtype
        assert nn.RoPE(keep_dtype=keep, dtype="bfloat16")(x).dtype == "bfloat16"

    @pytest.mark.parametrize("size", [3, (2, 5), (0,)])
    def test_wants_pairs(self, size: Any) -> None:
        with pytest.raises(ValueError, match="even number"):
            nn.RoPE(size)

    def test_wants_its_own_size_and_positions(self) -> None:
        with pytest.raises(ValueError, match="turns 4 features"):
            nn.RoPE(4)(jnp.ones((3, 6)))
        with pytest.raises(ValueError, match="their positions"):
            nn.RoPE()(jnp.ones((3, 6)), jnp.arange(4))
        with pytest.raises(ValueError, match="their positions"):
            nn.RoPE()(jnp.ones(6))
