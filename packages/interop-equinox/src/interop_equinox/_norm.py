"""Rows of the normalisations without running statistics.

Equinox normalises one example and computes the variance in two passes. A core layer with the fast
variance becomes the same function, and agrees to rounding wherever the mean is not far above the
spread; where it is, the two-pass result is the accurate one.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

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
    last_axis,
    leaf,
)

_TWO_PASS = "Equinox computes the variance in two passes: the same function, to rounding"


def _normalised_shape(config: Config) -> tuple[int, ...]:
    """The shape that an Equinox layer normalises: the last axes of the example, all of them."""
    size: tuple[int, ...] = config["in_size"]
    reduced, features = config["reduction_axes"], config["feature_axes"]
    reduced = (reduced,) if isinstance(reduced, int) else tuple(reduced)
    features = (features,) if isinstance(features, int) else tuple(features)
    rank = len(reduced)
    if sorted(reduced) != list(range(-rank, 0)):
        raise Refusal(
            f"reduction_axes={config['reduction_axes']} are not the last axes, counted from the end"
        )
    if rank > len(size):
        raise Refusal(f"in_size={size} does not say how long the axes {reduced} are")
    # Features count in in_size, where a positive axis is as good as a negative one.
    counted = sorted(axis - len(size) if axis >= 0 else axis for axis in features)
    plain = not config["use_scale"] and not config.get("use_bias")
    if counted != list(range(-rank, 0)) and not plain:
        raise Refusal(
            f"feature_axes={config['feature_axes']} are not the axes that are normalised",
            "Equinox scales exactly those",
        )
    return size[-rank:]


def _size_back(shape: tuple[int, ...], config: Config) -> tuple[int, ...]:
    example: tuple[int, ...] | None = config["example"]
    if example is None:
        return shape
    if example[-len(shape) :] != shape:
        raise Refusal(
            f"it normalises the shape {shape} and its input has the shape {example}",
            "pass a sample_input that fits, unbatched",
            MissingShapeError,
        )
    return example


def _axes_back(shape: tuple[int, ...], _: Config) -> int | tuple[int, ...]:
    return -1 if len(shape) == 1 else tuple(range(-len(shape), 0))


def _shape_of(back: Any) -> Iso:
    return Iso(lambda _, config: _normalised_shape(config), back, "the last axes")


def _parameters(config: Config) -> Layout:
    """Core parameters have an axis of length one for every axis that is not normalised."""
    rank = len(config["in_size"])
    kept = len(_normalised_shape(config))
    names = [f"a{i}" for i in range(rank)]
    source = ["1"] * (rank - kept) + names[rank - kept :]
    return axes(f"{' '.join(source)} -> {' '.join(names[rank - kept :])}")


_COMMON = (
    Opt("in_size", "shape", _shape_of(_size_back)),
    Opt("reduction_axes", "shape", _shape_of(_axes_back)),
    Opt("feature_axes", "shape", _shape_of(_axes_back)),
    Opt("epsilon", "eps"),
    Opt("use_scale", "use_weight"),
    Opt("use_bias", "use_bias"),
    Only("core", "axis_name", None, "Equinox normalises one example on its own"),
    Only("core", "axis_index_groups", None),
    Only("core", "dtype", None, "cast the model and its input instead"),
    Given("core", "use_fast_variance", False, reason=_TWO_PASS),
)


def _norm(core: type, foreign: type, state: str) -> LayerMap:
    return LayerMap(
        core,
        foreign,
        _COMMON,
        (
            leaf(f"{state}.scale", "weight", _parameters, when=lambda c: bool(c["use_scale"])),
            leaf(f"{state}.bias", "bias", _parameters, when=lambda c: bool(c["use_bias"])),
        ),
        cases=(
            case(in_size=5),
            case(in_size=5, use_scale=False, use_bias=True),
            case(in_size=5, use_bias=False, use_scale=False, epsilon=1e-3),
            case(in_size=(3, 5), use_fast_variance=False),
            case(in_size=(3, 4, 5), reduction_axes=(-2, -1), feature_axes=(-1, -2)),
            case(in_size=(3, 5), reduction_axes=(-2, -1), feature_axes=(0, 1)),
        ),
        refusals=(
            Refused("core", case(in_size=(3, 5), reduction_axes=(-2, -1)), "feature_axes=-1"),
            Refused("core", case(in_size=(3, 5), reduction_axes=-2, feature_axes=-2), "last axes"),
            Refused("core", case(in_size=5, axis_name="batch"), "axis_name='batch'"),
            Refused("core", case(in_size=5, axis_index_groups=((0,),)), "axis_index_groups"),
            Refused("core", case(in_size=5, dtype=jnp.bfloat16), "dtype="),
        ),
        example_rank=lambda config: len(_normalised_shape(config)),
        note=_TWO_PASS + ".",
    )


def _groups(value: int | None, config: Config) -> int:
    return value if value is not None else int(config["in_size"][-1]) // int(config["group_size"])


def _channels_back(channels: int | None, config: Config) -> tuple[int, ...]:
    example: tuple[int, ...] | None = config["example"]
    if channels is None:
        if example is None:
            raise Refusal(
                "it does not say how many channels it has", "pass sample_input", MissingShapeError
            )
        channels = example[-1]
    return (channels,)


GROUP_NORM = LayerMap(
    nn.GroupNorm,
    eqx.nn.GroupNorm,
    (
        Opt("in_size", "channels", Iso(last_axis, _channels_back, "last axis")),
        Opt("num_groups", "groups", Iso(_groups, lambda groups, _: groups, "=")),
        Opt("epsilon", "eps"),
        Opt("use_scale", "channelwise_affine"),
        Opt("use_bias", "channelwise_affine"),
        Given("core", "group_size", None, reason="the number of groups says it"),
        Only("core", "reduction_axes", None, "Equinox reduces over all axes of the example"),
        Only("core", "axis_name", None, "Equinox normalises one example on its own"),
        Only("core", "axis_index_groups", None),
        Only("core", "dtype", None, "cast the model and its input instead"),
        Given("core", "feature_axis", -1, reason="in_size has one axis"),
        Given("core", "use_fast_variance", False, reason=_TWO_PASS),
    ),
    (
        leaf("weight.scale", "weight", when=lambda c: bool(c["use_scale"])),
        leaf("weight.bias", "bias", when=lambda c: bool(c["use_bias"])),
    ),
    cases=(
        case(in_size=6, num_groups=3, input=(4, 5, 6)),
        case(in_size=6, num_groups=None, group_size=3, epsilon=1e-2, input=(4, 6)),
        case(in_size=6, num_groups=2),
        case(in_size=6, num_groups=2, use_bias=False, use_scale=False, input=(4, 6)),
    ),
    refusals=(
        Refused("core", case(in_size=6, num_groups=2, use_bias=False), "use_bias=False"),
        Refused("core", case(in_size=6, num_groups=2, reduction_axes=-1), "reduction_axes"),
        Refused("core", case(in_size=6, num_groups=2, axis_name="batch"), "axis_name='batch'"),
        Refused("core", case(in_size=6, num_groups=2, axis_index_groups=((0,),)), "axis_index_g"),
        Refused("core", case(in_size=6, num_groups=2, dtype=jnp.bfloat16), "dtype="),
    ),
    channels="first",
    note=_TWO_PASS + ".",
)


def _one_each(config: Config) -> bool:
    channels = config["channels"] or (config["example"] or (0,))[-1]
    return bool(config["groups"] == channels)


INSTANCE_NORM = LayerMap(
    nn.InstanceNorm,
    eqx.nn.GroupNorm,
    (
        Opt("in_size", "channels", Iso(last_axis, _channels_back, "last axis")),
        Opt("in_size", "groups", Iso(last_axis, lambda groups, _: (groups,), "as many")),
        Opt("epsilon", "eps"),
        Opt("use_scale", "channelwise_affine"),
        Opt("use_bias", "channelwise_affine"),
        Only("core", "axis_name", None, "Equinox normalises one example on its own"),
        Only("core", "axis_index_groups", None),
        Only("core", "dtype", None, "cast the model and its input instead"),
        Given("core", "feature_axis", -1, reason="in_size has one axis"),
        Given("core", "use_fast_variance", False, reason=_TWO_PASS),
    ),
    GROUP_NORM.leaves,
    cases=(
        case(in_size=3, epsilon=1e-2, input=(4, 5, 3)),
        case(in_size=3, use_bias=False, use_scale=False, input=(4, 3)),
    ),
    refusals=(
        Refused("core", case(in_size=3, use_bias=False), "use_bias=False"),
        Refused("core", case(in_size=3, axis_name="batch"), "axis_name='batch'"),
        Refused("core", case(in_size=3, axis_index_groups=[[0]]), "axis_index_groups"),
        Refused("core", case(in_size=3, dtype="bfloat16"), "dtype"),
    ),
    select=_one_each,
    channels="first",
    note=_TWO_PASS + ".",
)

ROWS: tuple[LayerMap, ...] = (
    _norm(nn.LayerNorm, eqx.nn.LayerNorm, "weight"),
    _norm(nn.RMSNorm, eqx.nn.RMSNorm, "scale"),
    INSTANCE_NORM,
    GROUP_NORM,
)
