"""What a row makes of one configuration: which arrays become which, and how the layer is built.

Imports `bridge`, `layout` and `mapping`; `recipe` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .bridge import Build
from .errors import Refusal
from .layout import Layout
from .mapping import Channels, Config, LayerMap, LayerMapping

Size = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Arrays of a source layer that become arrays of its counterpart."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    layout: Layout


@dataclass(frozen=True, slots=True)
class Recipe:
    """How layers of one configuration are converted.

    Attributes:
        title: the target layer's name.
        moves: which arrays become which.
        build: makes the target layer out of the moved arrays, in the order of the moves.
        core: the core layer without arrays; it knows its sizes.
        options: the core layer's configuration.
        channels: the layer's channel convention on a channels-first framework.
        example_rank: rank of the one example that the foreign layer takes, if it takes just one.
        entry: the row or mapping.
        target_options: what the target layer is constructed with.
        example: shape of one unbatched input that the recipe was made for, if it was known.
        example_out: shape of the output for it, where it fits.
        lost: names of axes that the target has no place for, in words.
    """

    title: str
    moves: tuple[Move, ...]
    build: Build
    core: Any = None
    options: Config | None = None
    channels: Channels = "any"
    example_rank: int | None = None
    entry: LayerMap | LayerMapping | None = None
    target_options: Config | None = None
    example: Size | None = None
    example_out: Size | None = None
    lost: tuple[str, ...] = ()

    @property
    def sized(self) -> bool:
        """Whether the target's options may depend on the shape of the example."""
        return isinstance(self.entry, LayerMap) and self.entry.sized

    @property
    def declared_out(self) -> Size | None:
        """The layer's own ``out_size``, where it has one."""
        return _size(getattr(self.core, "out_size", None))

    def output_size(self, size: Size) -> Size | None:
        """Shape of the output for an unbatched input of this shape; `ValueError` for a misfit."""
        if size == self.example and self.example_out is not None:
            return self.example_out
        if isinstance(self.entry, LayerMap) and self.entry.after is not None:
            return self.entry.after(self.core, size)
        function = getattr(self.core, "output_size", None)
        return _size(function(size)) if function is not None else self.declared_out


def lined_up(channels: Channels, options: Config, example: Size | None) -> Channels:
    """Where a layer wants its channels whose numbers may be arrays.

    What works on entries does not mind where they stand, unless an array stands beside them: then
    their axes have to be where the core has them.

    Raises:
        Refusal: where such an array has more axes than one example.
    """
    if channels != "any":
        return channels
    arrays = {n: v for n, v in options.items() if isinstance(v, jax.Array | np.ndarray) and v.ndim}
    for name, array in arrays.items():
        if array.ndim > (1 if example is None else len(example)):
            reason = f"{name} is an array of shape {array.shape}, along more axes than one example"
            raise Refusal(f"{reason} has{'' if example else ' for all that is known'}", _NUMBER)
    return "same" if arrays else "any"


_NUMBER = "use one number, or an array with the axes of an example, and pass sample_input"


def array_key(leaves: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a recipe depends on of the arrays."""
    try:
        key = tuple([(n, a.shape, a.dtype, type(a)) for n, a in leaves.items()])
    except AttributeError:  # something that is no array: no recipe will be made of it
        return tuple(leaves)
    names = getattr(leaves, "axis_names", None)
    return (*key, *names.items()) if names else key


def _size(value: Any) -> Size | None:
    return None if value is None else tuple(value)
