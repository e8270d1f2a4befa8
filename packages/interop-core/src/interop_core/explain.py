"""A plan for people: a table with a row per layer, and every problem.

Imports `convert`, `plan` and `sharded`; `rich` only where it is installed and asked for.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .convert import losses
from .errors import format_path
from .plan import Node, Plan
from .sharded import costs

HEADINGS = ("path", "from", "to", "layouts", "parameters", "bytes")


@dataclass(frozen=True, slots=True)
class Row:
    """One layer of a plan.

    Attributes:
        path: where it is.
        source: the layer's name there.
        target: the name of what it becomes, with what stands around it.
        layouts: how its arrays move; ``=`` is the same buffer.
        parameters: how many numbers it holds; 0 for a layer that stands somewhere else already.
        bytes: how much memory they take.
    """

    path: str
    source: str
    target: str
    layouts: str
    parameters: int
    bytes: int

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        numbers = (f"{self.parameters:,}", f"{self.bytes:,}")
        return (self.path, self.source, self.target, self.layouts, *numbers)


class Explanation:
    """What a conversion would do, without doing it.

    Print it in a terminal, show it in a notebook, or read `rows` and `problems`.

    Attributes:
        plan: the plan behind it.
        rows: one for each layer.
        problems: everything that stands in the way.
        costs: what a conversion of arrays that are spread over devices moves between these.
        lost: names of axes that the result has no place for.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rows = tuple(_rows(plan.root))
        self.problems = plan.problems
        self.costs = () if plan.problems else tuple(_costs(plan.root))
        self.lost = tuple(
            filter(None, (losses(node) for node in plan.root.walk() if node.first is None))
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences below the table, but for problems: the ends of the model, costs and losses."""
        found = [self.boundary] if self.boundary else []
        found += [f"cost: {cost}" for cost in self.costs]
        return (*found, *(f"lost: names of axes of {lost}" for lost in self.lost))

    @property
    def convertible(self) -> bool:
        """Whether the conversion would succeed."""
        return not self.problems

    @property
    def title(self) -> str:
        """One line: from where to where, how much, how many problems."""
        parameters, size = (sum(getattr(row, name) for row in self.rows) for name in HEADINGS[-2:])
        count = len(self.problems)
        state = f"{count} problem{'s' * (count != 1)}" if count else "converts"
        return (
            f"{self.plan.source.label} to {self.plan.target.label}: {len(self.rows)} layers, "
            f"{parameters:,} parameters, {size:,} bytes, {state}"
        )

    @property
    def boundary(self) -> str:
        """How the two models' data differ at the ends; empty where they do not."""
        first_in, first_out = self.plan.channels_first_in, self.plan.channels_first_out
        if not (first_in or first_out):
            return ""
        ends = " and ".join(
            end for end, first in (("takes", first_in), ("gives", first_out)) if first
        )
        label = self.plan.bridge.label
        return f"The {label} model {ends} one example with the channels first."

    def __str__(self) -> str:
        table = [HEADINGS, *(row.cells() for row in self.rows)]
        widths = [max(len(line[i]) for line in table) for i in range(len(HEADINGS))]
        lines = [self.title]
        for line in table:
            cells = [
                cell.rjust(width) if i >= 4 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines += self.notes
        lines += [f"problem: {problem}" for problem in self.problems]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def cells(tag: str, texts: tuple[str, ...]) -> str:
            return "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)

        body = "".join(f"<tr>{cells('td', row.cells())}</tr>" for row in self.rows)
        problems = "".join(f"<li>{html.escape(str(problem))}</li>" for problem in self.problems)
        return (
            f"<p>{html.escape(self.title)}</p>"
            f"<table><thead><tr>{cells('th', HEADINGS)}</tr></thead><tbody>{body}</tbody></table>"
            + "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
            + (f"<ul>{problems}</ul>" if problems else "")
        )

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self.title, title_justify="left")
        for index, heading in enumerate(HEADINGS):
            table.add_column(heading, justify="right" if index >= 4 else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*map(Text, row.cells()))
        notes = map(Text, self.notes)
        return Group(
            table, *notes, *(Text(f"problem: {p}", style="bold red") for p in self.problems)
        )


def _rows(root: Node) -> Iterator[Row]:
    for node in root.walk():
        if node.children is not None and node.first is None:
            continue
        yield _row(node)


def _costs(root: Node) -> Iterator[str]:
    for node in root.walk():
        if node.recipe is None or node.first is not None or node.source is None:
            continue
        for move in node.recipe.moves:
            arrays = [node.leaves[name] for name in move.source]
            for cost in costs(move.layout, move.source, arrays):
                yield f"{format_path(node.path)} ({node.title}): {cost}"


def _row(node: Node) -> Row:
    path = format_path(node.path)
    if node.source is None:
        return Row(path, "", "axis move", "", 0, 0)
    if node.first is not None:
        return Row(path, node.title, f"same as {format_path(node.first.path)}", "", 0, 0)
    arrays = [array for array in node.leaves.values() if hasattr(array, "shape")]
    parameters = sum(math.prod(array.shape) for array in arrays)
    size = sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays)
    if node.absorbed:
        return Row(path, node.title, "nothing: the data lies so already", "", parameters, size)
    target, layouts = "?", ""
    if node.recipe is not None:
        target = node.recipe.title + (f" over {node.axes} leading axes" if node.axes else "")
        layouts = "; ".join(
            f"{', '.join(move.source)}: {move.layout}" for move in node.recipe.moves
        )
    return Row(path, node.title, target, layouts, parameters, size)
