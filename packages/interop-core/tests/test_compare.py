"""Two models that somebody has: whether they compute the same, and from which layer on not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import api, compare, environ, nn, random
from interop_core.errors import MissingShapeError, NotAModelError, VerificationError
from interop_core.testing import quick_compilation


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    """Compiled once and run once: compiling is what takes the time."""
    with quick_compilation():
        yield


@pytest.fixture
def models(fake: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Sequential, Any]:
    """A core model and its counterpart of the framework, which counts as installed."""
    monkeypatch.setattr(api, "installed_bridges", lambda: {"fake": fake.BRIDGE})
    with random.seed_context(1):
        core = nn.Sequential(
            nn.Conv2d((4, 5, 2), 3, (2, 2), padding="VALID"),
            nn.ReLU(),
            nn.Flatten(in_size=(3, 4, 3)),
            nn.Sequential(nn.Linear(36, 4), nn.ReLU(), nn.Linear(4, 2)),
        )
    return core, fake.to_fake(core)


X = np.random.default_rng(0).normal(size=(2, 4, 5, 2)).astype(np.float32)


def test_equal_models_agree(models: Any) -> None:
    core, there = models
    found = compare(core, there, X)
    assert found
    assert found.agree
    assert found.difference <= found.tolerance
    assert found.path is None
    assert str(found).startswith("the models agree: largest difference")
    for pair in ((there, core, X), (core, there), (there, there, X)):
        assert compare(*pair)


@pytest.mark.parametrize("turned", [False, True])
def test_the_first_layer_that_differs_is_named(models: Any, turned: bool) -> None:
    core, there = models
    other = there.layers[-1].layers[0]
    other.matrix = other.matrix * 1.01
    pair = (there, core) if turned else (core, there)
    found = compare(*pair, X)
    assert not found
    assert found.path is not None
    assert found.path[-2:] == ("layers", 0)
    assert found.what == "output"
    assert found.difference > found.tolerance
    assert "the models differ, from layers[" in str(found)
    with pytest.raises(VerificationError, match="the models differ") as caught:
        compare(*pair, X, check=True)
    assert (caught.value.path, caught.value.difference) == (found.path, found.difference)
    assert compare(*pair, X, tolerance=0.5)


def test_models_of_another_make_are_compared_as_a_whole() -> None:
    class Own(nn.Module):
        def __init__(self, sign: float) -> None:
            super().__init__()
            self.inner, self.sign = nn.Linear(3, 2, w_init=nn.init.Constant(0.5)), sign

        def update(self, x: Any, shift: Any = 0.0) -> Any:
            return self.inner(x) * self.sign + shift

    x = np.ones((2, 3), np.float32)
    layer = nn.Linear(3, 2, w_init=nn.init.Constant(0.5))
    assert compare(Own(1.0), nn.Sequential(layer), x)
    found = compare(Own(-1.0), nn.Sequential(layer, nn.ReLU()), x)
    assert not found
    assert (found.path, found.layers) == (None, 0)
    assert compare(Own(1.0), Own(1.0), x, np.ones((2, 2), np.float32))


def test_gradients_by_the_input_count() -> None:
    class Rounded(nn.Module):
        def update(self, x: Any) -> Any:
            return jnp.sign(x)

    class Straight(nn.Module):
        def update(self, x: Any) -> Any:
            return x + jax.lax.stop_gradient(jnp.sign(x) - x)

    found = compare(Rounded(), Straight(), np.ones((2, 3), np.float32))
    assert not found
    assert found.what == "gradient by input 0"


def test_other_shapes_are_a_difference() -> None:
    found = compare(nn.Linear(3, 2), nn.Linear(3, 4), np.ones((2, 3), np.float32))
    assert not found
    assert np.isinf(found.difference)


def test_inputs_have_to_fit_and_models_have_to_be_models() -> None:
    with pytest.raises(MissingShapeError, match="cannot be run"):
        compare(nn.Linear(3, 2), nn.Linear(3, 2), np.ones((2, 4), np.float32))
    with pytest.raises(MissingShapeError, match="pass an input"):
        compare(nn.ReLU(), nn.ReLU())
    with pytest.raises(NotAModelError):
        compare(nn.Linear(3, 2), object(), np.ones((2, 3), np.float32))


class Stopped(nn.Linear):
    """Computes what a linear layer computes, and does not learn."""

    def update(self, x: Any) -> Any:
        held = jax.lax.stop_gradient(self.weight.value)
        return x @ held["weight"] + held["bias"]


@pytest.mark.parametrize("alone", [False, True])
def test_gradients_by_parameters_count_where_both_models_have_them(alone: bool) -> None:
    class Own(nn.Module):
        """Holds a layer, and is no stack."""

        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def update(self, x: Any) -> Any:
            return self.layer(x)

    def model(last: nn.Module) -> nn.Module:
        stack = nn.Sequential(nn.Linear(3, 4, w_init=nn.init.Constant(0.5)), nn.Tanh(), last)
        return Own(stack) if alone else stack

    ones: dict[str, Any] = {"w_init": nn.init.Constant(1.0), "b_init": nn.init.Constant(1.0)}
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    same = compare(model(nn.Linear(4, 2, **ones)), model(nn.Linear(4, 2, **ones)), x)
    assert same.compared == ("output", "gradients by 1 input and 4 parameters")
    found = compare(model(nn.Linear(4, 2, **ones)), model(Stopped(4, 2, **ones)), x)
    assert not found
    assert found.what.startswith("gradient by ")
    assert found.what.endswith("weight.bias")
    assert found.path == (() if alone else ("layers", 2))


class Doubling(nn.Module):
    """Remembers other statistics in training than it should."""

    def __init__(self, in_size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm0d(in_size)

    def update(self, x: Any) -> Any:
        y = self.norm(x)
        mean = self.norm.running_mean
        if environ.get("fit") and mean is not None:
            mean.value = mean.value * 2 + 1
        return y


@pytest.mark.parametrize("around", [(), (nn.Dropout(0.5),)], ids=["plain", "with dropout"])
def test_training_steps_of_layers_with_running_statistics(around: tuple[Any, ...]) -> None:
    def stack(layer: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.ReLU(), *around, layer)

    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    same = compare(stack(nn.BatchNorm0d(3)), stack(nn.BatchNorm0d(3)), x)
    assert same.compared[2:] == ("2 training steps of 1 layer",)
    found = compare(stack(nn.BatchNorm0d(3)), stack(Doubling(3)), x)
    assert (found.agree, found.what) == (False, "output after 2 training steps")
    assert found.path == ("layers", 1 + len(around))
    whole = compare(stack(nn.BatchNorm0d(3)), nn.Sequential(*stack(Doubling(3)), nn.Identity()), x)
    assert whole.path is None
    assert whole.agree == bool(around)  # what dropout draws cannot be compared
