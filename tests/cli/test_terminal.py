"""What a terminal shows while an application runs: one line that stays, and others above it."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.process

APPLICATION = """
import headrace as hr

builder = hr.StreamsBuilder()
lines = builder.stream(hr.Topic("lines", value=str))
lines.foreach(lambda key, value: print("seen", value, flush=True))
lines.group_by_key().count()
topology = builder.build()
"""


def _until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_output_that_is_redirected_stays_so_and_warnings_have_lines_of_their_own(
    command: Command, directory: Path
) -> None:
    (directory / "app.py").write_text(APPLICATION)
    log = ("--app", "app:topology", "--embedded", "app.db")
    command("topics", "write", "lines", *log, stdin='{"key": null, "value": "one"}\n')
    terminal, end = pty.openpty()
    out = directory / "out.txt"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace.cli", "run", "app:topology", "--embedded", "app.db"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=end,
        )
    os.close(end)
    shown = b""
    try:
        os.set_blocking(terminal, False)

        def has_run() -> bool:
            nonlocal shown
            with contextlib.suppress(BlockingIOError):
                shown += os.read(terminal, 65536)
            return b"running: " in shown and b"dropped" in shown and out.read_text() != ""

        _until(has_run)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert out.read_text() == "seen one\n"
    assert b"seen" not in shown
    # Carriage return and "erase the line" stand before it, a line break behind.
    before, _, behind = shown.partition(b"WARNING headrace.dropped")
    assert before.endswith((b"\x1b[2K", b"\n"))
    assert b"\n" in behind
