"""The wheels: what is in them, and what each does alone in a clean environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from _environment import bring_uv

# One worker builds the wheels for all these tests.
pytestmark = [pytest.mark.wheels, pytest.mark.slow, pytest.mark.xdist_group("wheels")]

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = [
    "interop-core",
    "interop-nnx",
    "interop-linen",
    "interop-equinox",
    "interop-brainstate",
    "brainstate-interop",
]
BRIDGES = ["nnx", "linen", "equinox"]
FRAMEWORKS = {"nnx": "flax", "linen": "flax", "equinox": "equinox", "brainstate": "brainstate"}

# What is installed beside a bridge; the other frameworks must not be.
ABSENT = {
    "nnx": ["equinox", "interop_linen", "interop_equinox", "brainstate_interop", "brainstate"],
    "linen": ["equinox", "interop_nnx", "interop_equinox", "brainstate_interop", "brainstate"],
    "equinox": ["flax", "interop_nnx", "interop_linen", "brainstate_interop", "brainstate"],
    "brainstate": ["interop_nnx", "interop_linen", "interop_equinox", "brainstate_interop"],
}

MODEL = """\
import importlib.util
import numpy as np
import jax
from interop_core import environ, nn, random

random.seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2))
x = np.linspace(-1.0, 1.0, 12, dtype="float32").reshape(3, 4)
with environ.context(fit=False):
    expected = model(x)

def same(result):
    # Four small layers in float32: a few roundings apart at most.
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)

def absent(*names):
    found = [name for name in names if importlib.util.find_spec(name)]
    assert not found, found
"""

ALONE = {
    "nnx": """\
from flax import nnx
from interop_nnx import from_nnx, to_nnx

converted = to_nnx(model, rngs=nnx.Rngs(0))
same(converted(x))
back = from_nnx(converted)
""",
    "linen": """\
from interop_linen import from_linen, to_linen

module, params = to_linen(model)
same(module.apply(params, x))
back = from_linen(module, params)
""",
    "equinox": """\
from interop_equinox import from_equinox, to_equinox

converted = to_equinox(model, key=jax.random.key(0))
same(jax.vmap(converted)(x))
back = from_equinox(converted)
""",
    "brainstate": """\
import brainstate
from interop_brainstate import from_brainstate, to_brainstate

converted = to_brainstate(model)
with brainstate.environ.context(fit=False):
    same(converted(x))
back = from_brainstate(converted)
""",
}

BACK = """\
with environ.context(fit=False):
    same(back(x))
"""

UMBRELLA = """\
import sys
import brainstate_interop
from brainstate_interop import MissingDependencyError, nn, to_equinox, to_linen, to_nnx

loaded = {"flax", "equinox", "interop_nnx", "interop_linen", "interop_equinox"} & set(sys.modules)
assert not loaded, loaded
absent("flax", "equinox", "interop_nnx", "interop_linen", "interop_equinox")
for short, convert in dict(nnx=to_nnx, linen=to_linen, equinox=to_equinox).items():
    try:
        convert(model)
    except MissingDependencyError as error:
        assert error.command.startswith("pip install "), error.command
        assert short in error.command, error.command
        assert error.command in str(error), error
    else:
        raise AssertionError(f"to_{short} found a framework that is not installed")
"""


ANNOUNCED = """\
from interop_core.api import explain, supported_layers
from interop_core.discovery import find_bridge, framework_names

assert "announced" in framework_names()
bridge = find_bridge("announced")
assert bridge.label == "Announced"
assert "Linear" in supported_layers("announced")["announced"]
stack = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
assert "announced.Linear" in str(explain(stack, to="announced")), explain(stack, to="announced")

from interop_announced import from_announced, to_announced

converted = to_announced(stack)
np.testing.assert_allclose(converted(x), stack(x), rtol=1e-5, atol=1e-6)
np.testing.assert_array_equal(from_announced(converted)(x), stack(x))
"""


def uv(words: Sequence[str | Path], **extra: str) -> str:
    """What a uv command prints; its errors become the test's message."""
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    env |= {"UV_PYTHON_DOWNLOADS": "never", **extra}
    result = subprocess.run(
        [str(bring_uv()), *map(str, words)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All wheels, built once with the build backend of this environment."""
    place = tmp_path_factory.mktemp("wheels")
    return {name: build(ROOT / "packages" / name, place / name) for name in PACKAGES}


def build(package: Path, out: Path) -> Path:
    """The wheel of a package, built without fetching anything."""
    words = ["build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    uv([*words, "--out-dir", out, package])
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def pins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The versions of this environment: a clean one gets the same, which uv has in its cache."""
    file = tmp_path_factory.mktemp("pins") / "pins.txt"
    frozen = uv(["pip", "freeze", "--python", sys.executable, "--exclude-editable"])
    file.write_text(frozen, encoding="utf-8")
    return file


def install(place: Path, pins: Path, requirements: Sequence[str | Path]) -> Path:
    """A clean environment with these requirements, and its Python."""
    uv(["venv", "--quiet", "--python", sys.executable, place])
    python = place / "bin" / "python"
    uv(["pip", "install", "--quiet", "--python", python, "--constraints", pins, *requirements])
    return python


def check(python: Path, program: str) -> None:
    """Run a program in isolation: no PYTHONPATH, no folder of ours; a warning is no error here."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    env["JAX_PLATFORMS"] = "cpu"
    result = subprocess.run(
        [python, "-I", "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def metadata(wheel: Path) -> Message:
    """The METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode("utf-8"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_holds_the_package_and_nothing_else(wheels: dict[str, Path], package: str) -> None:
    module = package.replace("-", "_")
    source = ROOT / "packages" / package / "src" / module
    with zipfile.ZipFile(wheels[package]) as archive:
        names = set(archive.namelist())
    info = {name for name in names if ".dist-info/" in name}
    expected = {
        file.relative_to(source.parent).as_posix()
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert names - info == expected
    assert f"{module}/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in info)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_says_what_it_needs(wheels: dict[str, Path], package: str) -> None:
    data = metadata(wheels[package])
    assert data["Requires-Python"] == ">=3.11"
    assert data["License-Expression"] == "Apache-2.0"
    # The text of the README, which the registry shows.
    assert package in data.get_payload()
    always = {
        re.split(r"[^\w-]", requirement, maxsplit=1)[0]
        for requirement in data.get_all("Requires-Dist", [])
        if "extra ==" not in requirement
    }
    if package == "interop-core":
        assert always == {"jax", "numpy"}
    elif package == "brainstate-interop":
        assert always == {"interop-core"}
        extras = set(data.get_all("Provides-Extra", []))
        assert extras == {"nnx", "linen", "equinox", "brainstate", "all", "rich", "units"}
    else:
        framework = FRAMEWORKS[package.removeprefix("interop-")]
        assert always == {"interop-core", framework, "jax", "numpy"}


@pytest.mark.parametrize("short", [*BRIDGES, "brainstate"])
def test_a_bridge_works_alone(
    wheels: dict[str, Path], pins: Path, tmp_path: Path, short: str
) -> None:
    own = [wheels["interop-core"], wheels[f"interop-{short}"]]
    python = install(tmp_path / "venv", pins, own)
    absences = f"absent(*{ABSENT[short]})\n"
    check(python, MODEL + absences + ALONE[short] + BACK)


def test_the_umbrella_without_a_framework_says_what_to_install(
    wheels: dict[str, Path], pins: Path, tmp_path: Path
) -> None:
    own = [wheels["interop-core"], wheels["brainstate-interop"]]
    python = install(tmp_path / "venv", pins, own)
    check(python, MODEL + UMBRELLA)


def test_the_umbrella_with_everything_converts_everywhere(
    wheels: dict[str, Path], pins: Path, tmp_path: Path
) -> None:
    umbrella = f"brainstate-interop[all] @ {wheels['brainstate-interop'].as_uri()}"
    own = [wheels[name] for name in PACKAGES if name != "brainstate-interop"]
    python = install(tmp_path / "venv", pins, [umbrella, *own])
    for short in BRIDGES:
        program = ALONE[short].replace(
            f"from interop_{short} import", "from brainstate_interop import"
        )
        check(python, MODEL + program + BACK)


def test_a_strangers_bridge_is_found_through_its_entry_point(
    wheels: dict[str, Path], pins: Path, tmp_path: Path
) -> None:
    script = ROOT / "scripts" / "new-bridge"
    subprocess.run([sys.executable, script, "announced", "--into", tmp_path], check=True)
    wheel = build(tmp_path / "interop-announced", tmp_path / "wheel")
    python = install(tmp_path / "venv", pins, [wheels["interop-core"], wheel])
    check(python, MODEL + ANNOUNCED)
