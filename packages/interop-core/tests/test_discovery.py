"""How bridges are found, and what is said when one is not there or does not import."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from interop_core import discovery
from interop_core.discovery import find_bridge, framework_names, installed_bridges
from interop_core.errors import InteropError, MissingDependencyError, UnknownFrameworkError


@pytest.fixture
def announce(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Announces made-up bridge packages: name of the framework and source of its module."""
    monkeypatch.syspath_prepend(tmp_path)
    points: dict[str, metadata.EntryPoint] = {}

    def add(framework: str, source: str) -> None:
        module = f"announced_{framework}"
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        sys.modules.pop(module, None)
        points[framework] = metadata.EntryPoint(framework, f"{module}:IT", discovery.GROUP)

    monkeypatch.setattr(discovery, "_entry_points", lambda: points)
    monkeypatch.setattr(discovery, "HOUSE_BRIDGES", {})
    return add


def test_an_announced_bridge_is_found(announce: Any) -> None:
    announce("first", "IT = 'the bridge'")
    found: Any = find_bridge("first")
    assert found == "the bridge"
    assert framework_names() == ["first"]
    assert list(installed_bridges()) == ["first"]


def test_names_of_the_house_come_first(announce: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    announce("aardvark", "IT = 1")
    announce("zebra", "IT = 2")
    monkeypatch.setattr(discovery, "HOUSE_BRIDGES", {"nnx": "nowhere_to_be_found"})
    assert framework_names() == ["nnx", "aardvark", "zebra"]


def test_an_unknown_name_lists_the_known(announce: Any) -> None:
    announce("first", "IT = 1")
    announce("second", "IT = 2")
    with pytest.raises(UnknownFrameworkError, match="'third'") as caught:
        find_bridge("third")
    assert caught.value.advice == "use one of first, second"
    assert isinstance(caught.value, ValueError)


def test_a_bridge_of_the_house_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_entry_points", dict)
    monkeypatch.setattr(discovery, "HOUSE_BRIDGES", {"nnx": "nowhere_to_be_found"})
    with pytest.raises(MissingDependencyError) as caught:
        find_bridge("nnx")
    assert str(caught.value) == (
        'the bridge to nnx is missing; run: pip install "brainstate-interop[nnx]"'
    )
    assert installed_bridges() == {}


def test_a_framework_that_is_not_installed(announce: Any) -> None:
    announce("first", "import a_framework_that_is_not_there")
    with pytest.raises(MissingDependencyError) as caught:
        find_bridge("first")
    assert caught.value.package == "a_framework_that_is_not_there"
    assert "which the bridge to first needs, is not installed" in str(caught.value)
    assert caught.value.command == "pip install announced-first"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    "source",
    [
        "from jax import a_name_that_is_gone",
        "raise ImportError('jaxlib is older than jax')",
        "import jax.a_module_that_moved",
    ],
)
def test_a_framework_that_does_not_import_says_which_versions_are_there(
    announce: Any, source: str
) -> None:
    announce("first", source)
    with pytest.raises(MissingDependencyError) as caught:
        find_bridge("first")
    text = str(caught.value)
    assert "first is installed but cannot be imported" in text
    assert f"jax {metadata.version('jax')}" in text
    assert f"numpy {metadata.version('numpy')}" in text or "jaxlib" in text
    assert "--upgrade" in caught.value.command


def test_a_broken_bridge_does_not_hide_the_others(announce: Any) -> None:
    announce("broken", "import a_framework_that_is_not_there")
    announce("whole", "IT = 1")
    assert list(installed_bridges()) == ["whole"]


def test_another_error_of_a_bridge_is_its_own(announce: Any) -> None:
    announce("first", "raise ZeroDivisionError('a bug of the bridge')")
    with pytest.raises(ZeroDivisionError, match="a bug of the bridge"):
        find_bridge("first")


def test_installed_metadata_is_read_by_group() -> None:
    found = discovery._entry_points()
    assert all(point.group == discovery.GROUP for point in found.values())


def test_every_error_is_of_the_family() -> None:
    assert issubclass(MissingDependencyError, InteropError)
    assert issubclass(UnknownFrameworkError, InteropError)
