"""Arrays that two layers hold in common, which a conversion would take apart.

A layer that stands in two places is converted once. Two layers that share one variable would each
be given one of their own, and training would move them apart. Imports `errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .errors import Path, Refusal, UnsupportedStructureError, format_path


class Ties:
    """Remembers what holds each array of a model, to see it again in another layer."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Path, str]] = {}

    def check(
        self, holders: Iterable[tuple[str, Any]], path: Path, *, inside: bool
    ) -> Iterator[Refusal]:
        """Enter the variables of one more layer.

        Args:
            holders: the objects that the layer keeps its arrays in, with their names there.
            path: where the layer is.
            inside: whether the layer itself may not hold one variable under two names either; a
                mapping written by hand sees to that itself.

        Yields:
            A `Refusal` for each variable that is held twice.
        """
        for name, holder in holders:
            here = (path, name)
            entry = self._seen.setdefault(id(holder), here)
            if entry is here:
                continue
            first, known_as = entry
            if first != path or (inside and known_as != name):
                yield Refusal(
                    f"{name} and {known_as} of {format_path(first)} are one variable, and would "
                    "be two",
                    "use one layer in both places, or give each a variable of its own",
                    UnsupportedStructureError,
                )
