"""What the rows of recurrent cells share in every bridge: layouts, conditions, and reasons.

Imports the row vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from .beside import Beside
from .errors import Refusal
from .layout import IDENTITY, Join, Layout, Split, chain
from .mapping import Config, Given, Iso, Tolerance
from .mirror import Negate

MIRRORED = ("sigmoid", "hard_sigmoid")
"""Gate functions ``s`` with ``s(-u) = 1 - s(u)``, by the core's names."""

_MIRRORED = (*MIRRORED, jax.nn.sigmoid, jax.nn.hard_sigmoid, jax.lax.logistic)


def mirrors(function: Any) -> bool:
    """Whether a gate function ``s``, or the core's name of one, is known to be ``1 - s(-u)``."""
    return any(function is known or function == known for known in _MIRRORED)


ROUNDING = Tolerance(1e-5, 1e-5, "sigmoid(-u) is 1 - sigmoid(u) but for its last place")
"""Of a gated unit whose update gate has the other sign on the other side."""

UPDATE_GATE = Negate("rz", "z")
"""The core's update gate weighs the new candidate, and the other frameworks' the old state."""


def gate(function: Iso) -> Iso:
    """The map of an update gate's function: that of any function, where it mirrors.

    Args:
        function: how the bridge maps functions.
    """

    def checked(map_value: Callable[[Any, Config], Any]) -> Callable[[Any, Config], Any]:
        def mapped(value: Any, config: Config) -> Any:
            if not mirrors(value):
                raise Refusal(
                    f"the update gate weighs the new candidate on one side and the old state on "
                    f"the other, and {value!r} is not known to be 1 - itself at -u",
                    f"use {' or '.join(MIRRORED)}",
                )
            return map_value(value, config)

        return mapped

    return Iso(checked(function.to), checked(function.back), f"{function.doc}, if it mirrors")


def _acts_behind(reset_after: bool, _: Config) -> None:
    if not reset_after:
        raise Refusal(
            "reset_after=False multiplies h by the reset gate in front of the kernel, (r * h) @ U, "
            "where the other side has r * (h @ U): no U makes them the same function",
            "use reset_after=True, and train with that",
        )


RESET_AFTER = Given(
    "core", "reset_after", True, _acts_behind, "the reset gate acts behind the product"
)
"""The one form of a gated unit that other frameworks have."""


def gru_kernels(config: Config) -> Layout:
    """``Wrz Wh Uh`` as the kernel of the input and the kernel of the state, gates ``r z n``."""
    ends, units = (config["num_in"], config["num_out"]), config["num_out"]
    return chain(
        Beside(((1, UPDATE_GATE, 1), (2, Join(ends, 0), 1))),
        Join((2 * units, units), -1),
        Split(ends, 0),
    )


def gru_biases(config: Config) -> Layout:
    """``brz bh`` as one bias, gates ``r z n``."""
    units = config["num_out"]
    return chain(Beside(((1, UPDATE_GATE, 1), (1, IDENTITY, 1))), Join((2 * units, units), 0))
