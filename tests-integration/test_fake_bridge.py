"""A stranger's bridge beside the project's own: announced by metadata, found, and used."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tests-integration" / "fake-bridge"

USE = """\
import sys
from brainstate_interop import explain, nn, register_layer_mapping, supported_layers, LayerMapping
from interop_core.discovery import find_bridge, framework_names

assert framework_names() == ["nnx", "linen", "equinox", "toy"], framework_names()
assert "interop_toy" not in sys.modules
assert "Linear" in supported_layers("toy")["toy"]
assert "toy" in supported_layers()
explanation = explain(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), to="toy")
assert explanation.convertible
assert [row.target for row in explanation.rows] == ["toy.Linear", "relu"], explanation

import interop_toy
from interop_toy.stand_in import Stack
assert find_bridge("toy") is interop_toy.BRIDGE
model = interop_toy.to_toy(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
assert isinstance(model, Stack)
assert explain(model, to="core").convertible

class Mine(nn.Linear):
    pass

mine = LayerMapping(Mine, "toy", Stack, lambda f, c: Mine(3, 4), lambda m, c: Stack([]))
register_layer_mapping(mine)
assert "Mine" in supported_layers("toy")["toy"]
assert "Mine" not in supported_layers("nnx")["nnx"]
print("found")
"""


@pytest.fixture
def announced(tmp_path: Path) -> Path:
    """A folder that says what an installation of the package would: its name and entry points."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n", encoding="utf-8"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_it_is_found_by_its_entry_point_and_converts(announced: Path) -> None:
    paths = [announced, PACKAGE / "src", *(ROOT / "packages").glob("*/src")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    result = subprocess.run(
        [sys.executable, "-c", USE], env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "found"


def test_without_its_metadata_nobody_knows_it() -> None:
    from interop_core.discovery import framework_names

    assert "toy" not in framework_names()
