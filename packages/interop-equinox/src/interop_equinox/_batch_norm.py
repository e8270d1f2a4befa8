"""Rows of batch normalisation, and how Equinox's running statistics are read.

Of the two modes of `eqx.nn.BatchNorm` the core's layer is ``"batch"``: while training it normalises
by the statistics of the batch. What it keeps is a sum that starts at 0 and is divided by
``1 - momentum**counter`` for evaluation. A statistic that was never such a sum comes with a counter
so high that the divisor is 1, and stays 1 through training.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from interop_core import nn
from interop_core.errors import ConversionError, MissingShapeError, Refusal
from interop_core.layout import Arrays, Layout, Shapes, Specs, axes
from interop_core.mapping import (
    SPATIAL,
    Channels,
    Config,
    Given,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    case,
    ignored,
    leaf,
)

from .companions import ScaleAndShift

BATCH_AXIS = "batch"
"""The mapped axis that an exported layer takes its statistics over, unless another is named."""

_TWO_PASS = "Equinox computes the variance in two passes: the same function, to rounding"
_NAMES = {"batch_state_index.0": "mean", "batch_state_index.1": "var"}
_COUNTER = "batch_counter"


def settled(momentum: float) -> int:
    """How many steps it takes until ``1 - momentum**steps`` is 1 in any precision.

    Raises:
        Refusal: where it never is.
    """
    # Equinox computes the power in the default precision, where the momentum may round up to 1.
    rounded = max(float(momentum), float(np.float32(momentum)))
    if not momentum >= 0 or not rounded < 1:
        raise Refusal(
            f"momentum={momentum!r} is not from 0 up to 1, and Equinox divides by "
            "1 - momentum**steps",
            "give it a momentum below 1",
        )
    return 1 if momentum == 0 else math.ceil(60 * math.log(2) / -math.log(rounded))


def state_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of arrays as Equinox has them, out of those of the rows."""
    places = {name: place for place, name in _NAMES.items()}
    return tuple(places.get(name, name) for name in names)


def known_counter(momentum: Any) -> dict[str, int]:
    """The counter of every exported layer of this momentum."""
    return {_COUNTER: settled(momentum)}


def running_statistics(layer: Any, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's arrays, with mean and variance as evaluation uses them in place of the counter."""
    found = {name: array for name, array in arrays.items() if name != _COUNTER}
    counter = arrays.get(_COUNTER)
    for place, name in _NAMES.items():
        if place in found:
            found[name] = _evaluated(found.pop(place), counter, layer.momentum)
    return found


def _evaluated(value: Any, counter: Any, momentum: Any) -> Any:
    if isinstance(value, jax.ShapeDtypeStruct) or not isinstance(momentum, Real):
        return value
    if isinstance(counter, jax.ShapeDtypeStruct):
        raise Refusal("its batch_counter is abstract, and its statistics are not", "pass both")
    if counter.shape:
        raise Refusal(
            f"its batch_counter has the shape {counter.shape}: the state has a batch axis",
            'map with jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))',
            ConversionError,
        )
    divisor: Any = jnp.where(counter == 0, 1, 1 - momentum**counter)
    if not isinstance(divisor, jax.core.Tracer) and float(divisor) == 1:
        return value
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        raise Refusal(f"its statistics are of {value.dtype}", "cast the state to float32")
    divisor = np.asarray(divisor) if isinstance(value, np.ndarray) else divisor
    return (value / divisor).astype(value.dtype)


def moves_on_alike(model: Any, state: Any) -> bool:
    """Whether training moves all running statistics of a model as it moves the core's.

    Where the state is not that of the model the answer does not matter: it will not convert.
    """

    def normalises(value: Any) -> bool:
        return type(value) is eqx.nn.BatchNorm and value.mode == "batch"

    for layer in filter(normalises, jax.tree.leaves(model, is_leaf=normalises)):
        try:
            counter = state.get(layer.batch_counter)
            settled_by_now = bool(1 - layer.momentum**counter == 1)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if not settled_by_now:
            return False
    return True


def _feature(config: Config) -> int:
    """The one feature axis of one example, counted from the front; -1 where there are several."""
    axis = config["feature_axis"]
    given = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    return operator.index(given[0]) % len(config["in_size"]) if len(given) == 1 else -1


def _first_or_last(axis: Any, config: Config) -> None:
    if _feature(config) not in (0, len(config["in_size"]) - 1):
        raise Refusal(
            f"feature_axis={axis!r} is not the last axis, nor the first",
            "Equinox has one axis of channels, the first of an example",
        )


def _channels(config: Config) -> Channels:
    return "first" if _feature(config) == len(config["in_size"]) - 1 else "same"


def _flat(config: Config) -> Layout:
    kept = _feature(config)
    rank = len(config["in_size"])
    return axes(" ".join("c" if axis == kept else "1" for axis in range(rank)) + " -> c")


def _scales(config: Config) -> bool:
    return bool(config["affine"]) and config["scale_initializer"] is not None


def _shifts(config: Config) -> bool:
    return bool(config["affine"]) and config["bias_initializer"] is not None


def _both_or_none(_: Any, config: Config) -> bool:
    if _scales(config) != _shifts(config):
        has, lacks = ("scale", "bias") if _scales(config) else ("bias", "scale")
        raise Refusal(
            f"it has a {has} and no {lacks}",
            "Equinox has both or none; fold_batch_norm=True takes it as it is",
        )
    return _scales(config)


def _number(value: Any, _: Config) -> Any:
    if not isinstance(value, Real):
        raise Refusal(f"{value!r} is no number", "Equinox keeps it as a part of the structure")
    return value


def _momentum(value: Any, config: Config) -> Any:
    settled(_number(value, config))
    return value


def _axis_name(batch: Hashable) -> Iso:
    """How names correspond where the batch is the mapped axis of this name in Equinox."""

    def to(name: Any, _: Config) -> Any:
        if name is None:
            return batch
        names = tuple(name) if isinstance(name, tuple | list) else (name,)
        if batch in names:
            raise Refusal(
                f"axis_name={name!r} is the name that Equinox's batch axis gets",
                "name the batch otherwise, to_equinox(..., axis_name=...)",
            )
        return (batch, *names)

    def back(name: Any, _: Config) -> Any:
        if not isinstance(name, tuple | list) or len(name) == 1:
            return None
        rest = [other for other in name if other != batch]
        if len(rest) != len(name) - 1:
            raise Refusal(
                f"axis_name={name!r} does not say which axis is the batch",
                f"call it {batch!r}, or name it, from_equinox(..., axis_name=...)",
            )
        return rest[0] if len(rest) == 1 else tuple(rest)

    return Iso(to, back, "the batch is a mapped axis in Equinox")


_SIZE = Iso(lambda size, config: size[_feature(config)], SPATIAL.back, "its channels")


def _same_rank(rank: int) -> Any:
    def select(config: Config) -> bool:
        example = config["example"]
        # Without a shape the first row takes it, and says that the shape is missing.
        return rank == 1 if example is None else len(example) == rank

    return select


def _batch_norm(core: type, spatial: int, batch: Hashable) -> LayerMap:
    size = (*(4, 3, 2)[:spatial], 5)
    turned = (case(in_size=(5, 4, 3), feature_axis=(0,), input=(5, 4, 3)),)
    several = (Refused("core", case(in_size=size, feature_axis=(0, 1)), r"feature_axis=\(0, 1\)"),)
    no_shape = Refused(
        "foreign",
        case(input_size=5, axis_name="batch", mode="batch"),
        "shape of its input is not known",
        MissingShapeError,
    )
    other_mode = case(input_size=5, axis_name="batch", mode="ema", input=size)
    return LayerMap(
        core,
        eqx.nn.BatchNorm,
        (
            Opt("in_size", "input_size", _SIZE),
            Given("core", "feature_axis", -1, _first_or_last, "Equinox has the channels first"),
            Opt("epsilon", "eps", Iso(_number, _number, "=")),
            Opt("momentum", "momentum", Iso(_momentum, _momentum, "=")),
            Opt(
                "affine",
                "channelwise_affine",
                Iso(_both_or_none, lambda affine, _: affine, "scale and bias"),
            ),
            Opt("axis_name", "axis_name", _axis_name(batch)),
            Only("core", "track_running_stats", True, "Equinox always keeps running statistics"),
            Only("core", "axis_index_groups", None),
            Only("core", "dtype", None, "cast the model and its input instead"),
            Given("core", "use_fast_variance", False, reason=_TWO_PASS),
            Only(
                "foreign",
                "mode",
                "batch",
                "while training it normalises by the running statistics; mode='batch' is the "
                "core's batch normalisation",
            ),
        ),
        (
            leaf("running_mean", "mean", _flat),
            leaf("running_var", "var", _flat),
            leaf("weight.scale", "weight", _flat, when=_scales),
            leaf("weight.bias", "bias", _flat, when=_shifts),
        ),
        select=_same_rank(spatial + 1),
        cases=(
            case(in_size=size, momentum=0.75, epsilon=1e-3),
            *((case(in_size=size, affine=False), *turned) if spatial == 2 else ()),
        ),
        foreign_cases=(case(input_size=5, axis_name="b", mode="batch", input=size),),
        refusals=(
            Refused("foreign", other_mode, "mode='ema'.*normalises by the running"),
            *(several if spatial else (no_shape, *_REFUSED)),
        ),
        channels=_channels,
        note="In mode='batch', with its statistics in an eqx.nn.State; " + _TWO_PASS + ".",
    )


_REFUSED = (
    Refused("core", case(in_size=5, scale_initializer=None), "a bias and no scale"),
    Refused("core", case(in_size=5, momentum=1.0), "momentum=1.0"),
    Refused("core", case(in_size=5, epsilon=jnp.ones(5)), "is no number"),
    Refused("core", case(in_size=5, axis_name="batch"), "axis_name='batch'"),
    Refused("core", case(in_size=5, axis_index_groups=((0,),)), "axis_index_groups"),
    Refused("core", case(in_size=5, dtype=jnp.bfloat16), "dtype="),
    Refused("core", case(in_size=5, affine=False, track_running_stats=False), "always keeps"),
    Refused(
        "foreign",
        case(input_size=5, axis_name=("a", "b"), mode="batch", input=(5,)),
        "which axis is the batch",
    ),
)

_CORE = (nn.BatchNorm0d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def rows_over(batch: Hashable) -> tuple[LayerMap, ...]:
    """The rows where the batch is the mapped axis of this name."""
    return tuple(_batch_norm(core, spatial, batch) for spatial, core in enumerate(_CORE))


ROWS: tuple[LayerMap, ...] = rows_over(BATCH_AXIS)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Fold:
    """Variance, and a scale where there is one, become the factor of evaluation."""

    epsilon: float
    flat: Layout
    exact: ClassVar[bool] = False
    linear: ClassVar[bool] = False

    @property
    def inverse(self) -> Layout:
        raise Refusal("is folded: a factor does not say which variance it was made of")

    def __call__(self, arrays: Arrays, /) -> Arrays:
        variance, *scales = self.flat(arrays)
        library = np if isinstance(variance, np.ndarray) else jnp
        wide = variance.astype(jnp.promote_types(variance.dtype, jnp.float32))
        factor = 1 / library.sqrt(wide + np.asarray(self.epsilon, wide.dtype))
        for scale in scales:
            factor = factor * scale
        return (factor.astype(variance.dtype),)

    def shapes(self, shapes: Shapes, /) -> Shapes:
        return self.flat.shapes(shapes)[:1]

    def spec(self, specs: Specs, /) -> Specs:
        return self.flat.spec(specs)[:1]

    def __str__(self) -> str:
        return "scale / sqrt(variance + epsilon)"


def _fold(config: Config) -> Layout:
    return Fold(config["epsilon"], _flat(config))


def _tracked(tracks: bool, config: Config) -> None:
    if not tracks:
        raise Refusal("it has no running statistics to fold", "use track_running_stats=True")
    if not jnp.issubdtype(config["running_var.dtype"], jnp.floating):
        raise Refusal(f"its variance is of {config['running_var.dtype']}", "cast it to float32")


def _folded(core: type) -> LayerMap:
    return LayerMap(
        core,
        ScaleAndShift,
        (
            Opt("in_size", "channels", _SIZE),
            Opt("affine", "use_shift", Iso(lambda _, c: _shifts(c), lambda v, _: v, "has a bias")),
            Given("core", "feature_axis", -1, _first_or_last, "Equinox has the channels first"),
            Given("core", "track_running_stats", True, _tracked),
            Only("core", "dtype", None, "cast the model and its input instead"),
            Given("core", "epsilon", 1e-5, _number, "it is part of the factor"),
            ignored(
                "core",
                "momentum axis_name axis_index_groups use_fast_variance",
                "evaluation does not use them",
            ),
        ),
        (
            leaf("running_mean", "center", _flat),
            leaf("running_var weight.scale", "scale", _fold, when=_scales),
            leaf("running_var", "scale", _fold, when=lambda config: not _scales(config)),
            leaf("weight.bias", "shift", _flat, when=_shifts),
        ),
        channels=_channels,
        note="The evaluation function alone, where fold_batch_norm=True asks for it.",
    )


FOLDED: tuple[LayerMap, ...] = tuple(map(_folded, _CORE))
"""Rows in place of those above where batch normalisations are folded."""
