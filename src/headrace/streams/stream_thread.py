"""The thread of an application: runs workers until the last one has ended, then releases everything and tells."""

import logging
import threading
from collections.abc import Callable
from typing import Literal, TypeAlias

from headrace.base.callables import misfit
from headrace.base.errors import ProcessingError
from headrace.base.last_words import log_safely
from headrace.base.wording import wording
from headrace.engine.status import WorkerStatus
from headrace.engine.worker import STOP_SECONDS, Worker, is_left_undone
from headrace.log.port import Log
from headrace.streams.lock import ApplicationLock
from headrace.streams.states import Lifecycle, State

__all__ = ["StreamThread", "UncaughtHandler", "ensure_fits"]

_log = logging.getLogger("headrace.streams")

#: Decides what follows when a worker dies of an exception.
UncaughtHandler: TypeAlias = Callable[
    [Exception], Literal["replace_thread", "shutdown_client", "shutdown_application"]
]

_ANSWERS = ("replace_thread", "shutdown_client", "shutdown_application")


def ensure_fits(handler: UncaughtHandler) -> None:
    """Refuse what cannot be called with an exception.

    Raises:
        TypeError: it cannot, or is async.
    """
    problem = misfit(handler, ("error",))
    if problem is not None:
        raise TypeError(f"the handler of uncaught exceptions {problem}")


class StreamThread(threading.Thread):
    """Runs workers, a new one where the handler replaces one that died, or where topics have changed.

    # Invariant: whatever the user's code raises here (listeners, handlers, logging), log and lock are released and the
    # state is final when the thread ends: others wait for that (tests/streams/test_callbacks.py).

    A daemon: a program that forgets to close must still end. Nothing is lost by that, only done again, and `unattended`
    tells of it.

    Attributes:
        worker: the present one, or the last while the next one is made; None before the first is.
        killed_by: what ended the application, None where nothing did.
        is_paused: whether workers pause.
    """

    def __init__(
        self,
        application_id: str,
        make_worker: Callable[[Log, Callable[[WorkerStatus], None], Worker | None, threading.Event], Worker],
        *,
        log: Log,
        lock: ApplicationLock,
        life: Lifecycle,
        uncaught: UncaughtHandler,
        is_paused: bool,
    ) -> None:
        super().__init__(name=f"{application_id}-StreamThread-1", daemon=True)
        self._application_id = application_id
        self._make_worker = make_worker
        self.log = log
        self._lock = lock
        self._life = life
        self._uncaught = uncaught
        self._stopping = threading.Event()
        self._leaves_group = True
        self.worker: Worker | None = None
        self.killed_by: BaseException | None = None
        self.is_paused = is_paused

    def ask_to_stop(self, *, leave_group: bool) -> None:
        """Let the worker end after the record at hand; from any thread."""
        self._leaves_group = leave_group
        if (worker := self.worker) is not None:
            worker.leaves_group = leave_group
        self._stopping.set()
        self.log.hurry(STOP_SECONDS)

    @property
    def trouble(self) -> str | None:
        """What keeps it waiting, brokers or its group; None where nothing does. From any thread."""
        worker = self.worker
        return self.log.trouble or (None if worker is None else worker.trouble)

    def pause(self, paused: bool) -> None:
        """Let workers pause, or go on; from any thread."""
        self.is_paused = paused
        if (worker := self.worker) is not None:
            worker.pause() if paused else worker.resume()

    def abandon(self, error: BaseException) -> None:
        """End what was never started, because of an error."""
        self.killed_by = error
        self._release()
        self._end()

    def run(self) -> None:
        """Do all of it."""
        try:
            self._run_workers()
        except BaseException as error:
            self.killed_by = self.killed_by or _as_failure(error, "the application's thread")
        finally:
            self._release()
            self._end()

    def _run_workers(self) -> None:
        while True:
            error = self._run_worker()
            if error is None and self._stopping.is_set():
                return
            # One that ends well by itself has found other topics than it began with.
            if error is not None and not self._is_to_be_replaced(error):
                # A handler that failed in turn has left its own error, which is the newer truth.
                self.killed_by = self.killed_by or error
                return
            self._life.move("rebalancing")

    def _run_worker(self) -> Exception | None:
        try:
            worker = self._make_worker(self.log, self._on_status, self.worker, self._stopping)
        except BaseException as error:
            return None if is_left_undone(error, self._stopping) else _as_failure(error, "the worker")
        try:
            self.worker = worker
            self.pause(self.is_paused)
            worker.leaves_group = self._leaves_group
            worker.run()
        except BaseException as error:
            return _as_failure(error, "the worker")
        return None

    def _on_status(self, status: WorkerStatus) -> None:
        if status.state != "stopped":
            wanted: State = "running" if status.state == "running" else "rebalancing"
            if wanted != self._life.state:
                self._life.move(wanted)

    def _is_to_be_replaced(self, error: Exception) -> bool:
        if self._stopping.is_set():
            return False
        try:
            answer: object = self._uncaught(error)
        except BaseException as failure:
            log_safely(_log, logging.ERROR, "the handler of uncaught exceptions failed", exc_info=failure)
            failure.add_note(f"the worker had died of {wording(error)}")
            self.killed_by = _as_failure(failure, "the handler of uncaught exceptions")
            return False
        if answer not in _ANSWERS:
            log_safely(
                _log,
                logging.ERROR,
                "the handler of uncaught exceptions returned %r, which is none of %s: the application stops",
                answer,
                ", ".join(_ANSWERS),
            )
        return answer == "replace_thread"

    def _release(self) -> None:
        for release in (self.log.close, self._lock.release):
            try:
                release()
            except BaseException as error:
                if self.killed_by is None:
                    self.killed_by = _as_failure(error, "closing the log")
                else:
                    log_safely(_log, logging.ERROR, "closing failed as well", exc_info=error)

    def _end(self) -> None:
        error = self.killed_by
        if error is None:
            self._life.move("pending_shutdown")
            self._life.move("not_running")
            return
        log_safely(_log, logging.ERROR, "application %r stops: %s", self._application_id, error)
        if self._life.move("pending_error"):
            self._life.move("error")
        else:
            # It was being closed when it died: it ends as closed, and whoever waits still gets the error.
            self._life.move("not_running")


def _as_failure(error: BaseException, where: str) -> Exception:
    """Return what can be raised where somebody waits: `sys.exit()` would end the program as if all were well."""
    if isinstance(error, Exception):
        return error
    ended = ProcessingError(f"the application was ended from inside, in {where}: {wording(error)}")
    ended.__cause__ = error
    return ended
