"""Options that many layers of NNX have, and when they convert."""

from __future__ import annotations

from typing import Any

from flax import nnx
from jax import lax

from interop_core.errors import Refusal
from interop_core.mapping import Config, Iso, Only
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


def _compute_dtype(dtype: Any, config: Config) -> Any:
    """The option itself, where kernels and bias are of one dtype or the option names one.

    NNX brings input, kernel and bias to one dtype before it multiplies. The core multiplies what
    input and kernel promote to, and adds the bias after that.
    """
    ends = ("weight.dtype", "kernel.dtype", "bias.dtype")
    held = {str(found) for name, found in config.items() if name.endswith(ends) and found}
    if dtype is None and len(held) > 1:
        raise Refusal(
            f"dtype=None with parameters of {' and '.join(sorted(held))} is not the same product "
            "on both sides",
            "give the layer a dtype, or cast its parameters to one",
        )
    return dtype


COMPUTE_DTYPE = Iso(_compute_dtype, _compute_dtype, "=")
"""The compute dtype of a layer with a kernel."""
