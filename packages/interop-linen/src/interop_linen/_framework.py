"""How Flax Linen layers are read, recognised and built.

A Linen module holds no arrays: a *node* is a module together with its variables (`LinenNode`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from typing import Any

import jax
from flax import linen
from flax.core import meta

from interop_core.axis_names import AxisNames
from interop_core.bridge import Build
from interop_core.core_side import not_a_model
from interop_core.errors import (
    InteropError,
    NotAModelError,
    Problem,
    Refusal,
    VariablesError,
)
from interop_core.functions import (
    class_title,
    function_of,
    is_function,
    keywords_of,
    name_of,
    with_keywords,
)
from interop_core.mapping import Config, LayerMap, Unconvertible
from interop_core.options import parameters

from ._boxes import UNBOX, box, is_known, unboxed
from ._calling import Calling
from ._rows import ROWS, UNCONVERTIBLE, UNCONVERTIBLE_CORE
from ._tree import LinenNode, Variables, assemble, grow, key_of, leaves, plain

IGNORED = frozenset(
    {
        *("name", "parent", "param_dtype", "rng_collection"),
        *("kernel_init", "recurrent_kernel_init", "bias_init", "scale_init"),
        *("out_kernel_init", "out_bias_init"),
        *("embedding_init", "carry_init", "deterministic", "use_running_average"),
    }
)
"""Parameters of any layer that say how it starts, what it is called, and in which mode it runs."""

PARAMS = "params"
WHOLE = "pass the whole tree that module.init(...) gives: {'params': {...}, ...}"
UNBIND = "pass it unbound, with its variables: module, variables = bound.unbind()"


class Linen(Calling):
    """Flax Linen as one side of a conversion.

    Args:
        training: whether built modules are in training mode: dropout drops, batch normalisation
            takes the statistics of the batch. Else they are ready to be evaluated.
    """

    name = "linen"
    label = "Flax Linen"
    prefix = "linen."
    function_title = "{}"
    rows: tuple[LayerMap, ...] = ROWS
    unconvertible: tuple[Unconvertible, ...] = UNCONVERTIBLE
    unconvertible_core: tuple[Unconvertible, ...] = UNCONVERTIBLE_CORE
    ignored = IGNORED
    channels_first = False
    misfit: type[InteropError] = VariablesError
    misfit_advice = "pass the variables that belong to this module"
    unname = UNBOX

    def __init__(self, *, training: bool = False) -> None:
        self._mode = {"deterministic": not training, "use_running_average": not training}

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no Linen module, bare functions excepted."""
        if not isinstance(model, LinenNode):
            raise not_a_model(model, "flax.linen")
        module = model.module
        if not isinstance(module, linen.Module) and not is_function(module):
            raise not_a_model(module, "flax.linen")

    def key(self, node: LinenNode) -> Hashable:
        """The exact class, or the function that the element is."""
        module = node.module
        kind: Any = type(module)
        if not isinstance(module, linen.Module) and is_function(module):
            function: Any = function_of(module)
            # A partial of a class makes layers; it is none. Some callables cannot be hashed.
            if not isinstance(function, type) and type(function).__hash__ is not None:
                kind = function
        found: Hashable = kind
        return found

    def title(self, node: LinenNode) -> str:
        """``linen.Dense``; a function's own name."""
        module = node.module
        if isinstance(module, linen.Module):
            return class_title(self.prefix, type(module))
        return name_of(module)

    def identity(self, node: LinenNode) -> Hashable:
        """One module, one node; functions are no layers that could be tied."""
        return id(node)

    def children(self, node: LinenNode) -> Sequence[LinenNode] | None:
        """The elements of a `linen.Sequential`."""
        if node.children is not None:
            _require_unbound(node.module)
        return node.children

    def strays(self, node: LinenNode) -> Sequence[Refusal]:
        """What the variables of a stack hold besides those of its elements."""
        if not node.strays:
            return ()
        reason = f"the variables hold {', '.join(node.strays)}, which belong to no layer"
        return (Refusal(reason, _advice(node), VariablesError),)

    def holds_layers(self, node: LinenNode) -> bool:
        """Whether modules stand below a node, or it is a stack with a class of its own."""
        module = node.module
        if not isinstance(module, linen.Module):
            return False
        if isinstance(module, linen.Sequential) or any(map(_has_modules, vars(module).values())):
            return True
        known = {row.foreign for row in self.rows}
        if known.intersection(type(module).__mro__):
            return False  # a subclass of a known layer; its variables may be nested as that one's
        return any(
            isinstance(below, dict) and bool(below)
            for tree in node.variables.values()
            if isinstance(tree, dict)
            for below in tree.values()
        )

    def config(self, node: LinenNode) -> dict[str, Any]:
        """The module's attributes, or the options of a function."""
        module = node.module
        if not isinstance(module, linen.Module):
            return keywords_of(module)
        held, kind = vars(module), _kind(module)
        return {name: held[name] for name in _read(kind) if name in held}

    def audit(self, node: LinenNode) -> None:
        """A module is its configuration; `leaves` looks at the variables beside it."""

    def leaves(self, node: LinenNode) -> Mapping[str, Any]:
        """The parameters by dotted name; other variables as ``"batch_stats:mean"``."""
        _require_layer(node.module)
        found = _own(node)
        for array in found.values():
            if isinstance(array, meta.AxisMetadata):
                self._require(node, found, is_known)
                return unboxed(found, lambda name: self.array_title(node, name))
        return found

    def _require(self, node: LinenNode, found: Variables, known: Callable[[Any], bool]) -> None:
        """Raise a `Refusal` for boxes other than those that are known."""
        strange = [
            f"{self.array_title(node, name)} ({type(array).__name__})"
            for name, array in found.items()
            if isinstance(array, meta.AxisMetadata) and not known(array)
        ]
        if strange:
            raise Refusal(f"the variables hold boxes: {', '.join(strange)}", UNBOX, VariablesError)

    def put_names(self, node: LinenNode, names: Mapping[str, AxisNames]) -> LinenNode:
        """Put arrays into boxes that name their axes."""
        for name, given in names.items():
            *above, last = _path(name)
            tree = node.variables
            for key in above:
                tree = tree[key]
            tree[last] = box(tree[last], given)
        return node

    def inside(self, node: LinenNode, name: str) -> LinenNode:
        """A module that another is given under a field's name, with its own variables."""
        module = getattr(node.module, name)
        key = key_of(module, name)
        below = {
            collection: tree[key]
            for collection, tree in node.variables.items()
            if isinstance(tree, dict) and key in tree
        }
        return LinenNode(module, below, (*node.place, key))

    def inside_name(self, node: LinenNode | None, part: str, array: str) -> str:
        """``"batch_stats:cell.mean"``: what the module around it calls an array of a part."""
        key = part if node is None else key_of(getattr(node.module, part), part)
        collection, colon, rest = array.partition(":")
        return f"{collection}:{key}.{rest}" if colon else f"{key}.{array}"

    def as_argument(self, node: LinenNode) -> Any:
        """The module: its variables stand beside the one that holds it."""
        return node.module

    def array_title(self, node: LinenNode, name: str) -> str:
        """``params/layers_0/kernel``: where the array stands in the tree of variables."""
        collection, *rest = _path(name)
        return "/".join((collection, *node.place, *rest))

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """Call the constructor, which makes no arrays, and put the arrays beside it."""
        if not isinstance(target, type):
            function = with_keywords(target, options)
            return lambda _: LinenNode(function, {})
        known = parameters(target)
        mode = {name: value for name, value in self._mode.items() if name in known}
        # Without a parent, or the module would join whichever is being called at the moment.
        make = _maker(target, {**mode, **options, "parent": None})
        if any("." in name or ":" in name for name in names):
            paths = [_path(name) for name in names]
            return lambda arrays: LinenNode(make(), _nested(paths, arrays))
        if not names:
            return lambda _: LinenNode(make(), {})
        return lambda arrays: LinenNode(make(), {PARAMS: dict(zip(names, arrays, strict=True))})

    def stack(self, layers: Sequence[LinenNode]) -> LinenNode:
        """A `linen.Sequential`; an empty one, which Linen cannot call, passes its input on."""
        elements = [layer.module for layer in layers] or [jax.nn.identity]
        return LinenNode(linen.Sequential(elements, parent=None), {}, (), list(layers))

    def lift(self, layer: LinenNode, axes: int) -> LinenNode:
        """Linen layers take leading axes as they are."""
        return layer

    def lifted(self, node: LinenNode) -> int:
        """No layer of Linen is lifted."""
        return 0

    def lend(self, node: LinenNode) -> tuple[Any, dict[str, Any]]:
        """The pair of module and variables.

        Raises:
            Refusal: for variables in boxes, which a mapping written by hand takes for arrays.
        """
        self._require(node, _own(node), lambda _: False)
        return assemble(node)

    def adopt(self, layer: Any) -> LinenNode:
        """A node out of a pair of module and variables.

        A hand-written mapping may use one module for several layers, where Linen would tie those:
        so the node has a copy.
        """
        if not (isinstance(layer, tuple) and len(layer) == 2):
            raise not_a_model(layer, "flax.linen")
        module, variables = layer
        if isinstance(module, linen.Module) and not _is_bound(module):
            module = module.copy(parent=None, name=module.name)
        return node_of(module, variables)


def node_of(module: Any, variables: Any) -> LinenNode:
    """A node for a module and the whole tree of its variables.

    Raises:
        NotAModelError: for a module that is none, or is bound.
        VariablesError: for variables that are no tree.
    """
    if not isinstance(module, linen.Module) and not is_function(module):
        raise not_a_model(module, "flax.linen")
    if not isinstance(variables, Mapping):
        reason = f"the variables are a {type(variables).__name__}, not a dict of collections"
        problem = Problem((), "", VariablesError, reason, WHOLE)
        raise VariablesError(problems=[problem])
    loose = [str(name) for name, tree in variables.items() if not isinstance(tree, Mapping)]
    if loose:
        reason = f"{', '.join(loose)} in the variables is no collection"
        problem = Problem((), "", VariablesError, reason, WHOLE)
        raise VariablesError(problems=[problem])
    own = plain(variables)
    return grow(module, own) if isinstance(module, linen.Module) else LinenNode(module, own)


def _maker(target: Any, arguments: Mapping[str, Any]) -> Callable[[], Any]:
    """A function that makes equal modules, each one of its own.

    A constructor of Linen sets every field through a check and then calls ``__post_init__``, which
    gives the module its identity. For Linen's own layers it is enough to check one of them.
    """
    first = target(**arguments)
    if target not in _OWN or target.__post_init__ is not linen.Module.__post_init__:
        return lambda: target(**arguments)
    fields, new = vars(first), object.__new__

    def make() -> Any:
        module = new(target)
        module.__dict__.update(fields)
        module.__post_init__()
        return module

    return make


_OWN = frozenset(row.foreign for row in ROWS if isinstance(row.foreign, type))


def _own(node: LinenNode) -> Variables:
    """The variables of a module by dotted name; those beside the parameters with a prefix."""
    return {
        name if collection == PARAMS else f"{collection}:{name}": array
        for collection, tree in node.variables.items()
        for name, array in leaves(tree, "", ".")
    }


def _kind(module: Any) -> Any:
    return type(module)


@cache
def _read(kind: Any) -> tuple[str, ...]:
    """The attributes of a module that rows speak of.

    Initializers and names differ from layer to layer where their configurations do not.
    """
    return tuple(n for n in parameters(kind) if not (kind in _OWN and n in IGNORED))


def _is_bound(module: linen.Module) -> bool:
    return module.scope is not None or module.parent is not None


def _require_unbound(module: linen.Module) -> None:
    if _is_bound(module):
        raise Refusal("is bound to a scope", UNBIND, NotAModelError)


def _require_layer(module: Any) -> None:
    if isinstance(module, linen.Module):
        _require_unbound(module)
    elif isinstance(module, type):
        advice = f"make one: {module.__name__}(...)"
        raise Refusal(f"is the class {module.__name__}, not a layer", advice, NotAModelError)
    elif not is_function(module):
        advice = "put modules and functions in the stack"
        raise Refusal(f"is {module!r}, which is no layer", advice, NotAModelError)


def _has_modules(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_modules, value))
    if isinstance(value, Mapping):
        return any(map(_has_modules, value.values()))
    return isinstance(value, linen.Module)


def _advice(node: LinenNode) -> str:
    if node.place or PARAMS in node.variables:
        return "pass the variables that belong to this module"
    return WHOLE


def _path(name: str) -> tuple[str, ...]:
    collection, colon, rest = name.partition(":")
    return (collection, *rest.split(".")) if colon else (PARAMS, *name.split("."))


def _nested(paths: Sequence[tuple[str, ...]], arrays: Sequence[Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, array in zip(paths, arrays, strict=True):
        below = nested
        for key in path[:-1]:
            below = below.setdefault(key, {})
        below[path[-1]] = array
    return nested
