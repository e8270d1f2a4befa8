"""Settings by block and by process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ

_config: Any = jax.config


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Leave the process as it was."""
    yield
    environ.reset()


def test_only_the_precision_is_set_at_first() -> None:
    assert environ.all() == {"precision": 32} == brainstate.environ.all()


def test_context_nests_and_ends() -> None:
    with environ.context(fit=True, a=1):
        with environ.context(fit=False) as settings:
            assert (environ.get("fit"), environ.get("a")) == (False, 1)
            assert settings == {"precision": 32, "fit": False, "a": 1}
        assert environ.get("fit") is True
    assert environ.get("fit", default="nothing") == "nothing"


def test_context_ends_after_an_error() -> None:
    with pytest.raises(RuntimeError), environ.context(fit=True):
        raise RuntimeError
    assert "fit" not in environ.all()


def test_context_wins_over_set() -> None:
    environ.set(fit=True)
    with environ.context(fit=False):
        environ.set(fit=True)
        assert environ.get("fit") is False
    assert environ.get("fit") is True


def test_missing_setting_says_what_to_do() -> None:
    with pytest.raises(KeyError, match="fit") as caught:
        environ.get("fit", desc="Whether the model is being fitted.")
    message = caught.value.args[0]
    assert "Whether the model is being fitted." in message
    assert "with environ.context(fit=...)" in message
    assert "environ.set(fit=...)" in message


def test_none_is_a_default_like_another() -> None:
    assert environ.get("nothing", default=None) is None
    assert environ.get("nothing", None) is None


def test_set_and_pop() -> None:
    environ.set(dt=0.1, mine="yes")
    assert (environ.get_dt(), environ.get("mine")) == (0.1, "yes")
    assert environ.pop("dt") == 0.1
    assert environ.pop("dt", 3) == 3
    with pytest.raises(KeyError, match="no setting 'dt'"):
        environ.pop("dt")
    with pytest.raises(KeyError, match="dt"):
        environ.get_dt()


def test_pop_refuses_what_a_block_overrides() -> None:
    environ.set(q=1)
    with environ.context(q=2), pytest.raises(ValueError, match="overridden"):
        environ.pop("q")
    assert environ.pop("q") == 1


@pytest.mark.parametrize("precision", [8, 16, "bf16", 32, 64])
def test_dtypes_follow_the_precision_as_published(precision: int | str) -> None:
    with environ.context(precision=precision):
        ours = [getattr(environ, name)() for name in ("dftype", "ditype", "dutype", "dctype")]
        made = jnp.ones(1).dtype
        bits, tolerance = environ.get_precision(), environ.tolerance()
    with brainstate.environ.context(precision=precision):
        published = brainstate.environ
        theirs = [getattr(published, name)() for name in ("dftype", "ditype", "dutype", "dctype")]
        assert made == jnp.ones(1).dtype
        assert bits == published.get_precision()
        # The published one is rounded to the dtype of that precision.
        assert tolerance == pytest.approx(float(published.tolerance()), rel=1e-3)
    assert ours == theirs
    assert not _config.jax_enable_x64


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="Precision must be one of"):
        environ.set_precision(12)
    with (
        pytest.raises(ValueError, match="Precision must be one of"),
        environ.context(precision="x"),
    ):
        pass
    assert environ.get_precision() == 32


def test_precision_of_the_process_switches_wide_types() -> None:
    environ.set_precision(64)
    assert jnp.ones(1).dtype == np.float64
    with environ.context(precision=32):
        assert jnp.ones(1).dtype == np.float32
    environ.set(precision=32)
    assert jnp.ones(1).dtype == np.float32


@pytest.mark.parametrize("key", ["platform", "host_device_count"])
def test_settings_of_the_process_are_refused_in_a_block(key: str) -> None:
    with pytest.raises(ValueError, match="whole process"), environ.context(**{key: 1}):
        pass


def test_threads_have_their_own_blocks() -> None:
    seen: list[Any] = []
    with environ.context(fit=True):
        thread = threading.Thread(target=lambda: seen.append(environ.get("fit", default=None)))
        thread.start()
        thread.join()
    assert seen == [None]


def test_set_reaches_every_thread() -> None:
    environ.set(mine=3)
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(environ.get("mine")))
    thread.start()
    thread.join()
    assert seen == [3]


def test_concurrent_sets_lose_nothing() -> None:
    def write(name: str) -> None:
        for n in range(100):
            settings: dict[str, Any] = {f"{name}{n}": n}
            environ.set(**settings)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(environ.all()) == 1 + 4 * 100


def test_jitted_functions_follow_a_switch() -> None:
    @jax.jit
    def step(x: jax.Array) -> jax.Array:
        return x * 2 if environ.get("fit") else x

    with environ.context(fit=True):
        assert step(jnp.ones(())) == 2
    with environ.context(fit=False):
        assert step(jnp.ones(())) == 1
    with environ.context(fit=True):
        assert step(jnp.ones(())) == 2


def test_running_numbers_do_not_compile_again() -> None:
    traced = []

    @jax.jit
    def step(x: jax.Array) -> jax.Array:
        traced.append(1)
        return x + 1

    for i in range(3):
        with environ.context(i=i, t=i * 0.1, fit=True):
            step(jnp.ones(()))
    assert len(traced) == 1


def test_blocks_inside_traced_functions() -> None:
    def inside(x: jax.Array) -> jax.Array:
        with environ.context(fit=True, precision=32):
            return jnp.where(environ.get("fit"), x * 2, x)

    assert jax.jit(inside)(jnp.ones(())) == 2
    assert jax.grad(inside)(1.0) == 2
    assert jax.vmap(inside)(jnp.ones(3)).tolist() == [2.0, 2.0, 2.0]
    _, seen = jax.lax.scan(lambda carry, x: (carry, inside(x)), 0, jnp.ones(2))
    assert seen.tolist() == [2.0, 2.0]
