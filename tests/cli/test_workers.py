"""`headrace run --workers`: what it makes of its options, and of workers that end; on brokers: tests/kafka/broker."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.errors import ApplicationStoppedError
from headrace.base.ids import TaskId
from headrace.cli.run import worker_arguments
from headrace.cli.status import StatusLine
from headrace.cli.worker_reports import Report, ReportLine, read_report
from headrace.cli.workers import WorkerFailedError, run_workers
from headrace.engine.status import TaskStatus, WorkerStatus
from tests.cli.conftest import Command

CONFIG = hr.Config(application_id="shop", bootstrap_servers="127.0.0.1:1")


class Line(StatusLine):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(is_quiet=True)
        self.said: list[str] = []
        self.shown: list[tuple[str, int]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, state: str, status: WorkerStatus | None, trouble: str | None = None) -> None:
        self.shown.append((state, 0 if status is None else status.records))


def program(folder: Path, body: str) -> list[str]:
    """A worker that is none: it knows its number, and where to report to."""
    file = folder / "worker.py"
    file.write_text(
        "import os, signal, sys, time\n"
        "number, pipe = sys.argv[2].partition('=')[2], int(sys.argv[4])\n"
        "def report(state, records):\n"
        '    status = \'{"state": "running", "records": %d}\' % records\n'
        '    os.write(pipe, (\'{"state": "%s", "status": %s}\\n\' % (state, status)).encode())\n' + body
    )
    return [str(file)]


def stopped_when(condition: Callable[[], bool]) -> threading.Thread:
    """Send this process the signal that it is asked to stop by, when something has come to be."""

    def wait() -> None:
        deadline = time.monotonic() + 20
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


WORKS = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    report("running", 10 * int(number))
    time.sleep(0.01)
"""


def test_the_status_of_all_is_shown_together_until_a_signal_stops_them(tmp_path: Path) -> None:
    line = Line()
    thread = stopped_when(lambda: ("running", 30) in line.shown)
    run_workers(2, program(tmp_path, WORKS), CONFIG, line, started="begun")
    thread.join()
    assert line.said[0] == "begun"
    assert line.shown[-1][0] in ("stopping", "running")


def test_one_that_dies_is_started_again_at_once_and_then_later_and_later(tmp_path: Path) -> None:
    line = Line()
    thread = stopped_when(lambda: any("in 1 s" in each for each in line.said))
    run_workers(
        1, program(tmp_path, "print('dies', file=sys.stderr)\nsys.exit(7)\n"), CONFIG, line, started=""
    )
    thread.join()
    told = [each for each in line.said if each.startswith("headrace")]
    assert told[0] == "headrace: worker 1 has ended (exit code 7); it starts again now"
    assert told[1] == "headrace: worker 1 has ended (exit code 7); it starts again in 1 s"
    assert "[1] dies" in line.said


def test_a_signal_that_kills_one_is_named(tmp_path: Path) -> None:
    line = Line()
    thread = stopped_when(lambda: any("SIGKILL" in each for each in line.said))
    run_workers(1, program(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)\n"), CONFIG, line, started="")
    thread.join()


def test_all_stop_when_one_meets_what_a_new_start_would_meet_again(tmp_path: Path) -> None:
    body = "if number == '2': sys.exit(2)\n" + WORKS
    with pytest.raises(WorkerFailedError, match="worker 2 cannot run"):
        run_workers(3, program(tmp_path, body), CONFIG, Line(), started="")


def test_all_stop_for_good_when_one_has_shut_the_application_down(tmp_path: Path) -> None:
    body = "if number == '1': sys.exit(3)\n" + WORKS
    line = Line()
    with pytest.raises(ApplicationStoppedError, match="worker 1 says above why all of the application stops"):
        run_workers(2, program(tmp_path, body), CONFIG, line, started="")
    assert not any("starts again" in each for each in line.said)


def test_it_ends_when_all_have_ended_well(tmp_path: Path) -> None:
    run_workers(2, program(tmp_path, "sys.exit(0)\n"), CONFIG, Line(), started="")


@pytest.mark.parametrize(
    "given", [["run", "--workers", "4", "a:b", "--quiet"], ["run", "a:b", "--workers=4", "--quiet"]]
)
def test_a_worker_gets_the_options_of_the_command_but_for_their_number(given: list[str]) -> None:
    assert worker_arguments(given) == ["run", "a:b", "--quiet"]


def test_a_report_comes_through_as_it_was() -> None:
    reading, writing = os.pipe()
    status = WorkerStatus("running", records=3, tasks=(TaskStatus(TaskId(0, 1), "restoring", remaining=5),))
    ReportLine(writing).show("running", status, "brokers are away")
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert read_report(stream.readline()) == Report("running", status, "brokers are away")
    assert read_report(b'{"state": "runn') is None
    assert read_report(b'{"state": "\xff"}') is None


def test_a_worker_whose_reports_nobody_reads_asks_itself_to_stop_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda process, number: sent.append(number))
    line = ReportLine(writing)
    line.show("running", None)
    line.show("running", None)
    os.close(writing)
    assert sent == [signal.SIGTERM]


def test_workers_are_refused_on_an_embedded_log(words: Path, command: Command) -> None:
    ran = command("run", "words:build", "--workers", "2", "--embedded", "a.db")
    assert (ran.code, "--workers is for Kafka" in ran.err) == (2, True)
    ran = command("run", "words:build", "--set", "worker.number=1", "--embedded", "a.db")
    assert (ran.code, "worker.number is for Kafka" in ran.err) == (2, True)
