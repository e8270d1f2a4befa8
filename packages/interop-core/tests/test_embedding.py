"""The embedding table against the published layer and against what its options promise."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn
from interop_core.state import LongTermState

TABLE = np.array([[3, 4], [0.3, -0.4], [6, 8], [1, 1], [0, 0]], np.float32)
INDICES = np.array([[0, 1, 1], [3, 3, 3]])


def agree(ours: Any, published: Any, rtol: float = 1e-6) -> None:
    """The same dtype, shape and numbers; the default is the rounding of a norm."""
    assert ours.dtype == published.dtype
    assert ours.shape == published.shape
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


def pair(table: Any = TABLE, **options: Any) -> tuple[nn.Embedding, Any]:
    """Our layer and the published one around the same table."""
    table = jnp.asarray(table)
    ours = nn.Embedding(table.shape[0], table.shape[1:], table, **options)
    published = brainstate.nn.Embedding(table.shape[0], table.shape[1:], table, **options)
    agree(ours.weight.value, published.weight.value)
    return ours, published


OPTIONS: list[dict[str, Any]] = [
    {},
    {"padding_idx": 1},
    {"scale_grad_by_freq": True},
    {"scale_grad_by_freq": True, "padding_idx": 3},
    {"freeze": True},
    {"freeze": True, "max_norm": 1.0},
    {"max_norm": 1.0},
    {"max_norm": 1.0, "norm_type": 1.0},
    {"max_norm": 1.0, "norm_type": 3.0},
    {"max_norm": 1.0, "norm_type": 0.5},
    {"max_norm": 1.0, "norm_type": float("inf")},
    {"max_norm": 1.0, "padding_idx": 0},
    {"max_norm": 5.0, "scale_grad_by_freq": True, "padding_idx": 1},
    {"max_norm": 100.0},
]
CASES = [pytest.param(o, id=" ".join(f"{k}={v}" for k, v in o.items()) or "plain") for o in OPTIONS]
# The published layer cannot be traced with these two together.
TRACED = [
    case for case, o in zip(CASES, OPTIONS, strict=True) if not {"max_norm", "padding_idx"} <= {*o}
]


class TestAgainstPublished:
    @pytest.mark.parametrize("options", CASES)
    def test_forward_and_table(self, options: Any) -> None:
        ours, published = pair(**options)
        traced = jax.jit(ours.update)(INDICES)
        agree(traced, published(INDICES))
        before = np.asarray(ours.weight.value)
        agree(ours(INDICES), traced)
        agree(ours.weight.value, published.weight.value)
        if "max_norm" not in options:
            np.testing.assert_array_equal(ours.weight.value, before)

    @pytest.mark.parametrize("options", TRACED)
    def test_gradients(self, options: Any) -> None:
        ours, published = pair(**options)
        theirs = brainstate.transform.grad(
            lambda: (published(INDICES) ** 2).sum(), published.states(brainstate.ParamState)
        )()[("weight",)]
        grad = jax.jit(jax.grad(lambda layer: (layer(INDICES) ** 2).sum()))(ours)
        agree(grad.weight.value, theirs)
        # Differentiating leaves no tracer behind.
        assert isinstance(np.asarray(ours.weight.value), np.ndarray)

    @pytest.mark.parametrize("options", TRACED)
    def test_vmap(self, options: Any) -> None:
        ours, published = pair(**options)
        agree(jax.vmap(ours)(INDICES), jax.vmap(published)(INDICES))
        np.testing.assert_array_equal(ours.weight.value, published.weight.value)

    @pytest.mark.parametrize(
        "indices",
        [1, np.int64(1), [1, 2], [[1], [2]], np.array([1, 2], np.uint8), np.array([-1, -5])],
        ids=str,
    )
    @pytest.mark.parametrize("options", [{}, {"padding_idx": 2}], ids=str)
    def test_forms_of_indices(self, indices: Any, options: Any) -> None:
        ours, published = pair(**options)
        agree(ours(indices), published(indices))
        assert ours(indices).shape == ours.output_size(np.shape(indices))

    @pytest.mark.parametrize("options", [{}, {"padding_idx": 0}], ids=str)
    def test_indices_narrower_than_the_table(self, options: Any) -> None:
        layer = nn.Embedding(300, 1, np.arange(300.0, dtype=np.float32)[:, None], **options)
        assert layer(np.array([255, 1], np.uint8))[:, 0].tolist() == [255.0, 1.0]
        assert layer(np.array([-1, 100], np.int8))[:, 0].tolist() == [299.0, 100.0]

    @pytest.mark.parametrize("options", [{}, {"max_norm": 1.0}, {"padding_idx": 0}], ids=str)
    def test_no_indices(self, options: Any) -> None:
        layer = nn.Embedding(5, (2, 3), **options)
        assert layer(np.zeros((4, 0), np.int32)).shape == (4, 0, 2, 3)

    @pytest.mark.parametrize("size", [4, (4,), (2, 3), [2, 3]])
    def test_sizes(self, size: Any) -> None:
        ours, published = nn.Embedding(7, size), brainstate.nn.Embedding(7, size)
        assert ours.weight.value.shape == published.weight.value.shape
        assert (ours.in_size, ours.out_size) == (published.in_size, published.out_size)
        assert ours.embedding_size == published.embedding_size
        assert ours(INDICES).shape == published(INDICES).shape == ours.output_size((2, 3))

    def test_rows_of_several_axes(self) -> None:
        ours, published = pair(TABLE[:4].reshape(2, 2, 2), max_norm=1.0)
        agree(ours([0, 1]), published([0, 1]))

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    @pytest.mark.parametrize("options", CASES[::4])
    def test_low_precision(self, dtype: str, options: Any) -> None:
        ours, published = pair(TABLE.astype(dtype), **options)
        agree(ours(INDICES), published(INDICES), rtol=2**-6)

    def test_double_precision(self) -> None:
        with environ.context(precision=64):
            layer = nn.Embedding(5, 2, max_norm=1.0)
            assert layer.weight.value.dtype == np.float64
            layer.weight.value = jnp.asarray(TABLE, np.float64)
            np.testing.assert_allclose(layer(2), [0.6, 0.8], rtol=1e-15)


class TestOptions:
    def test_the_padding_row(self) -> None:
        layer = nn.Embedding(5, 2, padding_idx=1)
        np.testing.assert_array_equal(layer(1), 0)
        layer.weight.value = jnp.asarray(TABLE)
        np.testing.assert_array_equal(layer(1), TABLE[1])

    def test_frequency_counts_negative_indices_as_their_rows(self) -> None:
        layer, _ = pair(scale_grad_by_freq=True)
        grad = jax.grad(lambda layer: layer(np.array([-1, 4, 0])).sum())(layer)
        np.testing.assert_array_equal(grad.weight.value[:, 0], [1, 0, 0, 0, 1])

    def test_padding_named_from_the_end_gets_no_gradient(self) -> None:
        layer, _ = pair(padding_idx=4)
        grad = jax.grad(lambda layer: layer(np.array([-1, 4, 0])).sum())(layer)
        np.testing.assert_array_equal(grad.weight.value[:, 0], [1, 0, 0, 0, 0])

    @pytest.mark.parametrize("options", CASES[:3])
    def test_indices_beyond_the_table_take_its_ends(self, options: Any) -> None:
        layer, _ = pair(**options)
        agree(layer(np.array([7, -9])), layer(np.array([4, 0])))

    def test_largest_norm_and_padding_under_transformations(self) -> None:
        layer, _ = pair(max_norm=1.0, padding_idx=0)
        np.testing.assert_array_equal(layer.weight.value[0], 0)
        layer.weight.value = jnp.asarray(TABLE)
        y = jax.jit(layer.update)(INDICES)
        np.testing.assert_array_equal(y[0, 0], TABLE[0])
        np.testing.assert_array_equal(jax.vmap(layer)(INDICES), y)
        grad = jax.grad(lambda layer: (layer(INDICES) ** 2).sum())(layer).weight.value
        np.testing.assert_allclose(grad[3], 6 * y[1, 0], rtol=1e-6)
        np.testing.assert_array_equal(grad[0], 0)

    def test_forward_mode(self) -> None:
        layer, _ = pair(scale_grad_by_freq=True, padding_idx=0)

        def look_up(table: jax.Array) -> jax.Array:
            copy = nn.Embedding(**graph.configuration(layer) | {"embedding_init": jnp.zeros(2)})
            copy.weight.value = table
            return copy.update(INDICES)

        table = jnp.asarray(TABLE)
        _, tangent = jax.jvp(look_up, (table,), (jnp.ones_like(table),))
        expected = [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]
        np.testing.assert_allclose(tangent[..., 0], expected, rtol=1e-6)

    def test_many_repeats_in_low_precision(self) -> None:
        # 1000 cannot be counted up to in bfloat16.
        layer = nn.Embedding(2, 1, jnp.zeros((2, 1), jnp.bfloat16), scale_grad_by_freq=True)
        indices = np.zeros(1000, np.int32)
        ones = jax.tree.map(jnp.ones_like, layer)
        _, tangent = jax.jvp(lambda layer: layer(indices), (layer,), (ones,))
        assert tangent[0, 0] == jnp.bfloat16(1 / 1000)

    def test_the_plain_look_up_is_one_gather(self) -> None:
        jaxpr = str(jax.make_jaxpr(pair()[0].update)(INDICES))
        assert jaxpr.count("gather[") == 1
        assert "custom_jvp" not in jaxpr

    def test_numpy_table(self) -> None:
        layer, _ = pair(max_norm=1.0)
        layer.weight.value = TABLE  # type: ignore[assignment]
        np.testing.assert_allclose(layer(2), [0.6, 0.8], rtol=1e-6)

    def test_arguments_read_back(self) -> None:
        options: dict[str, Any] = {
            "num_embeddings": 7,
            "embedding_size": (4,),
            "embedding_init": nn.init.Normal(),
            "padding_idx": 2,
            "max_norm": 1.5,
            "norm_type": 1.0,
            "scale_grad_by_freq": True,
            "freeze": True,
            "name": "words",
            "param_type": LongTermState,
            "dtype": "bfloat16",
        }
        layer = nn.Embedding(**options)
        assert graph.configuration(layer) == options
        assert type(layer.weight) is LongTermState


class TestAbstract:
    @pytest.mark.parametrize("options", CASES)
    def test_nothing_is_computed(self, options: Any) -> None:
        layer, _ = pair(**options)
        with nn.init.abstract(), jax.transfer_guard("disallow_explicit"):
            skeleton = nn.Embedding(**graph.configuration(layer))
        assert jax.tree.leaves(skeleton) == jax.tree.leaves(jax.eval_shape(lambda: layer))
        output = jax.eval_shape(lambda layer: layer(INDICES), skeleton)
        assert output.shape == (2, 3, 2)


class TestErrors:
    @pytest.mark.parametrize(
        "options, message",
        [
            ({"num_embeddings": -1}, "must not be negative"),
            ({"padding_idx": 7}, "must name one of the 7 rows"),
            ({"padding_idx": -1}, "must name one of the 7 rows"),
            ({"max_norm": 0}, "max_norm must be positive"),
            ({"max_norm": float("nan")}, "max_norm must be positive"),
            ({"embedding_init": jnp.ones((7, 5))}, "does not fit"),
            ({"embedding_init": None}, "needed here, not None"),
        ],
    )
    def test_wrong_arguments(self, options: Any, message: str) -> None:
        arguments: dict[str, Any] = {"num_embeddings": 7, "embedding_size": 4, **options}
        with pytest.raises(ValueError, match=message):
            nn.Embedding(**arguments)

    @pytest.mark.parametrize("indices", [1.0, np.array([True]), np.array([1.0])])
    def test_indices_must_be_integers(self, indices: Any) -> None:
        with pytest.raises(TypeError, match="looks up integers"):
            nn.Embedding(7, 4)(indices)
