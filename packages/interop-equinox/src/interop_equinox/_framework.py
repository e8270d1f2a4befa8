"""How Equinox layers are read, recognised and built.

An Equinox layer takes one example, spatial ones with the channels first. What the core does to
every position of an array, Equinox does through `Pointwise`, the one class that this package adds.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from interop_core.bridge import Build, skeleton_of
from interop_core.core_side import not_a_model
from interop_core.errors import Refusal, UnsupportedStructureError
from interop_core.functions import (
    class_title,
    function_of,
    keywords_of,
    name_of,
    with_keywords,
)
from interop_core.mapping import Config, LayerMap, Unconvertible
from interop_core.options import parameters, same

from ._pointwise import Pointwise
from ._rows import ROWS, UNCONVERTIBLE, UNCONVERTIBLE_CORE

IGNORED = frozenset({"key", "dtype", "inference", "deterministic", "elementwise_affine"})
"""Parameters of any layer that say how it starts, and switches between training and evaluation."""

_ARRAYS = (jax.Array, np.ndarray, jax.ShapeDtypeStruct)
_KEY = jax.ShapeDtypeStruct((2,), np.uint32)
"""A stand-in for a key: abstract runs of a constructor draw nothing."""


class Equinox:
    """Equinox as one side of a conversion."""

    name = "equinox"
    prefix = "eqx.nn."
    function_title = "eqx.nn.Lambda({})"
    label = "Equinox"
    rows: tuple[LayerMap, ...] = ROWS
    unconvertible: tuple[Unconvertible, ...] = UNCONVERTIBLE
    unconvertible_core: tuple[Unconvertible, ...] = UNCONVERTIBLE_CORE
    ignored = IGNORED
    channels_first = True

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no Equinox module."""
        if not isinstance(model, eqx.Module):
            raise not_a_model(model, "equinox.nn")

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
        return name if inner is node else f"Pointwise({name})"

    def identity(self, node: Any) -> Hashable:
        """One object, one layer, also where it is lifted."""
        return id(_inner(node))

    def children(self, node: Any) -> Sequence[Any] | None:
        """The elements of an `eqx.nn.Sequential`."""
        return list(node.layers) if type(node) is eqx.nn.Sequential else None

    def holds_layers(self, node: Any) -> bool:
        """Whether modules stand below a node, or it is a stack with a class of its own."""
        return isinstance(node, eqx.nn.Sequential) or any(
            isinstance(part, eqx.Module) for part in _held(node).values()
        )

    def config(self, node: Any) -> dict[str, Any]:
        """Everything that the layer holds besides arrays and modules."""
        inner = _inner(node)
        if type(inner) is eqx.nn.Lambda:
            return keywords_of(inner.fn)
        held = _held(inner).items()
        return {n: v for n, v in held if not (_is_array(v) or isinstance(v, eqx.Module))}

    def audit(self, node: Any) -> None:
        """Compare a layer with what its constructor makes: `eqx.tree_at` can put anything in."""
        inner = _inner(node)
        if type(inner) is eqx.nn.Lambda:
            return
        kind: Any = type(inner)
        config = self.config(node)
        options = {name: config[name] for name in parameters(kind) if name in config}
        made = _abstract(kind, options)
        fields = [n for n, v in self.config(made).items() if not same(v, config.get(n))]
        if fields or _held(made).keys() != _held(inner).keys():
            names = ", ".join(f"{n}={config.get(n)!r}" for n in fields)
            raise Refusal(f"is not what {kind.__name__} makes: {names}", "make it anew")

    def leaves(self, node: Any) -> Mapping[str, Any]:
        """The arrays by dotted name."""
        inner = _inner(node)
        if type(inner) is eqx.nn.Lambda:
            if isinstance(inner.fn, eqx.Module):
                raise Refusal("calls a module, not a plain function", "put the module in the stack")
            return {}
        return dict(_arrays(inner, ""))

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """Fill a skeleton that an abstract run of the constructor gave."""
        if not isinstance(target, type):
            function = with_keywords(target, options)
            return lambda _: eqx.nn.Lambda(function)
        more = {"inference": True} if "inference" in parameters(target) else {}
        layer = _abstract(target, {**options, **more})
        return skeleton_of(layer, names, lambda leaf: not _is_array(leaf))

    def stack(self, layers: Sequence[Any]) -> eqx.nn.Sequential:
        """An `eqx.nn.Sequential`, which hands each of its layers a key."""
        return eqx.nn.Sequential([_taking_key(layer) for layer in layers])

    def lift(self, layer: Any, axes: int) -> Any:
        """A `Pointwise` of the layer."""
        return Pointwise(layer, axes)

    def lifted(self, node: Any) -> int:
        """On how many leading axes a `Pointwise` works."""
        return node.axes if type(node) is Pointwise else 0

    def lend(self, node: Any) -> Any:
        """The layer."""
        return node

    def adopt(self, layer: Any) -> Any:
        """The layer."""
        return layer


def _abstract(target: Any, options: Config) -> Any:
    """Run a constructor without computing anything."""
    if "key" in parameters(target):
        return eqx.filter_eval_shape(lambda key: target(**options, key=key), _KEY)
    return eqx.filter_eval_shape(lambda: target(**options))


def _taking_key(layer: Any) -> Any:
    # Equinox's own PReLU can be called with no key: along no axes at all, a Pointwise takes it.
    if type(layer) is eqx.nn.PReLU and "key" not in parameters(type(layer).__call__):
        return Pointwise(layer, 0)
    return layer


def _inner(node: Any) -> Any:
    """The layer itself: what a `Pointwise` lifts."""
    return node.layer if type(node) is Pointwise else node


def _held(node: Any) -> dict[str, Any]:
    return vars(node) if hasattr(node, "__dict__") else {}


def _is_array(value: Any) -> bool:
    return isinstance(value, _ARRAYS)


def _arrays(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in _held(node).items():
        if isinstance(value, eqx.Module):
            yield from _arrays(value, f"{prefix}{name}.")
        elif _is_array(value):
            yield prefix + name, value
        elif hasattr(value, "unit") and hasattr(value, "shape"):
            yield prefix + name, value  # a quantity: the planner says what is wrong with it
        elif isinstance(value, eqx.nn.StateIndex):
            raise Refusal(
                f"keeps {prefix}{name} in an eqx.nn.State", error=UnsupportedStructureError
            )
