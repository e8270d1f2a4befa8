"""Random numbers: the streams of the published package, seed by seed."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn, random
from interop_core.random import RandomState
from interop_core.state import State


def same_key(a: jax.Array, b: jax.Array) -> bool:
    """Whether two keys are the same."""
    return np.array_equal(jax.random.key_data(a), jax.random.key_data(b))


# The draws with their arguments; each is compared with the published one after the same seed.
DRAWS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("rand", (), {}),
    ("rand", (2, 3), {}),
    ("rand", (2,), {"dtype": np.float16}),
    ("randn", (4,), {}),
    ("random", (3,), {}),
    ("random_sample", ((2, 3),), {}),
    ("sample", (), {}),
    ("rand_like", (np.zeros((2, 2), np.float16),), {}),
    ("randn_like", (np.zeros(3, np.float16),), {}),
    ("uniform", (), {}),
    ("uniform", (1.0, 3.0, (3,)), {}),
    ("uniform", (np.zeros((2, 1), np.float32), np.ones(3, np.float32)), {}),
    ("normal", (), {}),
    ("normal", (1.0, 3.0, 4), {}),
    ("normal", (None, 2.0), {}),
    ("normal", (np.ones(3, np.float32), 2.0), {}),
    ("normal", (1.0, 2.0, 3), {"dtype": np.float16}),
    ("standard_normal", (3,), {}),
    ("lognormal", (0.0, 1.0, 3), {}),
    ("multivariate_normal", (np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 3), {}),
    ("truncated_normal", (-1.0, 1.0, (5,)), {}),
    ("truncated_normal", (-1.0, 2.0, (5,)), {"loc": 1.0, "scale": 2.0}),
    ("truncated_normal", (-1.0, 2.0), {}),
    ("randint", (5,), {"size": (4,)}),
    ("randint", (2, 9, (4,)), {}),
    ("randint", (3,), {}),
    ("randint", (0, 3, 4), {"dtype": np.int8}),
    ("randint", (np.array([1, 5]), np.array([3, 9])), {}),
    ("random_integers", (1, 3, (5,)), {}),
    ("randint_like", (np.zeros(3, np.float32), 0, 5), {}),
    ("randint_like", (np.zeros(3, np.int32), 0, 5), {}),
    ("bernoulli", (0.5, 5), {}),
    ("bernoulli", (0.3,), {}),
    ("bernoulli", (np.full(3, 0.5, np.float32),), {}),
    ("poisson", (2.0, 3), {}),
    ("categorical", (np.array([0.0, 1.0, 2.0], np.float32),), {"size": 3}),
    ("categorical", (np.zeros((2, 3), np.float32),), {}),
    ("choice", (5,), {}),
    ("choice", (5, 3), {}),
    ("choice", (np.array([1.0, 2.0, 3.0], np.float32), (2,)), {"replace": False}),
    ("choice", (3, 4), {"p": np.array([0.1, 0.2, 0.7], np.float32)}),
    ("permutation", (5,), {}),
    ("permutation", (np.arange(6).reshape(2, 3),), {"axis": 1}),
    ("shuffle", (np.arange(5),), {}),
    ("exponential", (2.0, 3), {}),
    ("standard_exponential", (3,), {}),
    ("gamma", (2.0, 3.0, 3), {}),
    ("beta", (2.0, 3.0, 3), {}),
    ("dirichlet", (np.ones(3, np.float32), 2), {}),
    ("laplace", (1.0, 2.0, 3), {}),
    ("gumbel", (1.0, 2.0, 3), {}),
    ("logistic", (1.0, 2.0, 3), {}),
    ("binomial", (10, 0.3, (4,)), {}),
]


@pytest.mark.parametrize(
    "name, args, options", DRAWS, ids=[f"{i}-{draw[0]}" for i, draw in enumerate(DRAWS)]
)
def test_draw_equals_the_published_one(
    name: str, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    random.seed(7)
    ours = getattr(random, name)(*args, **options)
    after = random.get_key()
    brainstate.random.seed(7)
    published = getattr(brainstate.random, name)(*args, **options)
    assert same_key(after, brainstate.random.get_key())
    assert ours.shape == published.shape
    assert ours.dtype == published.dtype
    # Not bit for bit: the affine part may be rounded in another order.
    np.testing.assert_allclose(
        np.asarray(ours, np.float64),
        np.asarray(published, np.float64),
        rtol=1e-2 if ours.dtype == np.float16 else 2e-6,
        atol=1e-6,
    )


def test_split_keys_follow_the_published_stream() -> None:
    random.seed(0)
    brainstate.random.seed(0)
    assert same_key(random.split_key(), brainstate.random.split_key())
    assert same_key(random.split_keys(3), brainstate.random.split_keys(3))
    assert same_key(random.split_key(2), brainstate.random.split_key(2))
    assert same_key(random.get_key(), brainstate.random.get_key())


@pytest.mark.parametrize(
    "make", [lambda: 3, lambda: jax.random.key(3), lambda: jax.random.PRNGKey(3)]
)
def test_seed_takes_numbers_and_keys(make: Callable[[], Any]) -> None:
    assert same_key(RandomState(make()).value, jax.random.key(3))
    random.set_key(make())
    assert same_key(random.get_key(), jax.random.key(3))
    assert random.get_key_data().tolist() == [0, 3]


def test_seed_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="A seed or a key"):
        RandomState("tomorrow")  # type: ignore[arg-type]


def test_own_key_does_not_advance_the_stream() -> None:
    random.seed(0)
    before = random.get_key()
    first = random.rand(2, key=3)
    assert random.rand(2, key=jax.random.key(3)).tolist() == first.tolist()
    assert same_key(random.get_key(), before)


def test_seed_context_restores_the_stream() -> None:
    random.seed(0)
    before = random.get_key()
    with random.seed_context(3):
        first = random.rand(2)
    assert same_key(random.get_key(), before)
    with random.seed_context(3):
        assert random.rand(2).tolist() == first.tolist()
    with pytest.raises(TypeError, match=r"(?i)shape"), random.seed_context(3):
        random.rand("two")  # type: ignore[arg-type]
    assert same_key(random.get_key(), before)


def test_generators_by_seed_are_independent() -> None:
    a, b = RandomState(1), random.default_rng(1)
    assert a.randn(3).tolist() == b.randn(3).tolist()
    assert random.default_rng() is random.DEFAULT
    assert random.clone_rng() is not random.DEFAULT
    assert same_key(random.clone_rng(4).value, jax.random.key(4))


def test_unseeded_generators_differ() -> None:
    assert not same_key(RandomState().value, RandomState().value)


def test_random_state_is_a_state() -> None:
    rng = RandomState(0)
    assert isinstance(rng, State)
    new = rng.copy()
    rng.rand()
    assert same_key(new.value, jax.random.key(0))
    rng.value = new
    assert same_key(rng.value, jax.random.key(0))


def test_copies_and_pickles() -> None:
    rng = copy.deepcopy(RandomState(0))
    assert same_key(rng.value, jax.random.key(0))
    lazy = pickle.loads(pickle.dumps(RandomState()))
    assert isinstance(lazy, RandomState)


def test_probability_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="probability"):
        random.bernoulli(1.5)
    with pytest.raises(ValueError, match="probability"):
        random.bernoulli(float("nan"))


def test_truncated_normal_stays_in_bounds() -> None:
    draw = RandomState(0).truncated_normal(-1.0, 0.3, 2000, loc=0.1, scale=3.0)
    assert float(draw.min()) >= -1.0
    assert float(draw.max()) <= np.float32(0.3)


def test_import_makes_no_key_and_runs_nothing() -> None:
    # Whether JAX has started a backend tells whether anything was computed.
    code = (
        f"import {nn.__name__}, {random.__name__} as r;"
        "from jax._src import xla_bridge;"
        "assert not xla_bridge._backends and r.DEFAULT._value is None"
    )
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=places)


def test_every_function_has_a_published_name() -> None:
    assert set(random.__all__) <= set(dir(brainstate.random))


def test_generator_of_a_module_draws_under_jit() -> None:
    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rng = RandomState(0)

        def update(self, x: jax.Array) -> jax.Array:
            return x + self.rng.randn()

    @jax.jit
    def step(model: Noise, x: jax.Array) -> tuple[Noise, jax.Array]:
        return model, model(x)

    first, a = step(Noise(), jnp.zeros(()))
    _, b = step(first, jnp.zeros(()))
    rng = RandomState(0)
    # The sum with zero is exact, so the numbers are those of the generator but for the last place,
    # which may come out otherwise where a whole program is compiled.
    np.testing.assert_allclose([a, b], [rng.randn(), rng.randn()], rtol=1e-6)


def test_drawing_from_outside_a_trace_is_refused_and_leaves_no_tracer() -> None:
    random.seed(0)
    before = random.get_key()
    with pytest.raises(RuntimeError, match="seed_context"):
        jax.jit(lambda: random.rand(2))()
    assert same_key(random.get_key(), before)
    random.rand(2)


def test_seed_context_draws_under_jit() -> None:
    random.seed(0)
    before = random.get_key()

    @jax.jit
    def noise(key: jax.Array) -> jax.Array:
        with random.seed_context(key):
            return random.rand(2)

    assert noise(jax.random.key(5)).tolist() == RandomState(5).rand(2).tolist()
    assert noise(jax.random.key(6)).tolist() == RandomState(6).rand(2).tolist()
    assert same_key(random.get_key(), before)


def test_seeding_inside_a_trace_leaves_no_tracer() -> None:
    def seeded() -> int:
        random.seed(9)
        return 0

    jax.jit(seeded)()
    assert same_key(random.get_key(), jax.random.key(9))


def test_first_use_inside_a_trace_leaves_no_tracer() -> None:
    rng = RandomState()
    jax.jit(lambda: jax.random.key_data(rng.value))()
    rng.rand(2)


def test_threads_never_share_a_key() -> None:
    rng = RandomState(0)
    keys: list[bytes] = []

    def draw() -> None:
        keys.extend(np.asarray(jax.random.key_data(rng.split_key())).tobytes() for _ in range(50))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 200


def test_skeletons_draw_no_key() -> None:
    random.seed(0)
    before = random.get_key()
    with nn.init.abstract():
        nn.init.KaimingNormal()((3, 4))
        random.split_key()
        random.split_key(2)
    assert same_key(random.get_key(), before)
