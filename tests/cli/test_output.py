"""Output that cannot be written: a full disk, a stream that is closed, a reader that has gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.process

LOG = ("--embedded", "log.db")
COMMANDS = [
    ("topics", "read", "lines", *LOG),
    ("topics", "list", *LOG),
    ("stores", "dump", "counts", "--application-id", "app", *LOG),
    ("config", "explain"),
    ("--version",),
]


@pytest.fixture
def log(command: Command, directory: Path) -> Path:
    """A log with a topic and a changelog, each larger than a buffer."""
    lines = "".join(f'{{"key": "{number}", "value": "{"x" * 100}"}}\n' for number in range(2_000))
    for topic in ("lines", "app-counts-changelog"):
        command("topics", "create", topic, *LOG)
        command("topics", "write", topic, *LOG, stdin=lines)
    return directory


def _run(log: Path, arguments: tuple[str, ...], redirected: str) -> subprocess.CompletedProcess[str]:
    line = f'"{sys.executable}" -m headrace.cli "$@" {redirected}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, "headrace", *arguments],
        cwd=log,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", COMMANDS)
def test_full_device_is_one_line(log: Path, arguments: tuple[str, ...]) -> None:
    ran = _run(log, arguments, ">/dev/full")
    assert ran.returncode == 1
    assert ran.stderr == "headrace: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("arguments", COMMANDS)
def test_reader_that_goes_and_output_that_is_closed_are_quiet(log: Path, arguments: tuple[str, ...]) -> None:
    ran = _run(log, arguments, "| head -c 1 >/dev/null")
    assert (ran.returncode, ran.stderr) == (0, "")
    ran = _run(log, arguments, ">&-")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_streams_that_are_closed_are_not_taken_for_the_logs_file(log: Path) -> None:
    """The next file that a process opens gets the lowest free number: that of the output, if it is closed."""
    before = (log / "log.db").read_bytes()
    ran = _run(log, ("topics", "read", "lines", *LOG), "<&- >&- 2>&-")
    assert ran.returncode == 0
    assert (log / "log.db").read_bytes() == before
