"""Random configurations of Linen layers: each computes the same in the core, or is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interop_core import InteropError, environ
from interop_linen import from_linen, to_linen

examples = partial(
    settings,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

small = st.integers(1, 3)


def per_axis(rank: int) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(), small, st.tuples(*[small] * rank), st.lists(small, min_size=rank, max_size=rank)
    )


def paddings(rank: int) -> st.SearchStrategy[Any]:
    side = st.integers(0, 3)
    pair = st.tuples(side, side)
    return st.one_of(
        st.sampled_from(["SAME", "VALID", "SAME_LOWER", "same", "CIRCULAR", "REFLECT", "CAUSAL"]),
        side,
        st.tuples(*[st.one_of(side, pair)] * rank),
        st.lists(pair, min_size=rank, max_size=rank),
    )


@st.composite
def convolutions(draw: Any) -> tuple[linen.Module, tuple[int, ...]]:
    rank = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 2))
    kernel: Any = draw(st.tuples(*[st.integers(1, 4)] * rank))
    module = linen.Conv(
        features=2 * groups,
        kernel_size=kernel[0] if rank == 1 and draw(st.booleans()) else kernel,
        strides=draw(per_axis(rank)),
        padding=draw(paddings(rank)),
        input_dilation=draw(st.one_of(st.just(1), per_axis(rank))),
        kernel_dilation=draw(per_axis(rank)),
        feature_group_count=groups,
        use_bias=draw(st.booleans()),
    )
    return module, (*draw(st.tuples(*[st.integers(4, 9)] * rank)), 3 * groups)


@st.composite
def normalisations(draw: Any) -> tuple[linen.Module, tuple[int, ...]]:
    shape = tuple(draw(st.lists(st.sampled_from([2, 4]), min_size=1, max_size=3)))
    axis = st.integers(-len(shape), len(shape))
    several = st.lists(axis, min_size=1, max_size=3, unique_by=lambda a: a % (len(shape) + 1))
    axes = st.one_of(axis, several.map(tuple))
    options = {
        "use_scale": draw(st.booleans()),
        "use_fast_variance": draw(st.booleans()),
        "epsilon": draw(st.sampled_from([1e-6, 1e-2])),
    }
    kind = draw(st.sampled_from(["layer", "rms", "group", "batch"]))
    if kind == "rms":
        module: linen.Module = linen.RMSNorm(
            **options, reduction_axes=draw(axes), feature_axes=draw(axes)
        )
        return module, shape
    options["use_bias"] = draw(st.booleans())
    if kind == "layer":
        module = linen.LayerNorm(**options, reduction_axes=draw(axes), feature_axes=draw(axes))
    elif kind == "group":
        module = linen.GroupNorm(
            **options, num_groups=2, reduction_axes=draw(st.one_of(st.none(), axes))
        )
    else:
        module = linen.BatchNorm(**options, axis=draw(axes), use_running_average=True)
    return module, shape


def agree_or_refuse(module: linen.Module, shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, *shape)), jnp.float32)
    try:
        made = module.init(jax.random.key(0), x)
        numbers = jax.tree.map(
            lambda a: jnp.asarray(draw.uniform(0.5, 1.5, a.shape), a.dtype), dict(made)
        )
        expected: Any = module.apply(numbers, x)
    except Exception:  # Linen itself has no meaning for it: then neither side has to
        return
    if 0 in expected.shape:
        return  # the core refuses windows that do not fit once
    try:
        model = from_linen(module, numbers, sample_input=shape)
        again, variables = to_linen(model)
    except InteropError:
        return
    with environ.context(fit=False):
        found = model(x)
    # Sums over up to a hundred float32 products, and square roots of their means.
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(again.apply(variables, x), expected, rtol=2e-5, atol=2e-5)
    shapes = partial(jax.tree.map, jnp.shape)
    assert shapes(variables) == shapes(numbers)


@examples(max_examples=60)
@given(convolutions())
def test_convolutions(drawn: tuple[linen.Module, tuple[int, ...]]) -> None:
    agree_or_refuse(*drawn)


@examples(max_examples=60)
@given(normalisations())
def test_normalisations(drawn: tuple[linen.Module, tuple[int, ...]]) -> None:
    agree_or_refuse(*drawn)


@examples(max_examples=40)
@given(
    st.sampled_from([linen.max_pool, linen.avg_pool]),
    st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple),
    st.data(),
)
def test_poolings(function: Any, window: tuple[int, ...], data: st.DataObject) -> None:
    rank = len(window)
    steps = st.one_of(st.none(), st.tuples(*[small] * rank))
    pads = st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * rank)
    options: dict[str, Any] = {
        "window_shape": window,
        "strides": data.draw(steps),
        "padding": data.draw(st.one_of(st.sampled_from(["SAME", "VALID", "SAME_LOWER"]), pads)),
    }
    if function is linen.avg_pool:
        options["count_include_pad"] = data.draw(st.booleans())
    stack = linen.Sequential([partial(function, **options)])
    agree_or_refuse(stack, (*[data.draw(st.integers(3, 7)) for _ in window], 2))
