"""Rows of companions: native modules that a bridge brings along for layers its framework has not.

A companion takes the core layer's own words, so its row is the list of them; what differs is said
beside it. Imports the row vocabulary, and `options` for the parameters of a class.
"""

from __future__ import annotations

from typing import Any

from .holding import Part
from .mapping import Case, Given, Ignored, LayerMap, Leaf, Only, Opt
from .options import CORE_IGNORED, CORE_STATE_TYPES, parameters

Option = Opt | Only | Given | Ignored | Part


def companion(
    core: type,
    foreign: type,
    *options: Option,
    leaves: tuple[Leaf, ...] = (),
    cases: tuple[Case, ...],
    **more: Any,
) -> LayerMap:
    """The row of a core layer and its companion.

    Every constructor parameter of the core layer that ``options`` do not speak of is one of the
    companion by the same name.

    Args:
        core: the core class.
        foreign: the companion.
        *options: what is not the same under the same name.
        leaves: which arrays are which.
        cases: configurations of the core layer, for the generated tests.
        **more: other attributes of `LayerMap`.

    Example:
        >>> class Scale:
        ...     def __init__(self, factor, offset=0.0, name=None): ...
        >>> class ItsCompanion: ...
        >>> row = companion(Scale, ItsCompanion, cases=())
        >>> [option.core for option in row.options]
        ['factor', 'offset']
    """
    spoken = {*CORE_IGNORED.names, *CORE_STATE_TYPES}
    for option in options:
        if isinstance(option, Opt | Part):
            spoken.add(option.core)
        elif option.side == "core":
            spoken.update(option.names if isinstance(option, Ignored) else (option.name,))
    same = tuple(Opt(name, name) for name in parameters(core) if name not in spoken)
    return LayerMap(core, foreign, (*options, *same), leaves, cases=cases, **more)
