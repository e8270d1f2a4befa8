"""Padding of convolutions: what the core says in two options, Linen says in one.

Linen's ``"CIRCULAR"`` and ``"REFLECT"`` pad as much as keeps the size at stride 1, whatever the
stride, and ``"CAUSAL"`` puts all of it in front. The core names the filling and the amount apart.
Imports the row vocabulary alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interop_core.errors import Refusal
from interop_core.mapping import Config, Iso

Pairs = tuple[tuple[int, int], ...]

FILLINGS = ("CIRCULAR", "REFLECT")
AMOUNTS = ("SAME", "SAME_LOWER", "VALID")
ADVICE = "pad in front of the layer instead"


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """A stride or dilation of Linen for every axis; None is 1."""
    return (
        (1 if value is None else value,) * rank
        if value is None or isinstance(value, int)
        else tuple(value)
    )


def windows(sizes: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Lengths of a kernel with its gaps."""
    return tuple((size - 1) * step + 1 for size, step in zip(sizes, dilation, strict=True))


def _full(lengths: Sequence[int]) -> Pairs:
    """What Linen pads for ``"CIRCULAR"`` and ``"REFLECT"``."""
    return tuple(((length - 1) // 2, length // 2) for length in lengths)


def _amounts(config: Config) -> Pairs:
    """What the core pads: names resolved against the size of the input."""
    padding = config["padding"]
    if not isinstance(padding, str):
        pairs: Pairs = padding
        return pairs
    kernel = windows(config["kernel_size"], config["rhs_dilation"])
    if padding == "VALID":
        return ((0, 0),) * len(kernel)
    found = []
    for size, window, step in zip(config["in_size"], kernel, config["stride"], strict=False):
        total = max((-(-size // step) - 1) * step + window - size, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if padding == "SAME" else (more, less))
    return tuple(found)


def _out(config: Config) -> Any:
    padding, mode = config["padding"], config["padding_mode"]
    if mode == "ZEROS":
        return padding
    amounts = _amounts(config)
    if not any(map(any, amounts)):
        return "VALID"
    if mode not in FILLINGS:
        raise Refusal(f"padding_mode={mode!r} has no counterpart", ADVICE)
    full = _full(windows(config["kernel_size"], config["rhs_dilation"]))
    if amounts != full:
        reason = f"padding_mode={mode!r} pads by {full} on the other side, and here by {amounts}"
        raise Refusal(reason, ADVICE)
    return mode


def _amount_out(padding: Any, config: Config) -> Any:
    try:
        return _out(config)
    except Refusal:
        return padding  # said once, of padding_mode


def _amount_back(padding: Any, config: Config) -> Any:
    sizes = config["kernel_size"]
    sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    if isinstance(padding, int):
        return padding
    if isinstance(padding, str):
        return _named(padding, sizes, config)
    entries = tuple(padding) if isinstance(padding, Sequence) else ()
    pairs = tuple((entry, entry) if isinstance(entry, int) else entry for entry in entries)
    if len(pairs) != len(sizes) or any(type(p) is not tuple or len(p) != 2 for p in pairs):
        advice = "give an integer, or one (before, after) pair per axis"
        raise Refusal(f"padding={padding!r} is not understood", advice)
    return pairs


def _named(padding: str, sizes: tuple[int, ...], config: Config) -> Any:
    if padding.upper() in AMOUNTS:
        return padding.upper()
    if padding not in (*FILLINGS, "CAUSAL") or (padding == "CAUSAL" and len(sizes) != 1):
        raise Refusal(f"padding={padding!r} is not understood", f"use one of {AMOUNTS + FILLINGS}")
    if any(step != 1 for step in per_axis(config["input_dilation"], len(sizes))):
        raise Refusal(f"padding={padding!r} has no meaning for a dilated input", "give pairs")
    kernel = windows(sizes, per_axis(config["kernel_dilation"], len(sizes)))
    return ((kernel[0] - 1, 0),) if padding == "CAUSAL" else _full(kernel)


PADDING = Iso(_amount_out, _amount_back, "amount")
PADDING_MODE = Iso(
    lambda _, config: _out(config),
    lambda padding, _: padding if isinstance(padding, str) and padding in FILLINGS else "ZEROS",
    "filling",
)
