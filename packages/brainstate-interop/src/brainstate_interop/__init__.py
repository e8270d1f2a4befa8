"""Move models between brainstate.nn layers, Flax NNX, Flax Linen and Equinox.

A model of the published package `brainstate` is taken wherever a model of these layers is.

Everything here lives in `interop_core` and the bridges; a framework is imported when a function
that needs it is called.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal

from interop_core import (
    AxisNames,
    BatchState,
    Comparison,
    Context,
    ConversionError,
    Explanation,
    HiddenState,
    InteropError,
    LayerMap,
    LayerMapping,
    LongTermState,
    LostNamesWarning,
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
    VerificationError,
    compare,
    environ,
    explain,
    nn,
    random,
    register_layer_mapping,
    registrations,
    supported_layers,
)
from interop_core.api import core_model, into_library
from interop_core.discovery import bridge_module

__version__ = "0.1.0"

__all__ = [
    # conversion
    "from_brainstate",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "to_brainstate",
    "to_equinox",
    "to_linen",
    "to_nnx",
    "compare",
    "Comparison",
    "explain",
    "Explanation",
    "supported_layers",
    "AxisNames",
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
    "LostNamesWarning",
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
    "VerificationError",
]


Library = Literal["core", "brainstate"]
"""Whose layers an imported model is made of."""


def to_nnx(
    model: Any,
    *,
    rngs: Any = None,
    sample_input: Any = None,
    copy: bool = False,
    verify: bool = False,
    apply_transforms: bool = False,
) -> Any:
    """Convert a core or published model into a Flax NNX one; see `interop_nnx.to_nnx`."""
    return bridge_module("nnx").to_nnx(
        core_model(model),
        rngs=rngs,
        sample_input=sample_input,
        copy=copy,
        verify=verify,
        apply_transforms=apply_transforms,
    )


def from_nnx(
    model: Any,
    *,
    sample_input: Any = None,
    into: Library = "core",
    copy: bool = False,
    verify: bool = False,
) -> Any:
    """Convert a Flax NNX model into a core one; see `interop_nnx.from_nnx`.

    Args:
        model: the NNX model.
        sample_input: one unbatched example or its shape.
        into: ``"brainstate"`` for a model of the published package.
        copy: whether the result has arrays of its own; by default some are shared.
        verify: whether both models are run and compared.
    """
    back = bridge_module("nnx").from_nnx(model, sample_input=sample_input, copy=copy, verify=verify)
    return into_library(back, into)


def to_linen(
    model: Any,
    *,
    training: bool = False,
    sample_input: Any = None,
    copy: bool = False,
    verify: bool = False,
    apply_transforms: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """Convert a core or published model into a Flax Linen one; see `interop_linen.to_linen`."""
    pair: tuple[Any, dict[str, Any]] = bridge_module("linen").to_linen(
        core_model(model),
        training=training,
        sample_input=sample_input,
        copy=copy,
        verify=verify,
        apply_transforms=apply_transforms,
    )
    return pair


def from_linen(
    module: Any,
    params: Any,
    *,
    sample_input: Any = None,
    into: Library = "core",
    copy: bool = False,
    verify: bool = False,
) -> Any:
    """Convert a Flax Linen model into a core one; see `interop_linen.from_linen`.

    Args:
        module: the Linen module.
        params: its variables.
        sample_input: one unbatched example or its shape.
        into: ``"brainstate"`` for a model of the published package.
        copy: whether the result has arrays of its own; by default some are shared.
        verify: whether both models are run and compared.
    """
    back = bridge_module("linen").from_linen(
        module, params, sample_input=sample_input, copy=copy, verify=verify
    )
    return into_library(back, into)


def to_equinox(
    model: Any,
    *,
    key: Any = None,
    sample_input: Any = None,
    channels: Literal["native", "last"] = "native",
    stateful: bool = False,
    fold_batch_norm: bool = False,
    axis_name: Hashable = "batch",
    copy: bool = False,
    verify: bool = False,
    apply_transforms: bool = False,
) -> Any:
    """Convert a core or published model into an Equinox one; see `interop_equinox.to_equinox`."""
    return bridge_module("equinox").to_equinox(
        core_model(model),
        key=key,
        sample_input=sample_input,
        channels=channels,
        stateful=stateful,
        fold_batch_norm=fold_batch_norm,
        axis_name=axis_name,
        copy=copy,
        verify=verify,
        apply_transforms=apply_transforms,
    )


def from_equinox(
    model: Any,
    state: Any = None,
    *,
    sample_input: Any = None,
    axis_name: Hashable = "batch",
    into: Library = "core",
    copy: bool = False,
    verify: bool = False,
) -> Any:
    """Convert an Equinox model into a core one; see `interop_equinox.from_equinox`.

    Args:
        model: the Equinox model.
        state: its `eqx.nn.State`, where it has batch normalisation.
        sample_input: one unbatched example or its shape.
        axis_name: the mapped axis that is the batch, where batch normalisation names several.
        into: ``"brainstate"`` for a model of the published package.
        copy: whether the result has arrays of its own; by default some are shared.
        verify: whether both models are run and compared.
    """
    back = bridge_module("equinox").from_equinox(
        model, state, sample_input=sample_input, axis_name=axis_name, copy=copy, verify=verify
    )
    return into_library(back, into)


def to_brainstate(
    model: Any,
    *,
    copy: bool = False,
    verify: bool = False,
    sample_input: Any = None,
) -> Any:
    """Convert a core model into one of the published package; see `interop_brainstate`."""
    return bridge_module("brainstate").to_brainstate(
        model, copy=copy, verify=verify, sample_input=sample_input
    )


def from_brainstate(
    model: Any,
    *,
    copy: bool = False,
    verify: bool = False,
    sample_input: Any = None,
) -> Any:
    """Convert a model of the published package into a core one; see `interop_brainstate`."""
    return bridge_module("brainstate").from_brainstate(
        model, copy=copy, verify=verify, sample_input=sample_input
    )
