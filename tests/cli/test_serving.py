"""What a signal means while an application runs in the foreground."""

import os
import signal
from pathlib import Path

import headrace as hr
from headrace.cli.serving import serve
from headrace.cli.status import StatusLine


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
