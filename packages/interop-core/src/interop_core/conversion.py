"""A whole conversion with what may be asked of it: `convert_to` and `convert_from`.

Imports `convert` and `verify`; the functions of the bridges are these two with a name.
"""

from __future__ import annotations

from typing import Any

from .bridge import Bridge
from .convert import Execution, plan_from, plan_to
from .errors import raise_problems
from .plan import Plan
from .verify import verify_execution


def convert_to(
    bridge: Bridge,
    model: Any,
    *,
    sample_input: Any = None,
    channels: str = "native",
    copy: bool = False,
    verify: bool = False,
    apply_transforms: bool = False,
    trains: bool = True,
) -> Any:
    """Convert a core model into a node of the bridge's framework.

    Args:
        bridge: the framework.
        model: a core model.
        sample_input: one unbatched example, channels last, or its shape.
        channels: see `planner.make_plan`.
        copy: whether the result shares no buffer with the model.
        verify: whether both models are run and compared before the result is given.
        apply_transforms: whether an `nn.Param` with a transformation gives its value.
        trains: whether the result is to be trained as the model is, or computes the same in
            evaluation alone; what ``verify`` compares.

    Raises:
        InteropError: every problem of the model in one error, before any array is touched.
        VerificationError: where ``verify`` finds a difference.
    """
    plan = plan_to(
        bridge,
        model,
        sample_input=sample_input,
        channels=channels,
        apply_transforms=apply_transforms,
    )
    return _carried_out(plan, sample_input, copy=copy, verify=verify, trains=trains)


def convert_from(
    bridge: Bridge,
    node: Any,
    *,
    sample_input: Any = None,
    copy: bool = False,
    verify: bool = False,
    trains: bool = True,
) -> Any:
    """Convert a node of the bridge's framework into a core model; see `convert_to`."""
    plan = plan_from(bridge, node, sample_input=sample_input)
    return _carried_out(plan, sample_input, copy=copy, verify=verify, trains=trains)


def _carried_out(plan: Plan, sample_input: Any, *, copy: bool, verify: bool, trains: bool) -> Any:
    raise_problems(plan.problems)
    execution = Execution(plan, copy=copy)
    built = execution.build(plan.root)
    execution.report()
    if verify:
        verify_execution(execution, sample_input, trains=trains)
    return built
