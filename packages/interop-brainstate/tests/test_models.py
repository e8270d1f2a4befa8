"""Whole models: ties, states, what is refused and how, units, and what a user may register."""

from __future__ import annotations

import tracemalloc
from typing import Any

import brainstate
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import saiunit

from interop_brainstate import from_brainstate, register_state_type, to_brainstate
from interop_core import (
    LayerMapping,
    NotAModelError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedStructureError,
    environ,
    nn,
    register_layer_mapping,
    registrations,
    state,
)

SIDES: list[Any] = [
    pytest.param(nn, to_brainstate, id="to"),
    pytest.param(brainstate.nn, from_brainstate, id="from"),
]


@pytest.mark.parametrize("library, convert", SIDES)
def test_shared_layers_and_tied_states_stay_shared(library: Any, convert: Any) -> None:
    layer, other = library.Linear(3, 3), library.Linear(3, 3)
    other.weight = layer.weight
    model = convert(library.Sequential(layer, other, layer))
    assert model.layers[0] is model.layers[2]
    assert model.layers[1] is not model.layers[0]
    assert model.layers[1].weight is model.layers[0].weight


@pytest.mark.parametrize("library, convert", SIDES)
def test_a_write_to_one_model_leaves_the_other_alone(library: Any, convert: Any) -> None:
    layer = library.Linear(3, 3)
    other = convert(layer)
    before = layer.weight.value["weight"]
    other.weight.value["weight"] = jnp.zeros((3, 3))
    assert layer.weight.value["weight"] is before


@pytest.mark.parametrize("library, convert", SIDES)
def test_labels_and_sizes_stay(library: Any, convert: Any) -> None:
    layer = library.ReLU(name="gate")
    layer.in_size = (3,)
    other = convert(layer)
    assert (other.name, other.in_size) == ("gate", (3,))
    cell = library.LSTMCell(2, 3)
    cell.init_all_states(4, state_tag="mine")
    cell.h.name = "hidden"
    moved = convert(cell)
    assert (moved.h.name, set(moved.h.tag)) == ("hidden", {"mine"})
    assert moved.c.value is cell.c.value


def test_plain_functions_stay_and_those_of_the_library_are_exchanged() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.tanh, jnp.sin)
    published = to_brainstate(model)
    assert published.layers[1:] == [brainstate.nn.tanh, jnp.sin]
    assert from_brainstate(published).layers[1:] == [nn.tanh, jnp.sin]


def test_a_model_comes_back_with_its_structure() -> None:
    model = nn.Sequential(
        nn.Conv2d((6, 6, 3), 4, 3, padding=1), nn.BatchNorm2d((6, 6, 4)), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(1), nn.Linear(36, 8), nn.LayerNorm(8), nn.Dropout(0.9),
    )  # fmt: skip
    back = from_brainstate(to_brainstate(model))
    jax.tree.map(lambda a, b: None, model, back)  # raises where the structures differ
    pairs = zip(jax.tree.leaves(back), jax.tree.leaves(model), strict=True)
    assert all(a is b for a, b in pairs)


def test_training_goes_on_alike() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm0d((4,)), nn.Linear(4, 2))
    published = to_brainstate(model)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32)
    for _ in range(3):
        with environ.context(fit=True):
            ours = model(x)
        with brainstate.environ.context(fit=True):
            theirs = published(x)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for path, held in model.states(state.BatchState).items():
        np.testing.assert_allclose(held.value, published.states()[path].value, atol=1e-6)


@pytest.mark.parametrize("library, convert", SIDES)
def test_weights_keep_their_unit(library: Any, convert: Any) -> None:
    layer = library.Linear(2, 3, b_init=None)
    weight = jnp.ones((2, 3)) * saiunit.mV
    layer.weight.value = {"weight": weight}
    assert convert(layer).weight.value["weight"] is weight


@pytest.mark.parametrize("library, convert", SIDES)
def test_nothing_is_drawn_and_no_weight_is_copied(library: Any, convert: Any) -> None:
    model = library.Sequential(*(library.Linear(256, 256) for _ in range(4)))
    weights = [layer.weight.value["weight"] for layer in model.layers]
    key = brainstate.random.DEFAULT.value
    live = len(jax.live_arrays())
    tracemalloc.start()
    other = convert(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(a.weight.value["weight"] is w for a, w in zip(other.layers, weights, strict=True))
    assert brainstate.random.DEFAULT.value is key
    assert len(jax.live_arrays()) == live
    assert peak < weights[0].nbytes * 4


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("library, convert", SIDES)
def test_a_subclass_is_refused_with_its_path(library: Any, convert: Any) -> None:
    class Mine(library.Linear):  # type: ignore[misc]
        pass

    model = library.Sequential(library.Linear(2, 2), library.Sequential(Mine(2, 2)))
    with pytest.raises(UnmappedLayerError, match="it extends Linear") as caught:
        convert(model)
    assert caught.value.path == ("layers", 1, "layers", 0)
    assert "register_layer_mapping" in caught.value.advice


@pytest.mark.parametrize("library, convert", SIDES)
def test_a_users_own_model_is_refused(library: Any, convert: Any) -> None:
    class Net(library.Module):  # type: ignore[misc]
        pass

    with pytest.raises(UnmappedLayerError, match="no row names exactly this layer"):
        convert(Net())


@pytest.mark.parametrize("library, convert", SIDES)
def test_what_was_put_on_a_layer_is_refused(library: Any, convert: Any) -> None:
    extra, changed, own = library.Linear(2, 2), library.LayerNorm(4), library.ReLU()
    extra.scale = 2.0
    changed.epsilon = 0.5
    own.update = jnp.sin
    with pytest.raises(UnsupportedConfigurationError, match="scale differ"):
        convert(extra)
    assert convert(changed).epsilon == 0.5
    with pytest.raises(UnsupportedConfigurationError, match="update differ"):
        convert(own)


def test_what_a_published_constructor_derives_is_compared() -> None:
    layer = brainstate.nn.Conv2d((6, 6, 3), 4, 3)
    layer.dimension_numbers = None
    with pytest.raises(UnsupportedConfigurationError, match="dimension_numbers differ"):
        from_brainstate(layer)
    mapped = brainstate.nn.Vmap(brainstate.nn.Linear(2, 2))
    mapped.vmapped_fn = brainstate.nn.Vmap(mapped.module, axis_name="i").vmapped_fn
    with pytest.raises(UnsupportedConfigurationError, match="vmapped_fn differ"):
        from_brainstate(mapped)


@pytest.mark.parametrize(
    ("layer", "option"),
    [
        (nn.Linear(2, 2, precision="highest"), "precision"),
        (nn.Linear(2, 2, dtype=jnp.float16), "dtype"),
        (nn.Conv1d((4, 2), 2, 3, padding_mode="CIRCULAR"), "padding_mode"),
        (nn.LSTMCell(2, 3, forget_bias=0.0), "forget_bias"),
        (nn.GRUCell(2, 3, reset_after=True), "reset_after"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_option_beyond_the_published_layer_is_refused(layer: Any, option: str) -> None:
    with pytest.raises(UnsupportedConfigurationError, match=f"{option}=.*no counterpart") as caught:
        to_brainstate(layer)
    assert caught.value.field == option


def test_what_the_other_library_does_not_make_is_refused() -> None:
    parameter = brainstate.nn.Param(0.5, t=brainstate.nn.ClipT(1.0, -1.0))
    with pytest.raises(UnsupportedConfigurationError, match=r"ClipT .* bounds in order"):
        from_brainstate(parameter)


@pytest.mark.parametrize("library, convert", SIDES)
def test_transformations_and_penalties_with_units(library: Any, convert: Any) -> None:
    unit = saiunit.mV
    for bound in (
        library.SoftplusT(0.0 * unit),
        library.NegSoftplusT(3.0 * unit),
        library.ExpT(-1.0 * unit),
        library.SoftsignT(0.0 * unit, 3.0 * unit),
    ):
        value = jnp.array([0.5, 2.0]) * unit
        one = library.Param(value, t=bound, reg=library.L1Reg(0.5))
        other = convert(one)
        assert other.val.value is one.val.value
        assert other.value().unit == unit
        np.testing.assert_allclose(other.value() / unit, one.value() / unit, rtol=1e-6)
        np.testing.assert_allclose(other.reg_loss() / unit, 1.25, rtol=1e-6)


@pytest.mark.parametrize("library, convert", SIDES)
def test_what_computes_otherwise_is_refused(library: Any, convert: Any) -> None:
    for layer, reason in (
        (library.BatchNorm0d((3,), track_running_stats=False, affine=False), "does not normalise"),
        (library.BatchNorm0d((3,), dtype=jnp.float16), "rounds the running statistics"),
        (library.GroupNorm(4, num_groups=2, reduction_axes=(-1,)), "other numbers"),
        (library.MaxPool1d(2, return_indices=True), "other indices"),
    ):
        with pytest.raises(UnsupportedConfigurationError, match=reason):
            convert(layer)


def test_all_problems_come_at_once() -> None:
    model = nn.Sequential(
        nn.Linear(2, 2, dtype=jnp.float16),
        nn.MoveAxis(-1, -2),
        nn.Delay(jnp.ones(2)).access("now", None),
    )
    with pytest.raises(UnsupportedConfigurationError) as caught:
        to_brainstate(model)
    assert [problem.path for problem in caught.value.problems] == [("layers", i) for i in range(3)]
    kinds = [problem.error for problem in caught.value.problems[1:]]
    assert kinds == [UnmappedLayerError, UnsupportedStructureError]


@pytest.mark.parametrize("library, convert", SIDES)
def test_a_circle_and_a_method_are_refused(library: Any, convert: Any) -> None:
    loop = library.Sequential(library.ReLU())
    loop.layers.append(loop)
    with pytest.raises(UnsupportedStructureError, match="holds itself"):
        convert(loop)
    layer = library.Linear(2, 2)
    with pytest.raises(UnsupportedStructureError, match="a method of a layer"):
        convert(library.Sequential(library.ReLU(), layer.update))


@pytest.mark.parametrize("convert", [to_brainstate, from_brainstate])
@pytest.mark.parametrize("value", [None, 3, jnp.sin, nn.Linear, brainstate.nn.Linear])
def test_what_is_no_model_is_refused(convert: Any, value: Any) -> None:
    with pytest.raises(NotAModelError, match="pass a layer"):
        convert(value)


def test_a_model_of_the_other_side_is_refused() -> None:
    with pytest.raises(NotAModelError):
        to_brainstate(brainstate.nn.ReLU())
    with pytest.raises(NotAModelError):
        from_brainstate(nn.ReLU())


def test_hooks_on_a_state_are_refused() -> None:
    layer = brainstate.nn.Linear(2, 2)
    layer.weight.register_hook("read", lambda context: None, name="watch")
    with pytest.raises(UnsupportedConfigurationError, match="hooks"):
        from_brainstate(layer)


# -- what a user may teach -------------------------------------------------------------------------


class OurScale(nn.Module):
    """A layer of the user's."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor


class TheirScale(brainstate.nn.Module):  # type: ignore[misc]
    """The same for the published package."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor


def test_a_registered_mapping_is_used() -> None:
    mapping = LayerMapping(
        OurScale, "brainstate", TheirScale,
        lambda layer, context: OurScale(layer.factor),
        lambda layer, context: TheirScale(layer.factor),
    )  # fmt: skip
    with registrations():
        register_layer_mapping(mapping)
        there = to_brainstate(nn.Sequential(OurScale(3.0)))
        assert type(there.layers[0]) is TheirScale
        assert from_brainstate(there).layers[0].factor == 3.0
    with pytest.raises(UnmappedLayerError):
        to_brainstate(OurScale(3.0))


def test_a_state_type_of_ones_own_is_registered() -> None:
    ours = type("SlowState", (state.ParamState,), {})
    theirs = type("SlowState", (brainstate.ParamState,), {})
    layer = nn.Linear(2, 2, param_type=ours)
    with pytest.raises(UnsupportedConfigurationError, match="it extends ParamState"):
        to_brainstate(layer)
    register_state_type(ours, theirs)
    there = to_brainstate(layer)
    assert type(there.weight) is theirs
    assert type(from_brainstate(there).weight) is ours
    with pytest.raises(TypeError, match="state type"):
        register_state_type(theirs, ours)
    with pytest.raises(ValueError, match="one name"):
        register_state_type(ours, brainstate.ParamState)


# -- inside transformations ------------------------------------------------------------------------


def test_a_conversion_inside_jit_leaves_the_random_streams_alone() -> None:
    # As in a process that has drawn nothing yet: the key is no typed one until it is read.
    stream = brainstate.random.DEFAULT
    kept = stream._value
    stream._value = np.asarray([0, 1], np.uint32)
    try:
        layers = [brainstate.nn.Identity(), nn.Identity()]

        @jax.jit
        def run(x: Any) -> Any:
            return from_brainstate(layers[0])(x) + to_brainstate(layers[1])(x)

        run(jnp.ones(2))
        assert not isinstance(stream._value, jax.core.Tracer)
        assert not isinstance(stream.value, jax.core.Tracer)
    finally:
        stream._value = kept


@pytest.mark.parametrize("library, convert", SIDES)
def test_weights_of_a_trace_are_carried(library: Any, convert: Any) -> None:
    def loss(weight: Any) -> Any:
        layer = library.Linear(2, 3, w_init=library.init.ZeroInit())
        layer.weight.value = {"weight": weight, "bias": jnp.zeros(3)}
        return convert(layer)(jnp.ones((1, 2))).sum()

    np.testing.assert_allclose(jax.jit(jax.grad(loss))(jnp.ones((2, 3))), jnp.ones((2, 3)))


def test_shapes_are_carried_where_the_state_takes_them() -> None:
    layer, cell = nn.Linear(2, 3), nn.GRUCell(2, 3)
    cell.init_state(2)
    for state_ in (layer.weight, cell.h):
        state_.value = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state_.value)
    assert to_brainstate(layer).weight.value == layer.weight.value
    with pytest.raises(UnsupportedConfigurationError, match="h: a HiddenState does not hold shape"):
        to_brainstate(cell)


@pytest.mark.parametrize("library, convert", SIDES)
def test_a_layer_without_its_state_is_refused(library: Any, convert: Any) -> None:
    layer = library.Linear(2, 3)
    del layer.weight
    with pytest.raises(UnsupportedConfigurationError, match="weight"):
        convert(layer)
