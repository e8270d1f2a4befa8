"""Variables that do not fit their module: one error that names every leaf."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import linen

from interop_core import (
    LayerMapping,
    VariablesError,
    explain,
    nn,
    register_layer_mapping,
    registrations,
)
from interop_linen import from_linen

MODULE = linen.Sequential(
    [linen.Dense(3), linen.relu, linen.Sequential([linen.LayerNorm(), linen.Dense(2)])]
)
ONES = jnp.ones(3)


def variables() -> dict[str, Any]:
    return {
        "params": {
            "layers_0": {"kernel": jnp.ones((4, 3)), "bias": ONES},
            "layers_2": {
                "layers_0": {"scale": ONES, "bias": ONES},
                "layers_1": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)},
            },
        }
    }


def refused(tree: Any, *names: str, module: Any = MODULE) -> VariablesError:
    with pytest.raises(VariablesError) as caught:
        from_linen(module, tree)
    for name in names:
        assert re.search(rf"(?<![\w/]){re.escape(name)}(?![\w/])", str(caught.value)), name
    return caught.value


def test_the_tree_itself_fits() -> None:
    assert len(from_linen(MODULE, variables()).layers) == 3


def test_missing_leaves_are_named() -> None:
    tree = variables()
    del tree["params"]["layers_0"]["kernel"], tree["params"]["layers_2"]["layers_1"]
    error = refused(
        tree,
        "params/layers_0/kernel",
        "params/layers_2/layers_1/kernel",
        "params/layers_2/layers_1/bias",
    )
    assert [problem.path for problem in error.problems] == [
        ("layers", 0),
        ("layers", 2, "layers", 1),
    ]
    assert "layers_0/bias" not in str(error)


def test_missing_statistics_are_named() -> None:
    module = linen.Sequential([linen.BatchNorm(use_running_average=True)])
    params = {"params": {"layers_0": {"scale": ONES, "bias": ONES}}}
    with pytest.raises(VariablesError, match=r"batch_stats/layers_0/mean, .*/layers_0/var"):
        from_linen(module, params, sample_input=(3,))


def test_left_over_leaves_are_named_wherever_they_are() -> None:
    tree = variables()
    tree["params"]["layers_0"]["scale"] = ONES
    tree["params"]["layers_1"] = {"kernel": ONES}
    tree["params"]["head"] = ONES
    tree["params"]["layers_2"]["layers_9"] = {"inner": {"bias": ONES}}
    tree["batch_stats"] = {"layers_2": {"layers_0": {"mean": ONES}}}
    tree["cache"] = {"index": ONES}
    refused(
        tree,
        "params/layers_0/scale",
        "params/layers_1/kernel",
        "params/head",
        "params/layers_2/layers_9/inner/bias",
        "batch_stats/layers_2/layers_0/mean",
        "cache/index",
    )


def test_empty_places_hold_nothing() -> None:
    tree = variables()
    tree["batch_stats"] = {}
    tree["params"]["layers_1"] = {}
    tree["params"]["layers_0"]["scale"] = None
    assert len(from_linen(MODULE, tree).layers) == 3


def test_misshapen_leaves_are_named_with_their_shapes() -> None:
    tree = variables()
    tree["params"]["layers_0"]["kernel"] = jnp.ones((4, 5))
    tree["params"]["layers_2"]["layers_0"]["bias"] = jnp.ones(7)
    tree["params"]["layers_2"]["layers_1"]["kernel"] = jnp.ones((1, 3, 2))
    error = refused(
        tree,
        "params/layers_0/kernel",
        "params/layers_2/layers_0/bias",
        "params/layers_2/layers_1/kernel",
    )
    assert "(4, 5)" in str(error)
    assert len(error.problems) == 3


def test_every_kind_of_misfit_comes_at_once() -> None:
    tree = variables()
    del tree["params"]["layers_0"]["bias"]
    tree["params"]["layers_0"]["kernel"] = jnp.ones((4, 3, 1))
    tree["params"]["extra"] = ONES
    strange: Any = (1,)
    tree["params"]["layers_2"]["layers_0"]["scale"] = linen.Partitioned(ONES, strange)
    error = refused(
        tree,
        "params/layers_0/bias",
        "params/layers_0/kernel",
        "params/extra",
        "params/layers_2/layers_0/scale",
    )
    assert all(problem.error is VariablesError for problem in error.problems)


def test_a_tied_layer_has_its_variables_once() -> None:
    dense = linen.Dense(4)
    module = linen.Sequential([dense, dense])
    tree = module.init(jax.random.key(0), jnp.ones((1, 4)))
    twice = {"params": {**tree["params"], "layers_1": tree["params"]["layers_0"]}}
    refused(twice, "params/layers_1/kernel", "params/layers_1/bias", module=module)
    moved = {"params": {"layers_1": tree["params"]["layers_0"]}}
    refused(moved, "params/layers_0/kernel", "params/layers_1/kernel", module=module)


class Box(linen.Partitioned[Any]):
    """A box that may hold anything else besides."""


def test_boxes_that_nobody_knows_are_named_and_left_alone() -> None:
    module = linen.Dense(3)
    tree: Any = {"params": {"kernel": Box(jnp.ones((4, 3)), (None, "x")), "bias": ONES}}
    error = refused(tree, "params/kernel", module=module)
    assert "(Box)" in str(error)
    assert "linen.unbox" in error.advice
    assert type(tree["params"]["kernel"]) is Box
    assert from_linen(module, linen.unbox(tree)).in_size == (4,)


def test_a_mapping_written_by_hand_gets_no_boxes() -> None:
    class Own(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            kernel: Any = linen.with_partitioning(linen.initializers.ones, (None, "x"))
            return x @ self.param("kernel", kernel, (4, 3))

    def to_core(pair: Any, _: Any) -> nn.Module:
        layer = nn.Linear(4, 3, b_init=None)
        layer.weight.value = {"weight": pair[1]["params"]["kernel"]}
        return layer

    mapping = LayerMapping(nn.Linear, "linen", Own, to_core, lambda layer, _: layer)
    tree = Own().init(jax.random.key(0), jnp.ones((1, 4)))
    with registrations():
        register_layer_mapping(mapping)
        error = refused(tree, "params/kernel", module=Own())
        assert type(from_linen(Own(), linen.unbox(tree))) is nn.Linear
    assert "linen.unbox" in error.advice


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (None, "NoneType"),
        (jnp.ones(3), "not a dict"),
        ([], "list"),
        ({"kernel": jnp.ones((4, 3)), "bias": ONES}, "kernel, bias in the variables is no coll"),
    ],
)
def test_what_is_no_tree_of_collections(tree: Any, words: str) -> None:
    with pytest.raises(VariablesError, match=words) as caught:
        from_linen(linen.Dense(3), tree)
    assert "whole tree" in caught.value.advice


def test_params_alone_are_told_to_bring_the_tree() -> None:
    error = refused(variables()["params"], "params/layers_0/kernel")
    assert "whole tree" in str(error)


def test_an_array_where_a_layer_is_expected() -> None:
    tree = variables()
    tree["params"]["layers_2"] = ONES
    refused(tree, "params/layers_2", "params/layers_2/layers_0/scale")
    tree = variables()
    tree["params"]["layers_0"] = ONES
    refused(tree, "params/layers_0/kernel")


def test_a_leaf_that_is_no_array() -> None:
    tree = variables()
    tree["params"]["layers_0"]["bias"] = [1.0, 2.0, 3.0]
    with pytest.raises(Exception, match="params/layers_0/bias is a list, not an array"):
        from_linen(MODULE, tree)


def test_an_explanation_shows_the_same_problems() -> None:
    tree = variables()
    tree["params"]["head"] = ONES
    del tree["params"]["layers_0"]["bias"]
    shown = explain((MODULE, tree), "core")
    assert not shown.convertible
    assert "params/head" in str(shown)
    assert "params/layers_0/bias" in str(shown)
