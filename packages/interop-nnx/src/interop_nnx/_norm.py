"""Rows of the normalisations without running statistics.

NNX keeps scale and bias flat, one number per feature; the core keeps them in the shape of
``in_size`` with 1 where no feature is. `nnx.LayerNorm` counts feature axes in the array that it
is given, the core in ``in_size``: from the end both mean the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    Only,
    Opt,
    Refused,
    case,
    iso,
    last_axis,
    leaf,
)
from interop_core.reshape import Reshape

from ._linear import _elementwise
from ._options import PROMOTE_DTYPE

Axes = int | Sequence[int]

_PASS_SHAPE = "pass sample_input=<one unbatched example, channels last, or its shape>"


def listed(axes: Axes) -> tuple[int, ...]:
    """One axis or several as a tuple."""
    return (axes,) if isinstance(axes, int) else tuple(axes)


def from_the_end(axis: int, rank: int) -> int:
    """An axis of an array, counted from the end."""
    return axis - rank if axis >= 0 else axis


def _alike(found: Axes, given: Axes) -> Axes:
    """Axes in the form that they were given in: one number or several."""
    return listed(found)[0] if isinstance(given, int) else listed(found)


def _features_to(given: Axes, config: Config) -> Axes:
    rank = len(config["in_size"])
    return _alike(tuple(from_the_end(axis, rank) for axis in listed(given)), given)


def counted_in_example(given: Axes, config: Config, what: str) -> tuple[int, ...]:
    """Axes of the array that an NNX layer is given, as axes of one example, from the end."""
    example = config["example"]
    if example is None and any(axis >= 0 for axis in listed(given)):
        raise Refusal(
            f"{what}={given!r} is counted from the front of an input of unknown shape",
            _PASS_SHAPE,
            MissingShapeError,
        )
    rank = 0 if example is None else len(example)
    counted = tuple(from_the_end(axis, rank + 1) for axis in listed(given))
    if example is not None and any(axis < -rank for axis in counted):
        raise Refusal(f"{what}={given!r} reaches the batch axis of inputs (batch, {example})")
    return counted


def _features_back(given: Axes, config: Config) -> Axes:
    return _alike(counted_in_example(given, config, "feature_axes"), given)


def _num_features(size: tuple[int, ...], config: Config) -> int:
    return math.prod(size[axis] for axis in listed(config["feature_axes"]))


def _size_back(features: int, config: Config) -> tuple[int, ...]:
    counted = counted_in_example(config["feature_axes"], config, "feature_axes")
    example: tuple[int, ...] | None = config["example"]
    if example is None and counted == (-1,):
        return (features,)
    if example is None:
        raise Refusal(
            f"feature_axes={config['feature_axes']!r} name axes whose lengths are not known",
            _PASS_SHAPE,
            MissingShapeError,
        )
    if math.prod(example[axis] for axis in counted) != features:
        raise Refusal(
            f"it has {features} features on feature_axes={config['feature_axes']!r}, and its input "
            f"has the shape {example}",
            "pass a sample_input with the channels last and without a batch axis",
            MissingShapeError,
        )
    return example


def _flat(config: Config) -> Layout:
    """From the core's shape of scale and bias to one flat axis."""
    size = config["in_size"]
    features = {axis % len(size) for axis in listed(config["feature_axes"])}
    if len(features) == 1:
        names = " ".join("c" if axis in features else "1" for axis in range(len(size)))
        return axes(f"{names} -> c")
    shape = tuple(n if axis in features else 1 for axis, n in enumerate(size))
    return Reshape(shape, (math.prod(shape),))


_AXES = iso(
    lambda axes: axes, lambda axes: axes if isinstance(axes, int) else tuple(axes), "as they are"
)

_STATISTICS = (
    Opt("epsilon", "epsilon"),
    Opt("axis_name", "axis_name"),
    Opt("axis_index_groups", "axis_index_groups"),
    Opt("use_fast_variance", "use_fast_variance"),
    Opt("dtype", "dtype"),
    PROMOTE_DTYPE,
)


def _norm(core: type, foreign: type, state: str) -> LayerMap:
    rms = foreign is nnx.RMSNorm
    bias = (
        Only("core", "use_bias", False, "nnx.RMSNorm has no bias: add one behind it")
        if rms
        else Opt("use_bias", "use_bias")
    )
    plain: Config = {"use_scale": False} if rms else {"use_scale": False, "use_bias": False}
    only_scale: Config = {} if rms else {"use_bias": False}
    only_bias = () if rms else (case(in_size=5, use_scale=False, epsilon=1e-2),)
    return LayerMap(
        core,
        foreign,
        (
            Opt("in_size", "num_features", Iso(_num_features, _size_back, "its features")),
            Opt("reduction_axes", "reduction_axes", _AXES),
            Opt("feature_axes", "feature_axes", Iso(_features_to, _features_back, "from the end")),
            Opt("use_scale", "use_scale"),
            bias,
            *_STATISTICS,
        ),
        (
            leaf(f"{state}.scale", "scale", _flat, when=lambda c: bool(c["use_scale"])),
            leaf(f"{state}.bias", "bias", _flat, when=lambda c: bool(c["use_bias"])),
        ),
        cases=(
            case(in_size=5),
            case(in_size=1),
            case(in_size=5, **plain),
            case(in_size=5, use_fast_variance=False, axis_name="lanes", **only_scale),
            *only_bias,
            case(in_size=(3, 5), epsilon=1e-3, dtype=jnp.float32),
            case(in_size=(3, 5), reduction_axes=(-2, -1)),
            case(in_size=(3, 4, 5), reduction_axes=(-2, -1), feature_axes=(-1, -2)),
            case(in_size=(3, 4, 5), reduction_axes=(1, 3), feature_axes=(0, 2)),
            case(in_size=(3, 4, 5), reduction_axes=-3, feature_axes=1),
            case(in_size=5, axis_index_groups=((0, 1),)),
        ),
        foreign_cases=(
            case(num_features=5, input=(5,)),
            case(num_features=5, input=(3, 5), reduction_axes=[1, 2], **only_scale),
            case(num_features=20, input=(3, 4, 5), reduction_axes=(2, 3), feature_axes=(2, 3)),
            case(num_features=4, input=(3, 4, 5), reduction_axes=-3, feature_axes=-2),
        ),
        refusals=(
            Refused(
                "foreign", case(num_features=5, promote_dtype=_elementwise), "promote_dtype=.*_elem"
            ),
            Refused(
                "foreign",
                case(num_features=20, feature_axes=(-2, -1)),
                "sample_input",
                MissingShapeError,
            ),
            Refused(
                "foreign",
                case(num_features=5, feature_axes=1),
                "feature_axes=1 .*sample_input",
                MissingShapeError,
            ),
            Refused("foreign", case(num_features=5, feature_axes=0, input=(5,)), "feature_axes=0"),
            Refused("foreign", case(num_features=5, input=(5, 3)), "5 features", MissingShapeError),
            *((Refused("core", case(in_size=5, use_bias=True), "use_bias=True"),) if rms else ()),
        ),
    )


_MIXES_GROUPS = (
    "nnx.GroupNorm gives every group the statistics of another one unless all axes but the first "
    "are reduced"
)


def _all_but_the_first(axes: Axes | None) -> bool:
    """Whether axes counted from the front are all of an array but its first."""
    return axes is None or sorted(listed(axes)) == list(range(1, len(listed(axes)) + 1))


def _reduced_to(axes: Axes | None, _: Config) -> Axes | None:
    # From the front, both sides take arrays of exactly one rank; from the end, the core takes
    # any, and NNX would take them too and compute something else.
    if not _all_but_the_first(axes):
        raise Refusal(f"reduction_axes={axes!r}: {_MIXES_GROUPS}", "count them from the front")
    return axes


def _reduced_back(axes: Axes | None, config: Config) -> tuple[int, ...] | None:
    if axes is None:
        return None
    counted, example = tuple(sorted(listed(axes))), config["example"]
    if example is not None:
        rank = len(example) + 1
        counted = tuple(sorted(axis % rank for axis in counted))
        if counted != tuple(range(1, rank)):
            raise Refusal(f"reduction_axes={axes!r}: {_MIXES_GROUPS}")
    elif not _all_but_the_first(counted):
        raise Refusal(
            f"reduction_axes={axes!r} are not counted from the front, and the shape of the input "
            "is not known",
            _PASS_SHAPE,
            MissingShapeError,
        )
    return counted


def _channels_back(_: Any, config: Config) -> tuple[int, ...]:
    # The layer keeps the groups, and not of how many channels.
    return (config["num_groups"] * config["group_size"],)


GROUP_NORM = LayerMap(
    nn.GroupNorm,
    nnx.GroupNorm,
    (
        Opt("in_size", "num_features", Iso(last_axis, _channels_back, "its channels")),
        Opt("num_groups", "num_groups"),
        Opt("group_size", "group_size", iso(lambda size: size, lambda _: None, "or by number")),
        Opt("reduction_axes", "reduction_axes", Iso(_reduced_to, _reduced_back, "as they are")),
        Opt("use_scale", "use_scale"),
        Opt("use_bias", "use_bias"),
        Given("core", "feature_axis", -1, reason="in_size has one axis"),
        *_STATISTICS,
    ),
    (
        leaf("weight.scale", "scale", when=lambda c: bool(c["use_scale"])),
        leaf("weight.bias", "bias", when=lambda c: bool(c["use_bias"])),
    ),
    cases=(
        case(in_size=6, num_groups=3, input=(4, 5, 6)),
        case(in_size=6, num_groups=2),
        case(in_size=6, num_groups=6, use_fast_variance=False, epsilon=1e-2, input=(4, 6)),
        case(in_size=6, num_groups=1, use_bias=False, axis_name="lanes", input=(4, 6)),
        case(in_size=6, num_groups=2, use_scale=False, dtype=jnp.float32, input=(4, 6)),
        case(
            in_size=6,
            num_groups=2,
            use_scale=False,
            use_bias=False,
            axis_index_groups=((0, 1),),
            input=(4, 6),
        ),
        case(in_size=6, num_groups=2, reduction_axes=(1, 2, 3), input=(4, 5, 6)),
    ),
    foreign_cases=(
        case(num_features=6, num_groups=3, input=(4, 5, 6)),
        case(num_features=6, num_groups=None, group_size=2, use_bias=False, input=(4, 6)),
        case(num_features=64, input=(64,)),
        case(num_features=6, num_groups=3, reduction_axes=[-2, -1], input=(4, 6)),
        case(num_features=6, num_groups=3, use_scale=False, use_bias=False, input=(4, 5, 6)),
    ),
    refusals=(
        Refused(
            "core", case(in_size=6, num_groups=2, reduction_axes=(-2, -1)), "the statistics of an"
        ),
        Refused(
            "foreign",
            case(num_features=6, num_groups=2, reduction_axes=(-2, -1)),
            "reduction_axes=.*sample_input",
            MissingShapeError,
        ),
        Refused(
            "foreign",
            case(num_features=6, num_groups=2, reduction_axes=-1, input=(4, 6)),
            "reduction_axes=-1",
        ),
        Refused(
            "foreign",
            case(num_features=6, num_groups=2, promote_dtype=_elementwise),
            "promote_dtype=.*_elem",
        ),
    ),
)

INSTANCE_NORM = LayerMap(
    nn.InstanceNorm,
    nnx.InstanceNorm,
    (
        Opt("in_size", "num_features", Iso(last_axis, lambda n, _: (n,), "its channels")),
        Opt("use_scale", "use_scale"),
        Opt("use_bias", "use_bias"),
        Only("foreign", "feature_axes", -1, "have one axis of channels, the last one"),
        Given("core", "feature_axis", -1, reason="in_size has one axis"),
        *_STATISTICS,
    ),
    GROUP_NORM.leaves,
    cases=(
        case(in_size=3, input=(4, 5, 3), epsilon=1e-2, axis_name="lanes"),
        case(
            in_size=3,
            use_bias=False,
            use_fast_variance=False,
            axis_index_groups=((0, 1),),
            input=(4, 3),
        ),
        case(in_size=3, use_scale=False, dtype=jnp.float32, input=(4, 3)),
    ),
    foreign_cases=(case(num_features=3, use_scale=False, use_bias=False, input=(4, 3)),),
    refusals=(
        Refused("foreign", case(num_features=3, feature_axes=(-2, -1), input=(4, 3)),
                "feature_axes"),
        Refused("foreign", case(num_features=3, promote_dtype=_elementwise, input=(4, 3)),
                "promote_dtype=.*_elem"),
    ),
)  # fmt: skip

ROWS: tuple[LayerMap, ...] = (
    _norm(nn.LayerNorm, nnx.LayerNorm, "weight"),
    _norm(nn.RMSNorm, nnx.RMSNorm, "scale"),
    GROUP_NORM,
    INSTANCE_NORM,
)
