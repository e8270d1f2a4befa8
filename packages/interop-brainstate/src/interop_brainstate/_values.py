"""Configuration: what stands in a layer's arguments, as the other library's layer takes it."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from interop_core import nn
from interop_core.errors import Refusal

from ._sides import PUBLISHED, REQUIRED, Side, parameters

_LOCKS = (type(threading.Lock()), type(threading.RLock()))


class Placed:
    """Stands in a layer for an initializer: hands in arrays that exist.

    A constructor calls it in place of an initializer, so it draws nothing and copies nothing. Once
    the layer is built it is empty, so that it keeps no array alive.

    Args:
        arrays: the arrays by shape.
    """

    def __init__(self, arrays: Mapping[tuple[int, ...], Any] | None = None) -> None:
        self.arrays = arrays

    def __call__(self, shape: Any, *_: Any, **__: Any) -> Any:
        """Give the array of a shape.

        Raises:
            ValueError: once the layer is built.
        """
        if self.arrays is None:
            raise ValueError(
                "The layer that this argument comes from was built around an array, which is in "
                "its state now: pass an initializer or an array instead."
            )
        size = (shape,) if isinstance(shape, int) else tuple(shape)
        found = self.arrays.get(size)
        return jnp.zeros(size) if found is None else found

    def __repr__(self) -> str:
        return "Placed()"


def translated(source: Side, target: Side, value: Any, node: Callable[[Any], Any]) -> Any:
    """Say a configuration value in the other library's terms.

    Args:
        source: the library that the value is of.
        target: the other one.
        value: the value.
        node: what to make of a layer or a state.

    Raises:
        Refusal: for an object of the library that has no counterpart.
    """
    if isinstance(value, source.node | source.state):
        return node(value)
    if isinstance(value, list | tuple | dict):
        return _container(source, target, value, node)
    if isinstance(value, source.layers.HiData):
        return _tree(source, target, value, node)
    if isinstance(value, type):
        return _type(source, target, value)
    if isinstance(value, functools.partial):
        return functools.partial(
            translated(source, target, value.func, node),
            *translated(source, target, value.args, node),
            **translated(source, target, value.keywords, node),
        )
    if isinstance(value, MethodType) and isinstance(value.__self__, source.node):
        raise Refusal(
            f"holds {value.__qualname__}, a method of a layer",
            "keep the layer itself, or a plain function",
        )
    if callable(value):
        name = _name(source, value)
        if name is not None:
            return target.functions[name]
    cls = type(value)
    if cls is Placed or cls.__name__ == "Given":
        return _stand_in(target, value)
    if source.owns(cls) and not isinstance(value, jax.Array):
        return _object(source, target, value, node)
    return value


def _name(side: Side, function: Any) -> str | None:
    try:
        return side.names.get(function)
    except TypeError:  # a callable that cannot be hashed is none of the library's
        return None


def _container(source: Side, target: Side, value: Any, node: Callable[[Any], Any]) -> Any:
    if source.owns(type(value)):
        raise Refusal(f"holds a {type(value).__name__}, which has no counterpart")
    if isinstance(value, dict):
        return type(value)((k, translated(source, target, v, node)) for k, v in value.items())
    entries = [translated(source, target, entry, node) for entry in value]
    return type(value)(*entries) if hasattr(value, "_fields") else type(value)(entries)


def _tree(source: Side, target: Side, value: Any, node: Callable[[Any], Any]) -> Any:
    """A tree of named data, with its data in the other library's terms."""
    cls = type(value)
    if cls is not source.layers.HiData:
        raise Refusal(f"holds a {cls.__name__}, which extends HiData and may mean something else")
    if vars(value).keys() != {"children", "name"}:
        raise Refusal("holds a HiData with attributes of its own", "give it children instead")
    children = {key: translated(source, target, x, node) for key, x in value.children.items()}
    return target.layers.HiData(children, value.name)


def _type(source: Side, target: Side, cls: type) -> type:
    if issubclass(cls, source.state):
        return state_type(source, target, cls)
    if issubclass(cls, source.node):
        raise Refusal(f"holds the class {cls.__name__}", "build it by hand")
    return cls


def state_type(source: Side, target: Side, cls: type) -> type:
    """The other library's state type of the same name.

    Raises:
        Refusal: for a state type of the user's own.
    """
    name = cls.__name__
    if source.states.get(name) is cls:
        return target.states[name]
    known = [base.__name__ for base in cls.__mro__[1:] if source.states.get(base.__name__) is base]
    reason = f"the state type {cls.__module__}.{cls.__qualname__} is not one of the library's own"
    if known:
        reason += f" (it extends {known[0]}, and may mean something else)"
    raise Refusal(reason, "register_state_type teaches what it becomes")


def _stand_in(target: Side, value: Any) -> Any:
    """What remembers an array that was given in place of an initializer."""
    if target is PUBLISHED:
        return Placed()
    return nn._parameters.Given(jnp.float32) if isinstance(value, Placed) else value


def _object(source: Side, target: Side, value: Any, node: Callable[[Any], Any]) -> Any:
    """An initializer or transformation, built anew from what it keeps of its arguments."""
    cls = type(value)
    name = cls.__name__
    for there, here in ((source.layers, target.layers), (source.layers.init, target.layers.init)):
        if getattr(there, name, None) is cls and hasattr(here, name):
            made = getattr(here, name)
            break
    else:
        raise Refusal(f"holds a {cls.__module__}.{name}, which has no counterpart")
    if not isinstance(value, source.layers.Transform | source.layers.init.Initializer):
        raise Refusal(f"holds a {cls.__module__}.{name}, which has no counterpart")
    arguments, rest = _arguments(source, value)
    arguments = {k: translated(source, target, v, node) for k, v in arguments.items()}
    rest = tuple(translated(source, target, entry, node) for entry in rest)
    accepted = parameters(made)
    defaults = parameters(cls)
    for key in [key for key in arguments if key not in accepted]:
        odd = arguments.pop(key)
        if not alike(odd, defaults[key]):
            raise Refusal(f"holds a {name} with {key}={odd!r}, which has no counterpart")
    if name == "PowerT" and 0 < abs(arguments["lmbda"]) < 1e-2:
        raise Refusal(
            "holds a PowerT of so small a power that few digits are left there",
            "take the logarithm, PowerT(0.0)",
        )
    given = {k: v for k, v in arguments.items() if v is not None or accepted[k] is REQUIRED}
    try:
        return made(*rest, **given)
    except (TypeError, ValueError) as error:
        # The message is that of a library, which may go on over several lines.
        why = str(error).partition("\n")[0]
        raise Refusal(f"holds a {name} that the other library does not make: {why}") from error


def _arguments(side: Side, value: Any) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """What an initializer or transformation keeps of its arguments, by name and by position."""
    held = {**{s: getattr(value, s) for s in _slots(type(value))}, **vars(value)}
    if "transforms" in held:
        return {}, tuple(held["transforms"])
    found: dict[str, Any] = {}
    for name, default in parameters(type(value)).items():
        if name == "seed":
            _check_stream(side, held, value)
        elif name == "unit":
            found[name] = None if is_plain(held.get("unit")) else held["unit"]
        elif name in _DERIVED and name not in held:
            found[name] = _DERIVED[name](held)
        elif name in held:
            found[name] = number(held[name])
        else:
            raise Refusal(f"holds a {type(value).__name__}, which does not say its {name}")
        if found.get(name) is None and default is not None and name != "unit":
            found.pop(name, None)
    return found, ()


def _slots(cls: type) -> list[str]:
    return [s for base in cls.__mro__ for s in getattr(base, "__slots__", ()) if s != "__weakref__"]


def _sum(held: Mapping[str, Any]) -> Any:
    return number(_shortest(held["lower"] + held["width"]))


def _shortest(value: Any) -> Any:
    """A number without the last digit of rounding that a difference leaves."""
    return float(f"{value:.15g}") if isinstance(value, float) else value


_DERIVED: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "upper": lambda held: _sum(held) if "width" in held else number(held["lower"]),
    "scale": lambda held: number(held["a"]),
    "shift": lambda held: number(held["b"]),
}
"""Arguments of published transformations that are kept as other numbers."""


def is_plain(unit: Any) -> bool:
    return unit is None or bool(getattr(unit, "is_unitless", False))


def _check_stream(side: Side, held: Mapping[str, Any], value: Any) -> None:
    """Refuse a random stream of an initializer's own, which no argument can say."""
    stream = held.get("rng", held.get("seed"))
    inner = held.get("orghogonal")
    if inner is not None:
        stream = vars(inner).get("rng")
    if stream is not None and stream is not side.streams:
        raise Refusal(
            f"holds a {type(value).__name__} with a random stream of its own",
            "pass an initializer without a seed",
        )


def number(value: Any) -> Any:
    """A Python number for a concrete array without axes: the shortest that gives the same array."""
    if not isinstance(value, jax.Array | np.ndarray) or isinstance(value, jax.core.Tracer):
        return value
    if value.shape or hasattr(value, "unit"):
        return value
    plain = np.asarray(value)
    if plain.dtype.kind == "f":
        return float(str(plain))
    return plain.item() if plain.dtype.kind in "biu" else value


def alike(a: Any, b: Any) -> bool:
    """Whether two configuration values mean the same.

    Args:
        a: one.
        b: the other.
    """
    return _alike(a, b, set())


def _alike(a: Any, b: Any, above: set[tuple[int, int]]) -> bool:
    if a is b or (id(a), id(b)) in above:
        return True
    if isinstance(a, jax.Array | np.ndarray) or isinstance(b, jax.Array | np.ndarray):
        return _alike_arrays(a, b)
    above.add((id(a), id(b)))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_alike(x, y, above) for x, y in zip(a, b, strict=True))
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=1e-15) or (a != a and b != b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_alike(entry, b[k], above) for k, entry in a.items())
    if isinstance(a, _LOCKS):
        return True
    if isinstance(a, FunctionType):  # two closures of one constructor
        return a.__code__ is b.__code__ and _alike(_enclosed(a), _enclosed(b), above)
    if isinstance(a, functools.partial):
        return _alike((a.func, a.args, a.keywords), (b.func, b.args, b.keywords), above)
    try:
        if bool(a == b):
            return True
    except Exception:  # a comparison that fails says nothing
        return False
    plain = "__eq__" not in {name for base in type(a).__mro__[:-1] for name in vars(base)}
    attributes = getattr(a, "__dict__", None)
    return bool(attributes) and plain and _alike(attributes, vars(b), above)


def _enclosed(function: FunctionType) -> list[Any]:
    """What a function has from where it was made, but for what it remembers of its calls."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return [cell.cell_contents for name, cell in cells if name != "cache"]


def _alike_arrays(a: Any, b: Any) -> bool:
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
        return False
    x, y = np.asarray(a), np.asarray(b)
    return x.shape == y.shape and x.dtype == y.dtype and bool(np.array_equal(x, y))
