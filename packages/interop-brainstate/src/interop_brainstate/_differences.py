"""What published layers compute otherwise, by the releases that do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import numpy as np
from jax import numpy as jnp

Arguments = Mapping[str, Any]
Refuse = Callable[[Arguments, Any], str | None]
"""Of the arguments and the layer: a reason, or None."""

RELEASE = tuple(int(part) for part in metadata.version("brainstate").split(".")[:2])
"""The published package's release that is installed."""


def when(argument: str, value: Any, reason: str) -> Refuse:
    """Refuse one value of one argument."""

    def refuse(given: Arguments, _: Any) -> str | None:
        found = given.get(argument)
        return reason if found is value or (type(found) is float and found == value) else None

    return refuse


def before(version: tuple[int, int], refuse: Refuse) -> tuple[Refuse, ...]:
    """Refuse with releases before one."""
    return (refuse,) if version > RELEASE else ()


def since(version: tuple[int, int], refuse: Refuse) -> tuple[Refuse, ...]:
    """Refuse with a release and those after it."""
    return () if version > RELEASE else (refuse,)


def whole(reason: str) -> Refuse:
    """Refuse a layer whatever its arguments."""
    return lambda given, layer: reason


INDICES = when(
    "return_indices", True, "return_indices=True gives other indices there than those of the maxima"
)
UNTRACKED = when("track_running_stats", False, "track_running_stats=False does not normalise there")


def half_statistics(given: Arguments, _: Any) -> str | None:
    dtype = given.get("dtype")
    if dtype is None or jnp.dtype(dtype).itemsize >= 4:
        return None
    return f"dtype={jnp.dtype(dtype).name} rounds the running statistics and the momentum there"


def partial_groups(given: Arguments, _: Any) -> str | None:
    if given.get("reduction_axes") is None:
        return None
    return "reduction_axes of the user's choice give other numbers there"


def without_features(given: Arguments, _: Any) -> str | None:
    if given["in_size"] and given["out_size"]:
        return None
    return "sizes of () are numbers without an axis of features, and linear layers have one there"


def one_weight(given: Arguments, layer: Any) -> str | None:
    if np.ndim(layer.weight.value["weight"]):
        return None
    if not given["include_self"]:
        return None if RELEASE >= (0, 5) else "one weight without self fails in this release"
    return "one weight for all pairs gives one column for all outputs there"


def one_event_weight(_: Arguments, layer: Any) -> str | None:
    if np.ndim(layer.weight.value):
        return None
    return "one weight for all pairs adds up a batch there"


def spread(given: Arguments, _: Any) -> str | None:
    arrays = [name for name, value in given.items() if np.ndim(value)]
    return f"an array for {arrays[0]} gives a loss there that is no scalar" if arrays else None


def unnormalised(given: Arguments, _: Any) -> str | None:
    if given["std"] == 1.0 and not given["fit_hyper"]:
        return None
    return "the logarithm of the precision counts once there, not once for each number"


def open_axis(given: Arguments, _: Any) -> str | None:
    size = given["target_size"]
    return "a size of None is not known to this release" if None in np.atleast_1d(size) else None


KEEPS_NOTHING = when("prob", 0.0, "prob=0.0 has a gradient there that is not a number")
ADDS = when("op", "add", "op='add' is refused there")
EVERY_AXIS = when("dim", None, "dim=None takes the softmax over another axis in this release")


PENALTY = whole("the penalty is another number in this release")
TRANSPOSED = whole("a transposed convolution gives other numbers in this release")


def padded(given: Arguments, _: Any) -> str | None:
    """Refuse padding, which puts numbers elsewhere."""
    return "padding puts numbers elsewhere in this release" if np.any(given["padding"]) else None
