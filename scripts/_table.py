"""Prints a table: with rich where it is installed, as aligned text where it is not."""

from __future__ import annotations

import sys
from collections.abc import Sequence

WIDTH_OF_A_LOG = 120  # columns where the output is no terminal, which would say its own width


def show_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headers; the first column is words, all others are figures.

    Args:
        title: stands above the table.
        headers: one for each column.
        rows: the cells, as text. A row of empty cells is a line between groups.
    """
    sys.stdout.flush()
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        print(plain_table(title, headers, rows), flush=True)
        return
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index else "left", no_wrap=not index)
    for row in rows:
        if any(row):
            table.add_row(*map(Text, row))
        else:
            table.add_section()
    width = None if sys.stdout.isatty() else WIDTH_OF_A_LOG
    Console(width=width).print(table)


def plain_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as aligned text.

    Example:
        >>> print(plain_table("Sizes", ("layer", "MB"), [("Linear", "67"), ("LayerNorm", "0.1")]))
        Sizes
        layer      MB
        ---------  ---
        Linear      67
        LayerNorm  0.1
    """
    filled = [row for row in rows if any(row)]
    widths = [max(map(len, column)) for column in zip(headers, *filled, strict=True)]
    rule = "  ".join("-" * width for width in widths)

    def line(cells: Sequence[str]) -> str:
        words, *figures = zip(cells, widths, strict=True)
        parts = [words[0].ljust(words[1]), *(cell.rjust(width) for cell, width in figures)]
        return "  ".join(parts).rstrip()

    first, *others = zip(headers, widths, strict=True)
    heading = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    lines = [title, "  ".join(heading).rstrip(), rule]
    lines += [line(row) if any(row) else rule for row in rows]
    return "\n".join(lines)
