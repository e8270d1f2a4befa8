"""Recurrent layers over sequences: one cell along the time axis, or two, one from each end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import numpy as jnp

from ..state import HiddenState
from ._module import Module
from ._parameters import as_array
from ._recurrent import RNNCell

__all__ = ["RNN", "Bidirectional"]

Merge = Callable[[jax.Array, jax.Array], jax.Array]


class RNN(Module):
    """A recurrent cell along the time axis: what the cell gives at each step, as one array.

    With a cell ``h_t = f(x_t, h_{t-1})`` it computes ``h_1, ..., h_T`` for an input ``x_1, ...,
    x_T``. Every call begins with the cell's initial states; hidden states that the cell itself
    holds are neither used nor changed.

    Args:
        cell: a recurrent cell. Its size is that of one step.
        reverse: whether it runs from the last step to the first; its output is then in the order
            in which it was computed.
        keep_order: whether the output of a reversed run is put back into the order of the input.
        unroll: how many steps are written out in one pass of the compiled loop; no output depends
            on it.
        name: a label for the user.

    Raises:
        TypeError: if ``cell`` is no recurrent cell.

    Example:
        >>> class Sum(RNNCell):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.in_size = self.out_size = 3
        ...
        ...     def init_state(self, batch_size=None):
        ...         self.h = HiddenState(jnp.zeros((batch_size, 3)))
        ...
        ...     def update(self, x):
        ...         self.h.value += x
        ...         return self.h.value
        >>> rnn = RNN(Sum())
        >>> rnn(jnp.ones((2, 7, 3))).shape  # batch, time, features
        (2, 7, 3)
        >>> rnn(jnp.ones((2, 7, 3)))[0, :, 0]
        Array([1., 2., 3., 4., 5., 6., 7.], dtype=float32)
    """

    def __init__(
        self,
        cell: RNNCell,
        *,
        reverse: bool = False,
        keep_order: bool = False,
        unroll: int = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if not isinstance(cell, RNNCell):
            raise TypeError(f"RNN takes a recurrent cell along the time axis, not {cell!r}.")
        self.cell = cell
        self.reverse = reverse
        self.keep_order = keep_order
        self.unroll = unroll

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the time axis and the size of one step's output.

        Args:
            in_size: shape of one example: the time axis, then one step.

        Raises:
            ValueError: if there is no time axis, or the cell takes other steps.
        """
        step = tuple(self.cell.in_size)
        if len(in_size) != len(step) + 1 or tuple(in_size[1:]) != step:
            raise ValueError(
                f"RNN takes a time axis and then steps of the shape {step}; got the shape "
                f"{tuple(in_size)}."
            )
        return (in_size[0], *self.cell.out_size)

    def update(self, x: Any) -> jax.Array:
        """Run the cell over the sequence.

        Args:
            x: array of shape ``(*batch, time, *step)``.

        Returns:
            Array of shape ``(*batch, time, *output)``.

        Raises:
            ValueError: if the input has no time axis, or other steps than the cell takes.
        """
        return self.run(x, reverse=self.reverse, keep_order=self.keep_order)

    def run(self, x: Any, *, reverse: bool, keep_order: bool) -> jax.Array:
        """`update`, in a direction of the caller's.

        Args:
            x: array of shape ``(*batch, time, *step)``.
            reverse: whether to run from the last step to the first.
            keep_order: whether the output of a reversed run has the order of the input.
        """
        sequence = as_array(x)
        rank = len(self.cell.in_size) + 1
        self.output_size(sequence.shape[-rank:])
        batch = sequence.shape[: sequence.ndim - rank]
        # A cell knows one batch axis.
        steps = jnp.moveaxis(sequence.reshape((-1, *sequence.shape[-rank:])), 1, 0)
        outputs = self._scan(steps, backward=reverse)
        if reverse and not keep_order:
            outputs = jnp.flip(outputs, 0)
        outputs = jnp.moveaxis(outputs, 0, 1)
        return outputs.reshape((*batch, *outputs.shape[1:]))

    def _scan(self, steps: jax.Array, *, backward: bool) -> jax.Array:
        """Run the cell over steps of shape ``(time, batch, ...)``, on states made for the run."""
        cell = self.cell
        before = {n: v for n, v in vars(cell).items() if isinstance(v, HiddenState)}
        try:
            cell.init_state(steps.shape[1])
            held = {n: v for n, v in vars(cell).items() if isinstance(v, HiddenState)}

            def step(carry: dict[str, Any], x: Any) -> tuple[dict[str, Any], Any]:
                for name, value in carry.items():
                    held[name].value = value
                y = cell(x)
                return {name: state.value for name, state in held.items()}, y

            carry = {name: state.value for name, state in held.items()}
            carry = _settled(step, carry, jax.eval_shape(lambda s: s[0], steps))
            _, outputs = jax.lax.scan(step, carry, steps, reverse=backward, unroll=self.unroll)
            return outputs  # type: ignore[no-any-return]
        finally:
            for name in [n for n, v in vars(cell).items() if isinstance(v, HiddenState)]:
                delattr(cell, name)
            for name, state in before.items():
                setattr(cell, name, state)


def _settled(step: Callable[..., Any], carry: dict[str, Any], x: Any) -> dict[str, Any]:
    """The carry in the dtypes that it has after a step, which a compiled loop holds to."""
    while True:
        after, _ = jax.eval_shape(step, carry, x)
        if all(after[name].dtype == value.dtype for name, value in carry.items()):
            return carry
        carry = {name: value.astype(after[name].dtype) for name, value in carry.items()}


def concatenate(forward: jax.Array, backward: jax.Array) -> jax.Array:
    """Put the features of both directions side by side.

    Args:
        forward: array of shape ``(..., n)``.
        backward: array of shape ``(..., m)``.

    Example:
        >>> concatenate(jnp.ones((4, 2)), jnp.ones((4, 3))).shape
        (4, 5)
    """
    return jnp.concatenate([forward, backward], axis=-1)


class Bidirectional(Module):
    """Two recurrent layers over one sequence, one from each end, their outputs merged step by step.

    ``y_t = merge(forward_t, backward_t)``, where the second runs from the last step to the first.
    The directions are given by the places: what ``reverse`` and ``keep_order`` the two layers have
    of their own is of no effect here.

    Args:
        forward_rnn: the layer that runs from the first step on.
        backward_rnn: the layer that runs from the last step back.
        merge_fn: what becomes of the two outputs, in the order of the input each; by default the
            features stand side by side.
        name: a label for the user.

    Raises:
        TypeError: if one of the two is no `RNN`.

    Example:
        >>> class Copy(RNNCell):
        ...     in_size = out_size = (3,)
        ...
        ...     def update(self, x):
        ...         return x
        >>> layer = Bidirectional(RNN(Copy()), RNN(Copy()))
        >>> layer(jnp.ones((2, 7, 3))).shape  # features of both directions
        (2, 7, 6)
    """

    def __init__(
        self,
        forward_rnn: RNN,
        backward_rnn: RNN,
        *,
        merge_fn: Merge = concatenate,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        for what, layer in (("forward_rnn", forward_rnn), ("backward_rnn", backward_rnn)):
            if not isinstance(layer, RNN):
                raise TypeError(f"{what} must be an RNN, not {layer!r}.")
        self.forward_rnn = forward_rnn
        self.backward_rnn = backward_rnn
        self.merge_fn = merge_fn

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape of the merged output.

        Args:
            in_size: shape of one example: the time axis, then one step.

        Raises:
            ValueError: if one of the two layers does not take it, or ``merge_fn`` its output.
        """
        sizes = (self.forward_rnn.output_size(in_size), self.backward_rnn.output_size(in_size))
        abstract: Any = jax.ShapeDtypeStruct
        try:
            merged = jax.eval_shape(self.merge_fn, *(abstract(size, jnp.float32) for size in sizes))
            return tuple(merged.shape)
        except Exception as error:  # any function may have been given
            raise ValueError(f"merge_fn does not merge outputs of {sizes}: {error}") from error

    def update(self, x: Any) -> jax.Array:
        """Run both layers over the sequence.

        Args:
            x: array of shape ``(*batch, time, *step)``.

        Returns:
            The merged outputs, of shape ``(*batch, time, ...)``.

        Raises:
            ValueError: if the input does not fit.
        """
        forward = self.forward_rnn.run(x, reverse=False, keep_order=False)
        backward = self.backward_rnn.run(x, reverse=True, keep_order=True)
        return self.merge_fn(forward, backward)
