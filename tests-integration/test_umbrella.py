"""The umbrella: every documented name, and no framework before one is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import brainstate_interop
import interop_brainstate
import interop_core
import interop_equinox
import interop_linen
import interop_nnx
from brainstate_interop import InteropError, explain, nn, supported_layers

DOCUMENTED = [
    "from_nnx", "to_nnx", "from_linen", "to_linen", "from_equinox", "to_equinox",
    "from_brainstate", "to_brainstate",
    "register_layer_mapping", "supported_layers", "LayerMapping",
    "InteropError", "MissingDependencyError", "UnmappedLayerError", "UnsupportedLayerError",
    "UnsupportedStructureError", "MissingShapeError", "ConversionError",
    "nn", "random", "environ", "explain",
]  # fmt: skip

# What the published package documents as convertible.
PUBLISHED = {
    "Conv1d", "Conv2d", "Conv3d", "Dropout", "Embedding", "GroupNorm", "LSTMCell", "LayerNorm",
    "Linear", "RMSNorm",
}  # fmt: skip
NORMS = {"BatchNorm0d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d"}


def test_every_documented_name_is_there() -> None:
    assert set(DOCUMENTED) <= set(brainstate_interop.__all__)
    for name in brainstate_interop.__all__:
        assert hasattr(brainstate_interop, name), name


def test_the_umbrella_adds_nothing_of_its_own() -> None:
    sides = ("nnx", "linen", "equinox", "brainstate")
    own = {f"{direction}_{side}" for direction in ("to", "from") for side in sides}
    for name in set(brainstate_interop.__all__) - own:
        assert getattr(brainstate_interop, name) is getattr(interop_core, name), name


@pytest.mark.parametrize(
    "module", [interop_nnx, interop_linen, interop_equinox, interop_brainstate]
)
def test_a_bridge_has_the_same_functions(module: object) -> None:
    name = module.__name__.removeprefix("interop_")  # type: ignore[attr-defined]
    for direction in ("to", "from"):
        assert f"{direction}_{name}" in module.__all__  # type: ignore[attr-defined]


def test_supported_layers_holds_all_that_is_documented() -> None:
    layers = supported_layers()
    assert {"nnx", "linen", "equinox"} <= layers.keys()
    assert set(layers["nnx"]) >= PUBLISHED | NORMS
    assert set(layers["linen"]) >= PUBLISHED | NORMS
    assert set(layers["equinox"]) >= PUBLISHED | NORMS
    assert all(names == sorted(names) for names in layers.values())
    assert supported_layers("nnx") == {"nnx": layers["nnx"]}


def test_an_unknown_framework_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="unknown framework 'torch'; use one of nnx, linen"):
        supported_layers("torch")
    with pytest.raises(InteropError, match="'torch'"):
        explain(nn.Linear(2, 3), to="torch")


def test_no_framework_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, brainstate_interop as b\n"
        "assert not {'flax', 'equinox', 'brainstate', 'rich'} & sys.modules.keys()\n"
        "b.to_equinox(b.nn.Linear(2, 3))\n"
        "assert 'equinox' in sys.modules and 'flax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
