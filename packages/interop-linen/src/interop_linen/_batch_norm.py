"""Rows of batch normalisation, the layer with running statistics."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.errors import MissingShapeError, Refusal
from interop_core.layout import Layout
from interop_core.mapping import (
    Case,
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    last_axis,
    leaf,
)
from interop_core.options import parameters

from ._arrays import shape_of
from ._norm import FEATURE_AXES, STATISTICS, checked_size, entries, squeeze

MEAN, VARIANCE = "batch_stats:mean", "batch_stats:var"
AFFINE_DTYPES = ("scale.dtype", "bias.dtype")
ADVICE = "pass sample_input=<one unbatched example, channels last, or its shape>"


def _layout(config: Config) -> Layout:
    return squeeze(config["in_size"], config["feature_axis"])


def _in_size(_: Any, config: Config) -> Any:
    try:
        value = FEATURE_AXES.back(config["axis"], config)
    except Refusal:
        return None  # said of axis
    return checked_size(shape_of(config, MEAN, len(entries(value))), value, config)


def _has(name: str) -> Any:
    return lambda config: config["affine"] and config[f"{name}_initializer"] is not None


def _initializer(name: str) -> Iso:
    """Whether there is a scale or bias: a flag in Linen, an initializer or None in the core."""
    default = parameters(nn.BatchNorm0d)[f"{name}_initializer"]
    has = _has(name)

    def back(used: bool, config: Config) -> Any:
        other = config["use_scale"] or config["use_bias"]
        return default if used or not other else None

    return Iso(lambda _, config: bool(has(config)), back, "is used")


AFFINE = Iso(
    lambda _, config: bool(_has("scale")(config)),
    lambda _, config: bool(config["use_scale"] or config["use_bias"]),
    "scale or bias",
)


def _result_dtype(dtype: Any, config: Config) -> Any:
    """The option itself, where the dtypes of the arrays do not leave it open.

    Without one, the core's result has the dtype that input, parameters and statistics promote to;
    Linen leaves the statistics out.
    """
    names = [name for name in config if name.endswith(".dtype") and config[name] is not None]
    held = {name: config[name] for name in names}
    affine = [found for name, found in held.items() if name.endswith(AFFINE_DTYPES)]
    if dtype is None and affine:
        narrow = reduce(jnp.promote_types, affine)
        wide = reduce(jnp.promote_types, held.values())
        if narrow != wide:
            reason = f"statistics of {wide} meet a scale or bias of {narrow}"
            raise Refusal(reason, f"give the layer a dtype: dtype={narrow.name!r}")
    return dtype


RESULT_DTYPE = Iso(_result_dtype, _result_dtype, "=")

SIZE = {0: (4,), 1: (6, 4), 2: (6, 5, 4), 3: (6, 5, 3, 4)}
"""Inputs of the cases, by the number of spatial axes."""


def _core_cases(rank: int) -> Iterator[Case]:
    size = SIZE[rank]
    yield case(in_size=size)
    yield case(in_size=size, affine=False, momentum=0.9, epsilon=1e-3)
    if rank == 2:  # the same code for any number of axes
        yield case(in_size=size, scale_initializer=None, use_fast_variance=False, axis_name="lanes")
        yield case(in_size=size, bias_initializer=None, dtype=jnp.bfloat16)
        yield case(in_size=size, feature_axis=(0, -1))
        yield case(in_size=size, feature_axis=0, axis_index_groups=((0, 1),))


def _linen_cases(rank: int) -> Iterator[Case]:
    size = SIZE[rank]
    yield case(input=size)
    yield case(axis=rank + 1, momentum=0.9, use_bias=False, input=size)
    if rank == 2:
        yield case(use_scale=False, use_bias=False, use_fast_variance=False, input=size)
        yield case(use_scale=False, epsilon=1e-3, dtype=jnp.float32, input=size)
        yield case(axis=(-1, 1), input=size)


def _batch_norm(core: type, rank: int) -> LayerMap:
    def select(config: Config) -> bool:
        example = config["example"]
        if example is None:
            reason = "the number of axes of its input is not known"
            raise Refusal(reason, ADVICE, MissingShapeError)
        return len(example) == rank + 1

    size = SIZE[rank]
    return LayerMap(
        core,
        linen.BatchNorm,
        (
            Opt("in_size", f"{MEAN}.shape", Iso(last_axis, _in_size, "from sample_input")),
            Opt("feature_axis", "axis", FEATURE_AXES),
            Opt("momentum", "momentum"),
            Opt("dtype", "dtype", RESULT_DTYPE),
            Opt("affine", "use_scale", AFFINE),
            Opt("scale_initializer", "use_scale", _initializer("scale")),
            Opt("bias_initializer", "use_bias", _initializer("bias")),
            Only("core", "track_running_stats", True, "let it keep running statistics"),
            *STATISTICS,
        ),
        (
            leaf("running_mean", MEAN, _layout),
            leaf("running_var", VARIANCE, _layout),
            leaf("weight.scale", "scale", _layout, when=_has("scale")),
            leaf("weight.bias", "bias", _layout, when=_has("bias")),
        ),
        cases=tuple(_core_cases(rank)),
        foreign_cases=tuple(_linen_cases(rank)),
        refusals=(
            Refused("core", case(in_size=size, affine=False, track_running_stats=False),
                    "track_running_stats=False"),
            Refused("foreign", case(force_float32_reductions=False, input=size), "force_float32"),
            Refused("foreign", case(axis=0, input=size), "axis 0 reaches the batch axis"),
        ),
        select=select,
        note="Without scale and bias the result has the dtype of the input in Linen; in the core, "
        "the one that input and statistics promote to.",
    )  # fmt: skip


ROWS: tuple[LayerMap, ...] = (
    _batch_norm(nn.BatchNorm0d, 0),
    _batch_norm(nn.BatchNorm1d, 1),
    _batch_norm(nn.BatchNorm2d, 2),
    _batch_norm(nn.BatchNorm3d, 3),
)
