"""What companions remember from one call to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from flax import nnx


class Carry(nnx.Variable[Any]):
    """What a layer remembers from one call to the next: no parameter, and not trained."""


class Carrying(nnx.Module):
    """The base of the layers that remember, in variables of the type `Carry`.

    There are none until `reset_carry` makes them.
    """

    carried: ClassVar[tuple[str, ...]]

    def reset_carry(self, batch_shape: Sequence[int] = ()) -> None:
        """Begin a sequence: make what is remembered, or set it back.

        Args:
            batch_shape: the axes in front of one example.
        """
        raise NotImplementedError

    def carry_on(self, name: str, array: Any) -> None:
        """Remember an array, in the variable of this name."""
        held = getattr(self, name, None)
        if isinstance(held, Carry):
            held.set_value(array)
        else:
            setattr(self, name, Carry(array))


def reset_carries(model: nnx.Module, batch_shape: Sequence[int] = ()) -> None:
    """Begin a sequence with every layer of a model that remembers something.

    Args:
        model: a layer, or a module that holds some.
        batch_shape: the axes in front of one example.

    Example:
        >>> import jax.numpy as jnp
        >>> from interop_nnx.companions import StatefulMGUCell
        >>> model = nnx.Sequential(StatefulMGUCell(3, 4, rngs=nnx.Rngs(0)), jnp.tanh)
        >>> reset_carries(model, (2,))
        >>> model(jnp.ones((2, 3))).shape
        (2, 4)
    """
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Carrying):
            module.reset_carry(batch_shape)
