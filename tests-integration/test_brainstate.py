"""The published package and the umbrella: its models go in, and come out on demand."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import brainstate
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import brainstate_interop as interop
from interop_core import discovery


def published() -> Any:
    """The model of the published package's own tutorial."""
    return brainstate.nn.Sequential(
        brainstate.nn.Linear(4, 8), brainstate.nn.LayerNorm(8), brainstate.nn.Linear(8, 2)
    )


X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)


def test_a_published_model_goes_to_every_framework() -> None:
    model = published()
    expected = model(X)
    np.testing.assert_allclose(interop.to_nnx(model, rngs=nnx.Rngs(0))(X), expected, atol=1e-5)
    module, params = interop.to_linen(model)
    np.testing.assert_allclose(module.apply(params, X), expected, atol=1e-5)
    np.testing.assert_allclose(jax.vmap(interop.to_equinox(model))(X), expected, atol=1e-5)
    assert "converts" in interop.explain(model, to="nnx").title


def test_every_framework_gives_a_published_model_on_demand() -> None:
    model = published()
    expected = model(X)
    module, params = interop.to_linen(model)
    found = [
        interop.from_nnx(interop.to_nnx(model), into="brainstate"),
        interop.from_linen(module, params, into="brainstate"),
        interop.from_equinox(interop.to_equinox(model), into="brainstate"),
        interop.to_brainstate(interop.from_brainstate(model)),
    ]
    for back in found:
        assert type(back) is brainstate.nn.Sequential
        np.testing.assert_allclose(back(X), expected, atol=1e-5)
    assert type(interop.from_nnx(interop.to_nnx(model))) is interop.nn.Sequential


def test_another_library_is_refused() -> None:
    model: Any = interop.to_nnx(interop.nn.Linear(2, 3))
    with pytest.raises(interop.UnknownFrameworkError, match="use one of 'core', 'brainstate'"):
        interop.from_nnx(model, into="torch")  # type: ignore[arg-type]


def test_it_is_listed_where_it_is_asked_for() -> None:
    assert "brainstate" not in interop.supported_layers()
    found = interop.supported_layers("brainstate")
    assert found.keys() == {"brainstate"}
    assert {"Linear", "LSTMCell", "Conv2d"} <= set(found["brainstate"])
    with pytest.raises(interop.UnknownFrameworkError):
        interop.explain(interop.nn.Linear(2, 3), to="brainstate")


def test_a_missing_bridge_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, discovery.MIRRORS["brainstate"], None)
    with pytest.raises(interop.MissingDependencyError, match="install") as caught:
        interop.to_brainstate(interop.nn.Linear(2, 3))
    assert 'brainstate-interop[brainstate]"' in caught.value.command


def test_the_published_package_is_not_imported_to_look_at_a_model() -> None:
    program = (
        "import sys, brainstate_interop as b\n"
        "b.to_nnx(b.nn.Linear(2, 3))\n"
        "assert 'brainstate' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
