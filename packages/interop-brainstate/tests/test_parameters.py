"""Transformations and penalties of parameters come along, or are refused with the reason."""

from __future__ import annotations

from typing import Any

import brainstate
import jax.numpy as jnp
import numpy as np
import pytest

from interop_brainstate import from_brainstate, to_brainstate
from interop_core import nn
from interop_core.errors import InteropError, UnsupportedConfigurationError
from interop_core.testing.catalogue import (
    REGULARIZATIONS,
    TRANSFORMS,
    RegularizationRow,
    TransformRow,
)

SIDES: list[Any] = [
    pytest.param(nn, to_brainstate, id="to"),
    pytest.param(brainstate.nn, from_brainstate, id="from"),
]
# Cases that the published library computes otherwise, and what is said of them.
REFUSED = {
    "PowerT-tiny": "so small a power",
    "CauchyReg-arrays": "gives a loss there that is no scalar",
    "GaussianReg-std": "the logarithm of the precision counts once there",
    "GaussianReg-trained": "the logarithm of the precision counts once there",
}


def converted(row: Any, convert: Any, parameter: Any) -> Any:
    """The converted parameter; None where the row is refused with its reason."""
    if str(row) in REFUSED:
        with pytest.raises(InteropError, match=REFUSED[str(row)]):
            convert(parameter)
        return None
    try:
        return convert(parameter)
    except UnsupportedConfigurationError as error:
        if brainstate.__version__ >= "0.5":
            raise
        # An early release has fewer options and other formulas, and says so.
        if "in this release" in error.reason or "no counterpart" in error.reason:
            return None
        raise


@pytest.mark.parametrize("library, convert", SIDES)
@pytest.mark.parametrize("row", TRANSFORMS, ids=str)
def test_a_transformation_stays(row: TransformRow, library: Any, convert: Any) -> None:
    parameter = library.Param(jnp.ones(3))
    if row.name == "MaskedT" and brainstate.__version__ < "0.5" and library is not nn:
        pytest.skip("MaskedT has no safe_value in this release")
    parameter.t = row.make(library)
    parameter.val.value = row.numbers()
    other = converted(row, convert, parameter)
    if other is None:
        return
    assert type(other.t).__name__ == row.name
    assert other.val.value is parameter.val.value
    expected = np.asarray(parameter.value())
    scale = float(np.max(np.abs(expected)))
    np.testing.assert_allclose(other.value(), expected, atol=10 * row.tolerance * scale)


@pytest.mark.parametrize("library, convert", SIDES)
@pytest.mark.parametrize("row", REGULARIZATIONS, ids=str)
def test_a_penalty_stays(row: RegularizationRow, library: Any, convert: Any) -> None:
    parameter = library.Param(row.value(), reg=row.make(library))
    other = converted(row, convert, parameter)
    if other is None:
        return
    assert type(other.reg).__name__ == row.name
    assert other.states().keys() == parameter.states().keys()
    for path, state in parameter.states().items():
        assert other.states()[path].value is state.value
    np.testing.assert_allclose(
        other.reg_loss(), parameter.reg_loss(), rtol=10 * row.tolerance, atol=1e-6
    )


def test_the_published_cache_still_notices_a_write() -> None:
    parameter = to_brainstate(nn.Param(jnp.ones(3), t=nn.ExpT(0.0)))
    parameter.cache()
    parameter.val.value = jnp.zeros(3)
    np.testing.assert_allclose(parameter.value(), [1.0, 1.0, 1.0])


@pytest.mark.parametrize("library, convert", SIDES)
def test_a_constant_and_a_precomputed_value_stay(library: Any, convert: Any) -> None:
    constant = library.Const(jnp.ones(3))
    assert convert(constant).val is constant.val
    fixed = library.Param(jnp.ones(3), fit=False, precompute=jnp.sin)
    assert convert(fixed).precompute is jnp.sin
