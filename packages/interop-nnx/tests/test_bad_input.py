"""What is said of models and arguments that cannot be converted."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from interop_core import (
    InteropError,
    MissingShapeError,
    NotAModelError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    nn,
)
from interop_nnx import from_nnx, to_nnx


class MyLinear(nnx.Linear):
    """May compute anything."""


class MyStack(nnx.Sequential):
    """May call its layers in any order."""


class Residual(nnx.Module):
    """A forward of its own."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.inner = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return x + self.inner(x)


class Listed(nnx.Module):
    """Holds its layers in plain containers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.inner = nnx.data({"all": [nnx.Linear(4, 4, rngs=rngs)]})


class Gain(nnx.Module):
    """A layer that nobody knows."""

    def __init__(self) -> None:
        self.gain = nnx.Param(jnp.ones(3))


class Counting:
    """A callable object that cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, x: Any) -> Any:
        return x


def linear(**options: Any) -> nnx.Linear:
    return nnx.Linear(4, 4, rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize(
    "model, reason",
    [
        (None, "got None"),
        (nnx.Linear, "got the class Linear, not a layer made of it"),
        (nnx.relu, "got the function relu, not a layer"),
        (partial(nnx.softmax, axis=-1), r"got the function partial\(softmax\)"),
        (jnp.ones(3), "got a jax"),
        (nn.Linear(3, 4), "got a interop_core.nn"),
        (nnx.Rngs(0), "got a flax.nnx.rnglib.Rngs"),
        (nnx.split(nnx.Linear(3, 4, rngs=nnx.Rngs(0))), "got a builtins.tuple"),
    ],
)
def test_no_model_of_nnx(model: Any, reason: str) -> None:
    with pytest.raises(NotAModelError, match=reason) as info:
        from_nnx(model)
    assert "pass a layer or a stack of flax.nnx" in str(info.value)


@pytest.mark.parametrize(
    "model, reason",
    [
        (None, "got None"),
        (nn.Linear, "got the class Linear, not a layer made of it"),
        (jax.nn.relu, "got the function relu"),
        (nnx.Linear(3, 4, rngs=nnx.Rngs(0)), "got a flax.nnx"),
    ],
)
def test_no_model_of_the_core(model: Any, reason: str) -> None:
    with pytest.raises(NotAModelError, match=reason):
        to_nnx(model)


@pytest.mark.parametrize(
    "element, error, reason",
    [
        (
            MyLinear(4, 4, rngs=nnx.Rngs(0)),
            UnmappedLayerError,
            r"MyLinear\): no row .*extends Linear",
        ),
        (MyStack(nnx.relu), UnsupportedStructureError, r"MyStack\): has a forward of its own"),
        (Residual(nnx.Rngs(0)), UnsupportedStructureError, r"Residual\): has a forward of its own"),
        (Listed(nnx.Rngs(0)), UnsupportedStructureError, r"Listed\): has a forward of its own"),
        (Gain(), UnmappedLayerError, r"Gain\): no row names exactly this layer"),
        (nnx.List([nnx.relu]), UnsupportedLayerError, r"nnx\.List.*use nnx\.Sequential"),
        (nnx.min_pool, UnsupportedLayerError, r"\(min_pool\): "),
        (lambda x: x, UnmappedLayerError, r"\(<lambda>\): no row names"),
        (jax.jit(lambda x: x), UnmappedLayerError, r"no row names"),
        (Counting(), UnmappedLayerError, r"\(Counting\): no row names"),
        (nnx.Linear, NotAModelError, "got the class Linear, not a layer made of it"),
        (None, NotAModelError, "got None"),
        (3, NotAModelError, "got a builtins.int"),
        (nnx.max_pool, UnsupportedLayerError, r"does not say its window_shape; use functools"),
        (partial(nnx.gelu, True), UnsupportedLayerError, "positional arguments"),
        (
            partial(nnx.Dropout, rate=0.5),
            NotAModelError,
            r"makes Dropout layers.*Dropout\(\.\.\.\)",
        ),
        (partial(nnx.max_pool, window_shape=(2,) * 4), UnsupportedConfigurationError, "no row"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__)[:20],
)
def test_elements_that_do_not_convert(element: Any, error: Any, reason: str) -> None:
    with pytest.raises(error, match=r"layers\[1\] .*" + reason) as info:
        from_nnx(nnx.Sequential(linear(), element))
    assert type(info.value) is error
    assert len(info.value.problems) == 1


@pytest.mark.parametrize("model", [Residual(nnx.Rngs(0)), MyStack(nnx.relu)])
def test_models_with_a_forward_of_their_own(model: Any) -> None:
    with pytest.raises(UnsupportedStructureError, match=r"^model \(.*register_layer_mapping"):
        from_nnx(model)


def test_many_problems_come_in_one_error() -> None:
    rngs = nnx.Rngs(0)
    stack = nnx.Sequential(
        nnx.Conv(3, 4, (3, 3), padding="EVERYWHERE", rngs=rngs),
        nnx.BatchNorm(4, rngs=rngs),  # its size depends on a layer that does not convert
        nnx.Sequential(MyLinear(4, 4, rngs=rngs), linear(preferred_element_type=jnp.float32)),
        Residual(rngs),
    )
    with pytest.raises(InteropError) as info:
        from_nnx(stack, sample_input=(8, 8, 3))
    problems = info.value.problems
    assert [problem.path for problem in problems] == [
        ("layers", 0),
        ("layers", 2, "layers", 0),
        ("layers", 2, "layers", 1),
        ("layers", 3),
    ]
    assert [problem.error for problem in problems] == [
        UnsupportedConfigurationError,
        UnmappedLayerError,
        UnsupportedConfigurationError,
        UnsupportedStructureError,
    ]
    assert type(info.value) is UnsupportedConfigurationError
    assert (info.value.field, info.value.value) == ("padding", "EVERYWHERE")
    assert "layers[2].layers[1] (nnx.Linear): preferred_element_type=" in str(info.value)


def test_many_problems_out_of_the_core() -> None:
    model = nn.Sequential(
        nn.Embedding(5, 4, padding_idx=0, max_norm=1.0),
        nn.Conv1d((4, 4), 3, 3, channel_first=True),
        nn.MaxPool1d(2, return_indices=True),
    )
    with pytest.raises(UnsupportedConfigurationError) as info:
        to_nnx(model)
    said = [(problem.path[-1], problem.field) for problem in info.value.problems]
    assert said == [
        (0, "padding_idx"),
        (0, "max_norm"),
        (1, "channel_first"),
        (2, "return_indices"),
    ]


class TestSampleInput:
    @pytest.mark.parametrize(
        "sample, reason",
        [
            (None, "shape of its input is not known; pass sample_input"),
            ((3, 8, 8), "takes 3 channels and its input has the shape"),
            ((2, 8, 8, 3), "needs an in_size of 2 spatial lengths"),
            ((3,), "needs an in_size of 2 spatial lengths"),
            ((8, 8, 0), "neither an array nor a tuple of positive integers"),
            ("8, 8, 3", "neither an array nor a tuple of positive integers"),
            (8, "neither an array nor a tuple of positive integers"),
            ((1, 1, 3), "does not fit"),
        ],
    )
    def test_of_a_convolution(self, sample: Any, reason: str) -> None:
        conv = nnx.Conv(3, 4, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
        with pytest.raises(MissingShapeError, match=reason):
            from_nnx(conv, sample_input=sample)

    @pytest.mark.parametrize(
        "sample, reason",
        [
            (None, "shape of its input is not known"),
            ((3, 8, 8), "takes 3 channels on axis=-1 and its input has the shape"),
        ],
    )
    def test_of_batch_normalisation(self, sample: Any, reason: str) -> None:
        bn = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
        with pytest.raises(MissingShapeError, match=reason):
            from_nnx(nnx.Sequential(bn), sample_input=sample)

    def test_of_a_dense_layer(self) -> None:
        with pytest.raises(MissingShapeError, match="takes 4 channels and its input has the shape"):
            from_nnx(linear(), sample_input=(4, 3))

    def test_is_followed_through_the_stack(self) -> None:
        rngs = nnx.Rngs(0)
        stack = nnx.Sequential(
            nnx.Conv(3, 4, (3, 3), strides=2, rngs=rngs),
            partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2)),
            nnx.BatchNorm(5, rngs=rngs),
        )
        with pytest.raises(MissingShapeError, match=r"layers\[2\] .*the shape \(2, 2, 4\)"):
            from_nnx(stack, sample_input=(8, 8, 3))
