"""Gives the tests the framework that is made up for them, and the checks of its rows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from interop_core.testing import checks


def _fake_framework() -> Any:
    name = "interop_fake_framework"
    if name not in sys.modules:
        place = Path(__file__).with_name("fake_framework.py")
        spec = importlib.util.spec_from_file_location(name, place)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def fake() -> Any:
    """The module of the framework and its bridge."""
    return _fake_framework()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for it each check of the fake framework's rows."""
    if "fake_check" in metafunc.fixturenames:
        metafunc.parametrize("fake_check", checks(_fake_framework().BRIDGE), ids=str)
