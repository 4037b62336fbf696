"""`headrace run --workers N`: several processes that share one state directory, looked after by this one.

Each is an instance of its application; together they count as one process for whoever assigns tasks, and a task moves
from one to the other with its state as it lies. One that dies is started again: at once, and then at growing
intervals, so that one that cannot run does not keep the others from working by a rebalance a second.

# Invariant: no worker outlives this process for long: it stops when its reports are read no more. None is started while
# one of its number runs, which its lock sees to.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from headrace.base.errors import ApplicationStoppedError, HeadraceError
from headrace.cli.failure import MISTAKE, SHUT_DOWN
from headrace.cli.status import StatusLine
from headrace.cli.worker_reports import Report, read_report
from headrace.engine.status import together
from headrace.streams.config import Config
from headrace.streams.logs import open_log
from headrace.streams.options import APPLICATION_ID, STATE_DIR
from headrace.streams.process_id import kept_member_ids
from headrace.streams.signals import StopSignals

__all__ = ["WorkerFailedError", "run_workers"]

_REFRESH_SECONDS = 0.25

#: Time until a worker that has died again is started again, which doubles; and how long it has to run to be well.
_RESTART_SECONDS = (1.0, 30.0)
_WELL_SECONDS = 60.0

#: From this wait on, the others get its tasks meanwhile: its membership is ended for it.
_LEAVE_SECONDS = 2.0

_LAST_WORDS_SECONDS = 1.0

#: In what order the states of several workers count.
_WORST_FIRST = ("error", "pending_error", "created", "rebalancing", "pending_shutdown", "running")


class WorkerFailedError(HeadraceError):
    """A worker has ended with what no new start mends; it has said what."""


def run_workers(
    count: int, arguments: Sequence[str], config: Config, line: StatusLine, *, started: str
) -> None:
    """Run workers until a signal, or until all have ended well.

    `arguments` run `headrace run` as a worker, but for its number and where it reports to.

    Raises:
        WorkerFailedError: one has ended with what no new start mends; all others have stopped.
        ApplicationStoppedError: one has ended since all instances of the application are to; all others have stopped.
    """
    with StopSignals(farewell=line.farewell) as signals, line:
        workers = [_Worker(number, arguments, line.say) for number in range(1, count + 1)]
        line.say(started)
        failed = None
        try:
            while not signals.wait(_REFRESH_SECONDS):
                failed = next((each for each in workers if each.has_failed), None)
                if failed is not None or all(each.has_ended_well for each in workers):
                    break
                for worker in workers:
                    worker.look_after(time.monotonic(), config)
                _show(line, workers)
        finally:
            _stop(line, workers)
    if failed is None:
        return
    if failed.has_shut_down:
        raise ApplicationStoppedError(
            f"worker {failed.number} says above why all of the application stops; the other workers have stopped"
        )
    raise WorkerFailedError(
        f"worker {failed.number} cannot run, which it has said above; the others have stopped"
    )


def _show(line: StatusLine, workers: Sequence["_Worker"], state: str | None = None) -> None:
    reports = [worker.report for worker in workers if not worker.has_ended_well]
    statuses = [each.status for each in reports if each.status is not None]
    states = [each.state for each in reports]
    worst = next((each for each in _WORST_FIRST if each in states), "created")
    trouble = next((each.trouble for each in reports if each.trouble is not None), None)
    line.show(state or worst, together(statuses) if statuses else None, trouble)


def _stop(line: StatusLine, workers: Sequence["_Worker"]) -> None:
    """Let all commit and leave. Without a limit: a second signal ends this process, and with it all of them."""
    for worker in workers:
        worker.stop()
    while any(worker.is_alive for worker in workers):
        _show(line, workers, "stopping")
        time.sleep(_REFRESH_SECONDS / 5)
    for worker in workers:
        worker.hear_out()


class _Worker:
    """One process after the other, under one number."""

    def __init__(self, number: int, arguments: Sequence[str], say: Callable[[str], None]) -> None:
        self.number = number
        self._arguments = arguments
        self._say = say
        self._wait = 0.0
        self._restart_at: float | None = None
        self._start()

    def _start(self) -> None:
        reading, writing = os.pipe()
        self.report = Report("created", None)
        self._started = time.monotonic()
        try:
            # A session of its own: Ctrl-C on the terminal is for this process, which passes it on once.
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *self._arguments,
                    "--set",
                    f"worker.number={self.number}",
                    "--report-to",
                    str(writing),
                ],
                pass_fds=[writing],
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_reports, os.fdopen(reading, "rb")),
                (self._pass_on, self._process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def _read_reports(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.report = read_report(line) or self.report

    def _pass_on(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip("\n")
                # A line of JSON says itself which thread of which worker it is from.
                self._say(text if text.startswith("{") else f"[{self.number}] {text}")

    def hear_out(self) -> None:
        """Wait for the last that a process has said before it ended; not for what children of its own still say."""
        for reader in self._readers:
            reader.join(_LAST_WORDS_SECONDS)

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    @property
    def has_ended_well(self) -> bool:
        """Whether it has stopped by itself, and is not to be started again."""
        return self._process.poll() == 0

    @property
    def has_shut_down(self) -> bool:
        """Whether it has ended since all instances of the application are to."""
        return self._process.poll() == SHUT_DOWN

    @property
    def has_failed(self) -> bool:
        """Whether it has ended with what a new start would meet again, or for all of the application."""
        return self._process.poll() in (MISTAKE, SHUT_DOWN)

    def look_after(self, now: float, config: Config) -> None:
        """Start it again when it is time to, if it has died."""
        code = self._process.poll()
        if code is None or code in (0, MISTAKE, SHUT_DOWN):
            return
        if self._restart_at is None:
            self.hear_out()
            if now - self._started >= _WELL_SECONDS:
                self._wait = 0.0
            self._restart_at = now + self._wait
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            when = f"in {self._wait:.0f} s" if self._wait else "now"
            self._say(f"headrace: worker {self.number} has ended ({how}); it starts again {when}")
            if self._wait >= _LEAVE_SECONDS:
                _end_memberships(config, self.number, self._say)
            shortest, longest = _RESTART_SECONDS
            self._wait = min(longest, max(shortest, 2 * self._wait))
        if now >= self._restart_at:
            self._restart_at = None
            self._start()

    def stop(self) -> None:
        """Let it commit and leave."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)


def _end_memberships(config: Config, number: int, say: Callable[[str], None]) -> None:
    """Leave the group for a worker that will be away for a while: others need not wait for its sessions."""
    application_id = config.get(APPLICATION_ID)
    members = kept_member_ids(Path(config.get(STATE_DIR), application_id), number)
    if not members:
        return
    try:
        log = open_log(config)
        try:
            for member_id in members:
                log.groups.end_membership(application_id, member_id)
        finally:
            log.close()
    except HeadraceError as error:
        say(
            f"headrace: cannot leave the group for worker {number}, whose tasks wait for its session's end: {error}"
        )
