"""Carries a plan out: every array through its layout, every layer built once, ties kept.

Imports `plan` and what it stands on; bridges call the two functions here.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

from .bridge import Bridge, Framework
from .calling import Running
from .core_side import CORE, TRANSFORMED
from .errors import (
    ConversionError,
    LostNamesWarning,
    MissingShapeError,
    Problem,
    Refusal,
    UnsupportedStructureError,
    format_path,
    raise_problems,
)
from .layout import IDENTITY, carry
from .plan import Node, Plan
from .planner import make_plan

UMBRELLA = "brainstate_interop"
"""The package whose functions call those of the bridges."""


def plan_to(
    bridge: Bridge,
    model: Any,
    *,
    sample_input: Any = None,
    channels: str = "native",
    apply_transforms: bool = False,
) -> Plan:
    """Plan the way of a core model into the bridge's framework; see `make_plan`."""
    CORE.check(model)
    if channels not in ("native", "last"):
        raise ValueError(f"channels is 'native' or 'last', not {channels!r}")
    if (check := getattr(bridge, "check_core", None)) is not None:
        check(model)
    example = example_shape(sample_input)
    source = TRANSFORMED if apply_transforms else CORE
    return make_plan(model, source, bridge, bridge, example=example, channels=channels)


def plan_from(bridge: Bridge, model: Any, *, sample_input: Any = None) -> Plan:
    """Plan the way of a framework's model (a node of the bridge) into the core."""
    bridge.check(model)
    return make_plan(model, bridge, CORE, bridge, example=example_shape(sample_input))


def example_shape(sample_input: Any) -> tuple[int, ...] | None:
    """The shape that ``sample_input`` stands for: its own, or that of the array.

    Raises:
        MissingShapeError: for what is neither.

    Example:
        >>> example_shape((8, 8, 3))
        (8, 8, 3)
    """
    if sample_input is None:
        return None
    shape = getattr(sample_input, "shape", sample_input)
    try:
        sizes = tuple(shape)
        if all(isinstance(size, int) and size > 0 for size in sizes):
            return sizes
    except TypeError:
        pass
    problem = Problem(
        (),
        "sample_input",
        MissingShapeError,
        f"{sample_input!r} is neither an array nor a tuple of positive integers",
        "pass one unbatched example, channels last, or its shape",
    )
    raise MissingShapeError(problems=[problem])


def execute(plan: Plan, *, copy: bool = False) -> Any:
    """Build the target model of a plan; warns of names of axes that the target has no place for.

    Args:
        plan: the plan.
        copy: whether every array of the result is one of its own.

    Returns:
        A node of the target side.

    Raises:
        InteropError: every problem of the plan in one error, before any array is touched.
    """
    raise_problems(plan.problems)
    execution = Execution(plan, copy=copy)
    built = execution.build(plan.root)
    execution.report()
    return built


class Execution:
    """One run of a plan; remembers what it built, so that a tied layer stays one.

    Args:
        plan: the plan, without problems.
        copy: whether every array of the result is one of its own.

    Attributes:
        lost: what the result has no place for, layer by layer.
    """

    def __init__(self, plan: Plan, *, copy: bool = False) -> None:
        self.plan = plan
        self.lost: list[str] = []
        self._built: dict[Hashable, Any] = {}
        self._finish = running(plan.target).duplicate if copy else None

    def build(self, node: Node) -> Any:
        """The target's layer or stack for one place of the plan; the same one when asked again."""
        built = self._built.get(id(node.first or node))
        if built is None:
            built = self._stack(node) if node.children is not None else self._layer(node)
            self._built[id(node.first or node)] = built
        return self.plan.bridge.lift(built, node.axes) if node.axes else built

    def report(self) -> None:
        """Warn of what was lost, where somebody else's code asked for the conversion."""
        if not self.lost:
            return
        own = {_package(__name__), _package(type(self.plan.bridge).__module__), UMBRELLA}
        frame, level = inspect.currentframe(), 1
        while frame is not None and _package(frame.f_globals.get("__name__", "")) in own:
            frame, level = frame.f_back, level + 1
        where = "; ".join(self.lost)
        said = f"{self.plan.target.label} has no place for the names of axes: {where}"
        warnings.warn(said, LostNamesWarning, stacklevel=level)

    def _stack(self, node: Node) -> Any:
        assert node.children is not None
        return self.plan.target.stack(
            [self.build(child) for child in node.children if not child.absorbed]
        )

    def _layer(self, node: Node) -> Any:
        built = moved(node, node.leaves)
        if node.recipe is not None and node.recipe.lost:
            self.lost.append(losses(node))
        return built if self._finish is None else self._finish(built)


def _package(module: str) -> str:
    return module.partition(".")[0]


def losses(node: Node) -> str:
    """What of one layer its counterpart has no place for; empty for nothing."""
    if node.recipe is None or not node.recipe.lost:
        return ""
    return f"{format_path(node.path)} ({node.title}): {', '.join(node.recipe.lost)}"


def moved(node: Node, leaves: Mapping[str, Any]) -> Any:
    """Build the target's layer of one place out of arrays of the source's layer, by name."""
    recipe = node.recipe
    assert recipe is not None
    arrays: list[Any] = []
    for move in recipe.moves:
        try:
            taken = [leaves[name] for name in move.source]
            arrays += taken if move.layout is IDENTITY else carry(move.layout, taken)
        except Refusal as refusal:
            problem = Problem(
                node.path, node.title, ConversionError, refusal.reason, refusal.advice
            )
            raise ConversionError(problems=[problem]) from None
    return recipe.build(arrays)


def running(framework: Framework) -> Running:
    """A framework that says how its layers are run.

    Raises:
        UnsupportedStructureError: for one whose bridge does not say it.
    """
    if all(hasattr(framework, name) for name in ("call", "parameters", "duplicate")):
        known: Any = framework
        found: Running = known
        return found
    problem = Problem(
        (),
        "",
        UnsupportedStructureError,
        f"the bridge to {framework.label} does not say how its layers are run",
        "convert without copy and verify",
    )
    raise UnsupportedStructureError(problems=[problem])
