"""What companions remember of one example from one call to the next, in an `eqx.nn.State`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp


class Carrying(eqx.nn.StatefulLayer):
    """The base of the layers that remember arrays of one example, each in a place of the state.

    The attribute ``carried`` names them.
    """

    carried: ClassVar[tuple[str, ...]] = ()

    @property
    def carry_shape(self) -> tuple[int, ...]:
        """The shape of each of them, for one example."""
        raise NotImplementedError


def reset_carries(model: Any, state: eqx.nn.State, batch_shape: Sequence[int] = ()) -> eqx.nn.State:
    """Begin a sequence: set what the layers of a model remember back to zeros.

    Args:
        model: a layer, or a module that holds some.
        state: its state; it stays as it is.
        batch_shape: the axes in front of one example. None for a state of one example.

    Returns:
        A state with the other numbers of ``state``.

    Example:
        >>> from interop_equinox.companions import StatefulMGUCell
        >>> model, state = eqx.nn.make_with_state(StatefulMGUCell)(3, 4, key=jax.random.key(0))
        >>> reset_carries(model, state, (2,)).get(model.h).shape
        (2, 4)
    """

    def zeros(layer: Any, _: str, array: Any) -> Any:
        return jnp.zeros((*batch_shape, *layer.carry_shape), array.dtype)

    begun: eqx.nn.State = mapped_carries(model, state, zeros, lambda array: array)
    return begun


def carry_axes(model: Any, state: eqx.nn.State) -> Any:
    """Say which numbers of a state each example has for itself, as `jax.vmap` is told it.

    Args:
        model: a layer, or a module that holds some.
        state: its state.

    Returns:
        A tree like the state: 0 where a layer remembers something, None for all else, such as the
        statistics of a batch normalisation, which the examples have in common.

    Example:
        >>> from interop_equinox.companions import StatefulMGUCell
        >>> model, state = eqx.nn.make_with_state(StatefulMGUCell)(3, 4, key=jax.random.key(0))
        >>> state = reset_carries(model, state, (2,))
        >>> axes = carry_axes(model, state)
        >>> step = jax.vmap(model, in_axes=(0, axes), out_axes=(0, axes))
        >>> y, state = step(jnp.ones((2, 3)), state)
        >>> y.shape
        (2, 4)
    """
    return mapped_carries(model, state, lambda *_: 0, lambda _: None)


def mapped_carries(
    model: Any,
    state: eqx.nn.State,
    of_carry: Callable[[Any, str, Any], Any],
    of_other: Callable[[Any], Any],
) -> Any:
    """Make a tree like a state.

    Args:
        model: a layer, or a module that holds some.
        state: its state; it stays as it is.
        of_carry: what stands for an array that a layer carries: a function of the layer, the
            array's name and the array.
        of_other: what stands for any other array.
    """
    arrays, structure = jax.tree.flatten(state)
    places = jax.tree.unflatten(structure, range(len(arrays)))
    made = [of_other(array) for array in arrays]
    for layer in _carrying(model):
        for name in layer.carried:
            place = places.get(getattr(layer, name))
            made[place] = of_carry(layer, name, arrays[place])
    return jax.tree.unflatten(structure, made)


def _carrying(model: Any) -> Iterator[Any]:
    def carries(node: Any) -> bool:
        return isinstance(node, Carrying)

    return filter(carries, jax.tree.leaves(model, is_leaf=carries))
