"""The command line as processes: running, stopping, failing, reloading."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import APPLICATION, Command, Process

pytestmark = pytest.mark.process

Start = Callable[..., Process]
RUN = ("run", "words:build", "--embedded", "words.db", "--set", "commit.interval.ms=20")


@pytest.fixture
def lines(command: Command, words: Path) -> Command:
    """Commands on a log with the input topic."""
    command("topics", "create", "lines", "--partitions", "2", "--embedded", "words.db")
    return command


def _write(command: Command, *lines: str) -> None:
    text = "".join(json.dumps({"value": line}) + "\n" for line in lines)
    assert command("topics", "write", "lines", "--embedded", "words.db", stdin=text).code == 0


def _follow_count(start: Start, word: str) -> None:
    """Wait until a count of the word has come out, beside the running application."""
    reader = start(
        "topics",
        "read",
        "word-counts",
        "--follow",
        "--limit",
        "1",
        "--app",
        "words:build",
        "--embedded",
        "words.db",
    )
    ran = reader.end()
    assert ran.code == 0, ran.err
    assert json.loads(ran.out.splitlines()[0])["key"] == word


def test_sigterm_commits_and_leaves_with_code_0(lines: Command, start: Start) -> None:
    process = start(*RUN)
    process.wait_for("running: ")
    _write(lines, "a a")
    _follow_count(start, "a")
    process.signal(signal.SIGTERM)
    ran = process.end()
    assert ran.code == 0
    assert ran.err.endswith("headrace: stopped\n")
    assert "Traceback" not in ran.err
    row = lines("stores", "get", "counts", "a", "--app", "words:build", "--embedded", "words.db")
    assert json.loads(row.out)["value"] == 2


def test_stores_are_read_beside_the_running_application(lines: Command, start: Start) -> None:
    process = start(*RUN)
    process.wait_for("running: ")
    _write(lines, "a")
    _follow_count(start, "a")
    row = lines("stores", "get", "counts", "a", "--app", "words:build", "--embedded", "words.db")
    assert json.loads(row.out)["value"] == 1


def test_an_application_that_runs_is_not_started_again(lines: Command, start: Start) -> None:
    first = start(*RUN)
    first.wait_for("running: ")
    ran = start(*RUN, "--quiet").end()
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert f"application 'words' is already running: process {first.process.pid} holds" in ran.err
    ran = start("dev", "words:build", "--embedded", "words.db").end()
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "already running" in ran.err


def test_a_function_of_the_user_that_fails_is_shown_with_the_record(
    lines: Command, start: Start, directory: Path
) -> None:
    (directory / "bad.py").write_text(
        "import headrace as hr\n"
        "def upper(line):\n"
        "    return line.upperr()\n"
        "builder = hr.StreamsBuilder()\n"
        'builder.stream("lines", value=str).map_values(upper, value=str).to("out")\n'
    )
    _write(lines, "x")
    ran = start("run", "bad:builder", "--embedded", "words.db").end()
    assert ran.code == 1
    assert 'bad.py", line 3, in upper' in ran.err
    assert "AttributeError: 'str' object has no attribute 'upperr'" in ran.err
    assert "src/headrace" not in ran.err
    last = ran.err.splitlines()[-1]
    assert "KSTREAM-MAPVALUES-0000000001 (bad.py:5)" in last
    assert "topic 'lines', partition " in last
    assert "offset 0" in last


def test_the_second_signal_abandons(start: Start, lines: Command, directory: Path) -> None:
    (directory / "stuck.py").write_text(
        "import sys, time\n"
        "import headrace as hr\n"
        "def stick(line):\n"
        '    print("stuck", file=sys.stderr, flush=True)\n'
        "    time.sleep(600)\n"
        "    return line\n"
        "builder = hr.StreamsBuilder()\n"
        'builder.stream("lines", value=str).map_values(stick, value=str).to("out")\n'
    )
    _write(lines, "x")
    process = start("run", "stuck:builder", "--embedded", "words.db")
    process.wait_for("stuck\n")
    process.signal(signal.SIGTERM)
    process.wait_for("stopping")
    process.signal(signal.SIGTERM)
    ran = process.end()
    assert ran.code == 128 + signal.SIGTERM
    assert ran.err.endswith("abandoned\n")


def test_streams_run_ends_well_with_a_signal(start: Start, lines: Command, directory: Path) -> None:
    (directory / "program.py").write_text(
        APPLICATION
        + "\nstreams = hr.Streams(build(), application_id='words', embedded_path='words.db')\n"
        + "streams.on_state_change(lambda new, old: print(new, file=__import__('sys').stderr, flush=True))\n"
        + "streams.run()\n"
    )
    # `python -m headrace.cli` is only the way to a process here: the target runs when it is imported.
    process = start("topology", "show", "program:build")
    process.wait_for("running\n")
    process.signal(signal.SIGINT)
    ran = process.end()
    assert ran.code == 0
    assert "pending_shutdown\nnot_running\n" in ran.err


def test_dev_starts_anew_when_a_file_changes_and_waits_while_it_is_broken(
    start: Start, words: Path, directory: Path
) -> None:
    process = start("dev", "words:build")
    process.wait_for("running: ")
    assert (directory / ".headrace" / "words.db").exists()
    # Its stores do not lie where `headrace run` keeps those of the same application on another log.
    assert (directory / ".headrace" / "dev" / "words").is_dir()
    assert not (directory / ".headrace" / "words").exists()
    words.write_text(APPLICATION + "\n1 / 0\n")
    process.wait_for("headrace: words.py changed, starting anew")
    process.wait_for("ZeroDivisionError")
    process.wait_for("waiting for a change")
    words.write_text("this is no Python\n")
    process.wait_for("words.py changed, starting anew")
    process.wait_for("SyntaxError")
    process.wait_for("waiting for a change")
    words.write_text(APPLICATION)
    process.wait_for("words.py changed, starting anew")
    process.wait_for("running: ")
    process.signal(signal.SIGINT)
    assert process.end().code == 0


def test_handler_may_be_named_in_the_file_that_is_run(
    start: Start, command: Command, directory: Path
) -> None:
    file = directory / "jobs" / "strict.py"
    file.parent.mkdir()
    text = (
        "import headrace as hr\n"
        "class Refused(Exception):\n"
        "    pass\n"
        "def check(line):\n"
        "    if line == 'bad':\n"
        "        raise Refused\n"
        "    return line\n"
        "def handler(failure):\n"
        "    return hr.Reaction.resume if isinstance(failure.error, Refused) else hr.Reaction.fail\n"
        "builder = hr.StreamsBuilder()\n"
        'builder.stream("lines", value=str).map_values(check, value=str).to("checked")\n'
        "topology = builder.build()\n"
    )
    file.write_text(text)
    process = start("dev", "jobs/strict.py", "--set", "processing.exception.handler=strict:handler")
    process.wait_for("running: ")
    app = ("--app", "jobs/strict.py")
    command("topics", "write", "lines", *app, stdin='{"value": "bad"}\n{"value": "good"}\n')
    reader = start("topics", "read", "checked", *app, "--follow", "--limit", "1").end()
    assert json.loads(reader.out)["value"] == "good"
    file.write_text("this is no Python\n")
    process.wait_for("SyntaxError")
    process.wait_for("waiting for a change")
    file.write_text(text)
    process.wait_for("running: ")
    process.signal(signal.SIGTERM)
    assert process.end().code == 0


def test_dev_watches_modules_that_the_module_imports(start: Start, words: Path, directory: Path) -> None:
    other = directory / "other.py"
    other.write_text("x = 1\n")
    words.write_text("import other\n" + APPLICATION)
    process = start("dev", "words:build")
    process.wait_for("running: ")
    other.write_text("x = 22\n")
    process.wait_for("headrace: other.py changed, starting anew")
    process.wait_for("running: ")
    process.signal(signal.SIGTERM)
    assert process.end().code == 0


def test_a_reader_that_goes_away_is_no_error(lines: Command, start: Start) -> None:
    _write(lines, *(["word " * 50] * 20_000))
    process = start("topics", "read", "lines", "--embedded", "words.db")
    assert process.process.stdout is not None
    process.process.stdout.readline()
    process.process.stdout.close()
    assert process.process.wait(30) == 0
    assert process.process.stderr is not None
    assert process.process.stderr.read() == b""
