"""Layers that hold layers: what a row says of one, and what a case has in its place.

Imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Size = tuple[int, ...]


def _whole(example: Size) -> Size | None:
    return example


Check = Callable[[Literal["core", "foreign"], Any], None]
"""Called with a side and a layer there; raises `Refusal` for one that it does not take."""


def anything(_: Literal["core", "foreign"], __: Any) -> None:
    """The `Check` that takes every layer."""


@dataclass(frozen=True, slots=True)
class Part:
    """A layer that a layer is given and holds; a row of its own converts it.

    It stands among the options of the row of the layer that holds it.

    Attributes:
        core: the core layer's parameter, and its attribute.
        foreign: the foreign layer's.
        example: shape of one example of the part, for one of the layer that holds it.
        check: called with the side and the layer that is held there; raises `Refusal` for one
            that its holder would use otherwise than its counterpart does.
        through: whether the data goes through the part alone, so that it decides where the
            framework has the channels.
        optional: whether there may be none, and ``None`` in its place.
    """

    core: str
    foreign: str
    example: Callable[[Size], Size | None] = _whole
    check: Check = anything
    through: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A layer among the options of a case: it is made anew wherever the case is.

    Attributes:
        layer: its class.
        options: its constructor arguments, others of this kind among them.
    """

    layer: Any
    options: Mapping[str, Any]


def made(layer: Any, **options: Any) -> Made:
    """A `Made` whose options are keyword arguments.

    Example:
        >>> made(dict, a=1)
        Made(layer=<class 'dict'>, options={'a': 1})
    """
    return Made(layer, options)


def make(options: Mapping[str, Any], construct: Callable[[Any, Mapping[str, Any]], Any]) -> Any:
    """The options of a case, every layer among them made.

    Args:
        options: the options.
        construct: makes a layer out of a class and arguments without layers to be made.

    Example:
        >>> make({"n": 2, "inner": made(dict, a=1)}, lambda cls, given: cls(**given))
        {'n': 2, 'inner': {'a': 1}}
    """
    return {
        name: construct(value.layer, make(value.options, construct))
        if isinstance(value, Made)
        else value
        for name, value in options.items()
    }
