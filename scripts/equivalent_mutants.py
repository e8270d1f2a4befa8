"""Mutants that compute the same as the row they were made of, so that no check can tell them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Equivalent:
    """Mutants that are no mistakes.

    Attributes:
        frameworks: whose rows they are made of.
        row: a regular expression that the whole name of the row matches.
        mistake: a regular expression that the whole mistake matches.
        reason: why the mutant computes the same.
    """

    frameworks: tuple[str, ...]
    row: str
    mistake: str
    reason: str


EVERYWHERE = ("nnx", "linen", "equinox")

_INSIDE = "the layer that it holds is looked at on its own, and refused there"

EQUIVALENT: tuple[Equivalent, ...] = (
    Equivalent(
        ("nnx",),
        r"LoRA-LoRA(Linear)?",
        r"takes any foreign\.lora_param_type",
        "whatever the class of a parameter is, it is looked at where it is read",
    ),
    Equivalent(("nnx",), "LoRA-LoRALinear", r"takes any foreign\.lora_dtype", _INSIDE),
    Equivalent(("nnx",), "LoRA-LoRALinear", r"takes any foreign\.lora_promote_dtype", _INSIDE),
)


def why_equivalent(framework: str, row: str, mistake: str) -> str:
    """Why a mutant computes the same as its row; empty where nothing says that it does."""
    for entry in EQUIVALENT:
        if (
            framework in entry.frameworks
            and re.fullmatch(entry.row, row)
            and re.fullmatch(entry.mistake, mistake)
        ):
            return entry.reason
    return ""
