"""Rows of element-wise layers."""

from __future__ import annotations

import numpy as np

from ._row import Row

_SPIKES = ((np.arange(8).reshape(2, 4) % 2).astype(np.float32), (2, 4))
_ELSEWHERE = "the published layer computes in a package of its own, which need not be installed"
_ADDITION = "the published layer refuses addition, its default"

ROWS: tuple[Row, ...] = (
    Row("Identity", lambda nn: nn.Identity()),
    Row("ReLU", lambda nn: nn.ReLU()),
    Row("ReLU6", lambda nn: nn.ReLU6()),
    Row("LeakyReLU", lambda nn: nn.LeakyReLU()),
    Row("LeakyReLU", lambda nn: nn.LeakyReLU(0.3), case="slope"),
    Row("PReLU", lambda nn: nn.PReLU()),
    Row("PReLU", lambda nn: nn.PReLU(4, 0.1), case="one-a-channel"),
    Row("PReLU", lambda nn: nn.PReLU(dtype="float16"), case="dtype"),
    Row("RReLU", lambda nn: nn.RReLU(), chance=True),
    Row("RReLU", lambda nn: nn.RReLU(0.2, 0.2), case="fixed"),
    Row("ELU", lambda nn: nn.ELU()),
    Row("ELU", lambda nn: nn.ELU(0.5), case="alpha"),
    Row("CELU", lambda nn: nn.CELU()),
    Row("CELU", lambda nn: nn.CELU(0.5), case="alpha"),
    Row("SELU", lambda nn: nn.SELU()),
    Row("GELU", lambda nn: nn.GELU()),
    Row("GELU", lambda nn: nn.GELU(approximate=True), case="approximate"),
    Row("SiLU", lambda nn: nn.SiLU()),
    Row("Mish", lambda nn: nn.Mish()),
    Row("Hardswish", lambda nn: nn.Hardswish()),
    Row("Sigmoid", lambda nn: nn.Sigmoid()),
    Row("LogSigmoid", lambda nn: nn.LogSigmoid()),
    Row("Hardsigmoid", lambda nn: nn.Hardsigmoid()),
    Row("Tanh", lambda nn: nn.Tanh()),
    Row("Hardtanh", lambda nn: nn.Hardtanh()),
    Row("Hardtanh", lambda nn: nn.Hardtanh(-0.2, 0.5), case="bounds"),
    Row("Tanhshrink", lambda nn: nn.Tanhshrink()),
    Row("Softsign", lambda nn: nn.Softsign()),
    Row("Softplus", lambda nn: nn.Softplus()),
    Row("Hardshrink", lambda nn: nn.Hardshrink()),
    Row("Hardshrink", lambda nn: nn.Hardshrink(1.0), case="lambd"),
    Row("Softshrink", lambda nn: nn.Softshrink()),
    Row("Softshrink", lambda nn: nn.Softshrink(0.1), case="lambd"),
    Row("Threshold", lambda nn: nn.Threshold(0.1, 20.0)),
    Row("GLU", lambda nn: nn.GLU()),
    Row("GLU", lambda nn: nn.GLU(1), ((2, 4, 3),), case="dim"),
    Row("Softmax", lambda nn: nn.Softmax()),
    Row("Softmax", lambda nn: nn.Softmax(1), ((2, 3, 4),), case="dim"),
    Row("LogSoftmax", lambda nn: nn.LogSoftmax()),
    Row("LogSoftmax", lambda nn: nn.LogSoftmax(-2), ((2, 3, 4),), case="dim"),
    Row("Softmin", lambda nn: nn.Softmin()),
    Row("Softmin", lambda nn: nn.Softmin(1), ((2, 3, 4),), case="dim"),
    Row("Softmax2d", lambda nn: nn.Softmax2d(), ((2, 3, 2, 4),)),
    Row("Softmax2d", lambda nn: nn.Softmax2d(), ((3, 2, 4),), case="one-image"),
    Row("SpikeBitwise", lambda nn: nn.SpikeBitwise(), _SPIKES, differs=_ADDITION),
    Row("SpikeBitwise", lambda nn: nn.SpikeBitwise("and"), _SPIKES, "and", differs=_ELSEWHERE),
    Row("SpikeBitwise", lambda nn: nn.SpikeBitwise("iand"), _SPIKES, "iand", differs=_ELSEWHERE),
    Row("SpikeBitwise", lambda nn: nn.SpikeBitwise("or"), _SPIKES, "or", differs=_ELSEWHERE),
    Row("SpikeBitwise", lambda nn: nn.SpikeBitwise("xor"), _SPIKES, "xor", differs=_ELSEWHERE),
    Row("SpikeBitwise", lambda nn: nn.SpikeBitwise("ixor"), _SPIKES, "ixor", differs=_ELSEWHERE),
)
