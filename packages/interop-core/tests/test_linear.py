"""The fully connected layer against the published one and against the formula."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn
from interop_core.state import LongTermState


class Frozen(LongTermState[Any]):
    """A parameter that is not trained."""


MASK = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]], np.float32)


def agree(ours: Any, published: Any, rtol: float = 1e-6) -> None:
    """The same dtype, shape and numbers. The default leaves room for another order of sums."""
    assert ours.dtype == published.dtype
    assert ours.shape == published.shape
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


def pair(*args: Any, **options: Any) -> tuple[nn.Linear, Any]:
    """Our layer and the published one, with the same parameters."""
    options = {"w_init": lambda shape: sample(*shape), **options}
    published = brainstate.nn.Linear(*args, **options)
    ours = nn.Linear(*args, **options)
    assert jax.tree.map(jnp.shape, ours.weight.value) == jax.tree.map(
        jnp.shape, published.weight.value
    )
    value = dict(published.weight.value)
    if "bias" in value:
        value["bias"] = jnp.linspace(-1, 1, value["bias"].size, dtype=value["bias"].dtype)
    ours.weight.value = published.weight.value = value
    return ours, published


def sample(*shape: int, dtype: Any = jnp.float32) -> jax.Array:
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return jnp.asarray(values.astype(np.float32).astype(dtype))


OPTIONS = [
    pytest.param((3, 4), {}, id="plain"),
    pytest.param((3, 4), {"b_init": None}, id="no bias"),
    pytest.param(((3,), (4,)), {}, id="tuples"),
    pytest.param(((2, 3), [2, 4]), {}, id="leading sizes"),
    pytest.param((3, 4), {"w_mask": MASK}, id="array mask"),
    pytest.param((3, 4), {"w_mask": MASK.astype(bool)}, id="boolean mask"),
    pytest.param((3, 4), {"w_mask": MASK[:, :1]}, id="broadcast mask"),
    pytest.param((3, 4), {"w_mask": 0.5}, id="number mask"),
    pytest.param((3, 4), {"w_mask": lambda shape: jnp.full(shape, 2.0)}, id="callable mask"),
    pytest.param((3, 4), {"w_init": np.float32(1) + MASK}, id="given kernel"),
]


class TestAgainstPublished:
    @pytest.mark.parametrize("args, options", OPTIONS)
    def test_sizes(self, args: Any, options: Any) -> None:
        ours, published = pair(*args, **options)
        assert ours.in_size == published.in_size
        assert ours.out_size == published.out_size
        assert ours.output_size(ours.in_size) == ours.out_size

    @pytest.mark.parametrize("args, options", OPTIONS)
    @pytest.mark.parametrize("lead", [(), (2,), (5, 2)])
    def test_forward(self, args: Any, options: Any, lead: tuple[int, ...]) -> None:
        ours, published = pair(*args, **options)
        x = sample(*lead, ours.in_size[-1])
        agree(ours(x), published(x))
        agree(jax.jit(ours.update)(x), published(x))
        assert ours.output_size(x.shape) == ours(x).shape

    @pytest.mark.parametrize("args, options", OPTIONS)
    def test_gradients(self, args: Any, options: Any) -> None:
        ours, published = pair(*args, **options)
        x = sample(2, ours.in_size[-1])
        theirs = brainstate.transform.grad(
            lambda: (published(x) ** 2).sum(), published.states(brainstate.ParamState)
        )()
        grads = graph.leaves(jax.grad(lambda layer: (layer(x) ** 2).sum())(ours))
        for key, value in theirs[("weight",)].items():
            agree(grads[f"weight.{key}"], value, rtol=1e-5)
        agree(
            jax.grad(lambda x: (ours(x) ** 2).sum())(x),
            jax.grad(lambda x: (published(x) ** 2).sum())(x),
            rtol=1e-5,
        )

    def test_vmap(self) -> None:
        ours, published = pair(3, 4)
        x = sample(5, 2, 3)
        agree(jax.vmap(ours)(x), published(x))

    @pytest.mark.parametrize("stored", ["float32", "bfloat16", "float16"])
    @pytest.mark.parametrize("given", ["float32", "bfloat16", "float16", "int32", "bool"])
    def test_dtypes_promote(self, stored: str, given: str) -> None:
        ours, published = pair(3, 4)
        value = jax.tree.map(lambda a: a.astype(stored), published.weight.value)
        ours.weight.value = published.weight.value = value
        x = (10 * sample(2, 3)).astype(given)
        # One rounding of the coarsest type: both sum in the same precision but not one order.
        agree(ours(x), published(x), rtol=2**-7 if "bfloat16" in (stored, given) else 2**-9)

    def test_double_precision(self) -> None:
        with environ.context(precision=64):
            ours = nn.Linear(3, 4)
            assert ours.weight.value["weight"].dtype == np.float64
            x = np.random.default_rng(0).normal(size=(2, 3))
            y = ours(jnp.asarray(x))
            value = {k: np.asarray(v) for k, v in ours.weight.value.items()}
            np.testing.assert_allclose(y, x @ value["weight"] + value["bias"], rtol=1e-14)

    def test_numpy_inputs_and_parameters(self) -> None:
        ours, published = pair(3, 4)
        ours.weight.value = jax.tree.map(np.asarray, ours.weight.value)
        x = np.random.default_rng(0).normal(size=(2, 3))
        agree(ours(x), published(x))


class TestOptions:
    @pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
    def test_compute_dtype(self, dtype: str) -> None:
        layer = nn.Linear(3, 4, dtype=dtype, w_mask=MASK)
        x = sample(2, 3)
        y = layer(x)
        assert y.dtype == dtype
        assert layer.weight.value["weight"].dtype == np.float32
        value = layer.weight.value
        kernel = (value["weight"] * MASK).astype(dtype)
        agree(y, jnp.dot(x.astype(dtype), kernel) + value["bias"].astype(dtype))

    def test_precision_reaches_the_product(self) -> None:
        layer = nn.Linear(3, 4, precision="highest")
        assert "HIGHEST" in str(jax.make_jaxpr(layer.update)(sample(2, 3)))
        assert "HIGHEST" not in str(jax.make_jaxpr(nn.Linear(3, 4).update)(sample(2, 3)))

    def test_masked_entries_get_no_gradient(self) -> None:
        layer = nn.Linear(3, 4, w_mask=MASK)
        grad = jax.grad(lambda layer: layer(jnp.ones((2, 3))).sum())(layer)
        np.testing.assert_array_equal(grad.weight.value["weight"], 2 * MASK)

    def test_arguments_read_back(self) -> None:
        options: dict[str, Any] = {
            "w_init": nn.init.Normal(),
            "b_init": None,
            "w_mask": MASK,
            "name": "head",
            "param_type": Frozen,
            "dtype": "bfloat16",
            "precision": "high",
        }
        layer = nn.Linear(3, 4, **options)
        config = graph.configuration(layer)
        assert config.pop("in_size") == (3,)
        assert config.pop("out_size") == (4,)
        assert config == options
        assert type(layer.weight) is options["param_type"]
        assert "bias" not in nn.Linear(**graph.configuration(layer)).weight.value

    def test_numbers_fill_a_parameter(self) -> None:
        value = nn.Linear(3, 4, w_init=2.0, b_init=np.ones((1,), np.float32)).weight.value
        np.testing.assert_array_equal(value["weight"], np.full((3, 4), 2.0))
        assert value["bias"].shape == (4,)

    def test_given_arrays_live_in_the_state_alone(self) -> None:
        one, two = (nn.Linear(3, 4, w_init=jnp.full((3, 4), v)) for v in (1.0, 2.0))
        assert jax.tree.map(jnp.subtract, two, one).weight.value["weight"].sum() == 12
        with pytest.raises(ValueError, match="was built around an array"):
            nn.Linear(**graph.configuration(one))

    @pytest.mark.parametrize("sizes", [((), 4), (3, ()), ((), ())])
    def test_numbers_have_no_axis_of_features(self, sizes: Any) -> None:
        layer = nn.Linear(*sizes)
        inputs, outputs = (size or 1 for size in sizes)
        with_axes = nn.Linear(inputs, outputs, w_init=layer.weight.value["weight"])
        x = np.random.default_rng(0).normal(size=(2, 5, *layer.in_size)).astype(np.float32)
        y = layer(x)
        assert y.shape == layer.output_size(x.shape) == (2, 5, *layer.out_size)
        expected = with_axes(x.reshape(2, 5, *with_axes.in_size))
        np.testing.assert_array_equal(y.ravel(), expected.ravel())
        assert graph.configuration(layer)["in_size"] == layer.in_size

    @pytest.mark.parametrize("sizes", [(3, 0), (0, 4)])
    def test_empty(self, sizes: Any) -> None:
        layer = nn.Linear(*sizes)
        np.testing.assert_array_equal(layer(jnp.ones((2, sizes[0]))), np.zeros((2, sizes[1])))


class TestAbstract:
    def test_nothing_is_computed(self) -> None:
        with nn.init.abstract(), jax.transfer_guard("disallow_explicit"):
            layer = nn.Linear(3, 4, w_mask=MASK)
        leaf = layer.weight.value["weight"]
        assert isinstance(leaf, jax.ShapeDtypeStruct)
        assert leaf == jax.ShapeDtypeStruct((3, 4), np.float32)
        assert layer.w_mask is MASK

    def test_from_a_layer_with_given_arrays(self) -> None:
        layer = nn.Linear(3, 4, w_init=jnp.ones((3, 4), jnp.bfloat16), b_init=jnp.ones(4))
        with nn.init.abstract():
            skeleton = nn.Linear(**graph.configuration(layer))
        shapes = jax.eval_shape(lambda: layer)
        assert jax.tree.leaves(skeleton) == jax.tree.leaves(shapes)

    def test_as_an_argument_of_jit(self) -> None:
        layer = nn.Linear(3, 4)
        x = sample(2, 3)
        step = jax.jit(lambda layer, x: layer(x))
        agree(step(layer, x), layer(x))
        with nn.init.abstract():
            skeleton = nn.Linear(3, 4)
        assert jax.eval_shape(step, skeleton, x).shape == (2, 4)


class TestErrors:
    @pytest.mark.parametrize("sizes", [((2, 3), 4), ((2, 3), (5, 4)), ((3,), (2, 4)), ((2, 3), ())])
    def test_sizes_must_agree(self, sizes: Any) -> None:
        with pytest.raises(ValueError, match="agree in every entry before the last"):
            nn.Linear(*sizes)

    @pytest.mark.parametrize("shape", [(2, 5), (), (3, 2)])
    def test_wrong_input(self, shape: tuple[int, ...]) -> None:
        layer = nn.Linear(3, 4)
        with pytest.raises(ValueError, match="expects 3 features on the last axis"):
            layer(jnp.zeros(shape))
        with pytest.raises(ValueError, match="expects 3 features on the last axis"):
            layer.output_size(shape)

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"w_init": None}, "needed here, not None"),
            ({"w_init": jnp.ones((4, 3))}, "does not fit"),
            ({"w_init": lambda shape: jnp.ones((4, 3))}, "made an array of shape"),
            ({"b_init": jnp.ones((3, 4))}, "does not fit"),
            ({"w_mask": jnp.ones((4, 3))}, "does not fit"),
            ({"w_init": "normal"}, "Cannot make"),
        ],
    )
    def test_wrong_parameters(self, options: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            nn.Linear(3, 4, **options)
