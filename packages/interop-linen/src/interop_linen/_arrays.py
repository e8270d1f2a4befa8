"""Options that Linen has no parameter for, because it reads them off its arrays.

Imports the row vocabulary alone.
"""

from __future__ import annotations

from flax.linen.dtypes import promote_dtype

from interop_core.errors import Refusal, VariablesError
from interop_core.mapping import Config, Only

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
