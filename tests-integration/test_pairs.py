"""Whole models over every ordered pair of frameworks: the same function at the end of each way."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainstate_interop import (
    environ,
    from_equinox,
    from_linen,
    from_nnx,
    nn,
    to_equinox,
    to_linen,
    to_nnx,
)

# Up to eight layers in float32, each summed in another order than in another framework.
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}

IMAGE = (8, 7, 3)


def mlp() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 8, b_init=None), nn.RMSNorm(8),
        nn.SiLU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.LogSoftmax(),
    )  # fmt: skip


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(IMAGE, 4, 3, b_init=nn.init.Normal(scale=0.1)),
        nn.GroupNorm(4, num_groups=2),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d((4, 3, 4), 6, 2, padding="VALID", groups=2),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2, 1),
        nn.Dropout(0.5),
        nn.Flatten(in_size=(2, 1, 6)),
        nn.Linear(12, 4),
    )


def nested() -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Linear(5, 6), nn.Tanh()),
        nn.Sequential(nn.Sequential(nn.Linear(6, 6), nn.ELU(0.5)), nn.Softplus(), nn.Sequential()),
        nn.Identity(),
        nn.Softmax(),
    )


def tied() -> nn.Sequential:
    shared = nn.Linear(5, 5)
    stack = nn.Sequential(nn.LayerNorm(5), nn.Sigmoid())
    return nn.Sequential(shared, nn.ReLU(), shared, stack, shared, stack)


def tokens() -> nn.Sequential:
    return nn.Sequential(nn.Embedding(11, 6), nn.LayerNorm(6), nn.SELU(), nn.Linear(6, 2))


def long() -> nn.Sequential:
    """More than ten layers, whose names do not sort as their numbers do."""
    return nn.Sequential(*(nn.Linear(4, 4) for _ in range(12)))


MODELS: dict[str, tuple[Callable[[], nn.Sequential], tuple[int, ...]]] = {
    "mlp": (mlp, (5,)),
    "network": (network, IMAGE),
    "nested": (nested, (5,)),
    "tied": (tied, (5,)),
    "tokens": (tokens, ()),
    "long": (long, (4,)),
    "empty": (lambda: nn.Sequential(), (3,)),
    "one": (lambda: nn.Sequential(nn.Linear(3, 2)), (3,)),
}

OUT: dict[str, Callable[[nn.Sequential], Any]] = {
    "core": lambda model: model,
    "nnx": to_nnx,
    "linen": to_linen,
    "equinox": to_equinox,
}
BACK: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "core": lambda model, _: model,
    "nnx": lambda model, size: from_nnx(model, sample_input=size or None),
    "linen": lambda pair, size: from_linen(*pair, sample_input=size or None),
    "equinox": lambda model, size: from_equinox(model, sample_input=size or None),
}


def call(framework: str, model: Any, x: jax.Array) -> Any:
    if framework == "linen":
        return model[0].apply(model[1], x)
    if framework == "equinox":
        return jax.vmap(model)(jnp.moveaxis(x, -1, 1) if x.ndim == 4 else x)
    with environ.context(fit=False):
        return model(x)


def batch(name: str) -> jax.Array:
    _, size = MODELS[name]
    key = jax.random.key(7)
    if name == "tokens":
        return jax.random.randint(key, (3, *size), 0, 11)
    return jax.random.normal(key, (3, *size))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("source, target", list(itertools.permutations(OUT, 2)))
def test_every_pair_agrees(name: str, source: str, target: str) -> None:
    make, size = MODELS[name]
    model = make()
    x = batch(name)
    expected = call("core", model, x)
    first = OUT[source](model)
    np.testing.assert_allclose(call(source, first, x), expected, **CLOSE)
    second = OUT[target](BACK[source](first, size))
    np.testing.assert_allclose(call(target, second, x), expected, **CLOSE)


@pytest.mark.parametrize("framework", ["nnx", "linen", "equinox"])
def test_tied_layers_stay_tied_there_and_back(framework: str) -> None:
    back = BACK[framework](OUT[framework](tied()), (5,))
    assert back.layers[0] is back.layers[2] is back.layers[4]
    assert back.layers[3] is back.layers[5]
    assert len(back.states()) == 2


@pytest.mark.parametrize("framework", ["nnx", "linen", "equinox"])
def test_weights_come_back_bit_for_bit(framework: str) -> None:
    model = network()
    back = BACK[framework](OUT[framework](model), IMAGE)
    for before, after in zip(jax.tree.leaves(model), jax.tree.leaves(back), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("framework", ["nnx", "linen"])
def test_what_is_not_said_of_leading_axes_is_no_problem(framework: str) -> None:
    # The first layer speaks of vectors; the pooling behind it shows that there are more axes.
    model = nn.Sequential(nn.Linear(2, 4), nn.MaxPool1d(2), nn.Linear(4, 3))
    x = jax.random.normal(jax.random.key(0), (3, 6, 2))
    np.testing.assert_allclose(call(framework, OUT[framework](model), x), model(x), **CLOSE)


@pytest.mark.parametrize("framework", ["nnx", "linen"])
def test_an_axis_move_is_kept_where_channels_stay_last(framework: str) -> None:
    model = nn.Sequential(nn.MoveAxis(-2, -1), nn.AvgPool1d(3, 2), nn.MoveAxis(-1, -2))
    x = jax.random.normal(jax.random.key(0), (2, 4, 9))
    converted = OUT[framework](nn.Sequential(nn.Conv1d((4, 9), 9, 1), *model.layers))
    assert call(framework, converted, x).shape == model(x).shape


def test_running_statistics_move_on_from_framework_to_framework() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm0d(4, momentum=0.5), nn.Linear(4, 2))
    first, second, third = jax.random.normal(jax.random.key(0), (3, 6, 5)) * 2 + 1
    of_nnx = to_nnx(model)
    of_nnx.train()
    of_nnx(first)
    of_equinox, state = to_equinox(from_nnx(of_nnx, sample_input=(5,)), stateful=True)
    trained = eqx.nn.inference_mode(of_equinox, value=False)
    step = jax.vmap(trained, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    _, state = step(second, state)
    module, variables = to_linen(from_equinox(of_equinox, state, sample_input=(5,)), training=True)
    _, moved = module.apply(variables, third, mutable=["batch_stats"])
    back = from_linen(module, {**variables, **moved}, sample_input=(5,))
    with environ.context(fit=True):
        for x in (first, second, third):
            model(x)
    assert not np.allclose(model.layers[1].running_mean.value, 0, atol=0.1)
    np.testing.assert_allclose(call("core", back, first), call("core", model, first), **CLOSE)
