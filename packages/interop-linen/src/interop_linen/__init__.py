"""Convert models between brainstate.nn layers and Flax Linen.

Example:
    >>> import jax.numpy as jnp
    >>> from interop_core import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> module, variables = to_linen(model)
    >>> module.apply(variables, jnp.ones((3, 4))).shape
    (3, 2)
    >>> from_linen(module, variables)(jnp.ones((3, 4))).shape
    (3, 2)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flax import linen

from interop_core import nn
from interop_core.bridge import Bridge
from interop_core.conversion import convert_from, convert_to
from interop_core.core_side import not_a_model

from ._framework import Linen, node_of
from ._tree import assemble

__version__ = "0.1.0"
__all__ = ["BRIDGE", "from_linen", "to_linen"]

BRIDGE: Bridge = Linen()
"""Flax Linen for `interop_core`: its layers, and how they are read and built."""

_TRAINING: Bridge = Linen(training=True)


def to_linen(
    model: nn.Module,
    *,
    training: bool = False,
    sample_input: Any = None,
    copy: bool = False,
    verify: bool = False,
    apply_transforms: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """Convert a core model to Flax Linen.

    Arrays that both sides store alike, as kernels of `linen.Dense` and `linen.Conv`, are the same
    buffers in both models. A layer that stands twice in the model stands twice in the module, with
    its variables where Linen looks for them: at its first place. Plain functions such as
    activations stand in a `linen.Sequential`; a single one comes in a stack of its own.

    What Linen has not becomes a module of `interop_linen.companions`. A recurrent cell inside a
    stack is one that holds its carry: ``module.apply(variables, x, mutable=["carry"])``.

    Args:
        model: a core layer, or a `nn.Sequential` of them.
        training: the mode of `linen.Dropout` and `linen.BatchNorm`. By default the module is ready
            to evaluate, ``module.apply(variables, x)``. With ``training=True`` it is ready to
            train: ``module.apply(variables, x, mutable=["batch_stats"], rngs={"dropout": key})``.
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
        The module, and the whole tree of its variables as plain dicts, ``{"params": ...}`` with
        ``"batch_stats"`` beside it where the model has batch normalisation, and ``"carry"`` where
        recurrent cells inside a stack hold states. Arrays whose axes are named come in boxes.

    Raises:
        NotAModelError: for what is no core model.
        UnmappedLayerError: for a layer that nothing is known of.
        UnsupportedLayerError: for a known layer, or an option of one, that Linen has not.
        UnsupportedStructureError: for layers put together by code of their own.
        ConversionError: for arrays that do not fit their layer.
        VerificationError: where ``verify`` finds a difference, with the first layer that differs.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer = nn.Linear(4, 2)
        >>> module, variables = to_linen(layer)
        >>> module.features, jax.tree.map(jnp.shape, variables)
        (2, {'params': {'bias': (2,), 'kernel': (4, 2)}})
        >>> variables["params"]["kernel"] is layer.weight.value["weight"]
        True
    """
    node = convert_to(
        _TRAINING if training else BRIDGE,
        model,
        sample_input=sample_input,
        copy=copy,
        verify=verify,
        apply_transforms=apply_transforms,
    )
    module, variables = assemble(node)
    if not isinstance(module, linen.Module):
        module = linen.Sequential([module], parent=None)
    return module, variables


def from_linen(
    module: linen.Module,
    params: Mapping[str, Any],
    *,
    sample_input: Any = None,
    copy: bool = False,
    verify: bool = False,
) -> Any:
    """Convert a Flax Linen module with its variables to a core model.

    Modes, names and initializers are not taken over: the core reads from
    ``environ.context(fit=...)`` whether it trains.

    Args:
        module: a Linen layer, or a `linen.Sequential` of layers and plain functions, unbound.
        params: the whole tree of variables, ``batch_stats`` included: what ``module.init`` gives.
            A ``FrozenDict`` will do. Boxes that name axes (`linen.Partitioned`,
            `linen.LogicallyPartitioned`) are read and left as they are; the states of the result
            hold the names.
        sample_input: one unbatched example, channels last, or its shape. Convolutions and batch
            normalisation need it.
        copy: whether the result has arrays of its own. By default arrays that both sides store
            alike are shared, and donating one model (``donate_argnums`` of `jax.jit`) deletes
            them from the other. Layers that are tied stay tied either way.
        verify: whether both models are run on drawn inputs and compared, layer by layer: outputs
            and gradients in evaluation mode, and training steps where there are running
            statistics. No random stream is advanced. Dropout is compared in evaluation only.

    Returns:
        The core model. Arrays that both sides store alike are the same buffers in both.

    Raises:
        NotAModelError: for what is no Linen module, or a bound one.
        VariablesError: for variables that do not fit the module: missing, left over, of another
            shape, or in boxes that say more than names of axes.
        MissingShapeError: where ``sample_input`` is needed, or does not fit.
        UnmappedLayerError: for a layer that nothing is known of.
        UnsupportedLayerError: for a known layer, or an option of one, that the core has not.
        UnsupportedStructureError: for modules with a forward of their own around others.
        VerificationError: where ``verify`` finds a difference, with the first layer that differs.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> module = linen.Sequential([linen.Conv(4, (3, 3)), linen.relu, linen.GroupNorm(2)])
        >>> variables = module.init(jax.random.key(0), jnp.ones((1, 8, 8, 3)))
        >>> model = from_linen(module, variables, sample_input=(8, 8, 3))
        >>> model.layers[0].in_size, model.layers[0].kernel_size
        ((8, 8, 3), (3, 3))
    """
    if not isinstance(module, linen.Module):
        raise not_a_model(module, "flax.linen")
    node = node_of(module, params)
    return convert_from(BRIDGE, node, sample_input=sample_input, copy=copy, verify=verify)
