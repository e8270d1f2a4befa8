"""Rows of transformations of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

__all__ = ["TRANSFORMS", "TransformRow"]

_NUMBERS = (-4.0, -1.5, -0.25, 0.0, 0.75, 3.0)
_POSITIVE = (0.125, 0.5, 1.0, 1.25, 4.0, 9.0)


@dataclass(frozen=True, eq=False)
class TransformRow:
    """One construction of one transformation, with what it is applied to.

    Attributes:
        name: the transformation's public name.
        make: builds it out of a namespace: this library's ``nn`` or one with the same interface.
        x: unconstrained numbers, from where the transformation can be inverted.
        case: what is special about this construction; empty for the plain one.
        tolerance: largest difference to the same computation done otherwise, relative to the
            largest entry.
        determinant: whether the Jacobian has one.
        differs: why the published transformation gives other numbers; None where it gives the same.
    """

    name: str
    make: Callable[[Any], Any]
    x: Any = _NUMBERS
    case: str = ""
    tolerance: float = 2e-6
    determinant: bool = True
    differs: str | None = None

    def __str__(self) -> str:
        return f"{self.name}-{self.case}" if self.case else self.name

    def numbers(self, dtype: Any = np.float32) -> jax.Array:
        """Give the unconstrained numbers as an array."""
        return jax.numpy.asarray(np.asarray(self.x, dtype))

    def values(self, namespace: Any, dtype: Any = np.float32) -> jax.Array:
        """Give values that a parameter with this transformation can have.

        Args:
            namespace: what to build the transformation from.
            dtype: the type of the numbers.
        """
        values: jax.Array = self.make(namespace).forward(self.numbers(dtype))
        return values


TRANSFORMS: tuple[TransformRow, ...] = (
    TransformRow("IdentityT", lambda nn: nn.IdentityT()),
    TransformRow("AffineT", lambda nn: nn.AffineT(2.0, 3.0)),
    TransformRow(
        "AffineT",
        lambda nn: nn.AffineT(np.array([-2.0, 0.5, 4.0], np.float32), -1.0),
        ((0.5, -1.0, 2.0), (3.0, 0.0, -0.5)),
        "arrays",
    ),
    TransformRow("PowerT", lambda nn: nn.PowerT(), _POSITIVE),
    TransformRow("PowerT", lambda nn: nn.PowerT(0.0), _POSITIVE, "logarithm"),
    TransformRow("PowerT", lambda nn: nn.PowerT(2.0), _POSITIVE, "square"),
    TransformRow("PowerT", lambda nn: nn.PowerT(-1.0), _POSITIVE, "reciprocal"),
    TransformRow(
        "PowerT",
        lambda nn: nn.PowerT(1e-6),
        _POSITIVE,
        "tiny",
        differs="subtracting 1 from a power near 1 leaves few digits",
    ),
    TransformRow("SoftplusT", lambda nn: nn.SoftplusT(0.5)),
    TransformRow(
        "SoftplusT", lambda nn: nn.SoftplusT(np.linspace(-1, 1, 6, dtype=np.float32)), case="arrays"
    ),
    TransformRow("NegSoftplusT", lambda nn: nn.NegSoftplusT(0.5)),
    TransformRow("NegativeT", lambda nn: nn.NegativeT()),
    TransformRow("ExpT", lambda nn: nn.ExpT(0.5)),
    TransformRow("LogT", lambda nn: nn.LogT(-0.5)),
    TransformRow("PositiveT", lambda nn: nn.PositiveT()),
    TransformRow("ReluT", lambda nn: nn.ReluT(), _POSITIVE, determinant=False),
    TransformRow("ReluT", lambda nn: nn.ReluT(0.5), _POSITIVE, "bound", determinant=False),
    TransformRow("ClipT", lambda nn: nn.ClipT(-5.0, 3.5), determinant=False),
    TransformRow("SigmoidT", lambda nn: nn.SigmoidT(-1.0, 3.0)),
    TransformRow(
        "SigmoidT",
        lambda nn: nn.SigmoidT(np.zeros(6, np.float32), np.arange(1, 7, dtype=np.float32)),
        case="arrays",
    ),
    TransformRow("ScaledSigmoidT", lambda nn: nn.ScaledSigmoidT(-1.0, 3.0)),
    TransformRow("ScaledSigmoidT", lambda nn: nn.ScaledSigmoidT(0.0, 1.0, beta=0.5), case="beta"),
    TransformRow("TanhT", lambda nn: nn.TanhT(-1.0, 3.0), tolerance=2e-5),
    TransformRow("SoftsignT", lambda nn: nn.SoftsignT(-1.0, 3.0)),
    TransformRow("OrderedT", lambda nn: nn.OrderedT()),
    TransformRow("OrderedT", lambda nn: nn.OrderedT(), ((0.0, 1.0, 0.5), (-2.0, 3.0, -3.0)), "2d"),
    TransformRow("SimplexT", lambda nn: nn.SimplexT(), tolerance=1e-5),
    TransformRow("SimplexT", lambda nn: nn.SimplexT(), ((0.0, 1.0), (-2.0, 3.0)), "2d"),
    TransformRow("UnitVectorT", lambda nn: nn.UnitVectorT(), (0.6, 0.0, -0.8), determinant=False),
    TransformRow(
        "ChainT", lambda nn: nn.ChainT(nn.SigmoidT(0.0, 1.0), nn.AffineT(2.0, 1.0)), tolerance=1e-5
    ),
    TransformRow(
        "ChainT",
        lambda nn: nn.ChainT(nn.AffineT(0.5, 1.0), nn.OrderedT()),
        ((0.0, 1.0, 0.5), (-2.0, 3.0, -3.0)),
        "vectors",
    ),
    TransformRow("ChainT", lambda nn: nn.ChainT(), case="empty"),
    TransformRow(
        "MaskedT",
        lambda nn: nn.MaskedT(np.array([True, False] * 3), nn.SoftplusT(0.0)),
    ),
    TransformRow(
        "MaskedT",
        lambda nn: nn.MaskedT(np.array([False, True]), nn.PowerT(0.5), 2.0),
        ((-1.0, 4.0), (0.0, 0.25)),
        "domain",
    ),
)
"""The rows of transformations."""
