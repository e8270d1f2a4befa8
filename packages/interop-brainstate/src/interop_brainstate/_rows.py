"""The rows: every public layer of both libraries, by family."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from interop_core import environ
from interop_core.errors import Refusal

from ._delays import DELAYS
from ._differences import (
    ADDS,
    EVERY_AXIS,
    INDICES,
    KEEPS_NOTHING,
    PENALTY,
    TRANSPOSED,
    UNTRACKED,
    before,
    half_statistics,
    one_event_weight,
    one_weight,
    open_axis,
    padded,
    partial_groups,
    since,
    spread,
    unnormalised,
    without_features,
)
from ._drawn import CONNECTIONS
from ._lanes import LANES
from ._metrics import METRICS
from ._row import Row
from ._sides import CORE
from ._values import number

__all__ = ["ROWS", "UPDATES"]


def _plain(names: str, **said: Any) -> Iterable[Row]:
    """Rows that say the same of several layers."""
    return (Row(name, **said) for name in names.split())


def _each(stem: str, dimensions: str = "1d 2d 3d") -> str:
    return " ".join(stem + dimension for dimension in dimensions.split())


# -- arguments that are kept in another form -------------------------------------------------------


def _biased(*path: str) -> Callable[[Any], Any]:
    """Tell from the weights below an attribute whether a layer has a bias."""

    def read(layer: Any) -> Any:
        for name in path:
            layer = getattr(layer, name)
        return "bias" in layer.weight.value

    return read


def _negative(value: Any, layer: Any) -> Any:
    """Axes counted from the end, the form that does not depend on the rank; one stands alone."""
    axes = tuple(axis if axis < 0 else axis - len(layer.in_size) for axis in np.atleast_1d(value))
    found = tuple(int(axis) for axis in axes)
    return found[0] if len(found) == 1 else found


def _deviation(penalty: Any) -> Any:
    """The standard deviation, which is kept as a precision; 1 where that is trained."""
    return 1.0 if penalty.fit_hyper else number(penalty.precision**-0.5)


def _alone(value: Any, _: Any) -> Any:
    """Axes of the array given, as they are; one stands alone."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _flat(value: Any, _: Any) -> Any:
    """Pairs of widths one behind the other, the form that padding layers take."""
    return tuple(width for pair in value for width in pair)


def _parameters(layer: Any) -> list[Any]:
    return [leaf for state in layer.states().values() for leaf in jax.tree.leaves(state.value)]


def _free_dtype(value: Any, layer: Any) -> Any:
    """None for the default dtype, which is what input and parameters promote to."""
    usual = jnp.dtype(environ.dftype())
    held = {leaf.dtype for leaf in _parameters(layer)}
    return None if value is None or (jnp.dtype(value) == usual and held == {usual}) else value


def _raised_dtype(value: Any, layer: Any) -> Any:
    """The dtype of a group norm: without parameters it raises half precision to single."""
    if value is not None or _parameters(layer):
        return value
    if jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise Refusal(
            "dtype=None without parameters raises half precision to single and keeps double",
            "give the layer a dtype",
        )
    return np.float32


def _followed_dtype(value: Any, layer: Any) -> Any:
    """The dtype of a group norm on the way out, where parameters say it or it is given."""
    if value is None and not _parameters(layer):
        raise Refusal(_FOLLOWS.format("there are none"), "give the layer a dtype")
    return value


_FOLLOWS = (
    "dtype=None follows input and parameters ({}), and the published layer's result is of one "
    "dtype, fixed at construction"
)


def _fixed_dtype(value: Any, layer: Any) -> Any:
    """The dtype that the published layer fixes at construction."""
    usual = jnp.dtype(environ.dftype())
    if value is not None:
        return value
    held = {leaf.dtype.name for leaf in _parameters(layer)}
    if held != {usual.name}:
        named = ", ".join(sorted(held - {usual.name})) or "there are none"
        raise Refusal(_FOLLOWS.format(named), "give the layer a dtype")
    return usual.type


def _named(value: Any, _: Any) -> Any:
    """The name of an activation function of the library; other functions as they are."""
    try:
        return CORE.names.get(value, value)
    except TypeError:
        return value


class Coordinates:
    """The sparse matrix of a layer of the core, whose positions and values it keeps apart.

    Args:
        layer: a `nn.SparseLinear`.
    """

    def __init__(self, layer: Any) -> None:
        positions = layer.spar_mat
        if positions.kept is not None:
            raise Refusal(
                "has a sparse matrix with places for entries that are not there",
                "build it of a matrix without padding",
            )
        self.shape, self.row, self.col = positions.shape, positions.row, positions.col
        self.data = layer.weight.value["weight"]

    def published(self) -> Any:
        """The matrix as the published layer takes it."""
        from saiunit import sparse  # the published package's own; it needs time to import

        return sparse.COO((self.data, self.row, self.col), shape=self.shape)


_NORMAL: dict[str, Any] = {
    "inward": {"reduction_axes": _alone, "feature_axes": _negative, "dtype": _free_dtype},
    "outward": {"dtype": _fixed_dtype},
}
_CELL: dict[str, Any] = {
    "inward": {"activation": _named},
    "runtime": frozenset({"h", "c"}),
}
_STATE_INIT = {"state_init": "_state_initializer"}

_LINEAR = (
    Row("Linear", {"b_init": _biased()}, refusals=(without_features,)),
    Row(
        "ScaledWSLinear",
        {"b_init": _biased(), "ws_gain": lambda layer: "gain" in layer.weight.value},
    ),
    Row("SignedWLinear"),
    Row("AllToAll", {"b_init": _biased()}, refusals=(one_weight,)),
    Row("OneToOne", {"b_init": _biased()}),
    Row("LoRA", {"lora_rank": lambda layer: layer.weight.value["lora_a"].shape[-1]}),
    Row(
        "SparseLinear",
        {"b_init": _biased()},
        {"spar_mat": Coordinates},
        outward={"spar_mat": lambda matrix, _: matrix.published()},
    ),
)

_CONVOLUTION = (
    *_plain(_each("Conv"), kept={"b_init": _biased()}),
    *_plain(
        _each("ConvTranspose"),
        kept={"b_init": _biased()},
        refusals=before((0, 5), TRANSPOSED),
    ),
    *_plain(
        _each("ScaledWSConv"),
        kept={"b_init": _biased(), "ws_gain": lambda layer: "gain" in layer.weight.value},
    ),
)

_POOLING = (
    *_plain(_each("MaxPool"), refusals=(INDICES,)),
    *_plain(f"{_each('AvgPool')} {_each('LPPool')}"),
    *_plain(_each("MaxUnpool"), refusals=since((0, 6), padded)),
    *_plain(
        f"{_each('AdaptiveAvgPool')} {_each('AdaptiveMaxPool')}",
        kept={"target_size": "target_shape"},
        refusals=before((0, 5), open_axis),
    ),
    *_plain("Flatten Unflatten"),
    *_plain(
        " ".join(
            _each(stem)
            for stem in ("CircularPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad")
        ),
        kept={"padding": lambda layer: _flat(layer.padding, layer)},
        outward={"padding": _flat},
    ),
)

_NORMALIZATION = (
    *_plain(
        _each("BatchNorm", "0d 1d 2d 3d"),
        kept={"feature_axis": "feature_axes", "mean_type": "running_mean"},
        inward={"feature_axis": _negative, "dtype": _free_dtype},
        outward={"dtype": _fixed_dtype},
        refusals=(UNTRACKED, half_statistics),
    ),
    *_plain("LayerNorm RMSNorm", **_NORMAL),
    Row(
        "GroupNorm",
        {
            "feature_axis": "feature_axes",
            "group_size": lambda layer: None,
        },
        inward={"feature_axis": _negative, "dtype": _raised_dtype},
        outward={"dtype": _followed_dtype},
        refusals=(partial_groups,),
    ),
)

_DROPOUT = (
    *_plain(
        f"Dropout {_each('Dropout')} AlphaDropout FeatureAlphaDropout",
        refusals=(KEEPS_NOTHING,),
    ),
    Row("DropoutFixed", runtime=frozenset({"mask"}), refusals=(KEEPS_NOTHING,)),
)

_EMBEDDING = (Row("Embedding"),)

_RECURRENT = (
    Row("ValinaRNNCell", {**_STATE_INIT, "b_init": _biased("W")}, **_CELL),
    Row("GRUCell", {**_STATE_INIT, "b_init": _biased("Wh")}, **_CELL),
    Row("MGUCell", {**_STATE_INIT, "b_init": _biased("Wh")}, **_CELL),
    Row("LSTMCell", {**_STATE_INIT, "b_init": _biased("W")}, **_CELL),
    Row("URLSTMCell", _STATE_INIT, **_CELL),
)

_ACTIVATION = (
    *_plain("ReLU RReLU Hardtanh ReLU6 Sigmoid Hardsigmoid Tanh SiLU Mish Hardswish ELU CELU SELU"),
    *_plain("GLU GELU Hardshrink LeakyReLU LogSigmoid Softplus Softshrink Softsign Tanhshrink"),
    *_plain("Threshold Softmax2d Identity"),
    *_plain("Softmin Softmax LogSoftmax", refusals=before((0, 5), EVERY_AXIS)),
    Row("SpikeBitwise", refusals=(ADDS,)),
    Row(
        "PReLU",
        {"init": lambda _: 0.25, "dtype": lambda layer: layer.weight.value.dtype},
        inward={"dtype": _free_dtype},
        outward={"dtype": lambda _, layer: layer.weight.value.dtype},
    ),
)

_WEIGHT: dict[str, Callable[[Any], Any]] = {"weight": lambda layer: layer.weight.value}

_EVENT = (Row("EventLinear", _WEIGHT, _WEIGHT, refusals=(one_event_weight,)), *CONNECTIONS)

UPDATES = frozenset({"_before_updates", "_after_updates"})
"""What dynamics call around their updates, delays of theirs among it."""

_WRAPPER = (
    Row("Dynamics", carried=UPDATES),
    Row("Sequential", entries="layers"),
    Row("EnvironContext", options="context"),
)

_PARAM: dict[str, Any] = {
    "kept": {"value": lambda _: 0.0, "enable_cache_logging": "_enable_cache_logging"},
    "ours": {"value": lambda _: 0.0},
    "carried": frozenset({"val"}),
    "unseen": frozenset({"_cached_value", "_cache_valid", "_cache_logger", "t"})
    | {"_cache_invalidation_hook_handle"},
    "later": ("t",),
}

_PARAMETERS = (
    Row("Param", **_PARAM),
    Row("Const", more=("t", "reg", "precompute", "enable_cache_logging"), **_PARAM),
)

_PENALTIES = "L1 L2 GroupLasso Orthogonal TotalVariation MaxNorm Entropy ElasticNet"
_PRIORS = "Huber Uniform Exponential LogUniform SpikeAndSlab Dirichlet"
_MENDED = "Horseshoe StudentT Cauchy LogNormal Gamma Beta InverseGamma"
"""Priors that were corrected in 0.5."""

_REGULARIZATION = (
    *_plain(" ".join(f"{stem}Reg" for stem in _PENALTIES.split())),
    *_plain(" ".join(f"{stem}Reg" for stem in _PRIORS.split()), refusals=(spread,)),
    *_plain(
        " ".join(f"{stem}Reg" for stem in _MENDED.split()),
        refusals=(spread, *before((0, 5), PENALTY)),
    ),
    Row("SpectralNormReg", refusals=before((0, 5), PENALTY)),
    Row("GaussianReg", {"std": _deviation}, {"std": _deviation}, refusals=(spread, unnormalised)),
    Row("ChainedReg", entries="regularizations"),
)

ROWS: dict[str, Row] = {
    row.name: row
    for family in (
        _LINEAR,
        _CONVOLUTION,
        _POOLING,
        _NORMALIZATION,
        _DROPOUT,
        _EMBEDDING,
        _EVENT,
        _RECURRENT,
        _ACTIVATION,
        _WRAPPER,
        LANES,
        DELAYS,
        _PARAMETERS,
        _REGULARIZATION,
        METRICS,
    )
    for row in family
}
"""The rows by name."""
