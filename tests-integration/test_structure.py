"""The plan of the house: which module may import which, and how large a file may grow."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    source.name: source for source in sorted(ROOT.glob("packages/*/src/*")) if source.is_dir()
}
FILES = [file for source in SOURCES.values() for file in sorted(source.rglob("*.py"))]
CORE = SOURCES["interop_core"]

# Each imports only those before it.
CHAIN = ["errors", "layout", "mapping", "registry", "plan", "planner", "convert"]
# The layer library, with the private files that it shares; all the rest is about conversion.
LIBRARY = ["nn", "state", "graph", "random", "environ"]
# What interop_core may import beside itself.
ALLOWED = {"jax", "numpy"}
# rich imports nothing of ours until it is asked to print something of ours, and then it is there.
ON_DEMAND = {("explain.py", "rich")}

SOFT_LIMIT = 400


def module_name(file: Path) -> str:
    """The dotted name of a source file."""
    parts = file.relative_to(next(s for s in SOURCES.values() if s in file.parents).parent).parts
    return ".".join(parts).removesuffix(".py").removesuffix(".__init__")


def is_for_types_only(node: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, whose body never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs, function bodies included, imports for types only left out."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if is_for_types_only(child):
            assert isinstance(child, ast.If)
            for statement in child.orelse:
                yield from running_nodes(statement)
        else:
            yield from running_nodes(child)


@cache
def imports_of(file: Path) -> frozenset[str]:
    """The absolute dotted names that a file imports; for `from x import y` both x and x.y."""
    name = module_name(file)
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in running_nodes(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                above = parents[: len(parents) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(found)


def core_graph() -> dict[str, set[str]]:
    """Which rooms of the core each room imports; `nn` is one room, the package itself none."""
    rooms = {
        file: module_name(file).split(".")[1]
        for file in sorted(CORE.rglob("*.py"))
        if file != CORE / "__init__.py"
    }
    graph: dict[str, set[str]] = {room: set() for room in rooms.values()}
    for file, room in rooms.items():
        for name in imports_of(file):
            head, *rest = name.split(".")
            if head == "interop_core" and rest and rest[0] in graph and rest[0] != room:
                graph[room].add(rest[0])
    return graph


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Every room that is imported when this one is, itself left out unless it is in a circle."""
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        room = todo.pop()
        if room not in seen:
            seen.add(room)
            todo += graph[room]
    return seen


def test_no_room_of_the_core_imports_itself_in_a_circle() -> None:
    graph = core_graph()
    assert not [room for room in graph if room in reachable(graph, room)]


@pytest.mark.parametrize(("position", "room"), list(enumerate(CHAIN)), ids=CHAIN)
def test_arrows_of_the_conversion_point_one_way(position: int, room: str) -> None:
    assert not reachable(core_graph(), room) & set(CHAIN[position + 1 :])


@pytest.mark.parametrize("room", LIBRARY)
def test_the_layer_library_knows_nothing_of_conversion(room: str) -> None:
    graph = core_graph()
    conversion = {other for other in graph if other not in LIBRARY and not other.startswith("_")}
    assert set(CHAIN) <= conversion
    assert not reachable(graph, room) & conversion


def test_only_discovery_reads_the_installed_packages() -> None:
    readers = {
        file.relative_to(CORE).as_posix()
        for file in CORE.rglob("*.py")
        if any(name.startswith("importlib.metadata") for name in imports_of(file))
    }
    assert readers == {"discovery.py"}


def test_the_core_imports_jax_numpy_and_the_standard_library_only() -> None:
    strangers = {
        (file.relative_to(CORE).as_posix(), name.split(".")[0])
        for file in CORE.rglob("*.py")
        for name in imports_of(file)
        if name.split(".")[0] not in {*sys.stdlib_module_names, *ALLOWED, "interop_core"}
    }
    assert strangers <= ON_DEMAND


def test_the_core_never_imports_itself_by_name() -> None:
    named = [
        file.relative_to(CORE).as_posix()
        for file in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any("interop_" in a.name for a in node.names))
        or (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and "interop_" in (node.module or "")
        )
    ]
    assert not named


@pytest.mark.parametrize(
    ("package", "own"),
    [
        ("interop_nnx", {"flax"}),
        ("interop_linen", {"flax"}),
        ("interop_equinox", {"equinox"}),
        ("interop_brainstate", {"brainstate"}),
    ],
)
def test_a_bridge_knows_its_own_framework_only(package: str, own: set[str]) -> None:
    frameworks = {"flax", "equinox", "brainstate", "interop_nnx", "interop_linen"}
    frameworks |= {"interop_equinox", "interop_brainstate", "brainstate_interop"}
    heads = {
        name.split(".")[0] for file in SOURCES[package].rglob("*.py") for name in imports_of(file)
    }
    assert heads & frameworks <= own | {package}
    if package in ("interop_nnx", "interop_linen"):
        other = "flax.linen" if package == "interop_nnx" else "flax.nnx"
        names = {name for file in SOURCES[package].rglob("*.py") for name in imports_of(file)}
        assert not {name for name in names if name.startswith(other)}


def test_companions_run_without_the_core() -> None:
    # They stay in a user's model when our packages are gone.
    for package, framework in (
        ("interop_nnx", "flax"),
        ("interop_linen", "flax"),
        ("interop_equinox", "equinox"),
    ):
        files = sorted((SOURCES[package] / "companions").glob("*.py"))
        assert files
        for file in files:
            heads = {name.split(".")[0] for name in imports_of(file)}
            strangers = heads - {*sys.stdlib_module_names, *ALLOWED, framework, package}
            assert not strangers, f"{file.name} imports {sorted(strangers)}"
            above = {
                name
                for name in imports_of(file)
                if name.startswith(package) and not name.startswith(f"{package}.companions")
            }
            assert not above, f"{file.name} imports {sorted(above)}"


def test_the_bridges_name_their_files_alike() -> None:
    # Who knows one bridge knows them all: families of rows have the same names, and a file may be
    # absent where there is no row. What only one framework needs has a file of its own.
    names = {
        package: {file.name for file in SOURCES[package].glob("*.py")}
        for package in ("interop_nnx", "interop_linen", "interop_equinox")
    }
    shared = set.union(*(a & b for a in names.values() for b in names.values() if a is not b))
    for package, files in names.items():
        assert {"__init__.py", "_framework.py", "_linear.py"} <= files
        shares = len(files & shared) / len(files)
        assert shares >= 0.7, f"{package} has its own names: {sorted(files - shared)}"


@pytest.mark.parametrize("file", FILES, ids=[module_name(file) for file in FILES])
def test_a_file_has_one_purpose_and_says_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a sentence at the top says what the file is for"
    assert len(text.splitlines()) <= SOFT_LIMIT
    assert file.stem.strip("_") not in {"utils", "util", "helpers", "misc", "common"}


def test_tests_are_no_packages() -> None:
    assert not list(ROOT.glob("packages/*/tests/**/__init__.py"))
    assert not list(ROOT.glob("tests-integration/**/tests/**/__init__.py"))
    assert not (ROOT / "tests-integration" / "__init__.py").exists()


def test_every_test_file_says_what_it_is_for() -> None:
    files = [*ROOT.glob("packages/*/tests/**/*.py"), *ROOT.glob("tests-integration/*.py")]
    silent = [
        file.relative_to(ROOT).as_posix()
        for file in files
        if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not silent
