"""What companions do over several calls and in training, and which exports of Linen are known."""

from __future__ import annotations

from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from interop_core import environ, nn, random
from interop_core.errors import UnsupportedConfigurationError, VariablesError
from interop_core.registry import for_foreign
from interop_linen import BRIDGE, companions, from_linen, to_linen

KEY = {"dropout": jax.random.key(0)}


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def recurrent() -> nn.Sequential:
    random.seed(0)
    return nn.Sequential(
        nn.Linear(3, 4), nn.LSTMCell(4, 5), nn.Sequential(nn.MGUCell(5, 2), nn.Tanh())
    )


def inputs(step: int) -> Any:
    return jax.random.normal(jax.random.key(step), (2, 3))


def test_a_recurrent_stack_is_called_as_it_was() -> None:
    model = recurrent()
    nn.init_all_states(model, 2)
    module, variables = to_linen(model)
    assert [type(layer) for layer in module.layers[1:2]] == [companions.StatefulLSTMCell]
    assert jax.tree.map(jnp.shape, variables["carry"]) == {
        "layers_1": {"c": (2, 5), "h": (2, 5)},
        "layers_2": {"layers_0": {"h": (2, 2)}},
    }
    for step in range(3):
        y, moved = module.apply(variables, inputs(step), mutable=["carry"])
        variables = {**variables, **moved}
        close(y, model(inputs(step)))
    back = from_linen(module, variables)
    assert back.layers[1].h.value is variables["carry"]["layers_1"]["h"]
    close(back(inputs(3)), model(inputs(3)))


def test_a_stack_without_states_begins_with_zeros_for_any_batch() -> None:
    model = recurrent()
    module, variables = to_linen(model)
    assert set(variables) == {"params"}
    y, moved = module.apply(variables, inputs(0), mutable=["carry"])
    with pytest.raises(flax.errors.FlaxError, match="carry"):
        module.apply(variables, inputs(0))
    back = from_linen(module, variables)
    nn.init_all_states(model, 2)
    nn.init_all_states(back, 2)
    close(y, model(inputs(0)))
    close(back(inputs(0)), y)
    assert set(from_linen(module, {**variables, **moved}).layers[1].__dict__) >= {"c", "h"}


def test_half_a_carry_is_none() -> None:
    module, variables = to_linen(recurrent())
    _, moved = module.apply(variables, inputs(0), mutable=["carry"])
    del moved["carry"]["layers_1"]["c"]
    with pytest.raises(VariablesError, match="lacks carry/layers_1/c"):
        from_linen(module, {**variables, **moved})
    cell, variables = to_linen(nn.Sequential(nn.GRUCell(3, 4)))
    carry = {"carry": {"layers_0": {"h": jnp.zeros((2, 5))}}}
    with pytest.raises(VariablesError, match=r"\(\(2, 4\),\), and it holds \(\(2, 5\),\)"):
        from_linen(cell, {**variables, **carry})


def test_a_cell_that_runs_under_linen() -> None:
    random.seed(0)
    model = nn.MGUCell(3, 4)
    cell, variables = to_linen(model)
    x = jax.random.normal(jax.random.key(0), (2, 5, 3))
    found: Any = linen.RNN(cell).apply({"params": {"cell": variables["params"]}}, x)
    model.init_state(2)
    close(found[:, -1], [model(x[:, step]) for step in range(5)][-1])


@pytest.mark.parametrize(
    ("layer", "shape", "together"),
    [
        (nn.Dropout1d(0.7), (64, 5, 40), (1,)),
        (nn.Dropout2d(0.3), (64, 2, 3, 40), (1, 2)),
        (nn.Dropout2d(0.3, channel_axis=0), (64, 40, 2, 3), (2, 3)),
        (nn.Dropout3d(0.5), (64, 2, 2, 2, 40), (1, 2, 3)),
        (nn.AlphaDropout(0.7), (64, 40), ()),
        (nn.FeatureAlphaDropout(0.4), (64, 3, 40), (1,)),
        (nn.FeatureAlphaDropout(0.4, channel_axis=1), (64, 40, 3), (2,)),
        (nn.DropoutFixed((40,), 0.6), (64, 40), ()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_dropout_in_training(layer: Any, shape: tuple[int, ...], together: Any) -> None:
    """The same values on both sides, in the same shares, dropped together along the same axes."""
    x = jnp.ones(shape)
    module, variables = to_linen(layer, training=True)
    found, _ = module.apply(variables, x, rngs=KEY, mutable=["carry"])
    with environ.context(fit=True), random.seed_context(1):
        nn.init_all_states(layer, shape[0])
        expected = layer(x)
    values, counts = np.unique(found, return_counts=True)
    others, shares = np.unique(expected, return_counts=True)
    assert len(values) == 2
    close(values, others)
    drawn = x.size / np.prod([shape[axis] for axis in together])
    np.testing.assert_allclose(counts / x.size, shares / x.size, atol=5 * np.sqrt(0.5 / drawn))
    for axis in together:
        np.testing.assert_array_equal(
            found, jnp.broadcast_to(jnp.max(found, axis, keepdims=True), shape)
        )
    module, variables = to_linen(layer)
    np.testing.assert_array_equal(module.apply(variables, x), x)


def test_a_mask_goes_along() -> None:
    layer, x = nn.DropoutFixed((6,), 0.5), jnp.ones((4, 6))
    layer.init_state(4)
    module, variables = to_linen(layer, training=True)
    with environ.context(fit=True):
        np.testing.assert_array_equal(module.apply(variables, x), layer(x))
    np.testing.assert_array_equal(from_linen(module, variables).mask.value, layer.mask.value)
    with pytest.raises(ValueError, match="Leave the collection 'carry' out"):
        module.apply(variables, x[:2])


def test_random_slopes_lie_between_the_bounds() -> None:
    module, _ = to_linen(nn.RReLU(0.2, 0.4))
    y = module.apply({}, -jnp.ones(1000), rngs=KEY)
    assert y.min() >= -0.4
    assert y.max() <= -0.2
    assert y.max() - y.min() > 0.15


def test_a_padding_is_checked_in_the_call() -> None:
    with pytest.raises(ValueError, match="2 pairs"):
        companions.ZeroPad2d(((1, 1),)).apply({}, jnp.ones((2, 2, 1)))
    with pytest.raises(ValueError, match="takes 2 axes, channels"):
        companions.ReflectionPad2d(1).apply({}, jnp.ones((2, 2)))


@pytest.mark.parametrize(
    "layer",
    [
        companions.SparseLinear(3, 4, [0, 7], [3, 1]),
        companions.SparseLinear(3, 4, [0, -1], [3, 1]),
        companions.FixedNumConn(3, 4, [[0], [1]], [2, 2], "post"),
        companions.FixedNumConn(3, 4, [[0], [4]], [0, 1]),
    ],
    ids=["behind", "before", "twice", "beyond"],
)
def test_connections_that_are_none(layer: Any) -> None:
    variables = layer.init(jax.random.key(0), jnp.ones((2, 3)))
    with pytest.raises(UnsupportedConfigurationError):
        from_linen(layer, variables)


def test_every_layer_that_linen_exports_is_known() -> None:
    """One that a new release adds stands here by name."""
    layers: dict[str, Any] = {
        name: value
        for name, value in vars(linen).items()
        if isinstance(value, type) and issubclass(value, linen.Module)
    }
    bases = {"Module", "RNNCellBase", "Sequential"}
    unknown = [n for n, v in layers.items() if n not in bases and not for_foreign(BRIDGE, v)]
    assert not unknown


def test_a_network_without_connections_has_a_weight_all_the_same() -> None:
    ours = nn.FixedNumConn(3, 2, 0.5, 0.5, afferent_ratio=0.0)
    module, variables = to_linen(ours)
    x = jnp.ones((4, 3))
    np.testing.assert_array_equal(module.apply(variables, x), ours(x))
