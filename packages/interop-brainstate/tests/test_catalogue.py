"""Every row of the catalogue: converted both ways it keeps its arrays and computes the same."""

from __future__ import annotations

import re
import warnings
from typing import Any

import brainstate
import jax
import numpy as np
import pytest

from interop_brainstate import from_brainstate, supported_layers, to_brainstate
from interop_core import environ, nn
from interop_core.errors import InteropError
from interop_core.testing.catalogue import ROWS, Row

# What does not convert, and the reason it gives: by layer, or by layer and case.
NOT_CONVERTED = {
    "Bidirectional": "no row names exactly this layer",
    "RNN": "no row names exactly this layer",
    "AllToAll-one weight": "one column for all outputs there",
    "ConvLSTMCell": "no row names exactly this layer",
    "ConvLocal1d": "no row names exactly this layer",
    "ConvLocal2d": "no row names exactly this layer",
    "ConvLocal3d": "no row names exactly this layer",
    "Delay-update_every": "takes no account of them there",
    "Dropout-nothing-kept": "gradient there that is not a number",
    "Einsum": "no row names exactly this layer",
    "EventLinear": "adds up a batch there",
    "FixedNumConn-pre": "does not work there",
    "SpectralNorm": "no row names exactly this layer",
    "WeightNorm": "no row names exactly this layer",
    "InstanceNorm": "no row names exactly this layer",
    "LinearGeneral": "no row names exactly this layer",
    "MaxPool1d-indices": "return_indices=True gives other indices there",
    "MaxPool2d-indices": "return_indices=True gives other indices there",
    "MoveAxis": "no row names exactly this layer",
    "MultiHeadAttention": "no row names exactly this layer",
    "RoPE": "no row names exactly this layer",
    "SpikeBitwise": "op='add' is refused there",
}
REFUSED = re.compile(
    "|".join(
        [
            "has no counterpart in brainstate",  # an option that only the core has
            "does not take these options",  # said by the other library's constructor
            "rounds the running statistics",
            "does not normalise there",
            "give other numbers there",
            "follows input and parameters",
            "in this release",
            "is not known to this release",
            *map(re.escape, NOT_CONVERTED.values()),
        ]
    )
)
# Layers whose published kernels need more than is installed, or take fewer kinds of input.
NOT_CALLED = {
    *("SpikeBitwise", "EventLinear", "SparseLinear", "EventFixedNumConn", "EventFixedProb"),
    "FixedNumConn-afferent_ratio, no repetition",
}

# Two names of one published class: its own name is the one that comes back.
ONE_CLASS = {"EventFixedProb": "EventFixedNumConn"}

SIDES: tuple[Any, Any] = ((nn, environ), (brainstate.nn, brainstate.environ))


def build(row: Row, side: int) -> Any:
    """The layer of a row in one library, with the states of a sequence."""
    library, settings = SIDES[side]
    with settings.context(**row.context):
        layer = row.make(library)
        if row.batch is not None:
            # A layer that holds its own batch takes none.
            try:
                layer.init_all_states(row.batch)
            except TypeError:
                layer.init_all_states()
    return layer


def outputs(row: Row, layer: Any, side: int) -> list[Any]:
    """What a layer gives, step by step, and its states at the end."""
    _, settings = SIDES[side]
    with settings.context(**row.context):
        given = [layer(*row.arguments(step)) for step in range(row.steps)]
    return jax.tree.leaves([given, held(layer)])


def held(layer: Any) -> dict[str, Any]:
    """The values of the states by path."""
    return {".".join(map(str, path)): state.value for path, state in states(layer).items()}


def states(layer: Any) -> Any:
    """The states by path; of what a Map maps, since brainstate 0.4 lists its own a second time."""
    return (layer.module if isinstance(layer, nn.Map | brainstate.nn.Map) else layer).states()


def arrays(layer: Any) -> list[int]:
    """The identities of the arrays, in the order of their paths."""
    found = sorted(held(layer).items())
    return [id(leaf) for _, value in found for leaf in jax.tree.leaves(value)]


@pytest.mark.parametrize("side", [0, 1], ids=["from the core", "from the published"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_layer_converts_or_says_why_not(row: Row, side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the published package warns of what it depends on
        try:
            layer = build(row, side)
        except Exception:
            if side == 0:
                raise
            pytest.skip("the published library has no such layer or option")
        check(row, layer, side)


def check(row: Row, layer: Any, side: int) -> None:
    go, back = (to_brainstate, from_brainstate) if side == 0 else (from_brainstate, to_brainstate)
    before = [library.random.DEFAULT.value for library in (brainstate, _core())]
    refused: InteropError | None = None
    converted: Any = None
    try:
        converted = go(layer)
    except InteropError as error:
        refused = error
    if refused is not None:
        assert refused.problems
        assert all(REFUSED.search(problem.reason) for problem in refused.problems), refused
        return
    assert named(converted) == named(layer)
    assert isinstance(converted, SIDES[1 - side][0].Module)
    assert held(converted).keys() == held(layer).keys()
    assert arrays(converted) == arrays(layer)
    for path, state in states(layer).items():
        assert type(states(converted)[path]).__name__ == type(state).__name__
    with environ.context(**row.context), brainstate.environ.context(**row.context):
        again = back(converted)  # a Delay of brainstate 0.4 is read by its time step
    assert named(again) == named(layer)
    assert isinstance(again, SIDES[side][0].Module)
    assert arrays(again) == arrays(layer)
    assert (again.in_size, again.out_size) == (layer.in_size, layer.out_size)
    after = [library.random.DEFAULT.value for library in (brainstate, _core())]
    assert all(x is y for x, y in zip(before, after, strict=True))
    if row.chance or NOT_CALLED & {row.name, str(row)}:
        return
    assert row.differs is None or "gradient" in row.differs
    expected = outputs(row, layer, side)
    for x, y in zip(expected, outputs(row, converted, 1 - side), strict=True):
        assert np.shape(x) == np.shape(y)
        assert np.asarray(x).dtype == np.asarray(y).dtype
        scale = float(np.max(np.abs(np.asarray(x, np.float64)), initial=1.0))
        np.testing.assert_allclose(
            np.asarray(x, np.float64), np.asarray(y, np.float64), atol=10 * row.tolerance * scale
        )


def named(layer: Any) -> str:
    """The name of a layer's class."""
    name = type(layer).__name__
    return ONE_CLASS.get(name, name)


def _core() -> Any:
    import interop_core

    return interop_core


def test_every_layer_of_the_catalogue_has_a_word() -> None:
    known = set(supported_layers()) | {name.partition("-")[0] for name in NOT_CONVERTED}
    assert {row.name for row in ROWS} <= known
