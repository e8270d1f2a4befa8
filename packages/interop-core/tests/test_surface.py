"""The public names of the library beside the published ones: all there, with the same arguments."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import brainstate
import pytest

from interop_core import nn
from interop_core.nn import init
from interop_core.testing.catalogue import REGULARIZATIONS, ROWS, TRANSFORMS

TESTS = Path(__file__).parent

OURS_ALONE = {
    "Bidirectional": "a sequence from both ends, which the other frameworks have",
    "RNN": "a cell along the time axis, which the other frameworks have",
    "Einsum": "a product along the axes of a formula, which the other frameworks have",
    "ConvLSTMCell": "a recurrent cell over images, which Flax Linen has",
    "ConvLocal1d": "a kernel for each place, which Flax Linen has",
    "ConvLocal2d": "a kernel for each place, which Flax Linen has",
    "ConvLocal3d": "a kernel for each place, which Flax Linen has",
    "SpectralNorm": "a weight divided by its largest singular value, as the others have it",
    "WeightNorm": "length and direction of a weight apart, which the other frameworks have",
    "InstanceNorm": "a group norm of one channel each, which the other frameworks have",
    "LinearGeneral": "a product over several axes at once, which the other frameworks have",
    "MoveAxis": "an axis move inside a stack, which models of channels-first frameworks need",
    "MultiHeadAttention": "attention, which the other frameworks have",
    "RoPE": "positions for attention, which some of the other frameworks have",
    "ModuleMapper": "the name that the published documentation gives to Map",
}
"""Public names of layers here that the published package lacks, with what each is for."""

WITHOUT_ROW = {
    "Module": "test_module.py",
    "ElementWiseBlock": "test_module.py",
    "RNNCell": "test_recurrent.py",
    "Regularization": "test_regularizations.py",
    "Transform": "test_transforms.py",
    "Param": "test_param.py",
    "Const": "test_param.py",
    "Dynamics": "test_dynamics.py",
    "Prefetch": "test_dynamics.py",
    "PrefetchDelay": "test_dynamics.py",
    "PrefetchDelayAt": "test_dynamics.py",
    "OutputDelayAt": "test_dynamics.py",
    "DelayAccess": "test_delay_use.py",
    "StateWithDelay": "test_delay_use.py",
    "InterpolationRegistry": "test_delay.py",
    "HiData": "test_hidata.py",
    "Metric": "test_metrics_combined.py",
    "MetricState": "test_metrics.py",
    "AverageMetric": "test_metrics.py",
    "WelfordMetric": "test_metrics.py",
    "AccuracyMetric": "test_metrics.py",
    "MultiMetric": "test_metrics.py",
    "PrecisionMetric": "test_metrics.py",
    "RecallMetric": "test_metrics.py",
    "F1ScoreMetric": "test_metrics.py",
    "ConfusionMatrix": "test_metrics.py",
}
"""Classes that are no layer called on an array, with the tests that are theirs."""

OTHER_ARGUMENTS: dict[str, str] = {
    "Sequential": "a stack may be empty here, as one of the other frameworks may be",
}
"""Names whose arguments differ from the published ones on purpose, with the reason."""


def public(module: ModuleType) -> list[str]:
    """The names of a module that are no modules themselves."""
    return sorted(
        name
        for name in dir(module)
        if not name.startswith("_") and not inspect.ismodule(getattr(module, name))
    )


PUBLISHED = public(brainstate.nn)
CLASSES = [name for name in nn.__all__ if inspect.isclass(getattr(nn, name))]
FUNCTIONS = [name for name in nn.__all__ if inspect.isfunction(getattr(nn, name))]


def test_every_published_name_is_there() -> None:
    assert set(PUBLISHED) <= set(nn.__all__)
    assert set(nn.__all__) - set(PUBLISHED) - {"init"} == set(OURS_ALONE)


def test_every_published_initializer_is_there() -> None:
    theirs = {
        name
        for name in public(brainstate.nn.init)
        if getattr(getattr(brainstate.nn.init, name), "__module__", "").startswith("brainstate.nn")
    }
    assert theirs
    assert theirs <= set(init.__all__)


def test_names_are_listed_once() -> None:
    assert [name for name, count in Counter(nn.__all__).items() if count > 1] == []


def arguments(thing: Any) -> list[inspect.Parameter]:
    """The parameters of a class's constructor or of a function."""
    if not inspect.isclass(thing):
        return list(inspect.signature(thing).parameters.values())
    # Not of the class itself: that of a published one says `*args, **kwargs`.
    return list(inspect.signature(thing.__init__).parameters.values())[1:]


def plain(value: Any) -> Any:
    """A default in a form that can be compared across the libraries."""
    if value is inspect.Parameter.empty or isinstance(value, str | bool | int | float | tuple):
        return value
    return value.__name__ if isinstance(value, type) else type(value).__name__


@pytest.mark.parametrize("name", sorted({*CLASSES, *FUNCTIONS} & {*PUBLISHED} - {*OTHER_ARGUMENTS}))
def test_takes_the_published_arguments(name: str) -> None:
    ours, theirs = (arguments(getattr(module, name)) for module in (nn, brainstate.nn))
    known = {p.name: p for p in ours}
    loose = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for theirs_one in theirs:
        if theirs_one.kind in loose:
            continue
        one = known[theirs_one.name]
        assert plain(one.default) == plain(theirs_one.default), theirs_one.name
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    order = [p.name for p in theirs if p.kind is positional]
    assert [p.name for p in ours if p.kind is positional] == order
    required = inspect.Parameter.empty
    more = known.keys() - {p.name for p in theirs}
    assert all(known[p].default is not required or known[p].kind in loose for p in more)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_in_a_table_or_has_tests_of_its_own(name: str) -> None:
    parts: tuple[Any, ...] = (*TRANSFORMS, *REGULARIZATIONS)
    tables = {type(row.make(nn)).__name__ for row in parts}
    rows = {row.name for row in ROWS}
    aliases = {other for other in CLASSES if getattr(nn, other) is getattr(nn, name)}
    if (tables | rows) & aliases:
        # A reason that has run out is one to be taken off the list.
        assert name not in WITHOUT_ROW
        return
    assert name in WITHOUT_ROW
    text = (TESTS / WITHOUT_ROW[name]).read_text(encoding="utf-8")
    assert re.search(rf"\b{name}\b", text)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_tested_by_name(name: str) -> None:
    texts = (path.read_text(encoding="utf-8") for path in TESTS.glob("test_*.py"))
    assert any(f"nn.{name}" in text or f'"{name}"' in text for text in texts)


def test_rows_have_names_of_their_own() -> None:
    names = Counter(str(row) for row in ROWS)
    assert [name for name, count in names.items() if count > 1] == []
    plain_rows = {row.name for row in ROWS if not row.case}
    assert {row.name for row in ROWS} == plain_rows, "each layer has a plain row"
