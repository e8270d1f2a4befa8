"""Arrays that are spread over four devices; `test_sharded` runs this file where there are so many.

A result has to lie as its axes did, and to hold the very numbers.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from interop_core import AxisNames, ConversionError, LostNamesWarning, explain, nn
from interop_core.batched import batched_axes
from interop_core.layout import Blocks, Join, Shift, Split, axes, carry, chain
from interop_core.reshape import Reshape
from interop_equinox import from_equinox, to_equinox
from interop_linen import to_linen
from interop_nnx import from_nnx, to_nnx

P: Any = PartitionSpec  # its constructor is untyped in some releases of jax

NONE = (None, None, None)

pytestmark = pytest.mark.skipif(jax.device_count() < 4, reason="needs four devices")


@pytest.fixture(params=[AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
def mesh(request: pytest.FixtureRequest) -> Any:
    return jax.make_mesh((2, 2), ("x", "y"), axis_types=(request.param,) * 2)


def spread(mesh: Any, shape: tuple[int, ...], *spec: Any) -> Any:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return jax.device_put(values, NamedSharding(mesh, P(*spec)))


def padded(array: Any) -> tuple[Any, ...]:
    spec: tuple[Any, ...] = tuple(array.sharding.spec)
    return (*spec, *[None] * (array.ndim - len(spec)))


@pytest.mark.parametrize(
    "layout, given, wanted",
    [
        (axes("i o -> o i"), [((4, 6), "x", "y")], [("y", "x")]),
        (axes("h i o -> o 1 i h"), [((3, 2, 8), None, None, ("x", "y"))], [(("x", "y"), *NONE)]),
        (Blocks("igfo", "ifgo"), [((3, 8), None, "x")], [(None, "x")]),
        (Split((4, 4), 1), [((2, 8), "x", "y")], [("x", "y"), ("x", "y")]),
        (Split((3, 1), 0), [((4, 2), "x", "y")], [(None, "y"), (None, "y")]),
        (Join((4, 4), 0), [((4,), "x"), ((4,), None)], [("x",)]),
        (Shift("ifgo", "f", 1.0), [((8,), "y")], [("y",)]),
        (Reshape((4, 6), (24,)), [((4, 6), "x")], [("x",)]),
        (Reshape((24,), (3, 8)), [((24,), "x")], [(None, None)]),
        (Reshape((2, 2, 6), (4, 6)), [((2, 2, 6), None, None, "y")], [(None, "y")]),
        (
            batched_axes("h c -> c h"),
            [((2, 3, 4), "x"), ((3, 4), None, "y")],
            [("x", None, None), ("y", None)],
        ),
        (chain(Blocks("ab", "ba", 0), axes("i o -> o i")), [((4, 6), "x", "y")], [("y", "x")]),
    ],
    ids=str,
)
def test_a_layout_keeps_the_sharding(mesh: Any, layout: Any, given: Any, wanted: Any) -> None:
    arrays = [spread(mesh, shape, *spec) for shape, *spec in given]
    moved = carry(layout, arrays)
    plain = carry(layout, [np.asarray(array) for array in arrays])
    assert [padded(array) for array in moved] == wanted
    assert all(array.sharding.mesh == mesh for array in moved)
    for array, expected in zip(moved, plain, strict=True):
        np.testing.assert_array_equal(array, expected)
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding) for a in arrays]
    for array, shape in zip(moved, carry(layout, shapes), strict=True):
        assert (shape.shape, shape.sharding) == (array.shape, array.sharding)


def linear(mesh: Any) -> nn.Linear:
    layer = nn.Linear(4, 6)
    layer.weight.value = {"weight": spread(mesh, (4, 6), "x", "y"), "bias": spread(mesh, (6,), "y")}
    return layer


def test_a_model_keeps_its_sharding(mesh: Any) -> None:
    core = linear(mesh)
    there = to_equinox(core)
    assert (padded(there.weight), padded(there.bias)) == (("y", "x"), ("y",))
    back = from_equinox(there)
    assert padded(back.weight.value["weight"]) == ("x", "y")
    np.testing.assert_array_equal(back.weight.value["weight"], core.weight.value["weight"])
    flax = to_nnx(core, copy=True)
    assert flax.kernel.get_value() is not core.weight.value["weight"]
    assert padded(from_nnx(flax).weight.value["weight"]) == ("x", "y")
    assert to_linen(core)[1]["params"]["kernel"] is core.weight.value["weight"]
    for convert in (to_equinox, to_nnx, to_linen):
        convert(core, verify=True)


def test_the_plan_says_what_cutting_a_sharded_axis_costs() -> None:
    mesh = jax.make_mesh((4,), ("x",), axis_types=(AxisType.Auto,))
    cell = nn.LSTMCell(4, 8)
    cell.W.weight.value = {
        name: jax.device_put(array, NamedSharding(mesh, P(*(None,) * (array.ndim - 1), "x")))
        for name, array in cell.W.weight.value.items()
    }
    text = str(explain(cell, "equinox"))
    assert "cost: model (nn.LSTMCell): W.weight.weight: blocks" in text
    assert "spread over 'x', so that parts move between devices" in text


def test_an_axis_that_moves_whole_costs_nothing(mesh: Any) -> None:
    assert not explain(linear(mesh), "equinox").costs


def test_arrays_on_different_devices_are_refused() -> None:
    one, two, *_ = jax.devices()
    cell = eqx.nn.LSTMCell(3, 2, key=jax.random.key(0))
    parts = (jax.device_put(cell.weight_ih, one), jax.device_put(cell.weight_hh, two))
    cell = eqx.tree_at(lambda cell: (cell.weight_ih, cell.weight_hh), cell, parts)
    with pytest.raises(ConversionError, match="lie on different devices"):
        from_equinox(cell)


def test_an_array_that_lies_on_a_mesh_needs_none_to_be_set() -> None:
    mesh = jax.make_mesh((2, 2), ("x", "y"), axis_types=(AxisType.Auto,) * 2)
    initializer: Any = nnx.with_partitioning(nnx.initializers.normal(), ("x", "y"))
    with jax.set_mesh(mesh):
        model: Any = nnx.Linear(4, 6, kernel_init=initializer, rngs=nnx.Rngs(0))
    assert padded(model.kernel.get_value()) == ("x", "y")
    core = from_nnx(model, verify=True)
    assert core.weight.axis_names == {"weight": AxisNames(("x", "y"))}
    assert padded(core.weight.value["weight"]) == ("x", "y")
    boxes = to_linen(core, verify=True)[1]["params"]
    assert boxes["kernel"].names == ("x", "y")
    with pytest.warns(LostNamesWarning):
        assert padded(to_equinox(core, verify=True).weight) == ("y", "x")
    with jax.set_mesh(mesh):  # what is made there lies where it lay
        assert to_nnx(core).kernel.get_value() is core.weight.value["weight"]


def test_a_traced_conversion_knows_no_sharding(mesh: Any) -> None:
    core = linear(mesh)

    def export(weight: Any) -> Any:
        layer = nn.Linear(4, 6)
        layer.weight.value = {"weight": weight, "bias": jnp.zeros(6)}
        return to_equinox(layer).weight

    there = jax.jit(export)(core.weight.value["weight"])
    np.testing.assert_array_equal(there, core.weight.value["weight"].T)
