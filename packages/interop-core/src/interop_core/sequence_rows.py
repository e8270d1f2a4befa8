"""What the rows of layers over whole sequences share in every bridge.

Imports the row vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from . import environ
from .errors import Refusal
from .holding import Part, Size
from .mapping import Iso, Side
from .nn import Bidirectional
from .options import parameters

TIME_FIRST = "the time axis stands behind the batch in the core: move it, and use time_major=False"
CARRY_RETURNED = "the core's layer gives the outputs alone: use return_carry=False"


def one_step(example: Size) -> Size | None:
    """Shape of one step of a sequence.

    Example:
        >>> one_step((7, 3))
        (3,)
    """
    return example[1:] or None


def _of_no_dtype(_: Any) -> Any:
    return None


def cell_part(
    carry_init: Callable[[Any], Any], carry_dtype: Callable[[Any], Any] = _of_no_dtype
) -> Part:
    """The cell of a layer over sequences, which begins every sequence with a state of zeros.

    Args:
        carry_init: gives the initializer of a foreign cell's carry; ``None`` for zeros.
        carry_dtype: gives the dtype of a foreign cell's first carry; ``None`` for the core's.
    """

    def begins_with_zeros(side: Side, cell: Any) -> None:
        name, init = ("carry_init", carry_init(cell)) if side == "foreign" else _state_init(cell)
        if init is not None and not _gives_zeros(init, side):
            raise Refusal(
                f"begins every sequence with what {name}={init!r} makes, which the other side "
                "cannot be told",
                "begin with zeros",
            )
        dtype = carry_dtype(cell) if side == "foreign" else None
        if dtype is not None and np.dtype(dtype) != np.dtype(environ.dftype()):
            raise Refusal(
                f"begins every sequence in {np.dtype(dtype)}, its param_dtype, and the core in "
                f"{np.dtype(environ.dftype())}, which its outputs have then",
                "make the cell with another param_dtype, and put in the arrays as they are",
            )

    return Part("cell", "cell", one_step, begins_with_zeros)


def _state_init(cell: Any) -> tuple[str, Any]:
    return "state_init", getattr(cell, "state_init", None)


def _gives_zeros(init: Any, side: Side) -> bool:
    shape = (2, 3)
    try:
        with jax.ensure_compile_time_eval():
            made = init(shape) if side == "core" else init(jax.random.key(0), shape, np.float32)
    except Exception:  # whatever it is, nobody has seen it make zeros
        return False
    return not np.any(np.asarray(made))


def merging(default: Any) -> Iso:
    """How the function that merges two directions is said: the default, or any other as it is.

    Args:
        default: the framework's own.
    """
    ours = parameters(Bidirectional)["merge_fn"]
    return Iso(
        lambda function, _: default if function is ours else function,
        lambda function, _: ours if function is default else function,
        "the function itself",
    )
