"""Brings what the scripts need onto any machine: a Python, uv, git's filter, the locked packages.

Runs on the standard library alone, and still tells an old Python what is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn, Sequence  # noqa: UP035 - this file still has to start on an old Python

ROOT = Path(__file__).resolve().parent.parent
# The core first, since an error in it explains errors in the others.
PACKAGES = tuple(
    sorted(
        (project.parent.name for project in ROOT.glob("packages/*/pyproject.toml")),
        key=lambda name: (name != "interop-core", name),
    )
)
LOWEST_OF_INTEREST = ("jax", "flax", "equinox", "brainstate", "numpy")
OLDEST_PYTHON = (3, 11)
UV_RANGE = "uv>=0.13.8,<0.14"
UV_OLDEST = (0, 9)  # an older one does not write this lock's revision


def fail(message: str) -> NoReturn:
    """End the script with a sentence on standard error."""
    sys.stderr.write(message.rstrip() + "\n")
    raise SystemExit(1)


def say(message: str) -> None:
    """Print at once, so that a log shows it before the output of the next command."""
    print(message, flush=True)


def run(
    command: Sequence[str | Path], *, env: dict[str, str] | None = None, check: bool = True
) -> int:
    """Run a command in the root of the checkout and return its exit status."""
    words = [str(word) for word in command]
    status = subprocess.call(words, cwd=ROOT, env=env)
    if check and status:
        fail("failed with exit status {}: {}".format(status, " ".join(words)))
    return status


# --- Python -------------------------------------------------------------------------------------


def version_of(python: str | Path) -> tuple[int, int] | None:
    """(major, minor) of an interpreter that really starts, else None (a pyenv shim may not)."""
    try:
        out = subprocess.run(
            [str(python), "-c", "import sys; print(*sys.version_info[:2])"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
            timeout=60,
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return (int(out[0]), int(out[1])) if len(out) == 2 else None


def pyenv_pythons() -> list[Path]:
    """The interpreters under pyenv's versions folder, newest first; its shims are not asked."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")

    def key(folder: Path) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", folder.name))

    folders = [f for f in (root / "versions").glob("3.*") if re.fullmatch(r"3\.\d+\.\d+", f.name)]
    return [f / "bin" / "python3" for f in sorted(folders, key=key, reverse=True)]


def find_python(wanted: str | None = None) -> Path:
    """The interpreter to use: the machine's own `python3`, or what is asked for: `3.13`, a path."""
    if wanted is None:
        if sys.version_info >= OLDEST_PYTHON:
            return Path(getattr(sys, "_base_executable", "") or sys.executable)
        for python in pythons():
            return python
        fail("Python 3.11 or newer is needed and none was found.")
    if wanted == "newest":
        return pythons()[0]
    if os.sep in wanted:
        if version_of(wanted) is None:
            fail(wanted + " is no Python that starts.")
        return Path(wanted).absolute()
    if not re.fullmatch(r"3\.\d+", wanted):
        fail("--python takes a version such as 3.13, a path, or newest; not " + repr(wanted))
    for python in pythons():
        if "{}.{}".format(*(version_of(python) or (0, 0))) == wanted:
            return python
    fail(f"No Python {wanted} on PATH or among pyenv's versions.")


def pythons() -> list[Path]:
    """Every Python on the machine that the project supports, newest first, one a minor version."""
    found: dict[tuple[int, int], Path] = {}
    names = [f"python3.{minor}" for minor in range(30, OLDEST_PYTHON[1] - 1, -1)] + ["python3"]
    on_path = [Path(hit) for hit in map(shutil.which, names) if hit]
    for python in on_path + pyenv_pythons():
        version = version_of(python)
        if version is not None and version >= OLDEST_PYTHON:
            found.setdefault(version, python)
    return [found[version] for version in sorted(found, reverse=True)]


# --- uv -----------------------------------------------------------------------------------------


def uv_version(uv: str | Path) -> tuple[int, ...]:
    """The version of a uv, or () where it does not start."""
    try:
        out = subprocess.run(
            [str(uv), "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ).stdout
    except OSError:
        return ()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", out)
    return tuple(map(int, found.groups())) if found else ()


def bring_uv() -> Path:
    """The uv on PATH, else the one in .tools of the checkout, brought by pip when it is missing."""
    on_path = shutil.which("uv")
    if on_path and uv_version(on_path) >= UV_OLDEST:
        return Path(on_path)
    folder = ROOT / ".tools" / "uv"
    uv = folder / "bin" / "uv"
    if uv_version(uv) >= UV_OLDEST:
        return uv
    say("Bringing uv into .tools/ (first run)")
    install = ["install", "-qq", "--upgrade", "--target", str(folder), UV_RANGE]
    if subprocess.call([sys.executable, "-m", "pip", *install]) != 0:
        fail(
            "uv is missing and pip could not bring it. Install uv or pip for "
            + sys.executable
            + " and try again."
        )
    if not uv_version(uv):
        fail("pip brought a uv that does not start: " + str(uv))
    return uv


def environment_variables(venv: Path) -> dict[str, str]:
    """The environment in which uv works on that venv, on the Pythons that the machine has."""
    env = dict(os.environ)
    for name in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "CONDA_PREFIX"):
        env.pop(name, None)
    env["UV_PROJECT_ENVIRONMENT"] = str(venv)
    env.setdefault("UV_PYTHON_DOWNLOADS", "never")
    return env


# --- the lock -----------------------------------------------------------------------------------


def set_up_filter() -> None:
    """Tell git about the lock's clean filter, once per clone."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return  # an unpacked archive has no index to keep clean
    wanted = {
        "filter.portable-lock.clean": "python3 scripts/portable-lock",
        "filter.portable-lock.smudge": "cat",
        "filter.portable-lock.required": "true",
    }
    for key, value in wanted.items():
        got = subprocess.run(
            ["git", "config", "--get", key], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        if got != value:
            run(["git", "config", key, value])


def portable(text: str) -> str:
    """A lock's portable form, by the same script that git's filter runs."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "portable-lock")],
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def refresh_index(lock: str) -> None:
    """Have git look at uv.lock anew when its portable form is the staged one.

    uv has just filled the portable lock up, and git takes a changed size for a changed file without
    asking the filter, until the file is added again. The staged content stays what it was.
    """
    staged = subprocess.run(
        ["git", "show", ":uv.lock"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if staged.returncode == 0 and staged.stdout == lock:
        subprocess.call(["git", "add", "--", "uv.lock"], cwd=ROOT, stderr=subprocess.DEVNULL)


def sync(uv: Path, python: Path, venv: Path) -> None:
    """Install the locked versions into the venv; say so when they are not the committed ones."""
    lock = ROOT / "uv.lock"
    before = portable(lock.read_text(encoding="utf-8")) if lock.exists() else ""
    command: list[str | Path] = [uv, "sync", "--quiet", "--all-packages", "--python", python]
    run(command, env=environment_variables(venv))
    after = portable(lock.read_text(encoding="utf-8"))
    refresh_index(after)
    if before == after:
        return
    report = changed_versions(before, after)
    if os.environ.get("CI"):
        fail(
            "uv.lock does not fit pyproject.toml; run scripts/bootstrap and commit uv.lock.\n"
            + report
        )
    say("uv.lock has changed and wants to be committed.\n" + report)


def changed_versions(before: str, after: str) -> str:
    """Which packages two locks pin differently, a line each."""
    pinned = re.compile(r'^name = "([^"]+)"\nversion = "([^"]+)"', re.MULTILINE)
    old, new = set(pinned.findall(before)), set(pinned.findall(after))
    lines = [f"  - {name} {version}" for name, version in sorted(old - new)]
    lines += [f"  + {name} {version}" for name, version in sorted(new - old)]
    return "\n".join(lines) or "  the same versions, other markers"


def bootstrap(wanted: str | None = None) -> tuple[Path, Path]:
    """Make the machine ready and return uv and the python of the venv with the locked packages.

    The machine's own Python gets `.venv`; one that is asked for gets a venv of its own beside it.
    """
    started = time.perf_counter()
    python = find_python(wanted)
    uv = bring_uv()
    set_up_filter()
    venv = ROOT / (".venv" if wanted is None else ".venv-{}.{}".format(*(version_of(python) or ())))
    sync(uv, python, venv)
    seconds = time.perf_counter() - started
    inside = venv / "bin" / "python"
    version = version_of(inside) or (0, 0)
    say(
        f"Ready: Python {version[0]}.{version[1]} in {venv.name}, locked packages ({seconds:.0f} s)"
    )
    return uv, inside


def launch(script: str) -> NoReturn:
    """Become a script of this folder in the locked environment; `--python X` chooses the Python."""
    words = sys.argv[1:]
    wanted = None
    if words[:1] == ["--python"] and len(words) > 1:
        wanted, words = words[1], words[2:]
    _, python = bootstrap(wanted)
    os.chdir(ROOT)
    os.execv(str(python), [str(python), str(ROOT / "scripts" / script), *words])


def bootstrap_lowest(wanted: str | None = None) -> Path:
    """A venv with the lowest versions that the packages claim to work with, and its python.

    The lowest versions are worked out for the packages alone; the test tools around them are as new
    as those versions allow.
    """
    python = find_python(wanted)
    uv = bring_uv()
    venv = ROOT / ".venv-lowest"
    env = environment_variables(venv)
    env["VIRTUAL_ENV"] = str(venv)
    inside = venv / "bin" / "python"
    if version_of(inside) != version_of(python):
        run([uv, "venv", "--quiet", "--clear", "--python", python, venv], env=env)
    floor = venv / "lowest.txt"
    projects = [ROOT / "packages" / name for name in PACKAGES]
    sources = [
        f"{project}[all,rich]" if project.name == "brainstate-interop" else str(project)
        for project in projects
    ]
    wishes = venv / "wishes.in"
    wishes.write_text("".join(f"-e {source}\n" for source in sources), encoding="utf-8")
    lowest: list[str | Path] = [
        "pip",
        "compile",
        "--quiet",
        "--resolution",
        "lowest-direct",
        "--output-file",
        floor,
    ]
    run([uv, *lowest, "--python", inside, wishes], env=env)
    groups = [word for group in ("test", "oracle", "demo") for word in ("--group", group)]
    run([uv, "pip", "install", "--quiet", *groups, "-r", floor], env=env)
    versions = [line for line in floor.read_text(encoding="utf-8").splitlines() if "==" in line]
    direct = [line for line in versions if line.split("==")[0] in LOWEST_OF_INTEREST]
    say("Ready: {} with {}".format(venv.name, ", ".join(direct)))
    return inside
