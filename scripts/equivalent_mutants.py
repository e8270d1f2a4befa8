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
    Equivalent(
        ("nnx", "linen"),
        r"Conv(Local)?\dd-Conv(Local)?\dd",
        r"drops lhs_dilation",
        "it is for data that goes on at its ends, of which none has gaps",
    ),
    Equivalent(
        ("linen",),
        r"MultiHeadAttention-\w+",
        r"takes any foreign\.(qk_attn_weights|attn_weights_value)_einsum_cls",
        "Linen takes the one only with the other, and that is refused",
    ),
    Equivalent(
        ("linen",),
        r"ConvLocal\d?d?-ConvLocal",
        r"takes any foreign\.feature_group_count",
        "a module with groups raises when it is called, so that none has variables",
    ),
    Equivalent(
        ("equinox",),
        r"MultiHeadAttention-\w+",
        r"swaps halves of key_proj\.bias",
        "what it adds to the scores of a query is the same for all keys, and softmax takes it away",
    ),
    Equivalent(
        ("equinox",),
        "MultiHeadAttention-MultiHeadAttention",
        r"confuses query_norm\.weight and key_norm\.weight",
        "a score is the sum of products in which each stands once",
    ),
    Equivalent(
        ("equinox",),
        r"(LSTM|GRU|MGU|URLSTM|ValinaRNN)Cell-\w+|Embedding-Embedding",
        r"channels='first'",
        "an example has one axis, or none",
    ),
    Equivalent(
        ("equinox",),
        r"(Weight|Spectral)Norm-\w+",
        r"channels='first'",
        "the channels lie where the layer inside has them",
    ),
    Equivalent(
        ("equinox",),
        r"ZeroPad\dd-pad",
        r"takes any foreign\.mode",
        "which row it is the mode says, and the one that is chosen here is the function's default",
    ),
    Equivalent(
        ("equinox",),
        "FeatureAlphaDropout-FeatureAlphaDropout",
        r"channels='first'",
        "in evaluation it passes everything on; what it drops in training, where both sides draw "
        "numbers of their own, test_channels.py looks at",
    ),
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
