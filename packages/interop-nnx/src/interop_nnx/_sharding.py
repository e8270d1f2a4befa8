"""What variables of NNX say of their sharding: the names of the axes of their array.

Flax has called the names otherwise from release to release, and from one on it puts the array of a
named variable on a mesh at once, which has to be there then. So variables are made here with that
switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import flax
import numpy as np
from flax import nnx

from interop_core.axis_names import AxisNames
from interop_core.errors import ConversionError, Refusal

NAMES = ("out_sharding", "sharding_names", "sharding")
"""What releases of Flax call the names."""

BOXES = {
    "Partitioned": flax.core.meta.Partitioned,
    "LogicallyPartitioned": flax.linen.LogicallyPartitioned,
}
"""What a variable that Flax has made of a boxed one notes as its ``linen_meta_type``."""

UNNAME = "take the names off first: variable.del_metadata({!r})"


@cache
def own_name() -> str:
    """What the installed release calls the names."""
    named: Any = nnx.with_partitioning(lambda: np.zeros(()), ())()
    return next(name for name in NAMES if name in named.metadata)


@cache
def plain_metadata() -> frozenset[str]:
    """What every variable is annotated with: modes of the variable, nothing of the array."""
    return frozenset(nnx.Param(np.zeros(())).get_metadata())


def read(name: str, beyond: Mapping[str, Any]) -> AxisNames | Refusal | None:
    """The names of the axes of a variable, or why it cannot be carried over.

    Args:
        name: the variable.
        beyond: what it is annotated with beyond modes.
    """
    held = {key: value for key, value in beyond.items() if value is not None}
    given = [held.pop(key) for key in NAMES if key in held]
    box = mesh = rules = None
    if len(given) == 1:
        kinds = [kind for kind, cls in BOXES.items() if cls is held.get("linen_meta_type")]
        if kinds:
            (box,) = kinds
            del held["linen_meta_type"]
        mesh, rules = held.pop("mesh", None), held.pop("sharding_rules", None)
    if held or len(given) > 1:
        lost = held or {key: beyond[key] for key in NAMES if key in beyond}
        said = ", ".join(f"{key}={value!r}" for key, value in sorted(lost.items()))
        return Refusal(
            f"{name} is annotated with {said}, which the core cannot hold",
            f"take it off first: variable.del_metadata({min(lost)!r})",
            ConversionError,
        )
    if not given:
        return None
    try:
        return AxisNames(given[0], mesh, rules, box)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        return Refusal(f"{name}: {error}", UNNAME.format(own_name()), ConversionError)


def put_names(layer: Any, names: Mapping[str, AxisNames]) -> Any:
    """Give the variables of a layer names of their axes, without putting any array on a mesh.

    Args:
        layer: the layer, whose variables are replaced.
        names: the names, by dotted name of the variable.
    """
    for path, given in names.items():
        *above, last = path.split(".")
        holder: Any = layer
        for part in above:
            holder = _below(holder, part)
        old = _below(holder, last)
        metadata = {**old.get_metadata(), own_name(): given.names}
        if "eager_sharding" in plain_metadata():
            metadata["eager_sharding"] = False
        if given.mesh is not None:
            metadata["mesh"] = given.mesh
        if given.box is not None:
            metadata["linen_meta_type"] = BOXES[given.box]
        if given.rules is not None or given.box == "LogicallyPartitioned":
            metadata["sharding_rules"] = given.rules
        new = type(old)(old.get_raw_value(), **metadata)
        if isinstance(holder, dict):
            holder[last] = new
        elif last.isdigit():
            holder[int(last)] = new
        else:
            setattr(holder, last, new)
    return layer


def _below(node: Any, part: str) -> Any:
    """What stands under a part of a dotted name."""
    if isinstance(node, dict):
        return node[part]
    return node[int(part)] if part.isdigit() else getattr(node, part)
