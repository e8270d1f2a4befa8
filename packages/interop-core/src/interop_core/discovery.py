"""Finds the bridges that are installed; the only reader of `importlib.metadata`.

A bridge package announces itself by an entry point of the group ``interop_core.bridges``. Imports
`errors` and `bridge`.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib import metadata
from typing import Any

from .bridge import Bridge
from .errors import InteropError, MissingDependencyError, Problem, UnknownFrameworkError

GROUP = "interop_core.bridges"

HOUSE_BRIDGES = {"nnx": "interop_nnx", "linen": "interop_linen", "equinox": "interop_equinox"}
"""Bridges that belong to the project: they are named in errors when they are not installed, and
found without asking every installed package, which takes as long as a conversion."""

MIRRORS = {"brainstate": "interop_brainstate"}
"""Packages that move models to a library with the core's own interface: no rows, since the layers
are the same. Found by name, and not counted among the frameworks."""

UMBRELLA = "brainstate-interop"


@cache
def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def framework_names() -> list[str]:
    """Names of all frameworks that the project knows or a package announces."""
    return [*HOUSE_BRIDGES, *sorted(_entry_points().keys() - HOUSE_BRIDGES.keys())]


def bridge_module(framework: str) -> Any:
    """The package of the bridge to a framework, with its ``to_*`` and ``from_*`` functions.

    Args:
        framework: its name: ``"nnx"``, ``"linen"``, ``"equinox"`` or what a package announces;
            also ``"brainstate"``, the published package.

    Raises:
        UnknownFrameworkError: for a name that nobody announces.
        MissingDependencyError: where the bridge or its framework is not installed, or cannot be
            imported; the message says which versions are there.
    """
    name, _ = _place(framework)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise _missing(framework, name, error) from error


def find_bridge(framework: str) -> Bridge:
    """The bridge to a framework; see `bridge_module` for the errors."""
    if framework in MIRRORS:
        raise _unknown(framework)
    _, attribute = _place(framework)
    found: Bridge = getattr(bridge_module(framework), attribute)
    return found


def _place(framework: str) -> tuple[str, str]:
    """The module of a bridge and the name that the bridge has there."""
    known = HOUSE_BRIDGES.get(framework) or MIRRORS.get(framework)
    if known is not None:
        return known, "BRIDGE"
    point = _entry_points().get(framework)
    if point is None:
        raise _unknown(framework)
    return point.module, point.attr


def installed_bridges() -> dict[str, Bridge]:
    """All bridges that can be imported, by name."""
    found: dict[str, Bridge] = {}
    for name in framework_names():
        try:
            found[name] = find_bridge(name)
        except MissingDependencyError:
            continue
    return found


def _unknown(framework: str) -> UnknownFrameworkError:
    known = ", ".join(framework_names())
    reason = f"unknown framework {framework!r}"
    problem = Problem((), "", UnknownFrameworkError, reason, f"use one of {known}")
    return UnknownFrameworkError(problems=[problem])


def _missing(framework: str, module: str, error: ImportError) -> InteropError:
    missing = isinstance(error, ModuleNotFoundError)
    package = module.replace("_", "-")
    extra = f'pip install "{UMBRELLA}[{framework}]"'
    command = extra if framework in HOUSE_BRIDGES | MIRRORS else f"pip install {package}"
    if missing and error.name and error.name.split(".")[0] == module:
        return MissingDependencyError(package, command, f"the bridge to {framework} is missing")
    if missing and error.name and _version_of(error.name.split(".")[0]) is None:
        lacking = error.name.split(".")[0]
        reason = f"{lacking}, which the bridge to {framework} needs, is not installed"
        return MissingDependencyError(lacking, command, reason)
    held = ", ".join(
        f"{name} {version}"
        for name in ("jax", "jaxlib", "flax", "equinox", *MIRRORS, package)
        if (version := _version_of(name)) is not None
    )
    reason = f"{framework} is installed but cannot be imported ({error}); found {held}"
    return MissingDependencyError(package, command.replace("install", "install --upgrade"), reason)


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
