"""Flatten and Unflatten against the published ones, MoveAxis against `jax.numpy.moveaxis`."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
import saiunit
from jax import numpy as jnp

from interop_core import graph, nn

SHAPES = [(2, 3, 4, 5), (2, 3), (2,), ()]
AXES = [(0, -1), (1, -1), (1, 2), (0, 1), (-2, -1), (-3, -2), (0, 0), (1, 1), (-1, -1), (-4, -1)]


def numbers(shape: tuple[int, ...]) -> jax.Array:
    return jnp.asarray(np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape))


def has_range(axes: tuple[int, int], rank: int) -> bool:
    """Whether a shape of that rank has such a range of axes; a scalar counts as a vector."""
    rank = max(rank, 1)
    start, end = (axis + rank if axis < 0 else axis for axis in axes)
    return 0 <= start <= end < rank


class TestFlatten:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("axes", AXES)
    def test_without_a_size(self, axes: tuple[int, int], shape: tuple[int, ...]) -> None:
        layer = nn.Flatten(*axes)
        x = numbers(shape)
        if not has_range(axes, len(shape)):
            with pytest.raises(ValueError, match="no such range of axes"):
                layer(x)
            return
        y = layer(x)
        np.testing.assert_array_equal(y, brainstate.nn.Flatten(*axes)(x))
        assert layer.output_size(shape) == y.shape
        assert (layer.in_size, layer.out_size) == (None, None)

    @pytest.mark.parametrize("lead", [(), (2,), (2, 1, 3)])
    @pytest.mark.parametrize("size", [(3, 4), (3, 4, 5), (0, 4), (6,)])
    @pytest.mark.parametrize("axes", [(0, -1), (1, -1), (-2, -1), (0, -2), (0, 0)])
    def test_with_a_size(
        self, axes: tuple[int, int], size: tuple[int, ...], lead: tuple[int, ...]
    ) -> None:
        if not has_range(axes, len(size)):
            with pytest.raises(ValueError, match="no such range of axes"):
                nn.Flatten(*axes, in_size=size)
            return
        layer, published = (f(*axes, in_size=size) for f in (nn.Flatten, brainstate.nn.Flatten))
        assert (layer.in_size, layer.out_size) == (published.in_size, published.out_size)
        x = numbers(lead + size)
        y = layer(x)
        np.testing.assert_array_equal(y, published(x))
        assert y.shape == layer.output_size(lead + size) == lead + layer.out_size

    @pytest.mark.parametrize("dtype", ["bfloat16", "int32", "bool"])
    def test_dtype_stays(self, dtype: str) -> None:
        assert nn.Flatten()(jnp.zeros((2, 3), dtype)).dtype == dtype

    def test_transformations(self) -> None:
        layer = nn.Flatten(in_size=(2, 3))
        x = numbers((5, 2, 3))
        np.testing.assert_array_equal(jax.vmap(layer)(x), layer(x))
        np.testing.assert_array_equal(jax.jit(layer)(x), layer(x))
        grad = jax.grad(lambda x: (layer(x) ** 2).sum())(x)
        np.testing.assert_array_equal(grad, 2 * x)

    @pytest.mark.parametrize("shape", [(3, 4, 5), (2, 6), (4,), (4, 3)])
    def test_wrong_input(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"Flatten\(in_size=\(3, 4\)\) got an input"):
            nn.Flatten(in_size=(3, 4))(numbers(shape))

    def test_no_fractions(self) -> None:
        axis: Any = 1.0
        with pytest.raises(TypeError, match="integer"):
            nn.Flatten(axis)

    def test_arguments_read_back(self) -> None:
        config = {"start_axis": 1, "end_axis": -2, "in_size": (3, 4, 5)}
        assert graph.configuration(nn.Flatten(**config)) == config  # type: ignore[arg-type]
        assert graph.configuration(nn.Flatten())["in_size"] is None


class TestUnflatten:
    @pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
    @pytest.mark.parametrize("sizes", [(2, 3), (3, 2), [6], (1, 6, 1), (-1, 2), (2, -1, 3), (-1,)])
    def test_without_a_size(self, axis: int, sizes: Any) -> None:
        x = numbers((6, 6, 6))
        layer = nn.Unflatten(axis, sizes)
        y = layer(x)
        np.testing.assert_array_equal(y, brainstate.nn.Unflatten(axis, sizes)(x))
        assert layer.output_size(x.shape) == y.shape
        assert (layer.in_size, layer.out_size) == (None, None)
        joined = nn.Flatten(axis % 3, axis % 3 + len(sizes) - 1)
        np.testing.assert_array_equal(joined(y), x)

    @pytest.mark.parametrize("lead", [(), (2,), (2, 1, 3), (6,)])
    @pytest.mark.parametrize("axis", [0, 1, -1, -2])
    def test_with_a_size(self, axis: int, lead: tuple[int, ...]) -> None:
        layer, published = (
            library.Unflatten(axis, (2, 3), in_size=(6, 6)) for library in (nn, brainstate.nn)
        )
        assert (layer.in_size, layer.out_size) == (published.in_size, published.out_size)
        x = numbers((*lead, 6, 6))
        y = layer(x)
        assert y.shape == layer.output_size(x.shape) == lead + layer.out_size
        # Counted from the front, the published axis counts within the example for the size, and
        # within the whole input in the call.
        np.testing.assert_array_equal(y, brainstate.nn.Unflatten(axis % 2 - 2, (2, 3))(x))

    @pytest.mark.parametrize("sizes", [(0, 3), (0,), (0, 0), (3, -1)])
    def test_no_entries(self, sizes: Any) -> None:
        shape = nn.Unflatten(0, sizes)(jnp.ones((0, 2))).shape
        assert shape == (*(0 if size == -1 else size for size in sizes), 2)

    def test_an_axis_of_one_entry_goes(self) -> None:
        assert nn.Unflatten(1, ())(jnp.ones((2, 1, 3))).shape == (2, 3)

    @pytest.mark.parametrize(
        "axis, sizes, message",
        [
            (2, (2, 3), "there is no such axis"),
            (-3, (2, 3), "there is no such axis"),
            (0, (2, 4), "6 entries cannot be split in that way"),
            (0, (4, -1), "6 entries cannot be split in that way"),
            (0, (0, -1), "6 entries cannot be split in that way"),
            (0, (), "6 entries cannot be split in that way"),
        ],
    )
    def test_wrong_shape(self, axis: int, sizes: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            nn.Unflatten(axis, sizes, in_size=(6, 4))
        with pytest.raises(ValueError, match=message):
            nn.Unflatten(axis, sizes)(jnp.ones((6, 4)))

    def test_what_is_left_of_nothing(self) -> None:
        with pytest.raises(ValueError, match="0 entries cannot be split"):
            nn.Unflatten(0, (0, -1))(jnp.ones((0, 2)))

    @pytest.mark.parametrize("shape", [(6, 5), (6,), (6, 4, 2)])
    def test_another_input_than_announced(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"Unflatten\(in_size=\(6, 4\)\) got an input of"):
            nn.Unflatten(0, (2, 3), in_size=(6, 4))(jnp.ones(shape))

    @pytest.mark.parametrize(
        "sizes, error, message",
        [
            (6, TypeError, "sizes must be a tuple or list of integers, got 6"),
            ((2.0, 3), TypeError, "sizes must be a tuple or list of integers"),
            ("23", TypeError, "sizes must be a tuple or list of integers"),
            (None, TypeError, "sizes must be a tuple or list of integers"),
            ((-1, -1), ValueError, "with -1 at most once"),
            ((-2, -3), ValueError, "sizes must be lengths"),
        ],
    )
    def test_wrong_sizes(self, sizes: Any, error: Any, message: str) -> None:
        with pytest.raises(error, match=message):
            nn.Unflatten(0, sizes)

    def test_no_fractions(self) -> None:
        axis: Any = 1.0
        with pytest.raises(TypeError, match="integer"):
            nn.Unflatten(axis, (2, 3))

    def test_arguments_read_back(self) -> None:
        config = {"axis": -2, "sizes": (2, -1), "name": "split", "in_size": (6, 4)}
        assert graph.configuration(nn.Unflatten(**config)) == config  # type: ignore[arg-type]


def test_units_stay() -> None:
    voltage = numbers((6, 4)) * saiunit.mV
    for layer, shape in [
        (nn.Flatten(), (24,)),
        (nn.Unflatten(0, (2, 3)), (2, 3, 4)),
        (nn.MoveAxis(-1, -2), (4, 6)),
    ]:
        y = layer(voltage)
        assert y.shape == shape
        assert y.unit == saiunit.mV


class TestMoveAxis:
    @pytest.mark.parametrize(
        "source, destination",
        [(-1, -3), (-3, -1), (-1, -1), ((-1,), (-2,)), ((-1, -2), (-3, -1)), ((-3, -1), (-1, -2))],
    )
    @pytest.mark.parametrize("lead", [(), (2,), (2, 1)])
    def test_moves(self, source: Any, destination: Any, lead: tuple[int, ...]) -> None:
        layer = nn.MoveAxis(source, destination, in_size=(3, 4, 5))
        x = numbers((*lead, 3, 4, 5))
        y = layer(x)
        np.testing.assert_array_equal(y, jnp.moveaxis(x, source, destination))
        assert y.shape == layer.output_size(x.shape) == lead + layer.out_size
        np.testing.assert_array_equal(nn.MoveAxis(destination, source)(y), x)
        assert graph.configuration(layer) == {
            "source": source,
            "destination": destination,
            "in_size": (3, 4, 5),
            "name": None,
        }

    def test_transformations(self) -> None:
        layer = nn.MoveAxis(-1, -2)
        x = numbers((5, 2, 3))
        np.testing.assert_array_equal(jax.vmap(layer)(x), layer(x))
        np.testing.assert_array_equal(jax.jit(layer)(x), layer(x))
        np.testing.assert_array_equal(jax.grad(lambda x: (layer(x) ** 2).sum())(x), 2 * x)

    @pytest.mark.parametrize(
        "source, destination, message",
        [
            (0, -1, "source must be distinct negative integers"),
            (-1, 1, "destination must be distinct negative integers"),
            ((-1, -1), (-1, -2), "source must be distinct"),
            ((), (), "source must be distinct"),
            ((-1, -2), -1, "as many destinations as sources"),
        ],
    )
    def test_wrong_axes(self, source: Any, destination: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            nn.MoveAxis(source, destination)

    def test_too_few_axes(self) -> None:
        with pytest.raises(ValueError, match="needs at least 3 axes, got shape"):
            nn.MoveAxis(-1, -3)(jnp.zeros((2, 3)))
