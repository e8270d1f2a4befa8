"""Rows of the layers that every framework writes as a plain function of jax.

NNX and Linen take these rows as they are; a framework with its own way to hold a function reads it
out and takes them too. Imports `mapping`, `options` and `nn`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from . import nn
from .errors import Refusal
from .mapping import (
    Case,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
    iso,
)
from .options import parameters


def _one_axis(axis: Any) -> int:
    if not isinstance(axis, int):
        reason = f"axis={axis!r} takes several axes together, those of the batch perhaps among them"
        raise Refusal(reason, "use one axis: axis=-1")
    return axis


LAST_AXIS = iso(lambda dim: -1 if dim is None else dim, _one_axis, "None is the last axis")
"""A ``dim`` of the core, counted on the array as it comes, batch axes and all."""


def _example_axis(dim: int | None, config: Config) -> int:
    axis = -1 if dim is None else dim
    if axis >= 0:
        raise Refusal(
            f"axis {dim} is counted from the front, batch axes included, and one example has none",
            "count the axis from the end: dim=-1",
        )
    example = config["example"]
    if example is not None and -axis > len(example):
        raise Refusal(
            f"axis {dim} of an example of the shape {example} is a batch axis, and one example "
            "has none",
            "use an axis of the example",
        )
    return axis


def _counted_from_the_end(axis: int, config: Config) -> int:
    if _one_axis(axis) < 0:
        return axis
    example = config["example"]
    if example is None:
        raise Refusal("the axis is counted from the front", "pass sample_input")
    return axis - len(example)


EXAMPLE_AXIS = Iso(_example_axis, _counted_from_the_end, "from the end")
"""A ``dim`` of the core as an axis of one example without batch axes."""


def activation_rows(axis: Iso = LAST_AXIS) -> tuple[LayerMap, ...]:
    """The activation layers that are functions of jax, or of the core where jax has none.

    Args:
        axis: what an axis of `nn.Softmax` is on the other side.
    """
    return (
        _activation(nn.ReLU, jax.nn.relu),
        _activation(nn.GELU, jax.nn.gelu, "approximate", False, True),
        _activation(nn.SiLU, jax.nn.silu),
        _activation(nn.Tanh, jnp.tanh),
        _activation(nn.Tanh, jax.lax.tanh, exports=False),
        _activation(nn.Sigmoid, jax.nn.sigmoid),
        _activation(nn.Sigmoid, jax.lax.logistic, exports=False),
        _activation(nn.Softplus, jax.nn.softplus),
        _activation(nn.ELU, jax.nn.elu, "alpha", 1.0, 0.3),
        _activation(nn.LeakyReLU, jax.nn.leaky_relu, "negative_slope", 0.01, 0.2),
        _activation(nn.SELU, jax.nn.selu),
        _activation(nn.Identity, jax.nn.identity),
        _activation(nn.CELU, jax.nn.celu, "alpha", 1.0, 0.3),
        _activation(nn.Softsign, jax.nn.soft_sign),
        _activation(nn.LogSigmoid, jax.nn.log_sigmoid),
        _activation(nn.Mish, jax.nn.mish),
        _activation(nn.Hardsigmoid, jax.nn.hard_sigmoid),
        _activation(nn.Hardswish, jax.nn.hard_silu),
        _activation(nn.ReLU6, jax.nn.relu6, note="At 0 and at 6 its slope is 1, and 0 in jax."),
        HARD_TANH,
        LayerMap(
            nn.Hardtanh,
            jax.nn.hard_tanh,
            (Only("core", "min_val", -1.0), Only("core", "max_val", 1.0)),
            cases=(case(input=(3, 4)),),
            channels="any",
            exports=False,
            note="Whole numbers stay whole in jax, and become float32 in the core.",
        ),
        _activation(nn.Hardshrink, nn.hard_shrink, "lambd", 0.5, 0.2, note=_OUR_OWN),
        _activation(nn.Softshrink, nn.soft_shrink, "lambd", 0.5, 0.2, note=_OUR_OWN),
        _activation(nn.Tanhshrink, nn.tanh_shrink, note=_OUR_OWN),
        _along_an_axis(nn.Softmax, jax.nn.softmax, axis, Only("foreign", "where", None)),
        _along_an_axis(nn.LogSoftmax, jax.nn.log_softmax, axis, Only("foreign", "where", None)),
        _along_an_axis(nn.Softmin, nn.softmin, axis, note=_OUR_OWN),
        LayerMap(
            nn.GLU,
            jax.nn.glu,
            (Opt("dim", "axis", axis),),
            cases=(case(input=(3, 6)), case(dim=-2, input=(4, 3))),
            channels="same",
        ),
    )


_OUR_OWN = "jax has no such function: it is the one of this package."

HARD_TANH = LayerMap(
    nn.Hardtanh,
    nn.hard_tanh,
    (Opt("min_val", "min_val"), Opt("max_val", "max_val")),
    cases=(case(input=(3, 4)), case(min_val=-0.3, max_val=0.5, input=(3, 4))),
    channels="any",
    note="The one of jax has no bounds to choose: it is the function of this package.",
)


def _along_an_axis(core: type, function: Any, axis: Iso, *more: Only, note: str = "") -> LayerMap:
    """A row of a function that works along the axis ``dim`` of the core."""
    return LayerMap(
        core,
        function,
        (Opt("dim", "axis", axis), *more),
        cases=(case(input=(3, 5)), case(dim=-2, input=(3, 5))),
        refusals=(
            Refused("foreign", case(axis=None, input=(3, 5)), "several axes together"),
            *(Refused("foreign", Case({o.name: 1}, (3, 5)), f"{o.name}=1") for o in more),
        ),
        channels="same",
        note=note,
    )


def _activation(
    core: type,
    function: Any,
    option: str = "",
    *values: Any,
    exports: bool = True,
    note: str = "",
) -> LayerMap:
    """A row of an element-wise function with at most one option, which both sides name alike."""
    cases = tuple(case(input=(3, 4), **{option: value}) for value in values)
    return LayerMap(
        core,
        function,
        (Opt(option, option),) if option else (Only("foreign", "accuracy", None),),
        cases=cases or (case(input=(3, 4)),),
        refusals=(Refused("foreign", case(accuracy=1, input=(3, 4)), "accuracy=1"),)
        if "accuracy" in parameters(function)
        else (),
        channels="any",
        exports=exports,
        note=note,
    )


DECLARED_SIZE = ignored("core", "in_size", "a declared size, which the axes already say")


def _start(axis: int, config: Config) -> int:
    size = config["in_size"]
    return axis if axis < 0 or size is None else axis - len(size)


def _stop(axis: int, config: Config) -> int | None:
    # The core names the last axis to join, jax the first one behind it.
    last = _start(axis, config)
    return None if last == -1 else last + 1


def _joins_some(start: int, config: Config) -> int:
    stop = config["stop_dimension"]
    if stop == 0 or (stop is not None and (start < 0) == (stop < 0) and start >= stop):
        raise Refusal(f"joins no axes from {start} to {stop}, and adds one", "join some axes")
    return start


FLATTEN_START = Iso(_start, _joins_some, "first axis")
UNFLATTENED = Iso(_start, lambda axis, _: axis, "axis")
"""The axis of `nn.Unflatten`, counted on the whole array as it comes."""
FLATTEN_STOP = Iso(_stop, lambda stop, _: -1 if stop is None else stop - 1, "axis behind the last")


def _flattened(layer: nn.Flatten, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of one example after `nn.Flatten`.

    Without ``in_size`` and from the front, its axes count the batch axis, of which there is one.
    """
    if layer.in_size is not None or (layer.start_axis < 0 and layer.end_axis < 0):
        return layer.output_size(size)
    batched = layer.output_size((1, *size))
    return None if layer.start_axis in (0, -len(size) - 1) else batched[1:]


def _some_axes(size: Any, _: Config) -> None:
    if size == ():
        raise Refusal(
            "makes a vector of a number, and its counterpart leaves a number one",
            "give it data with an axis, in_size=(1,)",
        )


def flatten_row(
    start: Iso = FLATTEN_START,
    stop: Iso = FLATTEN_STOP,
    *,
    cases: tuple[Case, ...] = (),
    refusals: tuple[Refused, ...] = (),
) -> LayerMap:
    """The row of `nn.Flatten`: `jax.lax.collapse`.

    Args:
        start: what the first axis is on the other side.
        stop: what the last axis is.
        cases: more cases than those that hold everywhere.
        refusals: what the other side cannot say.
    """
    return LayerMap(
        nn.Flatten,
        jax.lax.collapse,
        (
            Opt("start_axis", "start_dimension", start),
            Opt("end_axis", "stop_dimension", stop),
            Given("core", "in_size", None, _some_axes, DECLARED_SIZE.reason),
        ),
        cases=(
            case(in_size=(3, 4, 2)),
            case(start_axis=1, in_size=(3, 4, 2)),
            case(end_axis=1, in_size=(3, 4, 2)),
            case(start_axis=-2, input=(3, 4, 2)),
            *cases,
        ),
        refusals=(
            Refused("core", case(in_size=(), input=()), "a vector of a number"),
            *refusals,
        ),
        channels="same",
        after=_flattened,
    )


def _from_the_end(axis: Any) -> Any:
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(a >= 0 for a in axes):
        raise Refusal(f"axis {axis} is counted from the front", "count it from the end")
    return axis


def move_axis_row(axes: Iso | None = None) -> LayerMap:
    """The row of `nn.MoveAxis`: `jax.numpy.moveaxis`.

    Args:
        axes: what the axes are on the other side; by default the same, from the end.
    """
    same = axes or iso(lambda axis: axis, _from_the_end, "from the end")
    return LayerMap(
        nn.MoveAxis,
        jnp.moveaxis,
        (Opt("source", "source", same), Opt("destination", "destination", same), DECLARED_SIZE),
        cases=(
            case(source=-1, destination=-3, input=(3, 4, 2)),
            case(source=-3, destination=-2, input=(3, 4, 2)),
        ),
        channels="same",
    )
