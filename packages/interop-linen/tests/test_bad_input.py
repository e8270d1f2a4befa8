"""What cannot be converted: the right error class, the place, the reason and a way out."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from interop_core import (
    InteropError,
    MissingShapeError,
    NotAModelError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    nn,
)
from interop_core.options import parameters
from interop_linen import _framework, from_linen, to_linen


class Subclass(linen.Dense):
    pass


class SubCell(linen.LSTMCell):
    pass


class Compact(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        return linen.Dense(3)(x) + 1


class Around(linen.Module):
    inner: linen.Module

    def __call__(self, x: Any) -> Any:
        return self.inner(x)


class OwnStack(linen.Sequential):
    pass


class Scale(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        return x * self.param("scale", linen.initializers.ones, (4,))


def imported(module: Any, x: Any = None, **options: Any) -> Any:
    variables = module.init(jax.random.key(0), jnp.ones((1, 4)) if x is None else x)
    return from_linen(module, variables, **options)


@pytest.mark.parametrize(
    ("module", "error", "words"),
    [
        (Subclass(3), UnmappedLayerError, "extends Dense"),
        (Scale(), UnmappedLayerError, "register_layer_mapping"),
        (Compact(), UnsupportedStructureError, "forward of its own"),
        (Around(linen.Dense(3)), UnsupportedStructureError, "forward of its own"),
        (OwnStack([linen.Dense(3)]), UnsupportedStructureError, "forward of its own"),
        (linen.remat(linen.Dense)(3), UnmappedLayerError, "extends Dense"),
    ],
)
def test_modules_without_a_row(module: Any, error: type[InteropError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        imported(module)
    assert type(caught.value) is error
    assert caught.value.path == ()
    with pytest.raises(error) as caught:
        imported(linen.Sequential([linen.Dense(4), module]))
    assert caught.value.path == ("layers", 1)


def test_a_subclassed_cell_is_no_structure_of_its_own() -> None:
    cell, x = SubCell(3), jnp.ones((1, 4))
    variables = cell.init(jax.random.key(0), cell.initialize_carry(jax.random.key(0), x.shape), x)
    with pytest.raises(UnmappedLayerError, match="extends LSTMCell"):
        from_linen(cell, variables)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (linen.Dense, "the class Dense"),
        (None, "None"),
        (linen.relu, "the function relu"),
        (partial(linen.max_pool, window_shape=(2, 2)), "max_pool"),
        (3, "int"),
        (nn.Linear, "the class Linear"),
    ],
)
def test_what_is_no_module(value: Any, words: str) -> None:
    with pytest.raises(NotAModelError, match=words) as caught:
        from_linen(value, {})
    assert "flax.linen" in caught.value.advice


@pytest.mark.parametrize("value", [linen.Dense(3), None, nn.Linear, jnp.tanh])
def test_what_is_no_core_model(value: Any) -> None:
    with pytest.raises(NotAModelError):
        to_linen(value)


def test_elements_that_are_no_layers() -> None:
    elements: list[Any] = [linen.relu, linen.Dense, None, 3, partial(linen.Dense, 3)]
    stack = linen.Sequential(elements)
    with pytest.raises(NotAModelError) as caught:
        from_linen(stack, {})
    places = [(problem.path, problem.error) for problem in caught.value.problems]
    assert places == [
        (("layers", 1), NotAModelError),
        (("layers", 2), NotAModelError),
        (("layers", 3), NotAModelError),
        (("layers", 4), NotAModelError),
    ]


@pytest.mark.parametrize("function", [lambda x: x, jnp.sin, partial(linen.gelu, True)])
def test_functions_without_a_row(function: Any) -> None:
    with pytest.raises((UnsupportedLayerError, UnmappedLayerError)) as caught:
        from_linen(linen.Sequential([function]), {})
    assert caught.value.path == ("layers", 0)


def test_bound_modules() -> None:
    dense, x = linen.Dense(3), jnp.ones((1, 4))
    variables = dense.init(jax.random.key(0), x)
    with pytest.raises(NotAModelError, match=r"bound.*unbind") as caught:
        from_linen(dense.bind(variables), variables)
    assert caught.value.path == ()
    stack = linen.Sequential([linen.relu, dense.bind(variables)])
    with pytest.raises(NotAModelError, match="bound") as caught:
        from_linen(stack, {})
    assert caught.value.path == ("layers", 1)
    with pytest.raises(NotAModelError, match="bound"):
        from_linen(linen.Sequential([dense]).bind({"params": {"layers_0": {}}}), {})
    seen: list[Any] = []

    class Leaks(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            seen.append(linen.Dense(3))
            return seen[-1](x)

    Leaks().init(jax.random.key(0), x)
    with pytest.raises(NotAModelError, match="bound"):
        from_linen(seen[-1], variables)
    unbound, own = dense.bind(variables).unbind()
    assert from_linen(unbound, own).out_size == (3,)


@pytest.mark.parametrize(
    ("module", "x", "sample", "words"),
    [
        (linen.Conv(4, (3, 3)), (1, 8, 8, 3), None, "pass sample_input"),
        (linen.Conv(4, (3, 3)), (1, 8, 8, 3), (3, 8, 8), "3 channels"),
        (linen.Conv(4, (3, 3)), (1, 8, 8, 3), (8, 3), "sample_input"),
        (linen.Conv(4, (3, 3)), (1, 8, 8, 3), (1, 8, 8, 3), "sample_input"),
        (linen.BatchNorm(use_running_average=True), (1, 4), None, "pass sample_input"),
        (linen.BatchNorm(use_running_average=True), (1, 4), (4, 3), "sample_input"),
        (linen.LayerNorm(feature_axes=1), (1, 4, 3), None, "feature_axes|pass sample_input"),
        (linen.LayerNorm(feature_axes=(-2, -1)), (1, 4, 3), (3, 4), "sample_input"),
        (linen.LayerNorm(feature_axes=(-3, -1)), (1, 4, 3, 2), None, "pass sample_input"),
        (linen.LayerNorm(use_scale=False, use_bias=False), (1, 4), None, "neither scale nor"),
        (linen.GroupNorm(2, use_scale=False, use_bias=False), (1, 4), None, "neither scale nor"),
        (linen.Dense(3), (1, 4), (5,), "4 channels"),
        (linen.Dense(3), (1, 4), "image", "neither an array nor a tuple"),
        (linen.Dense(3), (1, 4), (0, 4), "positive"),
    ],
)
def test_shapes_that_are_missing_or_do_not_fit(
    module: Any, x: tuple[int, ...], sample: Any, words: str
) -> None:
    with pytest.raises(MissingShapeError, match=words):
        imported(module, jnp.ones(x), sample_input=sample)


def _product(*arguments: Any, **options: Any) -> Any:
    return jax.lax.dot_general(*arguments, **options)


def _promote(*arrays: Any, **options: Any) -> Any:
    return list(arrays)


@pytest.mark.parametrize(
    ("module", "option"),
    [
        (linen.Dense(3, dot_general=_product), "dot_general"),
        (linen.Dense(3, dot_general_cls=lambda: jax.lax.dot_general), "dot_general_cls"),
        (linen.Dense(3, promote_dtype=_promote), "promote_dtype"),
        (linen.LayerNorm(force_float32_reductions=False), "force_float32_reductions"),
        (linen.RMSNorm(force_float32_reductions=False), "force_float32_reductions"),
        (linen.GroupNorm(2, force_float32_reductions=False), "force_float32_reductions"),
        (linen.LayerNorm(feature_axes=0), "feature_axes"),
        (linen.Dropout(1.5, deterministic=True), None),
    ],
)
def test_options_that_the_core_has_not(module: Any, option: str | None) -> None:
    with pytest.raises(UnsupportedConfigurationError) as caught:
        imported(module, sample_input=None if option is None else (4,))
    assert caught.value.field == option
    if option is not None:
        assert option in str(caught.value) or "batch axis" in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "EDGE"},
        {"padding": [[1, 1], [1, 1]]},
        {"padding": (1, 1, 1)},
        {"padding": "CAUSAL"},
        {"padding": "CIRCULAR", "input_dilation": 2},
        {"conv_general_dilated": _product},
        {"mask": np.ones((3, 3, 1, 1), np.float32)},
    ],
)
def test_convolutions_that_the_core_has_not(options: dict[str, Any]) -> None:
    module = linen.Conv(4, (3, 3), use_bias=False, **options)
    variables = {"params": {"kernel": jnp.ones((3, 3, 2, 4))}}
    with pytest.raises(UnsupportedConfigurationError) as caught:
        from_linen(module, variables, sample_input=(8, 8, 2))
    assert caught.value.field in options
    assert len(caught.value.problems) == 1


def test_every_problem_of_a_model_comes_at_once() -> None:
    model = nn.Sequential(
        nn.LSTMCell(4, 4, activation="soft_shrink"),
        nn.Sequential(nn.Embedding(3, 4, padding_idx=0), nn.MaxPool1d(2, return_indices=True)),
        nn.BatchNorm0d(4, affine=False, track_running_stats=False),
        nn.SpikeBitwise(),
    )
    with pytest.raises(UnsupportedConfigurationError) as caught:
        to_linen(model)
    found = {(problem.path, problem.field) for problem in caught.value.problems}
    assert found == {
        (("layers", 0), "activation"),
        (("layers", 1, "layers", 0), "padding_idx"),
        (("layers", 1, "layers", 1), "return_indices"),
        (("layers", 2), "track_running_stats"),
        (("layers", 3), None),
    }


def test_a_cell_stands_alone() -> None:
    stack = linen.Sequential([linen.LSTMCell(4)])
    with pytest.raises(UnsupportedStructureError, match="carry") as caught:
        from_linen(stack, {"params": {"layers_0": {"ii": {"kernel": jnp.ones((4, 4))}}}})
    assert caught.value.path == ("layers", 0)


def test_a_module_for_an_activation_is_no_function() -> None:
    cell = linen.LSTMCell(3, gate_fn=linen.PReLU())
    kernels = {f"i{gate}": {"kernel": jnp.ones((4, 3))} for gate in "ifgo"}
    biased = {f"h{gate}": {"kernel": jnp.ones((3, 3)), "bias": jnp.ones(3)} for gate in "ifgo"}
    with pytest.raises(UnsupportedConfigurationError, match="no plain function") as caught:
        from_linen(cell, {"params": {**kernels, **biased}})
    assert caught.value.field == "gate_fn"


def test_a_new_parameter_of_a_layer_is_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a later release of flax adds is refused as soon as it is off its default.
    known = parameters(linen.Dense)
    monkeypatch.setitem(known, "sparsity", 0.0)
    module = linen.Dense(3)
    object.__setattr__(module, "sparsity", 0.5)
    variables = {"params": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}}
    _framework._read.cache_clear()
    with pytest.raises(UnsupportedConfigurationError, match=r"sparsity=0\.5 is not understood"):
        from_linen(module, variables)
    _framework._read.cache_clear()
