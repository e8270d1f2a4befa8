"""What works for every installed framework: `supported_layers` and `explain`.

Imports `discovery`, `convert` and `explain`; no framework until one is asked for.
"""

from __future__ import annotations

from typing import Any

from . import nn
from .bridge import Bridge
from .convert import plan_from, plan_to
from .core_side import not_a_model
from .discovery import find_bridge, installed_bridges
from .errors import NotAModelError
from .explain import Explanation
from .registry import convertible

CORE_NAME = "core"
"""What `explain` calls the core's own layers."""


def supported_layers(framework: str | None = None) -> dict[str, list[str]]:
    """The core layers that each framework's bridge converts.

    Args:
        framework: the one framework to ask for; all installed ones by default.

    Returns:
        Sorted class names of core layers by framework; registered mappings are included.

    Raises:
        UnknownFrameworkError: for a framework that no bridge is known for.
        MissingDependencyError: for one that is not installed.
    """
    if framework is not None:
        return {framework: convertible(find_bridge(framework))}
    return {name: convertible(bridge) for name, bridge in installed_bridges().items()}


def explain(model: Any, to: str, *, sample_input: Any = None) -> Explanation:
    """Show what a conversion would do, layer by layer, without doing it.

    Args:
        model: a core model, or one of an installed framework (for Linen the pair of module and
            variables).
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
    if isinstance(model, nn.Module):
        return Explanation(plan_to(find_bridge(to), model, sample_input=sample_input))
    if to != CORE_NAME:
        find_bridge(to)  # an unknown name is the first thing to hear of
    bridge, node = _bridge_of(model)
    return Explanation(plan_from(bridge, node, sample_input=sample_input))


def _bridge_of(model: Any) -> tuple[Bridge, Any]:
    """The bridge that a framework's model belongs to, and the model as a node of it."""
    for bridge in installed_bridges().values():
        try:
            node = bridge.adopt(model)
            bridge.check(node)
        except NotAModelError:
            continue
        return bridge, node
    raise not_a_model(model, f"{nn.__name__}, Flax or Equinox")
