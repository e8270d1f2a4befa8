"""How Equinox layers are read, recognised and built.

An Equinox layer takes one example, spatial ones with the channels first. What the core does to
every position of an array, Equinox does through `Pointwise`, the one class that this package adds.
A *node* is a layer, or a `Stateful`: a layer together with the `eqx.nn.State` of its model.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from interop_core import nn
from interop_core.bridge import Build, skeleton_of
from interop_core.core_side import not_a_model
from interop_core.errors import Problem, Refusal, UnsupportedStructureError, raise_problems
from interop_core.functions import (
    class_title,
    function_of,
    keywords_of,
    name_of,
    with_keywords,
)
from interop_core.mapping import Config, LayerMap, Unconvertible
from interop_core.options import parameters, same

from ._batch_norm import known_counter, running_statistics, state_names
from ._calling import Calling
from ._mlp import mlp_layers
from ._one_image import check_core, check_native
from ._pointwise import Pointwise
from ._recurrent_companions import carries_to_begin_with
from ._rows import ROWS, UNCONVERTIBLE, UNCONVERTIBLE_CORE
from ._state import (
    ARRAYS,
    Stateful,
    check_state,
    is_index,
    keeps_state,
    split,
    state_arrays,
    whole,
    whole_builder,
)
from .companions import Carrying
from .companions._constant import value_of

IGNORED = frozenset({"key", "dtype", "inference", "deterministic", "elementwise_affine"})
"""Parameters of any layer that say how it starts, and switches between training and evaluation."""

_BESIDE = "becomes a layer that keeps {} in an eqx.nn.State, beside the model"
_WITH_STATE = "pass stateful=True for the pair of model and state"
_WAYS_OUT = f"{_WITH_STATE}, or fold_batch_norm=True for its evaluation function alone"
_KEY = jax.ShapeDtypeStruct((2,), np.uint32)
"""A stand-in for a key: abstract runs of a constructor draw nothing."""


class Equinox(Calling):
    """Equinox as one side of a conversion.

    Args:
        rows: other rows than all of the bridge's.
        stateful: whether what is built may keep numbers in an `eqx.nn.State`.
    """

    name = "equinox"
    prefix = "eqx.nn."
    function_title = "eqx.nn.Lambda({})"
    label = "Equinox"
    unconvertible: tuple[Unconvertible, ...] = UNCONVERTIBLE
    unconvertible_core: tuple[Unconvertible, ...] = UNCONVERTIBLE_CORE
    ignored = IGNORED
    channels_first = True

    def __init__(self, rows: tuple[LayerMap, ...] = ROWS, *, stateful: bool = True) -> None:
        self.rows = rows
        self._stateful = stateful

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no Equinox module, and for a state of another."""
        if not isinstance(_bare(model), eqx.Module):
            raise not_a_model(_bare(model), "equinox.nn")
        if isinstance(model, Stateful):
            check_state(model)
            check_native(model)

    def check_core(self, model: nn.Module) -> None:
        """Raise for a core model that would compute something else, whatever its layers become."""
        check_core(model)

    def key(self, node: Any) -> Hashable:
        """The exact class; the function of an `eqx.nn.Lambda`; the layer inside a `Pointwise`."""
        inner = _inner(node)
        kind: Any = type(inner)
        return function_of(inner.fn) if kind is eqx.nn.Lambda else kind

    def title(self, node: Any) -> str:
        """``eqx.nn.Linear``."""
        inner = _inner(node)
        if type(inner) is eqx.nn.Lambda:
            return f"eqx.nn.Lambda({name_of(inner.fn)})"
        name = class_title(self.prefix, type(inner))
        return name if inner is _bare(node) else f"Pointwise({name})"

    def identity(self, node: Any) -> Hashable:
        """One object, one layer, also where it is lifted."""
        return id(_inner(node))

    def children(self, node: Any) -> Sequence[Any] | None:
        """The elements of an `eqx.nn.Sequential`, and the layers of an `eqx.nn.MLP`."""
        stack = _bare(node)
        if type(stack) is eqx.nn.MLP:
            return mlp_layers(stack, self.rows)
        if type(stack) is not eqx.nn.Sequential:
            return None
        if isinstance(node, Stateful):
            return [Stateful(layer, node.state) for layer in stack.layers]
        return list(stack.layers)

    def holds_layers(self, node: Any) -> bool:
        """Whether modules stand below a node, or it is a stack with a class of its own."""
        layer = _bare(node)
        return isinstance(layer, eqx.nn.Sequential) or any(
            isinstance(part, eqx.Module) and not is_index(part) for part in _held(layer).values()
        )

    def config(self, node: Any) -> dict[str, Any]:
        """Everything that the layer holds besides arrays and modules."""
        inner = _inner(node)
        if type(inner) is eqx.nn.Lambda:
            return keywords_of(inner.fn)
        held = _held(inner)
        kept = {n: v for n, v in held.items() if not (_is_array(v) or isinstance(v, eqx.Module))}
        kind: Any = type(inner)
        if "dropout_p" in parameters(kind):  # attention keeps it in a layer inside alone
            dropout = held.get("dropout")
            kept["dropout_p"] = getattr(dropout, "p", dropout)
        kept |= {f"{n}.type": type(v) for n, v in held.items() if _is_given(kind, n, v)}
        return {name: value_of(value) for name, value in kept.items()}

    def audit(self, node: Any) -> None:
        """Compare a layer with what its constructor makes: `eqx.tree_at` can put anything in."""
        inner = _inner(node)
        if type(inner) is eqx.nn.Lambda:
            return
        kind: Any = type(inner)
        config = self.config(node)
        options = {name: config[name] for name in parameters(kind) if name in config}
        options |= {n: v for n, v in _held(inner).items() if _is_given(kind, n, v)}
        made = _abstract(kind, options)
        fields = list(_differences(made, inner, ""))
        if fields:
            reason = f"is not what {kind.__name__} makes: {', '.join(fields)}"
            raise Refusal(reason, "make it anew")

    def leaves(self, node: Any) -> Mapping[str, Any]:
        """The arrays by dotted name."""
        inner = _inner(node)
        if type(inner) is eqx.nn.Lambda:
            if isinstance(inner.fn, eqx.Module):
                raise Refusal("calls a module, not a plain function", "put the module in the stack")
            return {}
        found = dict(_arrays(inner, "", node.state if isinstance(node, Stateful) else None))
        return running_statistics(inner, found) if type(inner) is eqx.nn.BatchNorm else found

    def inside(self, node: Any, name: str) -> Any:
        """A layer that another is given, with the state of the model."""
        part = getattr(_inner(node), name)
        return Stateful(part, node.state) if isinstance(node, Stateful) else part

    def holders(self, node: Any) -> Sequence[tuple[str, Hashable]]:
        """The places in the state that a layer has: two layers may have one of them in common."""
        return list(_places(_inner(node), ""))

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """Fill a skeleton that an abstract run of the constructor gave."""
        if not isinstance(target, type):
            function = with_keywords(target, options)
            return lambda _: eqx.nn.Lambda(function)
        more = {"inference": True} if "inference" in parameters(target) else {}
        layer = _abstract(target, {**options, **more})
        if not self._stateful and keeps_state(layer):
            if target is eqx.nn.BatchNorm:
                raise Refusal(_BESIDE.format("running statistics"), _WAYS_OUT)
            what = "its hidden state" if isinstance(layer, Carrying) else "numbers"
            raise Refusal(_BESIDE.format(what), _WITH_STATE)
        if target is eqx.nn.BatchNorm:
            return whole_builder(layer, state_names(names), known_counter(layer.momentum))
        if keeps_state(layer):
            return whole_builder(layer, names, carries_to_begin_with(layer, names))
        return skeleton_of(layer, names, lambda leaf: not _is_array(leaf))

    def stack(self, layers: Sequence[Any]) -> eqx.nn.Sequential:
        """An `eqx.nn.Sequential`, which hands each of its layers a key."""
        return eqx.nn.Sequential([_taking_key(whole(layer)) for layer in layers])

    def lift(self, layer: Any, axes: int) -> Any:
        """A `Pointwise` of the layer."""
        return Pointwise(whole(layer), axes)

    def lifted(self, node: Any) -> int:
        """On how many leading axes a `Pointwise` works."""
        layer = _bare(node)
        return layer.axes if type(layer) is Pointwise else 0

    def lend(self, node: Any) -> Any:
        """The layer; a pair of layer and state where it keeps one."""
        if isinstance(node, Stateful):
            layer = node.layer
            return (layer, node.state.substate(layer)) if keeps_state(layer) else layer
        try:
            return split(node) if keeps_state(node) else node
        except ValueError:  # a user's layer, which was passed without the state it keeps
            return node

    def adopt(self, layer: Any) -> Any:
        """The layer, or the pair of layer and state, as one node."""
        if isinstance(layer, tuple) and len(layer) == 2 and isinstance(layer[0], eqx.Module):
            if not self._stateful:
                reason = "a registered mapping gave a layer with an eqx.nn.State"
                raise_problems([Problem((), "", UnsupportedStructureError, reason, _WITH_STATE)])
            return Stateful(*layer)
        return layer


def _is_given(kind: Any, name: str, value: Any) -> bool:
    """Whether a layer holds a layer that its constructor was given."""
    return isinstance(value, eqx.Module) and not is_index(value) and name in parameters(kind)


def _abstract(target: Any, options: Config) -> Any:
    """Run a constructor without computing anything.

    What it computes of the arrays of a layer that it is given is a shape then as well.
    """
    given = jax.tree.map(_of_floats, {n: v for n, v in options.items() if _is_given(target, n, v)})
    rest = {n: v for n, v in options.items() if n not in given}
    if "key" in parameters(target):
        return eqx.filter_eval_shape(lambda g, key: target(**rest, **g, key=key), given, _KEY)
    return eqx.filter_eval_shape(lambda g: target(**rest, **g), given)


def _of_floats(leaf: Any) -> Any:
    """A shape for an array of integers, out of which a constructor might not make its own."""
    whole_numbers = _is_array(leaf) and not jnp.issubdtype(leaf.dtype, jnp.inexact)
    return jax.ShapeDtypeStruct(leaf.shape, jnp.float32) if whole_numbers else leaf


def _taking_key(layer: Any) -> Any:
    # Equinox's own PReLU can be called with no key: along no axes at all, a Pointwise takes it.
    if type(layer) is eqx.nn.PReLU and "key" not in parameters(type(layer).__call__):
        return Pointwise(layer, 0)
    return layer


def _bare(node: Any) -> Any:
    """The layer of a node, without its state."""
    return node.layer if isinstance(node, Stateful) else node


def _inner(node: Any) -> Any:
    """The layer itself: what a `Pointwise` lifts."""
    layer = _bare(node)
    return layer.layer if type(layer) is Pointwise else layer


def _held(node: Any) -> dict[str, Any]:
    return vars(node) if hasattr(node, "__dict__") else {}


def _differences(made: Any, found: Any, prefix: str) -> Iterator[str]:
    """Fields of a layer, and of the modules it holds, that are not as its constructor has them."""
    there, here = _held(made), _held(found)
    yield from (f"{prefix}{name}" for name in there.keys() ^ here.keys())
    for name, value in there.items():
        other = here.get(name)
        if prefix and name in IGNORED:
            continue  # a mode of a layer inside, or how it started
        if is_index(value) and is_index(other):
            continue  # the model's state says what it stands for
        if isinstance(value, eqx.Module):
            if type(other) is type(value):
                yield from _differences(value, other, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}={other!r}"
        elif not (_is_array(value) or _is_array(other) or _alike(value, other)):
            yield f"{prefix}{name}={other!r}"


def _alike(a: Any, b: Any) -> bool:
    """Whether two options are the same, partial functions by what they hold."""
    if not (isinstance(a, partial) and isinstance(b, partial)):
        return same(a, b)
    return (a.func, a.args, a.keywords.keys()) == (b.func, b.args, b.keywords.keys()) and all(
        _alike(a.keywords[name], b.keywords[name]) for name in a.keywords
    )


def _places(node: Any, prefix: str) -> Iterator[tuple[str, Hashable]]:
    for name, value in _held(node).items():
        if is_index(value):
            marker = value.marker
            yield prefix + name, sys.intern(marker) if isinstance(marker, str) else marker
        elif isinstance(value, eqx.Module):
            yield from _places(value, f"{prefix}{name}.")


def _is_array(value: Any) -> bool:
    return isinstance(value, ARRAYS)


def _arrays(node: Any, prefix: str, state: eqx.nn.State | None) -> Iterator[tuple[str, Any]]:
    for name, value in _held(node).items():
        if is_index(value):
            yield from state_arrays(prefix + name, value, state)
        elif isinstance(value, eqx.Module):
            yield from _arrays(value, f"{prefix}{name}.", state)
        elif _is_array(value):
            yield prefix + name, value
        elif hasattr(value, "unit") and hasattr(value, "shape"):
            yield prefix + name, value  # a quantity: the planner says what is wrong with it
