"""What is checked of each case of a row: options, arrays, names, streams.

Each function takes a `Pair` and raises `AssertionError` with what it found. Imports jax, numpy and
the engine; no test library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from .. import nn, random
from ..graph import assign, configuration, leaves
from ..layout import IDENTITY, Layout, Shape
from ..mapping import COMPLEMENT, SAME, Given, Ignored, Opt
from ._samples import BATCH, Arrays, Pair, alike, filled

PairCheck = Callable[[Pair], None]
_spec: Any = PartitionSpec  # its constructor is untyped in some releases of jax

DTYPES = ("float16", "bfloat16", "float32", "float64", "int32")


def require(condition: bool, message: str) -> None:
    """Raise `AssertionError` with a message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


def same_arrays(found: Arrays, expected: Arrays, what: str) -> None:
    """Require the same names, shapes, dtypes and bits."""
    require(found.keys() == expected.keys(), f"{what}: {sorted(found)} is not {sorted(expected)}")
    for name, array in expected.items():
        got = found[name]
        require(
            (got.shape, got.dtype) == (array.shape, array.dtype),
            f"{what}: {name} is {got.dtype}{got.shape}, not {array.dtype}{array.shape}",
        )
        np.testing.assert_array_equal(np.asarray(got), np.asarray(array), f"{what}: {name}")


def near_arrays(found: Arrays, expected: Arrays, what: str) -> None:
    """Require the same names, and numbers the same to rounding."""
    require(found.keys() == expected.keys(), f"{what}: {sorted(found)} is not {sorted(expected)}")
    for name, array in expected.items():
        # An inexact layout adds a constant and takes it off again: a few units in the last place.
        np.testing.assert_allclose(
            np.asarray(found[name]), np.asarray(array), 1e-6, 1e-6, err_msg=f"{what}: {name}"
        )


def _same_options(
    found: Mapping[str, Any], expected: Mapping[str, Any], names: Iterable[str], what: str
) -> None:
    for name in names:
        if name in expected:
            require(
                name in found and alike(found[name], expected[name]),
                f"{what}: {name} is {found.get(name)!r}, not {expected[name]!r}",
            )


def _foreign_names(pair: Pair) -> list[str]:
    """Options of the framework's layer that say what it computes."""
    bridge, row = pair.harness.bridge, pair.row
    left_out = set(bridge.ignored) | {part.foreign for part in row.parts}
    for option in row.options:
        if isinstance(option, Ignored) and option.side == "foreign":
            left_out.update(option.names)
    return [name for name in pair.harness.config(pair.foreign) if name not in left_out]


def options_round_trip(pair: Pair) -> None:
    """There and back, a layer has the options it had.

    Where several values of an option say the same, the first way back settles on one of them, and
    that one stays.
    """
    harness = pair.harness
    back = pair.import_(pair.foreign)
    require(type(back) is pair.row.core, f"comes back as a {type(back).__name__}")
    opts = [option for option in pair.row.options if isinstance(option, Opt)]
    plain = [option for option in opts if option.iso in (SAME, COMPLEMENT)]
    if same_meaning(pair, back):
        names = [option.core for option in plain]
        _same_options(configuration(back), configuration(pair.core), names, "the core layer")
    if not pair.exports:
        return
    again = pair.export(back, back=True)
    given = {o.name for o in pair.row.options if isinstance(o, Given) and o.side == "foreign"}
    loose = {option.foreign for option in opts} - {option.foreign for option in plain} | given
    strict = [name for name in _foreign_names(pair) if name not in loose]
    found, expected = harness.config(again), harness.config(pair.foreign)
    _same_options(found, expected, strict, "the framework's layer")
    settled = harness.config(pair.export(pair.import_(again), back=True))
    _same_options(settled, found, sorted(loose), "the framework's layer, once more")


def weights_round_trip(pair: Pair) -> None:
    """There and back, every array is what it was: to the bit where the layouts say so."""
    exact = all(way.layout.exact for way in pair.ways)
    compare = same_arrays if exact else near_arrays
    back = pair.import_(pair.foreign)
    if same_meaning(pair, back):
        compare(_once_begun(pair, leaves(back)), _kept(pair), "core to framework to core")
    if pair.exports:
        again = pair.export(back, back=True)
        compare(pair.harness.read(again), pair.foreign_arrays, "framework to core to framework")
    for way in pair.ways:
        arrays = tuple(pair.core_arrays[name] for name in way.core)
        moved = way.layout(arrays)
        shapes = way.layout.shapes(tuple(tuple(array.shape) for array in arrays))
        require(
            shapes == tuple(tuple(array.shape) for array in moved),
            f"{way.layout} says {shapes} for {[array.shape for array in moved]}",
        )
        there = {n: pair.foreign_arrays[n] for n in way.foreign}
        compare(dict(zip(way.foreign, moved, strict=True)), there, str(way.layout))


def same_meaning(pair: Pair, back: Any) -> bool:
    """Whether arrays of the layer that came back are to be read as those of the first.

    An option that the framework has no word for may have gone into the arrays, or say where the
    data has its channels; it comes back at the value that leaves both as they are.
    """
    here, there = configuration(pair.core), configuration(back)
    given = [o.name for o in pair.row.options if isinstance(o, Given) and o.side == "core"]
    return all(alike(here[name], there[name]) for name in given)


def _kept(pair: Pair) -> Arrays:
    """The core's arrays but those that its counterpart takes as arguments."""
    return {n: a for n, a in pair.core_arrays.items() if n not in pair.row.transient}


def _begun(pair: Pair, side: str) -> set[str]:
    """States that a layer of the core makes later, and its counterpart may have from the start."""
    entries = [entry for entry in pair.row.leaves if entry.optional]
    held = pair.core_arrays.keys()
    return {n for entry in entries if held.isdisjoint(entry.core) for n in getattr(entry, side)}


def _once_begun(pair: Pair, arrays: Arrays) -> Arrays:
    """The core's arrays but the states that the framework had from the start, which are zeros."""
    begun = _begun(pair, "core")
    moved = [name for name in begun & arrays.keys() if np.any(np.asarray(arrays[name]))]
    require(not moved, f"{moved} begin at other numbers than 0")
    return {name: array for name, array in arrays.items() if name not in begun}


def arrays_named_once(pair: Pair) -> None:
    """The row names every array of both sides exactly once."""
    for side, arrays in (("core", _kept(pair)), ("foreign", pair.foreign_arrays)):
        held = arrays.keys() - _begun(pair, side)
        named = Counter(name for way in pair.ways for name in getattr(way, side))
        twice = sorted(name for name, count in named.items() if count > 1)
        require(not twice, f"{side}: {twice} named more than once")
        require(named.keys() == held, f"{side}: names {sorted(named)}, has {sorted(held)}")


def constructor_agrees(pair: Pair) -> None:
    """A converted layer is what the framework's own constructor makes, but for the numbers."""
    made = pair.construct()
    _same_options(
        pair.harness.config(pair.foreign),
        pair.harness.config(made),
        _foreign_names(pair),
        "the converted layer",
    )
    shapes = {name: (a.shape, a.dtype) for name, a in pair.harness.read(made).items()}
    found = {name: (a.shape, a.dtype) for name, a in pair.foreign_arrays.items()}
    require(found == shapes, f"converted: {found}, constructed: {shapes}")
    require(
        pair.harness.bridge.key(pair.harness.bridge.adopt(made))
        == pair.harness.bridge.key(pair.harness.bridge.adopt(pair.foreign)),
        "the converted layer is looked up as another one",
    )


def identity_shares_the_buffer(pair: Pair) -> None:
    """An array that is stored alike on both sides is the same array on both."""
    for way in pair.ways:
        if way.layout is IDENTITY:
            for core, foreign in zip(way.core, way.foreign, strict=True):
                require(
                    pair.core_arrays[core] is pair.foreign_arrays[foreign],
                    f"{core} and {foreign} are two arrays",
                )


def abstract_equals_concrete(pair: Pair) -> None:
    """Converting shapes gives the shapes that converting arrays gives, inside a trace as well."""
    if not pair.source_arrays:
        return
    target = pair.foreign_arrays if pair.outward else pair.core_arrays
    expected = {name: (a.shape, a.dtype) for name, a in target.items()}

    def shapes_of(arrays: Arrays) -> dict[str, Any]:
        return {name: (array.shape, array.dtype) for name, array in arrays.items()}

    shapes = {n: jax.ShapeDtypeStruct(a.shape, a.dtype) for n, a in pair.source_arrays.items()}
    converted = pair.arrays_of(pair.convert(pair.rebuilt(shapes)))
    require(
        all(isinstance(array, jax.ShapeDtypeStruct) for array in converted.values()),
        f"shapes became {sorted({type(array).__name__ for array in converted.values()})}",
    )
    require(shapes_of(converted) == expected, f"{shapes_of(converted)} is not {expected}")

    def convert(arrays: Arrays) -> Arrays:
        return dict(pair.arrays_of(pair.convert(pair.rebuilt(arrays))))

    traced = jax.eval_shape(convert, dict(pair.source_arrays))
    require(shapes_of(traced) == expected, f"traced: {shapes_of(traced)} is not {expected}")


def dtypes_are_kept(pair: Pair) -> None:
    """Arrays keep their dtype, and those of NumPy stay on the host."""
    # What begins on the other side begins in the type that the core begins it in.
    begun = _begun(pair, "foreign" if pair.outward else "core")
    for dtype in DTYPES:
        if dtype == "int32" and not all(way.layout.exact for way in pair.ways):
            continue
        arrays = {n: np.asarray(a).astype(jnp.dtype(dtype)) for n, a in pair.source_arrays.items()}
        for name, array in pair.arrays_of(pair.convert(pair.rebuilt(arrays))).items():
            require(
                isinstance(array, np.ndarray)
                and (array.dtype == jnp.dtype(dtype) or name in begun),
                f"{name} became {type(array).__name__} of {array.dtype} out of {dtype}",
            )
    on_device = {n: jnp.asarray(a, jnp.bfloat16) for n, a in pair.source_arrays.items()}
    for name, array in pair.arrays_of(pair.convert(pair.rebuilt(on_device))).items():
        require(
            isinstance(array, jax.Array) and (array.dtype == jnp.bfloat16 or name in begun),
            f"{name} became {type(array).__name__} of {array.dtype} out of bfloat16",
        )


def states_come_along(pair: Pair) -> None:
    """States that a layer in use holds are held by its counterpart, are used, and come back."""
    entries = [entry for entry in pair.row.leaves if entry.optional]
    if not entries or not pair.outward:
        return
    core = pair.build_core(pair.core_arrays)
    core.init_state(BATCH)
    assign(core, filled(leaves(core), lambda _: False, 3))
    foreign = pair.export(core)
    same_arrays(leaves(pair.import_(foreign)), leaves(core), "in use")
    held = pair.harness.read(foreign)
    for entry in entries:
        moved = entry.at(configuration(core))(tuple(leaves(core)[name] for name in entry.core))
        same_arrays(
            {name: held[name] for name in entry.foreign},
            dict(zip(entry.foreign, moved, strict=True)),
            "in use",
        )
    bridge: Any = pair.harness.bridge
    if hasattr(bridge, "call"):
        call = replace(pair.call(), carry={})
        found, expected = bridge.call(bridge.adopt(foreign), call).y, pair.call_core(call, core).y
        np.testing.assert_allclose(found, expected, 1e-5, 1e-5, err_msg="in use")


def source_is_unchanged(pair: Pair) -> None:
    """Converting changes nothing of the layer that is converted."""

    def state() -> tuple[Mapping[str, Any], dict[str, Any]]:
        if pair.outward:
            return dict(leaves(pair.core)), configuration(pair.core)
        return dict(pair.harness.read(pair.foreign)), pair.harness.config(pair.foreign)

    arrays, options = state()
    pair.convert(pair.source)
    arrays_after, options_after = state()
    require(arrays.keys() == arrays_after.keys(), "the arrays have other names")
    moved = [name for name in arrays if arrays[name] is not arrays_after[name]]
    require(not moved, f"{moved} were replaced")
    _same_options(options_after, options, options, "the converted layer itself")


def random_streams_rest(pair: Pair) -> None:
    """Converting draws nothing from the core's random stream."""
    before = np.asarray(random.get_key_data())
    pair.import_(pair.foreign)
    pair.convert(pair.source)
    np.testing.assert_array_equal(np.asarray(random.get_key_data()), before)


def specs_round_trip(pair: Pair) -> None:
    """A sharding carried through a layout and back is the sharding it was."""
    for way in pair.ways:
        shapes = [pair.core_arrays[name].shape for name in way.core]
        # An axis of length one is not sharded, and may come and go.
        specs = tuple(
            _spec(*(f"axis{i}" if size > 1 else None for i, size in enumerate(shape)))
            for shape in shapes
        )
        there = way.layout.spec(specs)
        for name, spec in zip(way.foreign, there, strict=True):
            require(
                len(spec) == pair.foreign_arrays[name].ndim,
                f"{name} has {pair.foreign_arrays[name].ndim} axes, its sharding {spec}",
            )
        back = way.layout.inverse.spec(there)
        require(back == specs, f"{way.layout}: {specs} came back as {back}")
        for place, shape in enumerate(shapes):
            for axis in range(len(shape)):
                _follow_the_numbers(way.layout, shapes, place, axis)


def _follow_the_numbers(layout: Layout, shapes: list[Shape], place: int, axis: int) -> None:
    """Numbers that differ along one axis alone do so where the layout says that the axis went."""
    specs = [_spec(*[None] * len(shape)) for shape in shapes]
    specs[place] = _spec(*("axis" if i == axis else None for i in range(len(shapes[place]))))
    plain = tuple(np.zeros(shape, np.float32) for shape in shapes)
    ramp = 2.0 ** np.arange(shapes[place][axis], dtype=np.float32)
    steps = np.moveaxis(plain[place] + 1, axis, -1) * ramp
    marked = (*plain[:place], np.moveaxis(steps, -1, axis), *plain[place + 1 :])
    results = zip(layout(marked), layout(plain), layout.spec(tuple(specs)), strict=True)
    for found, zero, spec in results:
        for there, entry in enumerate(spec):
            if entry is not None and found.shape[there] > 1:
                require(
                    bool(np.ptp(found - zero, axis=there).any()),
                    f"{layout} says that axis {axis} goes to {there}, and its numbers do not",
                )


def lookup_finds_the_class(pair: Pair) -> None:
    """The converted layer is exactly the class, or the function, that the row names."""
    bridge = pair.harness.bridge
    require(type(pair.core) is pair.row.core, f"the core layer is a {type(pair.core).__name__}")
    require(isinstance(pair.core, nn.Module), "the core layer is no module")
    if not pair.plan.root.axes:
        key = bridge.key(bridge.adopt(pair.foreign))
        require(key is pair.row.foreign, f"the framework's layer is looked up as {key}")


CHECKS: tuple[PairCheck, ...] = (
    lookup_finds_the_class,
    arrays_named_once,
    constructor_agrees,
    options_round_trip,
    weights_round_trip,
    identity_shares_the_buffer,
    abstract_equals_concrete,
    dtypes_are_kept,
    states_come_along,
    source_is_unchanged,
    random_streams_rest,
    specs_round_trip,
)
