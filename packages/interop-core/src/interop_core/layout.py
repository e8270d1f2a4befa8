"""Invertible array layouts: closed data, each with its inverse, with no framework in sight.

A layout maps a tuple of arrays to a tuple of arrays. The inverse is a layout too, so that both
directions of a conversion, the run on shapes, the sharding rule and the documentation come from
the same object. Imports `errors` and `sharded`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from .errors import Refusal
from .sharded import abstract_after, carry_sharded, in_one_place, sharding_of

Arrays = tuple[Any, ...]
Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]
Specs = tuple[PartitionSpec, ...]
_partition_spec: Any = PartitionSpec  # its constructor is untyped in some releases of jax


@runtime_checkable
class Layout(Protocol):
    """An invertible map between tuples of arrays.

    Attributes:
        exact: whether there and back gives the same bits.
        linear: whether gradients and optimizer moments can take the same way.
    """

    @property
    def exact(self) -> bool: ...
    @property
    def linear(self) -> bool: ...
    @property
    def inverse(self) -> Layout: ...
    def __call__(self, arrays: Arrays, /) -> Arrays: ...
    def shapes(self, shapes: Shapes, /) -> Shapes:
        """Shapes of the result; raises `Refusal` where the input's do not fit."""
        ...

    def spec(self, specs: Specs, /) -> Specs:
        """A ``PartitionSpec`` per array, an entry for each axis, carried through the layout."""
        ...


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Identity:
    """Leave the arrays as they are: the very same objects."""

    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    touched: ClassVar[tuple[int, ...]] = ()

    @property
    def inverse(self) -> Identity:
        return self

    def __call__(self, arrays: Arrays, /) -> Arrays:
        return arrays

    def shapes(self, shapes: Shapes, /) -> Shapes:
        return shapes

    def spec(self, specs: Specs, /) -> Specs:
        return specs

    def __str__(self) -> str:
        return "="


IDENTITY = Identity()
"""The one identity; code compares with it by ``is`` and never guesses."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Axes:
    """Permute axes, and add or drop axes of length one: ``h w i o -> o i h w``."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    touched: ClassVar[tuple[int, ...]] = ()

    @property
    def inverse(self) -> Axes:
        return Axes(self.target, self.source)

    def __call__(self, arrays: Arrays, /) -> Arrays:
        return tuple(self._move(array) for array in arrays)

    def _move(self, array: Any) -> Any:
        named = [name for name in self.source if name != "1"]
        order = [named.index(name) for name in self.target if name != "1"]
        inner = [n for n, name in zip(array.shape, self.source, strict=True) if name != "1"]
        return array.reshape(inner).transpose(order).reshape(self._shape(array.shape))

    def _shape(self, shape: Shape) -> Shape:
        if len(shape) != len(self.source) or any(
            name == "1" and n != 1 for name, n in zip(self.source, shape, strict=True)
        ):
            raise Refusal(f"expected axes ({' '.join(self.source)}), got the shape {shape}")
        size = dict(zip(self.source, shape, strict=True)) | {"1": 1}
        return tuple(size[name] for name in self.target)

    def shapes(self, shapes: Shapes, /) -> Shapes:
        return tuple(map(self._shape, shapes))

    def spec(self, specs: Specs, /) -> Specs:
        return tuple(self._spec(spec) for spec in specs)

    def _spec(self, spec: PartitionSpec) -> Any:
        entries = tuple(spec) + (None,) * (len(self.source) - len(spec))
        named = dict(zip(self.source, entries, strict=True)) | {"1": None}
        return _partition_spec(*(named[name] for name in self.target))

    def __str__(self) -> str:
        return f"{' '.join(self.source)} -> {' '.join(self.target)}"


def axes(pattern: str) -> Layout:
    """Build an axis layout from ``"source -> target"``; one that moves nothing is `IDENTITY`.

    Args:
        pattern: axis names on both sides, the same set; ``1`` is an axis of length one.

    Raises:
        ValueError: where a name stands on one side only.

    Example:
        >>> axes("i o -> o i").shapes(((3, 4),))
        ((4, 3),)
        >>> axes("c -> c") is IDENTITY
        True
    """
    source, _, target = pattern.partition("->")
    names = tuple(source.split()), tuple(target.split())
    if sorted(n for n in names[0] if n != "1") != sorted(n for n in names[1] if n != "1"):
        raise ValueError(f"not invertible: {pattern!r}")
    return IDENTITY if names[0] == names[1] else Axes(*names)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Blocks:
    """Reorder equal blocks along an axis, named by one letter each: LSTM gates ``igfo -> ifgo``."""

    source: str
    target: str
    axis: int = -1
    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    @property
    def inverse(self) -> Blocks:
        return Blocks(self.target, self.source, self.axis)

    def __call__(self, arrays: Arrays, /) -> Arrays:
        return tuple(self._reorder(array) for array in arrays)

    def _reorder(self, array: Any) -> Any:
        library = _library(array)
        parts = library.split(array, len(self.source), self.axis)
        return library.concatenate([parts[self.source.index(b)] for b in self.target], self.axis)

    def shapes(self, shapes: Shapes, /) -> Shapes:
        for shape in shapes:
            if shape[self.axis] % len(self.source):
                raise Refusal(f"axis {self.axis} of {shape} is not {len(self.source)} equal blocks")
        return shapes

    def spec(self, specs: Specs, /) -> Specs:
        return specs

    def __str__(self) -> str:
        return f"blocks {self.source} -> {self.target} on axis {self.axis}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Split:
    """Cut each array into parts of the given sizes along an axis; the inverse joins them."""

    sizes: tuple[int, ...]
    axis: int
    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    @property
    def inverse(self) -> Join:
        return Join(self.sizes, self.axis)

    def __call__(self, arrays: Arrays, /) -> Arrays:
        cuts = np.cumsum(self.sizes)[:-1].tolist()
        return tuple(
            part for array in arrays for part in _library(array).split(array, cuts, self.axis)
        )

    def shapes(self, shapes: Shapes, /) -> Shapes:
        result: list[Shape] = []
        for shape in shapes:
            if shape[self.axis] != sum(self.sizes):
                raise Refusal(f"axis {self.axis} of {shape} does not split into {self.sizes}")
            result += [_with(shape, self.axis, size) for size in self.sizes]
        return tuple(result)

    def spec(self, specs: Specs, /) -> Specs:
        return tuple(spec for spec in specs for _ in self.sizes)

    def __str__(self) -> str:
        return f"split {'+'.join(map(str, self.sizes))} on axis {self.axis}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Join:
    """Join runs of arrays along an axis; the inverse of `Split`.

    The arrays of a run have one dtype: joining two would promote one of them unasked.
    """

    sizes: tuple[int, ...]
    axis: int
    exact: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    @property
    def inverse(self) -> Split:
        return Split(self.sizes, self.axis)

    def __call__(self, arrays: Arrays, /) -> Arrays:
        n = len(self.sizes)
        return tuple(
            _library(*arrays[i : i + n]).concatenate(arrays[i : i + n], self.axis)
            for i in range(0, len(arrays), n)
        )

    def shapes(self, shapes: Shapes, /) -> Shapes:
        n, result = len(self.sizes), []
        for i in range(0, len(shapes), n):
            run = shapes[i : i + n]
            parts = tuple(_with(run[0], self.axis, size) for size in self.sizes)
            if run != parts:
                raise Refusal(f"expected shapes {parts} to join, got {run}")
            result.append(_with(run[0], self.axis, sum(self.sizes)))
        return tuple(result)

    def spec(self, specs: Specs, /) -> Specs:
        return specs[:: len(self.sizes)]

    def __str__(self) -> str:
        return f"join {'+'.join(map(str, self.sizes))} on axis {self.axis}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Shift:
    """Add a constant to one of the equal blocks along an axis; exact only to rounding."""

    blocks: str
    block: str
    delta: float
    axis: int = -1
    exact: ClassVar[bool] = False
    linear: ClassVar[bool] = False

    @property
    def inverse(self) -> Shift:
        return Shift(self.blocks, self.block, -self.delta, self.axis)

    def __call__(self, arrays: Arrays, /) -> Arrays:
        return tuple(self._shift(array) for array in arrays)

    def _shift(self, array: Any) -> Any:
        library = _library(array)
        parts = list(library.split(array, len(self.blocks), self.axis))
        index = self.blocks.index(self.block)
        parts[index] = parts[index] + np.asarray(self.delta, array.dtype)
        return library.concatenate(parts, self.axis)

    def shapes(self, shapes: Shapes, /) -> Shapes:
        return Blocks(self.blocks, self.blocks, self.axis).shapes(shapes)

    def spec(self, specs: Specs, /) -> Specs:
        return specs

    def __str__(self) -> str:
        return f"{self.block} {self.delta:+g}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Chain:
    """Several layouts, one after another."""

    steps: tuple[Layout, ...]

    @property
    def exact(self) -> bool:
        return all(step.exact for step in self.steps)

    @property
    def linear(self) -> bool:
        return all(step.linear for step in self.steps)

    @property
    def inverse(self) -> Chain:
        return Chain(tuple(step.inverse for step in reversed(self.steps)))

    def __call__(self, arrays: Arrays, /) -> Arrays:
        for step in self.steps:
            arrays = step(arrays)
        return arrays

    def shapes(self, shapes: Shapes, /) -> Shapes:
        for step in self.steps:
            shapes = step.shapes(shapes)
        return shapes

    def spec(self, specs: Specs, /) -> Specs:
        for step in self.steps:
            specs = step.spec(specs)
        return specs

    def __str__(self) -> str:
        return ", ".join(map(str, self.steps))


def chain(*steps: Layout) -> Layout:
    """One layout out of several; identities drop out, and nothing left is `IDENTITY`.

    Example:
        >>> str(chain(IDENTITY, Blocks("igfo", "ifgo"), axes("i o -> o i")))
        'blocks igfo -> ifgo on axis -1, i o -> o i'
    """
    rest = tuple(step for step in steps if step is not IDENTITY)
    return IDENTITY if not rest else rest[0] if len(rest) == 1 else Chain(rest)


def carry(layout: Layout, arrays: Sequence[Any]) -> Arrays:
    """Put arrays through a layout, whatever they are, keeping their dtypes.

    Abstract arrays (``jax.ShapeDtypeStruct``) give abstract arrays, NumPy arrays NumPy arrays,
    and JAX arrays go through one compiled pass per layout and shape, which writes each result
    once. What is spread over the devices of a mesh stays so: see `sharded`.

    Raises:
        Refusal: where shapes do not fit the layout, or dtypes or devices differ that it would mix.
    """
    if layout is IDENTITY:
        return tuple(arrays)
    shapes = layout.shapes(tuple(tuple(array.shape) for array in arrays))
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) > 1 and len(shapes) % len(arrays):
        names = " and ".join(sorted(map(str, dtypes)))
        raise Refusal(f"arrays of {names} would become one array", "cast them to one dtype first")
    if any(isinstance(array, jax.ShapeDtypeStruct) for array in arrays):
        if len(dtypes) == 1:
            kept = [arrays[0].dtype] * len(shapes)
        else:
            kept = [array.dtype for array in arrays]
        return abstract_after(layout, arrays, shapes, kept)
    if all(isinstance(array, np.ndarray) for array in arrays):
        return layout(tuple(arrays))
    if any(map(sharding_of, arrays)):
        return carry_sharded(layout, arrays, shapes)
    compiled: Callable[[Arrays], Arrays] = _compiled(layout)  # type: ignore[arg-type]
    return in_one_place(compiled, arrays)


@lru_cache(maxsize=1024)
def _compiled(layout: Any) -> Callable[[Arrays], Arrays]:
    # A bound method or dataclass instance would be kept alive by jit's own cache: a fresh
    # function per layout lets the bound on this cache be the only bound.
    return jax.jit(lambda arrays: layout(arrays))


def _library(*arrays: Any) -> Any:
    """NumPy for NumPy arrays, so that host weights stay on the host; else `jax.numpy`."""
    return np if all(isinstance(array, np.ndarray) for array in arrays) else jnp


def _with(shape: Shape, axis: int, size: int) -> Shape:
    axis %= len(shape)
    return (*shape[:axis], size, *shape[axis + 1 :])
