"""Modules over lanes: which states have a value for each, in each library's form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, combinations, product
from typing import Any

from brainstate.util import filter as filters

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.nn._delay_buffer import NOT_BATCHED
from interop_core.nn._mapping import state_axes

from ._row import Row
from ._sides import CORE, PUBLISHED, states_below
from ._values import alike, translated

__all__ = ["LANES"]


class _Among:
    """A filter for certain states, the form in which the published layer keeps its own.

    Args:
        states: the states.
    """

    def __init__(self, states: Iterable[Any]) -> None:
        self.ids = frozenset(map(id, states))

    def __call__(self, path: Any, state: Any) -> bool:
        """Whether a state is one of them."""
        return id(state) in self.ids


def _listed(_: Mapping[str, Any], layer: Any) -> str | None:
    """Refuse lists of states that do not say which states are mapped, and over which axis."""
    lists = layer.dict_vmap_states
    if lists is None:
        return None
    side = CORE if isinstance(layer, nn.Module) else PUBLISHED
    below = {id(state): state for state in states_below(side, layer.module)}
    shared = any(NOT_BATCHED in (state.tag or ()) for state in below.values())
    if None in lists or shared:
        return (
            "holds a state that all lanes share (of a delay, say), which the published layer lists "
            "beside the axes, where its own states() cannot go through"
        )
    axes = {id(state): axis for axis, states in lists.items() for state in states}
    if axes.keys() - below.keys():
        return "lists states that its module no longer has: they were made anew since"
    if side is CORE:
        further = state_axes(layer.module.states(), layer.call_state_axes)
        if any(axes.get(id(state), axis) != axis for state, axis in further):
            return "call_state_axes names a state that was made for another axis"
        return None
    return _other_filters(layer, axes)


def _other_filters(layer: Any, axes: Mapping[int, int]) -> str | None:
    """Compare what a published layer maps with what its lists and arguments say."""
    used = vars(layer).get("_call_state_axes")
    if not isinstance(used, dict) or not vars(layer).get("_init"):
        raise Refusal("does not say what it maps, which this release keeps elsewhere")
    asked = layer.call_state_axes or {}
    if used.keys() != asked.keys() | set(axes.values()):
        return "maps other axes than its lists of states say"
    given = {axis: filters.to_predicate(chosen) for axis, chosen in asked.items()}
    for axis, chosen in used.items():
        found = filters.to_predicate(chosen)
        for path, state in layer.module.states().items():
            own = axes.get(id(state))
            further = axis in given and given[axis](path, state)
            if further and own is not None and own != axis:
                return "call_state_axes names a state that was made for another axis"
            if bool(found(path, state)) != bool(own == axis or further):
                return "maps other states than it lists"
    return None


def _list_states(layer: Any, built: Any, build: Callable[[Any], Any]) -> None:
    """Tell the layer that was built which states are mapped."""
    lists = layer.dict_vmap_states
    if lists is None:
        return
    built.dict_vmap_states = {axis: [build(s) for s in states] for axis, states in lists.items()}
    if isinstance(built, nn.Module):
        return
    if not {"_init", "_call_state_axes"} <= vars(built).keys():
        raise Refusal("has no place for the mapped states in this release")
    axes = dict(built.call_state_axes or {})
    for axis, states in built.dict_vmap_states.items():
        own = _Among(states)
        axes[axis] = filters.Any(axes[axis], own) if axis in axes else own
    built._init, built._call_state_axes = True, axes
    _check_choice(layer, built, build, ("call_state_axes",))


def _check_choice(
    layer: Any, built: Any, build: Callable[[Any], Any], names: Iterable[str]
) -> None:
    """Make sure that filters choose the same states in both libraries."""
    for name in names:
        asked = getattr(layer, name)
        if asked is None:
            continue
        chosen = {id(build(state)) for state, _ in state_axes(layer.module.states(), asked)}
        said = translated(CORE, PUBLISHED, asked, build)
        found = filters.to_predicate(filters.Any(*(said.values() if _by_axis(said) else (said,))))
        below = built.module.states().items()
        if chosen != {id(state) for path, state in below if found(path, state)}:
            raise Refusal(
                f"{name} is a filter that chooses other states there",
                "name the states by their types or tags",
            )


def _by_axis(value: Any) -> bool:
    return isinstance(value, Mapping)


# -- Vmap ------------------------------------------------------------------------------------------

_MOST_TYPES = 4


def _candidates(layer: Any) -> Iterator[Any]:
    """What a published layer may have been told of its states: nothing, or some of their types."""
    yield None
    below = states_below(PUBLISHED, layer.module)
    kinds = sorted({type(state) for state in below}, key=lambda kind: kind.__name__)[:_MOST_TYPES]
    sizes = range(1, len(kinds) + 1)
    for kind in chain.from_iterable(combinations(kinds, size) for size in sizes):
        yield kind[0] if len(kind) == 1 else kind


def _told(layer: Any) -> tuple[Any, Any]:
    """The filters of a published layer, which it keeps inside a function: those that make it.

    They pick the states when the layer is built; what they were called then is not kept.
    """
    options = {name: getattr(layer, name) for name in ("in_axes", "out_axes")}
    options |= {name: getattr(layer, name) for name in ("axis_name", "axis_size")}
    candidates = tuple(_candidates(layer))
    for found, out in product(candidates, repeat=2):
        made = PUBLISHED.layers.Vmap(
            layer.module, vmap_states=found, vmap_out_states=out, **options
        )
        if alike(layer.vmapped_fn, made.vmapped_fn):
            return found, out
    # Compared as a whole, it is refused.
    return None, None


def _picks_nothing(_: Mapping[str, Any], layer: Any) -> str | None:
    """Refuse filters for states that are made later, which the published layer would not see."""
    if not isinstance(layer, nn.Vmap):
        return None
    for name in ("vmap_states", "vmap_out_states"):
        asked = getattr(layer, name)
        if asked is not None and not state_axes(layer.module.states(), asked):
            return (
                f"{name} picks none of the states that are there, and the published layer picks "
                "once, when it is built: make the states before the conversion"
            )
    return None


def _pick(layer: Any, built: Any, build: Callable[[Any], Any]) -> None:
    if not isinstance(built, nn.Module):
        _check_choice(layer, built, build, ("vmap_states", "vmap_out_states"))


LANES = (
    Row(
        "Map",
        unseen=frozenset({"dict_vmap_states", "_init", "_call_state_axes"}),
        refusals=(_listed,),
        finish=_list_states,
    ),
    Row(
        "Vmap",
        {"vmap_states": lambda layer: _told(layer)[0], "vmap_out_states": lambda x: _told(x)[1]},
        refusals=(_picks_nothing,),
        finish=_pick,
    ),
)
"""Rows of modules over lanes: their states are listed, or picked by filters."""
