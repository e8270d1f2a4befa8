"""Rows as Markdown tables, for the documentation.

Imports `bridge`, `mapping` and `functions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .bridge import Bridge
from .functions import class_title, is_function, name_of
from .layout import IDENTITY, Layout
from .mapping import Given, Ignored, LayerMap, Leaf, Only, Opt, Side


def overview(bridges: Sequence[Bridge]) -> str:
    """One line per core layer: what it is in each framework.

    A framework's layer in parentheses is only read; a dash says that there is no counterpart.
    """
    layers: dict[str, dict[str, list[str]]] = {}
    for bridge in bridges:
        for row in bridge.rows:
            cell = layers.setdefault(row.core.__name__, {}).setdefault(bridge.name, [])
            title = f"`{_title(bridge, row.foreign)}`"
            cell.append(title if row.exports else f"({title})")
        for entry in bridge.unconvertible_core:
            layers.setdefault(entry.layer.__name__, {}).setdefault(bridge.name, ["—"])
    lines = [
        [f"`{name}`", *(" ".join(cells.get(b.name, ["—"])) for b in bridges)]
        for name, cells in layers.items()
    ]
    return _table(["Core layer", *(bridge.label for bridge in bridges)], lines)


def details(bridge: Bridge) -> str:
    """One line per row of a bridge: its options, its arrays, what it refuses.

    A note column says what a reader has to know; a second table lists what has no counterpart.
    """
    lines = [
        [
            f"`{row.core.__name__}`",
            f"`{_title(bridge, row.foreign)}`" + ("" if row.exports else " (read only)"),
            _options(row),
            _arrays(row.leaves),
            _fixed(row),
            row.note,
        ]
        for row in bridge.rows
    ]
    heads = ["Core layer", bridge.label, "Options", "Arrays", "Must be", "Note"]
    text = _table(heads, lines)
    refused = [
        [f"`{_name(entry.layer)}`", f"{entry.reason}.", entry.advice]
        for entry in (*bridge.unconvertible_core, *bridge.unconvertible)
    ]
    if refused:
        text += "\n\n" + _table(["Has no counterpart", "Because", "Instead"], refused)
    return text


def _title(bridge: Bridge, layer: Any) -> str:
    if isinstance(layer, type):
        return class_title(bridge.prefix, layer)
    return bridge.function_title.format(name_of(layer))


def _name(layer: Any) -> str:
    return layer.__name__ if isinstance(layer, type) else name_of(layer)


def _options(row: LayerMap) -> str:
    """``core → foreign``, with how the values correspond where they are not equal."""
    return "; ".join(
        f"`{o.core}` → `{o.foreign}`" + ("" if o.iso.doc == "=" else f" ({o.iso.doc})")
        for o in row.options
        if isinstance(o, Opt)
    )


def _arrays(leaves: Iterable[Leaf]) -> str:
    return "; ".join(
        f"`{' '.join(leaf.core)}` → `{' '.join(leaf.foreign)}`{_layout(leaf.layout)}"
        for leaf in leaves
    )


def _layout(layout: Any) -> str:
    if layout is IDENTITY:
        return ""
    return f" ({layout})" if isinstance(layout, Layout) else " (by configuration)"


def _fixed(row: LayerMap) -> str:
    """What an option must hold, and what is left out because it changes nothing."""
    parts = [
        f"`{_owner(row, o.side)}.{o.name}={_value(o.value)}`"
        for o in row.options
        if isinstance(o, Only)
    ]
    parts += [
        f"`{_owner(row, o.side)}.{o.name}` is left out: {o.reason}"
        for o in row.options
        if isinstance(o, Given) and o.reason
    ]
    parts += [
        f"`{'`, `'.join(o.names)}` of {_owner(row, o.side)}: {o.reason}"
        for o in row.options
        if isinstance(o, Ignored) and o.reason
    ]
    return "; ".join(parts)


def _value(value: Any) -> str:
    """A value as people write it; a function's own text would hold an address."""
    return name_of(value) if is_function(value) else repr(value)


def _owner(row: LayerMap, side: Side) -> str:
    return row.core.__name__ if side == "core" else _name(row.foreign)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows
    )
