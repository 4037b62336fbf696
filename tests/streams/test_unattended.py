"""A program that starts an application and ends without it: it ends, and says what would have kept it running."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

PROGRAM = """
import os, sys
import headrace as hr

builder = hr.StreamsBuilder()
builder.stream("lines", value=str).foreach(lambda key, line: None)
streams = hr.Streams(
    builder.build(), application_id="shop", state_dir=f"{sys.argv[1]}/state", embedded_path=f"{sys.argv[1]}/shop.db"
)
"""


def told(folder: Path, main: str) -> str:
    """Run a program to its end; return what it has written to its standard error."""
    program = [sys.executable, "-c", PROGRAM + main, str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    return done.stderr


def test_program_that_leaves_a_running_application_is_told_what_to_write(tmp_path: Path) -> None:
    assert told(tmp_path, "streams.start()\nstreams.wait_running()\n") == (
        "application 'shop' ends with its program, which it does not keep alive; what it has not committed, the "
        "next start does again. To let it run, write streams.run() in place of streams.start(), or end the program "
        "with streams.wait()\n"
    )


def test_program_that_closes_its_application_is_told_nothing(tmp_path: Path) -> None:
    assert told(tmp_path, "streams.start()\nstreams.close()\n") == ""
    assert told(tmp_path, "with streams:\n    streams.wait_running()\n") == ""


def test_child_that_was_forked_from_a_running_application_is_told_nothing(tmp_path: Path) -> None:
    main = """
streams.start()
streams.wait_running()
child = os.fork()
if child:
    os.waitpid(child, 0)
    streams.close()
"""
    assert told(tmp_path, main) == ""
