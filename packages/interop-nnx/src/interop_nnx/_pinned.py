"""Options of NNX layers that convert at their default alone, whatever layer they stand in."""

from __future__ import annotations

from flax import nnx
from jax import lax

from interop_core.mapping import Only
from interop_core.options import parameters

PROMOTE_DTYPE = Only(
    "foreign",
    "promote_dtype",
    parameters(nnx.Linear)["promote_dtype"],
    "use nnx's own promotion, and dtype=... for another compute dtype",
)
"""How a layer brings its input and its parameters to one dtype."""

DOT_GENERAL = Only("foreign", "dot_general", lax.dot_general, "use jax.lax.dot_general")
"""What a dense layer multiplies with."""

CONV_GENERAL_DILATED = Only(
    "foreign",
    "conv_general_dilated",
    lax.conv_general_dilated,
    "use jax.lax.conv_general_dilated",
)
"""What a convolution convolves with."""

PREFERRED_ELEMENT_TYPE = Only(
    "foreign", "preferred_element_type", None, "use dtype=... for another compute dtype"
)
"""In which dtype products are accumulated."""
