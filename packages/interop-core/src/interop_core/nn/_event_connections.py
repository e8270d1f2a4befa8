"""Sparse connections between two groups of neurons, and the products that follow them."""

from __future__ import annotations

import functools
import hashlib
import math
from typing import Any

import jax
import numpy as np
from jax import custom_batching
from jax import numpy as jnp

from .. import random

__all__ = ["AllPairs", "Connections", "draw_connections", "event_product"]

# Below so many connections, choosing those that carry an event takes longer than using all.
_WORTH_CHOOSING = 1 << 15
# The share of neurons that may fire for the choice to be used.
_FEW = 32


class Connections:
    """Which input reaches which output, in rows of equal length.

    Each row belongs to one neuron, its owner, and lists the neurons at the other end. With
    ``target="post"`` the owners are inputs and a row lists outputs; with ``"pre"`` the owners are
    outputs and a row lists inputs. A neuron listed twice has two connections.

    The object never changes. It compares and hashes by content, so two layers with the same
    connections share compiled functions; copies share it.

    Args:
        indices: integers of shape ``(owners, number)``.
        shape: the numbers of inputs and of outputs.
        target: "post" or "pre".
        rows: which neurons are owners, in rising order; None where all are.

    Raises:
        ValueError: if the arrays do not fit each other or the shape.

    Example:
        >>> both = Connections(np.array([[0, 2], [1, 1]]), (2, 3))
        >>> both
        Connections(2 -> 3, 4 connections)
        >>> both.todense(1.0).tolist()
        [[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]]
        >>> both == Connections(np.array([[0, 2], [1, 1]]), (2, 3))
        True
    """

    compares_by_content = True

    def __init__(
        self, indices: Any, shape: tuple[int, int], target: str = "post", rows: Any = None
    ) -> None:
        if target not in ("post", "pre"):
            raise ValueError(f"Connections target 'post' or 'pre', not {target!r}.")
        self.shape = shape
        self.target = target
        owners, others = shape if target == "post" else shape[::-1]
        self.indices = _frozen(indices, others)
        self.rows = None if rows is None else _frozen(rows, owners)
        length = owners if self.rows is None else len(self.rows)
        if self.indices.ndim != 2 or len(self.indices) != length:
            raise ValueError(
                f"{length} neurons own connections, so their indices have shape ({length}, n), not "
                f"{self.indices.shape}."
            )

    @property
    def count(self) -> int:
        """How many connections there are."""
        return int(self.indices.size)

    @functools.cached_property
    def _digest(self) -> bytes:
        """A short word for the content: two networks are compared in every compiled call."""
        content = hashlib.blake2b(repr((self.shape, self.target, self.indices.shape)).encode())
        for part in (self.indices, self.rows):
            content.update(b"" if part is None else part.tobytes())
        return content.digest()

    @functools.cached_property
    def arrays(self) -> tuple[Any, Any]:
        """``indices`` and ``rows`` where JAX computes, also while a function is traced."""
        with jax.ensure_compile_time_eval():
            # Unsigned, because JAX checks signed indices for negative ones in every call.
            found = [
                None if part is None else jnp.asarray(part.astype(np.uint32))
                for part in (self.indices, self.rows)
            ]
        return found[0], found[1]

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is Connections and self._digest == other._digest)

    def __hash__(self) -> int:
        return hash(self._digest)

    def __getstate__(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("indices", "shape", "target", "rows")}

    def __deepcopy__(self, memo: Any) -> Connections:
        return self

    def __repr__(self) -> str:
        return f"Connections({self.shape[0]} -> {self.shape[1]}, {self.count} connections)"

    def todense(self, weight: Any) -> jax.Array:
        """Give the matrix of shape ``(inputs, outputs)`` that does the same as the connections.

        Args:
            weight: one weight, or one for each connection.
        """
        return self.product(jnp.eye(self.shape[0], dtype=jnp.result_type(weight)), weight)

    def product(self, x: Any, weight: Any) -> jax.Array:
        """Sum the weighted inputs at every output; linear in either argument.

        Args:
            x: array of shape ``(..., inputs)``.
            weight: one weight, or an array with one for each connection.

        Returns:
            Array of shape ``(..., outputs)``.
        """
        dtype = jnp.result_type(x, weight)
        x, weight = x.astype(dtype), jnp.asarray(weight, dtype)
        # The batch comes last: one connection moves a whole row of numbers.
        columns = x if x.ndim == 1 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T
        y = (self._scatter if self.target == "post" else self._gather)(columns, weight)
        return y if x.ndim == 1 else y.T.reshape(*x.shape[:-1], self.shape[1])

    def _scatter(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Send from every input to the outputs of its row."""
        indices, rows = self.arrays
        return self._send(x if rows is None else x[rows], indices, self._by_row(weight))

    def _by_row(self, weight: jax.Array) -> jax.Array:
        """Bring one weight for each connection into the shape of the rows."""
        return weight.reshape(()) if weight.size == 1 else weight.reshape(self.indices.shape)

    def _send(self, x: jax.Array, indices: jax.Array, weight: jax.Array) -> jax.Array:
        """Add up at the outputs what some owners send, each along the connections of its row."""
        batch = x.shape[1:]
        sent = jnp.broadcast_to(x[:, None], (*indices.shape, *batch))
        if weight.ndim:
            sent = sent * weight.reshape(*weight.shape, *(1 for _ in batch))
        y = jnp.zeros((self.shape[1], *batch), x.dtype)
        y = y.at[indices.reshape(-1)].add(sent.reshape(-1, *batch))
        return y if weight.ndim else y * weight

    def _gather(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Collect at every output from the inputs of its row."""
        indices, rows = self.arrays
        weight = self._by_row(weight)
        batch = x.shape[1:]
        seen = x[indices]
        if weight.ndim:
            seen = seen * weight.reshape(*weight.shape, *(1 for _ in batch))
        y = seen.sum(1) if weight.ndim else seen.sum(1) * weight
        if rows is None:
            return y
        return jnp.zeros((self.shape[1], *batch), x.dtype).at[rows].set(y, unique_indices=True)

    def limit(self) -> int:
        """Give how many owners may fire for `chosen` to be faster; 0 where it never is."""
        if self.target == "pre" or self.count < _WORTH_CHOOSING:
            return 0
        return len(self.indices) // _FEW

    def owned(self, x: jax.Array) -> jax.Array:
        """Pick the inputs that own connections."""
        return x if self.rows is None else x[self.arrays[1]]

    def chosen(self, which: jax.Array, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Compute the product from some owners alone.

        Args:
            which: their numbers among the owners.
            x: what each of them sends.
            weight: as for `product`.
        """
        weight = self._by_row(weight)
        rows = self.arrays[0].at[which].get(mode="clip")
        part = weight.at[which].get(mode="clip") if weight.ndim else weight
        return self._send(x, rows, part)


class AllPairs:
    """Every input connected to every output: the interface of `Connections` for a full matrix.

    Args:
        shape: the numbers of inputs and of outputs.

    Example:
        >>> AllPairs((2, 3)).product(jnp.ones(2), jnp.float32(0.5)).tolist()
        [1.0, 1.0, 1.0]
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def __eq__(self, other: object) -> bool:
        return type(other) is AllPairs and self.shape == other.shape

    def __hash__(self) -> int:
        return hash(self.shape)

    def product(self, x: Any, weight: Any) -> jax.Array:
        """Sum the weighted inputs at every output, as `Connections.product` does."""
        if weight.size != 1:
            return jnp.dot(x, weight)
        total = x.sum(-1, keepdims=True, dtype=jnp.result_type(x, weight)) * weight.reshape(())
        return jnp.broadcast_to(total, (*x.shape[:-1], self.shape[1]))

    def limit(self) -> int:
        """Give how many inputs may fire for `chosen` to be faster; 0 where it never is."""
        return self.shape[0] // _FEW if self.shape[0] * self.shape[1] >= _WORTH_CHOOSING else 0

    def owned(self, x: jax.Array) -> jax.Array:
        """Pick the inputs that own connections, here all."""
        return x

    def chosen(self, which: jax.Array, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Compute the product from some inputs alone."""
        return self.product(x, weight if weight.size == 1 else weight.at[which].get(mode="clip"))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def event_product(
    x: jax.Array, weight: jax.Array, connections: Connections | AllPairs
) -> jax.Array:
    """Add up the weights of the connections that carry an event: ``(x > 0) @ W``.

    The derivative by the weights is that of this product. By ``x`` it would be zero everywhere, so
    it is taken as that of ``x @ W``: whatever made the spikes has a surrogate gradient of its own.

    A single vector in which few neurons fire is not multiplied out: their rows are picked, and
    the work follows the number of events. Otherwise, and for batches, all connections are used.

    Args:
        x: array of shape ``(..., inputs)``, of any real dtype.
        weight: one weight, or one for each connection.
        connections: `Connections` or `AllPairs`.

    Returns:
        Array of shape ``(..., outputs)`` in the dtype to which ``x`` and the weight promote.
    """
    dtype = jnp.result_type(x, weight)
    fired, weight = (x > 0).astype(dtype), weight.astype(dtype)
    if x.ndim != 1 or not connections.limit():
        return connections.product(fired, weight)
    return _by_events(fired, weight, connections)


def _by_events(
    fired: jax.Array, weight: jax.Array, connections: Connections | AllPairs
) -> jax.Array:
    """Follow the connections of those that fired, if they are few."""
    limit = connections.limit()

    @custom_batching.custom_vmap
    def single(fired: jax.Array, weight: jax.Array) -> jax.Array:
        owners = connections.owned(fired)

        def some() -> jax.Array:
            (which,) = jnp.nonzero(owners, size=limit, fill_value=owners.size)
            sent = owners.at[which].get(mode="fill", fill_value=0)
            return connections.chosen(which, sent, weight)

        few = jnp.count_nonzero(owners) <= limit
        y: jax.Array = jax.lax.cond(few, some, lambda: connections.product(fired, weight))
        return y

    # Mapped over, a condition would compute both of its branches for every entry.
    @single.def_vmap
    def batched(size: int, mapped: Any, fired: jax.Array, weight: jax.Array) -> tuple[Any, bool]:
        if not mapped[1]:
            return connections.product(fired, weight), True
        axes = tuple(0 if axis else None for axis in mapped)
        return jax.vmap(connections.product, axes)(fired, weight), True

    return single(fired, weight)  # type: ignore[no-any-return]


def _derivative(connections: Connections | AllPairs, primals: Any, tangents: Any) -> Any:
    """Derive `event_product`; what is not differentiated costs nothing."""
    (x, weight), (along_x, along_weight) = primals, tangents
    zero = jax.custom_derivatives.SymbolicZero
    y = event_product(x, weight, connections)
    out = jnp.zeros_like(y)
    if not isinstance(along_x, zero):
        out += connections.product(along_x, weight).astype(y.dtype)
    if not isinstance(along_weight, zero):
        fired = (x > 0).astype(y.dtype)
        out += connections.product(fired, along_weight).astype(y.dtype)
    return y, out


event_product.defjvp(_derivative, symbolic_zeros=True)


def _frozen(indices: Any, size: int) -> np.ndarray[Any, Any]:
    """Make indices into so many neurons that nobody can change."""
    array = np.array(indices)
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"Connections are lists of integers, not of {array.dtype}.")
    if array.size and not 0 <= array.min() <= array.max() < size:
        raise ValueError(
            f"Connections reach neurons {array.min()} to {array.max()}, of which there are {size}."
        )
    array = np.ascontiguousarray(array, np.int32)
    array.setflags(write=False)
    return array


def draw_connections(
    shape: tuple[int, int],
    number: int,
    target: str,
    ratio: float,
    repeat: bool,
    seed: int | None,
    one_by_one: bool,
) -> Connections:
    """Draw rows of connections, each entry with equal chances.

    Args:
        shape: the numbers of inputs and of outputs.
        number: length of a row.
        target: "post" or "pre".
        ratio: probability with which a neuron owns a row at all.
        repeat: whether a row can list a neuron more than once.
        seed: what the draw depends on; None takes it from the default generator of `random`.
        one_by_one: whether rows without repetition are drawn one after the other, which takes less
            memory, and gives other rows.

    Raises:
        ValueError: if there are no random numbers to be had, because a traced key is in use.
    """
    owners, others = shape if target == "post" else shape[::-1]
    with jax.ensure_compile_time_eval():
        key: Any = random.DEFAULT.fixed_key() if seed is None else jax.random.key(seed)
    if isinstance(key, jax.core.Tracer):
        raise ValueError(
            "Connections are configuration and cannot depend on a traced random key: give the "
            "layer a seed, or make it outside of the traced function."
        )
    source: Any = np.asarray(jax.random.key_data(key)).ravel() if seed is None else seed
    draw = np.random.RandomState(source)
    if repeat:
        indices = draw.randint(0, max(others, 1), (owners, number))
    else:
        indices = _without_repetition(key, (owners, number), others, one_by_one)
    if ratio == 1.0:
        return Connections(indices, shape, target)
    rows = np.flatnonzero(draw.random_sample(owners) < ratio)
    return Connections(indices[rows], shape, target, rows)


def _without_repetition(
    key: jax.Array, size: tuple[int, int], others: int, one_by_one: bool
) -> np.ndarray[Any, Any]:
    """Draw rows of different neurons."""

    def row(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        after, used = jax.random.split(key)
        return after, jax.random.choice(used, others, (size[1],), replace=False)

    with jax.ensure_compile_time_eval():
        if not size[0]:
            return np.zeros(size, np.int32)
        if one_by_one:
            _, rows = jax.lax.scan(lambda key, _: row(key), key, length=size[0])
        else:
            rows = jax.vmap(lambda key: row(key)[1])(jax.random.split(key, size[0] + 1)[1:])
        return np.asarray(rows)
