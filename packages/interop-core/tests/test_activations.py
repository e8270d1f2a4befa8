"""What the catalogue's checks cannot see of activation layers: formulas, dtypes, errors, chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import graph, nn, random
from interop_core.nn import init
from interop_core.testing import quick_compilation
from interop_core.testing.catalogue import FAMILIES, Row

Numbers = Any

ROWS = FAMILIES["element-wise layers"]
NAMED = [
    *("Hardsigmoid", "Hardswish", "Identity", "LogSigmoid", "Mish", "ReLU", "SELU", "SiLU"),
    *("Sigmoid", "Softmax2d", "Softplus", "Softsign", "SpikeBitwise", "Tanh", "Tanhshrink"),
]

# All kinds of places: far out, the kinks of the functions, between them.
X = np.array([-50.0, -6, -3, -2, -1, -0.5, -0.3, 0, 0.25, 0.5, 1, 2.5, 3, 6, 7, 50])


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))


def soften(x: Numbers, axis: int = -1) -> Numbers:
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


def phi(x: Numbers) -> Numbers:
    return np.array([(1 + math.erf(v / math.sqrt(2))) / 2 for v in x])


FORMULAS: list[tuple[Any, Callable[[Numbers], Numbers]]] = [
    (nn.Identity(), lambda x: x),
    (nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    (nn.LeakyReLU(0.3), lambda x: np.where(x >= 0, x, 0.3 * x)),
    (nn.PReLU(1, 0.4), lambda x: np.where(x >= 0, x, 0.4 * x)),
    (nn.RReLU(0.2, 0.2), lambda x: np.where(x >= 0, x, 0.2 * x)),
    (nn.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    (nn.CELU(2.0), lambda x: np.maximum(x, 0) + np.minimum(0, 2 * np.expm1(x / 2))),
    (nn.SELU(), lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.673263242354377 * np.expm1(x))),
    (nn.GELU(), lambda x: x * phi(x)),
    (nn.SiLU(), lambda x: x * sigmoid(x)),
    (nn.Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    (nn.Hardswish(), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    (nn.Sigmoid(), sigmoid),
    (nn.LogSigmoid(), lambda x: -np.log1p(np.exp(-x))),
    (nn.Hardsigmoid(), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    (nn.Tanh(), np.tanh),
    (nn.Hardtanh(-2, 0.5), lambda x: np.clip(x, -2, 0.5)),
    (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    (nn.Softsign(), lambda x: x / (1 + abs(x))),
    (nn.Softplus(), lambda x: np.log1p(np.exp(x))),
    (nn.Hardshrink(0.5), lambda x: np.where(abs(x) > 0.5, x, 0)),
    (nn.Softshrink(0.5), lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0)),
    (nn.Threshold(0.5, 20.0), lambda x: np.where(x > 0.5, x, 20)),
    (nn.GLU(), lambda x: x[:8] * sigmoid(x[8:])),
    (nn.Softmax(), soften),
    (nn.LogSoftmax(), lambda x: np.log(soften(x))),
    (nn.Softmin(), lambda x: soften(-x)),
]


@pytest.mark.parametrize(("layer", "formula"), FORMULAS, ids=lambda f: type(f).__name__)
def test_formula(layer: Any, formula: Callable[[Numbers], Numbers]) -> None:
    with jax.enable_x64(True):
        layer = jax.tree.map(lambda a: a.astype(np.float64), layer)
        y = layer(jnp.asarray(X))
        assert y.dtype == np.float64
        # In single precision some functions of JAX keep the lower bits of exp(50) less well.
        np.testing.assert_allclose(y, formula(X), rtol=1e-7, atol=1e-12)


def test_every_layer_has_a_formula() -> None:
    apart = {"Softmax2d", "SpikeBitwise"}
    assert {type(layer).__name__ for layer, _ in FORMULAS} | apart == {row.name for row in ROWS}


def one_input(row: Row) -> bool:
    return len(row.inputs) == 1 and row.differs is None and not row.chance


# JAX itself casts the -inf that a maximum starts from to an integer.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("row", [row for row in ROWS if one_input(row)], ids=str)
@pytest.mark.parametrize("dtype", ["bfloat16", "int32", "bool"])
def test_dtypes(row: Row, dtype: str) -> None:
    x = jnp.asarray(np.round(3 * row.arguments()[0])).astype(dtype)
    try:
        expected = row.make(brainstate.nn)(x)
    except TypeError:
        with pytest.raises(TypeError, match="dtype"):
            row.make(nn)(x)
    else:
        y = row.make(nn)(x)
        assert y.dtype == expected.dtype
        np.testing.assert_allclose(
            np.asarray(y, np.float64),
            np.asarray(expected, np.float64),
            rtol=1e-2 * (y.dtype == "bfloat16") + 1e-6,
        )


@pytest.mark.parametrize("name", NAMED)
def test_name(name: str) -> None:
    assert getattr(nn, name)(name="a").name == "a"
    with pytest.raises(TypeError, match="name"):
        getattr(nn, name)(names="a")


@pytest.mark.parametrize("row", [row for row in ROWS if row.name != "PReLU"], ids=str)
def test_has_no_leaves(row: Row) -> None:
    layer = row.make(nn)
    assert jax.tree.leaves(layer) == []
    assert layer.in_size is layer.out_size is None
    structure: Any = jax.tree.structure
    assert structure(type(layer)(**graph.configuration(layer))) == structure(layer)


def test_identity_returns_its_input() -> None:
    x = jnp.ones(2)
    assert nn.Identity()(x) is x


def test_not_a_number_stays_one_where_nothing_replaces_it() -> None:
    x = jnp.array([jnp.nan])
    assert jnp.isnan(nn.Hardtanh()(x)).all()
    assert nn.Threshold(0.0, 1.0)(x).tolist() == [1.0]  # it is not above the threshold


class TestPReLU:
    def test_one_slope_for_each_entry_of_the_last_axis(self) -> None:
        layer = nn.PReLU(3, jnp.array([0.1, 0.2, 0.3]))
        y = layer(-jnp.ones((2, 4, 3)))
        np.testing.assert_allclose(y, np.broadcast_to([-0.1, -0.2, -0.3], (2, 4, 3)), rtol=1e-6)
        assert layer.weight.value.shape == (3,)

    def test_gradient_of_the_slope_sums_what_is_below_zero(self) -> None:
        x = jnp.array([[-1.0, 2.0], [-3.0, -4.0]])
        of_one = jax.grad(lambda layer: layer(x).sum())(nn.PReLU())
        of_two = jax.grad(lambda layer: layer(x).sum())(nn.PReLU(2))
        assert of_one.weight.value.tolist() == [-8.0]
        assert of_two.weight.value.tolist() == [-4.0, -4.0]

    @pytest.mark.parametrize(
        ("initial", "dtype", "expected"),
        [
            (0.25, None, "float32"),
            (1, None, "float32"),
            (0.25, "bfloat16", "bfloat16"),
            (np.float16(0.5), None, "float16"),
            (jnp.ones(2, "float16"), None, "float16"),
            (np.ones(2, "float16"), "float32", "float32"),
            (init.Normal(), None, "float32"),
            (init.Normal(), "float16", "float16"),
        ],
    )
    def test_initial_slope(self, initial: Any, dtype: Any, expected: str) -> None:
        slopes = nn.PReLU(2, initial, dtype).weight.value
        assert (slopes.shape, str(slopes.dtype)) == ((2,), expected)
        with init.abstract():
            shapes = nn.PReLU(2, initial, dtype).weight.value
        assert isinstance(shapes, jax.ShapeDtypeStruct)
        assert (shapes.shape, str(shapes.dtype)) == ((2,), expected)

    def test_default_dtype_is_that_of_jax(self) -> None:
        with jax.enable_x64(True):
            assert nn.PReLU().weight.value.dtype == np.float64

    def test_a_scalar_stays_one(self) -> None:
        # The published layer makes an array of one entry of it.
        assert nn.PReLU()(jnp.array(-1.0)).shape == ()

    @pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError)])
    def test_no_number_of_slopes(self, n: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match=r"positive|integer"):
            nn.PReLU(n)

    @pytest.mark.parametrize("shape", [(4,), (3, 1), ()])
    def test_wrong_last_axis(self, shape: tuple[int, ...]) -> None:
        # The published layer widens an axis of length 1, against its own description.
        with pytest.raises(ValueError, match="3 entries of the last axis"):
            nn.PReLU(3)(jnp.ones(shape))
        with pytest.raises(ValueError, match="3 entries of the last axis"):
            nn.PReLU(3).output_size(shape)

    def test_slopes_that_do_not_fit(self) -> None:
        with pytest.raises(ValueError, match="does not fit"):
            nn.PReLU(3, jnp.ones(2))


class TestRReLU:
    def test_slopes_are_uniform(self) -> None:
        with random.seed_context(0):
            slopes = -np.asarray(nn.RReLU(0.2, 0.6)(-jnp.ones(40_000)))
        assert 0.2 <= slopes.min() < 0.201
        assert 0.599 < slopes.max() <= 0.6
        # Four standard errors of mean and variance; the seed is fixed.
        width = 0.4
        assert abs(slopes.mean() - 0.4) < 4 * width / math.sqrt(12 * 40_000)
        assert abs(slopes.var() - width**2 / 12) < 4 * width**2 / math.sqrt(180 * 40_000)

    def test_draws_as_the_published_layer_does(self) -> None:
        x = jnp.asarray(X, np.float32)
        brainstate.random.seed(3)
        with random.seed_context(3):
            y = nn.RReLU()(x)
            again = nn.RReLU()(x)
        np.testing.assert_array_equal(y, brainstate.nn.RReLU()(x))
        assert (y != again).any()
        np.testing.assert_array_equal(y[X >= 0], X[X >= 0])

    def test_no_interval(self) -> None:
        with pytest.raises(ValueError, match="must not be above"):
            nn.RReLU(0.5, 0.1)


class TestAxes:
    @pytest.mark.parametrize("name", ["Softmax", "LogSoftmax", "Softmin"])
    @pytest.mark.parametrize("axes", [1, 2, 3, 4])
    def test_without_dim_the_last_axis_counts(self, name: str, axes: int) -> None:
        x = jax.random.normal(jax.random.key(axes), range(2, 2 + axes))
        np.testing.assert_array_equal(getattr(nn, name)()(x), getattr(nn, name)(-1)(x))

    @pytest.mark.parametrize("name", ["Softmax", "LogSoftmax", "Softmin"])
    def test_missing_axis(self, name: str) -> None:
        with pytest.raises(ValueError, match="out of bounds"):
            getattr(nn, name)(dim=2)(jnp.ones((3, 4)))

    @pytest.mark.parametrize("shape", [(3, 2, 4), (2, 3, 2, 4)])
    def test_softmax2d_sums_over_channels(self, shape: tuple[int, ...]) -> None:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(nn.Softmax2d()(x), soften(x, -3), rtol=1e-5)

    @pytest.mark.parametrize("shape", [(3,), (3, 4), (1, 2, 3, 4, 5)])
    def test_softmax2d_takes_images(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="image"):
            nn.Softmax2d()(jnp.ones(shape))
        with pytest.raises(ValueError, match="images"):
            nn.Softmax2d().output_size(shape)
        assert nn.Softmax2d().output_size((3, 4, 5)) == (3, 4, 5)

    @pytest.mark.parametrize(
        ("dim", "shape", "halved"),
        [(-1, (4,), (2,)), (-2, (4, 3), (2, 3)), (1, (4, 3), (2, 3)), (2, (3, 6), (3, 3))],
    )
    def test_glu_halves_an_axis(
        self, dim: int, shape: tuple[int, ...], halved: tuple[int, ...]
    ) -> None:
        layer = nn.GLU(dim)
        x = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
        a, b = np.split(x, 2, dim)
        np.testing.assert_allclose(layer(x), a * sigmoid(b), rtol=1e-5)
        assert layer.output_size(shape) == halved == layer(x).shape[1:]

    def test_glu_of_what_cannot_be_halved(self) -> None:
        with pytest.raises(ValueError, match="must be even"):
            nn.GLU()(jnp.ones(3))
        with pytest.raises(ValueError, match="must be even"):
            nn.GLU(1).output_size((3, 4))
        with pytest.raises(ValueError, match="no such axis"):
            nn.GLU(2)(jnp.ones((2, 2)))
        with pytest.raises(ValueError, match="no such axis"):
            nn.GLU(-2).output_size((4,))
        with pytest.raises(ValueError, match="batch axis"):
            nn.GLU(0).output_size((4,))
        with pytest.raises(TypeError, match="integer"):
            nn.GLU(1.5)  # type: ignore[arg-type]


TRUTH = {
    "add": [0, 1, 1, 2],
    "and": [0, 0, 0, 1],
    "iand": [0, 1, 0, 0],
    "or": [0, 1, 1, 1],
    "xor": [0, 1, 1, 0],
    "ixor": [0, 1, 1, 0],
}


class TestSpikeBitwise:
    @pytest.mark.parametrize("op", TRUTH)
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "bool"])
    def test_truth_table(self, op: str, dtype: str) -> None:
        x, y = (jnp.array(v).astype(dtype) for v in ([0, 0, 1, 1], [0, 1, 0, 1]))
        result = nn.SpikeBitwise(op)(x, y)
        assert result.tolist() == TRUTH[op]
        assert result.dtype == ("int32" if (dtype, op) == ("bool", "add") else dtype)

    def test_formulas_of_other_numbers(self) -> None:
        x, y = 0.25, jnp.array([[0.5], [2.0]])
        expected = {
            "add": x + y,
            "and": x * y,
            "iand": (1 - x) * y,
            "or": x + y - x * y,
            "xor": x + y - 2 * x * y,
            "ixor": x + y - 2 * x * y,
        }
        for op, result in expected.items():
            np.testing.assert_allclose(nn.SpikeBitwise(op)(x, y), result, rtol=1e-6)

    def test_spikes_of_two_types(self) -> None:
        x, y = jnp.array([True, False]), jnp.array([1.0, 1.0])
        assert nn.SpikeBitwise("iand")(x, y).tolist() == [0.0, 1.0]
        assert nn.SpikeBitwise("or")(x, y).tolist() == [1.0, 1.0]

    @pytest.mark.parametrize("op", ["nand", "AND", ""])
    def test_no_operation(self, op: str) -> None:
        with pytest.raises(ValueError, match="add, and, iand, or, xor, ixor"):
            nn.SpikeBitwise(op)


class TestErrors:
    @pytest.mark.parametrize("bounds", [(2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0)])
    def test_hardtanh_without_interval(self, bounds: tuple[float, float]) -> None:
        with pytest.raises(ValueError, match="must be below"):
            nn.Hardtanh(*bounds)

    def test_softshrink_that_would_stretch(self) -> None:
        with pytest.raises(ValueError, match="must not be negative"):
            nn.Softshrink(-0.1)

    def test_celu_that_would_divide_by_zero(self) -> None:
        with pytest.raises(ValueError, match="must not be 0"):
            nn.CELU(0.0)
        assert nn.CELU(-1.0)(-1.0) == pytest.approx(-np.expm1(1.0))


def test_relu6_is_a_hardtanh() -> None:
    layer = nn.ReLU6()
    assert isinstance(layer, nn.Hardtanh)
    assert (layer.min_val, layer.max_val) == (0.0, 6.0)
