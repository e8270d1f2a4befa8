"""Padding against `numpy.pad`, the forms of its argument, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import graph, nn
from interop_core.testing import quick_compilation

MODES: dict[str, Any] = {
    "CircularPad": "wrap",
    "ConstantPad": "constant",
    "ReflectionPad": "reflect",
    "ReplicationPad": "edge",
    "ZeroPad": "constant",
}
COPYING = ("CircularPad", "ReflectionPad", "ReplicationPad")

kinds = pytest.mark.parametrize("kind", MODES)
copying = pytest.mark.parametrize("kind", COPYING)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def sample(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def padded(kind: str, x: np.ndarray, padding: Any) -> Any:
    """What our layer gives, compiled as one."""
    layer = getattr(nn, f"{kind}{x.ndim - 1}d")(padding)
    return np.asarray(jax.jit(layer.update)(x))


@kinds
class TestNumbers:
    @pytest.mark.parametrize("length", [1, 2, 5])
    @pytest.mark.parametrize("sides", [(0, 0), (1, 0), (0, 2), (2, 1), (4, 5), (5, 4), (11, 13)])
    def test_one_axis(self, kind: str, length: int, sides: Any) -> None:
        x = sample(length, 2)
        # The published layer is asked as well: old versions of NumPy wrap wrongly.
        published = getattr(brainstate.nn, f"{kind}1d")(sides)(jnp.asarray(x))
        y = padded(kind, x, sides)
        np.testing.assert_array_equal(y, published)
        np.testing.assert_array_equal(y, np.pad(x, (sides, (0, 0)), mode=MODES[kind]))

    def test_corners(self, kind: str) -> None:
        x = sample(3, 4, 2)
        expected = np.pad(x, ((1, 2), (3, 0), (0, 0)), mode=MODES[kind])
        np.testing.assert_array_equal(padded(kind, x, (1, 2, 3, 0)), expected)

    def test_three_axes(self, kind: str) -> None:
        x = sample(2, 3, 4, 1)
        expected = np.pad(x, ((1, 0), (0, 2), (3, 1), (0, 0)), mode=MODES[kind])
        np.testing.assert_array_equal(padded(kind, x, (1, 0, 0, 2, 3, 1)), expected)

    def test_the_batch_is_left_alone(self, kind: str) -> None:
        layer = getattr(nn, f"{kind}2d")((1, 2))
        x = sample(3, 4, 5, 2)
        y = jax.jit(layer.update)(x)
        for one, expected in zip(x, y, strict=True):
            np.testing.assert_array_equal(padded(kind, one, (1, 2)), expected)

    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "bfloat16", "complex64"])
    def test_dtype_stays(self, kind: str, dtype: str) -> None:
        x = jnp.asarray([[1], [0], [2]]).astype(dtype)
        y = getattr(nn, f"{kind}1d")(2)(x)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, np.pad(x, ((2, 2), (0, 0)), mode=MODES[kind]))

    @pytest.mark.parametrize("sides", [(2, 1), (7, 9)])
    def test_gradient_counts_the_copies(self, kind: str, sides: Any) -> None:
        layer = getattr(nn, f"{kind}1d")(sides)
        grad = jax.jit(jax.grad(lambda x: layer(x).sum()))(jnp.zeros((4, 1)))
        expected = np.pad(np.eye(4), (sides, (0, 0)), mode=MODES[kind]).sum(0)
        np.testing.assert_array_equal(grad[:, 0], expected)


class TestForms:
    """The forms of the argument; the first spatial axis always comes first."""

    @pytest.mark.parametrize(
        "n, given, pairs",
        [
            (1, 2, ((2, 2),)),
            (1, (2,), ((2, 2),)),
            (1, (1, 2), ((1, 2),)),
            (1, [1, 2], ((1, 2),)),
            (1, np.array([1, 2]), ((1, 2),)),
            (2, 1, ((1, 1), (1, 1))),
            (2, np.int64(1), ((1, 1), (1, 1))),
            (2, (1, 2), ((1, 1), (2, 2))),
            (2, (1, 2, 3, 4), ((1, 2), (3, 4))),
            (3, (1, 2, 3), ((1, 1), (2, 2), (3, 3))),
            (3, (1, 2, 3, 4, 5, 6), ((1, 2), (3, 4), (5, 6))),
        ],
    )
    @kinds
    def test_are_the_published_ones(self, kind: str, n: int, given: Any, pairs: Any) -> None:
        ours, published = (getattr(x, f"{kind}{n}d")(given) for x in (nn, brainstate.nn))
        assert ours.padding == pairs == tuple(published.padding)

    def test_pairs(self) -> None:
        # The published layers make a different, unusable argument of them.
        assert nn.ZeroPad1d(((1, 2),)).padding == ((1, 2),)
        assert nn.ZeroPad2d([[1, 2], [3, 4]]).padding == ((1, 2), (3, 4))
        layer = nn.ConstantPad2d((1, 2, 3, 4), 0.5, (5, 6, 1), "frame")
        copy = nn.ConstantPad2d(**graph.configuration(layer))
        assert graph.configuration(copy) == graph.configuration(layer)

    @pytest.mark.parametrize("size", [(5, 6, 2), (3, 5, 6, 2)])
    def test_size_with_and_without_a_batch(self, size: Any) -> None:
        layer, published = (x.ZeroPad2d((1, 2, 3, 4), in_size=size) for x in (nn, brainstate.nn))
        assert layer.out_size == published.out_size == layer(jnp.ones(size)).shape


class TestConstant:
    @pytest.mark.parametrize("value", [2, 2.5, True, np.float32(1.5), jnp.array(0.5)])
    def test_is_kept_as_a_number(self, value: Any) -> None:
        layer = nn.ConstantPad1d((1, 0), value)
        assert not hasattr(layer.value, "dtype")
        assert layer(jnp.zeros((1, 1))).tolist() == [[float(value)], [0.0]]

    @pytest.mark.parametrize(
        "dtype, value, expected",
        [("int32", 2.5, 2), ("int32", -2.5, -2), ("bool", 2, True), ("float16", 2.5, 2.5)],
    )
    def test_takes_the_dtype_of_the_data(self, dtype: str, value: Any, expected: Any) -> None:
        for library in (nn, brainstate.nn):
            y = library.ConstantPad1d((1, 0), value)(jnp.zeros((1, 1), dtype))
            assert (y.dtype, y[0, 0].item()) == (dtype, expected)

    @pytest.mark.parametrize("value", [None, "0", (1, 2), np.ones(2), np.array("a")])
    def test_no_number(self, value: Any) -> None:
        with pytest.raises(TypeError, match="value must be a number, got"):
            nn.ConstantPad1d(1, value)

    def test_complex(self) -> None:
        layer = nn.ConstantPad1d((1, 0), 2j)
        assert layer(jnp.ones((1, 1), "complex64")).tolist() == [[2j], [1]]
        # The published layer drops the imaginary part with a warning.
        with pytest.raises(TypeError, match=r"ConstantPad1d\(value=2j\) needs complex data"):
            layer(jnp.ones((1, 1)))


class TestEmpty:
    @copying
    def test_nothing_to_copy(self, kind: str) -> None:
        layer = getattr(nn, f"{kind}1d")((0, 1))
        with pytest.raises(ValueError, match="repeats entries of its input"):
            layer(jnp.ones((0, 2)))
        with pytest.raises(ValueError, match="repeats entries of its input"):
            layer.output_size((0, 2))

    @kinds
    def test_nothing_to_pad(self, kind: str) -> None:
        assert getattr(nn, f"{kind}1d")(0)(jnp.ones((0, 2))).shape == (0, 2)
        assert getattr(nn, f"{kind}1d")(1)(jnp.ones((0, 3, 2))).shape == (0, 5, 2)
        assert getattr(nn, f"{kind}1d")(9)(jnp.ones((3, 0))).shape == (21, 0)

    @pytest.mark.parametrize("kind", ["ConstantPad", "ZeroPad"])
    def test_constants_around_nothing(self, kind: str) -> None:
        assert getattr(nn, f"{kind}1d")((1, 2))(jnp.ones((0, 2))).tolist() == [[0.0, 0.0]] * 3


@kinds
class TestErrors:
    @pytest.mark.parametrize(
        "n, padding, error, message",
        [
            (1, -1, ValueError, "padding must not be negative"),
            (2, (1, 2, 3, -4), ValueError, "padding must not be negative"),
            (1, (1, 2, 3), ValueError, "1 spatial axis must have 1 or 2 entries"),
            (1, (), ValueError, "1 spatial axis must have 1 or 2 entries"),
            (2, (1,), ValueError, "2 spatial axes must have 2 or 4 entries"),
            (2, (1, 2, 3), ValueError, "2 spatial axes must have 2 or 4 entries"),
            (2, ((1, 2, 3), (1, 2)), ValueError, "2 spatial axes must have 2 or 4 entries"),
            (3, (1, 2), ValueError, "3 spatial axes must have 3 or 6 entries"),
            (2, ((1, 2),), TypeError, "padding must be an integer, or a sequence"),
            (1, 1.0, TypeError, "padding must be an integer, or a sequence"),
            (1, (1.0,), TypeError, "padding must be an integer, or a sequence"),
            (1, None, TypeError, "padding must be an integer, or a sequence"),
            (2, "SAME", TypeError, "padding must be an integer, or a sequence"),
        ],
    )
    def test_wrong_padding(self, kind: str, n: int, padding: Any, error: Any, message: str) -> None:
        with pytest.raises(error, match=message):
            getattr(nn, f"{kind}{n}d")(padding)

    @pytest.mark.parametrize("shape", [(4,), (4, 4), (2, 2, 4, 4, 2)])
    def test_wrong_input(self, kind: str, shape: tuple[int, ...]) -> None:
        # As the published layers: more axes than batch, space and channels are a mistake.
        message = "takes 2 spatial axes, channels behind and at most one batch axis in front"
        with pytest.raises(ValueError, match=message):
            getattr(nn, f"{kind}2d")(1)(jnp.ones(shape))
        with pytest.raises(ValueError, match=message):
            getattr(nn, f"{kind}2d")(1, in_size=shape)
