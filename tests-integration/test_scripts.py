"""The scripts tell what is wrong in a sentence, and find what they need on a strange machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import _environment

ROOT = Path(__file__).resolve().parent.parent


def script(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the project."""
    command = [sys.executable, str(ROOT / "scripts" / words[0]), *words[1:]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_machines_own_python_is_taken_where_it_is_new_enough() -> None:
    found = _environment.version_of(_environment.find_python())
    assert found == sys.version_info[:2]


def test_pythons_are_distinct_and_newest_first() -> None:
    versions = [_environment.version_of(python) for python in _environment.pythons()]
    assert versions == sorted(set(versions), reverse=True)  # type: ignore[type-var]
    assert versions[-1] is not None
    assert versions[-1] >= _environment.OLDEST_PYTHON


def test_a_python_may_be_given_by_its_path() -> None:
    assert _environment.find_python(sys.executable) == Path(sys.executable)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("3.99", "No Python 3.99"),
        ("latest", "a version such as 3.13"),
        ("./no-python-here", "no Python that starts"),
    ],
)
def test_a_python_that_is_not_there_is_named(
    wanted: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _environment.find_python(wanted)
    assert message in capsys.readouterr().err


def test_a_program_that_is_no_python_has_no_version(tmp_path: Path) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    assert _environment.version_of(shim) is None
    assert _environment.uv_version(tmp_path / "uv") == ()


def test_changed_versions_are_listed() -> None:
    old = '[[package]]\nname = "jax"\nversion = "1"\n\n[[package]]\nname = "b"\nversion = "2"\n'
    new = old.replace('"1"', '"3"')
    assert _environment.changed_versions(old, new).split("\n") == ["  - jax 1", "  + jax 3"]
    assert "markers" in _environment.changed_versions(old, old)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("test", "--only", "nothing"), "lint, types, docs, demo, doctests, tests"),
        (("lint", "nothing"), "format, rules, types"),
        (("release", "nothing"), "brainstate-interop, interop-brainstate, interop-core"),
        (("release",), "PACKAGE"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_ones(
    words: tuple[str, ...], message: str
) -> None:
    result = script(*words)
    assert result.returncode == 2
    assert message in result.stderr
