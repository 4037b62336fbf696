"""What import-linter cannot see: calls of `open`, and packages that import a clock in their own `__init__`."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "headrace"
PURE_ROOMS = ("group", "operators", "plan", "topology")
BANNED_MODULES = {"io", "os", "pathlib", "random", "threading", "time"}


def banned(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="open")):
                yield f"{node.lineno}: open()"
            case ast.Import(names=names):
                yield from (f"{node.lineno}: {name.name}" for name in names if name.name in BANNED_MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in BANNED_MODULES:
                yield f"{node.lineno}: {module}"


def test_pure_rooms_have_no_clock_chance_thread_or_file() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{use}"
        for room in PURE_ROOMS
        for path in sorted((SOURCE / room).rglob("*.py"))
        for use in banned(path.read_text())
    ]
    assert found == []


def test_search_finds_what_it_bans() -> None:
    assert list(banned("import time, json\nfrom os.path import join\nopen('x')")) == [
        "1: time",
        "2: os.path",
        "3: open()",
    ]


def test_sqlite_stays_in_the_embedded_log() -> None:
    uses = {path for path in SOURCE.rglob("*.py") if "import sqlite3" in path.read_text()}
    assert {path.parent.relative_to(SOURCE).as_posix() for path in uses} == {"log/embedded"}
