"""Each example runs as its docstring says, and gives what its docstring shows."""

import ast
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.examples.programs import EXAMPLES, SECONDS, running


@dataclass(frozen=True)
class Shown:
    """A command as a docstring shows it, with the lines of its input, and the lines that follow it."""

    command: str
    output: list[str]


def shown(docstring: str) -> list[Shown]:
    """Read the commands of a docstring: indented, behind a `$`, with input up to a line `END`."""
    found: list[Shown] = []
    is_input = False
    for line in docstring.splitlines():
        if not line.startswith("    "):
            continue
        text = line.removeprefix("    ")
        if text.startswith("$ "):
            found.append(Shown(text.removeprefix("$ "), []))
            is_input = text.endswith("<<'END'")
        elif is_input:
            found[-1] = Shown(f"{found[-1].command}\n{text}", [])
            is_input = text != "END"
        else:
            found[-1].output.append(text)
    return found


@pytest.fixture
def environment() -> dict[str, str]:
    """That of a shell in which headrace is installed, and nothing is set for it."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("HEADRACE_")}
    return inherited | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@contextmanager
def running_until_made(command: str, directory: Path, environment: dict[str, str]) -> Iterator[Path]:
    """Run the application until Ctrl-C; its log is made. Give the file with what it prints."""
    with running(command.split(), directory, environment) as process:
        while not list(directory.glob("*.db")) + list(directory.glob(".headrace/*.db")):
            assert process.poll() is None
            time.sleep(0.02)
        yield directory / "printed"


def run(command: str, directory: Path, environment: dict[str, str]) -> list[str]:
    ran = subprocess.run(
        ["sh", "-c", command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return [*ran.stdout.splitlines(), *ran.stderr.splitlines()]


def key_of(line: str) -> str:
    return line.partition('"value":')[0]


@pytest.mark.process
@pytest.mark.parametrize("name", sorted(file.stem for file in EXAMPLES.glob("*.py")))
def test_an_example_does_what_its_docstring_says(
    name: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    docstring = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text()))
    assert docstring is not None
    application, *commands = shown(docstring)
    deadline = time.monotonic() + SECONDS
    with running_until_made(application.command, tmp_path, environment) as printed:
        for each in commands:
            lines = run(each.command, tmp_path, environment)
            # Results come when they are committed; what is written is written once.
            while not set(each.output) <= set(lines) and " write " not in each.command:
                assert time.monotonic() < deadline, (each, lines)
                lines = run(each.command, tmp_path, environment)
            assert set(each.output) <= set(lines)
            # A slow machine may commit between two updates of a key: of these the docstring shows the last.
            assert {key_of(line) for line in lines} == {key_of(line) for line in each.output}
        while not set(application.output) <= set(printed.read_text().splitlines()):
            assert time.monotonic() < deadline, printed.read_text()
            time.sleep(0.05)


def test_table_of_the_examples_has_each_of_them() -> None:
    table = (EXAMPLES / "README.md").read_text()
    assert [file.name for file in sorted(EXAMPLES.glob("*.py")) if f"]({file.name})" not in table] == []


def test_commands_and_what_follows_them_are_read_from_a_docstring() -> None:
    assert shown(
        "Text.\n\n    $ run it\n\nMore:\n\n    $ write <<'END'\n    {1}\n    END\n    wrote 1\n"
    ) == [
        Shown("run it", []),
        Shown("write <<'END'\n{1}\nEND", ["wrote 1"]),
    ]
