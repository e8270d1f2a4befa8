"""Layers for spikes: products with events, and connections drawn at random."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from ..state import FakeState, ParamState, State
from ._event_connections import AllPairs, Connections, draw_connections, event_product
from ._last_axis import LastAxis
from ._parameters import as_array, parameter, remembered
from ._quantity import bilinear, split

__all__ = ["EventFixedNumConn", "EventFixedProb", "EventLinear", "FixedNumConn"]


def _weight(argument: Any, shape: tuple[int, ...]) -> Any:
    """Make one weight for all of a number or an array of one entry, else one for each place."""
    given = np.shape(argument) if hasattr(argument, "shape") else None
    if given in ((), (1,)):
        return parameter(argument, given)
    if isinstance(argument, bool | int | float):
        return parameter(argument, ())
    return parameter(argument, shape)


class EventLinear(LastAxis):
    """Multiply spikes by a weight matrix: ``y = e(x) @ W``.

    ``e(x)`` is 1 where ``x`` has an event and 0 elsewhere. An event is True, or a positive number.
    With ``float_as_event=False`` numbers count as they are: ``y = x @ W``. ``x`` has shape
    ``(..., in)`` and ``y`` has ``(..., out)``. The state ``weight`` holds ``W`` of shape
    ``(in, out)``, or a single number that stands for a matrix full of it.

    The gradient by the weights is that of the product with ``e(x)``; the one by ``x`` is that of
    ``x @ W``, so that it reaches what made the spikes.

    Where a single vector of many neurons comes in and at most one in 32 fires, only the rows of
    ``W`` that fire are read. Otherwise, and for batches, this is a product with the full matrix.

    Args:
        in_size: number of inputs, or the shape of one example; its last entry counts.
        out_size: number of outputs, or the shape of one output. Its entries before the last must be
            those of ``in_size``.
        weight: a number or an array of one entry, for one weight everywhere; an array, or an
            initializer of the shape ``(in, out)``.
        float_as_event: whether positive numbers count as events rather than by their size.
        block_size: of no effect; the argument belongs to kernels for other devices.
        name: a label for the user.
        param_type: the state type that holds the weights.

    Raises:
        ValueError: if sizes or weights do not fit.

    Example:
        >>> layer = EventLinear(3, 2, jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
        >>> layer(jnp.array([True, False, True])).tolist()
        [6.0, 8.0]
        >>> layer(jnp.array([0.3, 0.0, 2.0])).tolist()
        [6.0, 8.0]
    """

    def __init__(
        self,
        in_size: int | Sequence[int],
        out_size: int | Sequence[int],
        weight: Any,
        float_as_event: bool = True,
        block_size: int = 64,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
    ) -> None:
        super().__init__(name=name)
        self._set_sizes(in_size, out_size)
        self.float_as_event = float_as_event
        self.block_size = block_size
        self.param_type = param_type
        # The argument has the name of the state, which therefore is what can be read back.
        given = weight.value if isinstance(weight, State) else weight
        self.weight: State[Any] = param_type(_weight(given, (self.in_size[-1], self.out_size[-1])))

    def update(self, spk: jax.Array) -> Any:
        """Compute ``e(spk) @ W``.

        Args:
            spk: array of bools or numbers of shape ``(..., in)``.

        Returns:
            Output of shape ``(..., out)``.

        Raises:
            ValueError: if the last axis has another length.
        """
        spk = as_array(spk)
        self.output_size(spk.shape)
        pairs = AllPairs((self.in_size[-1], self.out_size[-1]))
        return _applied(pairs, spk, self.weight.value, self.float_as_event)


def _applied(
    connections: Connections | AllPairs, x: jax.Array, weight: Any, events: bool
) -> jax.Array:
    """Apply the connections. Events are counted, so that a unit of theirs is none of the output."""
    product = event_product if events else _product
    x = split(x)[0] if events else x
    return bilinear(lambda x, weight: product(x, as_array(weight), connections), x, weight)


def _product(x: jax.Array, weight: jax.Array, connections: Connections | AllPairs) -> jax.Array:
    """Apply the connections to numbers as they are."""
    return connections.product(x, weight)


class FixedNumConn(LastAxis):
    """Connect every neuron to the same number of neurons at the other end, drawn at random.

    ``y[..., j]`` is the sum of ``w * x[..., i]`` over the connections from input ``i`` to output
    ``j``. With ``efferent_target="post"`` every input has ``n`` connections to outputs drawn with
    equal chances; with ``"pre"`` every output has ``n`` from inputs. ``x`` has shape ``(..., in)``
    and ``y`` has ``(..., out)``.

    The state ``weight`` holds one number for all connections, or one for each: an array of shape
    ``(in, n)`` for ``"post"`` and ``(out, n)`` for ``"pre"``, or flat where ``afferent_ratio`` is
    below 1. The connections are no state but configuration, in the attribute ``conn``:
    ``conn.indices`` lists the other ends in the shape of the weights. Work and memory follow their
    number, not that of all pairs. With no connections there is no state either.

    Args:
        in_size: number of inputs, or the shape of one example; its last entry counts.
        out_size: number of outputs, or the shape of one output. Its entries before the last must be
            those of ``in_size``.
        conn_num: an integer, the number ``n`` of connections; or a float, the probability of a
            connection, of which ``n`` is the share of the neurons at the other end, rounded down.
            The attribute is ``n``.
        conn_weight: a number or an array of one entry, for one weight everywhere; an array, or an
            initializer of the shape above.
        efferent_target: "post" or "pre".
        afferent_ratio: probability with which a neuron has its ``n`` connections rather than none:
            an input for ``"post"``, an output for ``"pre"``.
        allow_multi_conn: whether two neurons may be connected more than once.
        seed: an integer that decides which connections are drawn, the same ones as in
            `brainstate`; None takes it from the default generator of `random`.
        name: a label for the user.
        conn_init: "vmap" or "for_loop": whether connections without repetition are drawn at once,
            or neuron by neuron in less memory. The two draw different ones.
        param_type: the state type that holds the weights.
        conn: connections that there are already, such as those of another layer, in place of ones
            to be drawn.

    Raises:
        ValueError: if sizes, weights, numbers, probabilities or connections do not fit.
        TypeError: if ``conn_num`` is no number.

    Example:
        >>> layer = FixedNumConn(4, 6, 2, 0.5, seed=1)
        >>> layer.conn
        Connections(4 -> 6, 8 connections)
        >>> layer(jnp.ones((3, 4))).sum(axis=1).tolist()
        [4.0, 4.0, 4.0]
        >>> from . import init
        >>> FixedNumConn(4, 6, 0.5, init.Normal()).weight.value.shape
        (4, 3)
    """

    _events = False
    weight: Any

    def __init__(
        self,
        in_size: int | Sequence[int],
        out_size: int | Sequence[int],
        conn_num: int | float,
        conn_weight: Any,
        efferent_target: str = "post",
        afferent_ratio: int | float = 1.0,
        allow_multi_conn: bool = True,
        seed: int | None = None,
        name: str | None = None,
        conn_init: str = "vmap",
        param_type: type[State[Any]] = ParamState,
        *,
        conn: Connections | None = None,
    ) -> None:
        super().__init__(name=name)
        self._set_sizes(in_size, out_size)
        if efferent_target not in ("post", "pre"):
            raise ValueError(f"efferent_target must be 'post' or 'pre', not {efferent_target!r}.")
        if not 0 <= afferent_ratio <= 1:
            raise ValueError(f"afferent_ratio must lie in [0, 1], got {afferent_ratio!r}.")
        if conn_init not in ("vmap", "for_loop"):
            raise ValueError(f"conn_init must be 'vmap' or 'for_loop', not {conn_init!r}.")
        shape = (self.in_size[-1], self.out_size[-1])
        others = shape[1] if efferent_target == "post" else shape[0]
        self.conn_num = _number(conn_num, others, allow_multi_conn)
        self.conn_weight = remembered(conn_weight)
        self.efferent_target = efferent_target
        self.afferent_ratio = afferent_ratio
        self.allow_multi_conn = allow_multi_conn
        self.seed = None if seed is None else operator.index(seed)
        self.conn_init = conn_init
        self.param_type = param_type
        if conn is None:
            conn = draw_connections(
                shape,
                self.conn_num,
                efferent_target,
                afferent_ratio,
                allow_multi_conn,
                self.seed,
                conn_init == "for_loop",
            )
        fits = (shape, efferent_target, self.conn_num)
        if (conn.shape, conn.target, conn.indices.shape[1]) != fits:
            raise ValueError(
                f"conn={conn!r} does not fit: {self.conn_num} connections of each neuron are asked "
                f"for from {shape[0]} to {shape[1]}, with efferent_target={efferent_target!r}."
            )
        self.conn: Connections = conn
        if self.conn_num:
            size = self.conn.indices.shape if self.conn.rows is None else (self.conn.count,)
            self.weight = param_type(_weight(conn_weight, size))
        else:
            self.weight = FakeState(None)

    def update(self, x: jax.Array) -> Any:
        """Send the input along the connections.

        Args:
            x: array of bools or numbers of shape ``(..., in)``.

        Returns:
            Output of shape ``(..., out)``.

        Raises:
            ValueError: if the last axis has another length.
        """
        x = as_array(x)
        size = self.output_size(x.shape)
        if not self.conn_num:
            return jnp.zeros(size, jnp.result_type(x.dtype, jnp.float32))
        return _applied(self.conn, x, self.weight.value, self._events)


def _number(given: Any, others: int, repeat: bool) -> int:
    """Give the number of connections of one neuron.

    Raises:
        ValueError: if it is no probability, negative, or more than there are neurons.
        TypeError: if it is no number.
    """
    if isinstance(given, bool):
        raise TypeError("conn_num is a number of connections or a probability, not a bool.")
    if isinstance(given, float | np.floating):
        if not 0 <= given <= 1:
            raise ValueError(f"conn_num={given!r} is a float, so a probability between 0 and 1.")
        number = int(given * others)
    else:
        number = operator.index(given)
    if number < 0:
        raise ValueError(f"conn_num must not be negative, got {given!r}.")
    if number > others and (not repeat or not others):
        raise ValueError(
            f"conn_num={given!r} connects to {number} different neurons, of which there are "
            f"{others}."
        )
    return number


class EventFixedNumConn(FixedNumConn):
    """Send events along connections drawn at random, a fixed number for every neuron.

    As `FixedNumConn`, but what is sent is an event or nothing: ``y[..., j]`` is the sum of ``w``
    over the connections whose input is True, or a positive number of any size. The gradient by the
    weights is that of this sum; the one by ``x`` is that of `FixedNumConn`, so that it reaches what
    made the spikes.

    Where a single vector of many neurons comes in and at most one in 32 fires, only their
    connections are followed (with ``efferent_target="post"``). Otherwise, and for batches, the work
    is that of all connections.

    Args:
        in_size: number of inputs, or the shape of one example; its last entry counts.
        out_size: number of outputs, or the shape of one output.
        conn_num: number of connections, or their probability.
        conn_weight: one weight, one for each connection, or an initializer.
        efferent_target: "post" or "pre".
        afferent_ratio: probability with which a neuron has connections at all.
        allow_multi_conn: whether two neurons may be connected more than once.
        seed: an integer that decides which connections are drawn.
        name: a label for the user.
        conn_init: "vmap" or "for_loop".
        param_type: the state type that holds the weights.
        conn: connections that there are already, in place of ones to be drawn.

    Raises:
        ValueError: if sizes, weights, numbers or probabilities do not fit.
        TypeError: if ``conn_num`` is no number.

    Example:
        >>> layer = EventFixedNumConn(4, 6, 2, 0.5, seed=1)
        >>> layer(jnp.array([True, False, False, True])).sum().item()
        2.0
        >>> layer(jnp.array([0.1, 0.0, -3.0, 7.0])).sum().item()
        2.0
    """

    _events = True


class EventFixedProb(EventFixedNumConn):
    """Send events along connections drawn at random with a given probability.

    The same layer as `EventFixedNumConn`, under the name for a probability as ``conn_num``: every
    neuron has the number of connections that this probability gives on average.

    Args:
        in_size: number of inputs, or the shape of one example; its last entry counts.
        out_size: number of outputs, or the shape of one output.
        conn_num: probability of a connection, or their number.
        conn_weight: one weight, one for each connection, or an initializer.
        efferent_target: "post" or "pre".
        afferent_ratio: probability with which a neuron has connections at all.
        allow_multi_conn: whether two neurons may be connected more than once.
        seed: an integer that decides which connections are drawn.
        name: a label for the user.
        conn_init: "vmap" or "for_loop".
        param_type: the state type that holds the weights.
        conn: connections that there are already, in place of ones to be drawn.

    Raises:
        ValueError: if sizes, weights, numbers or probabilities do not fit.
        TypeError: if ``conn_num`` is no number.

    Example:
        >>> EventFixedProb(10, 20, 0.1, 1.0, seed=1).conn
        Connections(10 -> 20, 20 connections)
    """
