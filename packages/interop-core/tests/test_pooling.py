"""Pooling against the published layers, and against plain loops where those fail."""

from __future__ import annotations

import itertools
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn


def agree(ours: Any, published: Any, rtol: float = 1e-6) -> None:
    """The same dtype, shape and numbers; the default is the rounding of a short sum."""
    assert ours.dtype == published.dtype
    assert ours.shape == published.shape
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


def sample(shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return jnp.asarray(values.astype(np.float32).astype(dtype))


def pair(name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    return getattr(nn, name)(*args, **options), getattr(brainstate.nn, name)(*args, **options)


SIZES = {"1d": (9, 3), "2d": (9, 7, 3), "3d": (5, 7, 6, 2)}
# Which layers, kernel, stride, and the rest.
ROWS: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("1d", 3, None, {}),
    ("1d", 3, 2, {"padding": "SAME"}),
    ("1d", (2,), (3,), {"padding": ((1, 0),)}),
    ("1d", 2, 1, {"padding": 3}),
    ("2d", 2, None, {}),
    ("2d", 2, 1, {}),
    ("2d", (3, 2), None, {"padding": "SAME"}),
    ("2d", 3, 2, {"padding": 1}),
    ("2d", 3, (1, 2), {"padding": (1, 2)}),
    ("2d", (2, 3), 2, {"padding": ((1, 0), (0, 2))}),
    ("2d", 2, 2, {"padding": ((1, 0),)}),
    ("2d", 3, 2, {"padding": -1}),
    ("2d", 2, 2, {"channel_axis": -3}),
    ("2d", 2, 2, {"channel_axis": -2}),
    ("2d", 2, 2, {"channel_axis": None}),
    ("3d", 2, 2, {}),
    ("3d", (1, 2, 3), None, {"padding": "SAME"}),
]
CASES = [
    pytest.param(
        kind + dim, SIZES[dim], (kernel, stride), options, id=f"{kind}{dim} {kernel} {stride} "
        + " ".join(map(str, itertools.chain(*options.items()))),
    )
    for kind in ("MaxPool", "AvgPool")
    for dim, kernel, stride, options in ROWS
]  # fmt: skip


class TestAgainstPublished:
    @pytest.mark.parametrize("name, size, args, options", CASES)
    def test_forward_and_sizes(self, name: str, size: Any, args: Any, options: Any) -> None:
        ours, published = pair(name, *args, in_size=size, **options)
        for attribute in ("in_size", "out_size", "kernel_size", "stride"):
            assert getattr(ours, attribute) == tuple(getattr(published, attribute)), attribute
        if not isinstance(ours.padding, str):
            assert ours.padding == tuple(map(tuple, published.padding))
        assert ours.output_size(size) == ours.out_size
        x = sample((2, *size))
        expected = published(x)
        agree(jax.jit(ours.update)(x), expected)
        assert jax.eval_shape(ours.update, x[0]).shape == ours.out_size

    @pytest.mark.parametrize("name, size, args, options", CASES[::3])
    def test_gradients(self, name: str, size: Any, args: Any, options: Any) -> None:
        ours, published = pair(name, *args, **options)
        x = sample((2, *size))
        weight = sample(ours(x).shape)
        weight = jnp.where(jnp.isfinite(ours(x)), weight, 0)  # windows of padding alone
        agree(
            jax.grad(lambda x: (jnp.where(weight == 0, 0, ours(x)) * weight).sum())(x),
            jax.grad(lambda x: (jnp.where(weight == 0, 0, published(x)) * weight).sum())(x),
        )

    @pytest.mark.parametrize("dim, kernel, stride, options", ROWS)
    def test_indices(self, dim: str, kernel: Any, stride: Any, options: Any) -> None:
        ours, published = pair(f"MaxPool{dim}", kernel, stride, return_indices=True, **options)
        x = jnp.round(2 * sample((2, *SIZES[dim])))  # with ties
        values, indices = jax.jit(ours.update)(x)
        theirs = published(x)
        agree(values, theirs[0])
        assert indices.dtype == theirs[1].dtype
        # The published indices of version 0.6 count through the part of the input that the windows
        # cover. So ours are held against their meaning: the first entry that has the value.
        flat = np.asarray(x).ravel()
        alone = np.isneginf(values)  # windows of padding alone
        np.testing.assert_array_equal(np.where(alone, -np.inf, flat[indices]), values)
        _, latest = jax.jit(ours.update)(x + 1e-3 * np.arange(x.size).reshape(x.shape) / x.size)
        assert (np.asarray(indices) <= np.asarray(latest)).all()

    @pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
    def test_indices_of_windows_that_cover_the_input(self, lead: tuple[int, ...]) -> None:
        ours, published = pair("MaxPool2d", 2, return_indices=True)
        x = jnp.round(2 * sample((*lead, 8, 6, 3)))
        for mine, theirs in zip(ours(x), published(x), strict=True):
            agree(mine, theirs)

    @pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
    @pytest.mark.parametrize("axis", [0, 1, 2, 3])
    def test_channel_axis_from_the_front_counts_the_batch(self, name: str, axis: int) -> None:
        ours, published = pair(name, 2, 2, channel_axis=axis, in_size=(9, 7, 5))
        x = sample((2, 9, 7, 5))
        agree(ours(x), published(x))
        assert ours.out_size == published.out_size

    @pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
    @pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 1, 3)])
    def test_batch_axes(self, name: str, lead: tuple[int, ...]) -> None:
        ours, published = pair(name, 2, 2, in_size=(6, 4, 3))
        x = sample((*lead, 6, 4, 3))
        agree(ours(x), published(x))
        assert ours(x).shape == (*lead, *ours.out_size)

    @pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
    def test_vmap(self, name: str) -> None:
        ours, published = pair(name, 3, 2, "SAME")
        x = sample((4, 6, 5, 3))
        agree(jax.vmap(ours)(x), published(x))

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32", "uint8"])
    @pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
    def test_dtypes(self, name: str, dtype: str) -> None:
        ours, published = pair(name, 3, 2, 1)
        x = jnp.abs(10 * sample((6, 5, 3))).astype(dtype)
        # The published means are sums in half precision, rounded after each entry.
        agree(ours(x), published(x), rtol=2**-5)
        agree(ours(np.asarray(x)), published(x), rtol=2**-5)

    def test_maximum_of_booleans_and_negative_integers(self) -> None:
        x = jnp.array([[-5], [-7], [-9]], jnp.int8)
        assert nn.MaxPool1d(2, 2, 1)(x).tolist() == [[-5], [-7]]
        assert nn.MaxPool1d(2, 1)(x < -6).tolist() == [[True], [True]]

    def test_double_precision(self) -> None:
        with environ.context(precision=64):
            x = np.random.default_rng(0).normal(size=(9, 1))
            blocks = x.reshape(3, 3)
            y = nn.AvgPool1d(3, 3)(jnp.asarray(x))
            assert y.dtype == np.float64
            np.testing.assert_allclose(y[:, 0], blocks.mean(1), rtol=1e-14)
            np.testing.assert_array_equal(nn.MaxPool1d(3)(jnp.asarray(x))[:, 0], blocks.max(1))
            assert nn.MaxPool1d(3, return_indices=True)(jnp.asarray(x))[1].dtype == np.int32


class TestBeyondPublished:
    """What the published layers refuse or get wrong."""

    def test_mean_of_integers_does_not_wrap(self) -> None:
        x = jnp.full((4, 1), 200, jnp.uint8)
        assert nn.AvgPool1d(2, 2)(x).tolist() == [[200.0], [200.0]]
        assert nn.AvgPool1d(2, 2)(jnp.array([[True], [False]])).tolist() == [[0.5]]

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_mean_in_half_precision(self, dtype: str) -> None:
        # A sum of ones in bfloat16 stops at 256; one of these in float16 overflows.
        x = jnp.full((17, 17, 1), 300, dtype)
        for options in ({}, {"padding": "SAME"}, {"padding": 8, "count_include_pad": True}):
            y = nn.AvgPool2d(17, **options)(x)
            assert y.dtype == dtype
            assert y[y.shape[0] // 2, y.shape[1] // 2].item() == 300

    def test_indices_of_integers(self) -> None:
        values, indices = nn.MaxPool1d(2, padding=1, return_indices=True)(jnp.array([[3], [-5]]))
        assert (values.tolist(), indices.tolist()) == ([[3], [-5]], [[0], [1]])

    def test_indices_of_nan(self) -> None:
        x = jnp.array([1.0, jnp.nan, 2.0, 3.0, jnp.nan, jnp.nan]).reshape(6, 1)
        values, indices = nn.MaxPool1d(2, return_indices=True)(x)
        np.testing.assert_array_equal(values[:, 0], [np.nan, 3, np.nan])
        assert indices[:, 0].tolist() == [1, 3, 4]

    def test_indices_with_a_size(self) -> None:
        assert nn.MaxPool2d(2, return_indices=True, in_size=(4, 4, 1)).out_size == (2, 2, 1)

    @pytest.mark.parametrize("padding", ["VALID", "SAME", 2])
    def test_gradient_with_indices(self, padding: Any) -> None:
        plain = nn.MaxPool2d(2, 2, padding)
        indexed = nn.MaxPool2d(2, 2, padding, return_indices=True)
        x = sample((2, 5, 4, 3))

        def loss(y: jax.Array) -> jax.Array:
            return (jnp.where(jnp.isfinite(y), y, 0) ** 2).sum()

        expected = jax.grad(lambda x: loss(plain(x)))(x)
        agree(jax.jit(jax.grad(lambda x: loss(indexed(x)[0])))(x), expected)
        agree(jax.vmap(jax.grad(lambda x: loss(indexed(x)[0])))(x), expected)
        _, tangent = jax.jvp(lambda x: indexed(x)[0], (x,), (jnp.ones_like(x),))
        assert set(np.unique(tangent)) <= {0.0, 1.0}

    def test_a_window_of_padding_alone(self) -> None:
        x = jnp.ones((2, 1))
        values, indices = nn.MaxPool1d(2, padding=3, return_indices=True)(x)
        assert values[:, 0].tolist() == [-np.inf, 1, 1, -np.inf]
        assert indices[:, 0].tolist() == [0, 0, 1, 0]
        assert nn.AvgPool1d(2, padding=3)(x)[:, 0].tolist() == [0, 0, 1, 1, 1, 0, 0]


class TestOptions:
    @pytest.mark.parametrize("padding", ["VALID", "SAME", 1, ((2, 1), (0, 1))])
    def test_count_include_pad(self, padding: Any) -> None:
        x = np.asarray(sample((5, 4, 1)))
        layer = nn.AvgPool2d(3, 2, padding, count_include_pad=True, in_size=(5, 4, 1))
        y = layer(jnp.asarray(x))
        named = {"VALID": ((0, 0), (0, 0)), "SAME": ((1, 1), (0, 1)), 1: ((1, 1), (1, 1))}
        pairs = padding if isinstance(padding, tuple) else named[padding]
        padded = np.pad(x, (*pairs, (0, 0)))
        expected = [
            [padded[2 * s : 2 * s + 3, 2 * t : 2 * t + 3].mean((0, 1)) for t in range(y.shape[1])]
            for s in range(y.shape[0])
        ]
        np.testing.assert_allclose(y, np.array(expected), rtol=1e-6, atol=1e-6)
        assert y.shape == layer.out_size

    def test_same_lower(self) -> None:
        x = jnp.arange(1.0, 6.0)[:, None]
        assert nn.MaxPool1d(2, 1, "same_lower")(x)[:, 0].tolist() == [1, 2, 3, 4, 5]
        assert nn.MaxPool1d(2, 1, "same")(x)[:, 0].tolist() == [2, 3, 4, 5, 5]

    def test_the_means_divide_by_a_constant(self) -> None:
        jaxpr = str(jax.make_jaxpr(nn.AvgPool2d(3, 2, "SAME").update)(jnp.ones((5, 4, 4, 1))))
        assert jaxpr.count("reduce_window") == 1

    @pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
    def test_arguments_read_back(self, name: str) -> None:
        layer = getattr(nn, name)([3, 2], None, (1, 0), -3, name="pool", in_size=[3, 8, 8])
        config = graph.configuration(layer)
        special = {"MaxPool2d": "return_indices", "AvgPool2d": "count_include_pad"}[name]
        assert config == {
            "kernel_size": (3, 2),
            "stride": (3, 2),
            "padding": ((1, 1), (0, 0)),
            "channel_axis": -3,
            special: False,
            "name": "pool",
            "in_size": (3, 8, 8),
        }
        assert graph.configuration(getattr(nn, name)(**config)) == config

    def test_default_strides(self) -> None:
        assert nn.MaxPool2d(3).stride == (3, 3)
        assert nn.AvgPool2d(3).stride == (1, 1)
        assert nn.AvgPool2d(3, None).stride == (3, 3)

    def test_without_a_size(self) -> None:
        layer = nn.MaxPool2d(2)
        assert layer.in_size is None
        assert layer.out_size is None
        assert layer.output_size((8, 9, 3)) == (4, 4, 3)
        assert jax.tree.leaves(layer) == []


class TestErrors:
    @pytest.mark.parametrize("name", ["MaxPool2d", "AvgPool2d"])
    @pytest.mark.parametrize(
        "options, message",
        [
            ({"kernel_size": (2, 2, 2)}, "kernel_size must have 1 or 2 entries"),
            ({"kernel_size": 0}, "kernel_size must be positive"),
            ({"stride": 0}, "stride must be positive"),
            ({"padding": "FULL"}, "padding must be one of"),
            ({"padding": None}, "padding for 2 spatial axes"),
            ({"padding": (1, 2, 3)}, "padding for 2 spatial axes"),
            ({"in_size": (8, 8)}, "needs 2 spatial axes and a channel axis"),
            ({"in_size": (1, 8, 3)}, "does not fit into spatial size"),
            ({"in_size": (8, 8, 3), "channel_axis": 4}, "channels on axis 4"),
            ({"in_size": (8,), "channel_axis": None}, "needs 2 spatial axes"),
        ],
    )
    def test_wrong_arguments(self, name: str, options: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            getattr(nn, name)(**{"kernel_size": 2, **options})

    @pytest.mark.parametrize("shape", [(8,), (8, 8)])
    def test_wrong_input(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="needs 2 spatial axes and a channel axis, got shape"):
            nn.MaxPool2d(2)(jnp.zeros(shape))

    @pytest.mark.parametrize("name", ["kernel_size", "stride", "channel_axis"])
    def test_no_fractions(self, name: str) -> None:
        options: dict[str, Any] = {"kernel_size": 2, name: 2.0}
        with pytest.raises(TypeError, match="integer"):
            nn.MaxPool2d(**options)
