"""Stacks of layers, against the published one."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import graph, nn

STACKS: dict[str, Any] = {
    "relu first": lambda nn: (nn.ReLU(), nn.Linear(4, 2)),
    "relu last": lambda nn: (nn.Linear(4, 2), nn.ReLU()),
    "only relu": lambda nn: (nn.ReLU(), nn.ReLU()),
    "function": lambda nn: (nn.Linear(4, 2), jnp.tanh),
    "two functions": lambda nn: (nn.Linear(4, 2), lambda x: x, jnp.tanh),
    "embedding": lambda nn: (nn.Embedding(7, 4), nn.Linear(4, 2)),
    "embedding and relu": lambda nn: (nn.Embedding(7, 4), nn.ReLU()),
    "nested": lambda nn: (nn.Sequential(nn.Linear(4, 2)), nn.Linear(2, 3)),
    "nested last": lambda nn: (nn.Linear(4, 2), nn.Sequential(nn.ReLU(), nn.Tanh())),
    "pool": lambda nn: (nn.MaxPool2d(2),),
    "image": lambda nn: (
        nn.Conv2d((8, 8, 3), 4, 3),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(64, 2),
        nn.ReLU(),
        jnp.tanh,
        nn.Dropout(0.5),
    ),
    "norm": lambda nn: (nn.Linear(4, 2), nn.RMSNorm(2), nn.ReLU()),
    "flatten last": lambda nn: (nn.Conv2d((8, 8, 3), 4, 3), nn.Flatten()),
    "cell": lambda nn: (nn.LSTMCell(3, 4), nn.ReLU()),
}


def stack() -> nn.Sequential:
    """Three layers."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.mark.parametrize("name", STACKS)
def test_sizes_are_the_published_ones(name: str) -> None:
    ours = nn.Sequential(*STACKS[name](nn))
    published = brainstate.nn.Sequential(*STACKS[name](brainstate.nn))
    assert ours.in_size == published.in_size
    assert ours.out_size == published.out_size
    for mine, theirs in zip(ours.layers, published.layers, strict=True):
        for size in ("in_size", "out_size"):
            assert getattr(mine, size, None) == getattr(theirs, size, None)


def test_layers_are_called_in_turn() -> None:
    model = stack()
    x = jnp.ones((3, 4))
    want = model[2](jax.nn.relu(model[0](x)))
    assert model(x).tolist() == want.tolist()


def test_first_layer_takes_all_arguments() -> None:
    model = nn.Sequential(lambda x, y, z=0: x + y + z, lambda x: x * 2)
    assert model(1, 2) == 6
    assert model(1, 2, z=3) == 12


def test_empty_stack_is_the_identity() -> None:
    model = nn.Sequential()
    assert model(3) == 3
    assert model(1, 2) == (1, 2)
    assert (model.in_size, model.out_size, len(model)) == (None, None, 0)
    assert model.output_size((2, 3)) == (2, 3)
    assert bool(model)
    assert list(model.states()) == []


def test_positions_and_slices() -> None:
    model = stack()
    first, relu, last = model.layers
    assert (model[0], model[-1], len(model)) == (first, last, 3)
    assert list(model) == [first, relu, last]
    assert model[1:].layers == [relu, last]
    assert model[(0, 2)].layers == [first, last]
    assert (model[:1].in_size, model[:1].out_size) == ((4,), (8,))
    assert model[0:0].layers == []
    with pytest.raises(IndexError):
        model[9]


def test_slices_share_the_layers() -> None:
    model = stack()
    model[:1].layers[0].weight.value = {"weight": jnp.zeros((4, 8)), "bias": jnp.ones(8)}
    assert model(jnp.ones(4)).shape == (2,)
    assert model[0].weight.value["bias"].tolist() == [1.0] * 8


def test_layers_can_be_added() -> None:
    model = stack()
    model.append(nn.Linear(2, 5))
    assert (len(model), model.out_size) == (4, (5,))
    model.extend([jnp.tanh, nn.Linear(5, 6)])
    assert (len(model), model.out_size) == (6, (6,))
    model.insert(0, nn.Linear(3, 4))
    assert (len(model), model.in_size) == (7, (3,))
    assert model(jnp.ones(3)).shape == (6,)
    assert type(model.layers) is list


@pytest.mark.parametrize("layer", [3, None, "relu", [nn.ReLU()], nn.Linear])
def test_what_cannot_be_called_is_refused(layer: Any) -> None:
    with pytest.raises(TypeError, match="Sequential holds"):
        nn.Sequential(layer)
    model = stack()
    for add in (model.append, lambda x: model.extend([x]), lambda x: model.insert(0, x)):
        with pytest.raises(TypeError, match="Sequential holds"):
            add(layer)
    assert len(model) == 3


def test_assigned_sizes_win() -> None:
    model = nn.Sequential(nn.ReLU())
    model.in_size = 3
    model.out_size = (3,)
    assert (model.in_size, model.out_size) == ((3,), (3,))


def test_output_size_is_folded() -> None:
    model = nn.Sequential(
        nn.Conv2d((8, 8, 3), 4, 3), nn.MaxPool2d(2, 2), nn.Flatten(), jnp.tanh, lambda x: x[None]
    )
    assert model.output_size((8, 8, 3)) == (1, 64)


def test_output_size_names_the_layer_that_does_not_fit() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Sequential(jnp.tanh, nn.Linear(3, 2)))
    with pytest.raises(ValueError, match=r"layers\[1\]: layers\[1\]: "):
        model.output_size((4,))
    with pytest.raises(ValueError, match=r"layers\[0\]: the function .* fails on shape \(4,\)"):
        nn.Sequential(lambda x: x.reshape(3)).output_size((4,))
    with pytest.raises(ValueError, match="more than one array"):
        nn.Sequential(lambda x: (x, x)).output_size((4,))


def test_states_have_the_published_paths() -> None:
    published = brainstate.nn.Sequential(brainstate.nn.Linear(4, 8), brainstate.nn.LayerNorm(8))
    ours = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8))
    assert list(ours.states()) == list(published.states())


def test_tied_layers_hold_one_state() -> None:
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, jnp.tanh, layer)
    assert list(graph.leaves(model)) == ["layers.0.weight.weight", "layers.0.weight.bias"]
    moved = jax.tree.map(lambda x: x * 0, model)
    assert moved[0] is moved[2]
    assert not np.asarray(moved(jnp.ones(4))).any()


def test_name_and_configuration() -> None:
    assert nn.Sequential(name="body").name == "body"
    assert graph.configuration(nn.Sequential(jnp.tanh, name="body")) == {"name": "body"}


def test_descriptions_are_built_for_the_size_before() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear.desc(out_size=5))
    assert (model[2].in_size, model.out_size) == ((3,), (5,))
    model.append(nn.Linear.desc(out_size=4, b_init=None))
    model.extend([nn.LayerNorm.desc(), nn.Linear.desc(out_size=1)])
    # The published one inserts behind the last-but-one here, against its documentation.
    model.insert(-1, nn.Linear.desc(out_size=4))
    assert [type(layer).__name__ for layer in model[-3:]] == ["LayerNorm", "Linear", "Linear"]
    assert model(jnp.ones(2)).shape == (1,)
    with pytest.raises(ValueError, match="do not say its size"):
        nn.Sequential(abs, nn.Linear.desc(out_size=5))
    for index in (9, -9):
        with pytest.raises(IndexError, match="no position"):
            model.insert(index, nn.ReLU())


def test_descriptions() -> None:
    described = nn.Linear.desc(2, b_init=None)
    assert described.identifier == (nn.Linear, (2,), {"b_init": None})
    assert (described.cls, described.args, described.kwargs) == described.identifier
    one, two = described(3), described.init(3, name="x")
    assert (one.in_size, one.out_size, one.b_init, two.name) == ((2,), (3,), None, "x")
    assert one.weight is not two.weight
    assert described(3, b_init=nn.init.ZeroInit()).b_init is not None
    assert described == nn.Linear.desc(2, b_init=None)
    assert hash(described) == hash(nn.Linear.desc(2, b_init=None))
    assert described not in (nn.Linear.desc(3, b_init=None), nn.Linear.desc(2), 3)
    assert repr(described) == "ParamDescriber(Linear(2, b_init=None))"
