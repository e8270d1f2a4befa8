"""Convolutions against the published ones and, where those lack an option, against the formula."""

from __future__ import annotations

from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, graph, nn

CLASSES = {1: "Conv1d", 2: "Conv2d", 3: "Conv3d"}


def agree(ours: Any, published: Any, rtol: float = 1e-5) -> None:
    """The same dtype, shape and numbers. The default is the rounding of a sum of some 100 terms."""
    assert ours.dtype == published.dtype
    assert ours.shape == published.shape
    np.testing.assert_allclose(
        np.asarray(ours, np.float64), np.asarray(published, np.float64), rtol=rtol, atol=rtol
    )


def sample(shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return jnp.asarray(values.astype(np.float32).astype(dtype))


def pair(n: int, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Our layer and the published one, with the same parameters."""
    options = {"w_init": sample, **options}
    published = getattr(brainstate.nn, CLASSES[n])(*args, **options)
    ours = getattr(nn, CLASSES[n])(*args, **options)
    value = {k: sample(v.shape) for k, v in published.weight.value.items()}
    assert jax.tree.map(jnp.shape, ours.weight.value) == jax.tree.map(jnp.shape, value)
    ours.weight.value = published.weight.value = value
    return ours, published


BIAS: dict[str, Any] = {"b_init": nn.init.ZeroInit()}
# Spatial axes, in_size, options; the kernel has length 3 and there are 4 output channels.
ROWS: list[tuple[int, tuple[int, ...], dict[str, Any]]] = [
    (1, (8, 3), {}),
    (1, (8, 3), {"stride": 2, **BIAS}),
    (1, (8, 3), {"padding": (1, 2)}),
    (1, (8, 3), {"padding": [(2, 0)]}),
    (1, (8, 3), {"padding": 2, "rhs_dilation": 2}),
    (1, (3, 8), {"channel_first": True, **BIAS}),
    (2, (8, 7, 4), {}),
    (2, (8, 7, 4), BIAS),
    (2, (8, 7, 4), {"padding": "VALID", "stride": (2, 3)}),
    (2, (8, 7, 4), {"stride": 3}),
    (2, (8, 7, 4), {"padding": 0}),
    (2, (8, 7, 4), {"padding": (1, 2), **BIAS}),
    (2, (8, 7, 4), {"padding": ((1, 2),)}),
    (2, (8, 7, 4), {"padding": ((1, 2), (0, 3)), "stride": 2}),
    (2, (8, 7, 4), {"padding": -1}),
    (2, (8, 7, 4), {"rhs_dilation": (1, 2)}),
    (2, (8, 7, 4), {"lhs_dilation": (2, 1), "padding": 1}),
    (
        2,
        (8, 7, 4),
        {"lhs_dilation": 2, "rhs_dilation": 2, "stride": 3, "padding": ((4, 2), (1, 0))},
    ),
    (2, (8, 7, 4), {"groups": 2, **BIAS}),
    (2, (8, 7, 4), {"groups": 4, "stride": 2}),
    (2, (4, 8, 7), {"channel_first": True, "groups": 2, "stride": 2, **BIAS}),
    (2, (4, 8, 7), {"channel_first": True, "padding": ((1, 2), (0, 3))}),
    (2, (8, 7, 4), {"w_mask": np.tri(3, dtype=np.float32).reshape(3, 3, 1, 1)}),
    (2, (8, 7, 4), {"w_mask": lambda shape: jnp.full(shape, 0.5)}),
    (3, (5, 4, 6, 2), BIAS),
    (3, (5, 4, 6, 2), {"padding": "VALID", "stride": (1, 1, 2)}),
    (3, (5, 4, 6, 2), {"padding": (0, 1, 2), "groups": 2}),
    (3, (2, 5, 4, 6), {"channel_first": True, "rhs_dilation": (1, 1, 2), **BIAS}),
]
CASES = [pytest.param(*row, id=f"{CLASSES[row[0]]} " + " ".join(map(str, row[2]))) for row in ROWS]


class TestAgainstPublished:
    @pytest.mark.parametrize("n, in_size, options", CASES)
    def test_forward_and_sizes(self, n: int, in_size: Any, options: Any) -> None:
        ours, published = pair(n, in_size, 4, 3, **options)
        for name in (
            "in_size",
            "out_size",
            "kernel_size",
            "stride",
            "lhs_dilation",
            "rhs_dilation",
        ):
            assert getattr(ours, name) == tuple(getattr(published, name)), name
        assert ours.padding == published.padding
        assert ours.kernel_shape == tuple(published.kernel_shape)
        assert ours.output_size(in_size) == ours.out_size
        x = sample((2, *in_size))
        expected = published(x)
        agree(jax.jit(ours.update)(x), expected)
        assert jax.eval_shape(ours.update, x[0]).shape == ours.out_size

    @pytest.mark.parametrize("n, in_size, options", CASES[::4])
    def test_gradients(self, n: int, in_size: Any, options: Any) -> None:
        ours, published = pair(n, in_size, 4, 3, **options)
        x = sample((2, *in_size))
        theirs = brainstate.transform.grad(
            lambda: (published(x) ** 2).sum(), published.states(brainstate.ParamState)
        )()
        grads = graph.leaves(jax.grad(lambda layer: (layer(x) ** 2).sum())(ours))
        for key, value in theirs[("weight",)].items():
            agree(grads[f"weight.{key}"], value, rtol=1e-4)
        agree(
            jax.grad(lambda x: (ours(x) ** 2).sum())(x),
            jax.grad(lambda x: (published(x) ** 2).sum())(x),
            rtol=1e-4,
        )

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_low_precision(self, dtype: str) -> None:
        ours, published = pair(2, (8, 7, 4), 4, 3, **BIAS)
        ours.weight.value = published.weight.value = jax.tree.map(
            lambda a: a.astype(dtype), ours.weight.value
        )
        x = sample((2, 8, 7, 4), dtype)
        agree(ours(x), published(x), rtol=2**-6)  # some roundings to 8 bits

    def test_double_precision(self) -> None:
        with environ.context(precision=64):
            layer = nn.Conv1d((5, 2), 3, 2, padding="VALID", b_init=nn.init.Constant(1.0))
            kernel = np.asarray(layer.weight.value["weight"])
            assert kernel.dtype == np.float64
            x = np.random.default_rng(0).normal(size=(5, 2))
            expected = np.stack([np.tensordot(x[t : t + 2], kernel, 2) for t in range(4)]) + 1
            np.testing.assert_allclose(layer(jnp.asarray(x)), expected, rtol=1e-13)

    def test_vmap_and_no_batch(self) -> None:
        ours, published = pair(2, (8, 7, 4), 4, 3, **BIAS)
        x = sample((2, 8, 7, 4))
        agree(ours(x[0]), published(x[0]))
        agree(jax.vmap(ours)(x), published(x))
        agree(jax.vmap(ours)(x[None]), published(x)[None])

    def test_empty_batch(self) -> None:
        ours, published = pair(2, (8, 7, 4), 4, 3)
        assert ours(jnp.zeros((0, 8, 7, 4))).shape == published(jnp.zeros((0, 8, 7, 4))).shape


class TestOptions:
    @pytest.mark.parametrize(
        "mode, name, padding, channel_first",
        [
            ("REFLECT", "reflect", "SAME", False),
            ("REFLECT", "reflect", ((2, 1), (0, 2)), True),
            ("REPLICATE", "edge", 1, False),
            ("REPLICATE", "edge", ((2, 1), (0, 2)), False),
            ("circular", "wrap", "SAME", True),
            ("circular", "wrap", ((2, 1), (0, 2)), False),
            ("circular", "wrap", "VALID", False),
        ],
    )
    def test_padding_modes(self, mode: str, name: Any, channel_first: bool, padding: Any) -> None:
        size = (4, 8, 7) if channel_first else (8, 7, 4)
        options: dict[str, Any] = {"stride": (1, 2), "channel_first": channel_first, **BIAS}
        layer = nn.Conv2d(size, 4, 3, padding=padding, padding_mode=mode, **options)
        plain = nn.Conv2d(size, 4, 3, padding=padding, **options)
        assert layer.out_size == plain.out_size
        assert layer.padding_mode == mode.upper()
        x = sample((2, *size))
        sides = {"SAME": ((1, 1), (1, 1)), "VALID": ((0, 0), (0, 0)), 1: ((1, 1), (1, 1))}
        pairs = sides.get(padding, padding) if not isinstance(padding, tuple) else padding
        around = ((0, 0), *pairs, (0, 0)) if not channel_first else ((0, 0), (0, 0), *pairs)
        padded = jnp.pad(x, around, mode=name)
        reference = nn.Conv2d(padded.shape[1:], 4, 3, padding="VALID", **options)
        reference.weight.value = layer.weight.value
        agree(layer(x), reference(padded))
        assert layer(x[0]).shape == layer.out_size

    @pytest.mark.parametrize("length, stride", [(8, 1), (8, 2), (7, 2), (7, 3), (2, 1)])
    def test_same_lower_puts_the_odd_element_in_front(self, length: int, stride: int) -> None:
        layer = nn.Conv1d((length, 1), 1, 2, stride, "same_lower", w_init=1.0)
        assert layer.padding == "SAME_LOWER"
        x = np.arange(1.0, length + 1, dtype=np.float32)[:, None]
        y = jax.lax.conv_general_dilated(
            jnp.asarray(x)[None], jnp.ones((2, 1, 1)), (stride,), "SAME_LOWER",
            dimension_numbers=("NWC", "WIO", "NWC"),
        )  # fmt: skip
        agree(layer(x), y[0])
        assert layer.out_size == y.shape[1:]

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_compute_dtype(self, dtype: str) -> None:
        layer = nn.Conv2d((8, 7, 4), 4, 3, dtype=dtype, **BIAS)
        cast = nn.Conv2d((8, 7, 4), 4, 3, **BIAS)
        cast.weight.value = jax.tree.map(lambda a: a.astype(dtype), layer.weight.value)
        x = sample((2, 8, 7, 4))
        agree(layer(x), cast(x.astype(dtype)))
        assert layer.weight.value["weight"].dtype == np.float32

    @pytest.mark.parametrize("given", ["bfloat16", "float16", "int32"])
    def test_other_inputs_are_promoted(self, given: str) -> None:
        layer = nn.Conv2d((8, 7, 4), 4, 3)
        x = (10 * sample((2, 8, 7, 4))).astype(given)
        agree(layer(x), layer(x.astype(jnp.float32)))
        agree(layer(np.asarray(x, np.float64)), layer(x.astype(jnp.float32)))

    def test_precision_reaches_the_product(self) -> None:
        x = sample((8, 3))
        assert "HIGHEST" in str(
            jax.make_jaxpr(nn.Conv1d((8, 3), 4, 3, precision="highest").update)(x)
        )

    @pytest.mark.parametrize("padding, kernel", [("same", 3), ("valid", (3,)), (np.int64(1), [3])])
    def test_arguments_read_back_in_canonical_form(self, padding: Any, kernel: Any) -> None:
        layer = nn.Conv1d([8, 4], 4, kernel, [2], padding, groups=2, name="stem")
        config = graph.configuration(layer)
        assert config == {
            "in_size": (8, 4),
            "out_channels": 4,
            "kernel_size": (3,),
            "stride": (2,),
            "padding": padding.upper() if isinstance(padding, str) else ((1, 1),),
            "lhs_dilation": (1,),
            "rhs_dilation": (1,),
            "groups": 2,
            "w_init": nn.init.XavierNormal(),
            "b_init": None,
            "w_mask": None,
            "channel_first": False,
            "name": "stem",
            "param_type": type(layer.weight),
            "padding_mode": "ZEROS",
            "dtype": None,
            "precision": None,
        }
        again = nn.Conv1d(**config)
        assert graph.configuration(again) == config

    def test_bias_broadcasts_to_its_shape(self) -> None:
        layer = nn.Conv2d((4, 8, 7), 4, 3, b_init=2.0, channel_first=True)
        assert layer.weight.value["bias"].shape == (1, 4, 1, 1)
        assert nn.Conv2d((8, 7, 4), 4, 3, b_init=np.ones(4)).weight.value["bias"].shape == (1, 1, 4)


class TestAbstract:
    @pytest.mark.parametrize("n, in_size, options", CASES)
    def test_nothing_is_computed(self, n: int, in_size: Any, options: Any) -> None:
        cls = getattr(nn, CLASSES[n])
        layer = cls(in_size, 4, 3, w_init=nn.init.ZeroInit(), **options)
        with nn.init.abstract(), jax.transfer_guard("disallow_explicit"):
            skeleton = cls(**graph.configuration(layer))
        assert all(isinstance(v, jax.ShapeDtypeStruct) for v in jax.tree.leaves(skeleton))
        assert jax.tree.leaves(skeleton) == jax.tree.leaves(jax.eval_shape(lambda: layer))
        output = jax.eval_shape(lambda m, x: m(x), skeleton, jnp.zeros((2, *in_size)))
        assert output.shape == (2, *layer.out_size)


class TestErrors:
    @pytest.mark.parametrize(
        "shape", [(8, 3), (3,), (6, 6, 4), (2, 6, 7, 4), (2, 8, 7, 3), (4, 8, 7), (1, 2, 8, 7, 4)]
    )
    def test_wrong_input(self, shape: tuple[int, ...]) -> None:
        layer = nn.Conv2d((8, 7, 4), 4, 3)
        with pytest.raises(ValueError, match=r"Conv2d expects shape \(8, 7, 4\)"):
            layer(jnp.zeros(shape))
        with pytest.raises(ValueError, match="channels last"):
            layer.output_size(shape)

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"in_size": (8, 4)}, "2 spatial lengths and the number of channels"),
            ({"in_size": 4}, "2 spatial lengths and the number of channels"),
            ({"in_size": (1, 8, 7, 4)}, "2 spatial lengths and the number of channels"),
            ({"in_size": (2, 7, 4), "padding": "VALID"}, "does not fit into spatial size"),
            ({"in_size": (0, 7, 4), "padding": "SAME"}, "does not fit into spatial size"),
            ({"padding": "FULL"}, "padding must be one of"),
            ({"padding": None}, "padding for 2 spatial axes must be"),
            ({"padding": 1.5}, "padding for 2 spatial axes must be"),
            ({"padding": ()}, "padding for 2 spatial axes must be"),
            ({"padding": (1,)}, "padding for 2 spatial axes must be"),
            ({"padding": (1, 2, 3)}, "padding for 2 spatial axes must be"),
            ({"padding": ((1, 2), 3)}, "padding for 2 spatial axes must be"),
            ({"padding": ((1, 2), (3, 4), (5, 6))}, "padding for 2 spatial axes must be"),
            ({"kernel_size": (3, 3, 3)}, "kernel_size must have 1 or 2 entries"),
            ({"kernel_size": 0}, "kernel_size must be positive"),
            ({"stride": -1}, "stride must be positive"),
            ({"stride": ()}, "stride must have 1 or 2 entries"),
            ({"rhs_dilation": 0}, "rhs_dilation must be positive"),
            ({"lhs_dilation": 2}, "no meaning for a dilated input"),
            ({"lhs_dilation": 2, "padding": 1, "padding_mode": "REFLECT"}, "needs lhs_dilation=1"),
            ({"padding": -1, "padding_mode": "REFLECT"}, "cannot crop"),
            ({"padding_mode": "MIRROR"}, "padding_mode must be one of"),
            ({"padding_mode": 1}, "padding_mode must be one of"),
            ({"groups": 3}, "groups must divide"),
            ({"groups": 0}, "groups must divide"),
            ({"out_channels": 6, "groups": 4}, "groups must divide"),
            ({"w_init": jnp.ones((3, 3, 4, 5))}, "does not fit"),
            ({"w_mask": jnp.ones((5,))}, "does not fit"),
            ({"w_init": None}, "needed here, not None"),
        ],
    )
    def test_wrong_arguments(self, options: dict[str, Any], message: str) -> None:
        options = {"in_size": (8, 7, 4), "out_channels": 4, "kernel_size": 3, **options}
        with pytest.raises(ValueError, match=message):
            nn.Conv2d(**options)

    @pytest.mark.parametrize("name", ["kernel_size", "stride", "lhs_dilation", "rhs_dilation"])
    def test_no_fractions(self, name: str) -> None:
        options: dict[str, Any] = {"kernel_size": 3, "padding": 1, name: 2.0}
        with pytest.raises(TypeError, match=f"{name} must be an integer"):
            nn.Conv2d((8, 7, 4), 4, **options)
