"""Recurrent cells inside a stack: what they carry stands in an `eqx.nn.State`."""

from __future__ import annotations

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
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    compare,
    environ,
    explain,
    nn,
    random,
)
from interop_equinox import companions, from_equinox, to_equinox

# Gates in float32, summed in another order, over a few steps.
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
STEPS = jax.random.normal(jax.random.key(0), (3, 2, 3))
IMAGES = jax.random.normal(jax.random.key(0), (3, 2, 3, 2, 2))
KEY = jax.random.key(1)


def stack() -> nn.Sequential:
    with random.seed_context(0):
        return nn.Sequential(nn.Linear(3, 4), nn.GRUCell(4, 4), nn.LSTMCell(4, 5), nn.Linear(5, 2))


def over_a_batch(model: Any, state: Any) -> Callable[..., Any]:
    """The model as users of Equinox map one whose examples have a state of their own."""
    axes = companions.carry_axes(model, state)
    mapped = jax.vmap(model, axis_name="batch", in_axes=(0, axes), out_axes=(0, axes))
    step: Callable[..., Any] = jax.jit(mapped)
    return step


def agrees_step_by_step(core: Any, model: Any, state: Any, steps: Any = STEPS) -> Any:
    """Step both through the inputs from where they stand, and give the last state."""
    step = over_a_batch(model, state)
    for x in steps:
        y, state = step(x, state)
        np.testing.assert_allclose(y, core(x), **CLOSE)
    return state


def test_a_stack_is_stepped_from_the_start() -> None:
    core = stack()
    model, state = to_equinox(core, stateful=True)
    assert [type(layer) for layer in model.layers[1:3]] == [
        companions.StatefulGRUCell,
        companions.StatefulLSTMCell,
    ]
    nn.init_all_states(core, 2)
    agrees_step_by_step(core, model, companions.reset_carries(model, state, (2,)))
    # One example needs no mapping; its state is the one that comes out.
    nn.init_all_states(core)
    for x in STEPS[:, 0]:
        y, state = eqx.filter_jit(model)(x, state)
        np.testing.assert_allclose(y, core(x), **CLOSE)


@pytest.mark.parametrize("batch", [None, 2])
def test_hidden_states_go_and_come_back(batch: int | None) -> None:
    core = stack()
    nn.init_all_states(core, batch)
    for x in STEPS:
        core(x if batch else x[0])
    model, state = to_equinox(core, stateful=True)
    assert state.get(model.layers[1].h) is core.layers[1].h.value
    back = from_equinox(model, state)
    for name in ("c", "h"):
        held = getattr(core.layers[2], name).value
        np.testing.assert_array_equal(getattr(back.layers[2], name).value, held)
    if batch:
        state = agrees_step_by_step(core, model, state)
        back = from_equinox(model, state)
    x = STEPS[0] if batch else STEPS[0, 0]
    np.testing.assert_allclose(back(x), core(x), **CLOSE)


def test_a_state_of_equinox_has_the_structure_of_its_own() -> None:
    model, state = to_equinox(nn.Sequential(nn.GRUCell(3, 4)), stateful=True)
    made, its_state = eqx.nn.make_with_state(
        lambda: eqx.nn.Sequential([companions.StatefulGRUCell(3, 4, key=KEY)])
    )()
    for here, there in ((model, made), (state, its_state)):
        structures: list[Any] = [jax.tree.structure(tree) for tree in (here, there)]
        assert structures[0] == structures[1]
    agrees_step_by_step(
        from_equinox(made, companions.reset_carries(made, its_state, (2,))),
        made,
        companions.reset_carries(made, its_state, (2,)),
    )


def test_one_cell_in_two_places_carries_one_state() -> None:
    cell = nn.MGUCell(3, 3)
    core = nn.Sequential(cell, nn.Tanh(), cell)
    nn.init_all_states(core, 2)
    model, state = to_equinox(core, stateful=True, verify=True)
    assert model.layers[0] is model.layers[2]
    assert len(jax.tree.leaves(state)) == 1
    state = agrees_step_by_step(core, model, state)
    back = from_equinox(model, state, verify=True)
    assert back.layers[0] is back.layers[2]
    # Two layers with one place in the state are no layers of the core.
    apart = eqx.tree_at(lambda m: m.layers[2].Wf.weight, model, model.layers[0].Wf.weight * 2)
    with pytest.raises(UnsupportedStructureError, match=r"h of layers\[0\]"):
        from_equinox(apart, state)


def with_norm() -> nn.Sequential:
    with random.seed_context(0):
        return nn.Sequential(nn.BatchNorm0d(3), nn.MGUCell(3, 4), nn.Linear(4, 2))


@pytest.mark.parametrize("train", [False, True])
def test_the_examples_share_statistics_and_not_what_they_carry(train: bool) -> None:
    core = with_norm()
    nn.init_all_states(core, 2)
    model, state = to_equinox(core, stateful=True)
    assert state.get(model.layers[1].h).shape == (2, 4)
    with environ.context(fit=train):
        mode = eqx.nn.inference_mode(model, not train)
        state = agrees_step_by_step(core, mode, state)
    mean, _ = state.get(model.layers[0].batch_state_index)
    np.testing.assert_allclose(mean, core.layers[0].running_mean.value.ravel(), **CLOSE)
    back = from_equinox(model, state, sample_input=(3,))
    with environ.context(fit=False):
        y, _ = over_a_batch(model, state)(STEPS[0], state)
        np.testing.assert_allclose(back(STEPS[0]), y, **CLOSE)


def test_folded_norms_stand_beside_cells() -> None:
    core = with_norm()
    nn.init_all_states(core, 2)
    model, state = to_equinox(core, stateful=True, fold_batch_norm=True)
    assert len(jax.tree.leaves(state)) == 1
    with environ.context(fit=False):
        agrees_step_by_step(core, model, state)
    with pytest.raises(UnsupportedLayerError, match="keeps its hidden state in") as found:
        to_equinox(core, fold_batch_norm=True)
    (problem,) = found.value.problems
    assert problem.path == ("layers", 1)
    assert problem.advice == "pass stateful=True for the pair of model and state"


@pytest.mark.parametrize("batch", ["fresh", None, 2])
def test_verification_takes_a_step(batch: Any) -> None:
    with random.seed_context(0):  # the norm gets small numbers, which two ways of summing part
        core = nn.Sequential(nn.LSTMCell(3, 4), nn.BatchNorm0d(4), nn.Linear(4, 2))
    if batch != "fresh":
        nn.init_all_states(core, batch)
    before = jax.tree.map(np.asarray, core)
    model, state = to_equinox(core, stateful=True, verify=True)
    held = jax.tree.map(np.asarray, state)
    back = from_equinox(model, state, sample_input=(3,), verify=True)
    assert type(back.layers[0]) is nn.LSTMCell
    for tree, as_it_was in ((core, before), (state, held)):
        jax.tree.map(np.testing.assert_array_equal, tree, as_it_was)


def test_a_wrong_carry_is_noticed() -> None:
    core = nn.Sequential(nn.GRUCell(3, 2))
    nn.init_all_states(core, 2)
    model, state = to_equinox(core, stateful=True)
    assert compare(core, (model, state), STEPS[0])
    state = jax.tree.map(lambda array: array + 1, state)
    assert not compare(core, (model, state), STEPS[0])


def test_shapes_convert_like_arrays() -> None:
    with nn.init.abstract():
        core = stack()
    model, state = to_equinox(core, stateful=True)
    leaves = jax.tree.leaves(state)
    assert [leaf.shape for leaf in leaves] == [(4,), (5,), (5,)]
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
    back = from_equinox(model, state)
    assert isinstance(back.layers[1].h.value, jax.ShapeDtypeStruct)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_carry_begins_in_the_type_that_the_core_begins_it_in(dtype: str) -> None:
    core = jax.tree.map(
        lambda array: array.astype(jnp.dtype(dtype)), nn.Sequential(nn.GRUCell(3, 4))
    )
    model, state = to_equinox(core, stateful=True)
    nn.init_all_states(core, 2)
    state = companions.reset_carries(model, state, (2,))
    for kind in (dtype, "float32"):
        x = STEPS[0].astype(kind)
        y, state = over_a_batch(model, state)(x, state)
        expected = core(x)
        assert y.dtype == expected.dtype == jnp.float32
        np.testing.assert_allclose(y, expected, rtol=2e-2, atol=2e-2)
    narrow = jax.tree.map(lambda array: array.astype(jnp.dtype(dtype)), core)
    assert to_equinox(narrow, stateful=True)[1].get(model.layers[0].h).dtype == jnp.dtype(dtype)
    core.layers[0].h.value = core.layers[0].h.value.astype(jnp.dtype(dtype))
    core.layers[0].Wh.weight.value = jax.tree.map(
        lambda array: array.astype(jnp.float32), core.layers[0].Wh.weight.value
    )
    with pytest.raises(UnsupportedConfigurationError, match=f"{dtype} and becomes one of float32"):
        to_equinox(core, stateful=True)


def test_a_copy_shares_nothing() -> None:
    core = stack()
    nn.init_all_states(core, 2)
    model, state = to_equinox(core, stateful=True, copy=True)
    assert state.get(model.layers[1].h) is not core.layers[1].h.value
    np.testing.assert_array_equal(state.get(model.layers[1].h), core.layers[1].h.value)


def test_a_pair_is_explained() -> None:
    explanation = explain(to_equinox(stack(), stateful=True), to="core")
    assert explanation.convertible
    assert "companions.StatefulGRUCell" in str(explanation)


def _half() -> Any:
    model, state = to_equinox(stack(), stateful=True)
    whole = companions.reset_carries(model, state, (2,))
    return model, eqx.tree_at(lambda s: s.get(model.layers[2].c), whole, jnp.zeros(5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (to_equinox(stack(), stateful=True)[0], None), "was not passed; pass it too"),
        (_half, r"h, c|c, h"),
    ],
    ids=["no state", "half a batch"],
)
def test_a_state_that_does_not_fit(make: Callable[[], Any], message: str) -> None:
    model, state = make()
    with pytest.raises(ConversionError, match=message):
        from_equinox(model, state)


@pytest.mark.parametrize("kind", [eqx.nn.GRUCell, companions.MGUCell])
def test_a_cell_that_takes_its_carry_is_not_inside_a_stack(kind: Any) -> None:
    with pytest.raises(UnsupportedStructureError, match=r"layers\[0\] .*takes and returns its"):
        from_equinox(eqx.nn.Sequential([kind(3, 4, key=KEY)]))


def test_a_batch_is_mapped() -> None:
    model, state = to_equinox(nn.Sequential(nn.GRUCell(3, 4)), stateful=True)
    with pytest.raises(ValueError, match=r"shape \(2, 4\): map the model with in_axes=\(0, axes\)"):
        model(STEPS[0], companions.reset_carries(model, state, (2,)))
    with pytest.raises(InteropError, match="entry by entry"):
        to_equinox(nn.Sequential(nn.MGUCell(2, 2, activation=jnp.sort)), stateful=True)


@pytest.mark.parametrize("batch", [None, 2])
def test_images_are_carried_with_the_channels_first(batch: int | None) -> None:
    core = nn.Sequential(nn.ConvLSTMCell((3, 2, 2), 4, 2), nn.Conv2d((3, 2, 4), 1, 2))
    nn.init_all_states(core, batch)
    core(IMAGES[0] if batch else IMAGES[0, 0])
    model, state = to_equinox(core, stateful=True, verify=True)
    back = from_equinox(model, state, sample_input=(3, 2, 2), verify=bool(batch))
    for name in ("h", "c"):
        held = getattr(core.layers[0], name).value
        there = state.get(getattr(model.layers[0], name))
        np.testing.assert_array_equal(jnp.moveaxis(there, -3, -1), held)
        np.testing.assert_array_equal(getattr(back.layers[0], name).value, held)
    model, state = to_equinox(core, stateful=True, channels="last")
    if not batch:
        nn.init_all_states(core, 2)
        state = companions.reset_carries(model, state, (2,))
        assert state.get(model.layers[1].c).shape == (2, 4, 3, 2)
    agrees_step_by_step(core, model, state, IMAGES)


@pytest.mark.parametrize("norm", [nn.GroupNorm(4, num_groups=2), nn.InstanceNorm(4)], ids=repr)
def test_one_remembered_image_is_refused_beside_a_norm_over_groups(norm: nn.Module) -> None:
    core = nn.Sequential(norm, nn.ConvLSTMCell((3, 4), 2, 2))
    model, state = to_equinox(core, stateful=True)
    with pytest.raises(UnsupportedStructureError, match=r"remembers one image.*reset_carries"):
        from_equinox(model, state, sample_input=(3, 4))
    begun = companions.reset_carries(model, state, (2,))
    from_equinox(model, begun, sample_input=(3, 4), verify=True)
    nn.init_all_states(core)
    with pytest.raises(UnsupportedStructureError, match=r"layers\[1\] .*init_all_states"):
        to_equinox(core, stateful=True)
    nn.init_all_states(core, 2)
    to_equinox(core, stateful=True, verify=True)


def test_a_cell_over_images_keeps_the_type_of_what_it_carries() -> None:
    half = jax.tree.map(
        lambda array: array.astype(jnp.bfloat16),
        nn.Sequential(nn.ConvLSTMCell((3, 1), 2, 1, dtype=jnp.float32)),
    )
    model, state = to_equinox(half, stateful=True, channels="last")
    nn.init_all_states(half, 2)
    state = companions.reset_carries(model, state, (2,))
    state = agrees_step_by_step(half, model, state, IMAGES[..., 0, :1])
    half.layers[0].h.value = half.layers[0].h.value.astype(jnp.bfloat16)
    with pytest.raises(UnsupportedConfigurationError, match="and becomes one of float32"):
        to_equinox(half, stateful=True)
    with jax.enable_x64(True):
        double = jax.tree.map(lambda array: np.asarray(array, np.float64), half)
        del double.layers[0].h, double.layers[0].c
        model, state = to_equinox(double, stateful=True)
        assert {array.dtype for array in jax.tree.leaves(state)} == {np.dtype(np.float32)}


def test_sequences_of_images_are_read_from_both_ends() -> None:
    first, second = (nn.RNN(nn.ConvLSTMCell((3, 2), channels, 1)) for channels in (1, 2))
    core = nn.Bidirectional(first, second)
    movie = jnp.swapaxes(IMAGES[:2, ..., 0], 0, 1)
    model = to_equinox(core, sample_input=movie[0])
    back = from_equinox(model, sample_input=movie[0])
    expected = jax.jit(core)(movie)
    for same in (jax.vmap(model), back):
        np.testing.assert_allclose(jax.jit(same)(movie), expected, **CLOSE)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: companions.StatefulGRUCell(3, 4, key=KEY), (5, 3)),
        (lambda: companions.StatefulConvLSTMCell((2, 3), 4, 1, key=KEY), (5, 3, 2)),
    ],
    ids=["vectors", "images"],
)
def test_over_a_sequence_the_carry_is_handed_on(make: Callable[[], Any], size: Any) -> None:
    model, state = eqx.nn.make_with_state(lambda: companions.RNN(make()))()
    with pytest.raises(UnsupportedStructureError, match=r"cell .*RNN hands its cell the carry"):
        from_equinox(model, state, sample_input=size)


def test_a_dtype_that_is_none_is_refused() -> None:
    cell = nn.GRUCell(3, 4)
    cell.dtype = "half a float"
    with pytest.raises(UnsupportedConfigurationError, match="dtype='half a float' has no"):
        to_equinox(nn.Sequential(cell), stateful=True)
