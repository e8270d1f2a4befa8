"""What a row says: how one published layer keeps the arguments that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Read = str | Callable[[Any], Any]
"""The attribute that an argument is kept in, or a function of the layer that finds it."""

Change = Callable[[Any, Any], Any]
"""What an argument of a layer becomes: of the value and the layer."""

Finish = Callable[[Any, Any, Callable[[Any], Any]], None]
"""Moves what is left: of a layer, the one built of it, and what converts a layer or a state."""


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One public layer of both libraries.

    Arguments that a layer keeps under their own names need no word. Nor do initial values: the
    states say what became of them. Whatever else a published layer holds is compared with what its
    class makes of the arguments, so that nothing is overlooked.

    Attributes:
        name: the class in both namespaces.
        kept: where the published layer keeps an argument.
        ours: where the core's layer keeps one, where that is not an attribute of its name.
        inward: what a published argument becomes in the core.
        outward: what an argument of the core becomes in the published layer; it may refuse.
        entries: the attribute that holds ``*args``.
        options: the attribute that holds ``**kwargs``, or a function of the layer that finds them.
        more: arguments that are accepted through ``**kwargs``.
        runtime: attributes that come into being after construction.
        carried: attributes that no argument says; they are moved.
        unseen: attributes that say nothing of what is computed.
        later: arguments that are set as attributes once the layer is built.
        refusals: functions of the arguments and the layer; each gives a reason where the published
            layer does not compute what the arguments say, and None elsewhere.
        finish: moves what each library keeps in a form of its own, once all else is in its place.
    """

    name: str
    kept: Mapping[str, Read] = field(default_factory=dict)
    ours: Mapping[str, Read] = field(default_factory=dict)
    inward: Mapping[str, Change] = field(default_factory=dict)
    outward: Mapping[str, Change] = field(default_factory=dict)
    entries: str | None = None
    options: Read | None = None
    more: tuple[str, ...] = ()
    runtime: frozenset[str] = frozenset()
    carried: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()
    later: tuple[str, ...] = ()
    refusals: tuple[Callable[[Mapping[str, Any], Any], str | None], ...] = ()
    finish: Finish | None = None
