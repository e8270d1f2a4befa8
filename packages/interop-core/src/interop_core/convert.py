"""Carries a plan out: every array through its layout, every layer built once, ties kept.

Imports `plan` and what it stands on; bridges call the two functions here.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from .bridge import Bridge
from .core_side import CORE
from .errors import (
    ConversionError,
    MissingShapeError,
    Problem,
    Refusal,
    raise_problems,
)
from .layout import IDENTITY, carry
from .plan import Node, Plan, make_plan


def plan_to(
    bridge: Bridge, model: Any, *, sample_input: Any = None, channels: str = "native"
) -> Plan:
    """Plan the way of a core model into the bridge's framework; see `make_plan`."""
    CORE.check(model)
    if channels not in ("native", "last"):
        raise ValueError(f"channels is 'native' or 'last', not {channels!r}")
    example = example_shape(sample_input)
    return make_plan(model, CORE, bridge, bridge, example=example, channels=channels)


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


def execute(plan: Plan) -> Any:
    """Build the target model of a plan.

    Returns:
        A node of the target side.

    Raises:
        InteropError: every problem of the plan in one error, before any array is touched.
    """
    raise_problems(plan.problems)
    return _Execution(plan).build(plan.root)


class _Execution:
    """One run of a plan; remembers what it built, so that a tied layer stays one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._built: dict[Hashable, Any] = {}

    def build(self, node: Node) -> Any:
        built = self._built.get(id(node.first or node))
        if built is None:
            built = self._stack(node) if node.children is not None else self._layer(node)
            self._built[id(node.first or node)] = built
        return self._plan.bridge.lift(built, node.axes) if node.axes else built

    def _stack(self, node: Node) -> Any:
        assert node.children is not None
        return self._plan.target.stack(
            [self.build(child) for child in node.children if not child.absorbed]
        )

    def _layer(self, node: Node) -> Any:
        recipe = node.recipe
        assert recipe is not None
        arrays: list[Any] = []
        for move in recipe.moves:
            try:
                taken = [node.leaves[name] for name in move.source]
                arrays += taken if move.layout is IDENTITY else carry(move.layout, taken)
            except Refusal as refusal:
                problem = Problem(
                    node.path, node.title, ConversionError, refusal.reason, refusal.advice
                )
                raise ConversionError(problems=[problem]) from None
        return recipe.build(arrays)
