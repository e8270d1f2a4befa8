"""Move models between the core's layers and Flax NNX."""

from __future__ import annotations

from typing import Any

from flax import nnx

from interop_core import nn
from interop_core.bridge import Bridge
from interop_core.conversion import convert_from, convert_to

from ._dropout import give_streams
from ._framework import Nnx

__version__ = "0.1.0"
__all__ = ["BRIDGE", "from_nnx", "to_nnx"]

BRIDGE: Bridge = Nnx()
"""Flax NNX as one side of a conversion."""


def to_nnx(
    model: nn.Module,
    *,
    rngs: nnx.Rngs | nnx.RngStream | None = None,
    sample_input: Any = None,
    copy: bool = False,
    verify: bool = False,
    apply_transforms: bool = False,
) -> Any:
    """Convert a core model into an NNX one, with its weights.

    Arrays that both sides store alike are the same buffers in both models. Dropout and batch
    normalisation come in evaluation mode; the model's ``.train()`` switches them. Layers whose
    state is an argument in NNX, as a recurrent cell's is, are called as NNX calls them; inside a
    stack a cell holds its state, which `companions.reset_carries` begins anew. Where NNX has no
    such layer, the model holds one of `companions`.

    Args:
        model: a layer, or a `nn.Sequential` of layers.
        rngs: what dropout layers draw from: each gets a stream of its own, derived from the
            stream ``"dropout"`` of these, or else the default one, which is not advanced. ``None``
            is seed 0.
        sample_input: one unbatched example (channels last), or its shape: what ``verify`` draws
            inputs for where the model does not say it.
        copy: whether the result has arrays of its own. By default arrays that both sides store
            alike are shared, and donating one model (``donate_argnums`` of `jax.jit`) deletes
            them from the other. Layers that are tied stay tied either way.
        verify: whether both models are run on drawn inputs and compared, layer by layer: outputs
            and gradients in evaluation mode, and training steps where there are running
            statistics. No random stream is advanced. Dropout is compared in evaluation only.
        apply_transforms: whether an `nn.Param` with a transformation is converted by its value,
            which is then trained as it is. By default it is refused.

    Returns:
        An NNX module, or the function that stands for the layer, which computes the same.
        Variables whose axes are named are annotated so; no array is put on a mesh.

    Raises:
        InteropError: where anything cannot be converted exactly, with every problem in it.
        VerificationError: where ``verify`` finds a difference, with the first layer that differs.
        TypeError: if ``rngs`` is no ``nnx.Rngs``.
        ValueError: if the model holds dropout layers and ``rngs`` has no stream for them.

    Example:
        >>> import jax.numpy as jnp
        >>> from interop_core import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> nnx_model = to_nnx(model)
        >>> nnx_model(jnp.ones((3, 4))).shape
        (3, 2)
        >>> nnx_model.layers[0].kernel.get_value() is model.layers[0].weight.value["weight"]
        True
    """
    converted = convert_to(
        BRIDGE,
        model,
        sample_input=sample_input,
        copy=copy,
        verify=verify,
        apply_transforms=apply_transforms,
    )
    give_streams(converted, rngs)
    return converted


def from_nnx(
    model: Any,
    *,
    sample_input: Any = None,
    copy: bool = False,
    verify: bool = False,
) -> Any:
    """Convert an NNX model into a core model, with its weights.

    Whether the model was in training or in evaluation mode makes no difference: the core is told
    in every call, by ``environ.context(fit=...)``.

    Args:
        model: a layer, or an `nnx.Sequential` of layers and functions.
        sample_input: one unbatched example (channels last), or its shape; needed where a layer's
            sizes depend on its input, as a convolution's do.
        copy: whether the result has arrays of its own. By default arrays that both sides store
            alike are shared, and donating one model (``donate_argnums`` of `jax.jit`) deletes
            them from the other. Layers that are tied stay tied either way.
        verify: whether both models are run on drawn inputs and compared, layer by layer: outputs
            and gradients in evaluation mode, and training steps where there are running
            statistics. No random stream is advanced. Dropout is compared in evaluation only.

    Returns:
        A core module that computes the same. Its states hold the names of axes that variables are
        annotated with.

    Raises:
        InteropError: where anything cannot be converted exactly, with every problem in it.
        VerificationError: where ``verify`` finds a difference, with the first layer that differs.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> conv = nnx.Conv(3, 4, kernel_size=(3, 3), rngs=nnx.Rngs(0))
        >>> model = from_nnx(conv, sample_input=(8, 8, 3))
        >>> model(jnp.ones((2, 8, 8, 3))).shape
        (2, 8, 8, 4)
    """
    return convert_from(BRIDGE, model, sample_input=sample_input, copy=copy, verify=verify)
