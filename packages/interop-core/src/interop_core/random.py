"""Random numbers from a key that lives in a state and advances with every draw."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import jax
import numpy as np

from ._abstract import ABSTRACT
from ._distributions import Distributions
from ._sampling import Sampling, SeedOrKey, as_key
from .state import State

__all__ = [
    # keys
    "DEFAULT",
    "RandomState",
    "clone_rng",
    "default_rng",
    "get_key",
    "get_key_data",
    "seed",
    "seed_context",
    "set_key",
    "split_key",
    "split_keys",
    # uniform
    "rand",
    "rand_like",
    "random",
    "random_sample",
    "ranf",
    "sample",
    "uniform",
    # normal
    "lognormal",
    "multivariate_normal",
    "normal",
    "randn",
    "randn_like",
    "standard_normal",
    "truncated_normal",
    # integers and choices
    "bernoulli",
    "binomial",
    "categorical",
    "choice",
    "permutation",
    "poisson",
    "randint",
    "randint_like",
    "random_integers",
    "shuffle",
    # others
    "beta",
    "dirichlet",
    "exponential",
    "gamma",
    "gumbel",
    "laplace",
    "logistic",
    "standard_exponential",
    "standard_gamma",
]

# Drawing reads the key and writes the next one; two threads must not read the same.
_lock = threading.RLock()


class RandomState(Sampling, Distributions, State[jax.Array]):
    """A random number generator: a state whose value is a JAX key.

    Every draw splits the key: one part stays as the new value, the other makes the numbers.

    Inside a function that JAX traces (``jax.jit``, ``jax.lax.scan``), a generator draws if it came
    in through the arguments, in a module for instance, or if `seed_context` around the draw took a
    key from them. A generator from outside would have to give every call the same numbers, or
    leave a traced key behind, so drawing from it there is an error.

    Args:
        seed_or_key: a seed, a key, or raw key data. None takes a seed from the operating system, at
            the first use and not before.

    Example:
        >>> rng = RandomState(0)
        >>> rng.rand(2).tolist() == RandomState(0).rand(2).tolist()
        True
        >>> rng.rand(2).tolist() == RandomState(0).rand(2).tolist()
        False
    """

    def __init__(self, seed_or_key: SeedOrKey | None = None) -> None:
        super().__init__(cast("jax.Array", None))
        if seed_or_key is not None:
            self.seed(seed_or_key)

    @property
    def value(self) -> jax.Array:
        """The current key; made at the first use when no seed was given."""
        key: jax.Array | None = self._value
        if key is None:
            with _lock:
                fresh = int(np.random.SeedSequence().generate_state(1)[0])
                self.seed(fresh)
                key = self._value
        return key

    @value.setter
    def value(self, value: Any) -> None:
        self._value = value.value if isinstance(value, State) else value

    def seed(self, seed_or_key: SeedOrKey | None = None) -> None:
        """Start again.

        Args:
            seed_or_key: a seed, a key, or raw key data. None takes a seed from the operating
                system at the next use.
        """
        if seed_or_key is None:
            self._value = cast("jax.Array", None)
        else:
            # Not as part of a trace that may be going on, which the key would outlive.
            with jax.ensure_compile_time_eval():
                self._value = as_key(seed_or_key)

    set_key = seed

    def clone(self) -> RandomState:
        """Make an independent generator from a key drawn from this one."""
        return RandomState(self.split_key())

    def split_key(self, n: int | None = None) -> jax.Array:
        """Draw keys and advance.

        Args:
            n: how many.

        Returns:
            One key; with ``n`` an array of so many.

        Raises:
            RuntimeError: inside a traced function, if the generator was made outside of it.
        """
        if ABSTRACT.get():
            return _blank(n)
        with _lock:
            before = self.value
            keys = jax.random.split(before, 2 if n is None else n + 1)
            if isinstance(keys, jax.core.Tracer) and not isinstance(before, jax.core.Tracer):
                raise RuntimeError(
                    "A random generator from outside cannot be used in a function that JAX "
                    "traces, such as under jax.jit: every call would get the same numbers. "
                    "Take a key as an argument and draw inside `with random.seed_context(key):`, "
                    "or pass `key=` to the sampling function."
                )
            self.value = keys[0]
        return keys[1] if n is None else keys[1:]

    def fixed_key(self) -> jax.Array:
        """Draw a key as a constant, also inside a traced function; for making initial values.

        Whoever initialises a model in a traced function gets the model of the moment of tracing.
        """
        if ABSTRACT.get():
            return _blank(None)
        if isinstance(self.value, jax.core.Tracer):
            return self.split_key()
        with jax.ensure_compile_time_eval():
            return self.split_key()

    def split_keys(self, n: int) -> jax.Array:
        """Draw ``n`` keys and advance."""
        return self.split_key(n)

    def _draw(self, key: SeedOrKey | None) -> jax.Array:
        return self.split_key() if key is None else as_key(key)


def _blank(n: int | None) -> jax.Array:
    """Give keys that stand for drawn ones while only shapes matter."""
    key = jax.random.key(0)
    return key if n is None else jax.random.split(key, n)


#: The generator behind the functions of this module.
DEFAULT = RandomState()

# The functions are its methods: the numbers come from one stream.
seed = DEFAULT.seed
set_key = DEFAULT.set_key
split_key = DEFAULT.split_key
split_keys = DEFAULT.split_keys

rand = DEFAULT.rand
rand_like = DEFAULT.rand_like
random = DEFAULT.random
random_sample = DEFAULT.random_sample
ranf = DEFAULT.ranf
sample = DEFAULT.sample
uniform = DEFAULT.uniform

lognormal = DEFAULT.lognormal
multivariate_normal = DEFAULT.multivariate_normal
normal = DEFAULT.normal
randn = DEFAULT.randn
randn_like = DEFAULT.randn_like
standard_normal = DEFAULT.standard_normal
truncated_normal = DEFAULT.truncated_normal

bernoulli = DEFAULT.bernoulli
binomial = DEFAULT.binomial
categorical = DEFAULT.categorical
choice = DEFAULT.choice
permutation = DEFAULT.permutation
poisson = DEFAULT.poisson
randint = DEFAULT.randint
randint_like = DEFAULT.randint_like
random_integers = DEFAULT.random_integers
shuffle = DEFAULT.shuffle

beta = DEFAULT.beta
dirichlet = DEFAULT.dirichlet
exponential = DEFAULT.exponential
gamma = DEFAULT.gamma
gumbel = DEFAULT.gumbel
laplace = DEFAULT.laplace
logistic = DEFAULT.logistic
standard_exponential = DEFAULT.standard_exponential
standard_gamma = DEFAULT.standard_gamma


def get_key() -> jax.Array:
    """Read the key of the default generator without advancing it."""
    return DEFAULT.value


def get_key_data() -> jax.Array:
    """Read the key of the default generator as raw numbers.

    Example:
        >>> with seed_context(3):
        ...     get_key_data().tolist()
        [0, 3]
    """
    return jax.random.key_data(DEFAULT.value)


def clone_rng(seed_or_key: SeedOrKey | None = None, clone: bool = True) -> RandomState:
    """Get a generator.

    Args:
        seed_or_key: the seed or key of a new generator; None refers to the default one.
        clone: whether to derive a new generator from the default one rather than return it.
    """
    if seed_or_key is not None:
        return RandomState(seed_or_key)
    return DEFAULT.clone() if clone else DEFAULT


def default_rng(seed_or_key: SeedOrKey | None = None) -> RandomState:
    """Get a new generator from a seed or key, or the default one without."""
    return clone_rng(seed_or_key, clone=False)


@contextmanager
def seed_context(seed_or_key: SeedOrKey) -> Iterator[None]:
    """Draw from a seed or key inside a ``with`` block, and go on as before afterwards.

    This is how functions under ``jax.jit`` draw random numbers: they take a key as an argument.

    Args:
        seed_or_key: a seed, a key, or raw key data.

    Example:
        >>> with seed_context(0):
        ...     first = rand()
        >>> with seed_context(0):
        ...     assert rand() == first
    """
    before = DEFAULT._value
    DEFAULT._value = as_key(seed_or_key)
    try:
        yield
    finally:
        DEFAULT._value = before
