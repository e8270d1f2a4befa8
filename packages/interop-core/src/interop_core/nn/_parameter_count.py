"""Counting the parameters of a model."""

from __future__ import annotations

from typing import Any

from ._module import Module

__all__ = ["count_parameters"]

_UNITS = ("K", "M", "B", "T")


def count_parameters(module: Module, precision: int = 2, return_table: bool = False) -> Any:
    """Count the trainable numbers of a model, and print a table of them by parameter.

    A parameter that hangs in several places of the model counts once.

    Args:
        module: the model.
        precision: number of decimals in the table, where thousands (K), millions (M), billions (B)
            and trillions (T) are rounded.
        return_table: whether to return the table too.

    Returns:
        The number; with ``return_table`` a pair of the table, a string, and the number.

    Raises:
        TypeError: if ``module`` is none.
        ValueError: if ``precision`` is negative.

    Example:
        >>> from ._linear import Linear
        >>> count_parameters(Linear(100, 20))
        +---------+------------+
        | Modules | Parameters |
        +---------+------------+
        |  weight |   2.02K    |
        |  Total  |   2.02K    |
        +---------+------------+
        2020
    """
    if not isinstance(module, Module):
        raise TypeError(f"Only a Module has parameters to count, not {module!r}.")
    if precision < 0:
        raise ValueError(f"precision is a number of decimals, got {precision}.")
    counts = {name: state.numel() for name, state in module.named_parameters()}
    total = sum(counts.values())
    table = _table(
        ("Modules", "Parameters"),
        [(name, _short(count, precision)) for name, count in {**counts, "Total": total}.items()],
    )
    print(table)
    return (table, total) if return_table else total


def _short(count: int, precision: int) -> str:
    """Write a number with a unit."""
    if count < 1000:
        return str(count)
    value, step = float(count), -1
    while step < 0 or (round(value, precision) >= 1000 and step < len(_UNITS) - 1):
        # What rounds up to a thousand of a unit is one of the next.
        value, step = value / 1000, step + 1
    return f"{value:.{precision}f}{_UNITS[step]}"


def _table(header: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    """Draw a table of centred text."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = "+".join(["", *("-" * (width + 2) for width in widths), ""])
    lines = [
        "|".join(["", *(f" {_centred(t, w)} " for t, w in zip(row, widths, strict=True)), ""])
        for row in (header, *rows)
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def _centred(text: str, width: int) -> str:
    """Put text into the middle."""
    free = width - len(text)
    # What is left over goes to the side that lines up words of even and odd length.
    before = free // 2 + (free % 2 and len(text) % 2 == 0)
    return " " * before + text + " " * (free - before)
