"""The layout that reads the same numbers in another shape."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from interop_core.errors import Refusal
from interop_core.layout import carry
from interop_core.reshape import Reshape

FLAT = Reshape((2, 1, 3), (6,))


def test_there_and_back() -> None:
    array = jnp.arange(6.0).reshape(2, 1, 3)
    (flat,) = carry(FLAT, (array,))
    np.testing.assert_array_equal(flat, np.arange(6.0))
    (back,) = carry(FLAT.inverse, (flat,))
    np.testing.assert_array_equal(back, array)


def test_shapes_alone() -> None:
    (flat,) = carry(FLAT, (jax.ShapeDtypeStruct((2, 1, 3), jnp.bfloat16),))
    assert (flat.shape, flat.dtype) == ((6,), jnp.bfloat16)
    with pytest.raises(Refusal, match="expected the shape"):
        carry(FLAT, (jnp.ones((3, 1, 2)),))


@pytest.mark.parametrize(
    "spec, flat",
    [
        (("x", None, None), ("x",)),
        ((None, None, "y"), ("y",)),
        (("x", None, "y"), (("x", "y"),)),
        ((("x", "y"), None, "z"), (("x", "y", "z"),)),
        ((), (None,)),
    ],
)
def test_every_mesh_axis_stays(spec: tuple[object, ...], flat: tuple[object, ...]) -> None:
    assert FLAT.spec((PartitionSpec(*spec),)) == (PartitionSpec(*flat),)  # type: ignore[no-untyped-call,unused-ignore]


def test_a_mesh_axis_comes_back_to_the_axis_it_had() -> None:
    spec = PartitionSpec("x", None, "y")  # type: ignore[no-untyped-call,unused-ignore]
    assert FLAT.inverse.spec(FLAT.spec((spec,))) == (spec,)


def test_text() -> None:
    assert str(FLAT) == "(2, 1, 3) -> (6,)"
