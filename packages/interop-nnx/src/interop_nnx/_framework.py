"""How Flax NNX layers are read, recognised and built.

The one place of this package that knows how NNX holds its variables.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from flax import nnx
from interop_core.bridge import Build, skeleton_of
from interop_core.core_side import not_a_model
from interop_core.errors import Refusal
from interop_core.functions import function_of, is_function, keywords_of, name_of, with_keywords
from interop_core.mapping import Config, LayerMap, Unconvertible
from interop_core.options import parameters

from ._rows import ROWS, UNCONVERTIBLE, UNCONVERTIBLE_CORE

IGNORED = frozenset(
    "rngs param_dtype promote_dtype kernel_init bias_init scale_init embedding_init "
    "recurrent_kernel_init carry_init keep_rngs kernel_metadata bias_metadata scale_metadata "
    "embedding_metadata recurrent_kernel_metadata".split()
)
"""Parameters of any layer that say how it starts or what it is annotated with."""


class Nnx:
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

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no NNX module."""
        if not isinstance(model, nnx.Module):
            raise not_a_model(model, "flax.nnx")

    def key(self, node: Any) -> Hashable:
        """The exact class, or the function that the element is."""
        return type(node) if _is_layer(node) else function_of(node)

    def title(self, node: Any) -> str:
        """``nnx.Linear``; a function's own name."""
        return f"nnx.{type(node).__name__}" if _is_layer(node) else name_of(node)

    def identity(self, node: Any) -> Hashable:
        """One object, one layer."""
        return id(node)

    def children(self, node: Any) -> Sequence[Any] | None:
        """The elements of an `nnx.Sequential`."""
        if type(node) is not nnx.Sequential:
            return None
        strays = [name for name, _ in _parts(node) if name != "layers"]
        if strays:
            raise Refusal(f"holds {', '.join(strays)} besides its layers")
        return list(node.layers)

    def holds_layers(self, node: Any) -> bool:
        """Whether modules stand below a node, or it is a stack with a class of its own."""
        if isinstance(node, nnx.Sequential):
            return True
        return _is_layer(node) and any(
            not isinstance(part, nnx.Variable) for _, part in _parts(node)
        )

    def config(self, node: Any) -> dict[str, Any]:
        """The constructor's parameters that the layer keeps."""
        if not _is_layer(node):
            return keywords_of(node)
        held = vars(node)
        return {name: held[name] for name in parameters(type(node)) if name in held}

    def leaves(self, node: Any) -> Mapping[str, Any]:
        """Parameters and running statistics by dotted name."""
        return dict(_variables(node, "")) if _is_layer(node) else {}

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """Fill a skeleton that an abstract run of the constructor gave."""
        if not isinstance(target, type):
            function = with_keywords(target, options)
            return lambda _: function
        takes_rngs = "rngs" in parameters(target)

        def make() -> Any:
            # Random streams belong to the trace that they are made in.
            return target(**options, **({"rngs": nnx.Rngs(0)} if takes_rngs else {}))

        return skeleton_of(nnx.eval_shape(make), names, lambda leaf: not hasattr(leaf, "shape"))

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


def _is_layer(node: Any) -> bool:
    return isinstance(node, nnx.Module) or not is_function(node)


def _parts(node: Any) -> Iterator[tuple[str, Any]]:
    """Variables and modules right below a module."""
    for name, value in vars(node).items():
        if isinstance(value, nnx.Variable | nnx.Module):
            yield name, value


def _variables(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, part in _parts(node):
        if isinstance(part, nnx.Module):
            yield from _variables(part, f"{prefix}{name}.")
        elif type(part) in (nnx.Param, nnx.BatchStat):
            yield prefix + name, part.get_value()
        elif not isinstance(part, nnx.RngState):
            raise Refusal(f"{prefix}{name} is a {type(part).__name__}, which no row carries over")
