"""What of the core has no counterpart in any framework, and why.

Imports `mapping` and `nn`.
"""

from __future__ import annotations

from . import nn
from .mapping import Unconvertible

_REGULARISERS = (
    *(nn.L1Reg, nn.L2Reg, nn.ElasticNetReg, nn.HuberReg, nn.GroupLassoReg, nn.TotalVariationReg),
    *(nn.MaxNormReg, nn.OrthogonalReg, nn.SpectralNormReg, nn.ChainedReg),
    *(nn.GaussianReg, nn.CauchyReg, nn.StudentTReg, nn.HorseshoeReg, nn.SpikeAndSlabReg),
    *(nn.DirichletReg, nn.EntropyReg, nn.BetaReg, nn.ExponentialReg, nn.GammaReg),
    *(nn.InverseGammaReg, nn.LogNormalReg, nn.LogUniformReg, nn.UniformReg),
)
_METRICS = (
    *(nn.AverageMetric, nn.AccuracyMetric, nn.WelfordMetric, nn.MultiMetric),
    *(nn.ConfusionMatrix, nn.PrecisionMetric, nn.RecallMetric, nn.F1ScoreMetric),
)

WITHOUT_COUNTERPART: tuple[Unconvertible, ...] = (
    *(
        Unconvertible(
            layer,
            "it holds what was, for a simulation that goes on in steps of dt, and no framework has "
            "such a thing",
            "convert the layers around it",
        )
        for layer in (nn.Delay, nn.StateWithDelay)
    ),
    Unconvertible(
        nn.Dynamics,
        "it is a system that is simulated in steps of dt, and no framework has such a thing",
        "convert the layers that its inputs go through",
    ),
    Unconvertible(
        nn.EnvironContext,
        "it calls the layer that it holds under settings of the core, which no framework knows",
        "convert the layer inside, in the mode that the settings stand for",
    ),
    *(
        Unconvertible(
            mapper,
            "it calls one layer on several inputs at once, with hidden states for each",
            "convert the layer inside, and map that with jax.vmap",
        )
        for mapper in (nn.Map, nn.Vmap)
    ),
    *(
        Unconvertible(
            regulariser,
            "it gives a loss for a weight and is no layer; frameworks leave that to the loss",
            "add its loss to that of the converted model",
        )
        for regulariser in _REGULARISERS
    ),
    *(
        Unconvertible(
            parameter,
            "it is one parameter and no layer, and frameworks call layers",
            "convert the layer that holds it, or take its value, parameter.value()",
        )
        for parameter in (nn.Param, nn.Const)
    ),
    *(
        Unconvertible(metric, "it counts what a model gives and is no layer", "use it as it is")
        for metric in _METRICS
    ),
)
"""Delays, dynamics, wrappers, parameters, regularisers and metrics: no bridge converts them."""
