"""Window arithmetic shared by convolution and pooling: canonical arguments and output sizes.

Plain Python on integers: nothing here touches an array, so it also serves abstract construction.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

__all__ = ["Pads", "Padding", "pads", "output_lengths", "padding_of", "per_axis"]

#: One (before, after) pair per spatial axis.
Pads = tuple[tuple[int, int], ...]
#: The canonical form of a padding argument.
Padding = str | Pads

_NAMED = ("SAME", "SAME_LOWER", "VALID")


def per_axis(value: int | Sequence[int], n: int, name: str) -> tuple[int, ...]:
    """Spread a window argument over the spatial axes.

    Args:
        value: one positive integer for all axes, or a sequence with one entry or ``n`` entries.
        n: number of spatial axes.
        name: the argument's name, for the error message.

    Returns:
        A tuple of ``n`` integers.

    Raises:
        TypeError: if an entry is no integer.
        ValueError: if the length fits neither form, or an entry is smaller than 1.

    Example:
        >>> per_axis(3, 2, "kernel_size")
        (3, 3)
    """
    entries = tuple(value) if isinstance(value, Sequence) else (value,)
    try:
        numbers = tuple(operator.index(entry) for entry in entries)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer or a sequence of integers, got {value!r}."
        ) from None
    if len(numbers) not in (1, n):
        raise ValueError(f"{name} must have 1 or {n} entries, got {value!r}.")
    if any(number < 1 for number in numbers):
        raise ValueError(f"{name} must be positive, got {value!r}.")
    return numbers * (n // len(numbers))


def padding_of(padding: Any, n: int) -> Padding:
    """Bring a padding argument into canonical form.

    Accepted are a name (``"SAME"``, ``"SAME_LOWER"``, ``"VALID"``, in any case), one integer for
    both sides of every axis, one integer per axis for both its sides, and (before, after) pairs,
    one per axis or one for all. For a single axis, two integers are one such pair. Negative
    integers crop.

    Args:
        padding: the argument.
        n: number of spatial axes.

    Returns:
        The name in upper case, or a tuple of ``n`` pairs.

    Raises:
        ValueError: for every other form.

    Example:
        >>> padding_of((1, 2), 2)
        ((1, 1), (2, 2))
        >>> padding_of((1, 2), 1)
        ((1, 2),)
    """
    if isinstance(padding, str):
        if padding.upper() in _NAMED:
            return padding.upper()
        raise ValueError(f"padding must be one of {_NAMED} when it is a string, got {padding!r}.")
    pairs = _pairs(padding, n)
    if pairs is None:
        raise ValueError(
            f"padding for {n} spatial {'axis' if n == 1 else 'axes'} must be one of {_NAMED}, an "
            f"integer, an integer per axis, or (before, after) pairs, got {padding!r}."
        )
    return pairs


def _pairs(padding: Any, n: int) -> Pads | None:
    """Read the numeric forms of a padding; None where it is none of them."""
    try:
        side = operator.index(padding)
    except TypeError:
        pass
    else:
        return ((side, side),) * n
    try:
        entries = tuple(padding)
        if entries and all(hasattr(entry, "__index__") for entry in entries):
            sides = tuple(operator.index(entry) for entry in entries)
            if len(sides) == n:
                return tuple((side, side) for side in sides)
            return ((sides[0], sides[1]),) if n == 1 and len(sides) == 2 else None
        pairs = tuple((operator.index(low), operator.index(high)) for low, high in entries)
    except (TypeError, ValueError):
        return None
    return pairs * (n // len(pairs)) if len(pairs) in (1, n) else None


def pads(
    padding: Padding, lengths: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...]
) -> Pads:
    """Resolve a canonical padding against input lengths.

    ``"SAME"`` gives ``ceil(length / stride)`` outputs per axis; an odd total puts the extra element
    after the data, ``"SAME_LOWER"`` before it.

    Args:
        padding: what `padding_of` returned.
        lengths: input length per spatial axis.
        window: window length per axis, dilation included.
        stride: step per axis.

    Returns:
        One (before, after) pair per axis.

    Example:
        >>> pads("SAME", (5,), (2,), (1,))
        ((0, 1),)
    """
    if padding == "VALID":
        return ((0, 0),) * len(lengths)
    if not isinstance(padding, str):
        return padding
    pairs = []
    for length, size, step in zip(lengths, window, stride, strict=True):
        total = max((-(-length // step) - 1) * step + size - length, 0)
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if padding == "SAME" else (large, small))
    return tuple(pairs)


def output_lengths(
    lengths: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...], padded: Pads
) -> tuple[int, ...]:
    """Count the window positions along each axis.

    ``floor((length + before + after - window) / stride) + 1``: a last window that would reach over
    the edge is dropped.

    Args:
        lengths: input length per spatial axis (after base dilation, where there is one).
        window: window length per axis, dilation included.
        stride: step per axis.
        padded: what `pads` returned.

    Returns:
        The output lengths, none smaller than 1.

    Raises:
        ValueError: if the window does not fit once along some axis.

    Example:
        >>> output_lengths((8, 7), (3, 3), (2, 2), ((0, 0), (1, 1)))
        (3, 4)
    """
    counts = tuple(
        (length + low + high - size) // step + 1
        for length, size, step, (low, high) in zip(lengths, window, stride, padded, strict=True)
    )
    if any(count < 1 for count in counts):
        raise ValueError(
            f"A window of {window} does not fit into spatial size {lengths} padded by {padded}: "
            "make the input larger, the window smaller, or pad more."
        )
    return counts
