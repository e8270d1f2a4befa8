"""The layer library, the layouts and the conversion engine; stands on jax and numpy alone."""

from __future__ import annotations

from . import environ, nn, random
from .api import explain, supported_layers
from .axis_names import AxisNames
from .compare import Comparison, compare
from .errors import (
    ConversionError,
    InteropError,
    LostNamesWarning,
    MissingDependencyError,
    MissingShapeError,
    NotAModelError,
    Problem,
    UnknownFrameworkError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    VariablesError,
    VerificationError,
)
from .explain import Explanation
from .mapping import Context, LayerMap, LayerMapping
from .registry import register_layer_mapping, registrations
from .state import (
    BatchState,
    HiddenState,
    LongTermState,
    ParamState,
    ShortTermState,
    State,
)

__version__ = "0.1.0"

__all__ = [
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
    # conversion
    "AxisNames",
    "Comparison",
    "Explanation",
    "compare",
    "explain",
    "supported_layers",
    # extending
    "Context",
    "LayerMap",
    "LayerMapping",
    "register_layer_mapping",
    "registrations",
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
