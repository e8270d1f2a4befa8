"""Names of axes between Flax Linen, Flax NNX and the core, and what becomes of them in Equinox."""

from __future__ import annotations

import warnings
from typing import Any

import brainstate
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from flax.nnx import bridge

import brainstate_interop
from interop_core import AxisNames, ConversionError, LostNamesWarning, environ, explain, nn
from interop_equinox import to_equinox
from interop_linen import from_linen, to_linen
from interop_nnx import from_nnx, to_nnx

ONES = linen.initializers.ones
RULES = (("out", "x"), ("in", None))


def boxed() -> tuple[Any, Any]:
    """A Linen model with boxes of both kinds, arrays without names, and statistics."""
    module = linen.Sequential(
        [
            linen.Dense(
                3,
                kernel_init=linen.with_partitioning(linen.initializers.normal(), ("in", "out")),
                bias_init=linen.with_logical_partitioning(ONES, ("out",), rules=RULES),
            ),
            linen.relu,
            linen.BatchNorm(
                use_running_average=True, scale_init=linen.with_partitioning(ONES, (None,))
            ),
        ]
    )
    return module, module.init(jax.random.key(0), jnp.ones((1, 4)))


def layout_of(tree: Any) -> Any:
    """Boxes and arrays by place, with the arrays taken out."""
    return jax.tree_util.tree_structure(tree)


def test_linen_to_nnx_and_back_gives_the_same_boxes() -> None:
    module, variables = boxed()
    before = layout_of(variables)
    core = from_linen(module, variables, sample_input=(4,))
    assert layout_of(variables) == before  # the caller's boxes are not emptied
    named = to_nnx(core)
    again = from_nnx(named, sample_input=(4,))
    _, back = to_linen(again)
    assert layout_of(back) == before
    for mine, theirs in zip(*map(jax.tree.leaves, (back, variables)), strict=True):
        assert mine is theirs
    kernel = variables["params"]["layers_0"]["kernel"]
    assert linen.unbox(back)["params"]["layers_0"]["kernel"] is kernel.value
    bias = bridge.variables.to_linen_var(named.layers[0].bias)  # as Flax itself has it
    assert layout_of(bias) == layout_of(variables["params"]["layers_0"]["bias"])
    x = jnp.ones((2, 4))
    with environ.context(fit=False):
        np.testing.assert_allclose(named(x), core(x), rtol=1e-6)


def test_nnx_keeps_what_a_variable_says_without_a_mesh() -> None:
    initializer: Any = nnx.with_partitioning(nnx.initializers.normal(), ("in", "out"))
    with nnx.use_eager_sharding(False):
        model = nnx.Linear(4, 3, kernel_init=initializer, rngs=nnx.Rngs(0))
    core = from_nnx(model, verify=True)
    assert core.weight.axis_names == {"weight": AxisNames(("in", "out"))}
    again: Any = to_nnx(core, copy=True, verify=True)
    assert again.kernel.get_metadata("out_sharding") == ("in", "out")
    assert again.bias.get_metadata().keys() == nnx.Param(jnp.ones(1)).get_metadata().keys()
    assert (
        nnx.get_partition_spec(nnx.state(again))["kernel"]
        == nnx.get_partition_spec(nnx.state(model))["kernel"]
    )
    boxes = to_linen(core)[1]["params"]
    assert type(boxes["kernel"]) is linen.Partitioned
    assert type(boxes["bias"]) is not linen.Partitioned


@pytest.mark.parametrize(
    "layer, example, given",
    [
        (lambda: nn.Conv2d((5, 5, 2), 3, 2), (5, 5, 2), {"kernel": (None, None, "in", "out")}),
        (lambda: nn.Embedding(5, 3), None, {"embedding": ("vocabulary", "out")}),
        (lambda: nn.LayerNorm(3), None, {"scale": ("out",), "bias": ("out",)}),
    ],
    ids=["conv", "embedding", "norm"],
)
def test_layers_keep_names(layer: Any, example: Any, given: dict[str, Any]) -> None:
    module, variables = to_linen(layer())
    params = dict(variables["params"])
    for name, names in given.items():
        params[name] = linen.Partitioned(params[name], names)
    core = from_linen(module, {"params": params}, sample_input=example)
    back = to_linen(from_nnx(to_nnx(core), sample_input=example))[1]
    assert layout_of(back) == layout_of({"params": params})


def cell(hidden: str) -> tuple[Any, Any]:
    module = linen.LSTMCell(4)
    x = jnp.ones((1, 3))
    params: Any = module.init(
        jax.random.key(0), module.initialize_carry(jax.random.key(0), x.shape), x
    )
    for name, entry in params["params"].items():
        entry["kernel"] = linen.Partitioned(
            entry["kernel"], (hidden if name[0] == "h" else "in", "out")
        )
    return module, params


def test_gates_are_joined_where_their_names_agree() -> None:
    module, variables = cell("in")
    core = from_linen(module, variables)
    assert core.W.weight.axis_names == {"weight": AxisNames(("in", "out"), box="Partitioned")}
    assert layout_of(to_linen(core)[1]) == layout_of(variables)
    with pytest.raises(ConversionError, match=r"keep the names .*'in'.* and .*'hidden'.*ii/kernel"):
        from_linen(*cell("hidden"))
    assert type(from_linen(module, linen.unbox(variables))) is nn.LSTMCell


def test_equinox_has_no_place_for_names_and_says_so() -> None:
    core = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    core.layers[0].weight.axis_names = {"weight": AxisNames(("in", "out"))}
    lost = r"layers\[0\] \(nn.Linear\): weight.weight \('in', 'out'\)"
    for convert in (to_equinox, brainstate_interop.to_equinox):
        with pytest.warns(LostNamesWarning, match=lost) as caught:
            model = convert(core, verify=True)
        assert caught[0].filename == __file__
        assert model.layers[0].weight.shape == (3, 4)
    assert "lost: names of axes of layers[0] (nn.Linear): weight.weight" in str(
        explain(core, "equinox")
    )
    core.layers[0].weight.axis_names = None
    with warnings.catch_warnings():
        warnings.simplefilter("error", LostNamesWarning)
        to_equinox(core)


def test_the_published_package_holds_them_as_metadata() -> None:
    brainstate_bridge = pytest.importorskip("interop_brainstate")
    core = nn.Linear(4, 3)
    core.weight.axis_names = {"weight": AxisNames(("in", "out"))}
    there = brainstate_bridge.to_brainstate(core)
    assert isinstance(there, brainstate.nn.Linear)
    assert brainstate_bridge.from_brainstate(there).weight.axis_names == core.weight.axis_names


def test_shapes_keep_names() -> None:
    module, _ = boxed()
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.ones((1, 4)))
    _, back = to_linen(from_linen(module, shapes, sample_input=(4,)))
    assert layout_of(back) == layout_of(shapes)
