"""Rows as Markdown tables, for the documentation.

Imports `bridge`, `mapping`, `functions`, and what builds a layer without arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .bridge import Bridge
from .functions import class_title, is_companion, is_function, name_of
from .graph import configuration
from .holding import Part, make
from .layout import IDENTITY, Layout
from .mapping import Case, Config, Given, Ignored, LayerMap, Leaf, Only, Opt, Side
from .nn.init import abstract

ROUNDED = "≈"
"""Marks a layer that computes the same to rounding, where the others do to the bit."""


def overview(bridges: Sequence[Bridge], *, reasons: bool = False) -> str:
    """One line per core layer: what it is in each framework.

    A framework's layer in parentheses is only read; `ROUNDED` stands behind one whose numbers are
    moved, or computed, with a rounding of their own; a dash says that there is no counterpart.

    Args:
        bridges: the frameworks, one column each.
        reasons: whether the reason stands behind a dash.
    """
    names = dict.fromkeys(
        layer.__name__
        for bridge in bridges
        for layer in (
            *(row.core for row in bridge.rows),
            *(refused.layer for refused in bridge.unconvertible_core if reasons),
        )
    )
    cells = [_cells(bridge, reasons=reasons) for bridge in bridges]
    lines = [[f"`{name}`", *(cell.get(name, "—") for cell in cells)] for name in names]
    return _table(["Core layer", *(bridge.label for bridge in bridges)], lines)


def _cells(bridge: Bridge, *, reasons: bool) -> dict[str, str]:
    """What stands in a bridge's column: its layers, then companions, then what is only read."""
    found: dict[str, set[tuple[bool, bool, str]]] = {}
    for row in bridge.rows:
        title = f"`{_title(bridge, row.foreign)}`" + ("" if is_exact(row) else f" {ROUNDED}")
        place = (not row.exports, is_companion(row.foreign), title if row.exports else f"({title})")
        found.setdefault(row.core.__name__, set()).add(place)
    cells = {name: " ".join(title for *_, title in sorted(held)) for name, held in found.items()}
    if reasons:
        for refused in bridge.unconvertible_core:
            cells.setdefault(refused.layer.__name__, f"— {refused.reason}")
    return cells


def is_exact(row: LayerMap) -> bool:
    """Whether a row moves every array to the bit and its layers compute with the same roundings."""
    if row.tolerance is not None:
        return False
    by_configuration = [entry for entry in row.leaves if not isinstance(entry.layout, Layout)]
    configs = [_configuration(row, case) for case in row.cases] if by_configuration else []
    layouts = [entry.layout for entry in row.leaves if isinstance(entry.layout, Layout)]
    layouts += [e.at(config) for config in configs for e in by_configuration if e.when(config)]
    return all(layout.exact for layout in layouts)


def _configuration(row: LayerMap, case: Case) -> Config:
    """What the core layer of a case says of itself."""
    with abstract():
        layer = row.core(**make(case.options, lambda core, given: core(**given)))
    return {**configuration(layer), "example": case.input or getattr(layer, "in_size", None)}


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
        f"`{o.core}` → `{o.foreign}`{_how(o)}" for o in row.options if isinstance(o, Opt | Part)
    )


def _how(option: Opt | Part) -> str:
    if isinstance(option, Part):
        return " (by its own row)"
    return "" if option.iso.doc == "=" else f" ({option.iso.doc})"


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
    return name_of(value) if is_function(value) else " ".join(repr(value).split())


def _owner(row: LayerMap, side: Side) -> str:
    return row.core.__name__ if side == "core" else _name(row.foreign)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows
    )
