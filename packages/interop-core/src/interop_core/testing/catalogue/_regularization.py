"""Rows of penalties on parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

__all__ = ["REGULARIZATIONS", "RegularizationRow"]

_NUMBERS = ((0.5, -2.0, 0.25), (1.5, -0.125, 3.0))
_POSITIVE = ((0.5, 2.0, 0.25), (1.5, 0.125, 3.0))
_SHARES = ((0.5, 0.75, 0.25), (0.9, 0.125, 0.01))
_COLUMNS = np.array([0.5, 1.0, 2.0], np.float32)


@dataclass(frozen=True, eq=False)
class RegularizationRow:
    """One construction of one penalty, with a value that it is computed on.

    Attributes:
        name: the penalty's public name.
        make: builds it out of a namespace: this library's ``nn`` or one with the same interface.
        x: the value.
        case: what is special about this construction; empty for the plain one.
        trained: the paths of the states that it has.
        tolerance: largest relative difference to the same loss computed otherwise.
        differs: why the published penalty gives another loss; None where it gives the same.
    """

    name: str
    make: Callable[[Any], Any]
    x: Any = _NUMBERS
    case: str = ""
    trained: tuple[tuple[str, ...], ...] = ()
    tolerance: float = 1e-5
    differs: str | None = None

    def __str__(self) -> str:
        return f"{self.name}-{self.case}" if self.case else self.name

    def value(self, dtype: Any = np.float32) -> jax.Array:
        """Give the value as an array."""
        return jax.numpy.asarray(np.asarray(self.x, dtype))


def _trained(
    name: str, hypers: tuple[str, ...], x: Any = _NUMBERS, **arguments: Any
) -> RegularizationRow:
    """Make the row of a penalty that trains its numbers."""
    return RegularizationRow(
        name,
        lambda nn: getattr(nn, name)(**arguments, fit_hyper=True),
        x,
        "trained",
        tuple((hyper,) for hyper in hypers),
        differs=_NORMALISER if name == "GaussianReg" else None,
    )


_NORMALISER = "the logarithm of the precision counts once, not once for each number of the value"
_VECTOR = "the loss of a prior with an array of scales is no scalar"

REGULARIZATIONS: tuple[RegularizationRow, ...] = (
    RegularizationRow("L1Reg", lambda nn: nn.L1Reg(0.5)),
    RegularizationRow("L2Reg", lambda nn: nn.L2Reg(0.5)),
    RegularizationRow("ElasticNetReg", lambda nn: nn.ElasticNetReg(0.5, 2.0, 0.25)),
    _trained("ElasticNetReg", ("alpha",), l1_weight=3.0),
    RegularizationRow("HuberReg", lambda nn: nn.HuberReg(0.5, 0.75)),
    _trained("HuberReg", ("delta",)),
    RegularizationRow("GroupLassoReg", lambda nn: nn.GroupLassoReg(0.5)),
    RegularizationRow("GroupLassoReg", lambda nn: nn.GroupLassoReg(0.5, 4), case="groups"),
    RegularizationRow("TotalVariationReg", lambda nn: nn.TotalVariationReg(0.5)),
    RegularizationRow("TotalVariationReg", lambda nn: nn.TotalVariationReg(0.5, 2), case="second"),
    RegularizationRow("MaxNormReg", lambda nn: nn.MaxNormReg(0.5, 3.0)),
    RegularizationRow("MaxNormReg", lambda nn: nn.MaxNormReg(0.5, 30.0), case="below"),
    _trained("MaxNormReg", ("max_value",)),
    RegularizationRow("EntropyReg", lambda nn: nn.EntropyReg(0.5)),
    RegularizationRow("EntropyReg", lambda nn: nn.EntropyReg(0.5, maximize=False), case="minimize"),
    RegularizationRow("OrthogonalReg", lambda nn: nn.OrthogonalReg(0.5)),
    RegularizationRow(
        "OrthogonalReg",
        lambda nn: nn.OrthogonalReg(),
        (1.0, 2.0, 0.5),
        "vector",
        differs="the loss of a vector cannot be traced",
    ),
    RegularizationRow("SpectralNormReg", lambda nn: nn.SpectralNormReg(0.5)),
    RegularizationRow("SpectralNormReg", lambda nn: nn.SpectralNormReg(), (1.0, 2.0), "vector"),
    _trained("SpectralNormReg", ("max_value",)),
    RegularizationRow("GaussianReg", lambda nn: nn.GaussianReg(0.5, 1.0, 2.0)),
    RegularizationRow(
        "GaussianReg", lambda nn: nn.GaussianReg(0.5, 2.0), case="std", differs=_NORMALISER
    ),
    _trained("GaussianReg", ("mean", "precision"), mean=0.5, std=2.0),
    RegularizationRow("StudentTReg", lambda nn: nn.StudentTReg(0.5, 2.0, 3.0)),
    _trained("StudentTReg", ("df", "scale")),
    RegularizationRow("CauchyReg", lambda nn: nn.CauchyReg(0.5, 3.0)),
    RegularizationRow(
        "CauchyReg", lambda nn: nn.CauchyReg(0.5, _COLUMNS), case="arrays", differs=_VECTOR
    ),
    _trained("CauchyReg", ("scale",)),
    RegularizationRow("UniformReg", lambda nn: nn.UniformReg(0.5, -0.5, 2.0)),
    _trained("UniformReg", ("lower", "upper")),
    RegularizationRow("LogNormalReg", lambda nn: nn.LogNormalReg(0.5, 0.5, 2.0), _POSITIVE),
    _trained("LogNormalReg", ("mu", "sigma"), _POSITIVE),
    RegularizationRow("ExponentialReg", lambda nn: nn.ExponentialReg(0.5, 3.0), _POSITIVE),
    _trained("ExponentialReg", ("rate",), _POSITIVE),
    RegularizationRow("GammaReg", lambda nn: nn.GammaReg(0.5, 3.0, 2.0), _POSITIVE),
    _trained("GammaReg", ("alpha", "beta"), _POSITIVE),
    RegularizationRow("BetaReg", lambda nn: nn.BetaReg(0.5, 3.0, 0.5), _SHARES),
    _trained("BetaReg", ("a", "b"), _SHARES),
    RegularizationRow("InverseGammaReg", lambda nn: nn.InverseGammaReg(0.5, 3.0, 2.0), _POSITIVE),
    _trained("InverseGammaReg", ("alpha", "beta"), _POSITIVE),
    RegularizationRow("LogUniformReg", lambda nn: nn.LogUniformReg(0.5, 0.3, 2.5), _POSITIVE),
    _trained("LogUniformReg", ("lower", "upper"), _POSITIVE),
    RegularizationRow("HorseshoeReg", lambda nn: nn.HorseshoeReg(0.5, 3.0)),
    _trained("HorseshoeReg", ("tau",)),
    RegularizationRow("SpikeAndSlabReg", lambda nn: nn.SpikeAndSlabReg(0.5, 0.1, 2.0, 0.25)),
    _trained("SpikeAndSlabReg", ("pi", "slab_scale", "spike_scale"), spike_scale=0.5),
    RegularizationRow("DirichletReg", lambda nn: nn.DirichletReg(0.5, 3.0)),
    _trained("DirichletReg", ("alpha",), alpha=0.5),
    RegularizationRow(
        "ChainedReg", lambda nn: nn.ChainedReg(nn.L1Reg(0.5), nn.L2Reg(), weight=2.0)
    ),
    RegularizationRow("ChainedReg", lambda nn: nn.ChainedReg(), case="empty"),
    RegularizationRow(
        "ChainedReg",
        lambda nn: nn.ChainedReg(nn.L1Reg(), nn.CauchyReg(fit_hyper=True)),
        case="trained",
        trained=(("_reg_1", "scale"),),
    ),
)
"""The rows of penalties."""
