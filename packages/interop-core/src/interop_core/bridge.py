"""What a framework package implements: how its layers are read, recognised and built.

Imports `errors`, `mapping` and `options`. The engine sees a framework through these methods only;
the core's own layers are seen through the same ones (`core_side`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax

from .errors import Refusal
from .mapping import Config, LayerMap, Unconvertible

Build = Callable[[Sequence[Any]], Any]
"""Makes one layer out of its arrays, given in the order of the names it was made for."""


class Framework(Protocol):
    """One side of a conversion: how layers are read, recognised and built.

    A *node* is whatever the framework needs to speak of one layer in one place: the layer itself,
    or for Linen a module with its variables.

    A framework whose arrays do not live in its layers may say more of them by members that
    are not listed here: ``misfit``, the error class for arrays that do not fit (`ConversionError`
    where it is missing), and ``misfit_advice``, what to do about them; ``array_title(node, name)``,
    what an array is called in errors; and ``strays(node)``, a `Refusal` for each thing that a stack
    holds besides its elements and that does not keep the elements from being planned. Where two
    layers can share a variable, ``holders(node)`` gives the objects that hold a layer's arrays,
    with their names. Where it is quicker, ``survey(node)`` may give all at once: what ``leaves``
    gives, a tuple that is equal for layers of equal ``config``, and the holders. Where arrays can
    have named axes, ``leaves`` may give them as `axis_names.NamedArrays`, ``unname`` says in errors
    how names are taken off, and ``put_names(layer, names)`` gives a layer that was built the names
    of the axes of its arrays; without it names are reported as lost.

    Attributes:
        name: the short name: ``"nnx"``.
        label: the name in prose: ``"Flax NNX"``.
        prefix: what stands before a layer's name: ``"nnx."``.
        function_title: how a function between layers is called: ``"{}"`` for just its name.
    """

    name: str
    label: str
    prefix: str
    function_title: str

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no model of this framework."""
        ...

    def key(self, node: Any) -> Hashable:
        """What rows are looked up by: the exact type, or the function that a layer calls."""
        ...

    def title(self, node: Any) -> str:
        """The layer's name for people: ``"nnx.Conv"``."""
        ...

    def identity(self, node: Any) -> Hashable:
        """Equal for two places of one model exactly where they hold one and the same layer."""
        ...

    def children(self, node: Any) -> Sequence[Any] | None:
        """The elements of a plain stack; ``None`` for any other node.

        Raises:
            Refusal: where a stack holds more than its elements.
        """
        ...

    def holds_layers(self, node: Any) -> bool:
        """Whether layers stand below a node that is no plain stack, or it is a kind of stack."""
        ...

    def config(self, node: Any) -> dict[str, Any]:
        """Every constructor parameter of a layer that can be read back.

        More may stand there: whatever it holds makes two layers differ.
        """
        ...

    def audit(self, node: Any) -> None:
        """Look at a layer beyond its configuration, once for each configuration.

        Raises:
            Refusal: where the layer is not what its class makes of its configuration.
        """
        ...

    def leaves(self, node: Any) -> Mapping[str, Any]:
        """The layer's arrays by dotted name.

        In place of an array held in a way that no row can carry over a `Refusal` may stand that
        says so: hand-written mappings, which read the layer themselves, are not kept from it.

        Raises:
            Refusal: for a layer that cannot be read at all.
        """
        ...

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """A function that builds layers of one configuration without initialising any.

        Args:
            target: the class, or the function, to build a layer of.
            options: its constructor arguments.
            names: the arrays that each call will get, in this order.

        Raises:
            Refusal: where the class has other arrays than ``names``.
        """
        ...

    def stack(self, layers: Sequence[Any]) -> Any:
        """A plain stack of nodes; a node that stands twice is one layer."""
        ...

    def lend(self, node: Any) -> Any:
        """A node in the form that hand-written mappings get."""
        ...

    def adopt(self, layer: Any) -> Any:
        """A node out of what a hand-written mapping returned."""
        ...


class Bridge(Framework, Protocol):
    """A framework with its rows.

    One that cannot take some core models as a whole, whatever their layers, may have
    ``check_core(model)``, which raises for them.

    Attributes:
        rows: one for each layer, immutable.
        unconvertible: layers of the framework that have no counterpart in the core.
        unconvertible_core: layers of the core that have none in the framework.
        ignored: constructor parameters that mean nothing for the function computed, in whatever
            layer they stand (initializers, random streams, metadata).
        channels_first: whether its layers take one example with the channels first.
    """

    rows: tuple[LayerMap, ...]
    unconvertible: tuple[Unconvertible, ...]
    unconvertible_core: tuple[Unconvertible, ...]
    ignored: frozenset[str]
    channels_first: bool

    def lift(self, layer: Any, axes: int) -> Any:
        """The layer working on every position of ``axes`` leading axes.

        Called only where ``channels_first`` is set: other frameworks' layers take any leading
        axes as they are.
        """
        ...

    def lifted(self, node: Any) -> int:
        """On how many leading axes a layer was lifted; 0 for a bare one."""
        ...


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A layer's tree with its arrays taken out: kept per configuration, filled as often as needed.

    Rebuilding a registered pytree from its structure costs microseconds where a constructor, even
    an abstract one, costs a millisecond.

    Attributes:
        structure: the tree.
        leaves: the tree's leaves; those that are arrays are replaced.
        places: for each array, in the order they are given, its place among the leaves.
    """

    structure: jax.tree_util.PyTreeDef
    leaves: tuple[Any, ...]
    places: tuple[int, ...]

    def __call__(self, arrays: Sequence[Any]) -> Any:
        leaves = list(self.leaves)
        for place, array in zip(self.places, arrays, strict=True):
            leaves[place] = array
        return jax.tree_util.tree_unflatten(self.structure, leaves)


def skeleton_of(layer: Any, names: tuple[str, ...], keep: Callable[[Any], bool]) -> Skeleton:
    """Take the arrays out of an abstract layer.

    Args:
        layer: a pytree; its arrays may be abstract.
        names: the arrays' dotted names, in the order they will be given.
        keep: whether a leaf is no array but part of the configuration, and stays as it is.

    Raises:
        Refusal: where the layer's arrays are not those named.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(layer)
    found = {
        jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value"): place
        for place, (path, leaf) in enumerate(paths)
        if not keep(leaf)
    }
    if found.keys() != set(names):
        held = ", ".join(sorted(found))
        raise Refusal(f"{type(layer).__name__} holds {held}, and its row names {', '.join(names)}")
    return Skeleton(structure, tuple(leaf for _, leaf in paths), tuple(found[n] for n in names))
