"""Running a core model and its published counterpart on the same drawn input."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, NoReturn

import brainstate
import jax
import jax.numpy as jnp
import numpy as np

from interop_core import nn, random
from interop_core.agreement import Difference, difference, has_numbers, relative_tolerance
from interop_core.calling import Call
from interop_core.convert import example_shape
from interop_core.core_side import CORE
from interop_core.drawing import BATCH
from interop_core.errors import (
    MissingShapeError,
    NotAModelError,
    Path,
    Problem,
    VerificationError,
)
from interop_core.graph import leaves
from interop_core.state import BatchState

STEPS = 2
"""Training steps that models with running statistics take."""


def verify(core: Any, published: Any, sample_input: Any, *, outward: bool) -> None:
    """Compare a core model with a published one, layer by layer where both are stacks.

    Both run in evaluation mode, and those with running statistics and without dropout in training
    too. Cells begin with fresh states. What runs are copies, so that neither model changes.

    Args:
        core: the core model.
        published: the published one.
        sample_input: one unbatched example or its shape; by default the ``in_size`` of the model.
        outward: whether the published model is the one that was made.

    Raises:
        VerificationError: for the first layer whose output differs.
        MissingShapeError: where no input can be drawn.
    """
    x = _drawn(core, sample_input)
    streams = (random.seed_context(0), brainstate.random.seed_context(0))
    with streams[0], streams[1], jax.default_matmul_precision("highest"):
        for path, here, there in _layers(core, published, ()):
            x = _compared(path, here, there, x, outward)


def require_layers(model: Any) -> None:
    """Raise for what is converted and is no layer: there is nothing to run, or to copy by."""
    if not isinstance(model, nn.Module):
        reason = "is no layer, which copy and verify are for"
        title = f"nn.{type(model).__name__}"
        problem = Problem((), title, NotAModelError, reason, "convert it without them")
        raise NotAModelError(problems=[problem])


def _layers(core: Any, published: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if type(core) is not nn.Sequential or type(published) is not brainstate.nn.Sequential:
        yield path, core, published
        return
    pairs = zip(core.layers, published.layers, strict=True)
    for index, (here, there) in enumerate(pairs):
        yield from _layers(here, there, (*path, "layers", index))


def _compared(path: Path, core: Any, published: Any, x: Any, outward: bool) -> Any:
    """Compare one layer; what the core's gives for the input."""
    title = f"{'nn' if outward else 'brainstate.nn'}.{type(core).__name__}"
    try:
        expected = CORE.call(core, Call(x, 1)).y
    except Exception as error:
        reason = f"cannot be run on an input of the shape {x.shape[1:]}: {error}"
        advice = "pass sample_input=<one unbatched example, channels last, or its shape>"
        problem = Problem(path, title, MissingShapeError, reason, advice)
        raise MissingShapeError(problems=[problem]) from error
    held = leaves(core) if isinstance(core, nn.Module) else {}
    types = [jnp.result_type(leaf) for leaf in jax.tree.leaves((x, expected, held))]
    relative = relative_tolerance(types)
    if not has_numbers(expected):
        reason = "gives no finite number for the drawn input, so that nothing can be compared"
        _raise(path, title, reason, Difference(math.inf, 0.0), "output")
    copied = copy.deepcopy(published)
    if isinstance(copied, brainstate.nn.Module) and _waits_for_states(core):
        brainstate.nn.init_all_states(copied, x.shape[0])
    runs = [("output", x, False)]
    if _trains_alike(core):
        steps = [(f"output of training step {s + 1}", x * (1 + s) + s, True) for s in range(STEPS)]
        runs += [*steps, (f"output after {STEPS} training steps", x, False)]
    here = core
    for what, given, training in runs:
        outcome = CORE.call(here, Call(given, 1, training=training))
        try:
            with brainstate.environ.context(fit=training):
                found = copied(given)
        except Exception as error:
            reason = f"its counterpart cannot be run as it can: {type(error).__name__}: {error}"
            _raise(path, title, reason, Difference(math.inf, 0.0), what)
        here = outcome.model
        apart = difference(found, outcome.y, relative)
        if not apart.agrees:
            _raise(path, title, f"its {what} {apart}", apart, what)
    return expected


def _waits_for_states(core: Any) -> bool:
    return isinstance(core, nn.Module) and any(
        type(part).init_state is not nn.Module.init_state for part in core.modules()
    )


def _trains_alike(core: Any) -> bool:
    """Whether training moves statistics, and draws nothing."""
    if not isinstance(core, nn.Module) or _waits_for_states(core):
        return False
    drawing = any("Dropout" in type(part).__name__ for part in core.modules())
    return bool(core.states(BatchState)) and not drawing


def _drawn(core: nn.Module, sample_input: Any) -> Any:
    """A batch for the core model: numbers of the sample, indices, or normal numbers."""
    draw = np.random.default_rng(7)
    first: Any = core
    while type(first) is nn.Sequential and first.layers:
        first = first.layers[0]
    if isinstance(sample_input, jax.Array | np.ndarray):
        return jnp.stack([jnp.asarray(sample_input)] * BATCH)
    shape = example_shape(sample_input)
    below = first.num_embeddings if isinstance(first, nn.Embedding) else None
    if shape is None:
        shape = () if below is not None else getattr(first, "in_size", None)
    if shape is None:
        reason = "nothing says which shape the model's input has, and verifying it takes one"
        advice = "pass sample_input=<one unbatched example, channels last, or its shape>"
        problem = Problem((), f"nn.{type(core).__name__}", MissingShapeError, reason, advice)
        raise MissingShapeError(problems=[problem])
    if below is not None:
        return jnp.asarray(draw.integers(0, below, (BATCH, *shape), dtype=np.int32))
    return jnp.asarray(draw.normal(size=(BATCH, *shape)), jnp.float32)


def _raise(path: Path, title: str, reason: str, apart: Difference, what: str) -> NoReturn:
    problem = Problem(path, title, VerificationError, reason, "convert this layer in another way")
    raise VerificationError(
        problems=[problem], difference=apart.largest, tolerance=apart.allowed, what=what
    )
