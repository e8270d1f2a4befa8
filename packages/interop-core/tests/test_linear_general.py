"""What the catalogue's checks cannot see of products over several axes: the formulas, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn


def numbers(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def filled(layer: Any) -> Any:
    """The layer with numbers in its bias too."""
    held = layer.weight.value.items()
    layer.weight.value = {n: numbers(*a.shape, seed=i) for i, (n, a) in enumerate(sorted(held))}
    return layer


class TestLinearGeneral:
    @pytest.mark.parametrize(
        ("size", "out", "axis", "stays", "summed"),
        [
            ((4, 3), (5,), (-1, -2), "", "ab"),
            ((2, 4, 3), (4, 5, 6), (-3, -1), "b", "ac"),
            ((4, 3), (3, 5), -2, "b", "a"),
            ((2, 4, 3), (2, 3, 5), [-2], "ac", "b"),
        ],
    )
    def test_it_is_the_sum_of_the_formula(
        self, size: Any, out: Any, axis: Any, stays: str, summed: str
    ) -> None:
        leading = (2, 3)
        layer, x = filled(nn.LinearGeneral(size, out, axis)), numbers(*leading, *size, seed=5)
        new = "xyz"[: len(out) - len(stays)]
        formula = f"...{'abc'[: len(size)]},{summed}{new}->...{stays}{new}"
        expected = np.einsum(formula, x, layer.weight.value["weight"])
        assert layer.weight.value["bias"].shape == out[len(stays) :]
        np.testing.assert_allclose(
            layer(x), expected + layer.weight.value["bias"], rtol=1e-5, atol=1e-5
        )
        assert layer.output_size((*leading, *size)) == layer(x).shape == (*leading, *out)

    def test_each_position_of_a_batch_axis_has_its_own_kernel(self) -> None:
        layer = filled(nn.LinearGeneral((2, 3), (2, 4), batch_axis={1: 2, 0: 3}))
        x, weight = numbers(3, 2, 5, 2, 3, seed=5), layer.weight.value
        expected = np.einsum("mn...a,mnab->mn...b", x, weight["weight"])
        np.testing.assert_allclose(
            layer(x), expected + weight["bias"][:, :, None, None], rtol=1e-5, atol=1e-5
        )
        assert layer.batch_axis == ((0, 3), (1, 2))
        with pytest.raises(ValueError, match=r"batches of \(3, 2\)"):
            layer(x[:2])

    def test_a_kernel_starts_as_the_matrix_of_one_position(self) -> None:
        made: list[Any] = []

        def w_init(shape: Any, **_: Any) -> Any:
            made.append(shape)
            return jnp.arange(float(np.prod(shape))).reshape(shape)

        layer = nn.LinearGeneral((2, 3), (5,), (-1, -2), batch_axis={0: 4}, w_init=w_init)
        assert made == [(6, 20)]
        kernel = layer.weight.value["weight"]
        expected = np.arange(120.0).reshape(6, 4, 5)[:, 1]
        np.testing.assert_array_equal(kernel[1].reshape(6, 5), expected)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (((2, 3), (2, 4), 1), "counted from the end"),
            (((2, 3), 4, (-1, -1)), "each once"),
            (((2, 3), 4, ()), "each once"),
            ((3, 4, -2), "takes 2 axes or more"),
            (((2, 3), (5, 4)), "must be these and the new axes"),
            (((2, 3), (2,)), "must be these and the new axes"),
        ],
    )
    def test_sizes_and_axes_that_do_not_fit(self, arguments: Any, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            nn.LinearGeneral(*arguments)

    def test_batch_axes_lead(self) -> None:
        with pytest.raises(ValueError, match="0, 1 and so on"):
            nn.LinearGeneral(3, 4, batch_axis={1: 2})

    def test_an_input_of_other_lengths(self) -> None:
        with pytest.raises(ValueError, match=r"expects the lengths \(2,\) on the axes \(-2,\)"):
            nn.LinearGeneral((2, 3), (3, 4), -2)(jnp.ones((3, 2)))


class TestEinsum:
    @pytest.mark.parametrize(
        ("size", "formula", "kernel", "bias", "along"),
        [
            ((5, 2), "...ta,hab->...thb", (3, 2, 4), (3, 4), (1, 3, 4)),
            ((5, 2), "...ta,hab->...bth", (3, 2, 4), (4, 3), (4, 1, 3)),
            ((5, 2), "...ta,hab->...bth", (3, 2, 4), (12,), (4, 1, 3)),
            ((5, 2), "t...a,tab->t...b", (5, 2, 4), (5, 4), (5, 1, 4)),
            ((3, 3), "...aa,ab->...", (3, 4), (), ()),
        ],
    )
    def test_it_is_the_formula(
        self, size: Any, formula: str, kernel: Any, bias: Any, along: Any
    ) -> None:
        layer = filled(nn.Einsum(size, formula, kernel, bias))
        leading = (7,) if formula.startswith("...") else ()
        x = numbers(*leading, *size, seed=5)
        if "t..." in formula:
            x = numbers(5, 7, 2, seed=5)
        weight = layer.weight.value
        expected = np.einsum(formula, x, weight["weight"]) + weight["bias"].reshape(along)
        np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)
        assert layer.out_size == layer(x[0]).shape if leading else layer.out_size == (5, 4)

    def test_the_first_axes_may_be_those_of_the_batch(self) -> None:
        layer = nn.Einsum((5, 2), "nta, hab->nthb", (3, 2, 4))
        assert layer.einsum_str == "nta,hab->nthb"
        assert layer.output_size((5, 2)) == (5, 3, 4)
        assert layer.output_size((7, 6, 2)) == (7, 6, 3, 4)
        assert (layer.batch_sizes(), layer.batch_sizes((7, 5, 2))) == ((None,), ())
        assert nn.Einsum(2, "...a,ab->...b", (2, 4)).batch_sizes() is None
        assert nn.Einsum(2, "na,nab->nb", (6, 2, 4)).batch_sizes() == (6,)

    @pytest.mark.parametrize(
        ("formula", "words"),
        [
            ("...a,ab", "is no formula"),
            ("a,b,ab->a", "is no formula"),
            ("..a,ab->..b", "is no formula"),
            ("a,...ab->b", "is no formula"),
            ("...a,ab->b", "does not have the axes '...'"),
            ("a,ab->...b", "does not have the axes '...'"),
            ("a...a...,ab->...b", "does not have the axes '...'"),
            ("a,aa->a", "twice"),
            ("a,ab->bb", "twice"),
            ("a,ab->bc", "no operand has"),
            ("a,abc->b", "of another kernel"),
        ],
    )
    def test_what_is_no_formula(self, formula: str, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            nn.Einsum(None, formula, (3, 4))

    @pytest.mark.parametrize(
        ("size", "formula", "bias", "words"),
        [
            ((2,), "...a,ab->...b", None, "expects 3 along 'a'"),
            ((3,), "...a,ab->...b", (3,), "no bias of shape"),
            ((3,), "ta,ab->bt", None, "an example of 1 axes"),
            ((3,), "t...a,ab->...bt", None, "an example of 1 axes"),
            ((3,), "aa,ab->ab", None, "an example of 1 axes"),
            ((5, 7, 3), "ta,ab->tb", None, "an example of 3 axes"),
            ((2, 3), "aa,ab->b", None, "expects 3 along 'a'"),
        ],
    )
    def test_sizes_that_do_not_fit(self, size: Any, formula: str, bias: Any, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            nn.Einsum(size, formula, (3, 4), bias)

    @pytest.mark.parametrize("shape", [(3,), (2, 2, 3), (2, 1)])
    def test_an_input_of_another_shape(self, shape: Any) -> None:
        with pytest.raises(ValueError, match=r"shape|example"):
            nn.Einsum(3, "na,ab->nb", (3, 4))(jnp.ones(shape))
