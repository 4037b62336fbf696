"""What commands that run for long write to the error stream."""

import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.base.log_fields import FIELDS
from headrace.cli.log_output import LogOutput
from tests.cli.conftest import Command, Process

Start = Callable[..., Process]

APPLICATION = """
import logging, sys
import headrace as hr

log = logging.getLogger("mine")

def look(key, value):
    log.info("info of %s", value)
    try:
        1 / 0
    except ZeroDivisionError:
        log.warning("warning of %s", value, exc_info=True)
    if value == "bad":
        sys.exit("enough")

builder = hr.StreamsBuilder()
builder.stream("lines", value=str).foreach(look)
topology = builder.build()
"""


def _feed(command: Command, directory: Path, *values: str) -> None:
    (directory / "app.py").write_text(APPLICATION)
    command("topics", "create", "lines", "--embedded", "app.db")
    lines = "".join(json.dumps({"value": value}) + "\n" for value in values)
    assert command("topics", "write", "lines", "--embedded", "app.db", stdin=lines).code == 0


@pytest.mark.process
def test_every_line_is_an_object_that_has_the_end_too(
    command: Command, start: Start, directory: Path
) -> None:
    _feed(command, directory, "good", "bad")
    ran = start("run", "app:topology", "--embedded", "app.db", "--log-format", "json").end()
    assert ran.code == 1
    rows = [json.loads(line) for line in ran.err.splitlines()]
    assert all(
        {"time", "level", "logger", "message", "thread"} <= row.keys() <= {
            "time", "level", "logger", "message", "thread", "exception", *FIELDS
        } and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["time"])
        for row in rows
    )  # fmt: skip
    warning = next(row for row in rows if row["logger"] == "mine")
    assert (warning["level"], warning["message"]) == ("WARNING", "warning of good")
    assert warning["thread"] == "app-StreamThread-1"
    assert "ZeroDivisionError: division by zero" in warning["exception"]
    place = {"application": "app", "task": "0_0", "topic": "lines", "partition": 0}
    assert {name: warning.get(name) for name in FIELDS} == {**place, "offset": 0, "node": None}
    # A worker that is quick may be heard before it.
    assert "application 'app' on app.db" in [row["message"] for row in rows]
    last = rows[-1]
    assert (last["level"], last["logger"], last["thread"]) == ("ERROR", "headrace.cli", "MainThread")
    assert "topic 'lines', partition 0, offset 1" in last["message"]
    assert {name: last[name] for name in FIELDS} == {
        **place,
        "offset": 1,
        "node": "KSTREAM-FOREACH-0000000001",
    }
    assert last["exception"].endswith("SystemExit: enough\n")
    assert not [row for row in rows if row["message"].startswith("info of")]


@pytest.mark.process
def test_lines_of_text_have_the_time_where_no_terminal_is(
    command: Command, start: Start, directory: Path
) -> None:
    _feed(command, directory, "good")
    process = start("run", "app:topology", "--embedded", "app.db", "--log-level", "info")
    process.wait_for("warning of good")
    process.signal(signal.SIGTERM)
    ran = process.end()
    assert ran.code == 0
    for line in ("INFO mine: info of good", "WARNING mine: warning of good"):
        assert re.search(rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {line}$", ran.err, re.MULTILINE)


@pytest.mark.process
def test_logging_that_the_module_sets_up_stands_unless_a_format_is_asked_for(
    command: Command, start: Start, directory: Path
) -> None:
    _feed(command, directory, "bad")
    module = directory / "app.py"
    module.write_text(
        'import logging\nlogging.basicConfig(format="MINE %(message)s", level="INFO")\n' + APPLICATION
    )
    for verb in ("run", "dev"):
        process = start(verb, "app:topology", "--embedded", "app.db")
        process.wait_for("MINE warning of bad")
        process.close()
        assert "MINE info of bad" in process.err
    ran = start("run", "app:topology", "--embedded", "app.db", "--log-format", "json").end()
    assert "MINE" not in ran.err
    assert ran.err.count('"warning of bad"') == 1


@pytest.mark.process
def test_mistake_is_an_object_as_well(start: Start, directory: Path) -> None:
    ran = start("run", "nothing:topology", "--embedded", "app.db", "--log-format", "json").end()
    assert ran.code == 2
    assert "there is no module 'nothing'" in json.loads(ran.err)["message"]


def test_setting_up_twice_leaves_one_handler(clean_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers.clear()
    for shape in ("text", "json", "json"):
        LogOutput(format=shape).begin()
    assert len(logging.getLogger().handlers) == 1
    logging.getLogger("mine").warning("half a pair: \udcff")
    assert json.loads(capsys.readouterr().err)["message"] == "half a pair: \\udcff"


@pytest.mark.process
def test_using_the_library_sets_up_nothing(tmp_path: Path) -> None:
    program = f"""
import logging
import headrace as hr
builder = hr.StreamsBuilder()
builder.stream("lines", value=str).to("out")
with hr.Streams(builder.build(), application_id="app", embedded_path={str(tmp_path / "l.db")!r},
                state_dir={str(tmp_path / "state")!r}) as streams:
    streams.wait_running("20s")
assert logging.getLogger().handlers == []
assert logging.getLogger("headrace").handlers == []
assert logging.getLogger("headrace").level == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
