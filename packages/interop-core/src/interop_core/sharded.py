"""Arrays that are spread over devices, on their way through a layout.

A result lies as its axes did: a mesh axis goes where its array axis goes. What a layout cuts along
such an axis moves between the devices, which `costs` says. Imports `errors` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .errors import Refusal

_partition_spec: Any = PartitionSpec  # its constructor is untyped in some releases of jax


def mesh_axes(entry: Any) -> tuple[str, ...]:
    """The mesh axes of one entry of a ``PartitionSpec``."""
    if entry is None:
        return ()
    return tuple(entry) if isinstance(entry, tuple) else (entry,)


def sharding_of(array: Any) -> NamedSharding | None:
    """How an array lies on a mesh; ``None`` for one that does not, and for a traced one."""
    if isinstance(array, jax.core.Tracer):
        return None
    found = getattr(array, "sharding", None)
    return found if isinstance(found, NamedSharding) else None


def _spec_of(array: Any) -> Any:
    """How an array lies on a mesh, with an entry for each axis; those of one that does not."""
    lies = sharding_of(array)
    entries = () if lies is None else tuple(lies.spec)
    return _partition_spec(*entries, *[None] * (len(array.shape) - len(entries)))


def shardings_after(
    layout: Any, arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]]
) -> tuple[NamedSharding, ...]:
    """How the results of a layout lie, where at least one of the arrays lies on a mesh.

    An axis that the mesh does not divide evenly lies whole on every device.

    Args:
        layout: the layout.
        arrays: what it is applied to.
        shapes: the shapes of its results.

    Raises:
        Refusal: for arrays on different meshes.
    """
    found = [sharding_of(array) for array in arrays]
    first, *others = [sharding for sharding in found if sharding is not None]
    mesh: Any = first.mesh
    if any(other.mesh != mesh for other in others):
        raise Refusal(
            "arrays that belong together lie on different meshes", "jax.device_put them on one"
        )
    specs = layout.spec(tuple(map(_spec_of, arrays)))
    kind = first.memory_kind
    return tuple(
        NamedSharding(mesh, _even(spec, shape, mesh), memory_kind=kind)
        for spec, shape in zip(specs, shapes, strict=True)
    )


def carry_sharded(
    layout: Any, arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]]
) -> tuple[Any, ...]:
    """Put arrays that lie on a mesh through a layout; the results lie as `shardings_after` says.

    Where a mesh is explicit, jax does not cut a sharded axis without being told how the parts are
    to lie: there the layout is applied on the same devices without, and the results are put back.
    """
    wanted = shardings_after(layout, arrays, shapes)
    inner = tuple(map(_automatic, wanted))
    given = [
        array if (lies := sharding_of(array)) is None else jax.device_put(array, _automatic(lies))
        for array in arrays
    ]
    moved = in_one_place(_compiled(layout, inner), given)
    return tuple(map(jax.device_put, moved, wanted))


@lru_cache(maxsize=1024)
def _compiled(layout: Any, wanted: tuple[NamedSharding, ...]) -> Callable[[Any], Any]:
    return jax.jit(lambda arrays: layout(arrays), out_shardings=wanted)


def abstract_after(
    layout: Any,
    arrays: Sequence[Any],
    shapes: Sequence[tuple[int, ...]],
    dtypes: Sequence[Any],
) -> tuple[Any, ...]:
    """The shapes that a layout gives, lying as `shardings_after` says where any lies on a mesh."""
    abstract: Any = jax.ShapeDtypeStruct
    if not any(map(sharding_of, arrays)):
        return tuple(map(abstract, shapes, dtypes))
    wanted = shardings_after(layout, arrays, shapes)
    return tuple(
        abstract(shape, dtype, sharding=lies)
        for shape, dtype, lies in zip(shapes, dtypes, wanted, strict=True)
    )


def in_one_place(function: Callable[[Any], Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Apply a compiled function to arrays, which have to lie on the same devices.

    Raises:
        Refusal: where they do not.
    """
    try:
        found: tuple[Any, ...] = function(tuple(arrays))
    except ValueError as error:
        places = {frozenset(array.sharding.device_set) for array in arrays if _is_placed(array)}
        if len(places) < 2:
            raise
        raise Refusal(
            "arrays that belong together lie on different devices", "jax.device_put them on one"
        ) from error
    return found


def _is_placed(array: Any) -> bool:
    """Whether an array lies on devices: one of jax that is not traced."""
    return isinstance(array, jax.Array) and not isinstance(array, jax.core.Tracer)


def _automatic(sharding: NamedSharding) -> NamedSharding:
    mesh = sharding.mesh
    plain = Mesh(mesh.devices, mesh.axis_names)
    if plain == mesh:
        return sharding
    return NamedSharding(plain, sharding.spec, memory_kind=sharding.memory_kind)


def _even(spec: PartitionSpec, shape: tuple[int, ...], mesh: Any) -> Any:
    """A ``PartitionSpec`` without the mesh axes that do not divide their array axis."""
    entries: list[Any] = []
    for size, entry in zip(shape, tuple(spec), strict=False):
        kept: list[str] = []
        for name in mesh_axes(entry):
            if size % math.prod(mesh.shape[other] for other in (*kept, name)):
                break
            kept.append(name)
        entries.append(entry if len(kept) == len(mesh_axes(entry)) else tuple(kept) or None)
    return _partition_spec(*entries)


def costs(layout: Any, names: Sequence[str], arrays: Sequence[Any]) -> Iterator[str]:
    """What a layout costs beyond writing each result once, in a clause for each array.

    Args:
        layout: the layout.
        names: what its arrays are called.
        arrays: the arrays.
    """
    found = [sharding_of(array) for array in arrays]
    meshes = [sharding.mesh for sharding in found if sharding is not None]
    if not meshes or any(mesh != meshes[0] for mesh in meshes):
        return
    sizes = meshes[0].shape
    specs = tuple(map(_spec_of, arrays))
    shapes = tuple(tuple(array.shape) for array in arrays)
    cut = sorted({name for name in _cut(layout, specs, shapes) if sizes[name] > 1})
    if not cut:
        return
    after = layout.shapes(shapes)
    whole = any(
        tuple(_even(spec, shape, meshes[0])) != tuple(spec)
        for spec, shape in zip(layout.spec(specs), after, strict=True)
    )
    over = ", ".join(map(repr, cut))
    yield (
        f"{', '.join(names)}: {layout} cuts an axis that is spread over {over}, "
        "so that parts move between devices"
        + (", and a result that the mesh does not divide lies whole on each of them" * whole)
    )


def _cut(layout: Any, specs: tuple[Any, ...], shapes: tuple[Any, ...]) -> set[str]:
    """The mesh axes whose array axis a layout cuts, joins or turns round."""
    if hasattr(layout, "steps"):
        found: set[str] = set()
        for step in layout.steps:
            found |= _cut(step, specs, shapes)
            specs, shapes = step.spec(specs), step.shapes(shapes)
        return found
    if hasattr(layout, "parts"):
        found, start = set(), 0
        for takes, part, _ in layout.parts:
            end = start + takes
            found |= _cut(part, specs[start:end], shapes[start:end])
            start = end
        return found
    return {
        name
        for spec, shape in zip(specs, shapes, strict=True)
        for place in _touched(layout, shape)
        for name in mesh_axes((*spec, *[None] * len(shape))[place])
    }


def _touched(layout: Any, shape: tuple[int, ...]) -> Sequence[int]:
    """The axes whose numbers a single layout brings into another order or array."""
    if hasattr(layout, "touched"):
        found: Sequence[int] = layout.touched
        return found
    axis = getattr(layout, "axis", None)
    return range(len(shape)) if axis is None else (axis % len(shape),)
