"""What the rows of layers that compute a weight of the layer inside have in common.

Where the array lies on the other side the rows of the layer inside know. A norm along axes goes
with a permutation of them, and with nothing else that a row may do to an array. Imports the row
vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Refusal
from .graph import configuration, leaves
from .layout import IDENTITY, Axes, Layout
from .mapping import Config, Iso, LayerMap, iso

_ADVICE = "wrap a linear layer or a convolution, around its weight"


def _at_least_one(steps: int) -> int:
    if steps < 1:
        raise Refusal(
            f"takes {steps} steps of the power iteration, so that what it divides by is never a "
            "singular value",
            "let it take one step or more",
        )
    return steps


STEPS = iso(lambda steps: steps, _at_least_one, "=, at least 1")
"""The steps of a power iteration."""


@dataclass(frozen=True, slots=True)
class Weight:
    """An array of the layer inside, on both sides.

    Attributes:
        core: its name in the core.
        foreign: its name in the framework.
        order: for each of the framework's axes, which axis of the core's array it is.
    """

    core: str
    foreign: str
    order: tuple[int, ...]

    @property
    def letters(self) -> tuple[str, tuple[str, ...]]:
        """The axes as letters, in the core's order and in the framework's."""
        names = "abcdefgh"[: len(self.order)]
        return names, tuple(names[axis] for axis in self.order)


def _order(layout: Any, rank: int) -> tuple[int, ...] | None:
    if layout is IDENTITY:
        return tuple(range(rank))
    if isinstance(layout, Axes) and "1" not in layout.source and len(layout.source) == rank:
        return tuple(layout.source.index(name) for name in layout.target)
    return None


class Weights:
    """Where the weights of layers lie, by the rows of a bridge.

    Args:
        rows: rows of the layers that may stand inside, in the order in which they are asked.
    """

    def __init__(self, rows: Sequence[LayerMap]) -> None:
        self._rows = tuple(rows)

    def _row(self, config: Config) -> tuple[LayerMap | None, Config]:
        """The row of the core layer inside, and its configuration."""
        layer = config["layer"]
        its: dict[str, Any] = {**configuration(layer), "example": config.get("example")}
        its |= {f"{n}.shape": tuple(array.shape) for n, array in leaves(layer).items()}
        its["stacked"] = False
        row = next((r for r in self._rows if r.core is type(layer) and r.chosen(its)), None)
        return row, its

    def example_rank(self, config: Config) -> int | None:
        """Rank of the one example that the counterpart of the core layer inside takes."""
        row, its = self._row(config)
        return None if row is None or row.example_rank is None else row.example_rank(its)

    def of_core(self, config: Config) -> Weight:
        """The weight that a core layer of this configuration is about.

        Raises:
            Refusal: for one that is no such array on the other side.
        """
        layer, name = config["layer"], config["weight_name"]
        held = leaves(layer)
        row, _ = self._row(config)
        for entry in row.leaves if row is not None else ():
            order = _order(entry.layout, len(held[name].shape)) if name in held else None
            if entry.core == (name,) and len(entry.foreign) == 1 and order is not None:
                return Weight(name, entry.foreign[0], order)
        raise Refusal(
            f"{name} of nn.{type(layer).__name__} is no array of its counterpart that differs by "
            "the order of axes alone, so that one norm would be another",
            _ADVICE,
        )

    def of_foreign(self, kind: Any, name: str, rank: int) -> Weight:
        """The weight that a framework's layer of this class calls so.

        Raises:
            Refusal: for one that is no such array in the core.
        """
        found = {
            Weight(entry.core[0], name, order)
            for row in self._rows
            if row.foreign is kind
            for entry in row.leaves
            if entry.foreign == (name,) and len(entry.core) == 1
            if (order := _order(entry.layout, rank)) is not None
        }
        if len(found) != 1:
            raise Refusal(
                f"{name} of {kind.__name__} is no array of its counterpart that differs by the "
                "order of axes alone, so that one norm would be another",
                _ADVICE,
            )
        return found.pop()


def kept_axes(value: Any, rank: int) -> tuple[int, ...]:
    """Feature axes from the front, in their order.

    Example:
        >>> kept_axes((-1, 0), 3), kept_axes(None, 3)
        ((0, 2), ())
    """
    given = () if value is None else value if isinstance(value, Sequence) else (value,)
    return tuple(sorted({axis % rank for axis in given}))


def order_of(find: Callable[[Config], Weight], config: Config) -> tuple[int, ...] | None:
    """The order of the axes of a weight; None for one that is refused, which its name says."""
    try:
        return find(config).order
    except Refusal:
        return None


def axes_iso(core: Callable[[Config], Weight], foreign: Callable[[Config], Weight]) -> Iso:
    """How the same axis or axes of a weight are said: one, several, or none.

    Args:
        core: gives the weight out of the core's configuration.
        foreign: gives it out of the framework's.
    """

    def there(value: Any, order: tuple[int, ...] | None) -> Any:
        if value is None or order is None or order == tuple(range(len(order))):
            return tuple(value) if isinstance(value, list) else value
        moved = tuple(order.index(axis) for axis in kept_axes(value, len(order)))
        return moved if isinstance(value, Sequence) else moved[0]

    def to(value: Any, config: Config) -> Any:
        return there(value, order_of(core, config))

    def back(value: Any, config: Config) -> Any:
        order = order_of(foreign, config)
        turned = None if order is None else tuple(map(order.index, range(len(order))))
        return there(value, turned)

    return Iso(to, back, "the same axes of the weight")


def along(weight: Weight, kept: Sequence[int], *, ones: bool = False) -> Layout:
    """The layout of an array with one axis for each of some axes of the core's weight.

    Args:
        weight: the weight.
        kept: those axes, from the front.
        ones: whether the framework keeps the others with length 1.
    """
    core, foreign = weight.letters
    names = {core[axis] for axis in kept}
    source = tuple(name for name in core if name in names)
    target = tuple(n if n in names else "1" for n in foreign if ones or n in names)
    return IDENTITY if source == target else Axes(source, target)
