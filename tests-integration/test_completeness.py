"""Every layer of the core and of the frameworks converts, or is refused with a reason of its own.

The frameworks' exports are read as they are installed: a layer that a release adds is missing here
by its name until it has a row.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import fuzz
from interop_core import nn, tables
from interop_core.conversion import convert_to
from interop_core.errors import UnsupportedLayerError
from interop_core.mapping import Unconvertible
from interop_core.registry import for_core, for_foreign

BASES = {
    "Module": "the base of every layer",
    "ElementWiseBlock": "the base of the element-wise layers",
    "RNNCell": "the base of the recurrent cells",
    "Regularization": "the base of the penalties",
    "Sequential": "the planner's own: it walks through stacks",
}
"""Classes of the core that are no layers to convert, and what they are."""

RECOGNISED = {
    "Lambda": "looked up by the function that it calls",
    "MLP": "walked through as the stack of layers that it is",
}
"""Layers of Equinox that the bridge takes apart before any row is asked for."""

CORE = [
    cls
    for cls in dict.fromkeys(getattr(nn, name) for name in nn.__all__)
    if inspect.isclass(cls) and issubclass(cls, nn.Module) and cls.__name__ not in BASES
]


def foreign_layers() -> list[Any]:
    return [
        pytest.param(framework, layer, id=f"{framework}-{layer.__name__}")
        for framework, kind in fuzz.KINDS.items()
        for layer in dict.fromkeys(kind.layers)
        if layer.__name__ not in RECOGNISED
    ]


@pytest.mark.parametrize("layer", CORE, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("framework", fuzz.KINDS)
def test_a_layer_of_the_core_has_a_row_or_a_reason(framework: str, layer: type) -> None:
    found = for_core(fuzz.KINDS[framework].bridge, layer)
    assert found, f"{framework} has no row for nn.{layer.__name__}, and no word why"
    if isinstance(found, Unconvertible):
        assert len(found.reason) > 10


@pytest.mark.parametrize(("framework", "layer"), foreign_layers())
def test_a_layer_of_a_framework_has_a_row_or_a_reason(framework: str, layer: type) -> None:
    found = for_foreign(fuzz.KINDS[framework].bridge, layer)
    assert found, f"{framework} exports {layer.__name__}, which has no row, and no word why"
    if isinstance(found, Unconvertible):
        assert len(found.reason) > 10


@pytest.mark.parametrize("framework", fuzz.KINDS)
def test_a_parameter_on_its_own_is_no_model(framework: str) -> None:
    parameter = nn.Param(np.ones(3, np.float32), t=nn.SoftplusT(0.0))
    with pytest.raises(UnsupportedLayerError, match=r"one parameter and no layer.*\.value\(\)"):
        convert_to(fuzz.KINDS[framework].bridge, parameter, apply_transforms=True)


def test_what_is_said_to_be_a_base_is_one_of_the_core() -> None:
    assert BASES.keys() <= set(nn.__all__)


def test_no_cell_of_the_table_is_empty() -> None:
    bridges = [kind.bridge for kind in fuzz.KINDS.values()]
    lines = tables.overview(bridges, reasons=True).splitlines()
    cells = {line.split(" | ")[0]: line.strip("| ").split(" | ") for line in lines[2:]}
    bare = {name: held for name, held in cells.items() if {"", "—"} & set(held) or len(held) != 4}
    assert not bare
    assert len(cells) > 100
