"""The rows: every public layer of both libraries, by family."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from interop_core import environ
from interop_core.errors import Refusal

from ._row import Row
from ._sides import CORE

__all__ = ["ROWS"]

Arguments = Mapping[str, Any]


def _plain(names: str, **said: Any) -> Iterable[Row]:
    """Rows that say the same of several layers."""
    return (Row(name, **said) for name in names.split())


def _each(stem: str, dimensions: str = "1d 2d 3d") -> str:
    return " ".join(stem + dimension for dimension in dimensions.split())


# -- what a published layer does otherwise ---------------------------------------------------------


def _when(argument: str, value: Any, reason: str) -> Callable[[Arguments], str | None]:
    """Refuse one value of one argument."""
    return lambda given: reason if given.get(argument) is value else None


_INDICES = _when(
    "return_indices", True, "return_indices=True gives other indices there than those of the maxima"
)
_UNTRACKED = _when(
    "track_running_stats", False, "track_running_stats=False does not normalise there"
)


def _half_statistics(given: Arguments) -> str | None:
    dtype = given.get("dtype")
    if dtype is None or jnp.dtype(dtype).itemsize >= 4:
        return None
    return f"dtype={jnp.dtype(dtype).name} rounds the running statistics and the momentum there"


def _partial_groups(given: Arguments) -> str | None:
    if given.get("reduction_axes") is None:
        return None
    return "reduction_axes of the user's choice give other numbers there"


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


def _flat(value: Any, _: Any) -> Any:
    """Pairs of widths one behind the other, the form that padding layers take."""
    return tuple(width for pair in value for width in pair)


def _parameters(layer: Any) -> list[Any]:
    return [leaf for state in layer.states().values() for leaf in jax.tree.leaves(state.value)]


def _free_dtype(value: Any, layer: Any) -> Any:
    """None for the default dtype, which is what input and parameters promote to."""
    usual = jnp.dtype(environ.dftype())
    held = {leaf.dtype for leaf in _parameters(layer)}
    return None if value is None or (jnp.dtype(value) == usual and held <= {usual}) else value


def _fixed_dtype(value: Any, layer: Any) -> Any:
    """The dtype that the published layer fixes at construction."""
    usual = jnp.dtype(environ.dftype())
    if value is not None:
        return value
    other = sorted({leaf.dtype.name for leaf in _parameters(layer)} - {usual.name})
    if other:
        raise Refusal(
            f"dtype=None follows input and parameters ({', '.join(other)}), and the published "
            "layer's result is of one dtype, fixed at construction",
            "give the layer a dtype",
        )
    return usual.type


def _named(value: Any, _: Any) -> Any:
    """The name of an activation function of the library; other functions as they are."""
    try:
        return CORE.names.get(value, value)
    except TypeError:
        return value


_NORMAL: dict[str, Any] = {
    "inward": {"reduction_axes": _negative, "feature_axes": _negative, "dtype": _free_dtype},
    "outward": {"dtype": _fixed_dtype},
}
_CELL: dict[str, Any] = {
    "inward": {"activation": _named},
    "runtime": frozenset({"h", "c"}),
}
_STATE_INIT = {"state_init": "_state_initializer"}

_LINEAR = (
    Row("Linear", {"b_init": _biased()}),
    Row(
        "ScaledWSLinear",
        {"b_init": _biased(), "ws_gain": lambda layer: "gain" in layer.weight.value},
    ),
    Row("SignedWLinear"),
    Row("AllToAll", {"b_init": _biased()}),
    Row("OneToOne", {"b_init": _biased()}),
    Row("LoRA", {"lora_rank": lambda layer: layer.weight.value["lora_a"].shape[-1]}),
    Row(
        "SparseLinear",
        {"b_init": _biased()},
    ),
)

_CONVOLUTION = (
    *_plain(f"{_each('Conv')} {_each('ConvTranspose')}", kept={"b_init": _biased()}),
    *_plain(
        _each("ScaledWSConv"),
        kept={"b_init": _biased(), "ws_gain": lambda layer: "gain" in layer.weight.value},
    ),
)

_POOLING = (
    *_plain(_each("MaxPool"), refusals=(_INDICES,)),
    *_plain(f"{_each('AvgPool')} {_each('LPPool')} {_each('MaxUnpool')}"),
    *_plain(
        f"{_each('AdaptiveAvgPool')} {_each('AdaptiveMaxPool')}",
        kept={"target_size": "target_shape"},
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
        refusals=(_UNTRACKED, _half_statistics),
    ),
    *_plain("LayerNorm RMSNorm", **_NORMAL),
    Row(
        "GroupNorm",
        {
            "feature_axis": "feature_axes",
            "group_size": lambda layer: None,
        },
        inward={"feature_axis": _negative},
        refusals=(_partial_groups,),
    ),
)

_DROPOUT = (
    *_plain(f"Dropout {_each('Dropout')} AlphaDropout FeatureAlphaDropout"),
    Row("DropoutFixed", runtime=frozenset({"mask"})),
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
    *_plain("Threshold Softmin Softmax Softmax2d LogSoftmax Identity SpikeBitwise"),
    Row(
        "PReLU",
        {"init": lambda _: 0.25, "dtype": lambda layer: layer.weight.value.dtype},
        outward={"dtype": lambda _, layer: layer.weight.value.dtype},
    ),
)

_WRAPPER = (
    Row("Sequential", entries="layers"),
    Row("EnvironContext", options="context"),
    Row("Vmap"),
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

_PENALTIES = "L1 L2 GroupLasso Orthogonal TotalVariation MaxNorm SpectralNorm Entropy ElasticNet"
_PRIORS = (
    "Huber Horseshoe StudentT Cauchy Uniform LogNormal Exponential Gamma Beta InverseGamma "
    "LogUniform SpikeAndSlab Dirichlet"
)

_REGULARIZATION = (
    *_plain(" ".join(f"{stem}Reg" for stem in f"{_PENALTIES} {_PRIORS}".split())),
    Row("GaussianReg"),
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
        _RECURRENT,
        _ACTIVATION,
        _WRAPPER,
        _PARAMETERS,
        _REGULARIZATION,
    )
    for row in family
}
"""The rows by name."""
