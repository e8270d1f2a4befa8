"""Random numbers from a key that lives in a state and advances with every draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from . import environ
from ._abstract import ABSTRACT
from .state import State

__all__ = ["DEFAULT", "RandomState", "seed", "seed_context", "split_key", "split_keys"]

Size = int | Sequence[int]
SeedOrKey = int | np.integer[Any] | jax.Array | np.ndarray[Any, Any]


def _as_key(seed_or_key: Any) -> jax.Array:
    """Turn a seed, a typed key or raw key data into a typed key."""
    if isinstance(seed_or_key, int | np.integer):
        return jax.random.key(int(seed_or_key))
    if jax.dtypes.issubdtype(seed_or_key.dtype, jax.dtypes.prng_key):
        return seed_or_key  # type: ignore[no-any-return]
    if seed_or_key.shape == ():
        return jax.random.key(seed_or_key)
    return jax.random.wrap_key_data(jax.numpy.asarray(seed_or_key, np.uint32))


class RandomState(State[jax.Array]):
    """A random number generator: a state whose value is a JAX key.

    Args:
        seed_or_key: a seed, a key, or raw key data. None draws a seed from the operating system,
            at the first use and not before.

    Example:
        >>> rng = RandomState(0)
        >>> rng.rand(2).shape
        (2,)
    """

    def __init__(self, seed_or_key: SeedOrKey | None = None) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        if seed_or_key is not None:
            self.seed(seed_or_key)

    @property
    def value(self) -> jax.Array:
        """The current key; made at the first use when no seed was given."""
        if self._value is None:
            fresh = int(np.random.SeedSequence().generate_state(1)[0])
            self._value = jax.random.key(fresh)
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = value.value if isinstance(value, State) else value

    def seed(self, seed_or_key: SeedOrKey | None = None) -> None:
        """Start again from a seed or key; None takes a fresh seed at the next use."""
        self._value = None if seed_or_key is None else _as_key(seed_or_key)  # type: ignore[assignment]

    def split_key(self, n: int | None = None) -> jax.Array:
        """Draw one key, or ``n`` keys along a leading axis, and advance."""
        if ABSTRACT.get():
            blank = jax.random.key(0)
            return blank if n is None else jax.random.split(blank, n)
        keys = jax.random.split(self.value, 2 if n is None else n + 1)
        self.value = keys[0]
        return keys[1] if n is None else keys[1:]

    def _key(self, key: SeedOrKey | None) -> jax.Array:
        """Take the key given to a sampling call, or draw one."""
        return self.split_key() if key is None else _as_key(key)

    def rand(self, *dn: int, key: SeedOrKey | None = None, dtype: Any = None) -> jax.Array:
        """Sample uniformly from [0, 1)."""
        return jax.random.uniform(self._key(key), dn, dtype or environ.dftype())

    def randn(self, *dn: int, key: SeedOrKey | None = None, dtype: Any = None) -> jax.Array:
        """Sample from the standard normal distribution."""
        return jax.random.normal(self._key(key), dn, dtype or environ.dftype())


DEFAULT = RandomState()


def seed(seed_or_key: SeedOrKey | None = None) -> None:
    """Seed the default generator."""
    DEFAULT.seed(seed_or_key)


def split_key(n: int | None = None) -> jax.Array:
    """Draw one key, or ``n`` keys, from the default generator."""
    return DEFAULT.split_key(n)


def split_keys(n: int) -> jax.Array:
    """Draw ``n`` keys from the default generator."""
    return DEFAULT.split_key(n)


def get_key() -> jax.Array:
    """Read the key of the default generator without advancing it."""
    return DEFAULT.value


def set_key(seed_or_key: SeedOrKey) -> None:
    """Replace the key of the default generator."""
    DEFAULT.seed(seed_or_key)


@contextmanager
def seed_context(seed_or_key: SeedOrKey) -> Iterator[None]:
    """Use a seed inside a ``with`` block and go on as before afterwards."""
    before = DEFAULT._value
    DEFAULT.seed(seed_or_key)
    try:
        yield
    finally:
        DEFAULT._value = before


rand = DEFAULT.rand
randn = DEFAULT.randn
