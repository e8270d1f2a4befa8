"""The activation functions against the published ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn, random
from interop_core.nn import _functional

WHERE = np.array([[True, False, True, True], [True, True, True, False]])

# Name and keyword arguments; each row is called on the same data as the published function.
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("celu", {}),
    ("celu", {"alpha": 0.5}),
    ("elu", {}),
    ("elu", {"alpha": 2.0}),
    ("gelu", {}),
    ("gelu", {"approximate": False}),
    ("glu", {}),
    ("glu", {"axis": 0}),
    ("hard_shrink", {}),
    ("hard_shrink", {"lambd": 1.0}),
    ("hard_sigmoid", {}),
    ("hard_silu", {}),
    ("hard_swish", {}),
    ("hard_tanh", {}),
    ("hard_tanh", {"min_val": -0.5, "max_val": 2.0}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("log_sigmoid", {}),
    ("log_softmax", {}),
    ("log_softmax", {"axis": 0}),
    ("log_softmax", {"axis": (0, 1), "where": WHERE}),
    ("logsumexp", {}),
    ("logsumexp", {"axis": 1, "keepdims": True}),
    ("logsumexp", {"b": 2.0, "where": WHERE}),
    ("mish", {}),
    ("prelu", {}),
    ("prelu", {"a": np.array([0.1, 0.2, 0.3, 0.4], np.float32)}),
    ("relu", {}),
    ("relu6", {}),
    ("selu", {}),
    ("sigmoid", {}),
    ("silu", {}),
    ("soft_shrink", {}),
    ("soft_shrink", {"lambd": 1.0}),
    ("soft_sign", {}),
    ("softmax", {}),
    ("softmax", {"axis": 0, "where": WHERE}),
    ("softmin", {}),
    ("softmin", {"axis": 0}),
    ("softplus", {}),
    ("sparse_plus", {}),
    ("sparse_sigmoid", {}),
    ("squareplus", {}),
    ("squareplus", {"b": 1.0}),
    ("standardize", {}),
    ("standardize", {"axis": 0, "epsilon": 0.1}),
    ("standardize", {"variance": 2.0, "where": WHERE}),
    ("swish", {}),
    ("tanh", {}),
    ("tanh_shrink", {}),
]
IDS = [name + "".join(f"-{key}" for key in options) for name, options in ROWS]

# Every kink of the functions above is among the values.
DATA = np.array([[-4.0, -1.0, -0.5, 0.0], [0.5, 1.0, 3.5, 8.0]], np.float32)


def outcome(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The result, or the type of the error."""
    try:
        return function(*args, **options)
    except Exception as error:
        return type(error)


def agree(ours: Any, published: Any, rtol: float = 1e-6) -> None:
    """The same dtype, shape and numbers; the tolerance is that of one fused operation."""
    assert ours.dtype == published.dtype
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


def test_every_published_function_has_a_row() -> None:
    rows = {name for name, _ in ROWS} | {"rrelu", "one_hot"}
    assert rows == set(_functional.__all__)
    assert rows <= set(nn.__all__)


@pytest.mark.parametrize("name", _functional.__all__)
def test_signature(name: str) -> None:
    ours = inspect.signature(getattr(nn, name)).parameters.values()
    published = inspect.signature(getattr(brainstate.nn, name)).parameters.values()
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in published
    ]


class TestAgainstPublished:
    @pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
    def test_values(self, name: str, options: dict[str, Any]) -> None:
        ours, published = getattr(nn, name), getattr(brainstate.nn, name)
        agree(ours(DATA, **options), published(DATA, **options))
        agree(jax.jit(lambda x: ours(x, **options))(DATA), published(DATA, **options))

    @pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
    def test_gradients(self, name: str, options: dict[str, Any]) -> None:
        ours, published = getattr(nn, name), getattr(brainstate.nn, name)
        weights = jnp.arange(1.0, 9.0).reshape(2, 4)

        def loss(function: Callable[..., Any], x: Any) -> Any:
            y = function(x, **options)
            # log_softmax is -inf where elements do not take part.
            y = jnp.where(jnp.isfinite(y), y, 0.0)
            return (y * weights[: y.shape[0], : y.shape[1]] if y.ndim == 2 else y).sum()

        slope = jax.jit(jax.grad(loss, 1), static_argnums=0)
        agree(slope(ours, DATA), slope(published, DATA))

    @pytest.mark.parametrize("dtype", ["bool", "int32", "bfloat16"])
    @pytest.mark.parametrize("name", sorted({name for name, _ in ROWS}))
    def test_dtypes(self, name: str, dtype: str) -> None:
        x = jnp.asarray(DATA).astype(dtype)
        ours = outcome(getattr(nn, name), x)
        published = outcome(getattr(brainstate.nn, name), x)
        if published is RuntimeWarning:  # log_softmax makes an integer of minus infinity
            published = getattr(brainstate.nn, name)(x.astype(np.float32))
        if isinstance(published, type):
            assert ours is published
            return
        assert ours.dtype == published.dtype
        # Either may have been compiled before, with other optimisations, which a last place tells.
        limits: Any = jnp.finfo
        inexact = jnp.issubdtype(ours.dtype, jnp.inexact)
        rounding = 2 * float(limits(ours.dtype).eps) if inexact else 0.0
        np.testing.assert_allclose(
            np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rounding
        )

    @pytest.mark.parametrize("name", sorted({name for name, _ in ROWS}))
    def test_python_numbers(self, name: str) -> None:
        ours, published = (
            outcome(getattr(nn, name), 0.7),
            outcome(getattr(brainstate.nn, name), 0.7),
        )
        if isinstance(published, type):
            assert ours is published
            return
        agree(ours, published)
        assert ours.weak_type == published.weak_type

    @pytest.mark.parametrize("name", ["relu", "gelu", "softmax", "log_softmax", "standardize"])
    def test_vmap(self, name: str) -> None:
        agree(jax.vmap(getattr(nn, name))(DATA), getattr(nn, name)(DATA))

    @pytest.mark.parametrize("name", sorted({name for name, _ in ROWS}))
    def test_double_precision(self, name: str) -> None:
        with jax.enable_x64(True):
            x = jnp.asarray(DATA, jnp.float64)
            ours = getattr(nn, name)(x)
            assert ours.dtype == np.float64
            agree(ours, getattr(brainstate.nn, name)(x), rtol=1e-14)


class TestIntegers:
    @pytest.mark.parametrize("dtype", ["int8", "uint8"])
    @pytest.mark.parametrize(
        "name",
        [
            "log_sigmoid",
            "log_softmax",
            "soft_sign",
            "softmax",
            "softmin",
            "squareplus",
            "standardize",
        ],
    )
    def test_narrow_ones_do_not_wrap(self, name: str, dtype: str) -> None:
        # The published functions subtract, add and square in the integer type.
        x = np.array([np.iinfo(dtype).min, 1, 20, np.iinfo(dtype).max], dtype)
        function = getattr(nn, name)
        agree(function(x), function(x.astype(np.float32)))
        assert function(x.astype(np.int64)).dtype == np.float32

    def test_shrinking(self) -> None:
        # Below minus a bound there is no unsigned number; the published function takes 1 for one.
        assert nn.hard_shrink(jnp.array([0, 1, 2], jnp.uint8), 1).tolist() == [0, 0, 2]
        y = nn.soft_shrink(jnp.array([-3, 0, 2]), 1)
        assert y.tolist() == [-2, 0, 1]
        assert y.dtype == np.int32


class TestRandomisedRectifier:
    def test_slopes(self) -> None:
        with random.seed_context(0):
            y = nn.rrelu(-jnp.ones(4000))
        slopes = -np.asarray(y)
        assert slopes.min() >= 0.125
        assert slopes.max() <= 1 / 3
        # Uniform: the mean of 4000 draws has a standard error of 0.001.
        assert abs(slopes.mean() - (0.125 + 1 / 3) / 2) < 0.005

    def test_every_call_draws(self) -> None:
        with random.seed_context(0):
            first, second = nn.rrelu(-jnp.ones(3)), nn.rrelu(-jnp.ones(3))
        assert not np.array_equal(first, second)

    def test_keeps_what_is_not_negative(self) -> None:
        x = jnp.array([0.0, 2.0])
        np.testing.assert_array_equal(nn.rrelu(x), x)

    @pytest.mark.parametrize("dtype", ["int32", "float16", "bfloat16", "float32"])
    def test_dtype(self, dtype: str) -> None:
        x = jnp.array([-2, 3]).astype(dtype)
        assert nn.rrelu(x).dtype == brainstate.nn.rrelu(x).dtype

    def test_bounds(self) -> None:
        y = nn.rrelu(-jnp.ones(100), 0.5, 0.75)
        assert -0.75 <= float(y.min()) <= float(y.max()) <= -0.5


class TestOneHot:
    @pytest.mark.parametrize(
        "options",
        [
            {"dtype": np.float32},
            {"dtype": np.float32, "axis": 0},
            {"dtype": np.int8},
            {"dtype": bool},
        ],
    )
    def test_against_published(self, options: dict[str, Any]) -> None:
        indices = jnp.array([[0, 2, -1], [1, 4, 3]])
        agree(nn.one_hot(indices, 4, **options), brainstate.nn.one_hot(indices, 4, **options))

    def test_default_dtype_is_the_widest_without_a_warning(self) -> None:
        # The published function warns that there is no float64, which is its own default.
        assert nn.one_hot(jnp.array([1]), 2).dtype == np.float32
        with jax.enable_x64(True):
            assert nn.one_hot(jnp.array([1]), 2).dtype == np.float64
