"""Equinox modules for layers of the core that Equinox itself has not.

Each takes one example, as all of Equinox does, spatial ones with the channels first, and needs
nothing but jax and Equinox to run. `to_equinox` makes them, and they can be made by hand as well.
"""

from __future__ import annotations

from ._activation import RReLU, Softmax2d, Threshold, Unflatten
from ._attention import MultiHeadAttention
from ._carry import Carrying, carry_axes, reset_carries
from ._convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ScaledWSConv1d,
    ScaledWSConv2d,
    ScaledWSConv3d,
)
from ._convolution_local import ConvLocal1d, ConvLocal2d, ConvLocal3d
from ._dropout import (
    AlphaDropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropoutFixed,
    FeatureAlphaDropout,
)
from ._event import (
    EventFixedNumConn,
    EventFixedProb,
    EventLinear,
    FixedNumConn,
    SparseLinear,
)
from ._linear import AllToAll, LoRA, MaskedLinear, OneToOne, ScaledWSLinear, SignedWLinear
from ._linear_general import Einsum, LinearGeneral
from ._normalisation import ScaleAndShift
from ._padding import ConstantPad1d, ConstantPad2d, ConstantPad3d
from ._pooling import LPPool1d, LPPool2d, LPPool3d
from ._recurrent import GRUCell, LSTMCell, MGUCell, URLSTMCell, ValinaRNNCell
from ._recurrent_convolution import ConvLSTMCell, StatefulConvLSTMCell
from ._recurrent_sequence import RNN, Bidirectional
from ._recurrent_stateful import (
    StatefulGRUCell,
    StatefulLSTMCell,
    StatefulMGUCell,
    StatefulURLSTMCell,
    StatefulValinaRNNCell,
)
from ._rotary import RoPE
from ._weight_norm import SpectralNorm, WeightNorm

__all__ = [
    "AllToAll",
    "AlphaDropout",
    "Bidirectional",
    "Carrying",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvLSTMCell",
    "ConvLocal1d",
    "ConvLocal2d",
    "ConvLocal3d",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutFixed",
    "Einsum",
    "EventFixedNumConn",
    "EventFixedProb",
    "EventLinear",
    "FeatureAlphaDropout",
    "FixedNumConn",
    "GRUCell",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LSTMCell",
    "LinearGeneral",
    "LoRA",
    "MGUCell",
    "MaskedLinear",
    "MultiHeadAttention",
    "OneToOne",
    "RNN",
    "RReLU",
    "RoPE",
    "ScaleAndShift",
    "ScaledWSConv1d",
    "ScaledWSConv2d",
    "ScaledWSConv3d",
    "ScaledWSLinear",
    "SignedWLinear",
    "Softmax2d",
    "SparseLinear",
    "SpectralNorm",
    "StatefulConvLSTMCell",
    "StatefulGRUCell",
    "StatefulLSTMCell",
    "StatefulMGUCell",
    "StatefulURLSTMCell",
    "StatefulValinaRNNCell",
    "Threshold",
    "URLSTMCell",
    "Unflatten",
    "ValinaRNNCell",
    "WeightNorm",
    "carry_axes",
    "reset_carries",
]
