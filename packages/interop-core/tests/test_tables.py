"""Rows as tables: what a reader is told of each pair."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from interop_core import nn, tables
from interop_core.layout import Shift
from interop_core.mapping import Tolerance, Unconvertible, leaf


def column(fake: Any, *rows: Any, reasons: bool = False, refused: tuple[Any, ...] = ()) -> str:
    """The lines of a table for a bridge with these rows."""

    class Some(fake.FakeBridge):  # type: ignore[misc]
        unconvertible_core = refused

    Some.rows = rows
    return tables.overview([Some()], reasons=reasons)


def test_a_row_that_moves_every_bit_is_not_marked(fake: Any) -> None:
    assert tables.is_exact(fake.DENSE)
    assert tables.ROUNDED not in column(fake, fake.DENSE)


def test_a_row_that_rounds_is_marked(fake: Any) -> None:
    rough = replace(fake.DENSE, tolerance=Tolerance(1e-5, 1e-5, "another order"))
    shifted = replace(
        fake.DENSE,
        leaves=(
            fake.DENSE.leaves[0],
            leaf("weight.bias", "offset", lambda _: Shift("ab", "a", 0.1)),
        ),
    )
    for row in (rough, shifted):
        assert not tables.is_exact(row)
        assert tables.ROUNDED in column(fake, row)


def test_what_is_only_read_stands_in_parentheses_and_last(fake: Any) -> None:
    (line,) = [x for x in column(fake, fake.HALVES, fake.DENSE).splitlines() if "`Linear`" in x]
    assert line.index("Dense`") < line.index("Halves`)")


def test_what_is_refused_is_listed_with_its_reason_on_demand(fake: Any) -> None:
    refused = (Unconvertible(nn.Dropout, "nothing here is random"),)
    assert "Dropout" not in column(fake, fake.DENSE, refused=refused)
    assert "— nothing here is random" in column(fake, fake.DENSE, reasons=True, refused=refused)


def test_a_sign_of_the_table_is_written_otherwise(fake: Any) -> None:
    refused = (Unconvertible(nn.Dropout, "a | b"),)
    assert "a &#124; b" in column(fake, fake.DENSE, reasons=True, refused=refused)
