"""Initializers, and the functions that make the initial value of a state."""

from __future__ import annotations

from ._initializers import (
    Constant,
    Identity,
    Initializer,
    ZeroInit,
    abstract,
    are_broadcastable_shapes,
    param,
    to_size,
)
from ._initializers_random import (
    DeltaOrthogonal,
    Exponential,
    Gamma,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
)
from ._initializers_scaling import (
    KaimingNormal,
    KaimingUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    XavierNormal,
    XavierUniform,
    calculate_init_gain,
)

__all__ = [
    # making values
    "abstract",
    "are_broadcastable_shapes",
    "calculate_init_gain",
    "param",
    "to_size",
    # constant
    "Constant",
    "Identity",
    "Initializer",
    "ZeroInit",
    # every element alike
    "Exponential",
    "Gamma",
    "Normal",
    "TruncatedNormal",
    "Uniform",
    # by the number of inputs and outputs
    "KaimingNormal",
    "KaimingUniform",
    "LecunNormal",
    "LecunUniform",
    "VarianceScaling",
    "XavierNormal",
    "XavierUniform",
    # orthogonal
    "DeltaOrthogonal",
    "Orthogonal",
]
