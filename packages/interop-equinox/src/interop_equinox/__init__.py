"""Move models between the core's layers and Equinox."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Literal

import equinox as eqx

from interop_core import nn
from interop_core.bridge import Bridge
from interop_core.conversion import convert_from, convert_to

from ._batch_norm import BATCH_AXIS, moves_on_alike, rows_over
from ._framework import Equinox
from ._pointwise import Pointwise
from ._rows import FOLDED_ROWS, ROWS
from ._state import Stateful, split, whole

__version__ = "0.1.0"
__all__ = ["BRIDGE", "Pointwise", "from_equinox", "to_equinox"]

BRIDGE: Bridge = Equinox()
"""Equinox as one side of a conversion."""

_BRIDGES: dict[tuple[bool, bool], Bridge] = {
    (True, False): BRIDGE,
    (False, False): Equinox(stateful=False),
    (True, True): Equinox(FOLDED_ROWS),
    (False, True): Equinox(FOLDED_ROWS, stateful=False),
}
"""By whether what is exported may have a state, and whether batch normalisations are folded."""


@lru_cache
def _over(axis_name: Hashable, stateful: bool) -> Bridge:
    """The bridge where the batch is a mapped axis of another name than usual."""
    rest = (row for row in ROWS if row.foreign is not eqx.nn.BatchNorm)
    return Equinox((*rows_over(axis_name), *rest), stateful=stateful)


def _bridge(axis_name: Hashable, *, stateful: bool = True, folds: bool = False) -> Bridge:
    if axis_name is None or isinstance(axis_name, tuple | list):
        raise ValueError(f"axis_name is the name of one mapped axis, not {axis_name!r}")
    if folds or axis_name == BATCH_AXIS:
        return _BRIDGES[stateful, folds]
    return _over(axis_name, stateful)


def to_equinox(
    model: nn.Module,
    *,
    key: Any = None,
    sample_input: Any = None,
    channels: Literal["native", "last"] = "native",
    stateful: bool = False,
    fold_batch_norm: bool = False,
    axis_name: Hashable = BATCH_AXIS,
    copy: bool = False,
    verify: bool = False,
    apply_transforms: bool = False,
) -> Any:
    """Convert a core model into an Equinox one, with its weights.

    The result takes one example at a time; `jax.vmap` it over a batch. Spatial data has the
    channels first, as Equinox has it: a stack of convolutions takes and gives
    ``(channels, height, width)``. Where a layer inside a stack needs the channels last, as
    Linear, LayerNorm and Flatten do, an explicit axis move stands before it. Dropout comes in
    evaluation mode; `eqx.nn.inference_mode` switches it.

    Args:
        model: a layer, or a `nn.Sequential` of layers.
        key: accepted for compatibility; nothing is drawn.
        sample_input: one unbatched example in the core's convention, or its shape, for models
            that do not say how many axes an example has.
        channels: ``"native"`` for Equinox's convention at both ends of the model, ``"last"`` for
            the core's.
        stateful: whether the result is a pair of model and `eqx.nn.State`, which batch
            normalisation needs, and a recurrent cell inside a stack. Call it as Equinox does,
            ``jax.vmap(model, axis_name="batch", in_axes=(0, axes), out_axes=(0, axes))(x, state)``,
            for outputs and the next state. There ``axes`` is None; with cells it is
            ``companions.carry_axes(model, state)``, since each example has a carry of its own. It
            is the hidden state that the cell holds. Where it holds none yet it is zeros for one
            example; ``companions.reset_carries(model, state, (16,))`` begins with a batch. The
            model comes in evaluation mode; ``eqx.nn.inference_mode(model, False)`` trains.
        fold_batch_norm: whether a batch normalisation becomes what it is in evaluation, a factor
            and a shift for each channel (`companions.ScaleAndShift`), which needs no state.
        axis_name: the name of the mapped axis that is the batch, for batch normalisation. A core
            layer's own ``axis_name``, which adds axes to the batch, stands behind it.
        copy: whether the result has arrays of its own. By default arrays that both sides store
            alike are shared, and donating one model (``donate_argnums`` of `jax.jit`) deletes
            them from the other. Layers that are tied stay tied either way.
        verify: whether both models are run on drawn inputs and compared, layer by layer: outputs
            and gradients in evaluation mode, and training steps where there are running
            statistics. No random stream is advanced. Dropout is compared in evaluation only.
        apply_transforms: whether an `nn.Param` with a transformation is converted by its value,
            which is then trained as it is. By default it is refused.

    Returns:
        An Equinox module that computes the same; with ``stateful=True`` the pair of it and its
        state.

    Raises:
        InteropError: where anything cannot be converted exactly, with every problem in it.
        VerificationError: where ``verify`` finds a difference, with the first layer that differs.

    Warns:
        LostNamesWarning: where axes of the model's arrays are named, which Equinox has no place
            for; with every name that is lost.

    Example:
        >>> import jax
        >>> from interop_core import nn
        >>> model = to_equinox(nn.Sequential(nn.Linear(4, 8), nn.ReLU()))
        >>> jax.vmap(model)(jax.numpy.ones((2, 4))).shape
        (2, 8)
        >>> model, state = to_equinox(nn.BatchNorm0d(4), stateful=True)
        >>> batched = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
        >>> y, state = batched(jax.numpy.ones((2, 4)), state)
    """
    bridge = _bridge(axis_name, stateful=bool(stateful), folds=bool(fold_batch_norm))
    node = convert_to(
        bridge,
        model,
        sample_input=sample_input,
        channels=channels,
        copy=copy,
        verify=verify,
        trains=not fold_batch_norm,
        apply_transforms=apply_transforms,
    )
    built = whole(node)
    return split(built) if stateful else built


def from_equinox(
    model: Any,
    state: Any = None,
    *,
    sample_input: Any = None,
    axis_name: Hashable = BATCH_AXIS,
    copy: bool = False,
    verify: bool = False,
) -> Any:
    """Convert an Equinox model into a core model, with its weights.

    The result keeps channels last. Where an Equinox stack looks at channels-first data as it lies,
    as `jax.numpy.ravel` does, a `nn.MoveAxis` stands before that layer.

    Args:
        model: a layer, or an `eqx.nn.Sequential` of layers.
        state: the `eqx.nn.State` of a model with batch normalisation, or with recurrent cells
            that keep their carry in it. A running statistic becomes what evaluation makes of it:
            Equinox divides it by ``1 - momentum**counter``. While that is not 1 yet, further
            training moves it otherwise than the core does, and ``verify`` compares evaluation
            alone. A carry becomes the hidden state of the cell, for one example or for a batch.
        sample_input: one unbatched example as the core's model will take it (channels last), or
            its shape; needed where a layer's sizes depend on its input, as a convolution's do.
        axis_name: for batch normalisations over several mapped axes, which of them is the batch;
            the others come along. Where there is one, it may have any name.
        copy: whether the result has arrays of its own. By default arrays that both sides store
            alike are shared, and donating one model (``donate_argnums`` of `jax.jit`) deletes
            them from the other. Layers that are tied stay tied either way.
        verify: whether both models are run on drawn inputs and compared, layer by layer: outputs
            and gradients in evaluation mode, and training steps where there are running
            statistics. No random stream is advanced. Dropout is compared in evaluation only.

    Returns:
        A core module that computes the same on batches.

    Raises:
        InteropError: where anything cannot be converted exactly, with every problem in it.
        VerificationError: where ``verify`` finds a difference, with the first layer that differs.

    Example:
        >>> import equinox as eqx, jax
        >>> model = from_equinox(eqx.nn.Linear(4, 8, key=jax.random.key(0)))
        >>> model(jax.numpy.ones((2, 4))).shape
        (2, 8)
    """
    node = model if state is None else Stateful(model, state)
    trains = not verify or state is None or moves_on_alike(model, state)
    return convert_from(
        _bridge(axis_name),
        node,
        sample_input=sample_input,
        copy=copy,
        verify=verify,
        trains=trains,
    )
