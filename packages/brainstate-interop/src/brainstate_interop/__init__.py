"""Move models between brainstate.nn layers, Flax NNX, Flax Linen and Equinox.

Everything here lives in `interop_core` and the bridges; a framework is imported when a function
that needs it is called.
"""

from __future__ import annotations

from typing import Any, Literal

from interop_core import (
    BatchState,
    Context,
    ConversionError,
    Explanation,
    HiddenState,
    InteropError,
    LayerMap,
    LayerMapping,
    LongTermState,
    MissingDependencyError,
    MissingShapeError,
    NotAModelError,
    ParamState,
    Problem,
    ShortTermState,
    State,
    UnknownFrameworkError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    VariablesError,
    environ,
    explain,
    nn,
    random,
    register_layer_mapping,
    registrations,
    supported_layers,
)
from interop_core.discovery import bridge_module

__version__ = "0.1.0"

__all__ = [
    # conversion
    "from_equinox",
    "from_linen",
    "from_nnx",
    "to_equinox",
    "to_linen",
    "to_nnx",
    "explain",
    "Explanation",
    "supported_layers",
    # extending
    "Context",
    "LayerMap",
    "LayerMapping",
    "register_layer_mapping",
    "registrations",
    # layers
    "environ",
    "nn",
    "random",
    "BatchState",
    "HiddenState",
    "LongTermState",
    "ParamState",
    "ShortTermState",
    "State",
    # errors
    "ConversionError",
    "InteropError",
    "MissingDependencyError",
    "MissingShapeError",
    "NotAModelError",
    "Problem",
    "UnknownFrameworkError",
    "UnmappedLayerError",
    "UnsupportedConfigurationError",
    "UnsupportedLayerError",
    "UnsupportedStructureError",
    "VariablesError",
]


def to_nnx(model: nn.Module, *, rngs: Any = None) -> Any:
    """Convert a core model into a Flax NNX one; see `interop_nnx.to_nnx`."""
    return bridge_module("nnx").to_nnx(model, rngs=rngs)


def from_nnx(model: Any, *, sample_input: Any = None) -> Any:
    """Convert a Flax NNX model into a core one; see `interop_nnx.from_nnx`."""
    return bridge_module("nnx").from_nnx(model, sample_input=sample_input)


def to_linen(model: nn.Module, *, training: bool = False) -> tuple[Any, dict[str, Any]]:
    """Convert a core model into a Flax Linen one; see `interop_linen.to_linen`."""
    pair: tuple[Any, dict[str, Any]] = bridge_module("linen").to_linen(model, training=training)
    return pair


def from_linen(module: Any, params: Any, *, sample_input: Any = None) -> Any:
    """Convert a Flax Linen model into a core one; see `interop_linen.from_linen`."""
    return bridge_module("linen").from_linen(module, params, sample_input=sample_input)


def to_equinox(
    model: nn.Module,
    *,
    key: Any = None,
    sample_input: Any = None,
    channels: Literal["native", "last"] = "native",
) -> Any:
    """Convert a core model into an Equinox one; see `interop_equinox.to_equinox`."""
    return bridge_module("equinox").to_equinox(
        model, key=key, sample_input=sample_input, channels=channels
    )


def from_equinox(model: Any, *, sample_input: Any = None) -> Any:
    """Convert an Equinox model into a core one; see `interop_equinox.from_equinox`."""
    return bridge_module("equinox").from_equinox(model, sample_input=sample_input)
