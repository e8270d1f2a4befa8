"""Layers that keep numbers in an `eqx.nn.State`, and models made of them.

A layer fresh from its constructor is *whole*: its `eqx.nn.StateIndex` hold the first values. Users
hold models that are *split*, with the values in a `State` beside them. Whatever is read is split (a
`Stateful` node), whatever is built is whole until `split` makes model and state of it at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from interop_core import environ
from interop_core.bridge import Build
from interop_core.errors import ConversionError, NotAModelError, Problem, Refusal

_ANOTHER = "pass the state that belongs to this model"
ARRAYS = (jax.Array, np.ndarray, jax.ShapeDtypeStruct)


@dataclass(frozen=True, slots=True)
class Stateful:
    """A layer or a stack, and the state that its numbers are in."""

    layer: Any
    state: eqx.nn.State


def is_index(value: Any) -> bool:
    """Whether this is the place of a number in a state."""
    return isinstance(value, eqx.nn.StateIndex)


def keeps_state(tree: Any) -> bool:
    """Whether anything in a tree keeps numbers in a state."""
    return any(map(is_index, jax.tree.leaves(tree, is_leaf=is_index)))


def check_state(node: Stateful) -> None:
    """Raise for a state that can belong to no model, or to more than this one.

    Raises:
        NotAModelError: for what is no `eqx.nn.State`.
        ConversionError: for a state that another came out of, and one that holds more than the
            model asks for.
    """
    state: Any = node.state
    if not isinstance(state, eqx.nn.State):
        reason = f"the state is a {type(state).__name__}, not an eqx.nn.State"
        _raise(NotAModelError, reason, "pass the state that eqx.nn.make_with_state gives")
    try:
        held = len(jax.tree.leaves(state))
    except ValueError:
        reason = "the state is an old one, which another came out of"
        _raise(ConversionError, reason, "pass the newest")
    try:
        asked = len(jax.tree.leaves(state.substate(node.layer)))
    except KeyError:
        return  # the layer that misses its numbers says so, with its place
    if held != asked:
        reason = f"the state holds {held} arrays, and the model asks for {asked}"
        _raise(ConversionError, reason, "pass state.substate(model)")


def _raise(error: Any, reason: str, advice: str) -> NoReturn:
    raise error(problems=[Problem((), "eqx.nn.State", error, reason, advice)])


def state_arrays(name: str, index: Any, state: eqx.nn.State | None) -> Iterator[tuple[str, Any]]:
    """The arrays that one index stands for, by dotted name.

    Where there is no state a `Refusal` stands for them all, by one name for the whole layer.

    Raises:
        Refusal: where the state has none for this index.
    """
    if state is None:
        reason = "keeps numbers in an eqx.nn.State, which was not passed"
        yield "its state", Refusal(reason, "pass it too: from_equinox(model, state)")
        return
    try:
        value = state.get(index)
    except KeyError:
        reason = f"keeps {name} in another eqx.nn.State than the one that was passed"
        raise Refusal(reason, _ANOTHER, ConversionError) from None
    for path, array in jax.tree_util.tree_flatten_with_path(value)[0]:
        yield _dotted(name, path), array


def _dotted(name: str, path: tuple[Any, ...]) -> str:
    below = jax.tree_util.keystr(path, simple=True, separator=".")
    return ".".join(filter(None, (name, below)))


def whole_builder(layer: Any, names: tuple[str, ...], known: Mapping[str, Any]) -> Build:
    """A function that fills an abstract layer, and puts its state's values inside.

    Args:
        layer: the layer without arrays.
        names: the arrays that each call will get, in this order.
        known: numbers of the state that are the same for every such layer, by name.

    Raises:
        Refusal: where the layer has other arrays.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(layer, is_leaf=is_index)
    plain: dict[str, int] = {}
    inside: dict[int, tuple[Any, list[str]]] = {}
    for place, (path, leaf) in enumerate(paths):
        name = _dotted("", path)
        if is_index(leaf):
            values, tree = jax.tree_util.tree_flatten_with_path(leaf.init)
            inside[place] = (tree, [_dotted(name, below) for below, _ in values])
        elif isinstance(leaf, ARRAYS):
            plain[name] = place
    found = {*plain, *(name for _, parts in inside.values() for name in parts)} - known.keys()
    if found != set(names):
        held = ", ".join(sorted(found))
        raise Refusal(f"{type(layer).__name__} holds {held}, and its row names {', '.join(names)}")

    def build(arrays: Any) -> Any:
        given = dict(zip(names, arrays, strict=True))
        dtype = getattr(layer, "dtype", None)
        given |= {name: _like(numbers, arrays, dtype) for name, numbers in known.items()}
        leaves = [leaf for _, leaf in paths]
        for name, place in plain.items():
            leaves[place] = given[name]
        for place, (tree, parts) in inside.items():
            value = jax.tree_util.tree_unflatten(tree, [given[name] for name in parts])
            leaves[place] = eqx.nn.StateIndex(value)
        return jax.tree_util.tree_unflatten(structure, leaves)

    return build


def widest(dtypes: Iterable[Any]) -> Any:
    """What numbers of these types become beside each other; 8 bits are not promoted by jax."""

    def wider(one: Any, other: Any) -> Any:
        try:
            return jnp.promote_types(one, other)
        except ValueError:
            return one

    return reduce(wider, dtypes)


def _like(numbers: Any, arrays: Any, computes_in: Any) -> Any:
    """Numbers beside a layer's arrays: abstract beside shapes, on the host beside NumPy.

    Whole numbers are of Equinox's type. Others are of the type that the core begins its states in,
    or of a wider one that the layer's arrays make of it, or the dtype that it casts them to: a
    state of Equinox keeps its dtype.
    """
    if np.asarray(numbers).dtype.kind == "i":
        dtype = jnp.result_type(int)
    else:
        own = jnp.dtype(environ.dftype())
        held = [array.dtype for array in arrays]
        if computes_in is not None:
            held = [jax.dtypes.canonicalize_dtype(computes_in)]
        dtype = widest([own, *held])
    value = np.asarray(numbers, dtype)
    if isinstance(arrays[0], jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(value.shape, value.dtype)
    return value if isinstance(arrays[0], np.ndarray) else jnp.asarray(value)


def whole(node: Any) -> Any:
    """A node with its state's values inside; one without a state as it is."""
    if not isinstance(node, Stateful):
        return node

    def filled(leaf: Any) -> Any:
        return eqx.nn.StateIndex(node.state.get(leaf)) if is_index(leaf) else leaf

    return jax.tree.map(filled, node.layer, is_leaf=is_index)


def split(model: Any) -> tuple[Any, eqx.nn.State]:
    """Model and state out of a whole model, as `eqx.nn.make_with_state` gives them.

    A layer that stands in several places stays one, with one place in the state. What stands in
    the state is not touched: it may be abstract, or NumPy's.
    """
    # Equinox makes a jax array of every value, so it splits a model of placeholders.
    hollow, state = eqx.nn.make_with_state(lambda: _hollow(model))()
    distinct: dict[int, tuple[Any, Any]] = {}
    made = _rejoined(model, hollow, distinct)
    values = [
        value
        for original, _ in distinct.values()
        for index in jax.tree.leaves(original, is_leaf=is_index)
        if is_index(index)
        for value in jax.tree.leaves(index.init)
    ]
    return made, jax.tree.unflatten(jax.tree.structure(state.substate(made)), values)


def _hollow(model: Any) -> Any:
    def emptied(leaf: Any) -> Any:
        return eqx.nn.StateIndex(jax.tree.map(lambda _: 0, leaf.init)) if is_index(leaf) else leaf

    return jax.tree.map(emptied, model, is_leaf=is_index)


def _rejoined(node: Any, hollow: Any, distinct: dict[int, tuple[Any, Any]]) -> Any:
    """A model with its layers that keep state exchanged, each for the one at its first place."""
    if not keeps_state(node):
        return node
    if type(node) is eqx.nn.Sequential:
        pairs = zip(node.layers, hollow.layers, strict=True)
        return eqx.nn.Sequential([_rejoined(a, b, distinct) for a, b in pairs])
    return distinct.setdefault(id(node), (node, hollow))[1]
