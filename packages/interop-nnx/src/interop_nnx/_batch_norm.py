"""Rows of batch normalisation.

`nnx.BatchNorm` is one class for any number of spatial axes; the shape of the example says how many.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx

from interop_core import nn
from interop_core.errors import MissingShapeError, Refusal
from interop_core.layout import Layout, axes
from interop_core.mapping import (
    Config,
    Given,
    Iso,
    LayerMap,
    Opt,
    Refused,
    Tolerance,
    case,
    ignored,
    leaf,
)
from interop_core.options import parameters

from ._linear import _elementwise
from ._norm import counted_in_example, from_the_end, listed
from ._options import PROMOTE_DTYPE

_DEFAULTS = parameters(nn.BatchNorm0d)


def _axis_to(axis: Any, config: Config) -> int:
    if len(listed(axis)) != 1:
        raise Refusal(
            f"feature_axis={axis!r} is not one axis, and nnx.BatchNorm has one",
            "flatten the feature axes in front of the layer",
        )
    return from_the_end(listed(axis)[0], len(config["in_size"]))


def _axis_back(axis: Any, config: Config) -> int:
    if not isinstance(axis, int):
        raise Refusal(f"axis={axis!r} is not one axis", "use axis=-1")
    if config["example"] is None:
        return axis  # the missing shape is the problem of num_features
    return counted_in_example(axis, config, "axis")[0]


def _features_to(size: tuple[int, ...], config: Config) -> int:
    axis = config["feature_axis"]
    return size[listed(axis)[0]]


def _size_back(features: int, config: Config) -> tuple[int, ...]:
    example: tuple[int, ...] | None = config["example"]
    if example is None:
        raise Refusal(
            "the shape of its input is not known",
            "pass sample_input=<one unbatched example, channels last, or its shape>",
            MissingShapeError,
        )
    axis = from_the_end(config["axis"], len(example) + 1) if isinstance(config["axis"], int) else -1
    if axis >= -len(example) and example[axis] != features:
        raise Refusal(
            f"it takes {features} channels on axis={config['axis']} and its input has the shape "
            f"{example}",
            "pass a sample_input with the channels last and without a batch axis",
            MissingShapeError,
        )
    return example


def _tracks(tracks: bool, _: Config) -> None:
    if not tracks:
        raise Refusal(
            "track_running_stats=False has no counterpart: nnx.BatchNorm keeps running statistics",
            "use track_running_stats=True",
        )


def _scales(config: Config) -> bool:
    return bool(config["affine"]) and config["scale_initializer"] is not None


def _shifts(config: Config) -> bool:
    return bool(config["affine"]) and config["bias_initializer"] is not None


def _affine(used: Any) -> Iso:
    return Iso(
        lambda _, config: used(config),
        lambda _, config: bool(config["use_scale"] or config["use_bias"]),
        "scale or bias",
    )


def _initializer(used: Any, name: str) -> Iso:
    return Iso(
        lambda _, config: used(config),
        lambda present, _: _DEFAULTS[name] if present else None,
        "is used",
    )


def _wide(dtype: Any, _: Config) -> Any:
    """A dtype in which both sides take the statistics of the same numbers.

    NNX rounds the input to a half-precision ``dtype`` before it takes the statistics; the core
    takes them of the input as it comes.
    """
    if dtype is not None and jnp.dtype(dtype).itemsize < 4:
        raise Refusal(
            f"dtype={jnp.dtype(dtype).name} rounds the input before the statistics in nnx, and "
            "after them in the core",
            "use dtype=None or float32, and cast around the layer",
        )
    return dtype


WIDE_DTYPE = Iso(_wide, _wide, "=")


def _flat(config: Config) -> Layout:
    rank = len(config["in_size"])
    axis = listed(config["feature_axis"])[0] % rank
    return axes(" ".join("c" if i == axis else "1" for i in range(rank)) + " -> c")


def _example_rank_is(rank: int) -> Any:
    def select(config: Config) -> bool:
        example = config["example"]
        # Without a shape the first row takes it, and says that the shape is missing.
        return rank == 1 if example is None else len(example) == rank

    return select


def _batch_norm(core: type, spatial: int) -> LayerMap:
    size = (*(4, 3, 2)[:spatial], 5)

    def to_core(**options: Any) -> Any:
        return case(**{"in_size": size, **options})

    def to_nnx(**options: Any) -> Any:
        return case(**{"num_features": 5, "input": size, **options})

    no_shape = (
        Refused(
            "foreign", case(num_features=5), "shape of its input is not known", MissingShapeError
        ),
        Refused("foreign", to_nnx(axis=0), "axis=0 reaches the batch axis"),
    )
    several_axes = (
        Refused("core", to_core(feature_axis=(-2, -1)), r"feature_axis=\(-2, -1\)"),
        Refused("foreign", to_nnx(axis=(-2, -1)), r"axis=\(-2, -1\)"),
    )
    # What does not depend on the number of axes is tried on two.
    several = (
        to_core(affine=False),
        to_core(scale_initializer=None, momentum=0.5, axis_index_groups=((0, 1),)),
        to_core(scale_initializer=None, bias_initializer=None, axis_name="lanes"),
        to_core(use_fast_variance=False, feature_axis=spatial),
        to_core(feature_axis=0, dtype=jnp.float32),
        to_core(feature_axis=(-1,)),
    )
    several_foreign = (
        to_nnx(use_scale=False, use_running_average=True, momentum=0.9),
        to_nnx(use_bias=False, use_running_average=None, axis=spatial + 1),
        to_nnx(use_bias=False, use_scale=False, axis=-1),
    )
    return LayerMap(
        core,
        nnx.BatchNorm,
        (
            Opt("in_size", "num_features", Iso(_features_to, _size_back, "its features")),
            Opt("feature_axis", "axis", Iso(_axis_to, _axis_back, "from the end")),
            Opt("affine", "use_scale", _affine(_scales)),
            Opt("affine", "use_bias", _affine(_shifts)),
            Opt("scale_initializer", "use_scale", _initializer(_scales, "scale_initializer")),
            Opt("bias_initializer", "use_bias", _initializer(_shifts, "bias_initializer")),
            Opt("epsilon", "epsilon"),
            Opt("momentum", "momentum"),
            Opt("axis_name", "axis_name"),
            Opt("axis_index_groups", "axis_index_groups"),
            Opt("use_fast_variance", "use_fast_variance"),
            Opt("dtype", "dtype", WIDE_DTYPE),
            Given("core", "track_running_stats", True, _tracks, "nnx always keeps them"),
            ignored(
                "foreign",
                "use_running_average",
                "a mode, which the core is told in every call; exported in evaluation mode",
            ),
            PROMOTE_DTYPE,
        ),
        (
            leaf("running_mean", "mean", _flat),
            leaf("running_var", "var", _flat),
            leaf("weight.scale", "scale", _flat, when=_scales),
            leaf("weight.bias", "bias", _flat, when=_shifts),
        ),
        select=_example_rank_is(spatial + 1),
        cases=(
            to_core(),
            to_core(bias_initializer=None, epsilon=1e-2),
            *(several if spatial == 2 else ()),
        ),
        foreign_cases=(
            to_nnx(),
            case(num_features=size[0], axis=1, input=size),
            *(several_foreign if spatial == 2 else ()),
        ),
        refusals=(
            Refused("core", to_core(dtype=jnp.bfloat16), "rounds the input"),
            Refused("foreign", to_nnx(dtype=jnp.float16), "rounds the input"),
            Refused(
                "core",
                to_core(track_running_stats=False, affine=False),
                "track_running_stats=False",
            ),
            Refused("foreign", to_nnx(promote_dtype=_elementwise), "promote_dtype=.*_elem"),
            Refused(
                "foreign",
                case(num_features=9, input=size),
                "takes 9 channels .*sample_input",
                MissingShapeError,
            ),
            *(several_axes if spatial else no_shape),
        ),
        tolerance=Tolerance(
            1e-5, 1e-5, "nnx multiplies the scale into the reciprocal root first; rounding"
        ),
    )


ROWS: tuple[LayerMap, ...] = (
    _batch_norm(nn.BatchNorm0d, 0),
    _batch_norm(nn.BatchNorm1d, 1),
    _batch_norm(nn.BatchNorm2d, 2),
    _batch_norm(nn.BatchNorm3d, 3),
)
