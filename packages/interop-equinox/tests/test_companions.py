"""What the generated checks of the companions' rows do not ask."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_core import InteropError, nn
from interop_equinox import companions, from_equinox, to_equinox

KEY = jax.random.key(0)


def test_slopes_are_drawn_within_their_bounds() -> None:
    layer = to_equinox(nn.RReLU(0.2, 0.4))
    x = -jnp.ones(1000)
    y = layer(x, key=KEY)
    assert float(-y.max()) < 0.21
    assert float(-y.min()) > 0.39
    assert bool(((y <= -0.2) & (y >= -0.4)).all())
    assert not bool((y == layer(x, key=jax.random.key(1))).any())
    with pytest.raises(RuntimeError, match="give it a key"):
        layer(x)


@pytest.mark.parametrize(
    "cell",
    [nn.MGUCell(2, 2, activation=jnp.sort), nn.GRUCell(2, 2, gate_activation="softmax")],
    ids=["sort", "softmax"],
)
def test_functions_that_may_look_at_a_batch_are_refused(cell: nn.Module) -> None:
    with pytest.raises(InteropError, match="entry by entry"):
        to_equinox(cell)


def test_a_part_of_another_kind_is_refused() -> None:
    class Twice(eqx.nn.Linear):
        def __call__(self, x: Any, *, key: Any = None) -> Any:
            return 2 * super().__call__(x)

    cell = companions.MGUCell(3, 2, key=KEY)
    twice: Any = Twice
    other = eqx.tree_at(lambda cell: cell.Wh, cell, twice(5, 2, key=KEY))
    with pytest.raises(InteropError, match="is not what MGUCell makes: Wh="):
        from_equinox(other)


@pytest.mark.parametrize("axis", ["in", "out", "both"])
@pytest.mark.parametrize(
    "make",
    [
        lambda factor: nn.Linear(3, 3, w_mask=factor),
        lambda factor: nn.ScaledWSLinear(3, 3, w_mask=factor),
        lambda factor: nn.SignedWLinear(3, 3, w_sign=factor),
    ],
    ids=["Linear", "ScaledWSLinear", "SignedWLinear"],
)
def test_a_factor_of_fewer_axes_lies_along_the_outputs(make: Any, axis: str) -> None:
    numbers = np.array([1.0, -1.0, 2.0], np.float32)
    factor = {"in": numbers[:, None], "out": numbers, "both": numbers * numbers[:, None]}[axis]
    ours = make(factor)
    x = jax.random.normal(jax.random.key(0), (2, 3))
    np.testing.assert_allclose(jax.vmap(to_equinox(ours))(x), ours(x), rtol=1e-5, atol=1e-5)


def test_a_factor_that_would_make_a_larger_weight_is_refused() -> None:
    factor = np.ones(3, np.float32)
    layer = companions.SignedWLinear(3, 1, w_sign=factor, key=jax.random.key(0))
    with pytest.raises(InteropError, match="does not fit a weight of"):
        from_equinox(layer)
    with pytest.raises(ValueError, match="does not fit a weight of"):
        nn.SignedWLinear(3, 1, w_sign=factor)
