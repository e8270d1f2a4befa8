"""The base class of layers that work along the last axes of their input, the channels left out."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import ClassVar

from . import init
from ._module import Module

__all__ = ["Spatial"]

Shape = tuple[int, ...]


class Spatial(Module):
    """Works along the last ``spatial`` axes, the channel axis not counted among them.

    Args:
        channel_axis: the axis of the channels; None for data without channels. Counted from the
            front, it counts batch axes too.
        name: a label for the user.
    """

    spatial: ClassVar[int]

    def __init__(self, channel_axis: int | None, name: str | None) -> None:
        super().__init__(name=name)
        self.channel_axis = None if channel_axis is None else operator.index(channel_axis)

    def _fit(self, in_size: int | Sequence[int] | None) -> None:
        """Take over the shape of one example, once everything that decides the output is set."""
        if in_size is not None:
            self.in_size = init.to_size(in_size)
            self.out_size = self.output_size(self.in_size)

    def _axes(self, shape: Shape) -> Shape:
        """Find the spatial axes of an input.

        Raises:
            ValueError: if the input lacks one of them or the channel axis.
        """
        rank = len(shape)
        axes = list(range(rank))
        channel = self.channel_axis
        if channel is not None and -rank <= channel < rank:
            del axes[channel]
        elif channel is not None:
            raise ValueError(
                f"{type(self).__name__} has its channels on axis {channel}, which an input of "
                f"shape {shape} does not have."
            )
        if len(axes) < self.spatial:
            raise self._too_few(shape)
        return tuple(axes[-self.spatial :])

    def _example(self, in_size: Shape) -> Shape:
        """Put a batch axis in front of the shape of one example.

        A ``channel_axis`` counted from the front counts the batch axis as axis 0.

        Raises:
            ValueError: if the example has too few axes.
        """
        if len(in_size) < self.spatial + (self.channel_axis is not None):
            raise self._too_few(tuple(in_size))
        return (1, *in_size)

    def _too_few(self, shape: Shape) -> ValueError:
        """Say which axes an input lacks."""
        channel = "" if self.channel_axis is None else " and a channel axis"
        return ValueError(
            f"{type(self).__name__} needs {self.spatial} spatial "
            f"{'axis' if self.spatial == 1 else 'axes'}{channel}, got shape {shape}."
        )
