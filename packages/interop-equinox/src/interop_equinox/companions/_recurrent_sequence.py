"""Recurrent layers over whole sequences: a cell along the time axis, or two, one from each end.

A cell is one of Equinox or of this package, which takes and returns its state:
``h = cell(x, h)``, or ``h, c = cell(x, (h, c))``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ._recurrent import LSTMCell, URLSTMCell
from ._recurrent_convolution import ConvLSTMCell

_WITH_TWO = (eqx.nn.LSTMCell, LSTMCell, URLSTMCell, ConvLSTMCell)
"""Cells whose state is a pair, of which the first is the output."""


class RNN(eqx.Module):
    """A recurrent cell along the time axis: what the cell gives at each step, as one array.

    Every call begins with a state of zeros. The features of a sequence stand behind its time, those
    of a sequence of images too: a `ConvLSTMCell` gets them in front, and gives them so.

    Args:
        cell: the cell.
        reverse: whether it runs from the last step to the first; its output is then in the order
            in which it was computed.
        keep_order: whether the output of a reversed run is put back into the order of the input.
        unroll: how many steps are written out in one pass of the compiled loop; no output depends
            on it.

    Example:
        >>> rnn = RNN(eqx.nn.GRUCell(3, 5, key=jax.random.key(0)))
        >>> rnn(jnp.ones((7, 3))).shape  # time, features
        (7, 5)
        >>> from interop_equinox.companions import ConvLSTMCell
        >>> over_images = RNN(ConvLSTMCell((3, 8, 6), 4, 3, key=jax.random.key(0)))
        >>> over_images(jnp.ones((7, 8, 6, 3))).shape  # time, height, width, channels
        (7, 8, 6, 4)
    """

    cell: Any
    reverse: bool = eqx.field(static=True)
    keep_order: bool = eqx.field(static=True)
    unroll: int = eqx.field(static=True)

    def __init__(
        self, cell: Any, reverse: bool = False, keep_order: bool = False, unroll: int = 1
    ) -> None:
        self.cell = cell
        self.reverse = reverse
        self.keep_order = keep_order
        self.unroll = unroll

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Run the cell over the sequence.

        Args:
            x: the input, of shape ``(time, input_size)``, or ``(time, *spatial, channels)``.
            key: not used.

        Returns:
            The outputs, of shape ``(time, hidden_size)``, or ``(time, *spatial, out_channels)``.
        """
        return self.run(x, reverse=self.reverse, keep_order=self.keep_order)

    def run(self, x: Any, *, reverse: bool, keep_order: bool) -> Any:
        """Run the cell over the sequence in a direction of the caller's.

        Args:
            x: the input, of shape ``(time, input_size)``, or ``(time, *spatial, channels)``.
            reverse: whether to run from the last step to the first.
            keep_order: whether the output of a reversed run has the order of the input.
        """
        paired = isinstance(self.cell, _WITH_TWO)

        def step(carry: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
            after = self.cell(x, carry if paired else carry[0])
            after = tuple(after) if paired else (after,)
            return after, after[0]

        x = jnp.moveaxis(x, -1, 1)  # the features in front, where a step is an image
        carry = _settled(step, self._zeros(), x)
        _, y = jax.lax.scan(step, carry, x, reverse=reverse, unroll=self.unroll)
        y = jnp.moveaxis(y, 1, -1)
        return jnp.flip(y, 0) if reverse and not keep_order else y

    def _zeros(self) -> tuple[Any, ...]:
        """What the cell begins with."""
        if isinstance(self.cell, ConvLSTMCell):
            return self.cell.initial()
        zeros = jnp.zeros(self.cell.hidden_size)
        return (zeros, zeros) if isinstance(self.cell, _WITH_TWO) else (zeros,)


def _settled(step: Callable[..., Any], carry: tuple[Any, ...], x: Any) -> tuple[Any, ...]:
    """The carry in the dtypes that it has after a step, which a compiled loop holds to."""
    while True:
        after, _ = jax.eval_shape(lambda carry, x: step(carry, x[0]), carry, x)
        if all(new.dtype == old.dtype for new, old in zip(after, carry, strict=True)):
            return carry
        carry = tuple(old.astype(new.dtype) for new, old in zip(after, carry, strict=True))


def concatenate(forward: Any, backward: Any) -> Any:
    """Put the features of both directions side by side.

    Args:
        forward: array of shape ``(..., n)``.
        backward: array of shape ``(..., m)``.

    Example:
        >>> concatenate(jnp.ones((4, 2)), jnp.ones((4, 3))).shape
        (4, 5)
    """
    return jnp.concatenate([forward, backward], axis=-1)


class Bidirectional(eqx.Module):
    """Two recurrent layers over one sequence, one from each end, their outputs merged step by step.

    What ``reverse`` and ``keep_order`` the two layers have of their own is of no effect here.

    Args:
        forward_rnn: the layer that runs from the first step on.
        backward_rnn: the layer that runs from the last step back.
        merge_fn: what becomes of the two outputs, in the order of the input each.

    Example:
        >>> cells = [eqx.nn.GRUCell(3, 5, key=jax.random.key(seed)) for seed in (0, 1)]
        >>> Bidirectional(*map(RNN, cells))(jnp.ones((7, 3))).shape
        (7, 10)
    """

    forward_rnn: RNN
    backward_rnn: RNN
    merge_fn: Callable[..., Any] = eqx.field(static=True)

    def __init__(
        self, forward_rnn: RNN, backward_rnn: RNN, merge_fn: Callable[..., Any] = concatenate
    ) -> None:
        self.forward_rnn = forward_rnn
        self.backward_rnn = backward_rnn
        self.merge_fn = merge_fn

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """Run both layers over the sequence.

        Args:
            x: the input, of shape ``(time, input_size)``, or ``(time, *spatial, channels)``.
            key: not used.

        Returns:
            The merged outputs, one for each step.
        """
        forward = self.forward_rnn.run(x, reverse=False, keep_order=False)
        backward = self.backward_rnn.run(x, reverse=True, keep_order=True)
        return self.merge_fn(forward, backward)
