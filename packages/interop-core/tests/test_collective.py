"""Calls on every module of a model, in the published order."""

from __future__ import annotations

from typing import Any

import brainstate
import pytest

from interop_core import nn

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


def model(lib: Any) -> tuple[Any, list[Call], type]:
    """A tree of modules that note how they are called."""
    calls: list[Call] = []

    class Node(lib.Module):  # type: ignore[misc]
        def __init__(self, label: str, below: Any = None) -> None:
            super().__init__()
            self.label = label
            self.below = below

        def note(self, *args: Any, **kwargs: Any) -> None:
            calls.append((self.label, args, kwargs))

        init_state = note
        reset_state = note

    class Late(Node):
        @lib.call_order(1)  # type: ignore[untyped-decorator]
        def note(self, *args: Any, **kwargs: Any) -> None:
            calls.append((self.label, args, kwargs))

        init_state = note

    class Soon(Node):
        @lib.call_order(0)  # type: ignore[untyped-decorator]
        def note(self, *args: Any, **kwargs: Any) -> None:
            calls.append((self.label, args, kwargs))

        init_state = note

    top = Node("a", [Late("b"), Soon("c"), {"x": Node("d", Late("e"))}])
    return top, calls, Late


CALLS: list[Any] = [
    lambda lib, m, late: lib.call_all_fns(m, "note"),
    lambda lib, m, late: lib.call_all_fns(m, "note", (1,), {"z": 2}),
    lambda lib, m, late: lib.call_all_fns(m, "note", 3),
    lambda lib, m, late: lib.call_all_fns(m, "note", "ab"),
    lambda lib, m, late: lib.call_all_fns(m, "note", [1, 2]),
    lambda lib, m, late: lib.call_all_fns(m, "note", node_to_exclude=late),
    lambda lib, m, late: lib.call_all_fns(m, "absent", fn_if_not_exist="pass"),
    lambda lib, m, late: lib.call_all_fns(m, "absent", fn_if_not_exist="none"),
    lambda lib, m, late: lib.init_all_states(m, 4, key=1),
    lambda lib, m, late: lib.init_all_states(m, node_to_exclude=late),
    lambda lib, m, late: lib.reset_all_states(m, 4, key=1),
]


@pytest.mark.parametrize("index", range(len(CALLS)))
def test_calls_are_the_published_ones(index: int) -> None:
    mine, calls, late = model(nn)
    theirs, wanted, published_late = model(brainstate.nn)
    assert CALLS[index](nn, mine, late) is mine
    CALLS[index](brainstate.nn, theirs, published_late)
    assert calls == wanted


def test_missing_method() -> None:
    top, _, _ = model(nn)
    with pytest.raises(AttributeError, match=r"Late \(below.0\) has no method 'absent'"):
        nn.call_all_fns(top, "absent")
    with pytest.warns(UserWarning, match="has no method 'absent'"):
        nn.call_all_fns(top, "absent", fn_if_not_exist="warn")
    with pytest.raises(ValueError, match="fn_if_not_exist"):
        nn.call_all_fns(top, "note", fn_if_not_exist="explode")


def test_nothing_is_called_when_a_method_is_missing() -> None:
    top, calls, _ = model(nn)
    top.extra = nn.ReLU()
    with pytest.raises(AttributeError, match="ReLU"):
        nn.call_all_fns(top, "note")
    assert calls == []


@pytest.mark.parametrize("level", [-1, 10])
def test_levels_are_bounded(level: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 9"):
        nn.call_order(level)
    assert callable(nn.call_order(level, check_order_boundary=False))


def test_a_tied_module_is_called_once() -> None:
    calls = []

    class Node(nn.Module):
        def init_state(self, *args: Any) -> None:
            calls.append(args)

    shared = Node()
    nn.init_all_states(nn.Sequential(shared, abs, shared), 2)
    assert calls == [(2,)]
