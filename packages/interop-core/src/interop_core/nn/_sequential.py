"""A stack of layers that are called one after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import jax

from .. import environ
from .._content import Content
from ._describer import ParamDescriber
from ._module import ElementWiseBlock, Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Calls layers in turn, each on the output of the one before.

    Args:
        *layers: modules or plain functions, or descriptions of modules (`Module.desc`), which are
            built with the output size of the layers before as ``in_size``. The first is called
            with all the arguments. Without layers, the stack returns its input.
        name: a label for the user.

    Raises:
        TypeError: if an element is neither a module nor callable, or is a class.
        ValueError: if a module is to be built behind layers that do not say their output size.

    Example:
        >>> stack = Sequential(abs, lambda x: x + 1)
        >>> stack(-2)
        3
        >>> len(stack), stack[0](-5)
        (2, 5)
    """

    layers: list[Any]

    def __init__(self, *layers: Any, name: str | None = None) -> None:
        super().__init__(name=name)
        self.layers = []
        self.extend(layers)

    @property
    def in_size(self) -> Any:
        """The input size of the first layer, or what was assigned."""
        if self._in_size is not None:
            return self._in_size
        return getattr(self.layers[0], "in_size", None) if self.layers else None

    @in_size.setter
    def in_size(self, size: Any) -> None:
        Module.in_size.fset(self, size)  # type: ignore[attr-defined]

    @property
    def out_size(self) -> Any:
        """The output size of the last layer that has one of its own, or what was assigned.

        Functions and element-wise layers hand the size before them on. A last layer that changes
        the size and does not know it makes this None.
        """
        if self._out_size is not None:
            return self._out_size
        for layer in reversed(self.layers):
            if not isinstance(layer, Module):
                continue
            size = layer.out_size
            if size is not None or not isinstance(layer, ElementWiseBlock):
                return size
        return None

    @out_size.setter
    def out_size(self, size: Any) -> None:
        Module.out_size.fset(self, size)  # type: ignore[attr-defined]

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layers in turn.

        Args:
            *args: given to the first layer; an empty stack returns them.
            **kwargs: given to the first layer.

        Returns:
            The output of the last layer.
        """
        if not self.layers:
            return args[0] if len(args) == 1 else args
        x = self.layers[0](*args, **kwargs)
        for layer in self.layers[1:]:
            x = layer(x)
        return x

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Pass a size through the layers.

        Args:
            in_size: the shape of one input.

        Raises:
            ValueError: if it does not fit a layer; the message names the layer.
        """
        size = tuple(in_size)
        for index, layer in enumerate(self.layers):
            try:
                if isinstance(layer, Module):
                    size = layer.output_size(size)
                else:
                    size = _function_size(Content(layer), size, environ.dftype())
            except ValueError as error:
                raise ValueError(f"layers[{index}]: {error}") from error
        return size

    def append(self, layer: Any) -> None:
        """Add a layer at the end."""
        self.layers.append(_checked(layer, self.layers))

    def extend(self, modules: Iterable[Any]) -> None:
        """Add several layers at the end."""
        extended = list(self.layers)
        for layer in modules:
            extended.append(_checked(layer, extended))
        self.layers = extended

    def insert(self, index: int, module: Any) -> None:
        """Put a layer in front of the one at a position.

        Args:
            index: the position; negative ones count from the end, as in a list.
            module: the layer.

        Raises:
            IndexError: if there is no such position.
        """
        if not -len(self.layers) <= index <= len(self.layers):
            raise IndexError(f"A stack of {len(self.layers)} layers has no position {index}.")
        self.layers.insert(index, _checked(module, self.layers[:index]))

    def __len__(self) -> int:
        return len(self.layers)

    def __bool__(self) -> bool:
        # Without this an empty stack would count as false, unlike every other module.
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice | tuple[int, ...]) -> Sequential: ...

    def __getitem__(self, index: int | slice | tuple[int, ...]) -> Any:
        if isinstance(index, slice):
            return Sequential(*self.layers[index])
        if isinstance(index, tuple):
            return Sequential(*(self.layers[i] for i in index))
        return self.layers[index]


@functools.lru_cache(maxsize=1024)
def _function_size(wrapped: Content, size: tuple[int, ...], dtype: Any) -> Any:
    """Give the shape of what a plain function makes of an array, by tracing it once."""
    function: Callable[..., Any] = wrapped.value
    blank: Any = jax.ShapeDtypeStruct
    try:
        made = jax.eval_shape(function, blank(size, dtype))
    except Exception as error:
        name = getattr(function, "__name__", repr(function))
        raise ValueError(f"the function {name} fails on shape {size}: {error}") from error
    if not hasattr(made, "shape"):
        raise ValueError("a function that returns more than one array has no output size.")
    return tuple(made.shape)


def _checked(layer: Any, before: list[Any]) -> Callable[..., Any]:
    """Refuse what cannot be called on an input; build what is described."""
    if isinstance(layer, ParamDescriber):
        stack = Sequential()
        stack.layers = before
        if stack.out_size is None:
            raise ValueError(
                f"{layer!r} is built for the output of the layers before, which do not say its "
                "size: build it first."
            )
        layer = layer(in_size=stack.out_size)
    if isinstance(layer, type):
        raise TypeError(
            f"Sequential holds layers, not classes: {layer.__name__} must be built first."
        )
    if not callable(layer):
        raise TypeError(f"Sequential holds modules and functions, not {layer!r}.")
    return layer  # type: ignore[no-any-return]
