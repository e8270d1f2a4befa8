"""What works for every installed framework: `supported_layers` and `explain`.

Imports `discovery`, `convert` and `explain`; no framework until one is asked for.
"""

from __future__ import annotations

import sys
from typing import Any

from . import nn
from .bridge import Bridge
from .convert import plan_from, plan_to
from .core_side import not_a_model
from .discovery import MIRRORS, bridge_module, find_bridge, installed_bridges
from .errors import InteropError, NotAModelError, Problem, UnknownFrameworkError
from .explain import Explanation
from .registry import convertible

CORE_NAME = "core"
"""What `explain` calls the core's own layers."""


def supported_layers(framework: str | None = None) -> dict[str, list[str]]:
    """The core layers that each framework's bridge converts.

    Args:
        framework: the one framework to ask for, or ``"brainstate"`` for the layers that move to and
            from the published package; all installed frameworks by default.

    Returns:
        Sorted class names of core layers by framework; registered mappings are included.

    Raises:
        UnknownFrameworkError: for a framework that no bridge is known for.
        MissingDependencyError: for one that is not installed.
    """
    if framework in MIRRORS:
        return {framework: bridge_module(framework).supported_layers()}
    if framework is not None:
        return {framework: convertible(find_bridge(framework))}
    return {name: convertible(bridge) for name, bridge in installed_bridges().items()}


def explain(model: Any, to: str, *, sample_input: Any = None) -> Explanation:
    """Show what a conversion would do, layer by layer, without doing it.

    Args:
        model: a core model, or one of an installed framework (for Linen the pair of module and
            variables), or one of the published package, which is read as the core model that
            `core_model` makes of it.
        to: the framework to convert a core model to, or ``"core"`` for a framework's model.
        sample_input: one unbatched example in the core's convention, or its shape.

    Returns:
        The plan as a table, with every problem; it prints in a terminal (in colour with
        ``rich.print``) and shows as a table in a notebook.

    Raises:
        UnknownFrameworkError: for a framework that no bridge is known for.
        MissingDependencyError: for one that is not installed.
        NotAModelError: for what is no model at all.
    """
    model = core_model(model)
    if isinstance(model, nn.Module):
        return Explanation(plan_to(find_bridge(to), model, sample_input=sample_input))
    if to != CORE_NAME:
        find_bridge(to)  # an unknown name is the first thing to hear of
    bridge, node = bridge_of(model)
    return Explanation(plan_from(bridge, node, sample_input=sample_input))


def core_model(model: Any) -> Any:
    """The core model for one of the published package; anything else as it is.

    Args:
        model: any object. The published package is not imported to look at it.

    Returns:
        A core model with the same arrays where the model is one of `brainstate.nn`.

    Raises:
        MissingDependencyError: where the bridge to the published package is not installed.
        InteropError: every problem of a published model that does not convert.
    """
    if isinstance(model, nn.Module):
        return model
    for name in MIRRORS:
        published = getattr(sys.modules.get(name), "nn", None)
        if published is not None and isinstance(model, published.Module):
            return getattr(bridge_module(name), f"from_{name}")(model)
    return model


def into_library(model: Any, library: str) -> Any:
    """A core model as it is, or as one of the published package.

    Args:
        model: a core model.
        library: ``"core"`` or ``"brainstate"``.

    Raises:
        UnknownFrameworkError: for another name.
        MissingDependencyError: where the bridge to the published package is not installed.
    """
    if library == CORE_NAME:
        return model
    if library not in MIRRORS:
        known = ", ".join([repr(CORE_NAME), *map(repr, MIRRORS)])
        problem = Problem(
            (), "", UnknownFrameworkError, f"cannot convert into {library!r}", f"use one of {known}"
        )
        raise UnknownFrameworkError(problems=[problem])
    return getattr(bridge_module(library), f"to_{library}")(model)


def bridge_of(model: Any) -> tuple[Bridge, Any]:
    """The bridge that a framework's model belongs to, and the model as a node of it.

    Raises:
        NotAModelError: for what is a model of no installed framework.
    """
    misfit: InteropError | None = None
    for bridge in installed_bridges().values():
        try:
            node = bridge.adopt(model)
            bridge.check(node)
        except NotAModelError:
            continue
        except InteropError as error:  # a pair of which another framework's may be made
            misfit = misfit or error
            continue
        return bridge, node
    raise misfit or not_a_model(model, f"{nn.__name__}, Flax or Equinox")
