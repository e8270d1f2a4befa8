"""The cases of a bridge's rows, and the pair of models that each check works on.

Imports jax, numpy and the engine; no test library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import nn
from ..bridge import Bridge
from ..convert import plan_from, plan_to
from ..core_side import CORE
from ..graph import assign, configuration, leaves
from ..holding import make
from ..layout import Layout
from ..mapping import Case, LayerMap, Side, Unconvertible
from ..options import CORE_IGNORED, Translation
from ..plan import Plan
from ..recipe import Recipe
from ..registry import for_core
from ._harness import Call, Harness, Outcome, call_core

Arrays = Mapping[str, Any]
BATCH = 2
"""Examples in a batch: enough for one to differ from another."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One case of one row.

    Attributes:
        row: the row.
        side: whose constructor takes the case's options.
        case: the configuration.
        name: for people and for test reports.
    """

    row: LayerMap
    side: Side
    case: Case
    name: str

    def __str__(self) -> str:
        return self.name


def named_rows(bridge: Bridge) -> list[tuple[str, LayerMap]]:
    """The rows with distinct names: ``Linear-Dense``, the core's name and the framework's."""
    found: list[tuple[str, LayerMap]] = []
    count: Counter[str] = Counter()
    for row in bridge.rows:
        foreign = getattr(row.foreign, "__name__", None) or type(row.foreign).__name__
        name = f"{row.core.__name__}-{foreign}"
        count[name] += 1
        found.append((name if count[name] == 1 else f"{name}{count[name]}", row))
    return found


def samples_of(bridge: Bridge, name: str, row: LayerMap) -> list[Sample]:
    """Every case of one row, the core's first."""
    core = [Sample(row, "core", case, f"{name}-{i}") for i, case in enumerate(row.cases)]
    foreign = enumerate(row.foreign_cases)
    return core + [Sample(row, "foreign", case, f"{name}-{bridge.name}{i}") for i, case in foreign]


def filled(arrays: Arrays, positive: Any, seed: int = 0) -> dict[str, Any]:
    """The arrays with random numbers in place of whatever they hold; integers stay.

    Zeros and ones, which most arrays start with, would hide that two are mixed up.
    """
    draw = np.random.default_rng(seed)
    fresh = {}
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            fresh[name] = array
            continue
        # Away from zero, so that nothing hangs on a sign that rounding decides.
        numbers = draw.uniform(0.3, 1.3, array.shape)
        if not positive(name):
            numbers *= 0.5 * draw.choice([-1.0, 1.0], array.shape)
        fresh[name] = jnp.asarray(numbers.astype(np.float32)).astype(array.dtype)
    return fresh


@dataclass(frozen=True)
class Way:
    """Arrays of the core layer that are arrays of the framework's, whichever was the source."""

    core: tuple[str, ...]
    foreign: tuple[str, ...]
    layout: Layout


class Pair:
    """A layer on both sides, the second converted from the first, with random arrays.

    Attributes:
        harness: how the framework's layers are made and called.
        sample: the case.
        core: the core layer.
        foreign: the framework's model.
        plan: the plan of the conversion.
        shape: shape of one unbatched input in the core's convention.
        exports: whether the core layer becomes this layer of the framework.
        outward: whether the core layer is the one that was converted.
    """

    def __init__(self, harness: Harness, sample: Sample) -> None:
        self.harness, self.sample = harness, sample
        self.row = sample.row
        self.exports = stands_for_core(harness.bridge, sample.row)
        self.outward = sample.side == "core" and self.exports
        self.core: Any
        self.foreign: Any
        self.plan: Plan
        if self.outward:
            self._out_of_the_core()
        else:
            self._into_the_core()
        self.shape = self._shape()

    def _out_of_the_core(self) -> None:
        core = make_core(self.sample)
        assign(core, filled(leaves(core), lambda name: "var" in name))
        self.core = core
        shape = self.sample.case.input if self.harness.exports_by_shape else None
        model = nn.Sequential(core) if self.sample.case.stacked else core
        self.plan = plan_to(self.harness.bridge, model, sample_input=shape).require()
        self.foreign = self.export(core)
        self._foreign_options = dict(self.recipe.target_options or {})

    def _into_the_core(self) -> None:
        harness, row, case = self.harness, self.row, self.sample.case
        batch = batch_of(self.sample)
        self._foreign_options = harness.given(case.options, batch)
        if self.sample.side == "core":  # a row that is only imported: its cases, translated
            self._foreign_options = _translated(self.sample)
        made = harness.construct(row.foreign, self._foreign_options, batch)
        arrays = filled(harness.read(made), harness.stands_positive)
        self.foreign = self.build_foreign(arrays) if arrays else made
        node = harness.bridge.adopt(importable(harness, row, self.foreign))
        self.plan = plan_from(harness.bridge, node, sample_input=case.input).require()
        self.core = self.import_(self.foreign)

    def export(self, core: Any, *, back: bool = False) -> Any:
        """Convert a core layer, for inputs of the sample's shape, or one that was read back."""
        shape = self._sample_input() if back else self.sample.case.input
        if not self.sample.case.stacked:
            return self.harness.export(core, shape)
        bridge = self.harness.bridge
        (element,) = (
            bridge.children(bridge.adopt(self.harness.export(nn.Sequential(core), shape))) or ()
        )
        return bridge.lend(element)

    def import_(self, foreign: Any) -> Any:
        """Convert the framework's layer into the core, for inputs of the sample's shape."""
        core = self.harness.import_(
            importable(self.harness, self.row, foreign), self._sample_input()
        )
        return core if isinstance(self.row.foreign, type) else core.layers[0]

    def _sample_input(self) -> tuple[int, ...] | None:
        shape = self.sample.case.input
        if not self.outward:
            return shape
        return (*self.shape[1:], self.shape[0]) if self.turned else self.shape

    @property
    def turned(self) -> bool:
        """Whether the core layer has its channels first, and what is read back will not."""
        return callable(self.row.channels) and self.recipe.channels == "same"

    def _shape(self) -> tuple[int, ...]:
        shape = self.sample.case.input
        if shape is None:
            shape = getattr(self.core, "in_size", None)
        if shape is None:
            raise ValueError(f"{self.sample}: say which input the case is for: case(input=...)")
        return tuple(shape)

    @property
    def recipe(self) -> Recipe:
        """How the layer was converted."""
        (recipe,) = (node.recipe for node in self.plan.root.walk() if node.recipe is not None)
        return recipe

    @property
    def carried(self) -> tuple[str, ...]:
        """States of the core layer that its counterpart takes as arguments, or holds in use."""
        held = (name for entry in self.row.leaves if entry.optional for name in entry.core)
        return (*self.row.transient, *held)

    @cached_property
    def core_arrays(self) -> Arrays:
        """The core layer's arrays by name."""
        return leaves(self.core)

    @cached_property
    def foreign_arrays(self) -> Arrays:
        """The framework's arrays by name."""
        return self.harness.read(self.foreign)

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """Which arrays are which."""
        if self.outward:
            return tuple(Way(m.source, m.target, m.layout) for m in self.recipe.moves)
        return tuple(Way(m.target, m.source, m.layout.inverse) for m in self.recipe.moves)

    def build_core(self, arrays: Arrays) -> nn.Module:
        """The core layer with other arrays."""
        build = CORE.builder(self.row.core, configuration(self.core), tuple(arrays))
        layer: nn.Module = build(tuple(arrays.values()))
        return layer

    def build_foreign(self, arrays: Arrays) -> Any:
        """The framework's layer with other arrays."""
        bridge = self.harness.bridge
        names = tuple(arrays)
        node = bridge.builder(self.row.foreign, self._foreign_options, names)([*arrays.values()])
        axes = self.plan.root.axes if self.outward else 0
        return bridge.lend(bridge.lift(node, axes) if axes else node)

    def construct(self) -> Any:
        """The framework's layer as its own constructor makes it."""
        made = self.harness.construct(self.row.foreign, self._foreign_options, self.input())
        axes = self.plan.root.axes if self.outward else 0
        if not axes:
            return made
        bridge = self.harness.bridge
        return bridge.lend(bridge.lift(bridge.adopt(made), axes))

    def rebuilt(self, arrays: Arrays) -> Any:
        """The layer that was converted, with other arrays."""
        return self.build_core(arrays) if self.outward else self.build_foreign(arrays)

    @property
    def source(self) -> Any:
        """The layer that was converted."""
        return self.core if self.outward else self.foreign

    @property
    def source_arrays(self) -> Arrays:
        """Its arrays."""
        return self.core_arrays if self.outward else self.foreign_arrays

    def convert(self, source: Any) -> Any:
        """Convert a layer the same way again."""
        if self.outward:
            return self.export(source)
        return self.import_(source)

    def arrays_of(self, converted: Any) -> Arrays:
        """Arrays of what `convert` gave."""
        return self.harness.read(converted) if self.outward else leaves(converted)

    def input(self, leading: tuple[int, ...] = (BATCH,), seed: int = 1) -> Any:
        """A random input with these batch axes."""
        return random_input((*leading, *self.shape), self.sample.case.below, seed)

    def call(
        self, leading: tuple[int, ...] = (BATCH,), *, training: bool = False, seed: int = 1
    ) -> Call:
        """A call with a random input and a random carry."""
        carry: dict[str, Any] = {}
        names = self.carried
        if names:
            with nn.init.abstract():
                fresh = self.build_core(self.core_arrays)
                fresh.init_state(*leading)
            held = leaves(fresh)
            carry = {name: jnp.zeros(held[name].shape, held[name].dtype) for name in names}
            carry = filled(carry, lambda _: False, seed)
        plan = self.plan
        return Call(
            self.input(leading, seed),
            len(leading),
            carry,
            training,
            plan.channels_first_in,
            plan.channels_first_out,
        )

    def call_core(self, call: Call, model: Any = None) -> Outcome:
        """Call the core layer, or another in its place."""
        return call_core(self.core if model is None else model, call)

    def call_foreign(self, call: Call, model: Any = None) -> Outcome:
        """Call the framework's layer, or another in its place."""
        return self.harness.call(self.foreign if model is None else model, call)


def importable(harness: Harness, row: LayerMap, foreign: Any) -> Any:
    """The framework's layer as a model: a plain function is none until it stands in a stack."""
    if isinstance(row.foreign, type):
        return foreign
    bridge = harness.bridge
    return bridge.lend(bridge.stack([bridge.adopt(foreign)]))


def stands_for_core(bridge: Bridge, row: LayerMap) -> bool:
    """Whether a core layer becomes this row's: the first row that is chosen says so."""
    entries = for_core(bridge, row.core)
    if isinstance(entries, Unconvertible) or row not in entries:
        return False
    earlier = entries[: entries.index(row)]
    return all(isinstance(entry, LayerMap) and entry.chooses for entry in earlier)


def random_input(shape: tuple[int, ...], below: int | None = None, seed: int = 1) -> Any:
    """Normal numbers, or integers below a bound."""
    draw = np.random.default_rng(seed)
    if below is not None:
        return jnp.asarray(draw.integers(0, below, shape, dtype=np.int32))
    return jnp.asarray(draw.normal(size=shape).astype(np.float32))


def batch_of(sample: Sample) -> Any:
    """An input for the case, batched; ``None`` where it does not say of which shape."""
    shape = sample.case.input
    if shape is None and sample.side == "core":
        shape = getattr(make_core(sample), "in_size", None)
    return None if shape is None else random_input((BATCH, *shape), sample.case.below)


def make_core(sample: Sample) -> Any:
    """The core layer of a case, by its constructor, with shapes in place of arrays."""
    with nn.init.abstract():
        return sample.row.core(**make(sample.case.options, lambda core, given: core(**given)))


def _translated(sample: Sample) -> dict[str, Any]:
    core = make_core(sample)
    shape = core.in_size if sample.case.input is None else sample.case.input
    config = {**configuration(core), "example": shape}
    translation = Translation(sample.row, "core", config, frozenset(CORE_IGNORED.names))
    named = translation.options.items()
    return {name: value for name, value in named if "." not in name}


@lru_cache(maxsize=16)
def pair_of(harness: Harness, sample: Sample) -> Pair:
    """The pair of a case, made once for all the checks that follow each other on it."""
    return Pair(harness, sample)


def alike(a: Any, b: Any) -> bool:
    """Whether two option values say the same, arrays and partial functions by what they hold."""
    if isinstance(a, partial) and isinstance(b, partial):
        same_options = a.keywords.keys() == b.keywords.keys() and all(
            alike(a.keywords[name], b.keywords[name]) for name in a.keywords
        )
        return a.func == b.func and a.args == b.args and same_options
    if isinstance(a, jax.Array | np.ndarray) or isinstance(b, jax.Array | np.ndarray):
        return (
            type(a) is type(b)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and bool(np.array_equal(np.asarray(a), np.asarray(b)))
        )
    return bool(a == b)


def spoken_of(row: LayerMap, side: Side) -> Iterator[str]:
    """Names of the parameters of one side that a row names, whatever it says of them."""
    for option in row.options:
        names = getattr(option, side, None)
        if isinstance(names, str):
            yield names
        elif getattr(option, "side", None) == side:
            yield from getattr(option, "names", None) or (getattr(option, "name", ""),)
