"""The core copied into another package: it stands there alone and passes its own tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# One worker copies the core for both tests.
pytestmark = pytest.mark.xdist_group("vendoring")

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "packages" / "interop-core"
NAME = "somebodys_framework.vendored.kernel"
# The group of entry points keeps its name: a bridge announces itself to every copy.
OWN_NAME = re.compile(r"\binterop_core\b(?!\.bridges)")

PUBLISHED = re.compile(r"^import brainstate", re.MULTILINE)
MOST = 1000
"""Fewer examples and tests than this, and something has not been collected."""

# What the copy must do without; looking for it there is an ordinary ImportError.
BLOCK = '''\
"""Makes the original core, and every package built on it, impossible to import."""

import sys


class Block:
    """A finder that finds nothing and lets nobody else look."""

    bridges = (
        "interop_nnx",
        "interop_linen",
        "interop_equinox",
        "interop_brainstate",
        "brainstate_interop",
    )

    def find_spec(self, name, path=None, target=None):
        """Refuse the blocked names."""
        if name.partition(".")[0] in ("interop_core", *self.bridges):
            raise ModuleNotFoundError(f"{name} is blocked here", name=name)


sys.meta_path.insert(0, Block())
'''

# jax and numpy first: whatever else is loaded afterwards, the copy has asked for.
IMPORT_ALL = """\
import block
import pkgutil, sys
import jax, jax.numpy, numpy
import jax.scipy.special, jax.experimental
before = {name.partition(".")[0] for name in sys.modules}
import importlib
package = importlib.import_module(NAME)
for module in pkgutil.walk_packages(package.__path__, NAME + "."):
    importlib.import_module(module.name)
after = {name.partition(".")[0] for name in sys.modules}
own = {NAME.partition(".")[0]}
print(*sorted(after - before - own - set(sys.stdlib_module_names)))
"""


def pytest_settings(source: Path) -> str:
    """The pytest settings of the project for the copy, so that warnings are errors there too."""
    settings = tomllib.loads(source.read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    lines = ["[pytest]"]
    for key in ("addopts", "xfail_strict", "doctest_optionflags", "markers", "filterwarnings"):
        value = settings[key]
        words = value if isinstance(value, list) else [str(value).lower()]
        lines += [f"{key} =", *(f"    {word}" for word in words)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the renamed core, its tests and nothing else of ours."""
    place = tmp_path_factory.mktemp("vendoring")
    target = place.joinpath(*NAME.split("."))
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CORE / "src" / "interop_core", target, ignore=no_caches)
    for parent in (target.parent, target.parent.parent):
        (parent / "__init__.py").touch()
    shutil.copytree(CORE / "tests", place / "tests", ignore=no_caches)
    shutil.copy(ROOT / "conftest.py", place)
    for file in (place / "conftest.py", *(place / "tests").rglob("*.py")):
        file.write_text(OWN_NAME.sub(NAME, file.read_text(encoding="utf-8")), encoding="utf-8")
    (place / "block.py").write_text(BLOCK, encoding="utf-8")
    (place / "pytest.ini").write_text(pytest_settings(ROOT / "pyproject.toml"), encoding="utf-8")
    return place


def text(file: Path) -> str:
    """What a file says."""
    return file.read_text(encoding="utf-8")


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run this Python in the copy's folder, with that folder alone added to the path."""
    # The settings of an outer pytest (its workers, its options) are not the copy's.
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    env["PYTHONPATH"] = str(place)
    return subprocess.run(
        [sys.executable, *words], cwd=place, env=env, capture_output=True, text=True, check=False
    )


def test_the_copy_imports_nothing_but_jax_and_numpy(copy: Path) -> None:
    result = run(copy, "-c", IMPORT_ALL.replace("NAME", repr(NAME)))
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@pytest.mark.slow
def test_the_copy_passes_the_cores_own_tests(copy: Path) -> None:
    # Tests beside the published package say whether numbers are right, which a name cannot change;
    # every layer runs in the copy by its example.
    beside = [f for f in sorted((copy / "tests").glob("test_*.py")) if PUBLISHED.search(text(f))]
    left_out = [word for file in beside for word in ("--ignore", str(file.relative_to(copy)))]
    own = ["-m", "pytest", "-p", "block", "-p", "no:cacheprovider", "-q", "-x"]
    result = run(copy, *own, "--doctest-modules", NAME.split(".")[0], "tests", *left_out)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) > MOST, result.stdout[-2000:]
