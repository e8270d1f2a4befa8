"""What ``copy=True`` promises: whatever becomes of one model's arrays, the other stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brainstate_interop import (
    from_equinox,
    from_linen,
    from_nnx,
    nn,
    to_equinox,
    to_linen,
    to_nnx,
)

X = jax.random.normal(jax.random.key(0), (2, 3))


def _linen(pair: Any) -> Any:
    return pair[0].apply(pair[1], X)


@pytest.mark.parametrize(
    ("there", "back", "call"),
    [
        (to_nnx, from_nnx, lambda model: model(X)),
        (to_linen, lambda pair, **options: from_linen(*pair, **options), _linen),
        (to_equinox, from_equinox, lambda model: jax.vmap(model)(X)),
    ],
    ids=["nnx", "linen", "equinox"],
)
def test_arrays_among_the_options_are_copied_too(
    there: Callable[..., Any], back: Callable[..., Any], call: Callable[[Any], Any]
) -> None:
    mask = np.ones((3, 3), np.float32)
    alpha: Any = np.ones(3, np.float32)
    model = nn.Sequential(nn.Linear(3, 3, w_mask=mask), nn.ELU(alpha))
    converted = there(model, copy=True)
    again = back(there(model), copy=True)
    before = call(converted), again(X)
    mask[:], alpha[:] = 5.0, 7.0
    for now, then in zip((call(converted), again(X)), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert not jnp.array_equal(model(X), before[1])
