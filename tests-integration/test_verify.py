"""Conversions that check themselves, over three frameworks: right ones pass, wrong are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from brainstate_interop import (
    LayerMapping,
    VerificationError,
    compare,
    from_equinox,
    from_linen,
    from_nnx,
    nn,
    random,
    register_layer_mapping,
    registrations,
    to_equinox,
    to_linen,
    to_nnx,
)
from interop_core.testing import quick_compilation

FRAMEWORKS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "nnx": (to_nnx, from_nnx),
    "linen": (to_linen, lambda pair, **options: from_linen(*pair, **options)),
    "equinox": (
        lambda model, **options: to_equinox(model, stateful=True, **options),
        lambda pair, **options: from_equinox(*pair, **options),
    ),
}
IMAGE = (4, 5, 2)


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    """Compiled once and run once: compiling is what takes the time."""
    with quick_compilation():
        yield


def network() -> nn.Sequential:
    """Statistics, dropout, channels that meet, a layer that stands twice, a stack inside."""
    with random.seed_context(0):
        shared = nn.Linear(3, 3, b_init=nn.init.Normal())
        return nn.Sequential(
            nn.Conv2d(IMAGE, 4, 2, padding="VALID"),
            nn.BatchNorm2d((3, 4, 4)),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Flatten(in_size=(3, 4, 4)),
            nn.Linear(48, 3),
            nn.Sequential(shared, nn.LayerNorm(3), shared),
        )


def arrays(model: Any) -> list[Any]:
    """Every array of a model of any framework."""
    parts = (nnx.split(model)[1],) if isinstance(model, nnx.Module) else model
    return [leaf for leaf in jax.tree.leaves(parts) if isinstance(leaf, jax.Array)]


def buffers(model: Any) -> set[int]:
    """Where a model's arrays are in memory."""
    held = (a for a in arrays(model) if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key))
    return {array.unsafe_buffer_pointer() for array in held}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_right_conversion_passes_and_shares_nothing(framework: str) -> None:
    there, back = FRAMEWORKS[framework]
    model = network()
    before = np.asarray(random.get_key_data())
    converted = there(model, verify=True, copy=True)
    returned = back(converted, sample_input=IMAGE, verify=True, copy=True)
    np.testing.assert_array_equal(random.get_key_data(), before)
    assert not buffers(model) & buffers(converted)
    assert not buffers(converted) & buffers(returned)
    assert returned.layers[-1].layers[0] is returned.layers[-1].layers[2]
    x = np.random.default_rng(0).normal(size=(2, *IMAGE)).astype(np.float32)
    found = compare(converted, returned, x)
    gradients = "gradients by 1 input and 9 parameters"
    assert found.compared == ("output", gradients, "2 training steps of 1 layer")


class Shift(nn.Module):
    """Adds a number."""

    def __init__(self, in_size: int) -> None:
        super().__init__()
        self.in_size = self.out_size = in_size

    def update(self, x: Any) -> Any:
        return x + 1.0


class NnxShift(nnx.Module):
    """Adds another."""

    def __call__(self, x: Any) -> Any:
        return x + 1.01


class LinenShift(linen.Module):
    """Adds another."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        return x + 1.01


class EquinoxShift(eqx.Module):
    """Adds another."""

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        return x + 1.01


SHIFTS: dict[str, tuple[type, Callable[..., Any]]] = {
    "nnx": (NnxShift, lambda *_: NnxShift()),
    "linen": (LinenShift, lambda *_: (LinenShift(), {})),
    "equinox": (EquinoxShift, lambda *_: EquinoxShift()),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_wrong_mapping_is_named_by_its_path(framework: str) -> None:
    there, back = FRAMEWORKS[framework]
    kind, make = SHIFTS[framework]
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Tanh(), Shift(3)), nn.Linear(3, 2))
    with registrations():
        register_layer_mapping(LayerMapping(Shift, framework, kind, lambda *_: Shift(3), make))
        converted = there(model)
        with pytest.raises(VerificationError, match="differs by up to") as caught:
            there(model, verify=True)
        with pytest.raises(VerificationError) as returning:
            back(converted, verify=True)
    for error in (caught.value, returning.value):
        assert error.path == ("layers", 1, "layers", 1)
        assert error.layer is not None
        assert error.layer.endswith("Shift")
        assert error.difference == pytest.approx(0.01, rel=1e-2)
    if framework != "equinox":  # what the registration knew of the stack is forgotten
        found = compare(model, converted, np.ones((2, 3), np.float32))
        assert not found
        assert found.path == ("layers", 1, "layers", 1)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_rounding_that_a_norm_magnifies_is_no_difference(framework: str) -> None:
    there, _ = FRAMEWORKS[framework]
    alike = np.array([1.0, 1.01, 0.98], np.float32)
    there(nn.LayerNorm(3), sample_input=alike, verify=True)
    other = nnx.LayerNorm(3, epsilon=2e-6, rngs=nnx.Rngs(0))
    mapping = LayerMapping(nn.LayerNorm, "nnx", nnx.LayerNorm, lambda *_: None, lambda *_: other)
    with registrations():
        register_layer_mapping(mapping)
        with pytest.raises(VerificationError, match="its output differs by"):
            to_nnx(nn.LayerNorm(3, epsilon=1e-6), sample_input=alike, verify=True)


def test_running_statistics_that_move_otherwise_are_seen() -> None:
    layer = nn.BatchNorm0d(3)

    def faster(core: Any, _: Any) -> Any:
        made: Any = nnx.BatchNorm(3, momentum=0.5, use_running_average=True, rngs=nnx.Rngs(0))
        made.scale.set_value(core.weight.value["scale"])
        made.bias.set_value(core.weight.value["bias"])
        return made

    with registrations():
        mapping = LayerMapping(nn.BatchNorm0d, "nnx", nnx.BatchNorm, lambda *_: layer, faster)
        register_layer_mapping(mapping)
        model = nn.Sequential(nn.Linear(3, 3), layer)
        with pytest.raises(VerificationError, match="training step") as caught:
            to_nnx(model, verify=True)
        converted = to_nnx(model)
    assert caught.value.path == ("layers", 1)
    found = compare(model, converted, np.random.default_rng(0).normal(size=(4, 3)))
    assert (found.what, found.path) == ("output after 2 training steps", ("layers", 1))


class SeveralOutputs(eqx.Module):
    factor: jax.Array

    def __call__(self, x: Any) -> Any:
        return self.factor * x, {"besides": x}


def test_models_of_ones_own_may_give_several_outputs() -> None:
    model, other = (SeveralOutputs(jnp.array(factor)) for factor in (2.0, 2.1))
    x = np.ones((2, 3), np.float32)
    assert compare(model, model, x).agree
    assert not compare(model, other, x).agree


class OwnNnx(nnx.Module):
    """A model of somebody's own, with a mode, statistics and perhaps dropout."""

    def __init__(self, momentum: float, rate: float) -> None:
        rngs = nnx.Rngs(0)
        self.norm = nnx.BatchNorm(3, momentum=momentum, use_running_average=True, rngs=rngs)
        self.linear = nnx.Linear(3, 2, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.dropout(jnp.tanh(self.linear(self.norm(x))))


@pytest.mark.parametrize(
    "momentum, rate, agrees", [(0.9, 0.0, True), (0.5, 0.0, False), (0.5, 0.5, True)]
)
def test_models_of_ones_own_take_training_steps(momentum: float, rate: float, agrees: bool) -> None:
    model, other = OwnNnx(0.9, rate), OwnNnx(momentum, rate)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    found = compare(model, other, x)
    assert found.agree == agrees
    # Dropout draws, and what draws is not compared in training.
    steps = ("2 training steps of 1 layer",) if not rate else ()
    expected = ("output", "gradients by 1 input and 4 parameters", *steps)
    assert found.compared == (expected if agrees else ())
    core = nn.Sequential(nn.BatchNorm0d(3, momentum=0.9), from_nnx(model.linear), nn.Tanh())
    across = compare(core, other, x)
    assert across.agree == agrees


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTMCell(3, 4),
        lambda: nn.Sequential(nn.Embedding(5, 3), nn.ReLU()),
        lambda: nn.MultiHeadAttention(4, num_heads=2, dropout_rate=0.0),
    ],
    ids=["cell", "table", "attention"],
)
def test_inputs_are_such_as_the_layer_takes(framework: str, make: Callable[[], nn.Module]) -> None:
    there, _ = FRAMEWORKS[framework]
    there(make(), verify=True)


@pytest.mark.parametrize("there", [to_nnx, to_linen])
@pytest.mark.parametrize(
    "make",
    [lambda: nn.ConvLSTMCell((3, 2, 1), 2, 1), lambda: nn.DropoutFixed((3, 2))],
    ids=["images", "mask"],
)
def test_a_state_of_several_axes_says_the_batch(there: Any, make: Callable[[], nn.Module]) -> None:
    model = nn.Sequential(make())
    nn.init_all_states(model, 2)
    there(model, verify=True)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_passes(dtype: Any) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2))
    half = jax.tree.map(lambda array: array.astype(dtype), model)
    to_linen(half, verify=True)
    to_equinox(half, verify=True)
