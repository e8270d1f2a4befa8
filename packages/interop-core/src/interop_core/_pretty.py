"""Short and indented text forms of arrays, states and modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: A nested form is put on one line when it is no longer than this.
_ONE_LINE = 72


def array_text(value: Any) -> str:
    """Name dtype and shape of an array-like in the notation of jaxprs.

    Args:
        value: anything with ``shape`` and ``dtype``.

    Returns:
        For instance ``float32[4,8]``.
    """
    return f"{value.dtype}[{','.join(map(str, value.shape))}]"


def value_text(value: Any) -> str:
    """Describe a value: arrays by dtype and shape, containers entry by entry, the rest by ``repr``.

    Args:
        value: any object.

    Returns:
        The description, over several lines when it is long.
    """
    if value is None or isinstance(value, bool | int | float | complex | str):
        return repr(value)
    if isinstance(value, type):
        return value.__name__
    if getattr(value, "shape", None) is not None and hasattr(value, "dtype"):
        # A physical unit is told by what carries it.
        unit = getattr(value, "unit", None)
        return array_text(value) if unit is None else f"{array_text(value)} * {unit}"
    if type(value) is dict:
        return enclose("{", ((repr(k) + ": ", value_text(v)) for k, v in value.items()), "}")
    if type(value) is list:
        return enclose("[", (("", value_text(v)) for v in value), "]")
    if type(value) is tuple:
        if len(value) == 1:
            return f"({value_text(value[0])},)"
        return enclose("(", (("", value_text(v)) for v in value), ")")
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return repr(value)


def enclose(opening: str, entries: Iterable[tuple[str, str]], closing: str) -> str:
    """Join labelled entries between brackets, on one line if they are short and simple.

    Args:
        opening: opening bracket, with whatever stands in front of it.
        entries: pairs of label and text.
        closing: closing bracket.

    Returns:
        The joined text.

    Example:
        >>> enclose("f(", [("x=", "1"), ("y=", "2")], ")")
        'f(x=1, y=2)'
    """
    parts = [label + text for label, text in entries]
    line = ", ".join(parts)
    if "\n" not in line and len(opening) + len(line) + len(closing) <= _ONE_LINE:
        return opening + line + closing
    body = ",\n".join("  " + part.replace("\n", "\n  ") for part in parts)
    return f"{opening}\n{body},\n{closing}"


def call_text(name: str, fields: Mapping[str, Any]) -> str:
    """Write a constructor-like form.

    Args:
        name: what stands in front of the bracket.
        fields: argument names and values.

    Returns:
        For instance ``Dropout(prob=0.5)``.
    """
    return enclose(f"{name}(", ((f"{k}=", value_text(v)) for k, v in fields.items()), ")")
