"""What import-linter cannot say: `sync` knows the standard library alone, and nothing that looks at the world."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# Part of the standard library all the same, but each a door to the world outside the arguments.
WORLD = {
    "os",
    "io",
    "socket",
    "random",
    "secrets",
    "time",
    "threading",
    "asyncio",
    "subprocess",
    "pathlib",
    "logging",
    "sqlite3",
}
SYNC = sorted((REPOSITORY / "sync").rglob("*.py"))
PURE = [
    *SYNC,
    *(path for name in ("rules", "score") for path in sorted((REPOSITORY / "server").rglob(f"{name}.py"))),
]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            yield node.module or ""


def test_there_is_something_to_look_at():
    assert SYNC and len(PURE) > len(SYNC)


@pytest.mark.parametrize("path", SYNC, ids=lambda path: path.name)
def test_sync_knows_the_standard_library_alone(path: Path):
    roots = {name.partition(".")[0] for name in imported(path)}
    assert roots <= {*sys.stdlib_module_names, "sync"}


@pytest.mark.parametrize("path", PURE, ids=lambda path: "-".join(path.relative_to(REPOSITORY).parts))
def test_what_is_pure_cannot_look_at_the_world(path: Path):
    roots = {name.partition(".")[0] for name in imported(path)}
    assert roots & WORLD == set()


def test_the_tests_mirror_the_code_without_packages():
    assert list((REPOSITORY / "tests").rglob("__init__.py")) == []


def test_no_python_file_is_empty_but_a_package_mark():
    empty = [
        path
        for room in ("sync", "server", "tests")
        for path in (REPOSITORY / room).rglob("*.py")
        if path.name != "__init__.py" and not path.read_text().strip()
    ]
    assert empty == []


def test_no_room_has_a_drawer_for_everything():
    drawers = {"utils", "helpers", "services", "manager"}
    found = [
        path for room in ("sync", "server") for path in (REPOSITORY / room).rglob("*") if path.stem in drawers
    ]
    assert found == []
