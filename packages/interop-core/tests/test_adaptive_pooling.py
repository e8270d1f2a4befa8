"""Adaptive pooling against plain loops over its blocks, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, nn
from interop_core.testing import quick_compilation


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


KINDS: dict[str, Callable[..., Any]] = {"Avg": np.mean, "Max": np.max}


def sample(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def by_blocks(x: np.ndarray, targets: dict[int, int], reduction: Callable[..., Any]) -> Any:
    """Cut every axis with `numpy.array_split`, and reduce each block over all axes at once."""
    if not targets:
        return x
    (axis, count), *others = targets.items()
    blocks = np.array_split(x, count, axis)
    done = [by_blocks(block, dict(others), reduction) for block in blocks]
    return np.concatenate([reduction(block, axis, keepdims=True) for block in done], axis)


def overlapping(x: np.ndarray, count: int, reduction: Callable[..., Any]) -> Any:
    """The other definition in use: windows along axis 0 that share entries."""
    n = len(x)
    return np.stack(
        [reduction(x[i * n // count : -(-(i + 1) * n // count)], 0) for i in range(count)]
    )


@pytest.mark.parametrize("kind", KINDS)
class TestBlocks:
    @pytest.mark.parametrize("length", [1, 2, 7])
    def test_every_number_of_blocks(self, kind: str, length: int) -> None:
        x = sample(length, 2)
        for target in range(1, length + 1):
            y = jax.jit(getattr(nn, f"Adaptive{kind}Pool1d")(target).update)(x)
            expected = by_blocks(x, {0: target}, KINDS[kind])
            assert y.shape == (target, 2)
            np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
            published = getattr(brainstate.nn, f"Adaptive{kind}Pool1d")(target)
            published = jax.jit(published.update)(x)
            np.testing.assert_allclose(y, published, rtol=1e-6, atol=1e-6)

    def test_blocks_do_not_overlap(self, kind: str) -> None:
        # 7 entries in 3 blocks: 0-2, 3-4, 5-6. The published layers do the same; windows that
        # overlap (0-2, 2-4, 4-6) are what other libraries mean by the name.
        x = np.array([0, 0, 9, 1, 1, 2, 2], np.float32)[:, None]
        y = getattr(nn, f"Adaptive{kind}Pool1d")(3)(x)
        assert y[:, 0].tolist() == [3 if kind == "Avg" else 9, 1, 2]
        assert not np.allclose(y, overlapping(x, 3, KINDS[kind]))

    @pytest.mark.parametrize("length, target", [(12, 4), (6, 6), (5, 1)])
    def test_both_definitions_agree_where_the_length_divides(
        self, kind: str, length: int, target: int
    ) -> None:
        x = sample(length, 3)
        y = getattr(nn, f"Adaptive{kind}Pool1d")(target)(x)
        np.testing.assert_allclose(y, overlapping(x, target, KINDS[kind]), rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("channel_axis", [-1, -2, -3, 0, 1, 2, 3, None])
    @pytest.mark.parametrize("target", [(2, 3), (None, 2), (3, None), (None, None)])
    def test_two_axes(self, kind: str, target: Any, channel_axis: int | None) -> None:
        x = sample(4, 5, 6, 4)
        axes = [axis for axis in range(4) if channel_axis is None or axis != channel_axis % 4][-2:]
        plan = {axis: n for axis, n in zip(axes, target, strict=True) if n is not None}
        layer = getattr(nn, f"Adaptive{kind}Pool2d")(target, channel_axis)
        y = jax.jit(layer.update)(x)
        np.testing.assert_allclose(y, by_blocks(x, plan, KINDS[kind]), rtol=1e-5, atol=1e-6)
        assert (4, *layer.output_size((5, 6, 4))) == y.shape or channel_axis == 0

    def test_three_axes_and_several_batch_axes(self, kind: str) -> None:
        x = sample(2, 1, 3, 4, 5, 2)
        layer = getattr(nn, f"Adaptive{kind}Pool3d")([2, 4, 3], in_size=(3, 4, 5, 2))
        y = jax.jit(layer.update)(x)
        expected = by_blocks(x, {2: 2, 4: 3}, KINDS[kind])
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
        assert y.shape == (2, 1, *layer.out_size)
        assert layer.target_size == (2, 4, 3)

    def test_nan_stays_in_its_block(self, kind: str) -> None:
        x = jnp.arange(6.0)[:, None].at[1].set(jnp.nan)
        y = getattr(nn, f"Adaptive{kind}Pool1d")(3)(x)
        assert np.isnan(y[:, 0]).tolist() == [True, False, False]

    def test_no_channels_and_no_batch(self, kind: str) -> None:
        layer = getattr(nn, f"Adaptive{kind}Pool1d")(2)
        assert layer(jnp.ones((5, 0))).shape == (2, 0)
        assert layer(jnp.ones((0, 5, 3))).shape == (0, 2, 3)

    def test_number_of_operations_does_not_grow(self, kind: str) -> None:
        layer = getattr(nn, f"Adaptive{kind}Pool1d")
        few, many = (
            len(jax.make_jaxpr(layer(n).update)(jnp.ones((1000, 2))).eqns) for n in (7, 701)
        )
        assert few == many


class TestTypes:
    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "bfloat16", "float16"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_dtype_is_the_published_one(self, kind: str, dtype: str) -> None:
        x = jnp.arange(7).astype(dtype)[:, None]
        name = f"Adaptive{kind}Pool1d"
        ours, published = (getattr(library, name)(3)(x) for library in (nn, brainstate.nn))
        assert ours.dtype == published.dtype
        np.testing.assert_array_equal(ours, published)

    def test_mean_of_integers_does_not_wrap(self) -> None:
        assert nn.AdaptiveAvgPool1d(1)(jnp.full((4, 1), 200, jnp.uint8)).tolist() == [[200.0]]

    def test_largest_of_negative_integers(self) -> None:
        assert nn.AdaptiveMaxPool1d(2)(-jnp.arange(1, 6)[:, None]).tolist() == [[-1], [-4]]

    def test_integers_in_double_precision(self) -> None:
        with environ.context(precision=64):
            for dtype, expected in (("int64", "float64"), ("int32", "float32")):
                assert nn.AdaptiveAvgPool1d(1)(jnp.ones((4, 1), dtype)).dtype == expected

    def test_half_precision_is_rounded_once(self) -> None:
        x = sample(33, 35, 1).astype(jnp.bfloat16)
        y = nn.AdaptiveAvgPool2d(1)(x)
        exact = x.astype(np.float64).mean().astype(np.float32)
        assert y.item() == jnp.bfloat16(exact)

    def test_equal_entries_share_the_gradient(self) -> None:
        grad = jax.grad(lambda x: nn.AdaptiveMaxPool1d(2)(x).sum())(jnp.zeros((4, 1)))
        assert grad[:, 0].tolist() == [0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("kind", KINDS)
class TestErrors:
    @pytest.mark.parametrize(
        "target, error, message",
        [
            (0, ValueError, "target_size must be positive, got 0"),
            ((2, -1), ValueError, "target_size must be positive"),
            ((2,), ValueError, "for 2 spatial axes must be an integer or a sequence of 2"),
            ((1, 2, 3), ValueError, "for 2 spatial axes"),
            (None, ValueError, "for 2 spatial axes"),
            (2.0, TypeError, "must be an integer, or a sequence of integers and None"),
            ((1, 2.0), TypeError, "must be an integer, or a sequence of integers and None"),
            ("22", TypeError, "must be an integer, or a sequence of integers and None"),
        ],
    )
    def test_wrong_targets(self, kind: str, target: Any, error: Any, message: str) -> None:
        with pytest.raises(error, match=message):
            getattr(nn, f"Adaptive{kind}Pool2d")(target)

    def test_more_outputs_than_entries(self, kind: str) -> None:
        layer = getattr(nn, f"Adaptive{kind}Pool1d")(5)
        with pytest.raises(ValueError, match=r"shape \(4, 2\): axis 0 must have at least 5"):
            layer(jnp.ones((4, 2)))
        with pytest.raises(ValueError, match="at least 5 entries"):
            layer.output_size((4, 2))

    @pytest.mark.parametrize(
        "size, options, message",
        [
            ((4, 4), {}, "needs 2 spatial axes and a channel axis, got shape"),
            ((4,), {"channel_axis": None}, "needs 2 spatial axes, got shape"),
            ((4, 4, 3), {"channel_axis": 4}, "channels on axis 4, which an input of shape"),
        ],
    )
    def test_missing_axes(self, kind: str, size: Any, options: Any, message: str) -> None:
        layer = getattr(nn, f"Adaptive{kind}Pool2d")
        with pytest.raises(ValueError, match=message):
            layer(2, in_size=size, **options)
        with pytest.raises(ValueError, match=message):
            layer(2, **options)(jnp.ones(size))
