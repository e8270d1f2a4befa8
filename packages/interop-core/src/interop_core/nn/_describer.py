"""A class with arguments for it, from which objects are built later."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from .._content import Content

__all__ = ["ParamDescriber"]

T = TypeVar("T")


class ParamDescriber(Generic[T]):
    """Keeps a class and some of the arguments that it is to be built with.

    Calling it builds an object: positional arguments of the call come after those kept, and
    arguments by name before those kept. Two are equal if class and arguments say the same.

    Args:
        cls: the class.
        *desc_tuple: positional arguments.
        **desc_dict: arguments by name.

    Attributes:
        args: the positional arguments.
        kwargs: the arguments by name.

    Example:
        >>> make = ParamDescriber(dict, a=1, b=2)
        >>> make(b=3)
        {'a': 1, 'b': 3}
    """

    def __init__(self, cls: type[T], *desc_tuple: Any, **desc_dict: Any) -> None:
        self.cls = cls
        self.args = desc_tuple
        self.kwargs = desc_dict

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Build an object.

        Args:
            *args: further positional arguments.
            **kwargs: further arguments by name.
        """
        return self.cls(*self.args, *args, **{**self.kwargs, **kwargs})

    def init(self, *args: Any, **kwargs: Any) -> T:
        """Build an object; the same as calling.

        Args:
            *args: further positional arguments.
            **kwargs: further arguments by name.
        """
        return self(*args, **kwargs)

    @property
    def identifier(self) -> tuple[type[T], tuple[Any, ...], dict[str, Any]]:
        """The class, the positional arguments and those by name."""
        return self.cls, self.args, self.kwargs

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ParamDescriber):
            return NotImplemented
        return Content(self.identifier) == Content(other.identifier)

    def __hash__(self) -> int:
        return hash(Content(self.identifier))

    def __repr__(self) -> str:
        said = [repr(arg) for arg in self.args]
        said += [f"{name}={arg!r}" for name, arg in self.kwargs.items()]
        return f"{type(self).__name__}({self.cls.__name__}({', '.join(said)}))"
