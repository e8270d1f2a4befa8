"""What the rows of layers over whole sequences share in every bridge.

Imports the row vocabulary.
"""

from __future__ import annotations

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


def _begins_alike(side: Side, cell: Any) -> None:
    name = "carry_init" if side == "foreign" else "state_init"
    init = getattr(cell, name, None)
    if init is not None and not _gives_zeros(init, side):
        raise Refusal(
            f"begins every sequence with what {name}={init!r} makes, which the other side "
            "cannot be told",
            "begin with zeros",
        )
    dtype = getattr(cell, "param_dtype", None) if side == "foreign" else None
    if dtype is not None and np.dtype(dtype) != np.dtype(environ.dftype()):
        raise Refusal(
            f"begins every sequence in {np.dtype(dtype)}, its param_dtype, and the core in "
            f"{np.dtype(environ.dftype())}, which its outputs have then",
            "make the cell with another param_dtype, and put in the arrays as they are",
        )


def _gives_zeros(init: Any, side: Side) -> bool:
    shape = (2, 3)
    try:
        with jax.ensure_compile_time_eval():
            made = init(shape) if side == "core" else init(jax.random.key(0), shape, np.float32)
    except Exception:  # whatever it is, nobody has seen it make zeros
        return False
    return not np.any(np.asarray(made))


CELL = Part("cell", "cell", one_step, _begins_alike)
"""The cell of a layer over sequences, which begins every sequence with a state of zeros."""


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
