"""What the page "start here" lets one type does what the page shows, from top to bottom, on the embedded log."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, Block, blocks

pytestmark = pytest.mark.process

Run = Callable[[str], subprocess.CompletedProcess[str]]

#: Done by whoever runs the tests, or not to be done by a test: installing, a broker, and what runs until it is stopped.
LEFT_OUT = re.compile(r"pip install|headrace (kafka|dev|new)|.*--bootstrap-servers")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: text for name, text in os.environ.items() if not name.startswith("HEADRACE_")}
    environment |= {"PATH": path, "PYTHONPATH": str(tmp_path)}

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            line,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


class Application:
    """The one that runs in the other terminal."""

    def __init__(self, line: str, folder: Path) -> None:
        arguments = [sys.executable, "-m", "headrace.cli", *line.split()[1:]]
        self._process = subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        self.lines: list[str] = []
        while not self.lines or not self.lines[-1].startswith("running"):
            self.lines.append(self._process.stderr.readline())
            assert self.lines[-1] != "", self.lines

    def end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        self._process.communicate(timeout=30)


def steps(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a block with what is shown below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        line, _, shown = part.partition("\n")
        yield line, shown


def same(found: str, shown: str) -> bool:
    """Whether it is what the page shows, but for the time of day."""
    return re.sub(r'(?<="timestamp":)\d+', "1700000000000", found) == shown


def test_page_can_be_followed_line_by_line(run: Run, tmp_path: Path) -> None:
    page = blocks(DOCS / "start.md")
    for block in page:
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text)
    running: Application | None = None
    done = 0
    try:
        for line, shown in [step for block in page if block.language == "console" for step in steps(block)]:
            if LEFT_OUT.match(line):
                continue
            done += 1
            if line.startswith("headrace run"):
                running = Application(line, tmp_path)
                assert running.lines[0] == shown.splitlines()[0] + "\n"
            elif line == "kill -9 PID":
                assert running is not None
                running.end(signal.SIGKILL)
            elif line.startswith("pytest"):
                assert "2 passed" in run(line).stdout
            else:
                check(run, line, shown)
    finally:
        if running is not None:
            running.end(signal.SIGINT)
    assert done == 12


def check(run: Run, line: str, shown: str) -> None:
    """Run a command; one that only looks may come before the commit, and is run again."""
    deadline = time.monotonic() + 30
    while True:
        ran = run(line)
        if (shown == "" or same(ran.stdout + ran.stderr, shown)) and ran.returncode == 0:
            return
        looks = "write" not in line
        assert looks and time.monotonic() < deadline, f"{line}\n{ran.stdout}{ran.stderr}"
