"""What a signal means while an application runs in the foreground."""

import os
import signal
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.errors import ApplicationStoppedError
from headrace.cli.failure import exit_code
from headrace.cli.serving import serve
from headrace.cli.status import StatusLine
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec


def _streams(directory: Path) -> hr.Streams:
    builder = hr.StreamsBuilder()
    builder.stream("lines", value=str).to("out")
    return hr.Streams(
        builder.build(),
        application_id="app",
        embedded_path=str(directory / "app.db"),
        state_dir=str(directory / "state"),
    )


def test_change_ends_it_to_be_started_anew(tmp_path: Path) -> None:
    assert serve(_streams(tmp_path), StatusLine(is_quiet=True), started="", interrupted=lambda: True)


def test_signal_that_comes_with_a_change_wins(tmp_path: Path) -> None:
    def change_and_press_ctrl_c() -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return True

    streams = _streams(tmp_path)
    line = StatusLine(is_quiet=True)
    assert not serve(streams, line, started="", interrupted=change_and_press_ctrl_c)
    assert streams.state == "not_running"


def test_signal_that_comes_first_starts_nothing(tmp_path: Path) -> None:
    class Interrupted(StatusLine):
        def __enter__(self) -> "Interrupted":
            os.kill(os.getpid(), signal.SIGINT)
            return self

    streams = _streams(tmp_path)
    assert not serve(streams, Interrupted(is_quiet=True), started="")
    assert streams.state == "not_running"
    assert not (tmp_path / "app.db").exists()


def test_application_that_is_shut_down_by_its_handler_says_so_by_the_exit_code(tmp_path: Path) -> None:
    builder = hr.StreamsBuilder()
    builder.stream("lines", value=str).map_values(lambda value: value.no_such_thing, value=str).to("out")  # type: ignore[attr-defined]
    streams = hr.Streams(
        builder.build(),
        application_id="app",
        embedded_path=str(tmp_path / "app.db"),
        state_dir=str(tmp_path / "state"),
    )
    streams.on_uncaught(lambda error: "shutdown_application")
    log = EmbeddedLog.open(tmp_path / "app.db")
    log.create_topics([TopicSpec("lines", 1)])
    columns = Columns()
    columns.append(None, b"a line", 0, ())
    writer = log.writer("test")
    writer.append("lines", 0, columns)
    writer.commit({})
    log.close()
    with pytest.raises(
        ApplicationStoppedError, match=r"'app' stops, all instances of it: .*no_such_thing"
    ) as raised:
        serve(streams, StatusLine(is_quiet=True), started="")
    assert exit_code(raised.value) == 3
    assert streams.shuts_down_application
