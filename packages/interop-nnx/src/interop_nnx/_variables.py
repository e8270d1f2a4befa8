"""How NNX modules hold their arrays: which attributes are variables, and what is in them.

The one place of this package that looks inside a variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any

import jax
import numpy as np
from flax import nnx

from interop_core.axis_names import NamedArrays
from interop_core.errors import ConversionError, Refusal
from interop_core.functions import is_companion
from interop_core.options import parameters, same

from ._attention import parts_of
from ._sharding import plain_metadata, read
from .companions import Carry, SpectralNorm

INHERITED = frozenset({"dtype", "promote_dtype"})
"""Options that a stock layer hands down to the dense layers inside it."""

OWN = frozenset({"in_features", "out_features", "use_bias", "param_dtype"})
"""Options of a dense layer inside another layer that its arrays say as well."""

CACHES = {
    "RoPE": "leave embedding_size and max_seq_len out: the same angles are computed when called",
    "MultiHeadAttention": "make the layer anew, without init_cache",
}
"""What to do about what a layer of NNX keeps for later, by its name: not every release has it."""

STATISTICS: dict[type, frozenset[str]] = {
    nnx.BatchNorm: frozenset({"mean", "var"}),
    SpectralNorm: frozenset({"u", "v", "sigma"}),
}
"""Which arrays of a layer are running statistics; every other is a parameter."""


PARAMETERS: dict[type, type] = {nnx.LoRA: nnx.LoRAParam}
"""The type of a stock layer's parameters where it is not `nnx.Param`."""

WITH_LORA = frozenset({nnx.LoRALinear})
"""Layers that hold an `nnx.LoRA` of their own making."""


class Kind(Enum):
    """What an attribute's value is."""

    VARIABLE = auto()
    MODULE = auto()
    TREE = auto()  # an nnx.Pytree that is no module, a list, a tuple, a dict
    ARRAY = auto()
    STREAM = auto()
    OTHER = auto()


_kinds: dict[type, Kind] = {}


def kind_of(value: Any) -> Kind:
    """What an attribute's value is, worked out once per type."""
    cls = value.__class__
    found = _kinds.get(cls)
    if found is None:
        found = _kinds[cls] = _new_kind(value)
    return found


def _new_kind(value: Any) -> Kind:
    if isinstance(value, nnx.RngStream | nnx.Rngs | nnx.RngState):
        return Kind.STREAM
    if isinstance(value, nnx.Variable):
        return Kind.VARIABLE
    if isinstance(value, nnx.Module):
        return Kind.MODULE
    if isinstance(value, nnx.Pytree | list | tuple | dict):
        return Kind.TREE
    if isinstance(value, jax.Array | np.ndarray | jax.ShapeDtypeStruct):
        return Kind.ARRAY
    return Kind.OTHER


def is_stock(cls: type) -> bool:
    """Whether a layer class is one of NNX itself, so that its rows know all about it."""
    return cls.__module__.partition(".")[0] == "flax"


def held(node: Any) -> Iterator[tuple[str, Any]]:
    """What is held right below a module or a container, by name."""
    if isinstance(node, dict):
        yield from ((str(key), value) for key, value in node.items())
    elif isinstance(node, list | tuple):
        yield from ((str(index), value) for index, value in enumerate(node))
    else:
        yield from vars(node).items()


def holds_modules(node: Any) -> bool:
    """Whether a module stands anywhere below."""
    for _, value in held(node):
        kind = kind_of(value)
        if kind is Kind.MODULE or (kind is Kind.TREE and holds_modules(value)):
            return True
    return False


def strays(node: Any, known: str) -> list[str]:
    """Names of whatever holds arrays or modules right below a node, but for one."""
    plain = (Kind.OTHER, Kind.STREAM)
    return [
        name
        for name, value in held(node)
        if name != known
        and (
            any(kind_of(inner) not in plain for _, inner in held(value))
            if kind_of(value) is Kind.TREE
            else kind_of(value) not in plain
        )
    ]


def arrays_of(node: Any) -> dict[str, Any]:
    """The arrays of a layer by dotted name.

    In place of an array that no row may carry over stands the `Refusal` that says why: a
    hand-written mapping may know what to do with it.
    """
    found = NamedArrays()
    _gather(node, "", node, found)
    return found


def _gather(node: Any, prefix: str, layer: Any, found: NamedArrays) -> None:
    cls: Any = type(layer)
    for name, value in held(node):
        kind = kind_of(value)
        if kind is Kind.OTHER:
            continue
        if kind is Kind.VARIABLE:
            found[prefix + name] = _value_of(value, name, layer)
            if not value.get_metadata().keys() <= plain_metadata():
                _annotate(value, prefix + name, name, found)
        elif kind is Kind.MODULE and node is layer and name in parameters(cls):
            _gather(value, f"{prefix}{name}.", value, found)  # a layer that it was given
        elif kind is Kind.MODULE:
            refusal = _changed(value, prefix + name, layer)
            if refusal is not None:
                found[prefix + name] = refusal
            whose = value if cls in WITH_LORA else layer
            _gather(value, f"{prefix}{name}.", whose, found)
        elif kind is Kind.TREE:
            _gather(value, f"{prefix}{name}.", layer, found)
        elif kind is Kind.ARRAY and not (node is layer and name in parameters(cls)):
            found[prefix + name] = value  # an array among the options is one of them: a mask


def variables_of(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The variables of a layer by dotted name."""
    for name, value in held(node):
        kind = kind_of(value)
        if kind is Kind.VARIABLE:
            yield prefix + name, value
        elif kind is Kind.MODULE or kind is Kind.TREE:
            yield from variables_of(value, f"{prefix}{name}.")


def _changed(part: Any, name: str, layer: Any) -> Refusal | None:
    """Why a module inside a stock layer is not what the layer's constructor puts there."""
    if not is_stock(type(layer)):
        return None
    kind: Any
    given: Mapping[str, Any]
    if type(layer) in WITH_LORA:
        kind, given = nnx.LoRA, {}
    elif type(layer) is nnx.MultiHeadAttention:
        kind, given = parts_of(layer).get(name, (nnx.Linear, {}))
    else:
        kind, given = nnx.Linear, {n: v for n, v in vars(layer).items() if n in INHERITED}
    if type(part) is not kind:
        said = f"{name} is {type(part).__name__}, not nnx.{kind.__name__}"
        return Refusal(said, error=ConversionError)
    known: Any = kind
    own = vars(part)
    for option, default in parameters(known).items():
        if option in own and option not in OWN:
            wanted = given.get(option, default)
            if not same(own[option], wanted):
                return Refusal(f"{name} has {option}={own[option]!r} of its own")
    return None


def _annotate(variable: Any, path: str, name: str, found: NamedArrays) -> None:
    """Have the array of a variable keep what it is annotated with, or a `Refusal` in its place."""
    if isinstance(found[path], Refusal):
        return
    metadata: Mapping[str, Any] = variable.get_metadata()
    said = read(name, {key: metadata[key] for key in metadata.keys() - plain_metadata()})
    if isinstance(said, Refusal):
        found[path] = said
    elif said is not None:
        found.put(path, found[path], said)


def _value_of(variable: Any, name: str, layer: Any) -> Any:
    """The very array in a variable, or why it may not be taken."""
    kind = variable.var_type
    carried = name in getattr(type(layer), "carried", ()) and is_companion(type(layer))
    special: Any = Carry if carried else PARAMETERS.get(type(layer))
    if kind is not nnx.Param and kind is not nnx.BatchStat and kind is not special:
        advice = (
            "take it out with nnx.pop(model, nnx.Intermediate)"
            if issubclass(kind, nnx.Intermediate)
            else "hold it in an nnx.Param, or register_layer_mapping for this class"
        )
        if is_stock(type(layer)) and name.startswith("cached_"):
            advice = CACHES.get(type(layer).__name__, advice)
        return Refusal(
            f"{name} is an nnx.{kind.__name__}, which no row carries over", advice, ConversionError
        )
    statistic = name in STATISTICS.get(type(layer), ())
    wanted: Any = special or (nnx.BatchStat if statistic else nnx.Param)
    if kind is not wanted and (is_stock(type(layer)) or is_companion(type(layer))):
        return Refusal(
            f"{name} is an nnx.{kind.__name__}, where the layer has an nnx.{wanted.__name__}",
            "hold it in that",
            ConversionError,
        )
    raw = variable.get_raw_value()
    return raw if isinstance(raw, jax.Array | np.ndarray) else variable.get_value()
