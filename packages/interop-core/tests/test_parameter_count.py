"""Counting the parameters of a model."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import pytest

from interop_core import nn
from interop_core.nn import init
from interop_core.state import HiddenState, ParamState


class Many(nn.Module):
    """Parameters of all kinds: tied, transformed, nested, scalar, and what is none."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 3)
        self.b = self.a
        self.w = ParamState({"x": jnp.ones(3), "y": [jnp.ones((2, 1))]})
        self.h = HiddenState(jnp.ones(4))
        self.p = nn.Param(jnp.ones(5))
        self.c = nn.Const(jnp.ones(7))
        self.s = ParamState(1.0)


MODEL = """\
+----------+------------+
| Modules  | Parameters |
+----------+------------+
| a.weight |     9      |
|  p.val   |     5      |
|    s     |     1      |
|    w     |     5      |
|  Total   |     20     |
+----------+------------+"""


def test_counts_each_parameter_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert nn.count_parameters(Many()) == 20
    assert capsys.readouterr().out == MODEL + "\n"


def test_table_is_returned_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert nn.count_parameters(Many(), return_table=True) == (MODEL, 20)
    assert capsys.readouterr().out == MODEL + "\n"


def test_nothing_to_count() -> None:
    table, count = nn.count_parameters(nn.ReLU(), return_table=True)
    assert count == 0
    assert table.splitlines()[3] == "|  Total  |     0      |"


@pytest.mark.parametrize(
    ("count", "precision", "text"),
    [
        (999, 2, "999"),
        (1000, 2, "1.00K"),
        (12_345, 0, "12K"),
        (12_345, 1, "12.3K"),
        (12_345, 3, "12.345K"),
        (999_999, 2, "1.00M"),
        (999_499, 0, "999K"),
        (2_500_000, 1, "2.5M"),
        (1_200_000_000, 2, "1.20B"),
        (3 * 10**12, 0, "3T"),
    ],
)
def test_numbers_are_written_short(count: int, precision: int, text: str) -> None:
    with init.abstract():  # no array of that size is made
        layer = nn.PReLU(count)
    table, found = nn.count_parameters(layer, precision, return_table=True)
    assert found == count
    assert table.splitlines()[3].split("|")[2].strip() == text


@pytest.mark.parametrize("module", [3, [nn.Linear(2, 3)], None])
def test_no_module(module: Any) -> None:
    with pytest.raises(TypeError, match="Only a Module"):
        nn.count_parameters(module)


def test_no_precision() -> None:
    with pytest.raises(ValueError, match="number of decimals"):
        nn.count_parameters(nn.ReLU(), -1)
