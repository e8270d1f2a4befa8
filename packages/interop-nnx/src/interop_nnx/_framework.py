"""How Flax NNX layers are read, recognised and built: the bridge that the engine sees."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from interop_core.axis_names import AxisNames
from interop_core.bridge import Build, skeleton_of
from interop_core.core_side import not_a_model
from interop_core.errors import NotAModelError, Refusal
from interop_core.functions import (
    class_title,
    function_of,
    is_companion,
    is_function,
    keywords_of,
    name_of,
    with_keywords,
)
from interop_core.mapping import Config, LayerMap, Unconvertible
from interop_core.options import REQUIRED, parameters

from ._calling import Calling
from ._rows import ROWS, UNCONVERTIBLE, UNCONVERTIBLE_CORE
from ._sharding import UNNAME, own_name, put_names
from ._variables import arrays_of, holds_modules, is_stock, strays, variables_of
from .companions import Carrying

IGNORED = frozenset(
    {
        "rngs",
        "keep_rngs",
        "param_dtype",
        "kernel_init",
        "bias_init",
        "scale_init",
        "embedding_init",
        "recurrent_kernel_init",
        "carry_init",
        "kernel_metadata",
        "bias_metadata",
        "scale_metadata",
        "embedding_metadata",
        "recurrent_kernel_metadata",
        "gain_init",
        "a_initializer",
        "b_initializer",
        "a_metadata",
        "b_metadata",
    }
)
"""Parameters of any layer that say how it starts; its arrays say what became of that."""

EVALUATION: dict[str, Any] = {"deterministic": True, "use_running_average": True}
"""The modes that exported layers come in; ``.train()`` and ``.eval()`` switch them."""


class Nnx(Calling):
    """Flax NNX as one side of a conversion."""

    name = "nnx"
    prefix = "nnx."
    function_title = "{}"
    label = "Flax NNX"
    rows: tuple[LayerMap, ...] = ROWS
    unconvertible: tuple[Unconvertible, ...] = UNCONVERTIBLE
    unconvertible_core: tuple[Unconvertible, ...] = UNCONVERTIBLE_CORE
    ignored = IGNORED
    channels_first = False
    unname = UNNAME.format(own_name())

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no NNX module."""
        if not isinstance(model, nnx.Module):
            raise not_a_model(model, "flax.nnx")

    def key(self, node: Any) -> Hashable:
        """The exact class, or the function that the element is."""
        kind: Any = type(node)
        if not isinstance(node, nnx.Module) and is_function(node):
            kind = function_of(node)
            try:
                hash(kind)
            except TypeError:  # a callable object that compares by what it holds
                kind = type(kind)
        exact: Hashable = kind
        return exact

    def title(self, node: Any) -> str:
        """``nnx.Linear``; a function's own name; the whole name of a class of one's own."""
        if isinstance(node, type) or (is_function(node) and not isinstance(node, nnx.Module)):
            return name_of(node)
        cls = type(node)
        if is_stock(cls) or is_companion(cls):
            return class_title(self.prefix, cls)
        return f"{cls.__module__}.{cls.__qualname__}"

    def identity(self, node: Any) -> Hashable:
        """One object, one layer."""
        return id(node)

    def children(self, node: Any) -> Sequence[Any] | None:
        """The elements of an `nnx.Sequential`."""
        if type(node) is not nnx.Sequential:
            return None
        return list(node.layers)

    def strays(self, node: Any) -> tuple[Refusal, ...]:
        """What an `nnx.Sequential` holds besides its elements."""
        besides = ", ".join(strays(node, "layers"))
        advice = "keep parameters inside layers"
        return (Refusal(f"holds {besides} besides its layers", advice),) if besides else ()

    def holds_layers(self, node: Any) -> bool:
        """Whether modules stand below a node, or it is a stack with a class of its own."""
        if isinstance(node, nnx.Sequential):
            return True
        return isinstance(node, nnx.Module) and holds_modules(node)

    def config(self, node: Any) -> dict[str, Any]:
        """The constructor's parameters that the layer keeps, but for how it started."""
        if isinstance(node, nnx.Module):
            held = vars(node)
            return {name: held[name] for name in _options(type(node)) if name in held}
        if isinstance(self.key(node), type) and not isinstance(function_of(node), type):
            return {}  # no function, but some object that is called
        options = keywords_of(node)
        missing = [name for name, value in options.items() if value is REQUIRED]
        if missing:
            raise Refusal(
                f"does not say its {', '.join(missing)}",
                f"use functools.partial({name_of(node)}, {missing[0]}=...)",
            )
        return options

    def audit(self, node: Any) -> None:
        """Nothing is left to look at: `leaves` says what is wrong with each array."""

    def leaves(self, node: Any) -> Mapping[str, Any]:
        """Parameters and running statistics by dotted name."""
        if isinstance(node, nnx.Module):
            return arrays_of(node)
        if not is_function(node):
            problem = not_a_model(node, "flax.nnx").problems[0]
            raise Refusal(problem.reason, problem.advice, NotAModelError)
        return {}

    def put_names(self, layer: Any, names: Mapping[str, AxisNames]) -> Any:
        """Annotate the variables with the names of their axes; no mesh is asked for."""
        return put_names(layer, names)

    def holders(self, node: Any) -> Iterable[tuple[str, Any]]:
        """The variables by dotted name."""
        return variables_of(node) if isinstance(node, nnx.Module) else ()

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """Fill a skeleton that an abstract run of the constructor gave."""
        if not isinstance(target, type):
            function = with_keywords(target, options)
            return lambda _: function
        known = parameters(target)
        modes = {name: mode for name, mode in EVALUATION.items() if name in known}
        layer, declared = _abstract(target, {**modes, **options}, names)
        # What is no variable is configuration, as the mask of a convolution is.
        build = skeleton_of(layer, names, lambda leaf: id(leaf) not in declared)
        return _with_stream(build) if known.get("rngs") is True else build

    def stack(self, layers: Sequence[Any]) -> nnx.Sequential:
        """An `nnx.Sequential`."""
        return nnx.Sequential(*layers)

    def lift(self, layer: Any, axes: int) -> Any:
        """NNX layers take leading axes as they are."""
        return layer

    def lifted(self, node: Any) -> int:
        """No layer of NNX is lifted."""
        return 0

    def lend(self, node: Any) -> Any:
        """The layer."""
        return node

    def adopt(self, layer: Any) -> Any:
        """The layer."""
        return layer


@cache
def _options(cls: type) -> tuple[str, ...]:
    return tuple(name for name in parameters(cls) if name not in IGNORED)


class _NoKeys:
    """Stands in for random streams where nothing is drawn."""

    def __getattr__(self, name: str) -> Any:
        return _NoStream()


class _NoStream:
    """Stands in for one of them."""

    def __call__(self) -> None:
        return None

    def fork(self) -> None:
        """No stream for the layer itself either."""


def _shape_alone(_: Any, shape: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    """An initializer that draws nothing."""
    abstract: Any = jax.ShapeDtypeStruct
    return abstract(shape, dtype)


def _zeros(_: Any, shape: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    """An initializer that draws nothing, whose result can be reshaped."""
    return jnp.zeros(shape, dtype)


_RESHAPING = frozenset({nnx.MultiHeadAttention, nnx.LinearGeneral})
"""Layers that give their initializers another shape than that of the array."""


def _abstract(target: Any, options: Config, names: tuple[str, ...]) -> tuple[Any, frozenset[int]]:
    """A layer with shapes for arrays, and which of its leaves are in variables, by `id`.

    A layer of NNX or of this package gets initializers that only say the shape, which spares the
    tracing of random numbers: most of what `nnx.eval_shape` costs. A stateful one gets its carry
    where ``names`` have it.
    """
    known = parameters(target)
    more: dict[str, Any] = {}
    stock = is_stock(target) or is_companion(target)
    if stock:
        plain = _zeros if target in _RESHAPING else _shape_alone
        more = {
            n: plain
            for n, d in known.items()
            if n.endswith(("_init", "_initializer")) and callable(d)
        }

    def make() -> Any:
        streams: dict[str, Any] = {}
        if known.get("rngs") is REQUIRED:
            # Random streams belong to the trace that they are made in.
            streams = {"rngs": _NoKeys() if stock else nnx.Rngs(0)}
        elif known.get("rngs") is True:
            streams = {"rngs": False}  # it gets one that is no trace's
        layer = target(**options, **more, **streams)
        if isinstance(layer, Carrying):
            for name in set(names) & set(layer.carried):
                layer.carry_on(name, jnp.zeros(()))  # of any shape: it is replaced
        return layer

    made: list[Any] = []

    def run() -> None:
        with _plain_variables():
            made.append(jax.tree.map(_shape_of, make()))

    jax.eval_shape(run)
    # A layer that this one was given may hold a random stream, which is no array of its.
    return made[0], frozenset(id(v.get_raw_value()) for _, v in variables_of(made[0]))


def _with_stream(build: Build) -> Build:
    """Give each layer a random stream of its own, as its constructor does for want of one."""

    def built(arrays: Sequence[Any]) -> Any:
        layer = build(arrays)
        layer.rngs = nnx.data(nnx.Rngs(0).carry.fork())
        return layer

    return built


def _plain_variables() -> Any:
    """Variables of the usual kind, whatever the user has set: skeletons outlive the setting."""
    defaults: Any = getattr(nnx, "var_defaults", None)
    return nullcontext() if defaults is None else defaults(hijax=False, ref=False)


def _shape_of(leaf: Any) -> Any:
    """A leaf without its trace."""
    if not isinstance(leaf, jax.core.Tracer):
        return leaf
    abstract: Any = jax.ShapeDtypeStruct
    return abstract(leaf.shape, leaf.dtype)
