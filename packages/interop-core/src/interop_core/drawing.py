"""Inputs drawn for a model of which a plan speaks, from numpy's generator and no other.

Imports `plan` and the core's layers.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import nn
from .errors import MissingShapeError, Problem
from .graph import leaves as core_leaves
from .mapping import LayerMap
from .plan import Node, Plan
from .walking import places

BATCH = 3
"""Examples in a batch: enough for statistics, and for one to differ from another."""

_ANY_TYPE = (nn.Identity, nn.Flatten, nn.Unflatten, nn.MoveAxis)
"""Layers that pass whole numbers on, so that the first layer behind them says what they are."""

POSITIONS = 4
"""Positions of a drawn sequence, for layers that declare the features of each alone."""

_BY_POSITION = (nn.MultiHeadAttention, nn.RoPE)
"""Layers that look at positions, the axis before the features, whether it is declared or not."""

_ASK = "pass sample_input=<one unbatched example, channels last, or its shape>"


def drawn_input(plan: Plan, sample_input: Any) -> Any:
    """A batch of inputs for the source of a plan, in the core's convention.

    Args:
        plan: a plan that knows the shape of an example.
        sample_input: an example; its own numbers, in other places, make the batch. For a shape or
            nothing normal numbers are drawn, or indices where a `nn.Embedding` stands first.

    Returns:
        An array whose first axes are batch axes; see `batch_axes`.

    Raises:
        MissingShapeError: where nothing says the shape.
    """
    draw = np.random.default_rng(7)
    leading = batch_axes(plan)
    if isinstance(sample_input, jax.Array | np.ndarray | np.generic):
        sample = np.asarray(sample_input)
        flat = np.stack([sample, *(_shuffled(draw, sample) for _ in range(_count(leading) - 1))])
        return jnp.asarray(flat.reshape(*leading, *sample.shape))
    first = next((n.recipe.core for n in places(plan.root) if _speaks(n) and n.recipe), None)
    below = first.num_embeddings if isinstance(first, nn.Embedding) else None
    shape = plan.example
    if shape is None:
        shape = () if below is not None else getattr(first, "in_size", None)
    if shape is None:
        reason = "nothing says which shape the model's input has, and verifying it takes one"
        problem = Problem((), plan.root.title, MissingShapeError, reason, _ASK)
        raise MissingShapeError(problems=[problem])
    if below is not None:
        return jnp.asarray(draw.integers(0, below, (*leading, *shape), dtype=np.int32))
    if len(shape) == 1 and isinstance(first, _BY_POSITION) and sample_input is None:
        shape = (POSITIONS, *shape)
    return jnp.asarray(draw.normal(size=(*leading, *shape)), _floating_type(plan))


def batch_axes(plan: Plan) -> tuple[int, ...]:
    """The batch axes of a drawn input.

    They are those of the states of a model in use, or those that a layer asks for, else `BATCH`.
    """
    outward = plan.target is plan.bridge
    for node in places(plan.root):
        entry = node.recipe.entry if node.recipe is not None else None
        states = entry.leaves if isinstance(entry, LayerMap) else ()
        for leaf in (state for state in states if state.optional):
            for name, ours in zip(leaf.core if outward else leaf.foreign, leaf.core, strict=True):
                if name in node.leaves and node.recipe:
                    shape = tuple(np.shape(node.leaves[name]))
                    alone = core_leaves(node.recipe.core)[ours].shape
                    return shape[: len(shape) - len(alone)]
        asked = getattr(node.recipe and node.recipe.core, "batch_sizes", None)
        sizes = asked(node.recipe.example) if asked and node.recipe else None
        if sizes is not None:
            return tuple(BATCH if size is None else size for size in sizes)
    return (BATCH,)


def _count(leading: tuple[int, ...]) -> int:
    return int(np.prod(leading, dtype=int))


def _shuffled(draw: np.random.Generator, sample: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return draw.permutation(sample.ravel()).reshape(sample.shape)


def _speaks(node: Node) -> bool:
    """Whether a layer cares about the type of its input."""
    core = node.recipe.core if node.recipe is not None else None
    return node.source is not None and not isinstance(core, _ANY_TYPE)


def _floating_type(plan: Plan) -> Any:
    """The type of the first weight, so that nothing is promoted that is not in use."""
    for node in places(plan.root):
        for array in node.leaves.values():
            if jnp.issubdtype(array.dtype, jnp.inexact) and array.dtype.itemsize > 1:
                return array.dtype
    return jnp.float32
