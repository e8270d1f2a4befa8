"""Parameters of core layers that are more than an array: `nn.Param`, and states of other types.

A state holds what is trained. A `nn.Param` may train something else than the value that its layer
uses, add a penalty to the loss, or not be trained at all, and none of this goes with an array.
Imports `graph` and `nn`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._content import PLAIN
from .errors import ConversionError, Refusal
from .graph import DICT, KINDS, LIST, NODE, TUPLE, children, named_states
from .nn import IdentityT, Module, Param
from .state import NormalizationParamState, ParamState

_HOLDING = frozenset({NODE, LIST, TUPLE, DICT})
_TRAINED = frozenset({ParamState, NormalizationParamState})
"""State types that are trained alike."""


def read_params(module: Module, arrays: dict[str, Any], *, apply: bool) -> dict[str, Any]:
    """The arrays of a layer, with what its `nn.Param` objects stand for.

    Args:
        module: the layer.
        arrays: its arrays by name.
        apply: whether a transformed parameter is read by its value.

    Returns:
        The same dict where the layer holds no `nn.Param`. Else each gives, under ``NAME.val``, its
        value, or the `Refusal` that says why no array can stand for it.
    """
    if not _may_hold(module, {id(module)}):
        return arrays
    found = dict(_params(module, "", set()))
    if not found:
        return arrays
    return {**arrays, **{f"{n}.val": _read(n, p, apply) for n, p in found.items()}}


def _may_hold(module: Any, seen: set[int]) -> bool:
    """Whether a `nn.Param` can be below a module: the quick look that nearly all pass."""
    for value in module.__dict__.values():
        kind = KINDS[value.__class__]
        if kind == NODE:
            if isinstance(value, Param):
                return True
            if id(value) not in seen:  # a layer may know the one that holds it
                seen.add(id(value))
                if _may_hold(value, seen):
                    return True
        elif kind in _HOLDING and not (
            kind == TUPLE and PLAIN.issuperset(map(type, value))  # a size
        ):
            return True
    return False


def _params(value: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, Param]]:
    """Every `nn.Param` below a module or container, by dotted name."""
    kind = KINDS[value.__class__]
    if isinstance(value, Param):
        yield prefix, value
    elif kind in _HOLDING and id(value) not in seen:
        seen.add(id(value))
        for key, below in children(value, kind):
            if KINDS[below.__class__] in _HOLDING:
                yield from _params(below, f"{prefix}.{key}" if prefix else str(key), seen)


def _read(name: str, param: Param, apply: bool) -> Any:
    if not param.fit:
        return Refusal(
            f"{name} is a {type(param).__name__} that is not trained, and on the other side it "
            "would be",
            "use an nn.Param with fit=True, and keep it from the optimizer on the other side",
            ConversionError,
        )
    if param.reg is not None:
        return Refusal(
            f"{name} adds the penalty {type(param.reg).__name__} to the loss, which goes with no "
            "array",
            f"set {name}.reg = None, and add the penalty to your loss on the other side",
            ConversionError,
        )
    if type(param.t) is IdentityT and param.precompute is None:
        return param.val.value
    if apply:
        return param.t.forward(param.val.value) if param.precompute is None else _value(param)
    how = type(param.t).__name__ if param.precompute is None else "its precompute function"
    return Refusal(
        f"{name} is trained through {how}: an array in its place would be another problem to train",
        "apply_transforms=True converts its value",
        ConversionError,
    )


def _value(param: Param) -> Any:
    # Not param.value(), which may give what is cached.
    assert param.precompute is not None
    return param.precompute(param.t.forward(param.val.value))


def held_otherwise(module: Module, made: Module) -> Iterator[tuple[str, Refusal]]:
    """What a layer holds in a state of another type than its constructor gives it.

    Args:
        module: the layer.
        made: a layer that its constructor made of the same configuration.

    Yields:
        The name of the state, and why it cannot be carried over.
    """
    types = {name: type(state) for name, state in named_states(made)}
    for name, state in named_states(module):
        wanted, found = types.get(name), type(state)
        if wanted in (None, found) or {wanted, found} <= _TRAINED:
            continue
        assert wanted is not None
        trained = ", which is not trained" if not issubclass(found, ParamState) else ""
        yield (
            name,
            Refusal(
                f"{name} is held in a {found.__name__}{trained}, where the layer has a "
                f"{wanted.__name__}",
                f"hold it in a {wanted.__name__}",
                ConversionError,
            ),
        )


def transformed(module: Module) -> Iterator[tuple[str, Param]]:
    """The `nn.Param` objects of a layer whose value is not what they store, by name."""
    for name, param in _params(module, "", set()):
        if type(param.t) is not IdentityT or param.precompute is not None or not param.fit:
            yield name, param


def not_an_array(name: str, value: Any) -> Refusal:
    """Why what stands in the place of an array cannot be converted."""
    unit = getattr(value, "unit", None)
    if unit is not None:
        return Refusal(
            f"{name} carries the unit {unit}, which the other side cannot hold",
            "divide the weight by its unit first",
        )
    return Refusal(f"{name} is a {type(value).__name__}, not an array")
