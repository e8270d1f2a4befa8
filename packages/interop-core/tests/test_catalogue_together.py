"""All layers of the catalogue in one model: trained together, saved and restored together."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn, random
from interop_core.state import ParamState
from interop_core.testing import quick_compilation
from interop_core.testing.catalogue import ROWS, Row

TRAINED = [row for row in ROWS if not row.case and row.differentiable and not row.chance]


def built(row: Row) -> nn.Module:
    """A layer of a row, ready to be called."""
    with environ.context(**row.context):
        layer: nn.Module = row.make(nn)
        if row.batch is not None:
            nn.init_all_states(layer, row.batch)
    return layer


def everything(rows: list[Row]) -> dict[str, nn.Module]:
    """A layer of every row, by name."""
    random.seed(1)  # with some seeds a cell of few units has none that its relu lets through
    return {str(row): built(row) for row in rows}


def squares(layers: dict[str, nn.Module]) -> Any:
    """The mean square of all that the layers give."""
    total: Any = 0.0
    for row in TRAINED:
        with environ.context(**row.context):
            output = layers[str(row)](*row.arguments())
        total += sum(jnp.mean(jnp.square(x)) for x in jax.tree.leaves(output))
    return total


def split(layers: dict[str, nn.Module]) -> tuple[dict[str, Any], Any]:
    """The trainable values by name, and a function that puts such values into the layers."""
    states = {
        f"{name}.{'.'.join(map(str, path))}": state
        for name, layer in layers.items()
        for path, state in graph.states(layer, ParamState).items()
        if all(
            jnp.issubdtype(jnp.result_type(x), jnp.floating) for x in jax.tree.leaves(state.value)
        )
    }

    def put(values: dict[str, Any]) -> None:
        for name, value in values.items():
            states[name].value = value

    return {name: state.value for name, state in states.items()}, put


def test_optax_trains_them() -> None:
    layers = everything(TRAINED)
    values, _ = split(layers)
    assert len(values) > 20
    leaves, structure = jax.tree.flatten(layers)

    def loss(values: dict[str, Any], leaves: list[Any]) -> Any:
        model: Any = jax.tree.unflatten(structure, leaves)
        split(model)[1](values)
        return squares(model)

    optimizer = optax.sgd(1e-3)
    with quick_compilation():
        value_and_grad = jax.jit(jax.value_and_grad(loss))
        before, gradients = value_and_grad(values, leaves)
        updates, _ = optimizer.update(gradients, optimizer.init(values), values)
        after, _ = value_and_grad(optax.apply_updates(values, updates), leaves)
    assert np.isfinite(before)
    assert float(after) < float(before)
    still = [
        name
        for name, gradient in gradients.items()
        if not any(np.any(np.asarray(x)) for x in jax.tree.leaves(gradient))
    ]
    assert still == [], "parameters that nothing depends on"


@pytest.mark.filterwarnings("ignore:Couldn't find sharding info:UserWarning")  # there is one device
def test_orbax_saves_and_restores_them(tmp_path: Any) -> None:
    rows = [row for row in ROWS if not row.case]
    layers = jax.tree.map(
        lambda x: x + 1 if jnp.issubdtype(x.dtype, jnp.floating) else x, everything(rows)
    )
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "layers", layers)
        checkpointer.wait_until_finished()
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), layers)
        restored = checkpointer.restore(tmp_path / "layers", shapes)
    assert restored.keys() == layers.keys()
    flatten: Any = jax.tree.flatten
    for name, layer in layers.items():
        expected, structure = flatten(layer)
        found, found_structure = flatten(restored[name])
        assert found_structure == structure
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
