"""Initializers, and the functions that make the initial value of a state."""

from __future__ import annotations

from ._initializers import (
    Constant,
    Initializer,
    ZeroInit,
    abstract,
    are_broadcastable_shapes,
    param,
    to_size,
)
from ._initializers_random import Normal, Orthogonal
from ._initializers_scaling import (
    KaimingNormal,
    KaimingUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    XavierNormal,
    XavierUniform,
)

__all__ = [
    "Constant",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "LecunNormal",
    "LecunUniform",
    "Normal",
    "Orthogonal",
    "VarianceScaling",
    "XavierNormal",
    "XavierUniform",
    "ZeroInit",
    "abstract",
    "are_broadcastable_shapes",
    "param",
    "to_size",
]
