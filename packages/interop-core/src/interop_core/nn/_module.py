"""The base class of every layer."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

from .. import _structure, graph
from .._content import same
from .._pretty import enclose, value_text
from ..graph import EVERYWHERE, FlatDict, Node
from ..state import ParamState, State
from ._describer import ParamDescriber
from ._initializers import to_size

if TYPE_CHECKING:
    from ._param import Param

__all__ = ["ElementWiseBlock", "Module"]

Size = tuple[int, ...]


def _dotted(path: tuple[Any, ...], prefix: str = "") -> str:
    """Join a path, behind a prefix if there is one."""
    parts = [prefix, *map(str, path)] if prefix else list(map(str, path))
    return ".".join(parts)


def _size(value: Any, what: str) -> Size:
    """Make a size of an integer or a sequence of integers."""
    size = to_size(value)
    if size is None:
        raise ValueError(f"{what} must be an integer or a tuple of integers, not None.")
    if size and min(size) < 0:
        raise ValueError(f"{what} must not be negative, got {value!r}.")
    return size


class Module(Node):
    """The base class of layers and models.

    A subclass makes its states and child modules in ``__init__`` and computes in `update`. Calling
    a module calls `update`; ``x >> module`` does the same.

    A module is a JAX pytree. Its leaves are the values of its states, each state once; everything
    else, configuration and ties included, is its structure. So it passes through ``jax.jit``,
    ``jax.grad``, ``jax.tree.map`` and optax as it is. At the same time ``module.weight.value``
    reads and writes in place.

    Args:
        name: a label for the user, read-only later.

    Example:
        >>> class Scale(Module):
        ...     def __init__(self, scale):
        ...         super().__init__()
        ...         self.scale = scale
        ...
        ...     def update(self, x):
        ...         return x * self.scale
        >>> Scale(2.0)(3.0)
        6.0
        >>> 3.0 >> Scale(2.0)
        6.0
    """

    # With this, `numpy_array >> module` reaches `__rrshift__` instead of a NumPy ufunc.
    __array_ufunc__ = None

    _name: str | None = None
    _in_size: Size | None = None
    _out_size: Size | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _structure.register(cls)

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self._name = name

    @classmethod
    def desc(cls, *args: Any, **kwargs: Any) -> ParamDescriber[Self]:
        """Keep arguments for building a module later, or several alike.

        Args:
            *args: positional arguments.
            **kwargs: arguments by name.

        Returns:
            What builds the module when it is called with the arguments that are missing.
        """
        return ParamDescriber(cls, *args, **kwargs)

    @property
    def name(self) -> str | None:
        """The label given at construction, or None."""
        return self._name

    @property
    def in_size(self) -> Any:
        """Shape of one input without batch axes, as a tuple; None where it is unknown."""
        return self._in_size

    @in_size.setter
    def in_size(self, size: Any) -> None:
        self._in_size = _size(size, "in_size")

    @property
    def out_size(self) -> Any:
        """Shape of one output without batch axes, as a tuple; None where it is unknown."""
        return self._out_size

    @out_size.setter
    def out_size(self, size: Any) -> None:
        self._out_size = _size(size, "out_size")

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass that can be called defines it.

        Raises:
            NotImplementedError: in this base class.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update().")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.update(*args, **kwargs)

    def __rrshift__(self, x: Any) -> Any:
        return self(x)

    def output_size(self, in_size: Size) -> Size:
        """Give the shape of the output for an input of a shape, both without batch axes.

        Args:
            in_size: the shape of one input.

        Returns:
            The shape of one output. In this base class, that of the input.

        Raises:
            ValueError: if an input of that shape does not fit the layer.
        """
        return tuple(in_size)

    # -- states ----------------------------------------------------------------------------------

    def states(self, *filters: Any, allowed_hierarchy: tuple[int, int] = EVERYWHERE) -> Any:
        """Collect the states of this module and of everything below it.

        Args:
            *filters: state types, tags, functions of (path, state), ``...``; see `graph.states`.
            allowed_hierarchy: lowest and highest level of the module that holds the state.

        Returns:
            A dict from path to state; with several filters a tuple of them.
        """
        return graph.states(self, *filters, allowed_hierarchy=allowed_hierarchy)

    def state_trees(self, *filters: Any) -> Any:
        """Collect states as nested dicts: ``{"layers": {0: {"weight": state}}}``.

        Args:
            *filters: as for `states`.

        Returns:
            A nested dict; with several filters a tuple of them.
        """
        found = self.states(*filters)
        if isinstance(found, tuple):
            return tuple(part.to_nest() for part in found)
        return found.to_nest()

    def init_state(self, *args: Any, **kwargs: Any) -> None:
        """Make the states that live for one sequence; a hook that does nothing here."""

    def reset_state(self, *args: Any, **kwargs: Any) -> None:
        """Set the states that live for one sequence back; a hook that does nothing here."""

    def init_all_states(
        self, *args: Any, state_tag: str | None = None, **kwargs: Any
    ) -> FlatDict[State[Any]]:
        """Call `init_state` on this module and on every module below it.

        Args:
            *args: passed on, usually the batch size.
            state_tag: a tag for every state that is made.
            **kwargs: passed on.

        Returns:
            The states that were made, by path.
        """
        from ._collective import init_all_states

        before = self.states()
        # The old states are held until the end, so that no new one can take the id of one.
        known = {id(state) for state in before.values()}
        init_all_states(self, *args, **kwargs)
        made: FlatDict[State[Any]] = FlatDict(
            (path, state) for path, state in self.states().items() if id(state) not in known
        )
        for state in made.values():
            state.add_tag(state_tag)
        return made

    # -- modules ---------------------------------------------------------------------------------

    def nodes(self, *filters: Any, allowed_hierarchy: tuple[int, int] = EVERYWHERE) -> Any:
        """Collect this module and every module below it, each after what it holds.

        Args:
            *filters: module types, functions of (path, module), ``...``; see `graph.nodes`.
            allowed_hierarchy: lowest and highest level; this module has level 0.

        Returns:
            A dict from path to module; with several filters a tuple of them.
        """
        return graph.nodes(self, *filters, allowed_hierarchy=allowed_hierarchy)

    def children(self) -> Iterator[Module]:
        """Iterate over the modules that this one holds directly, also in lists and dicts."""
        for _, child in self.named_children():
            yield child

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over (dotted name, module) of the modules that this one holds directly."""
        for path, child in self.nodes(Module, allowed_hierarchy=(1, 1)).items():
            yield _dotted(path), child

    def modules(self, include_self: bool = True) -> Iterator[Module]:
        """Iterate over all modules, each after what it holds.

        Args:
            include_self: whether this module comes last.
        """
        for _, module in self.named_modules(include_self=include_self):
            yield module

    def named_modules(
        self, prefix: str = "", include_self: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Iterate over (dotted name, module) of all modules, each after what it holds.

        Args:
            prefix: put in front of every name.
            include_self: whether this module comes last, under the prefix alone.
        """
        for path, module in self.nodes(Module).items():
            if path or include_self:
                yield _dotted(path, prefix), module

    # -- parameters ------------------------------------------------------------------------------

    def parameters(self, recurse: bool = True) -> Iterator[ParamState[Any]]:
        """Iterate over the trainable parameters.

        Args:
            recurse: False leaves out those of child modules, `Param` children excepted.
        """
        for _, state in self.named_parameters(recurse=recurse):
            yield state

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, ParamState[Any]]]:
        """Iterate over (dotted name, state) of the trainable parameters.

        Args:
            prefix: put in front of every name.
            recurse: False leaves out those of child modules, `Param` children excepted.
        """
        own: set[int] | None = None
        if not recurse:
            own = {id(s) for s in self.states(ParamState, allowed_hierarchy=(0, 0)).values()}
            for param in self.param_modules(allowed_hierarchy=(1, 1)):
                own.update(id(s) for s in param.states(ParamState).values())
        for path, state in self.states(ParamState).items():
            if own is None or id(state) in own:
                yield _dotted(path, prefix), state

    def param_modules(
        self, *filters: Any, allowed_hierarchy: tuple[int, int] = EVERYWHERE
    ) -> Iterator[Param]:
        """Iterate over the `Param` containers of this module and of everything below it.

        Args:
            *filters: functions of (path, param) or types, any of which must take it; none takes
                all.
            allowed_hierarchy: lowest and highest level; this module has level 0.
        """
        for _, param in self.named_param_modules(*filters, allowed_hierarchy=allowed_hierarchy):
            yield param

    def named_param_modules(
        self, *filters: Any, allowed_hierarchy: tuple[int, int] = EVERYWHERE
    ) -> Iterator[tuple[str, Param]]:
        """Iterate over (dotted name, param) of the `Param` containers.

        Args:
            *filters: as for `param_modules`.
            allowed_hierarchy: as for `param_modules`.
        """
        from ._param import Param

        found = self.nodes(Param, allowed_hierarchy=allowed_hierarchy)
        if filters:
            found = found.filter(tuple(filters))
        for path, param in found.items():
            yield _dotted(path), param

    @contextmanager
    def param_precompute(self, allowed_hierarchy: tuple[int, int] = EVERYWHERE) -> Iterator[None]:
        """Compute every transformed parameter once, for the length of a ``with`` block.

        Args:
            allowed_hierarchy: lowest and highest level of the parameters concerned.

        Yields:
            Nothing. All caches are cleared at the end, whatever happens inside.
        """
        params = list(self.param_modules(allowed_hierarchy=allowed_hierarchy))
        try:
            for param in params:
                param.cache()
            yield
        finally:
            for param in params:
                param.clear_cache()

    def reg_loss(self, *filters: Any) -> Any:
        """Add up the regularisation losses of all `Param` containers.

        Args:
            *filters: functions of (path, param) that select some of them; none takes all.

        Returns:
            A scalar; 0.0 where nothing is regularised.
        """
        total: Any = 0.0
        for param in self.param_modules(*filters):
            if param.reg is not None:
                total = total + param.reg_loss()
        return total

    # -- text ------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return _text(self, set())


def _text(value: Any, above: set[int]) -> str:
    """Write a module with what it holds; a module inside itself is written as ``...``."""
    if isinstance(value, Module):
        if id(value) in above:
            return f"{type(value).__name__}(...)"
        inside = above | {id(value)}
        fields = ((f"{k}=", _text(v, inside)) for k, v in _shown(value).items())
        return enclose(f"{type(value).__name__}(", fields, ")")
    if type(value) is list:
        return enclose("[", (("", _text(v, above)) for v in value), "]")
    if type(value) is dict:
        return enclose("{", ((f"{k!r}: ", _text(v, above)) for k, v in value.items()), "}")
    return value_text(value)


def _shown(module: Module) -> dict[str, Any]:
    """Pick what to show: the label, the sizes, child modules, public attributes off default."""
    fields: dict[str, Any] = {}
    for key in ("name", "in_size", "out_size"):
        entry = getattr(module, key)
        if entry is not None:
            fields[key] = entry
    defaults = _defaults(cast("Hashable", type(module)))
    for key, entry in module.__dict__.items():
        if entry is None or (key.startswith("_") and not isinstance(entry, Module)):
            continue
        if key not in defaults or not same(entry, defaults[key]):
            fields[key] = entry
    return fields


@functools.cache
def _defaults(cls: Hashable) -> dict[str, Any]:
    """Collect the defaults of a class's constructor."""
    parameters = inspect.signature(cast("type", cls)).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


_structure.register(Module)


class ElementWiseBlock(Module):
    """The base class of layers whose output has the shape of their input."""
