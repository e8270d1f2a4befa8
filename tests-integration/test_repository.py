"""The repository as committed: a lock without addresses, no machine's name, whole packages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted((ROOT / "packages").iterdir())
NAMES = [package.name for package in PACKAGES]
ADDRESS = ":" + "//"


def git(*words: str) -> str:
    """What a git command prints; the checks of what is committed need a checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing is committed")
    return subprocess.run(
        ["git", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@cache
def tracked() -> tuple[Path, ...]:
    """Every tracked file that is there (a file may be deleted and not committed yet)."""
    files = (ROOT / name for name in git("ls-files", "-z").split("\0") if name)
    return tuple(file for file in files if file.is_file())


def text_of(file: Path) -> str:
    """The text of a tracked file as git keeps it; empty for a picture or another binary file."""
    if file == ROOT / "uv.lock":
        return git("show", ":uv.lock")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def portable(lock: str) -> subprocess.CompletedProcess[str]:
    """Run the clean filter on a lock."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "portable-lock")],
        input=lock,
        capture_output=True,
        text=True,
        check=False,
    )


# --- the lock -----------------------------------------------------------------------------------

FULL = f"""\
version = 1
requires-python = ">=3.11"

[manifest]
members = ["member"]

[[package]]
name = "jax"
version = "0.10.2"
source = {{ registry = "https{ADDRESS}registry.example/simple" }}
resolution-markers = [
    "python_full_version < '3.12'",
]
dependencies = [
    {{ name = "numpy", version = "2.4", source = {{ registry = "https{ADDRESS}r.example" }} }},
]
sdist = {{ url = "https{ADDRESS}files.example/jax.tar.gz", hash = "sha256:00" }}
wheels = [
    {{ url = "https{ADDRESS}files.example/jax.whl", hash = "sha256:00" }},
]

[[package]]
name = "member"
source = {{ editable = "packages/member" }}
dependencies = [
    {{ name = "jax" }},
]

[package.optional-dependencies]
extra = [
    {{ name = "jax" }},
]

[package.metadata]
requires-dist = [{{ name = "jax", specifier = ">=0.8" }}]

[package.metadata.requires-dev]
test = [{{ name = "pytest" }}]

[[package]]
name = "numpy"
version = "2.4"
source = {{ registry = "https{ADDRESS}registry.example/simple" }}
wheels = [{{ url = "https{ADDRESS}files.example/numpy.whl" }}]
"""

PORTABLE = """\
version = 1
requires-python = ">=3.11"

[manifest]
members = ["member"]

[[package]]
name = "jax"
version = "0.10.2"
source = { registry = "pypi" }
resolution-markers = [
    "python_full_version < '3.12'",
]
dependencies = [
    { name = "numpy", version = "2.4", source = { registry = "pypi" } },
]

[[package]]
name = "member"
source = { editable = "packages/member" }
dependencies = [
    { name = "jax" },
]

[package.optional-dependencies]
extra = [
    { name = "jax" },
]

[[package]]
name = "numpy"
version = "2.4"
source = { registry = "pypi" }
"""


def test_the_filter_keeps_versions_and_markers_only() -> None:
    assert portable(FULL).stdout == PORTABLE


def test_the_filter_leaves_a_portable_lock_as_it_is() -> None:
    assert portable(PORTABLE).stdout == PORTABLE
    assert portable("").stdout == ""


def test_the_filter_refuses_a_source_that_keeps_its_address() -> None:
    lock = f'[[package]]\nname = "x"\nsource = {{ git = "https{ADDRESS}git.example/x" }}\n'
    result = portable(lock)
    assert result.returncode == 1
    assert not result.stdout
    assert "address" in result.stderr


@pytest.mark.parametrize("where", ["HEAD:uv.lock", ":uv.lock"], ids=["committed", "staged"])
def test_the_lock_holds_no_address(where: str) -> None:
    lock = git("show", where)
    assert ADDRESS not in lock, "run scripts/bootstrap (it sets git's filter up), then add uv.lock"
    assert portable(lock).stdout == lock


@pytest.mark.parametrize("name", ["jax", "flax", "brainstate"])
def test_the_lock_serves_both_ends_of_the_python_range(name: str) -> None:
    packages = tomllib.loads(git("show", ":uv.lock"))["package"]
    pins = [package for package in packages if package["name"] == name]
    assert len(pins) == 2, "one version for Python 3.11 and one for newer ones"
    assert all("resolution-markers" in pin for pin in pins)


# --- what no file may say -----------------------------------------------------------------------


def hosts() -> list[str]:
    """The hosts of package registries, put together here so that this file names none."""
    names = [("pypi", "org"), ("files", "pythonhosted", "org"), ("pythonhosted", "org")]
    names += [("registry", "npmjs", "org"), ("deb", "debian", "org"), ("conda", "anaconda", "org")]
    return [".".join(name) for name in names]


def test_no_tracked_file_names_a_registry_host() -> None:
    named = {
        str(file.relative_to(ROOT)): host
        for file in tracked()
        for host in hosts()
        if host in text_of(file)
    }
    assert not named


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    places = ["root", "work", "home/[a-z]+", "Users/[A-Za-z]+"]
    pattern = re.compile(r"(?<![\w.*/-])/(" + "|".join(places) + ")/")
    named = {
        str(file.relative_to(ROOT)): found.group()
        for file in tracked()
        if (found := pattern.search(text_of(file)))
    }
    assert not named


# --- packages -----------------------------------------------------------------------------------


def module_of(package: Path) -> Path:
    """The one import package that a distribution holds."""
    (module,) = (folder for folder in (package / "src").iterdir() if folder.is_dir())
    return module


def project_of(package: Path) -> dict[str, object]:
    """The project table of a package."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(project, dict)
    return project


def version_of(package: Path) -> str:
    """The version that a package's `__init__` states."""
    tree = ast.parse((module_of(package) / "__init__.py").read_text(encoding="utf-8"))
    for statement in tree.body:
        match statement:
            case ast.Assign(
                targets=[ast.Name(id="__version__")], value=ast.Constant(value=str(version))
            ):
                return version
    pytest.fail(f"{package.name} states no __version__")


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_a_package_is_complete(package: Path) -> None:
    assert module_of(package).name == package.name.replace("-", "_")
    assert (module_of(package) / "py.typed").is_file()
    assert (package / "README.md").read_text(encoding="utf-8").startswith(f"# {package.name}\n")
    licence = (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in licence
    assert (package / "LICENSE").read_bytes() == licence
    assert project_of(package)["license"] == "Apache-2.0"


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_the_changelog_knows_the_version(package: Path) -> None:
    changelog = (package / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {version_of(package)} " in changelog


@pytest.mark.parametrize("package", PACKAGES, ids=NAMES)
def test_no_package_pins_another_to_one_version(package: Path) -> None:
    project = project_of(package)
    dependencies = project.get("dependencies", [])
    extras = project.get("optional-dependencies", {})
    assert isinstance(dependencies, list)
    assert isinstance(extras, dict)
    for requirement in [*dependencies, *(item for extra in extras.values() for item in extra)]:
        assert "==" not in requirement
        if requirement.startswith("interop-"):
            assert re.search(r">=\d+\.\d+,<\d+\.\d+", requirement), "a compatible range"


def test_a_bridge_is_found_through_its_entry_point() -> None:
    for package in PACKAGES:
        points = project_of(package).get("entry-points", {})
        assert isinstance(points, dict)
        group = points.get("interop_core.bridges", {})
        # interop-brainstate has no rows: its library has the core's own layers.
        if package.name in ("interop-core", "brainstate-interop", "interop-brainstate"):
            assert not group
        else:
            short = package.name.removeprefix("interop-")
            assert group == {short: f"interop_{short}:BRIDGE"}


# --- scripts and continuous integration ---------------------------------------------------------


def test_every_script_runs_and_says_what_it_is_for() -> None:
    scripts = [f for f in tracked() if f.parent == ROOT / "scripts" and not f.suffix]
    assert {script.name for script in scripts} >= {
        *("bench", "bootstrap", "demo", "generate-docs", "gpu-check", "lint"),
        *("new-bridge", "portable-lock", "release", "test"),
    }
    for script in [*scripts, ROOT / ".ci" / "run"]:
        assert script.stat().st_mode & 0o111, f"{script.name} has no run bit"
        first, second, *_ = script.read_text(encoding="utf-8").splitlines()
        assert first.startswith("#!/usr/bin/env ")
        assert second.startswith(('"""', "# ")), f"{script.name} does not say what it is for"


def test_the_workflows_cover_the_range() -> None:
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert '["3.11", "3.12", "3.13"]' in workflow
    assert "--lowest" in workflow
