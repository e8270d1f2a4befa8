"""NNX modules for layers of the core that NNX itself has not.

Each is a module in the style of NNX and needs nothing but jax and Flax to run. `to_nnx` makes them,
and they can be made by hand as well.
"""

from __future__ import annotations

from ._activation import (
    RReLU,
    Softmax2d,
    Threshold,
    Unflatten,
)
from ._attention import MultiHeadAttention
from ._carry import (
    Carry,
    Carrying,
    reset_carries,
)
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
from ._linear import (
    AllToAll,
    MaskedLinear,
    OneToOne,
    ScaledWSLinear,
    SignedWLinear,
)
from ._padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from ._pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    LPPool1d,
    LPPool2d,
    LPPool3d,
)
from ._random import (
    Drawing,
)
from ._recurrent import (
    GRUCell,
    LSTMCell,
    MGUCell,
    Stateful,
    StatefulGRUCell,
    StatefulLSTMCell,
    StatefulMGUCell,
    StatefulURLSTMCell,
    StatefulValinaRNNCell,
    URLSTMCell,
    ValinaRNNCell,
)
from ._recurrent_convolution import ConvLSTMCell, StatefulConvLSTMCell
from ._rotary import RoPE
from ._weight_norm import SpectralNorm, WeightNorm

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AllToAll",
    "AlphaDropout",
    "Carry",
    "Carrying",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
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
    "Drawing",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutFixed",
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
    "MGUCell",
    "MaskedLinear",
    "MultiHeadAttention",
    "OneToOne",
    "RReLU",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "RoPE",
    "ScaledWSConv1d",
    "ScaledWSConv2d",
    "ScaledWSConv3d",
    "ScaledWSLinear",
    "SignedWLinear",
    "Softmax2d",
    "SparseLinear",
    "SpectralNorm",
    "Stateful",
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
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "reset_carries",
]
