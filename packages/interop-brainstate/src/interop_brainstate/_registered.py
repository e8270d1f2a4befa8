"""Mappings that users registered for layers of their own."""

from __future__ import annotations

from typing import Any

from interop_core.mapping import LayerMapping
from interop_core.registry import for_core, for_foreign

from ._sides import CORE, Side


class Registered:
    """What the registry needs of a bridge: a name. The layers of the library have rows here."""

    name = "brainstate"
    label = "brainstate"
    rows = ()
    unconvertible = ()
    unconvertible_core = ()


REGISTERED: Any = Registered()


def mapping_of(source: Side, cls: Any) -> LayerMapping | None:
    """The mapping that `register_layer_mapping` was given for a class, if any."""
    entries = (for_core if source is CORE else for_foreign)(REGISTERED, cls)
    found = entries[0] if isinstance(entries, tuple) and entries else None
    return found if isinstance(found, LayerMapping) else None
