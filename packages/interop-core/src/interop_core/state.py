"""The state family: mutable boxes that hold the arrays of a model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import jax
import numpy as np

from ._content import fingerprint, same
from ._pretty import call_text

__all__ = [
    "BatchState",
    "DelayState",
    "FakeState",
    "HiddenState",
    "LongTermState",
    "NormalizationParamState",
    "ParamState",
    "ShortTermState",
    "State",
]

T = TypeVar("T")
S = TypeVar("S", bound="State[Any]")


class State(Generic[T]):
    """A box around a value that changes over time: an array, or a pytree of arrays.

    Two states are equal only if they are the same object, so a state that hangs in two places of a
    model is recognised as one. A state is a leaf of ``jax.tree``; a *module* is the pytree whose
    leaves are the values of its states.

    Args:
        value: the value, or another state whose value is taken over.
        name: a label for the user.
        **metadata: further attributes. ``tag`` takes one label or several and is kept as a
            frozenset. ``axis_names`` names the axes of the arrays, for their sharding: one
            `interop_core.AxisNames`, or a dict of them by name.

    Example:
        >>> import numpy as np
        >>> counter = State(np.zeros(3, np.float32), name="count")
        >>> counter.value = counter.value + 1
        >>> counter.value.tolist()
        [1.0, 1.0, 1.0]
        >>> counter
        State(value=float32[3], name='count')
    """

    _value: T
    _name: str | None
    tag: frozenset[str] | None
    axis_names: Any = None  # metadata like any other; see `axis_names.AxisNames`

    def __init__(self, value: T | State[T], name: str | None = None, **metadata: Any) -> None:
        self._value = value.value if isinstance(value, State) else value
        self._name = name
        self.tag = None
        if metadata:
            self.add_tag(metadata.pop("tag", None))
            for key, entry in metadata.items():
                setattr(self, key, entry)

    @property
    def value(self) -> T:
        """The value; assigning replaces it in place for every holder of this state."""
        return self._value

    @value.setter
    def value(self, value: T | State[T]) -> None:
        self._value = value.value if isinstance(value, State) else value

    @property
    def name(self) -> str | None:
        """The label given by the user, or None."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name

    def add_tag(self, tag: str | Iterable[str] | None) -> None:
        """Add one label or several to ``tag``.

        Args:
            tag: what to add; None adds nothing.

        Example:
            >>> state = State(1.0, tag="slow")
            >>> state.add_tag("frozen")
            >>> sorted(state.tag)
            ['frozen', 'slow']
        """
        if tag is None:
            return
        labels = {tag} if isinstance(tag, str) else set(tag)
        self.tag = frozenset(labels | (self.tag or frozenset()))

    def copy(self: S) -> S:
        """Make a new state of the same type, name and metadata that holds the same value."""
        return self.replace(self.value)

    def replace(self: S, value: Any) -> S:
        """Make a new state of the same type, name and metadata around another value.

        Args:
            value: what the new state holds.

        Returns:
            The new state. This one is left as it is.

        Example:
            >>> ParamState(1.0, name="gain").replace(2.0)
            ParamState(value=2.0, name='gain')
        """
        new = self.__class__.__new__(self.__class__)
        new.__dict__.update(self.__dict__)
        new.value = value
        return new

    def numel(self) -> int:
        """Count the numbers in the value, over all its arrays.

        Example:
            >>> import numpy as np
            >>> ParamState({"weight": np.ones((4, 8)), "bias": np.ones(8)}).numel()
            40
        """
        return sum(math.prod(np.shape(leaf)) for leaf in jax.tree.leaves(self.value))

    def __repr__(self) -> str:
        fields: dict[str, Any] = {"value": self.value}
        if self._name is not None:
            fields["name"] = self._name
        if self.tag:
            fields["tag"] = sorted(self.tag)
        hidden = ("_value", "_name", "tag")
        fields.update((k, v) for k, v in self.__dict__.items() if k not in hidden)
        return call_text(self.__class__.__name__, fields)


class ShortTermState(State[T]):
    """A value that lives for one sequence, such as a membrane potential or a dropout mask."""


class LongTermState(State[T]):
    """A value that outlives a sequence: parameters and running statistics."""


class ParamState(LongTermState[T]):
    """A trainable parameter."""


class NormalizationParamState(ParamState[T]):
    """A trainable scale or shift of a normalisation layer."""


class BatchState(LongTermState[T]):
    """A statistic collected over batches, such as the running mean of batch normalisation."""


class HiddenState(ShortTermState[T]):
    """The hidden activation of a recurrent cell.

    Args:
        value: one array; a pytree is refused.
        name: a label for the user.
        **metadata: as for `State`.

    Raises:
        TypeError: if the value is a container.
    """

    def __init__(self, value: T | State[T], name: str | None = None, **metadata: Any) -> None:
        if isinstance(value, dict | list | tuple | set):
            raise TypeError(
                f"A HiddenState holds one array, not a {type(value).__name__}. "
                "Use one HiddenState per array, or a ShortTermState for a pytree."
            )
        super().__init__(value, name, **metadata)


class DelayState(ShortTermState[T]):
    """A buffer of past values."""


class FakeState(Generic[T]):
    """A stand-in with the interface of a state that no traversal collects.

    Layers use it where a state is optional, so that ``layer.x.value`` works either way. It is
    configuration: two of them are equal when they hold the same.

    Args:
        value: the value.
        name: a label for the user.

    Example:
        >>> FakeState(3).value
        3
    """

    compares_by_content = True

    def __init__(self, value: T, name: str | None = None, **metadata: Any) -> None:
        self._value = value
        self._name = name
        self.__dict__.update(metadata)

    @property
    def value(self) -> T:
        """The value."""
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        self._value = value

    @property
    def name(self) -> str | None:
        """The label given by the user, or None."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return same(self.__dict__, other.__dict__)

    def __hash__(self) -> int:
        return fingerprint(self.__dict__)

    def __repr__(self) -> str:
        return call_text("FakeState", {"value": self._value})
