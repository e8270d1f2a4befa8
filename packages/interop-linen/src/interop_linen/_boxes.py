"""The boxes of Linen that name the axes of an array, for its sharding.

Boxes are read and made, never emptied: those of the caller stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flax import linen
from flax.core import meta

from interop_core.axis_names import AxisNames, NamedArrays
from interop_core.errors import Refusal, VariablesError

UNBOX = "unbox them first: variables = flax.linen.unbox(variables)"
PLAIN, LOGICAL = "Partitioned", "LogicallyPartitioned"
KINDS: dict[Any, Any] = {meta.Partitioned: PLAIN, linen.LogicallyPartitioned: LOGICAL}
"""The boxes that say names of axes and nothing that is not known here."""


def is_known(box: Any) -> bool:
    """Whether a box says names of axes alone, and holds no other box."""
    return type(box) in KINDS and not isinstance(box.value, meta.AxisMetadata)


def unboxed(found: Mapping[str, Any], title: Callable[[str], str]) -> NamedArrays:
    """Arrays with the names that their boxes say.

    Args:
        found: arrays and known boxes by name.
        title: gives the place of an array in the tree of variables.

    Raises:
        Refusal: for a box whose names are none.
    """
    arrays = NamedArrays(found)
    for name, box in found.items():
        if type(box) not in KINDS:
            continue
        rules = getattr(box, "rules", None)
        try:
            names = AxisNames(box.names, box.mesh, rules, KINDS[type(box)])
        except (TypeError, ValueError) as error:
            reason = f"the box {title(name)}: {error}"
            raise Refusal(reason, UNBOX, VariablesError) from None
        # Not by unbox(), which puts the array on a mesh.
        arrays.put(name, box.value, names)
    return arrays


def box(array: Any, names: AxisNames) -> Any:
    """The array in a box: the kind that the names come from, or the one that can hold them."""
    logical: Any = linen.LogicallyPartitioned
    plain: Any = meta.Partitioned
    if names.box == LOGICAL or names.rules is not None:
        return logical(array, names.names, mesh=names.mesh, rules=names.rules)
    return plain(array, names.names, mesh=names.mesh)
