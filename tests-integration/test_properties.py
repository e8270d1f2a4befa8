"""Core layers and whole stacks drawn at random, in every framework: each agrees or is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import interop_equinox.testing
import interop_linen.testing
import interop_nnx.testing
from interop_core import InteropError, graph, nn
from interop_core.convert import plan_to
from interop_core.testing import Call, Harness, call_core, filled, quick_compilation

Size = tuple[int, ...]

HARNESSES: dict[str, Harness] = {
    "nnx": interop_nnx.testing.HARNESS,
    "linen": interop_linen.testing.HARNESS,
    "equinox": interop_equinox.testing.HARNESS,
}
every_framework = pytest.mark.parametrize("framework", HARNESSES)

# Up to eight layers of float32 sums, each perhaps in another order, and norms that divide by
# roots of their means.
STACK: Any = {"rtol": 1e-3, "atol": 1e-4}
LAYER: Any = {"rtol": 2e-5, "atol": 2e-5}
VOCABULARY = 7


@pytest.fixture(autouse=True)
def _quickly() -> Iterator[None]:
    with quick_compilation():
        yield


# --- layers ---------------------------------------------------------------------------------------


def pick(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


BIAS = pick(None, nn.init.ZeroInit())
few = st.integers(1, 3)


def maybe(draw: st.DrawFn, options: dict[str, Any], likely: bool, **odd: Any) -> dict[str, Any]:
    """The options with a few more of these, unless only what every framework has is wanted."""
    if likely:
        return options
    chosen = draw(st.sets(st.sampled_from(sorted(odd)), max_size=2)) if odd else set()
    return {**options, **{name: draw(odd[name]) for name in chosen}}


def linear(draw: st.DrawFn, size: Size, plain: bool) -> nn.Module:
    out = draw(st.integers(1, 5))
    options = {"b_init": draw(BIAS)}
    odd = {"dtype": pick(jnp.float32), "precision": pick("highest"), "w_mask": pick(0.5)}
    whole = draw(st.booleans())
    sizes = (size, (*size[:-1], out)) if whole else (size[-1], out)
    return nn.Linear(*sizes, **maybe(draw, options, plain, **odd))


def conv(draw: st.DrawFn, size: Size, plain: bool) -> nn.Module:
    rank = len(size) - 1
    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    groups = draw(pick(1, math.gcd(size[-1], 4)))
    side = st.integers(0, 2)
    options = {
        "b_init": draw(BIAS),
        "groups": groups,
        "stride": draw(few),
        "padding": draw(
            st.one_of(pick("SAME", "VALID"), side, st.tuples(*[st.tuples(side, side)] * rank))
        ),
    }
    odd = {
        "rhs_dilation": few,
        "lhs_dilation": few,
        "padding_mode": pick("REFLECT", "REPLICATE", "CIRCULAR"),
        "padding": pick("SAME_LOWER"),
        "precision": pick("highest"),
        "dtype": pick(jnp.float32),
    }
    kernel = draw(st.tuples(*[st.integers(1, 3)] * rank))
    out = groups * draw(st.integers(1, 2))
    return kind(size, out, kernel, **maybe(draw, options, plain, **odd))  # type: ignore[no-any-return]


def pool(draw: st.DrawFn, size: Size, plain: bool) -> nn.Module:
    rank = len(size) - 1
    largest = draw(st.booleans())
    name = f"{'Max' if largest else 'Avg'}Pool{rank}d"
    options = {"stride": draw(few), "in_size": size}
    side = st.integers(0, 1)
    odd: dict[str, Any] = {
        "padding": st.one_of(pick("SAME"), st.tuples(*[st.tuples(side, side)] * rank)),
        "channel_axis": pick(None, 0),
    }
    if not largest:
        odd["count_include_pad"] = st.booleans()
    kernel = draw(st.tuples(*[st.integers(1, 3)] * rank))
    layer: nn.Module = getattr(nn, name)(kernel, **maybe(draw, options, plain, **odd))
    return layer


def norm(draw: st.DrawFn, size: Size, plain: bool) -> nn.Module:
    epsilon = draw(pick(1e-6, 1e-3))
    axes = st.one_of(st.integers(-len(size), -1), pick(tuple(range(-len(size), 0))))
    odd: dict[str, Any] = {"use_fast_variance": st.booleans(), "dtype": pick(jnp.float32)}
    if draw(st.booleans()):
        odd |= {"reduction_axes": axes, "feature_axes": axes}
        scale = {"use_scale": draw(st.booleans())}
        if draw(st.booleans()):
            return nn.RMSNorm(size, epsilon=epsilon, **maybe(draw, scale, plain, **odd))
        return nn.LayerNorm(size, epsilon=epsilon, **maybe(draw, scale, plain, **odd))
    if plain or draw(st.booleans()):
        groups = draw(pick(1, size[-1]))
        odd = {"use_fast_variance": st.booleans(), "use_bias": st.booleans()}
        return nn.GroupNorm(
            size, num_groups=groups, epsilon=epsilon, **maybe(draw, {}, plain, **odd)
        )
    kind: Any = (nn.BatchNorm0d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[len(size) - 1]
    odd = {"momentum": pick(0.9), "affine": st.booleans(), "feature_axis": axes}
    return kind(size, epsilon=epsilon, **maybe(draw, {}, False, **odd))  # type: ignore[no-any-return]


def pointwise(draw: st.DrawFn, size: Size, plain: bool) -> nn.Module:
    layers: list[nn.Module] = [
        nn.ReLU(), nn.GELU(), nn.GELU(approximate=True), nn.SiLU(), nn.Tanh(), nn.Sigmoid(),
        nn.Softplus(), nn.ELU(0.5), nn.LeakyReLU(0.2), nn.SELU(), nn.Softmax(), nn.LogSoftmax(),
        nn.Identity(), nn.Dropout(0.5),
    ]  # fmt: skip
    odd: list[nn.Module] = [
        nn.Softmax(1),
        nn.Softmax(-2),
        nn.Dropout(0.3, broadcast_dims=(0,)),
        nn.MoveAxis(-1, -2),
    ]
    layer: nn.Module = draw(st.sampled_from(layers if plain else layers + odd))
    return layer


def flatten(draw: st.DrawFn, size: Size, plain: bool) -> nn.Module:
    if plain or draw(st.booleans()):
        return nn.Flatten(in_size=size)
    start = draw(st.integers(-len(size), len(size)))
    return nn.Flatten(start, draw(pick(-1, -2, 1)), in_size=draw(pick(None, size)))


def one_layer(draw: st.DrawFn, size: Size, plain: bool) -> nn.Module:
    """A layer that takes examples of this size."""
    kinds = [linear, norm, pointwise, pointwise]
    if len(size) > 1:
        kinds += [flatten]
    if 1 < len(size) < 4:
        kinds += [conv, conv, pool]
    make = draw(st.sampled_from(kinds))
    try:
        return make(draw, size, plain)
    except (ValueError, TypeError):  # the core itself has no such layer
        assume(False)
        raise


@st.composite
def layers(draw: st.DrawFn) -> tuple[nn.Module, Size]:
    """A single layer with whatever options the core has."""
    size = tuple(draw(st.lists(st.integers(2, 5), min_size=1, max_size=4)))
    return one_layer(draw, size, plain=False), size


@st.composite
def stacks(draw: st.DrawFn, plain: bool, rank: int = 3) -> tuple[nn.Sequential, Size]:
    """A stack of up to six layers, some of them stacks or met before, for a few axes."""
    size: Size = tuple(draw(st.lists(st.integers(3, 6), min_size=1, max_size=rank)))
    start = size
    made: list[Any] = []
    met: list[tuple[Size, nn.Module]] = []
    for _ in range(draw(st.integers(0, 6))):
        again = [layer for of, layer in met if of == size and layer.output_size(size) == size]
        if draw(st.booleans()) and again:
            layer: nn.Module = draw(st.sampled_from(again))
        else:
            layer = one_layer(draw, size, plain)
        try:
            after = tuple(layer.output_size(size))
        except ValueError:
            assume(False)
        assume(0 not in after)
        met.append((size, layer))
        nested = draw(st.integers(0, 2)) == 2
        made.append(nn.Sequential(layer, nn.ReLU()) if nested else layer)
        size = after
    return nn.Sequential(*made), start


# --- properties -----------------------------------------------------------------------------------


def shaken(model: nn.Module) -> nn.Module:
    """The model with random numbers in all its arrays: zeros and ones would hide a mix-up."""
    graph.assign(model, filled(graph.leaves(model), lambda name: "var" in name))
    return model


def outcome(model: Any, x: Any, harness: Harness | None = None, **ends: Any) -> Any:
    """What a model gives: a whole one compiles faster than each of its operations."""

    def forward(x: Any) -> Any:
        call = Call(x, 1, **ends)
        return (call_core(model, call) if harness is None else harness.call(model, call)).y

    return jax.jit(forward)(x)


def converts(framework: str, model: nn.Module, size: Size, close: Any) -> bool:
    """Convert there and back and compare; whether it was converted and not refused."""
    harness = HARNESSES[framework]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *size)).astype(np.float32))
    try:
        expected = outcome(model, x)
    except (ValueError, TypeError, IndexError):  # a stack that fits no batch of such examples
        assume(False)
        raise
    shape = size if harness.exports_by_shape else None
    try:
        plan = plan_to(harness.bridge, model, sample_input=shape).require()
        there = harness.export(model, shape)
        back = harness.import_(there, size)
    except InteropError as error:
        event(f"refused: {type(error).__name__}")
        refused = error
    else:
        event("converted")
        ends = {"first_in": plan.channels_first_in, "first_out": plan.channels_first_out}
        found = outcome(there, x, harness, **ends)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, **close)
        np.testing.assert_allclose(outcome(back, x), expected, **close)
        return True
    assert refused.problems
    assert all(problem.reason for problem in refused.problems)
    return False


draws = partial(settings, database=None)


@every_framework
@draws(max_examples=40)
@given(drawn=layers())
def test_any_layer_agrees_or_is_refused(framework: str, drawn: tuple[nn.Module, Size]) -> None:
    layer, size = drawn
    converts(framework, shaken(layer), size, LAYER)


@every_framework
@draws(max_examples=20)
@given(drawn=stacks(plain=False))
def test_any_stack_agrees_or_is_refused(framework: str, drawn: tuple[nn.Sequential, Size]) -> None:
    stack, size = drawn
    converts(framework, shaken(stack), size, STACK)


@every_framework
@draws(max_examples=20)
@given(drawn=stacks(plain=True))
def test_a_stack_of_common_layers_converts(
    framework: str, drawn: tuple[nn.Sequential, Size]
) -> None:
    stack, size = drawn
    assert converts(framework, shaken(stack), size, STACK)


@every_framework
@draws(max_examples=10)
@given(size=st.integers(1, 5), rest=stacks(plain=True, rank=1))
def test_tokens_at_the_entrance(
    framework: str, size: int, rest: tuple[nn.Sequential, Size]
) -> None:
    harness = HARNESSES[framework]
    stack, shape = rest
    model = shaken(nn.Sequential(nn.Embedding(VOCABULARY, shape), *stack.layers))
    tokens = jnp.arange(size) % VOCABULARY
    found = outcome(harness.export(model), tokens, harness)
    np.testing.assert_allclose(found, outcome(model, tokens), **STACK)
