"""Batch normalisation between the core and Equinox: the state, the counter, ties, folding."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import (
    ConversionError,
    InteropError,
    LayerMapping,
    NotAModelError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    environ,
    explain,
    graph,
    nn,
    register_layer_mapping,
    registrations,
)
from interop_core.testing import ROW_CHECKS
from interop_equinox import companions, from_equinox, to_equinox
from interop_equinox._batch_norm import FOLDED
from interop_equinox.testing import HARNESS

# Normalisations of a few numbers in float32, their roots and sums taken in another order.
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 2e-6}
BATCH = jax.random.normal(jax.random.key(0), (6, 3)) * 2 + 1


def batched(model: Any, *, train: bool = False) -> Callable[..., Any]:
    """A model over a batch as users of Equinox call it."""
    mode = eqx.nn.inference_mode(model, not train)
    mapped: Callable[..., Any] = jax.vmap(
        mode, axis_name="batch", in_axes=(0, None), out_axes=(0, None)
    )
    return mapped


def evaluated(model: Any, x: Any) -> Any:
    with environ.context(fit=False):
        return model(x)


def trained(model: Any, x: Any) -> Any:
    with environ.context(fit=True):
        return model(x)


def drawn(norm: Any) -> Any:
    """A batch normalisation in the middle of its training."""
    for seed, (name, state) in enumerate(sorted(graph.named_states(norm))):
        draw = np.random.default_rng(seed)
        state.value = jax.tree.map(
            lambda a: jnp.asarray(draw.uniform(0.5, 1.5, a.shape), a.dtype),  # noqa: B023
            state.value,
        )
        assert name
    return norm


def native(momentum: float = 0.9, **options: Any) -> Any:
    """A batch normalisation of Equinox with its state."""
    given = {"input_size": 3, "axis_name": "batch", "momentum": momentum, "mode": "batch"}
    return eqx.nn.make_with_state(eqx.nn.BatchNorm)(**{**given, **options})


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 1 - 2.0**-24])
def test_training_goes_on_as_it_would_have(momentum: float) -> None:
    norm = drawn(nn.BatchNorm0d(3, momentum=momentum))
    model, state = to_equinox(norm, stateful=True)
    assert model.inference
    np.testing.assert_allclose(batched(model)(BATCH, state)[0], evaluated(norm, BATCH), **CLOSE)
    for scale in range(3):
        x = BATCH * (1 + scale)
        y, state = batched(model, train=True)(x, state)
        np.testing.assert_allclose(y, trained(norm, x), **CLOSE)
        np.testing.assert_allclose(batched(model)(x, state)[0], evaluated(norm, x), **CLOSE)
    back = from_equinox(model, state, sample_input=(3,))
    np.testing.assert_allclose(evaluated(back, BATCH), evaluated(norm, BATCH), **CLOSE)


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("where", ["jax", "numpy", "traced"])
def test_a_statistic_of_few_steps_becomes_what_evaluation_makes_of_it(
    steps: int, where: str
) -> None:
    model, state = native()
    for step in range(steps):
        _, state = batched(model, train=True)(BATCH + step, state)
    expected = batched(model)(BATCH, state)[0]
    if where == "numpy":
        state = jax.tree.map(np.asarray, state)
    if where == "traced":
        found = eqx.filter_jit(
            lambda model, state, x: evaluated(from_equinox(model, state, sample_input=(3,)), x)
        )(model, state, BATCH)
    else:
        back = from_equinox(model, state, sample_input=(3,))
        found = evaluated(back, BATCH)
        kind = np.ndarray if where == "numpy" else jax.Array
        assert isinstance(back.running_mean.value, kind)
        assert back.running_mean.value.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_verification_knows_of_the_counter() -> None:
    model, state = native()
    _, state = batched(model, train=True)(BATCH, state)
    for _ in range(2):  # with the counter of one step, then with the one that exports have
        back = from_equinox(model, state, sample_input=(3,), verify=True)
        model, state = to_equinox(back, stateful=True, verify=True)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(drawn(nn.BatchNorm2d((2, 2, 3))), nn.ReLU(), nn.Dropout(0.5)),
        nn.Flatten(in_size=(2, 2, 3)),
        nn.Linear(12, 5),
        drawn(nn.BatchNorm0d(5)),
    )


IMAGES = jax.random.normal(jax.random.key(1), (4, 2, 2, 3))
FIRST = jnp.moveaxis(IMAGES, -1, 1)


def test_a_nested_stack_is_called_as_equinox_calls_its_own() -> None:
    core = network()
    model, state = to_equinox(core, stateful=True)
    expected = evaluated(core, IMAGES)
    np.testing.assert_allclose(batched(model)(FIRST, state)[0], expected, **CLOSE)
    made, made_state = eqx.nn.make_with_state(eqx.nn.Sequential)(to_native(model.layers))
    for of_equinox, converted in ((made, model), (made_state, state)):
        structures: list[Any] = [jax.tree.structure(tree) for tree in (of_equinox, converted)]
        assert structures[0] == structures[1]
    back = from_equinox(model, state, sample_input=(2, 2, 3))
    np.testing.assert_allclose(evaluated(back, IMAGES), expected, **CLOSE)


def to_native(layers: Any) -> list[Any]:
    """The same layers, with batch normalisations fresh from their constructor."""
    made = []
    for layer in layers:
        if type(layer) is eqx.nn.Sequential:
            layer = eqx.nn.Sequential(to_native(layer.layers))
        if type(layer) is eqx.nn.BatchNorm:
            layer = eqx.nn.BatchNorm(layer.input_size, "batch", inference=True, mode="batch")
        made.append(layer)
    return made


def test_a_shared_norm_keeps_one_pair_of_statistics() -> None:
    norm, dense = drawn(nn.BatchNorm0d(3)), nn.Linear(3, 3)
    core = nn.Sequential(norm, dense, norm, dense)
    model, state = to_equinox(core, stateful=True)
    assert model.layers[0] is model.layers[2]
    assert model.layers[1] is model.layers[3]
    assert len(jax.tree.leaves(state)) == 3
    for _ in range(2):
        y, state = batched(model, train=True)(BATCH, state)
        np.testing.assert_allclose(y, trained(core, BATCH), **CLOSE)
    back = from_equinox(model, state, sample_input=(3,))
    assert back.layers[0] is back.layers[2]
    np.testing.assert_allclose(evaluated(back, BATCH), evaluated(core, BATCH), **CLOSE)
    # A transformation of the tree makes two layers, which still have one place in the state.
    with pytest.raises(UnsupportedStructureError, match=r"batch_state_index of layers\[0\]"):
        from_equinox(eqx.nn.inference_mode(model, False), state, sample_input=(3,))


def test_a_mapped_axis_of_the_core_stands_beside_the_batch() -> None:
    norm = drawn(nn.BatchNorm0d(3, axis_name="devices"))
    model, state = to_equinox(norm, stateful=True)
    assert model.axis_name == ("batch", "devices")
    x = jnp.stack([BATCH, BATCH * 3])

    def core_step(x: Any) -> Any:
        copy = jax.tree.map(lambda array: array, norm)
        return trained(copy, x), copy.running_var.value

    expected, variance = jax.vmap(core_step, axis_name="devices", out_axes=(0, None))(x)
    found, state = jax.vmap(
        batched(model, train=True), axis_name="devices", in_axes=(0, None), out_axes=(0, None)
    )(x, state)
    np.testing.assert_allclose(found, expected, **CLOSE)
    back = from_equinox(model, state, sample_input=(3,))
    assert back.axis_name == "devices"
    np.testing.assert_allclose(back.running_var.value, variance, **CLOSE)


def test_the_batch_axis_has_the_name_that_is_asked_for() -> None:
    (model, state) = to_equinox(drawn(nn.BatchNorm0d(3)), stateful=True, axis_name="b", verify=True)
    assert model.axis_name == "b"
    back = from_equinox(model, state, sample_input=(3,), verify=True)
    assert back.axis_name is None
    assert to_equinox(back, stateful=True, axis_name="b")[0].axis_name == "b"
    over_two = nn.Sequential(drawn(nn.BatchNorm0d(3, axis_name="batch")))
    model, state = to_equinox(over_two, stateful=True, axis_name="b")
    assert model.layers[0].axis_name == ("b", "batch")
    assert (
        from_equinox(model, state, sample_input=(3,), axis_name="b").layers[0].axis_name == "batch"
    )
    with pytest.raises(UnsupportedConfigurationError, match=r"axis_name='batch'.*axis_name=\.\.\."):
        to_equinox(over_two, stateful=True)
    with pytest.raises(ValueError, match="one mapped axis"):
        to_equinox(over_two, stateful=True, axis_name=("a", "b"))


def test_shapes_convert_like_arrays() -> None:
    with nn.init.abstract():
        core = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm0d(3))
    model, state = to_equinox(core, stateful=True)
    concrete = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm0d(3))
    expected = jax.eval_shape(lambda: to_equinox(concrete, stateful=True)[1])
    leaves = jax.tree.leaves(state)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
    assert [(a.shape, a.dtype) for a in leaves] == [
        (a.shape, a.dtype) for a in jax.tree.leaves(expected)
    ]
    back = from_equinox(model, state, sample_input=(4,))
    assert isinstance(back.layers[1].running_var.value, jax.ShapeDtypeStruct)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_state_keeps_its_dtypes(dtype: str) -> None:
    norm = jax.tree.map(
        lambda array: np.asarray(array).astype(jnp.dtype(dtype)), drawn(nn.BatchNorm0d(3))
    )
    model, state = to_equinox(norm, stateful=True)
    _, *statistics = jax.tree.leaves(state)
    assert [array.dtype for array in statistics] == [jnp.dtype(dtype)] * 2
    assert isinstance(statistics[0], np.ndarray)
    back = from_equinox(model, state, sample_input=(3,))
    np.testing.assert_array_equal(back.running_var.value, norm.running_var.value)
    assert back.running_var.value.dtype == jnp.dtype(dtype)


def test_without_a_state_both_ways_out_are_named() -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        to_equinox(network())
    assert [problem.path for problem in caught.value.problems] == [
        ("layers", 0, "layers", 0),
        ("layers", 3),
    ]
    for problem in caught.value.problems:
        assert "stateful=True" in problem.advice
        assert "fold_batch_norm=True" in problem.advice


ARRAY: Any = {"epsilon": jnp.ones(3)}
NORMS = {
    "last": lambda: nn.BatchNorm2d((2, 2, 3), epsilon=1e-2),
    "scale": lambda: nn.BatchNorm2d((2, 2, 3), bias_initializer=None),
    "bias": lambda: nn.BatchNorm2d((2, 2, 3), scale_initializer=None),
    "plain": lambda: nn.BatchNorm2d((2, 2, 3), affine=False),
    "first": lambda: nn.BatchNorm2d((3, 2, 2), feature_axis=np.int64(0)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NORMS)
def test_a_folded_norm_is_its_evaluation(name: str) -> None:
    norm = drawn(NORMS[name]())
    norm.running_mean.value = norm.running_mean.value + 1e3
    model = to_equinox(norm, fold_batch_norm=True)
    assert type(model) is companions.ScaleAndShift
    x = IMAGES + 1e3 if name != "first" else jnp.moveaxis(IMAGES, -1, 1) + 1e3
    expected = evaluated(norm, x)
    found = jax.vmap(model)(jnp.moveaxis(x, -1, 1) if name != "first" else x)
    found = jnp.moveaxis(found, 1, -1) if name != "first" else found
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(UnsupportedLayerError, match="running statistics to go on"):
        from_equinox(model, sample_input=norm.in_size)


def test_a_network_is_folded_with_and_without_a_state() -> None:
    core = network()
    expected = evaluated(core, IMAGES)
    model = to_equinox(core, fold_batch_norm=True)
    np.testing.assert_allclose(jax.vmap(model)(FIRST), expected, **CLOSE)
    model, state = to_equinox(core, fold_batch_norm=True, stateful=True)
    assert not jax.tree.leaves(state)
    np.testing.assert_allclose(batched(model)(FIRST, state)[0], expected, **CLOSE)
    with nn.init.abstract():
        shapes = nn.BatchNorm0d(3)
    folded = to_equinox(shapes, fold_batch_norm=True)
    assert folded.scale == jax.ShapeDtypeStruct((3,), jnp.float32)


def test_rows_of_folded_norms_speak_of_everything() -> None:
    speaking, existing, *_ = ROW_CHECKS
    for row in FOLDED:
        speaking(HARNESS, row)
        existing(HARNESS, row)


def test_what_cannot_be_folded_is_refused() -> None:
    with pytest.raises(UnsupportedConfigurationError, match="no running statistics"):
        to_equinox(nn.BatchNorm0d(3, affine=False, track_running_stats=False), fold_batch_norm=True)
    counts = jax.tree.map(lambda array: array.astype(int), nn.BatchNorm0d(3))
    with pytest.raises(UnsupportedConfigurationError, match="of int32; cast"):
        to_equinox(counts, fold_batch_norm=True)
    with pytest.raises(UnsupportedConfigurationError, match="is no number"):
        to_equinox(nn.BatchNorm0d(3, **ARRAY), fold_batch_norm=True)
    mixed: Any = nn.BatchNorm0d(3)
    mixed.running_var.value = mixed.running_var.value.astype(jnp.bfloat16)
    with pytest.raises(ConversionError, match="one dtype"):
        to_equinox(mixed, fold_batch_norm=True)
    with pytest.raises(ValueError, match="3 channels"):
        companions.ScaleAndShift(3)(jnp.ones((2, 3)))


def _used_up() -> Any:
    model, state = native()
    state.set(model.batch_counter, jnp.asarray(1))
    return model, state


def _mapped() -> Any:
    model, state = native()
    return model, jax.tree.map(lambda array: jnp.stack([array] * 2), state)


def _whole_numbers() -> Any:
    model, state = native()
    _, state = batched(model, train=True)(BATCH, state)
    return model, jax.tree.map(lambda array: array.astype(int), state)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: (native()[0], None), ConversionError, "not passed; pass it too"),
        (lambda: (native()[0], {}), NotAModelError, "a dict, not an eqx.nn.State"),
        (lambda: (None, native()[1]), NotAModelError, "got None"),
        (_used_up, ConversionError, "the state is an old one"),
        (_mapped, ConversionError, r"the state has a batch axis; map with .*in_axes=\(0, None\)"),
        (_whole_numbers, UnsupportedLayerError, "int32; cast"),
        (
            lambda: (native()[0], eqx.nn.make_with_state(eqx.nn.Sequential)([])[1]),
            ConversionError,
            "in another eqx.nn.State than the one",
        ),
        (
            lambda: (eqx.nn.Identity(), native()[1]),
            ConversionError,
            r"holds 3 arrays, and the model asks for 0; pass state.substate",
        ),
    ],
)
def test_a_state_that_does_not_belong_to_the_model(
    make: Callable[[], Any], error: type[InteropError], message: str
) -> None:
    model, state = make()
    with pytest.raises(error, match=message):
        from_equinox(model, state, sample_input=(3,))


class Counter(eqx.nn.StatefulLayer):
    """Adds how often it was called."""

    count: eqx.nn.StateIndex[Any]

    def __init__(self) -> None:
        self.count = eqx.nn.StateIndex(jnp.zeros(()))

    def __call__(self, x: Any, state: eqx.nn.State, *, key: Any = None) -> Any:
        return x + state.get(self.count), state.set(self.count, state.get(self.count) + 1)


class CoreCounter(nn.Module):
    def __init__(self, start: Any = 0.0) -> None:
        super().__init__()
        self.start = start

    def update(self, x: Any) -> Any:
        return x + self.start


class MyNorm(eqx.nn.BatchNorm):
    """May compute anything."""


MINE: Any = MyNorm


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (Counter, UnmappedLayerError, "no row names exactly this layer"),
        (lambda: MINE(3, "batch", mode="batch"), UnmappedLayerError, "extends BatchNorm"),
    ],
)
def test_other_layers_with_a_state_are_refused(
    make: Callable[[], Any], error: type[InteropError], message: str
) -> None:
    model, state = eqx.nn.make_with_state(lambda: eqx.nn.Sequential([make()]))()
    for given in (None, state):
        with pytest.raises(error, match=message):
            from_equinox(model, given, sample_input=(3,))


def test_a_layer_with_a_state_can_be_taught() -> None:
    def to_core(pair: Any, _: Any) -> Any:
        layer, state = pair
        return CoreCounter(state.get(layer.count))

    mapping = LayerMapping(
        CoreCounter, "equinox", Counter, to_core, lambda _, __: eqx.nn.make_with_state(Counter)()
    )
    with registrations():
        register_layer_mapping(mapping)
        model, state = to_equinox(nn.Sequential(CoreCounter(), nn.ReLU()), stateful=True)
        y, state = model(jnp.ones(3), state)
        y, state = model(y, state)
        np.testing.assert_array_equal(y, jnp.full(3, 2.0))
        back = from_equinox(model, state)
        np.testing.assert_array_equal(back(jnp.ones(3)), jnp.full(3, 3.0))
        with pytest.raises(UnsupportedStructureError, match="stateful=True"):
            to_equinox(CoreCounter())


def test_a_pair_is_explained() -> None:
    model, state = to_equinox(network(), stateful=True)
    explanation = explain((model, state), to="core", sample_input=(2, 2, 3))
    assert explanation.convertible
    assert re.search(r"eqx.nn.BatchNorm +nn.BatchNorm0d +mean: =; var: =", str(explanation))
