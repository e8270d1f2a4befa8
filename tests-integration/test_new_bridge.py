"""A bridge made by scripts/new-bridge: complete, under its own name, and with tests that pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "new-bridge"

# One worker makes the bridge for all these tests.
pytestmark = pytest.mark.xdist_group("new-bridge")


def run(*words: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run this Python, with one more folder on its path."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new bridge to a framework of two words."""
    place = tmp_path_factory.mktemp("bridges")
    result = run(SCRIPT, "bignet", "--label", "Big Net", "--into", place)
    assert result.returncode == 0, result.stderr
    return place / "interop-bignet"


def test_nothing_is_left_of_the_skeletons_name(bridge: Path) -> None:
    files = [file for file in bridge.rglob("*") if file.is_file()]
    assert not [file for file in files if re.search("toy", file.name)]
    texts = {file: file.read_text(encoding="utf-8") for file in files if file.name != "LICENSE"}
    assert not [file for file, text in texts.items() if re.search("toy", text, re.IGNORECASE)]
    assert "class BigNetBridge:" in texts[bridge / "src" / "interop_bignet" / "_framework.py"]
    assert 'bignet = "interop_bignet:BRIDGE"' in texts[bridge / "pyproject.toml"]


def test_it_is_a_complete_package(bridge: Path) -> None:
    expected = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "src", "tests"}
    assert {entry.name for entry in bridge.iterdir()} == expected
    assert (bridge / "src" / "interop_bignet" / "py.typed").is_file()
    assert (bridge / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_its_tests_pass(bridge: Path) -> None:
    result = run(
        *("-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", bridge),
        *("-p", "no:cacheprovider", "-q", bridge / "tests"),
        path=bridge / "src",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\d+ passed", result.stdout)


@pytest.mark.parametrize("name", ["Upper", "two-words", "", "1st", "../up"])
def test_a_name_that_no_package_can_have_is_refused(name: str, tmp_path: Path) -> None:
    result = run(SCRIPT, name, "--into", tmp_path)
    assert result.returncode == 2
    assert "lower-case" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_bridge_is_never_overwritten(bridge: Path) -> None:
    result = run(SCRIPT, "bignet", "--into", bridge.parent)
    assert result.returncode == 2
    assert "exists" in result.stderr
