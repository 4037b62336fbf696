"""One stream thread of an application: runs workers, one after the other, until the last one has ended."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from headrace.base.callables import misfit
from headrace.base.errors import ApplicationStoppedError, ProcessingError
from headrace.base.last_words import log_safely
from headrace.base.wording import wording
from headrace.engine.status import WorkerStatus
from headrace.engine.worker import Worker, is_left_undone

__all__ = ["MakeWorker", "StreamThread", "UncaughtHandler", "as_failure", "ensure_fits"]

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


class MakeWorker(Protocol):
    """Makes the workers of one thread."""

    def __call__(
        self, on_status: Callable[[WorkerStatus], None], follows: Worker | None, stop: threading.Event
    ) -> Worker:
        """Make a worker; one that `follows` another goes on from what that one knew."""


class StreamThread(threading.Thread):
    """Runs workers, a new one where the handler replaces one that died, or where topics have changed.

    # Invariant: whatever the user's code raises here (handlers, logging), `ended` is called, last of all.

    A daemon: a program that forgets to close must still end. Nothing is lost by that, only done again, and `unattended`
    tells of it.

    Attributes:
        worker: the present one, or the last while the next one is made; None before the first is.
        killed_by: what ended it, None where nothing did.
        shuts_down_application: whether it ended since all instances are to, by its handler's word or another's.
        is_running: whether all tasks of its worker are restored and process.
        deaths: how many workers have died.
        started_ms: when it was made (epoch).
    """

    def __init__(
        self,
        name: str,
        make_worker: MakeWorker,
        *,
        uncaught: UncaughtHandler,
        changed: Callable[[], None],
        ended: Callable[["StreamThread"], None],
        is_paused: bool,
    ) -> None:
        """`changed` is told when `is_running` may have changed, `ended` at the end; both in this thread."""
        super().__init__(name=name, daemon=True)
        self._make_worker = make_worker
        self._uncaught = uncaught
        self._changed = changed
        self._ended = ended
        self._stopping = threading.Event()
        self._leaves_group = True
        self._leaves_for_good = False
        self._is_paused = is_paused
        self._death: tuple[Exception, object] | None = (
            None  # what the present worker died of, and what follows
        )
        self.worker: Worker | None = None
        self.killed_by: BaseException | None = None
        self.shuts_down_application = False
        self.is_running = False
        self.deaths = 0
        self.started_ms = time.time_ns() // 1_000_000

    def ask_to_stop(self, *, leave_group: bool, for_good: bool = False) -> None:
        """Let the worker end after the record at hand, for good if nobody follows under its number. From any thread."""
        self._leaves_group, self._leaves_for_good = leave_group, for_good
        if (worker := self.worker) is not None:
            worker.leaves_group, worker.leaves_for_good = leave_group, for_good
        self._stopping.set()

    def pause(self, paused: bool) -> None:
        """Let workers pause, or go on; from any thread."""
        self._is_paused = paused
        if (worker := self.worker) is not None:
            worker.pause() if paused else worker.resume()

    def run(self) -> None:
        """Do all of it."""
        try:
            self._run_workers()
        except BaseException as error:
            self.killed_by = self.killed_by or as_failure(error, "the application's thread")
        finally:
            self.is_running = False
            self._ended(self)

    def _run_workers(self) -> None:
        while True:
            error = self._run_worker()
            if error is None and self._stopping.is_set():
                return
            self.deaths += error is not None
            # One that ends well by itself has found other topics than it began with.
            if error is not None and self._answer_to(error) != "replace_thread":
                # A handler that failed in turn has left its own error, which is the newer truth.
                self.killed_by = self.killed_by or error
                return
            self.is_running = False
            self._changed()

    def _run_worker(self) -> Exception | None:
        try:
            worker = self._make_worker(self._on_status, self.worker, self._stopping)
        except BaseException as error:
            return None if is_left_undone(error, self._stopping) else as_failure(error, "the worker")
        try:
            self.worker, self._death = worker, None
            self.pause(self._is_paused)
            worker.leaves_group, worker.leaves_for_good = self._leaves_group, self._leaves_for_good
            worker.stops_all = self._stops_all
            worker.run()
        except BaseException as error:
            return as_failure(error, "the worker") if self._death is None else self._death[0]
        return None

    def _stops_all(self, reason: BaseException) -> bool:
        """Ask the handler while the worker is still a member of its group, which hears of it where that is wanted."""
        error = as_failure(reason, "the worker")
        self._death = error, self._answer_to(error)
        return self._death[1] == "shutdown_application"

    def _on_status(self, status: WorkerStatus) -> None:
        if status.state != "stopped":
            self.is_running = status.state == "running"
            self._changed()

    def _answer_to(self, error: Exception) -> object:
        """Return what the handler says, which is asked once about each death."""
        if self._death is not None and self._death[0] is error:
            return self._death[1]
        if isinstance(error, ApplicationStoppedError):
            self.shuts_down_application = True
            return "shutdown_client"
        if self._stopping.is_set():
            return "shutdown_client"
        try:
            answer: object = self._uncaught(error)
        except BaseException as failure:
            log_safely(_log, logging.ERROR, "the handler of uncaught exceptions failed", exc_info=failure)
            failure.add_note(f"the worker had died of {wording(error)}")
            self.killed_by = as_failure(failure, "the handler of uncaught exceptions")
            return "shutdown_client"
        if answer not in _ANSWERS:
            log_safely(
                _log,
                logging.ERROR,
                "the handler of uncaught exceptions returned %r, which is none of %s: the application stops",
                answer,
                ", ".join(_ANSWERS),
            )
        self.shuts_down_application = answer == "shutdown_application"
        return answer


def as_failure(error: BaseException, where: str) -> Exception:
    """Return what can be raised where somebody waits: `sys.exit()` would end the program as if all were well."""
    if isinstance(error, Exception):
        return error
    ended = ProcessingError(f"the application was ended from inside, in {where}: {wording(error)}")
    ended.__cause__ = error
    return ended
