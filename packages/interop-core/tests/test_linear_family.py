"""Linear layers besides the plain one: standardised, signed, shared and low-rank weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn
from interop_core.nn import init
from interop_core.testing import quick_compilation

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(2, 4)).astype(np.float32)
W = DRAW.normal(size=(4, 3)).astype(np.float32)
LAST_AXIS = [
    lambda **sizes: nn.ScaledWSLinear(**sizes),
    lambda **sizes: nn.SignedWLinear(**sizes),
    lambda **sizes: nn.AllToAll(**sizes),
]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def close(actual: Any, expected: Any, tolerance: float = 2e-6) -> None:
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


# -- standardised weights --------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis"), [((4, 3), -1), ((4, 3), 0), ((2, 3, 4, 5), -2)])
@pytest.mark.parametrize("eps", [1e-4, 30.0])
def test_weight_standardization_is_its_formula(
    shape: tuple[int, ...], axis: int, eps: float
) -> None:
    w = DRAW.normal(2.0, 3.0, shape)
    rows = np.moveaxis(w, axis, 0).reshape(shape[axis], -1)
    centred = rows - rows.mean(1, keepdims=True)
    expected = centred / np.sqrt(np.maximum((centred**2).sum(1, keepdims=True), eps))
    got = nn.weight_standardization(w.astype(np.float32), eps=eps, out_axis=axis)
    close(np.moveaxis(np.asarray(got), axis, 0).reshape(rows.shape), expected)
    published = brainstate.nn.weight_standardization(
        jnp.asarray(w, jnp.float32), eps=eps, out_axis=axis
    )
    close(got, published)


def test_weight_standardization_scales_by_the_gain() -> None:
    gain = np.array([1.0, -2.0, 0.0], np.float32)
    plain = nn.weight_standardization(W)
    close(nn.weight_standardization(W, gain=gain), plain * gain)
    close(nn.weight_standardization(W, gain=2.0), plain * 2)
    for shape in ((2,), (1, *W.shape)):
        # The published function broadcasts the weight to the gain.
        with pytest.raises(ValueError, match="does not fit"):
            nn.weight_standardization(W, gain=np.ones(shape))


def test_weight_standardization_of_edge_cases() -> None:
    assert not nn.weight_standardization(jnp.full((3, 2), 7.0)).any()  # no variance
    assert not nn.weight_standardization(jnp.arange(3.0)).any()  # one entry for each output
    assert nn.weight_standardization(jnp.zeros((3, 0))).shape == (3, 0)
    assert nn.weight_standardization(np.arange(6).reshape(2, 3)).dtype == jnp.float32
    assert nn.weight_standardization(jnp.ones((2, 3), jnp.bfloat16)).dtype == jnp.bfloat16
    # A large mean does not swallow the deviations from it.
    close(
        nn.weight_standardization(np.array([[1e6], [1e6 + 2]], np.float32)),
        [[-0.7071068], [0.7071068]],
    )


@pytest.mark.parametrize(("w", "axis"), [(W, 2), (W, -3), (1.0, -1)])
def test_weight_standardization_needs_the_axis(w: Any, axis: int) -> None:
    # The published function takes axis 2 of a matrix and standardises the matrix as a whole.
    with pytest.raises(ValueError, match=f"no axis {axis}"):
        nn.weight_standardization(w, out_axis=axis)


def test_scaled_linear_masks_the_standardised_weight() -> None:
    mask = DRAW.normal(size=(4, 3)).astype(np.float32)
    layer = nn.ScaledWSLinear(4, 3, w_init=W, b_init=jnp.arange(3.0), w_mask=mask, eps=0.5)
    kernel = nn.weight_standardization(W, 0.5) * mask
    close(layer(X), X @ np.asarray(kernel) + np.arange(3.0))


def test_a_function_makes_the_mask_of_the_whole_weight() -> None:
    # The published layer asks it for a mask of one column.
    shapes: list[Any] = []

    def mask(shape: Any) -> Any:
        shapes.append(tuple(shape))
        return jnp.zeros(shape)

    assert not nn.ScaledWSLinear(4, 3, w_mask=mask)(X).any()
    assert shapes == [(4, 3)]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_the_gain_has_the_dtype_of_the_weight(dtype: Any) -> None:
    weight = jnp.ones((4, 3), dtype)
    layer = nn.ScaledWSLinear(4, 3, w_init=weight, b_init=None)
    published = brainstate.nn.ScaledWSLinear(4, 3, w_init=weight, b_init=None)
    assert layer.weight.value["gain"].dtype == published.weight.value["gain"].dtype == dtype
    with init.abstract():
        assert nn.ScaledWSLinear(4, 3, w_init=weight).weight.value["gain"].dtype == dtype


@pytest.mark.parametrize("layer", [nn.ScaledWSLinear, nn.SignedWLinear])
def test_dtype_is_what_the_product_is_computed_in(layer: Any) -> None:
    y = layer(4, 3, dtype=jnp.bfloat16, precision="highest")(X)
    assert y.dtype == jnp.bfloat16
    close(y.astype(np.float32), jnp.zeros_like(y), 10.0)


# -- weights of fixed sign -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sign", [None, -1, np.array([1.0, -1.0, 0.5], np.float32), lambda shape: -jnp.ones(shape)]
)
def test_signed_linear_is_its_formula(sign: Any) -> None:
    # The published layer fails at the call where the signs are a function.
    factor = 1 if sign is None else sign((4, 3)) if callable(sign) else sign
    layer = nn.SignedWLinear(4, 3, w_init=W, w_sign=sign)
    close(layer(X), X @ (np.abs(W) * np.asarray(factor)))


def test_signed_linear_takes_a_shape() -> None:
    # The published layer makes a weight of shape (2, 4, 2, 3), which fits no input.
    layer = nn.SignedWLinear((2, 4), (2, 3), w_init=W)
    assert layer.weight.value.shape == (4, 3)
    assert layer.output_size((2, 4)) == (2, 3)
    close(layer(np.stack([X, X])), np.stack([X, X]) @ np.abs(W))


def test_signs_must_fit() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        nn.SignedWLinear(4, 3, w_sign=np.ones((5, 3)))


# -- all to all, one to one ------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [2, 4, 6])
@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("number", [None, 0.5, np.float32(0.5)])
def test_all_to_all_is_its_formula(outputs: int, include_self: bool, number: Any) -> None:
    kernel = DRAW.normal(size=(4, outputs)).astype(np.float32)
    if number is not None:
        kernel = np.full((4, outputs), 0.5, np.float32)
    layer = nn.AllToAll(4, outputs, kernel if number is None else number, 1.0, include_self)
    used = kernel if include_self else kernel * (1 - np.eye(4, outputs))
    assert layer.weight.value["weight"].shape == (() if number is not None else (4, outputs))
    assert layer.weight.value["bias"].shape == (outputs,)
    close(layer(X), X @ used + 1)
    close(layer(X[0]), X[0] @ used + 1)
    close(layer(np.stack([X, -X])), np.stack([X, -X]) @ used + 1)


def test_an_unused_self_connection_has_no_gradient() -> None:
    x = jnp.ones((2, 3))
    layer = nn.AllToAll(
        3, 3, w_init=jnp.where(jnp.eye(3, dtype=bool), jnp.nan, 1.0), include_self=False
    )
    close(layer(x), jnp.full((2, 3), 2.0))
    gradient = jax.grad(lambda layer: layer(x).sum())(layer).weight.value["weight"]
    close(gradient, 2 * (1 - np.eye(3)))


@pytest.mark.parametrize("x", [np.array([True, False, True]), np.array([1, 0, 1])])
def test_one_weight_sums_spikes(x: Any) -> None:
    close(nn.AllToAll(3, 2, w_init=0.25)(x), [0.5, 0.5])
    close(nn.AllToAll(3, 3, w_init=0.25, include_self=False)(x), [0.25, 0.5, 0.25])


def test_one_to_one_keeps_the_shape() -> None:
    w = DRAW.normal(size=(3, 4)).astype(np.float32)
    x = DRAW.normal(size=(5, 2, 3, 4)).astype(np.float32)
    layer = nn.OneToOne((3, 4), w_init=w, b_init=w)
    close(layer(x), x * w + w)
    assert layer.in_size == layer.out_size == (3, 4)
    assert layer.output_size((2, 3, 4)) == (2, 3, 4)
    shared = nn.OneToOne(4, w_init=2.0, b_init=1.0)
    assert shared.weight.value["weight"].shape == ()
    close(shared(X), 2 * X + 1)


@pytest.mark.parametrize("shape", [(2, 5), (2, 1), ()])
def test_one_to_one_broadcasts_no_input(shape: tuple[int, ...]) -> None:
    # The published layer does, where the last axis is 1 or missing.
    with pytest.raises(ValueError, match="weights of shape"):
        nn.OneToOne(4)(jnp.ones(shape))


def test_the_weights_of_one_to_one_are_of_variance_one() -> None:
    weight = np.asarray(nn.OneToOne(20000).weight.value["weight"])
    assert abs(weight.mean()) < 0.05
    assert abs(weight.std() - 1) < 0.05


@pytest.mark.parametrize("layer", [nn.AllToAll, nn.ScaledWSLinear, nn.SignedWLinear, nn.OneToOne])
def test_a_weight_cannot_be_none_or_of_another_shape(layer: Any) -> None:
    sizes = (4,) if layer is nn.OneToOne else (4, 3)
    for weight in (None, np.ones((5, 3)), "ones"):
        with pytest.raises(ValueError, match=r"Cannot make|does not fit|not None"):
            layer(*sizes, w_init=weight)


@pytest.mark.parametrize("make", LAST_AXIS)
def test_the_last_axis_alone_may_change(make: Any) -> None:
    for sizes in (((2, 4), (3, 4)), ((2, 4), 3), ((), 3)):
        with pytest.raises(ValueError, match="last axis alone"):
            make(in_size=sizes[0], out_size=sizes[1])
    with pytest.raises(ValueError, match="out_size must not be negative"):
        make(in_size=4, out_size=-3)
    layer = make(in_size=4, out_size=3)
    with pytest.raises(ValueError, match="expects 4 features"):
        layer(jnp.ones((2, 5)))
    with pytest.raises((TypeError, ValueError)):
        layer(None)
    with pytest.raises(ValueError, match="expects 4 features"):
        layer(jnp.ones(()))


# -- low rank --------------------------------------------------------------------------------------


def test_lora_adds_a_product_of_low_rank() -> None:
    base = nn.Linear(4, 3, w_init=W)
    layer = nn.LoRA(4, 1, 3, base_module=base)
    a, b = (np.asarray(layer.weight.value[name]) for name in ("lora_a", "lora_b"))
    close(layer(X), X @ (W + a @ b))
    assert np.linalg.matrix_rank(a @ b) == 1
    close(nn.LoRA(4, 2, 3, kernel_init=init.Constant(0.5))(X), X @ np.full((4, 3), 0.5))
    close(
        layer.update(jnp.asarray(X)), layer(X)
    )  # the published layer can be called, but not updated


def test_lora_without_rank_is_its_base() -> None:
    base = nn.Linear(4, 3)
    close(nn.LoRA(4, 0, 3, base_module=base)(X), base(X))


def test_lora_adapts_a_function() -> None:
    layer = nn.LoRA(4, 2, 4, base_module=jnp.tanh)
    close(layer(X), np.tanh(X) + _without_base(layer)(X))
    assert list(layer.states()) == [("weight",)]


def _without_base(layer: nn.LoRA) -> nn.LoRA:
    other = nn.LoRA(4, 2, 4)
    other.weight.value = layer.weight.value
    return other


def test_the_base_of_lora_can_stay_as_it_is() -> None:
    layer = nn.LoRA(4, 2, 3, base_module=nn.Linear(4, 3))
    own = layer.states(lambda path, state: path == ("weight",))
    assert set(layer.states()) - set(own) == {("base_module", "weight")}


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (((4,), 2, 3), TypeError, "in_features must be an integer"),
        ((4, 2.0, 3), TypeError, "lora_rank must be an integer"),
        ((4, -1, 3), ValueError, "lora_rank must not be negative"),
    ],
)
def test_lora_needs_numbers(arguments: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        nn.LoRA(*arguments)


def test_lora_needs_a_base_that_fits() -> None:
    with pytest.raises(TypeError, match="module or a function"):
        nn.LoRA(4, 2, 3, base_module=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be added"):
        nn.LoRA(4, 2, 3, base_module=nn.Linear(4, 5))
    with pytest.raises(ValueError, match="they must agree"):
        nn.LoRA(4, 2, 3, base_module=lambda x: x[..., :1])(X)  # would broadcast
    # The published layer takes any in_size.
    with pytest.raises(ValueError, match="ends with this number"):
        nn.LoRA(4, 2, 3, in_size=(2, 5))
    with pytest.raises(ValueError, match="expects 4 features"):
        nn.LoRA(4, 2, 3)(jnp.ones((2, 5)))
