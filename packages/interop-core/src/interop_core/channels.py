"""Where channels-first and channels-last data meet, and the axis moves that stand there.

The core keeps channels last; a channels-first framework's spatial layers keep them first. A
`Stream` follows one example through a stack and knows, at each place, its shape in the core and
whether the framework's data is the core's with the last axis moved to the front (*moved*).
Imports `bridge`, `recipe` and the core's `MoveAxis`.
"""

from __future__ import annotations

import jax.numpy as jnp

from ._recipe import Recipe, Size
from .bridge import Framework
from .errors import MissingShapeError, Refusal
from .nn import MoveAxis

_MOST_AXES = 8


class Widen(Exception):
    """Sizes turned out to have leading axes that the first layers do not speak of."""

    def __init__(self, leading: tuple[int, ...]) -> None:
        self.leading = leading


class Stream:
    """One example on its way through a model.

    Args:
        example: its shape at the entrance, in the core's convention, if known.
        moved: the convention at the entrance; ``None`` lets the first layer that cares decide.

    Attributes:
        size: its shape here, in the core's convention.
        moved: whether the framework has the channels first here; ``None`` while nobody has cared.
        entry: what was decided for the entrance.
        example: its shape at the entrance.
        guessed: whether that shape is what the first layer says of itself, which for layers that
            work on the last axis may leave leading axes out.
        turned: whether the framework's model turned its data before anyone cared, as one does
            that takes channels-last data to channels-first layers.
    """

    def __init__(self, example: Size | None, moved: bool | None, leading: Size = ()) -> None:
        self.size = self.example = example
        self.moved = self.entry = moved
        self.guessed = self.turned = False
        self._start = (example, moved)
        self._leading = leading
        self._moves: list[Recipe] = []

    def widened(self, leading: Size) -> Stream:
        """A fresh stream that puts these axes before whatever shape it has to guess."""
        return Stream(*self._start, (*leading, *self._leading))

    def entering(self, moved: bool) -> Stream:
        """A fresh stream with the convention at the entrance decided."""
        return Stream(self._start[0], moved, self._leading)

    def guess(self, declared: Size) -> None:
        """Take a layer's own ``in_size`` for the shape at the entrance."""
        self.size = (*self._leading, *declared)
        self.example = self.example or self.size
        self.guessed = True

    def resume(self, declared: Size | None, *, exact: bool) -> None:
        """Take a layer's own ``out_size`` for the shape behind it, where none was known before.

        Raises:
            Refusal: where a later layer wants more axes, and they have to be known from the start.
        """
        if exact and declared is not None and self._leading:
            raise Refusal(
                "gets an example of unknown shape, and a layer behind it takes more axes",
                "pass sample_input",
                MissingShapeError,
            )
        self.size = None if declared is None else (*self._leading, *declared)
        self.guessed = True

    @property
    def may_widen(self) -> bool:
        """Whether the shape was guessed and may have more axes in front: no data has many."""
        return self.guessed and len(self._leading) < _MOST_AXES

    def pass_by(self, size: Size | None, *, same: bool) -> None:
        """Take the shape behind a layer.

        A layer with the channels on the core's axis that makes several axes of one at most, as
        Unflatten and Embedding do, gives them in the core's order, whatever lay in front of it.
        """
        if same and size is not None and self.size is not None and len(self.size) <= 1 < len(size):
            self.moved = False
        self.size = size

    def demand(self, moved: bool, target: Framework, outward: bool) -> None:
        """Have the data in this convention from here on, with an axis move if need be.

        Raises:
            Refusal: where a move is needed and the shape is not known.
        """
        if self.moved is None:
            self.moved = self.entry = moved
        elif self.moved is not moved:
            self._moves.append(self._move(moved, target, outward))
            self.moved = moved

    def _move(self, moved: bool, target: Framework, outward: bool) -> Recipe:
        if outward:
            options = (
                {"source": -1, "destination": 0} if moved else {"source": 0, "destination": -1}
            )
            return Recipe("axis move", (), target.builder(jnp.moveaxis, options, ()))
        if self.size is None:
            raise Refusal(
                "channels-first and channels-last data meet, and the shape here is not known",
                "pass sample_input",
                MissingShapeError,
            )
        # In the core the data itself turns: channels-first data of the framework that a layer
        # takes as it is has to look the same here.
        rank = len(self.size)
        source, destination = (-rank, -1) if moved else (-1, -rank)
        core = MoveAxis(source, destination)
        options = {"source": source, "destination": destination}
        self.size = core.output_size(self.size)
        return Recipe("axis move", (), target.builder(MoveAxis, options, ()), core=core)

    def take_moves(self) -> list[Recipe]:
        """The moves that have to stand before the layer just planned."""
        if not self._moves:
            return []
        moves, self._moves = self._moves, []
        return moves

    def absorbs(self, recipe: Recipe, outward: bool) -> bool:
        """Whether an axis move of the source says only what the other convention says anyway.

        In the direction out of the core, moving the channels first, where the framework has them
        first already, leaves its data as it is; from then on both sides look alike. The other
        cases are the same statement read the other way.
        """
        if not isinstance(recipe.core, MoveAxis) or self.size is None or len(self.size) < 2:
            return False
        rank = len(self.size)
        ends = (recipe.core.source, recipe.core.destination)
        to_front, to_back = ends == (-1, -rank), ends == (-rank, -1)
        if outward:
            if to_front and self.moved:
                self.moved = False
                return True
            if to_back and not self.moved:
                self.entry = bool(self.entry)
                self.moved = True
                return True
            return False
        if (to_back and self.moved) or (to_front and self.moved is False):
            self.moved = not self.moved
            return True
        self.turned = self.turned or (to_front and self.moved is None)
        return False
