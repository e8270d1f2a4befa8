"""The core's own layers, seen as one side of a conversion.

Imports `axis_names`, `bridge`, `graph`, `nn` and the function rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import jax

from . import nn
from ._in_use import put_in_use
from ._survey import is_flat, survey
from .axis_names import UNNAME, AxisNames, put_names, read_names
from .bridge import Build, skeleton_of
from .core_calls import CoreCalls
from .errors import NotAModelError, Problem, Refusal
from .function_rows import activation_rows
from .functions import function_of, is_function, keywords_of, name_of
from .graph import configuration, leaves, named_states
from .mapping import Config, LayerMap
from .options import Translation, parameters
from .params import read_params
from .state import State

_STACK_ATTRIBUTES = frozenset({"layers"})


class Core(CoreCalls):
    """How the core's layers are read and built.

    Args:
        apply_transforms: whether an `nn.Param` that is trained through a transformation is read
            by its value; else it is refused.
    """

    name = "nn"
    label = "the core"
    prefix = "nn."
    function_title = "{}"
    unname = UNNAME

    def __init__(self, *, apply_transforms: bool = False) -> None:
        self._apply = apply_transforms

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no core model."""
        if not isinstance(model, nn.Module):
            raise not_a_model(model, nn.__name__)

    def key(self, node: Any) -> Hashable:
        """The exact class."""
        kind: Any = type(node)
        exact: Hashable = kind
        return exact

    def title(self, node: Any) -> str:
        """``nn.Linear``."""
        return self.prefix + type(node).__name__ if isinstance(node, nn.Module) else name_of(node)

    def identity(self, node: Any) -> Hashable:
        """One object, one layer."""
        return id(node)

    def children(self, node: Any) -> Sequence[Any] | None:
        """The elements of a `nn.Sequential`, plain functions as the layers that they are."""
        if type(node) is not nn.Sequential:
            return None
        strays = [
            name
            for name, value in vars(node).items()
            if name not in _STACK_ATTRIBUTES
            and any(map(_is_kept, jax.tree.leaves(value, is_leaf=_is_kept)))
        ]
        if strays:
            raise Refusal(
                f"holds {', '.join(strays)} besides its layers",
                "keep parameters inside layers",
            )
        return [self._layer_of(element) for element in node.layers]

    def _layer_of(self, element: Any) -> Any:
        if isinstance(element, nn.Module) or not is_function(element):
            return element
        row = _functions().get(function_of(element))
        if row is None:
            return element
        translation = Translation(
            row, "foreign", {**keywords_of(element), "example": None}, frozenset()
        )
        if translation.complaints:
            return element
        return row.core(**translation.options)

    def holds_layers(self, node: Any) -> bool:
        """Whether modules stand below a node, or it is a stack with a class of its own."""
        if isinstance(node, nn.Sequential):
            return True
        return isinstance(node, nn.Module) and any(True for _ in node.children())

    def config(self, node: Any) -> dict[str, Any]:
        """The constructor's parameters."""
        return configuration(node) if isinstance(node, nn.Module) else {}

    def audit(self, node: Any) -> None:
        """A core layer is what its configuration says; `leaves` looks at what may be put on it."""

    def leaves(self, node: Any) -> Mapping[str, Any]:
        """The arrays of the states."""
        if not isinstance(node, nn.Module):
            return {}
        if "update" in vars(node):
            raise Refusal("has an update of its own, put on this one object", "make it a class")
        arrays = read_params(node, leaves(node), apply=self._apply)
        held = named_states(node)
        named = any(state.axis_names is not None for _, state in held)
        return read_names(arrays, held) if named else arrays

    def put_names(self, layer: Any, names: Mapping[str, AxisNames]) -> Any:
        """Have the states hold the names of the axes of their arrays."""
        return put_names(layer, names)

    def survey(
        self, node: Any
    ) -> tuple[Mapping[str, Any], tuple[Any, ...], Sequence[tuple[str, State[Any]]]]:
        """`leaves`, a key of what `config` gives, and the states, in one pass."""
        if isinstance(node, nn.Module) and "update" not in vars(node):
            arrays, key, held = survey(node)
            if not is_flat(key):
                arrays = read_params(node, arrays, apply=self._apply)
            for _, state in held:
                if state.axis_names is not None:
                    return read_names(arrays, held), key, held
            return arrays, key, held
        return self.leaves(node), tuple(self.config(node).values()), ()

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """Fill a skeleton that the constructor gave without computing anything."""
        used = {name: options[name] for name in parameters(target) if name in options}
        with nn.init.abstract():
            layer = target(**used)
            if not leaves(layer).keys() >= set(names):
                put_in_use(layer)
        return skeleton_of(layer, names, lambda _: False)

    def stack(self, layers: Sequence[Any]) -> nn.Sequential:
        """A `nn.Sequential`."""
        return nn.Sequential(*layers)

    def lend(self, node: Any) -> Any:
        """The layer."""
        return node

    def adopt(self, layer: Any) -> Any:
        """The layer."""
        return layer


def _is_kept(value: Any) -> bool:
    """Whether a value is a state or holds some: what a model keeps."""
    return isinstance(value, State | nn.Module)


@cache
def _functions() -> dict[Hashable, LayerMap]:
    return {row.foreign: row for row in activation_rows()}


def not_a_model(value: Any, label: str) -> NotAModelError:
    """The error for an argument that is no model of a framework, with what to pass instead."""
    if value is None:
        reason = "got None"
    elif isinstance(value, type):
        reason = f"got the class {value.__name__}, not a layer made of it"
    elif isinstance(value, partial) or (is_function(value) and hasattr(value, "__name__")):
        reason = f"got the function {name_of(value)}, not a layer"
    else:
        reason = f"got a {type(value).__module__}.{type(value).__qualname__}"
    advice = f"pass a layer or a stack of {label}"
    return NotAModelError(problems=[Problem((), "", NotAModelError, reason, advice)])


CORE = Core()
"""The one core side."""

TRANSFORMED = Core(apply_transforms=True)
"""The core side where parameters are read by their values, transformations applied."""
