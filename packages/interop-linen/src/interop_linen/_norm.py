"""Rows of the layers that normalise one example."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import linen

from interop_core import nn
from interop_core.errors import MissingShapeError, Refusal
from interop_core.layout import Layout, axes
from interop_core.mapping import (
    FEATURES,
    Case,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    last_axis,
    leaf,
)

from ._arrays import shape_of

Axes = int | tuple[int, ...]

STATISTICS = (
    Opt("axis_name", "axis_name"),
    Opt("axis_index_groups", "axis_index_groups"),
    Opt("use_fast_variance", "use_fast_variance"),
    Opt("epsilon", "epsilon"),
    Only("foreign", "force_float32_reductions", True),
)
"""How every normalisation layer takes means and variances."""


def entries(value: Any) -> tuple[int, ...]:
    """One axis or several as a tuple."""
    return (value,) if isinstance(value, int) else tuple(value)


def _alike(value: Any, numbers: tuple[int, ...]) -> Axes:
    return numbers[0] if isinstance(value, int) else numbers


def _to_the_end(value: Any, config: Config) -> Axes:
    rank = len(config["in_size"])
    return _alike(value, tuple(a if a < 0 else a - rank for a in entries(value)))


def _from_the_array(value: Any, config: Config) -> Axes:
    """Axes of a batch, counted from its end; those of Linen count the batch axis."""
    example = config["example"]
    if all(a < 0 for a in entries(value)):
        return _alike(value, entries(value))
    if example is None:
        reason = f"axis {value} is counted from the front, and the number of axes is not known"
        raise Refusal(reason, "pass sample_input", MissingShapeError)
    numbers = tuple(a if a < 0 else a - len(example) - 1 for a in entries(value))
    if min(numbers) < -len(example):
        raise Refusal(f"axis {value} reaches the batch axis", "name an axis of one example")
    return _alike(value, numbers)


FEATURE_AXES = Iso(_to_the_end, _from_the_array, "from the end")
"""Axes along which parameters vary: of one example in the core, of a batch of them in Linen."""


def features(size: tuple[int, ...], value: Any) -> tuple[int, ...]:
    """Feature axes of an example of this size, from the front, in the order of Linen's arrays."""
    return tuple(sorted(a % len(size) for a in entries(value)))


def squeeze(size: tuple[int, ...], value: Any) -> Layout:
    """The core's arrays keep all axes of an example, Linen's the feature axes alone."""
    kept = features(size, value)
    names = [chr(ord("a") + axis) for axis in range(len(size))]
    source = " ".join(name if axis in kept else "1" for axis, name in enumerate(names))
    return axes(f"{source} -> {' '.join(names[axis] for axis in kept)}")


def _layout(config: Config) -> Layout:
    return squeeze(config["in_size"], config["feature_axes"])


def checked_size(shape: tuple[int, ...], value: Axes, config: Config) -> tuple[int, ...] | None:
    """The example where it is known, once its feature axes have been seen to be of this shape."""
    example: tuple[int, ...] | None = config["example"]
    if example is None:
        return None
    ends = sorted(entries(value))
    if len(example) < -ends[0] or shape != tuple(example[a] for a in ends):
        raise Refusal(
            f"its arrays have the shape {shape} for axes {value}, and its input {example}",
            "pass a sample_input with the channels last and without a batch axis",
            MissingShapeError,
        )
    return example


def _array(config: Config) -> str | None:
    """An array that tells the sizes of the feature axes, if there is one."""
    return "scale" if config["use_scale"] else "bias" if config.get("use_bias") else None


def _in_size(_: Any, config: Config) -> Any:
    try:
        value = _from_the_array(config["feature_axes"], config)
    except Refusal:
        return None  # said of feature_axes
    name = _array(config)
    if name is None:
        if config["example"] is None:
            reason = "has neither scale nor bias, which would tell the size of its input"
            raise Refusal(reason, "pass sample_input", MissingShapeError)
        return config["example"]
    shape = shape_of(config, name, len(entries(value)))
    known = checked_size(shape, value, config)
    if known is None and sorted(entries(value)) != list(range(-len(shape), 0)):
        reason = f"sizes between the axes {value} are not known"
        raise Refusal(reason, "pass sample_input", MissingShapeError)
    return known or shape


IN_SIZE = Iso(last_axis, _in_size, "size of the parameters")


def _when(name: str) -> Any:
    return lambda config: config[name]


def _cases(**more: Any) -> tuple[Case, ...]:
    return (
        case(in_size=4),
        case(
            in_size=4,
            epsilon=1e-3,
            use_fast_variance=False,
            use_scale=False,
            axis_name="lanes",
        ),
        case(in_size=(6, 4), reduction_axes=(-2, -1), feature_axes=(-2, -1)),
        case(in_size=(6, 5, 4), reduction_axes=(1, 3), feature_axes=(0, -1)),
        case(in_size=(6, 4), feature_axes=0, axis_index_groups=((0, 1),)),
        case(in_size=4, dtype=jnp.bfloat16, **more),
    )


FOREIGN_CASES = (
    case(input=(4,)),
    case(use_scale=False, epsilon=1e-3, input=(6, 4)),
    case(reduction_axes=(1, 2), feature_axes=(2, 1), input=(6, 4)),
    case(reduction_axes=-1, feature_axes=(-1,), dtype=jnp.float32, input=(5, 4)),
)
REFUSALS = (
    Refused("foreign", case(force_float32_reductions=False, input=(4,)), "force_float32"),
    Refused("foreign", case(feature_axes=0, input=(4,)), "axis 0 reaches the batch axis"),
)

LAYER_NORM = LayerMap(
    nn.LayerNorm,
    linen.LayerNorm,
    (
        Opt("in_size", "scale.shape", IN_SIZE),
        Opt("feature_axes", "feature_axes", FEATURE_AXES),
        Opt("reduction_axes", "reduction_axes"),
        Opt("use_bias", "use_bias"),
        Opt("use_scale", "use_scale"),
        Opt("dtype", "dtype"),
        *STATISTICS,
    ),
    (
        leaf("weight.scale", "scale", _layout, when=_when("use_scale")),
        leaf("weight.bias", "bias", _layout, when=_when("use_bias")),
    ),
    cases=(
        *_cases(),
        case(in_size=4, use_bias=False),
        case(in_size=4, use_bias=False, use_scale=False),
    ),
    foreign_cases=(*FOREIGN_CASES, case(use_scale=False, use_bias=False, input=(4,))),
    refusals=REFUSALS,
)

RMS_NORM = LayerMap(
    nn.RMSNorm,
    linen.RMSNorm,
    (
        Opt("in_size", "scale.shape", IN_SIZE),
        Opt("feature_axes", "feature_axes", FEATURE_AXES),
        Opt("reduction_axes", "reduction_axes"),
        Opt("use_scale", "use_scale"),
        Only("core", "use_bias", False, "add the bias in a layer of its own"),
        Opt("dtype", "dtype"),
        *STATISTICS,
    ),
    (leaf("scale.scale", "scale", _layout, when=_when("use_scale")),),
    cases=_cases(),
    foreign_cases=FOREIGN_CASES,
    refusals=(*REFUSALS, Refused("core", case(in_size=4, use_bias=True), "use_bias=True")),
)


def _channels(_: Any, config: Config) -> Any:
    name = _array(config)
    if name is not None:
        channels = shape_of(config, name, 1)[0]
    elif config["example"]:
        channels = config["example"][-1]
    else:
        reason = "has neither scale nor bias, which would tell the number of channels"
        raise Refusal(reason, "pass sample_input", MissingShapeError)
    FEATURES.back(channels, config)  # for its check alone: the core wants the channels
    return (channels,)


GROUP_NORM = LayerMap(
    nn.GroupNorm,
    linen.GroupNorm,
    (
        Opt("in_size", "scale.shape", Iso(last_axis, _channels, "size of the parameters")),
        Opt("num_groups", "num_groups"),
        Opt("group_size", "group_size"),
        Opt("reduction_axes", "reduction_axes"),
        Opt("use_bias", "use_bias"),
        Opt("use_scale", "use_scale"),
        Given("core", "feature_axis", -1, reason="the channels are the only axis of in_size"),
        Opt("dtype", "dtype"),
        *STATISTICS,
    ),
    (
        leaf("weight.scale", "scale", when=_when("use_scale")),
        leaf("weight.bias", "bias", when=_when("use_bias")),
    ),
    cases=(
        case(in_size=8, num_groups=2, input=(5, 8)),
        case(
            in_size=8,
            num_groups=None,
            group_size=2,
            use_bias=False,
            axis_index_groups=((0, 1),),
            input=(6, 5, 8),
        ),
        case(
            in_size=8,
            num_groups=4,
            use_scale=False,
            epsilon=1e-3,
            axis_name="lanes",
            input=(6, 5, 8),
        ),
        case(in_size=8, num_groups=1, use_fast_variance=False, reduction_axes=(-2, -1),
             input=(6, 5, 8)),
        case(in_size=8, num_groups=8, dtype=jnp.bfloat16, input=(8,)),
        case(in_size=8, num_groups=2, use_bias=False, use_scale=False, feature_axis=0,
             input=(5, 8)),
    ),
    foreign_cases=(
        case(num_groups=2, input=(6, 5, 8)),
        case(num_groups=None, group_size=4, use_bias=False, use_scale=False, input=(5, 8)),
        case(num_groups=2, reduction_axes=[1, 2, 3], input=(6, 5, 8)),
    ),
    refusals=(
        Refused("foreign", case(num_groups=2, force_float32_reductions=False, input=(5, 8)),
                "force_float32"),
    ),
)  # fmt: skip

INSTANCE_NORM = LayerMap(
    nn.InstanceNorm,
    linen.InstanceNorm,
    (
        Opt("in_size", "scale.shape", Iso(last_axis, _channels, "size of the parameters")),
        Opt("use_bias", "use_bias"),
        Opt("use_scale", "use_scale"),
        Only("foreign", "feature_axes", -1, "have one axis of channels, the last one"),
        Given("core", "feature_axis", -1, reason="the channels are the only axis of in_size"),
        Opt("dtype", "dtype"),
        *STATISTICS,
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
    foreign_cases=(case(use_scale=False, use_bias=False, input=(4, 3)),),
    refusals=(
        Refused("foreign", case(feature_axes=-2, input=(3, 3)), "feature_axes"),
        Refused("foreign", case(force_float32_reductions=False, input=(4, 3)), "force_float32"),
    ),
)  # fmt: skip

ROWS: tuple[LayerMap, ...] = (LAYER_NORM, RMS_NORM, GROUP_NORM, INSTANCE_NORM)
