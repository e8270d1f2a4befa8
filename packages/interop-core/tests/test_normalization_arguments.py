"""Arguments of normalisation layers that are of the wrong kind."""

from __future__ import annotations

from typing import Any

import pytest
from jax import numpy as jnp

from interop_core import nn


@pytest.mark.parametrize("axis", [1.0, "last", None, (0, 1.5)])
def test_axes_are_integers(axis: Any) -> None:
    with pytest.raises(TypeError, match="feature_axes must be an integer"):
        nn.LayerNorm((4, 6), feature_axes=axis)
    with pytest.raises(TypeError, match="reduction_axes must be an integer"):
        nn.RMSNorm((4, 6), reduction_axes=axis)(jnp.ones((4, 6)))
    with pytest.raises(TypeError, match="feature_axis must be an integer"):
        nn.BatchNorm1d((4, 6), feature_axis=axis)


@pytest.mark.parametrize("groups", [{"num_groups": 2.0}, {"num_groups": None, "group_size": "2"}])
def test_groups_are_counted_in_integers(groups: Any) -> None:
    with pytest.raises(TypeError, match="must be an integer"):
        nn.GroupNorm(4, **groups)
