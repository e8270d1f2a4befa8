"""No conversion advances anybody's random stream, or draws a number at all."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from flax import nnx

import interop_equinox.testing
import interop_linen.testing
import interop_nnx.testing
from brainstate_interop import environ, from_nnx, nn, random, to_equinox, to_linen, to_nnx
from interop_core.testing import Harness

HARNESSES: dict[str, Harness] = {
    "nnx": interop_nnx.testing.HARNESS,
    "linen": interop_linen.testing.HARNESS,
    "equinox": interop_equinox.testing.HARNESS,
}
every_framework = pytest.mark.parametrize("framework", HARNESSES)
SIZE = (6, 7, 2)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(SIZE, 4, 3),
        nn.GroupNorm(4, num_groups=2),
        nn.Flatten(in_size=(6, 7, 4)),
        nn.Dropout(0.5),
        nn.Linear(168, 3),
    )


@every_framework
def test_the_cores_stream_rests(framework: str) -> None:
    harness = HARNESSES[framework]
    random.seed(3)
    model = network()
    before = np.asarray(random.get_key_data())
    harness.import_(harness.export(model), SIZE)
    np.testing.assert_array_equal(random.get_key_data(), before)


@every_framework
def test_what_is_drawn_afterwards_is_what_would_have_been(framework: str) -> None:
    harness = HARNESSES[framework]
    random.seed(5)
    model = network()
    expected = np.asarray(random.rand(3))
    random.seed(5)
    model = network()
    harness.import_(harness.export(model), SIZE)
    np.testing.assert_array_equal(random.rand(3), expected)


@every_framework
def test_nothing_is_drawn_for_a_configuration_met_before(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness, model = HARNESSES[framework], network()
    there = harness.export(model)
    harness.import_(there, SIZE)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a number was drawn")

    # Folding is left out: it draws nothing, and gives dropout layers of NNX their own keys.
    for name in ("normal", "uniform", "truncated_normal", "split", "bits"):
        monkeypatch.setattr(jax.random, name, never)
    harness.import_(harness.export(model), SIZE)


def test_the_streams_that_are_passed_in_rest() -> None:
    rngs = nnx.Rngs(params=0, dropout=1)
    before = {name: int(stream.count.get_value()) for name, stream in rngs.items()}
    to_nnx(network(), rngs=rngs)
    # A dropout layer gets a stream of its own, folded out of the key of these.
    after = {name: int(stream.count.get_value()) for name, stream in rngs.items()}
    assert after == before


def test_an_equinox_key_is_as_good_as_none() -> None:
    model = network()
    with_key, without = to_equinox(model, key=jax.random.key(0)), to_equinox(model)
    # Functions held in a partial are equal only to themselves: compare the arrays.
    assert eqx.tree_equal(*(eqx.filter(m, eqx.is_array) for m in (with_key, without)))


def test_a_stream_of_nnx_is_not_advanced_by_reading_a_model() -> None:
    rngs = nnx.Rngs(0)
    module = nnx.Sequential(
        nnx.Linear(4, 4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)
    )
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(module, nnx.RngCount)))
    from_nnx(module)
    after = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(module, nnx.RngCount)))
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_two_conversions_give_the_same_dropout_only_where_they_share_a_key() -> None:
    model = nn.Sequential(nn.Dropout(0.5))
    module, variables = to_linen(model, training=True)
    x = np.ones((64, 8), np.float32)
    first, again, other = (
        module.apply(variables, x, rngs={"dropout": jax.random.key(seed)}) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(first) != np.asarray(other)).any()
    with environ.context(fit=True), random.seed_context(0):
        core = np.asarray(model(x))
    # Half of the entries are dropped, the rest doubled: with 512 of them, 0.5 plus or minus 0.1 is
    # more than four standard deviations.
    for y in (np.asarray(first), core):
        assert set(np.unique(y)) == {0.0, 2.0}
        assert abs((y == 0).mean() - 0.5) < 0.1
