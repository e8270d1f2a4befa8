"""Unpooling as the inverse of pooling, position by position, and what it refuses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn
from interop_core.testing import quick_compilation


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def numbers(shape: tuple[int, ...], lowest: int = 1) -> np.ndarray:
    """Every number once, in random order."""
    draw = np.random.default_rng(math.prod(shape))
    return draw.permutation(math.prod(shape)).reshape(shape).astype(np.float32) + lowest


def placed(length: int, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Entries, each with a position of its own in an output of that length."""
    positions = np.random.default_rng(0).permutation(length)[: math.prod(shape)]
    return jnp.asarray(numbers(shape)), jnp.asarray(positions.reshape(shape))


def round_trip(x: np.ndarray, pool: Any, unpool: Any, output_size: Any = None) -> Any:
    """Pool and unpool, compiled as one."""

    def both(x: Any) -> Any:
        largest, positions = pool(x)
        return unpool(largest, positions, output_size), largest

    return tuple(map(np.asarray, jax.jit(both)(x)))


def maxima(x: np.ndarray, kernel: Any, stride: Any, pads: Any, axes: tuple[int, ...]) -> Any:
    """What must come back: the entries that are the largest of some window, zeros elsewhere.

    Written for its meaning: over all windows, the entries are told apart by their value alone.
    """
    around = [(0, 0)] * x.ndim
    for axis, pair in zip(axes, pads, strict=True):
        around[axis] = pair
    cropped = tuple(
        slice(max(-low, 0), n - max(-high, 0))
        for n, (low, high) in zip(x.shape, around, strict=True)
    )
    padded = np.pad(x[cropped], np.maximum(around, 0), constant_values=-np.inf)
    steps = [
        range(0, padded.shape[axis] - size + 1, step)
        for axis, size, step in zip(axes, kernel, stride, strict=True)
    ]
    kept: set[float] = set()
    for corner in itertools.product(*steps):
        window: list[Any] = [slice(None)] * x.ndim
        for axis, start, size in zip(axes, corner, kernel, strict=True):
            window[axis] = slice(start, start + size)
        kept.update(padded[tuple(window)].max(axes).ravel().tolist())
    return np.where(np.isin(x, list(kept)), x, 0)


class TestRoundTrip:
    @pytest.mark.parametrize("lowest", [1, -1000], ids=["positive", "negative"])
    @pytest.mark.parametrize("padding", [0, 1, (1, 0), (2, 3), -1])
    @pytest.mark.parametrize(
        "kernel, stride", [(2, None), (3, 2), (2, 3), (3, 1), ((2, 3), (1, 2)), (1, 1)]
    )
    def test_every_stride_and_padding(
        self, kernel: Any, stride: Any, padding: Any, lowest: int
    ) -> None:
        x = numbers((2, 7, 8, 2), lowest)
        pool: Any = nn.MaxPool2d(kernel, stride, padding, return_indices=True)
        unpool = nn.MaxUnpool2d(kernel, stride, padding)
        expected = maxima(x, pool.kernel_size, pool.stride, pool.padding, (1, 2))
        y, largest = round_trip(x, pool, unpool, x.shape)
        np.testing.assert_array_equal(y, expected)
        # Without a size the output is the smallest that gives as many windows.
        smallest = unpool.output_size(largest.shape[1:])
        assert pool.output_size(smallest) == largest.shape[1:]
        assert all(a <= b for a, b in zip(smallest, x.shape[1:], strict=True))
        for axis in range(2):
            shorter = tuple(n - (i == axis) for i, n in enumerate(smallest))
            counts = (
                (n + sum(pair) - size) // step + 1
                for n, pair, size, step in zip(
                    shorter[:2], pool.padding, pool.kernel_size, pool.stride, strict=True
                )
            )
            assert tuple(counts) != largest.shape[1:3]

    @pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", ((0, 2), (1, 0))])
    def test_padding_that_differs_by_side(self, padding: Any) -> None:
        x = numbers((2, 5, 6, 2))
        pool = nn.MaxPool2d(3, 2, padding, return_indices=True)
        y, _ = round_trip(x, pool, nn.MaxUnpool2d(3, 2), x.shape)
        window = pool._window(x.shape)[2][1:3]
        np.testing.assert_array_equal(y, maxima(x, (3, 3), (2, 2), window, (1, 2)))

    @pytest.mark.parametrize("axis", [-1, -2, -3, 0, 1, 2, 3, None])
    def test_channel_axis(self, axis: int | None) -> None:
        x = numbers((4, 4, 6, 8))
        axes = tuple([i for i in range(4) if axis is None or i != axis % 4][-2:])
        pool = nn.MaxPool2d(2, channel_axis=axis, return_indices=True)
        y, _ = round_trip(x, pool, nn.MaxUnpool2d(2, channel_axis=axis))
        np.testing.assert_array_equal(y, maxima(x, (2, 2), (2, 2), ((0, 0), (0, 0)), axes))

    @pytest.mark.parametrize("n, lead", [(1, ()), (1, (2, 3)), (3, ()), (3, (2,)), (2, (2, 1, 2))])
    def test_axes_and_batches(self, n: int, lead: tuple[int, ...]) -> None:
        x = numbers((*lead, *(5, 4, 6)[:n], 2))
        axes = tuple(range(len(lead), len(lead) + n))
        pool = getattr(nn, f"MaxPool{n}d")(3, 1, 1, return_indices=True)
        y, _ = round_trip(x, pool, getattr(nn, f"MaxUnpool{n}d")(3, 1, 1))
        np.testing.assert_array_equal(y, maxima(x, (3,) * n, (1,) * n, ((1, 1),) * n, axes))

    def test_windows_that_leave_the_end_out(self) -> None:
        # The published layer puts the entries of all but the first example elsewhere.
        x = numbers((2, 9, 3))
        y, _ = round_trip(x, nn.MaxPool1d(2, return_indices=True), nn.MaxUnpool1d(2), output_size=9)
        np.testing.assert_array_equal(y, maxima(x, (2,), (2,), ((0, 0),), (1,)))
        assert not y[:, 8].any()

    def test_windows_of_padding_alone_put_nothing_back(self) -> None:
        x = numbers((3, 1))
        pool = nn.MaxPool1d(2, 1, 3, return_indices=True)
        y, largest = round_trip(x, pool, nn.MaxUnpool1d(2, 1, 3))
        assert np.isneginf(largest[[0, 1, -2, -1]]).all()
        np.testing.assert_array_equal(y, x)

    def test_minus_infinity_in_the_data_comes_back(self) -> None:
        x = np.array([[1.0], [2.0], [-np.inf], [-np.inf]], np.float32)
        y, _ = round_trip(x, nn.MaxPool1d(2, return_indices=True), nn.MaxUnpool1d(2))
        assert y[:, 0].tolist() == [0, 2, -np.inf, 0]

    @pytest.mark.parametrize("stride, padding", [(None, 0), (1, 0), (2, 1)])
    def test_gradient_reaches_each_maximum_once(self, stride: Any, padding: Any) -> None:
        x = numbers((2, 6, 6, 2))
        pool = nn.MaxPool2d(3, stride, padding, return_indices=True)
        unpool = nn.MaxUnpool2d(3, stride, padding)
        weight = np.cos(np.arange(x.size)).reshape(x.shape).astype(np.float32)

        def loss(x: Any) -> Any:
            return (unpool(*pool(x), x.shape) * weight).sum()

        kept = maxima(x, pool.kernel_size, pool.stride, pool.padding, (1, 2)) != 0
        np.testing.assert_array_equal(jax.jit(jax.grad(loss))(x), np.where(kept, weight, 0))


class TestCall:
    @pytest.mark.parametrize("asked", [None, (8, 10), [8, 10], (3, 8, 10, 2)])
    def test_smallest_output_as_published(self, asked: Any) -> None:
        values, places = placed(480, (3, 4, 5, 2))
        ours, published = (
            library.MaxUnpool2d(2)(values, places, asked) for library in (nn, brainstate.nn)
        )
        np.testing.assert_array_equal(ours, published)

    @pytest.mark.parametrize(
        "asked, shape",
        [
            (9, (3, 9, 9, 2)),
            ((9, 11), (3, 9, 11, 2)),
            ([4, 20], (3, 4, 20, 2)),
            ((1, 30, 30, 1), (1, 30, 30, 1)),
            ((0, 0), (3, 0, 0, 2)),
        ],
    )
    def test_positions_count_in_the_output_asked_for(self, asked: Any, shape: Any) -> None:
        # The published layer counts them in the smallest output, also where it gives a larger one:
        # there entries of a pooled input of that larger shape do not come back to their places.
        values, places = placed(480, (3, 4, 5, 2))
        y = nn.MaxUnpool2d(2)(values, places, asked)
        expected = np.zeros(max(480, math.prod(shape)))
        expected[np.asarray(places)] = values
        np.testing.assert_array_equal(y, expected[: math.prod(shape)].reshape(shape))
        published = brainstate.nn.MaxUnpool2d(2)(values, places, asked)
        assert published.shape == y.shape

    def test_positions_beyond_the_output_are_left_out(self) -> None:
        values, places = jnp.arange(1.0, 5)[:, None], jnp.array([[0], [8], [20], [3]])
        y = nn.MaxUnpool1d(2)(values, places)
        assert y[:, 0].tolist() == [1, 0, 0, 4, 0, 0, 0, 0]
        assert nn.MaxUnpool1d(2)(jnp.ones((1, 1)), jnp.array([[-2]]))[:, 0].tolist() == [1, 0]

    @pytest.mark.parametrize("dtype", ["bool", "int8", "bfloat16"])
    @pytest.mark.parametrize("places", ["int8", "uint8", "int32"])
    def test_dtypes(self, dtype: str, places: str) -> None:
        y = nn.MaxUnpool1d(2)(jnp.ones((2, 1), dtype), jnp.array([[1], [2]], places))
        assert y.dtype == dtype
        assert y[:, 0].astype(int).tolist() == [0, 1, 1, 0]

    def test_sizes(self) -> None:
        layer = nn.MaxUnpool2d(3, (1, 2), (0, 1), in_size=(4, 5, 3))
        assert layer.out_size == (6, 9, 3)  # None in the published layer
        published = brainstate.nn.MaxUnpool2d(3, (1, 2), (0, 1))
        values = jnp.ones((4, 5, 3))
        assert published(values, values.astype(int)).shape == layer.out_size
        assert (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 2), (0, 1))
        assert nn.MaxUnpool2d(2).out_size is None
        assert nn.MaxUnpool2d(2).stride == (2, 2)


class TestErrors:
    @pytest.mark.parametrize(
        "options, error, message",
        [
            ({"kernel_size": (2, 2, 2)}, ValueError, "kernel_size must have 1 or 2 entries"),
            ({"stride": 0}, ValueError, "stride must be positive"),
            ({"padding": (1,)}, ValueError, "padding must have 2 entries"),
            ({"padding": "SAME"}, TypeError, "padding must be an integer or a sequence of"),
            ({"padding": ((1, 2), (1, 2))}, TypeError, "padding must be an integer or"),
            ({"padding": None}, TypeError, "padding must be an integer or a sequence of"),
            ({"in_size": (4, 4)}, ValueError, "needs 2 spatial axes and a channel axis"),
            ({"in_size": (1, 1, 3), "padding": 2}, ValueError, "cannot be. Pad less"),
        ],
    )
    def test_wrong_arguments(self, options: Any, error: Any, message: str) -> None:
        with pytest.raises(error, match=message):
            nn.MaxUnpool2d(**{"kernel_size": 2, **options})

    @pytest.mark.parametrize(
        "indices, output_size, error, message",
        [
            (np.zeros((4, 4, 1)), None, TypeError, "indices must be integers, got an array of"),
            (np.zeros((4, 1, 1), int), None, ValueError, "needs one index per entry, got"),
            (np.zeros((4, 4, 1), int), (8,), ValueError, "output_size must have 2 entries"),
            (np.zeros((4, 4, 1), int), (1, 8, 8, 1), ValueError, "must have 2 entries"),
            (np.zeros((4, 4, 1), int), (8, -8), ValueError, "output_size must not be negative"),
            (np.zeros((4, 4, 1), int), 8.0, TypeError, "output_size must be an integer or"),
            (np.zeros((4, 4, 1), int), (8.0, 8), TypeError, "output_size must be an integer"),
        ],
    )
    def test_wrong_call(self, indices: Any, output_size: Any, error: Any, message: str) -> None:
        with pytest.raises(error, match=message):
            nn.MaxUnpool2d(2)(jnp.ones((4, 4, 1)), jnp.asarray(indices), output_size)

    def test_too_few_axes(self) -> None:
        with pytest.raises(ValueError, match="needs 2 spatial axes and a channel axis, got shape"):
            nn.MaxUnpool2d(2)(jnp.ones((4, 4)), jnp.zeros((4, 4), int))
