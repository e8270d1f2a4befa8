"""How layers of any framework are run, in one convention: the core's.

What verification, comparison and the generated tests stand on. Imports jax and numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model, in the core's convention.

    Attributes:
        x: the input, batch axes first and channels last.
        leading: how many batch axes stand before the example.
        carry: what a recurrent layer's counterpart takes as arguments, by the core's names.
        training: whether the layer runs as in training, with what that updates.
        first_in: whether the framework's layer takes the example with the channels first.
        first_out: whether it gives it so.
        others: inputs behind the first, for models that take several.
    """

    x: Any
    leading: int = 0
    carry: Mapping[str, Any] = field(default_factory=dict)
    training: bool = False
    first_in: bool = False
    first_out: bool = False
    others: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave, in the core's convention.

    Attributes:
        y: the output.
        carry: the carry after the call, by the core's names.
        model: the model after the call, with its running statistics moved on while training.
    """

    y: Any
    carry: Mapping[str, Any] = field(default_factory=dict)
    model: Any = None


Rebuild = Callable[[Any], Any]
"""Makes a node again out of a tree of parameters like the one that was taken out of it."""


class Running(Protocol):
    """What a framework says of running its layers; a part of `interop_core.bridge.Framework`.

    A bridge without these methods converts all the same; it cannot verify, compare, or copy.
    """

    def call(self, node: Any, call: Call) -> Outcome:
        """Run a model without changing it, in evaluation mode where the call says nothing else.

        Where a model takes its carry as an argument, it gets the call's.
        """
        ...

    def parameters(self, node: Any) -> tuple[Any, Rebuild]:
        """The trainable arrays as a tree, and what puts such a tree back into an equal model."""
        ...

    def duplicate(self, node: Any) -> Any:
        """An equal model that holds a copy of every array; ties stay."""
        ...


def one_by_one(
    function: Callable[..., tuple[Any, Any]], call: Call
) -> tuple[Any, Mapping[str, Any]]:
    """Call what takes one example, perhaps channels first, on a batch in the core's convention.

    Args:
        function: ``(example, carry) -> (output, carry)``; further inputs come behind.
        call: the call.

    Returns:
        The output and the carry, batched.

    Example:
        >>> y, _ = one_by_one(lambda x, c: (x[0], c), Call(jnp.ones((2, 4, 3)), 1, first_in=True))
        >>> y.shape
        (2, 4)
    """

    def on_example(x: Any, carry: Any, *others: Any) -> tuple[Any, Any]:
        if call.first_in:
            x, others = to_front(x), tuple(map(to_front, others))
            carry = {name: to_front(array) for name, array in carry.items()}
        y, carry = function(x, carry, *others)
        if call.first_out:
            y, carry = jax.tree.map(to_back, (y, carry))  # a model may give several outputs
        return y, carry

    mapped: Any = on_example
    for _ in range(call.leading):
        mapped = jax.vmap(mapped)
    y, carry = mapped(call.x, dict(call.carry), *call.others)
    return y, carry


def to_front(x: Any) -> Any:
    """An example with its last axis, the channels, in front; a vector or a number as it is."""
    return jnp.moveaxis(x, -1, 0) if jnp.ndim(x) > 1 else x


def to_back(y: Any) -> Any:
    """An example with its first axis, the channels, behind; a vector or a number as it is."""
    return jnp.moveaxis(y, 0, -1) if jnp.ndim(y) > 1 else y


def copied(array: Any) -> Any:
    """A copy of an array, or of a function with arrays for options; anything else as it is.

    Example:
        >>> array = np.ones(2)
        >>> copied(array) is array, copied("relu")
        (False, 'relu')
    """
    if isinstance(array, partial):
        keywords = {name: copied(value) for name, value in array.keywords.items()}
        return partial(array.func, *array.args, **keywords)
    return array.copy() if isinstance(array, jax.Array | np.ndarray) else array
