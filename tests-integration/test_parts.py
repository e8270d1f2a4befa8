"""Layers that hold layers, in every framework: what moves, what is refused, where it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import interop_equinox
import interop_linen
import interop_nnx
from interop_core import InteropError, LayerMapping, nn, register_layer_mapping, registrations
from interop_core.errors import UnmappedLayerError, UnsupportedStructureError

TO: dict[str, Callable[..., Any]] = {
    "nnx": interop_nnx.to_nnx,
    "linen": interop_linen.to_linen,
    "equinox": interop_equinox.to_equinox,
}
FROM: dict[str, Callable[..., Any]] = {
    "nnx": interop_nnx.from_nnx,
    "linen": lambda pair, **more: interop_linen.from_linen(*pair, **more),
    "equinox": interop_equinox.from_equinox,
}
SAMPLE = (5, 3)
X = jax.random.normal(jax.random.key(1), (2, *SAMPLE))

frameworks = pytest.mark.parametrize("framework", TO)


def called(framework: str, model: Any, x: Any) -> Any:
    """A batch through a model of the framework."""
    if framework == "linen":
        module, variables = model
        return module.apply(variables, x)
    return jax.vmap(model)(x) if framework == "equinox" else model(x)


def reader() -> nn.Sequential:
    """A network that reads a sequence from both ends, then once more from the last step."""
    both = nn.Bidirectional(nn.RNN(nn.GRUCell(4, 5)), nn.RNN(nn.LSTMCell(4, 2, forget_bias=0.0)))
    return nn.Sequential(
        nn.Linear(SAMPLE, (5, 4)),
        both,
        nn.RNN(nn.MGUCell(7, 3), reverse=True, keep_order=True),
        nn.LoRA(3, 1, 2, base_module=nn.Linear(3, 2)),
    )


@frameworks
def test_a_network_of_such_layers_there_and_back(framework: str) -> None:
    model = reader()
    there = TO[framework](model, verify=True, sample_input=SAMPLE)
    np.testing.assert_allclose(called(framework, there, X), model(X), rtol=1e-5, atol=1e-6)
    back = FROM[framework](there, sample_input=SAMPLE)
    ours, theirs = (jax.tree.leaves(m) for m in (model, back))
    assert len(ours) == len(theirs) > 10
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


@frameworks
def test_each_part_is_named_with_its_place(framework: str) -> None:
    class Own(nn.GRUCell):
        """Might compute something else."""

    model = nn.Sequential(
        nn.RNN(Own(3, 3)), nn.RNN(nn.GRUCell(3, 3, state_init=nn.init.Constant(0.5)))
    )
    with pytest.raises(InteropError) as caught:
        TO[framework](model, sample_input=SAMPLE)
    places = {problem.path: problem.error for problem in caught.value.problems}
    assert places == {
        ("layers", 0, "cell"): UnmappedLayerError,
        ("layers", 1, "cell"): UnsupportedStructureError,
    }
    assert "begins every sequence with what state_init=" in str(caught.value)


@frameworks
@pytest.mark.parametrize(
    ("base", "said"),
    [
        (nn.Sequential(nn.Linear(3, 2)), "is a stack"),
        (jnp.tanh, "(no row names|is no dense layer)"),
    ],
    ids=["stack", "function"],
)
def test_what_cannot_be_held_is_refused(framework: str, base: Any, said: str) -> None:
    with pytest.raises(InteropError, match=f"base_module .*{said}"):
        TO[framework](nn.LoRA(3, 1, 2, base_module=base))


@frameworks
def test_a_cell_in_two_places_would_become_two(framework: str) -> None:
    cell = nn.GRUCell(3, 3)
    with pytest.raises(UnsupportedStructureError, match="are one variable, and would be two"):
        TO[framework](nn.Sequential(nn.RNN(cell), nn.RNN(cell)), sample_input=SAMPLE)


@frameworks
def test_arrays_of_two_dtypes_around_and_inside_are_refused(framework: str) -> None:
    layer = nn.LoRA(3, 1, 2, base_module=nn.Linear(3, 2))
    layer.weight.value = jax.tree.map(lambda a: a.astype(jnp.bfloat16), layer.weight.value)
    with pytest.raises(InteropError, match="bfloat16 and float32"):
        TO[framework](layer)


@frameworks
def test_a_part_that_was_exchanged_is_seen(framework: str) -> None:
    plain = nn.ValinaRNNCell(3, 4)
    layer = nn.RNN(plain)
    TO[framework](layer, sample_input=SAMPLE)
    plain.activation = "tanh"
    for cell in (plain, nn.GRUCell(3, 4)):
        layer.cell = cell
        there = TO[framework](layer, sample_input=SAMPLE)
        np.testing.assert_allclose(called(framework, there, X), layer(X), rtol=1e-5, atol=1e-6)


@frameworks
def test_states_that_the_cell_holds_are_left_alone(framework: str) -> None:
    cell = nn.GRUCell(3, 4)
    layer = nn.RNN(cell)
    expected = layer(X)
    cell.init_state(2)
    cell.h.value = cell.h.value + 1
    np.testing.assert_array_equal(layer(X), expected)
    np.testing.assert_array_equal(cell.h.value, np.ones((2, 4)))
    there = TO[framework](layer, sample_input=SAMPLE)
    np.testing.assert_allclose(called(framework, there, X), expected, rtol=1e-5, atol=1e-6)


@frameworks
def test_a_mapping_by_hand_does_not_stand_inside(framework: str) -> None:
    class Own(nn.GRUCell):
        """Known to the registry alone."""

    mapping = LayerMapping(Own, framework, dict, lambda *_: None, lambda *_: None)
    with registrations():
        register_layer_mapping(mapping)
        with pytest.raises(InteropError, match="is converted by functions of its own"):
            TO[framework](nn.RNN(Own(3, 3)), sample_input=SAMPLE)


@pytest.mark.parametrize("framework", ["nnx", "linen"])
def test_another_first_carry_is_refused(framework: str) -> None:
    if framework == "nnx":
        cell = nnx.GRUCell(3, 4, rngs=nnx.Rngs(0))
        cell.carry_init = nnx.initializers.ones  # as an argument it warns
        model: Any = nnx.RNN(cell)
    else:
        module = linen.RNN(linen.GRUCell(4, carry_init=linen.initializers.ones))
        model = module, module.init(jax.random.key(0), X)
    with pytest.raises(InteropError, match="begins every sequence with what carry_init="):
        FROM[framework](model, sample_input=SAMPLE)


@pytest.mark.parametrize("framework", ["nnx", "linen"])
def test_a_first_carry_of_another_dtype_is_refused(framework: str) -> None:
    half: Any = {"param_dtype": jnp.bfloat16, "recurrent_kernel_init": jax.nn.initializers.ones}
    if framework == "nnx":
        model: Any = nnx.RNN(nnx.GRUCell(3, 4, **half, rngs=nnx.Rngs(0)))
    else:
        module = linen.RNN(linen.GRUCell(4, **half))
        model = module, module.init(jax.random.key(0), X.astype(jnp.bfloat16))
    with pytest.raises(InteropError, match="begins every sequence in bfloat16"):
        FROM[framework](model, sample_input=SAMPLE)


def test_a_linen_cell_goes_by_the_name_of_the_field() -> None:
    module = linen.RNN(linen.GRUCell(4, name="mine"))
    variables = module.init(jax.random.key(0), X)
    core = interop_linen.from_linen(module, variables, sample_input=SAMPLE)
    expected: Any = module.apply(variables, X)
    np.testing.assert_allclose(core(X), expected, rtol=1e-5, atol=1e-6)
    lacking: dict[str, Any] = {"params": {"cell": {}}}
    with pytest.raises(InteropError, match="cell"):
        interop_linen.from_linen(module, lacking, sample_input=SAMPLE)


def test_each_nnx_layer_has_a_random_stream_of_its_own() -> None:
    first, second = (interop_nnx.to_nnx(nn.RNN(nn.GRUCell(3, 4))) for _ in range(2))
    assert first.rngs is not second.rngs
    keys = [jax.tree.leaves(nnx.state(layer, nnx.RngKey))[0] for layer in (first, second)]
    assert keys[0] is not keys[1]
