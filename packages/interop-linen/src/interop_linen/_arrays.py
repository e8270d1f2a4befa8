"""Options that Linen has no parameter for, because it reads them off its arrays.

Imports the row vocabulary alone.
"""

from __future__ import annotations

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


def _compute_dtype(dtype: Any, config: Config) -> Any:
    """The option itself, where the dtypes of kernel and bias do not leave it open.

    Linen brings input, kernel and bias to one dtype before it multiplies; the core multiplies
    first and adds the bias as it is. With equal dtypes, or a given one, that is the same.
    """
    held = {
        found
        for name, found in config.items()
        if name.endswith((".weight.dtype", "kernel.dtype", "bias.dtype")) and found is not None
    }
    if dtype is None and len(held) > 1:
        reason = f"arrays of {' and '.join(sorted(map(str, held)))} meet in one product"
        raise Refusal(reason, "cast them to one dtype, or give the layer a dtype")
    return dtype


COMPUTE_DTYPE = Iso(_compute_dtype, _compute_dtype, "=")
"""The ``dtype`` of layers with a kernel."""
