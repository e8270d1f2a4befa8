"""The two libraries that a model moves between, seen alike: names, base classes, functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Any

import brainstate

from interop_core import graph, nn, random, state

REQUIRED = inspect.Parameter.empty
_LOOSE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two libraries.

    Attributes:
        label: its name in prose.
        prefix: what stands before a layer's name in errors.
        roots: the packages whose objects belong to it, which the other side cannot hold.
        layers: the namespace of the layers.
        node: the base class of what holds states, or the union of several.
        module: the base class of layers.
        state: the base class of states.
        states: the state types by name.
        functions: the functions of the namespace by name.
        streams: the random state that layers draw from by default.
        blank: a context in which constructors compute no initial value.
    """

    label: str
    prefix: str
    roots: tuple[str, ...]
    layers: Any
    node: Any
    module: type
    state: type
    states: Mapping[str, type]
    functions: Mapping[str, Any]
    streams: Any
    blank: Callable[[], AbstractContextManager[Any]]
    names: dict[Any, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        # Some functions bear two names: the first stands for both.
        for name, function in reversed(tuple(self.functions.items())):
            self.names[function] = name

    def owns(self, cls: type) -> bool:
        """Whether a class belongs to this library and not to its user."""
        return cls.__module__.split(".")[0] in self.roots

    def is_public(self, cls: type) -> bool:
        """Whether a class is what its name says in the library's namespace."""
        return getattr(self.layers, cls.__name__, None) is cls


@cache
def _parameters(cls: Any) -> dict[str, Any]:
    # A metaclass hides the constructor's signature behind one of its own.
    found = list(inspect.signature(cls.__init__).parameters.values())[1:]
    spread = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in found)
    left_out = (*_LOOSE, inspect.Parameter.POSITIONAL_OR_KEYWORD) if spread else _LOOSE
    return {p.name: p.default for p in found if p.kind not in left_out}


def parameters(cls: Any) -> dict[str, Any]:
    """The constructor's arguments by keyword with their defaults, without ``**kwargs``.

    Where it takes ``*args``, those before belong to them.

    Args:
        cls: the class.

    Returns:
        Defaults by name; `REQUIRED` where there is none.

    Example:
        >>> parameters(nn.Dropout)["prob"]
        0.5
    """
    return _parameters(cls)


def _states() -> tuple[dict[str, type], dict[str, type]]:
    """The state types that both sides have, by name."""
    core = {name: getattr(state, name) for name in state.__all__ if name != "FakeState"}
    published = {name: getattr(brainstate, name) for name in core if hasattr(brainstate, name)}
    core["MetricState"], published["MetricState"] = nn.MetricState, brainstate.nn.MetricState
    # This one has no public place: it is the default of a public argument.
    scale = parameters(brainstate.nn.LayerNorm)["param_type"]
    published[scale.__name__] = scale
    return {name: core[name] for name in published}, published


def _functions() -> tuple[dict[str, Any], dict[str, Any]]:
    """The functions of the two namespaces that have one name."""
    core = {
        name: getattr(nn, name)
        for name in nn.__all__
        if inspect.isfunction(getattr(nn, name)) or hasattr(getattr(nn, name), "__wrapped__")
    }
    core = {name: function for name, function in core.items() if not isinstance(function, type)}
    published = {n: getattr(brainstate.nn, n) for n in core if hasattr(brainstate.nn, n)}
    return {name: core[name] for name in published}, published


_CORE_STATES, _PUBLISHED_STATES = _states()
_CORE_FUNCTIONS, _PUBLISHED_FUNCTIONS = _functions()


def _any_step() -> AbstractContextManager[Any]:
    """A time step, which published delays ask for at construction though no time is given."""
    if brainstate.environ.get("dt", default=None) is not None:
        return nullcontext()
    context: AbstractContextManager[Any] = brainstate.environ.context(dt=1.0)
    return context


CORE = Side(
    label="the core",
    prefix="nn.",
    roots=(nn.__name__.split(".")[0],),
    layers=nn,
    node=graph.Node,
    module=nn.Module,
    state=state.State,
    states=_CORE_STATES,
    functions=_CORE_FUNCTIONS,
    streams=random.DEFAULT,
    blank=nn.init.abstract,
)

PUBLISHED = Side(
    label=f"brainstate {metadata.version('brainstate')}",
    prefix="brainstate.nn.",
    roots=("brainstate",),
    layers=brainstate.nn,
    node=brainstate.graph.Node | brainstate.nn.Metric,
    module=brainstate.nn.Module,
    state=brainstate.State,
    states=_PUBLISHED_STATES,
    functions=_PUBLISHED_FUNCTIONS,
    streams=brainstate.random.DEFAULT,
    blank=_any_step,
)


def states_below(side: Side, value: Any) -> list[Any]:
    """Every state in a layer or container, and below it, once each.

    Args:
        side: the library that they are of.
        value: the layer or container.
    """
    found: dict[int, Any] = {}
    seen: set[int] = set()

    def visit(entry: Any) -> None:
        if isinstance(entry, side.state):
            found.setdefault(id(entry), entry)
        elif isinstance(entry, side.node):
            if id(entry) not in seen:
                seen.add(id(entry))
                visit(vars(entry))
        elif isinstance(entry, side.layers.HiData):
            visit(entry.children)
        elif isinstance(entry, dict):
            for below in entry.values():
                visit(below)
        elif isinstance(entry, list | tuple):
            for below in entry:
                visit(below)

    visit(value)
    return list(found.values())


def holds_nodes(side: Side, value: Any) -> bool:
    """Whether a value is a state, a layer, or a container with one inside."""
    if isinstance(value, side.state | side.node):
        return True
    if isinstance(value, side.layers.HiData):
        value = value.children
    if isinstance(value, dict):
        return any(holds_nodes(side, entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return any(holds_nodes(side, entry) for entry in value)
    return False
