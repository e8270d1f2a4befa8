"""What the rows of `nn.PReLU` share: how many slopes an array of the other side holds.

Imports `errors`, `layout` and `mapping`.
"""

from __future__ import annotations

from typing import Any

from .errors import Refusal
from .layout import IDENTITY, Layout, axes
from .mapping import Config, Iso, ignored

START = ignored("core", "init dtype", "how the slopes start; the slopes themselves are converted")
"""Options of `nn.PReLU` that its array makes good for."""


def slope_number(initial: float) -> Iso:
    """``num_parameters`` as the initial slopes of a layer whose array is ``negative_slope``.

    Args:
        initial: what each slope starts as, in the framework's own layer.
    """

    def slopes(number: int, _: Config) -> Any:
        return initial if number == 1 else (initial,) * number

    def number_of(_: Any, config: Config) -> int:
        shape: tuple[int, ...] = config["negative_slope.shape"]
        if len(shape) > 1 or shape in ((0,), (1,)):
            raise Refusal(
                f"slopes of shape {shape} are neither one for all entries nor one for each entry "
                "of the last axis",
                "reshape them to () or to (channels,)",
            )
        return shape[0] if shape else 1

    return Iso(slopes, number_of, "number of slopes")


def slope_layout(config: Config) -> Layout:
    """One slope has an axis in the core alone."""
    return axes("1 -> ") if config["num_parameters"] == 1 else IDENTITY
