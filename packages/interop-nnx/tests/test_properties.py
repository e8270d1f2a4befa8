"""Configurations and whole stacks drawn at random: each agrees on both sides, or is refused."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from interop_core import InteropError, environ, nn, random
from interop_nnx import from_nnx, to_nnx

Size = tuple[int, ...]

# Sums over up to a hundred float32 products, and reciprocal roots of their means.
CLOSE: dict[str, Any] = {"rtol": 5e-5, "atol": 5e-5}
drawn = partial(settings, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
few = st.integers(1, 3)


def numbers(size: Size, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(2, *size)), jnp.float32)


def evaluated(model: Any, x: Any) -> Any:
    with environ.context(fit=False):
        return model(x)


def shaken(model: Any) -> Any:
    """The model with random numbers in all its arrays: zeros and ones would hide a mix-up."""
    draw = np.random.default_rng(1)

    def shake(array: Any) -> Any:
        return jnp.asarray(draw.uniform(0.5, 1.5, array.shape), array.dtype)

    if isinstance(model, nnx.Module):
        nnx.update(model, jax.tree.map(shake, nnx.state(model, (nnx.Param, nnx.BatchStat))))
        return model
    return jax.tree.map(shake, model)


def agree_or_refuse(layer: Any, size: Size) -> None:
    """An NNX layer in the core, and back, on one random batch."""
    stack = shaken(nnx.Sequential(layer))
    stack.eval()
    x = numbers(size)
    try:
        expected = stack(x)
    except Exception:  # NNX itself has no meaning for it
        assume(False)
    assume(0 not in expected.shape)  # the core refuses windows that do not fit once
    try:
        model = from_nnx(stack, sample_input=size)
        back = to_nnx(model)
    except InteropError:
        return
    np.testing.assert_allclose(evaluated(model, x), expected, **CLOSE)
    np.testing.assert_allclose(back(x), expected, **CLOSE)


def per_axis(rank: int) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(), few, st.tuples(*[few] * rank), st.lists(few, min_size=1, max_size=2)
    )


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Any, Size]:
    rank, groups = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    side = st.integers(0, 3)
    side_or_pair = st.one_of(side, st.tuples(side, side))
    padding = st.one_of(
        st.sampled_from(["SAME", "VALID", "same_lower", "CIRCULAR", "REFLECT", "CAUSAL"]),
        st.integers(-1, 3),
        st.lists(side_or_pair, min_size=1, max_size=2),
    )
    kernel = draw(st.tuples(*[st.integers(1, 4)] * rank))
    layer = nnx.Conv(
        2 * groups,
        3 * groups,
        kernel[0] if rank == 1 and draw(st.booleans()) else kernel,
        strides=draw(per_axis(rank)),
        padding=draw(padding),
        input_dilation=draw(st.one_of(st.just(1), per_axis(rank))),
        kernel_dilation=draw(per_axis(rank)),
        feature_group_count=groups,
        use_bias=draw(st.booleans()),
        rngs=nnx.Rngs(0),
    )
    return layer, (*draw(st.tuples(*[st.integers(4, 8)] * rank)), 2 * groups)


@st.composite
def normalisations(draw: st.DrawFn) -> tuple[Any, Size]:
    size = tuple(draw(st.lists(st.sampled_from([2, 4]), min_size=1, max_size=3)))
    rank = len(size) + 1
    axis = st.integers(-len(size), len(size))
    several = st.lists(axis, min_size=1, max_size=3, unique_by=lambda a: a % rank)
    axes: st.SearchStrategy[Any] = st.one_of(axis, several)
    all_but_first = st.just(tuple(range(1, rank)))
    options: dict[str, Any] = {
        "use_scale": draw(st.booleans()),
        "use_fast_variance": draw(st.booleans()),
        "epsilon": draw(st.sampled_from([1e-5, 1e-2])),
        "rngs": nnx.Rngs(0),
    }
    kind: Any = draw(st.sampled_from([nnx.LayerNorm, nnx.RMSNorm, nnx.GroupNorm, nnx.BatchNorm]))
    if kind is not nnx.RMSNorm:
        options["use_bias"] = draw(st.booleans())
    if kind is nnx.BatchNorm:
        return kind(draw(st.sampled_from(size)), axis=draw(axis), **options), size
    reduced = draw(
        axes if kind is not nnx.GroupNorm else st.one_of(st.none(), all_but_first, several)
    )
    if kind is nnx.GroupNorm:
        groups = draw(st.sampled_from([1, 2]))
        return kind(size[-1], num_groups=groups, reduction_axes=reduced, **options), size
    features = draw(axes)
    named = [features] if isinstance(features, int) else features
    count = math.prod((2, *size)[axis] for axis in named)
    return kind(count, reduction_axes=reduced, feature_axes=features, **options), size


@st.composite
def poolings(draw: st.DrawFn) -> tuple[Any, Size]:
    rank = draw(st.integers(1, 2))
    function = draw(st.sampled_from([nnx.max_pool, nnx.avg_pool]))
    side = st.integers(0, 3)
    pairs = st.tuples(*[st.tuples(side, side)] * rank)
    options: dict[str, Any] = {
        "window_shape": draw(st.tuples(*[few] * rank)),
        "strides": draw(st.one_of(st.none(), st.tuples(*[few] * rank))),
        "padding": draw(st.one_of(st.sampled_from(["SAME", "VALID", "SAME_LOWER"]), pairs)),
    }
    if function is nnx.avg_pool:
        options["count_include_pad"] = draw(st.booleans())
    return partial(function, **options), (*draw(st.tuples(*[st.integers(3, 6)] * rank)), 2)


@drawn(max_examples=25)
@given(convolutions())
def test_convolutions(case: tuple[Any, Size]) -> None:
    agree_or_refuse(*case)


@drawn(max_examples=25)
@given(normalisations())
def test_normalisations(case: tuple[Any, Size]) -> None:
    agree_or_refuse(*case)


@drawn(max_examples=25)
@given(poolings())
def test_poolings(case: tuple[Any, Size]) -> None:
    agree_or_refuse(*case)


def spatial_layers(draw: st.DrawFn, size: Size) -> nn.Module:
    rank, channels = len(size) - 1, size[-1]
    conv: Any = {1: nn.Conv1d, 2: nn.Conv2d}[rank]
    norm: Any = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}[rank]
    pool: Any = draw(
        st.sampled_from({1: [nn.MaxPool1d, nn.AvgPool1d], 2: [nn.MaxPool2d, nn.AvgPool2d]}[rank])
    )
    feature_axes: st.SearchStrategy[Any] = st.sampled_from([-1, (-2, -1)])
    kinds: list[Any] = [
        lambda: conv(
            size,
            draw(st.sampled_from([2, 4])),
            draw(few),
            stride=draw(st.integers(1, 2)),
            padding=draw(st.sampled_from(["SAME", "VALID", 1])),
            rhs_dilation=draw(st.integers(1, 2)),
            b_init=draw(st.sampled_from([None, nn.init.ZeroInit()])),
        ),
        lambda: norm(size, momentum=0.9, affine=draw(st.booleans())),
        lambda: nn.GroupNorm(channels, num_groups=draw(st.sampled_from([1, 2]))),
        lambda: nn.LayerNorm(size, feature_axes=draw(feature_axes)),
        lambda: pool(draw(few), draw(few), draw(st.sampled_from(["SAME", "VALID"]))),
        lambda: nn.Flatten(in_size=size),
        lambda: nn.Linear(size, (*size[:-1], 3)),
    ]
    layer: nn.Module = draw(st.sampled_from(kinds))()
    return layer


def flat_layers(draw: st.DrawFn, size: Size) -> nn.Module:
    kinds: list[Any] = [
        lambda: nn.Linear(size, draw(st.integers(1, 6)), b_init=draw(st.sampled_from([None, 0.5]))),
        lambda: nn.BatchNorm0d(size),
        lambda: nn.LayerNorm(size, use_bias=draw(st.booleans())),
        lambda: nn.RMSNorm(size),
        lambda: nn.Softmax(),
    ]
    layer: nn.Module = draw(st.sampled_from(kinds))()
    return layer


SHAPELESS: list[Any] = [
    nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.ELU, nn.LeakyReLU, nn.SELU,
    nn.Identity, partial(nn.Dropout, 0.5),
]  # fmt: skip


@st.composite
def stacks(draw: st.DrawFn) -> tuple[nn.Sequential, Size]:
    size: Size = draw(st.sampled_from([(6, 5, 2), (7, 4), (4,)]))
    start, layers = size, list[Any]()
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            layers.append(draw(st.sampled_from(SHAPELESS))())
            continue
        try:
            layer = (spatial_layers if len(size) > 1 else flat_layers)(draw, size)
            size = layer.output_size(size)
        except ValueError:  # a window that does not fit, groups that do not divide
            continue
        layers.append(layer)
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(layers)))
        layers = [nn.Sequential(*layers[:cut]), *layers[cut:]]
    if draw(st.booleans()):
        same_size = [layer for layer in layers if isinstance(layer, nn.ElementWiseBlock)]
        layers += same_size[:1]  # tied
    return nn.Sequential(*layers), start


@drawn(max_examples=25)
@given(stacks())
def test_whole_stacks(case: tuple[nn.Sequential, Size]) -> None:
    with random.seed_context(0):
        model, size = shaken(case[0]), case[1]
    x = numbers(size)
    expected = evaluated(model, x)
    converted = to_nnx(model)  # everything that is drawn here has a counterpart
    np.testing.assert_allclose(converted(x), expected, **CLOSE)
    back = from_nnx(converted, sample_input=size)
    np.testing.assert_allclose(evaluated(back, x), expected, **CLOSE)
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in model.layers]
    places = {id(layer): place for place, layer in enumerate(model.layers)}
    for layer, again in zip(model.layers, back.layers, strict=True):
        if isinstance(layer, nn.Dropout):
            assert again is back.layers[places[id(layer)]]
