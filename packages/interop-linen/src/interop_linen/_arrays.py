"""Options that Linen has no parameter for, because it reads them off its arrays.

Imports the row vocabulary alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flax.linen.dtypes import promote_dtype

from interop_core.errors import Refusal, VariablesError
from interop_core.mapping import Config, Iso, Only

PROMOTION = Only("foreign", "promote_dtype", promote_dtype, "leave promote_dtype out")
"""How arrays of different types meet: the core does as Linen does unless told otherwise."""


def shape_of(config: Config, name: str, rank: int) -> tuple[int, ...]:
    """The shape of an array of a Linen layer.

    Args:
        config: the layer's configuration.
        name: the array.
        rank: how many axes it must have.

    Raises:
        Refusal: where the array is missing or has another number of axes.
    """
    shape: tuple[int, ...] | None = config.get(f"{name}.shape")
    if shape is None:
        raise Refusal("lacks", error=VariablesError, arrays=(name,))
    if len(shape) != rank:
        reason = f"has {len(shape)} axes where {rank} are expected:"
        raise Refusal(reason, error=VariablesError, arrays=(name,))
    return shape


def size_iso(
    to: Callable[[Any, Config], Any],
    read: Callable[[Config], int],
    back: Callable[[int, Config], Any],
    doc: str,
) -> Iso:
    """An iso for a size of the core that Linen reads off its arrays.

    Args:
        to: the size as Linen would have it.
        read: finds the number on Linen's side.
        back: makes the core's size of it.
        doc: for the documentation.
    """
    return Iso(to, lambda _, config: back(read(config), config), doc)
