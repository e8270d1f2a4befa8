"""The layer library: one flat public namespace over private files by family."""

from __future__ import annotations

from . import init
from ._activations import (
    CELU,
    ELU,
    GELU,
    SELU,
    Identity,
    LogSigmoid,
    Mish,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
    Tanhshrink,
)
from ._activations_axis import GLU, LogSoftmax, Softmax, Softmax2d, Softmin
from ._activations_piecewise import (
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    RReLU,
    Softshrink,
    Threshold,
)
from ._adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from ._all_to_all import AllToAll, OneToOne
from ._attention import MultiHeadAttention
from ._batch_norm import BatchNorm0d, BatchNorm1d, BatchNorm2d, BatchNorm3d
from ._collective import call_all_fns, call_order, init_all_states, reset_all_states
from ._collective_mapped import (
    assign_state_values,
    vmap_call_all_fns,
    vmap_init_all_states,
    vmap_reset_all_states,
)
from ._conv import Conv1d, Conv2d, Conv3d
from ._conv_local import ConvLocal1d, ConvLocal2d, ConvLocal3d
from ._conv_scaled import ScaledWSConv1d, ScaledWSConv2d, ScaledWSConv3d
from ._conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ._delay import Delay
from ._delay_access import DelayAccess
from ._delay_interpolation import InterpolationRegistry
from ._delay_state import StateWithDelay
from ._dropout import Dropout, DropoutFixed
from ._dropout_channels import AlphaDropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from ._dynamics import (
    Dynamics,
    not_receive_update_input,
    not_receive_update_output,
    receive_update_input,
    receive_update_output,
)
from ._einsum import Einsum
from ._embedding import Embedding
from ._event import EventFixedNumConn, EventFixedProb, EventLinear, FixedNumConn
from ._exp_euler import exp_euler_step
from ._flatten import Flatten, MoveAxis, Unflatten
from ._functional import (
    celu,
    elu,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    mish,
    one_hot,
    prelu,
    relu,
    relu6,
    rrelu,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    soft_sign,
    softmax,
    softmin,
    softplus,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    standardize,
    swish,
    tanh,
    tanh_shrink,
)
from ._gradient_clipping import clip_grad_norm
from ._group_norm import GroupNorm
from ._hidata import HiData
from ._instance_norm import InstanceNorm
from ._linear import Linear, ScaledWSLinear, SignedWLinear
from ._linear_general import LinearGeneral
from ._lora import LoRA
from ._lp_pooling import LPPool1d, LPPool2d, LPPool3d
from ._metrics import (
    AccuracyMetric,
    AverageMetric,
    Metric,
    MetricState,
    MultiMetric,
    WelfordMetric,
)
from ._metrics_classes import ConfusionMatrix, F1ScoreMetric, PrecisionMetric, RecallMetric
from ._module import ElementWiseBlock, Module
from ._normalization import LayerNorm, RMSNorm
from ._padding import (
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from ._padding_repeating import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
)
from ._param import Const, Param
from ._parameter_count import count_parameters
from ._pooling import AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d
from ._prefetch import (
    OutputDelayAt,
    Prefetch,
    PrefetchDelay,
    PrefetchDelayAt,
    init_maybe_prefetch,
)
from ._recurrent import LSTMCell, RNNCell, ValinaRNNCell
from ._recurrent_convolution import ConvLSTMCell
from ._recurrent_gated import GRUCell, MGUCell, URLSTMCell
from ._recurrent_sequence import RNN, Bidirectional
from ._regularization import (
    ElasticNetReg,
    GroupLassoReg,
    HuberReg,
    L1Reg,
    L2Reg,
    Regularization,
    TotalVariationReg,
)
from ._regularization_compose import ChainedReg
from ._regularization_matrix import MaxNormReg, OrthogonalReg, SpectralNormReg
from ._regularization_prior import (
    CauchyReg,
    GaussianReg,
    HorseshoeReg,
    SpikeAndSlabReg,
    StudentTReg,
)
from ._regularization_simplex import DirichletReg, EntropyReg
from ._regularization_support import (
    BetaReg,
    ExponentialReg,
    GammaReg,
    InverseGammaReg,
    LogNormalReg,
    LogUniformReg,
    UniformReg,
)
from ._rotary import RoPE
from ._sequential import Sequential
from ._sparse_linear import SparseLinear
from ._spike_bitwise import SpikeBitwise
from ._transform import AffineT, IdentityT, PowerT, Transform
from ._transform_bounded import ClipT, ScaledSigmoidT, SigmoidT, SoftsignT, TanhT
from ._transform_compose import ChainT, MaskedT
from ._transform_half_bounded import (
    ExpT,
    LogT,
    NegativeT,
    NegSoftplusT,
    PositiveT,
    ReluT,
    SoftplusT,
)
from ._transform_vector import OrderedT, SimplexT, UnitVectorT
from ._unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
from ._weight_norm import SpectralNorm, WeightNorm
from ._weight_standardization import weight_standardization
from ._wrapper import EnvironContext, Vmap
from ._wrapper_map import Map

#: `Map` under its older name.
ModuleMapper = Map


# By family; one line for each name would be most of this file.
# fmt: off
__all__ = [
    # base
    "ElementWiseBlock", "Module", "Sequential", "init",
    # parameters
    "Const", "Param",
    # transformations
    "AffineT", "ChainT", "ClipT", "ExpT", "IdentityT", "LogT", "MaskedT", "NegSoftplusT",
    "NegativeT", "OrderedT", "PositiveT", "PowerT", "ReluT", "ScaledSigmoidT", "SigmoidT",
    "SimplexT", "SoftplusT", "SoftsignT", "TanhT", "Transform", "UnitVectorT",
    # penalties
    "BetaReg", "CauchyReg", "ChainedReg", "DirichletReg", "ElasticNetReg", "EntropyReg",
    "ExponentialReg", "GammaReg", "GaussianReg", "GroupLassoReg", "HorseshoeReg", "HuberReg",
    "InverseGammaReg", "L1Reg", "L2Reg", "LogNormalReg", "LogUniformReg", "MaxNormReg",
    "OrthogonalReg", "Regularization", "SpectralNormReg", "SpikeAndSlabReg", "StudentTReg",
    "TotalVariationReg", "UniformReg",
    # collective
    "assign_state_values", "call_all_fns", "call_order", "init_all_states", "reset_all_states",
    "vmap_call_all_fns", "vmap_init_all_states", "vmap_reset_all_states",
    # wrappers
    "EnvironContext", "Map", "ModuleMapper", "Vmap",
    # linear
    "Linear", "AllToAll", "LoRA", "OneToOne", "SparseLinear", "ScaledWSLinear", "SignedWLinear",
    "LinearGeneral", "Einsum", "weight_standardization",
    # convolution
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
    "ScaledWSConv1d", "ScaledWSConv2d", "ScaledWSConv3d", "ConvLocal1d", "ConvLocal2d",
    "ConvLocal3d",
    # pooling and shape
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d",
    "LPPool2d", "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d",
    "MaxUnpool3d", "Flatten", "MoveAxis", "Unflatten",
    # padding
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
    "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d",
    "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
    # embedding and attention
    "Embedding", "MultiHeadAttention", "RoPE",
    # dropout
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "DropoutFixed",
    "FeatureAlphaDropout",
    # normalisation
    "BatchNorm0d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm",
    "LayerNorm", "RMSNorm", "SpectralNorm", "WeightNorm",
    # events and sparse connections
    "EventFixedNumConn", "EventFixedProb", "EventLinear", "FixedNumConn",
    # integration
    "exp_euler_step",
    # recurrence
    "GRUCell", "LSTMCell", "MGUCell", "RNNCell", "URLSTMCell", "ValinaRNNCell", "RNN",
    "Bidirectional", "ConvLSTMCell",
    # dynamics and delays
    "Delay", "DelayAccess", "Dynamics", "InterpolationRegistry", "OutputDelayAt", "Prefetch",
    "PrefetchDelay", "PrefetchDelayAt", "StateWithDelay", "init_maybe_prefetch",
    "not_receive_update_input", "not_receive_update_output", "receive_update_input",
    "receive_update_output",
    # data, parameters and gradients
    "HiData", "clip_grad_norm", "count_parameters",
    # metrics
    "AccuracyMetric", "AverageMetric", "ConfusionMatrix", "F1ScoreMetric", "Metric", "MetricState",
    "MultiMetric", "PrecisionMetric", "RecallMetric", "WelfordMetric",
    # activation layers
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "Identity", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6",
    "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign",
    "SpikeBitwise", "Tanh", "Tanhshrink", "Threshold",
    # activation functions
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "logsumexp", "mish", "one_hot",
    "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "soft_shrink", "soft_sign",
    "softmax", "softmin", "softplus", "sparse_plus", "sparse_sigmoid", "squareplus", "standardize",
    "swish", "tanh", "tanh_shrink",
]
# fmt: on
