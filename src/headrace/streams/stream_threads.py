"""The stream threads of an application: how they come and go, what they are together, and what follows their end."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from headrace.base.errors import ApplicationStoppedError, StoreUnavailableError
from headrace.base.last_words import log_safely
from headrace.engine.status import WorkerStatus, together
from headrace.engine.store_read import StoreRead
from headrace.engine.task_places import TaskPlaces
from headrace.engine.work_history import SAMPLE_SECONDS, SAMPLES_MAX, WorkSample, merged
from headrace.engine.worker import STOP_SECONDS, Worker
from headrace.log.port import Log
from headrace.query.changes import Watcher
from headrace.streams.lock import ApplicationLock
from headrace.streams.states import Lifecycle, State
from headrace.streams.stream_thread import StreamThread, UncaughtHandler, as_failure
from headrace.streams.worker_factory import WorkerFactory

__all__ = ["StreamThreads"]

_log = logging.getLogger("headrace.streams")


class StreamThreads:
    """From any thread.

    The application is running when each of its threads is. When one dies that is not replaced, all others stop: an
    application with half of its threads would look well and fall behind.

    # Invariant: when the last thread has ended that was to end, log and lock are released and the state is final,
    # whatever the user's code raises (tests/streams/test_callbacks.py): others wait for that.

    Attributes:
        killed_by: what ended the application, None where nothing did.
        shuts_down_application: whether all instances of the application are to end.
    """

    def __init__(
        self,
        application_id: str,
        factory: WorkerFactory,
        *,
        log: Log,
        lock: ApplicationLock,
        life: Lifecycle,
        uncaught: UncaughtHandler,
        is_paused: bool,
    ) -> None:
        self._application_id = application_id
        self._factory = factory
        self._log = log
        self._lock = lock
        self._life = life
        self._uncaught = uncaught
        self._is_paused = is_paused
        self._guard = threading.RLock()
        self._threads: dict[int, StreamThread] = {}  # those that are there, by their numbers from 1
        self._started: list[StreamThread] = []  # also those that are ending
        self._past: list[WorkerStatus] = []  # last figures of those that have gone
        self._past_deaths = 0
        self._past_samples: Sequence[WorkSample] = ()
        self._is_ending = False
        self._is_over = False
        self.killed_by: BaseException | None = None
        self.shuts_down_application = False
        #: Reads changes of stores for who watches them.
        self.watcher = Watcher(log, f"{application_id}-watcher")

    # ── coming and going ─────────────────────────────────────────────────────────────────────────────────────────

    def start(self, count: int) -> None:
        """Begin with so many."""
        for _ in range(count):
            self.add()

    def add(self) -> str | None:
        """Start one more, under the smallest number that is free; return its name, None where all are ending."""
        with self._guard:
            if self._is_ending:
                return None
            number = next(each for each in range(1, len(self._threads) + 2) if each not in self._threads)
            thread = StreamThread(
                f"{self._application_id}-StreamThread-{self._factory.name_of(number)}",
                partial(self._factory.make, number),
                uncaught=self._uncaught,
                changed=self._changed,
                ended=partial(self._ended, number),
                is_paused=self._is_paused,
            )
            thread.start()  # where it cannot, nothing has changed; it waits for the guard before it ends
            self._threads[number] = thread
            self._started = [*(each for each in self._started if each.is_alive()), thread]
        return thread.name

    def remove(self, timeout_s: float | None) -> str | None:
        """Stop the one that came last, and return its name; None where there is none, or all are ending.

        Raises:
            TimeoutError: it has not ended in time; it does when the record at hand is done.
        """
        with self._guard:
            if self._is_ending or not self._threads:
                return None
            own = threading.current_thread()
            thread = next((each for each in reversed(self._threads.values()) if each is not own), own)
            assert isinstance(thread, StreamThread)
            thread.ask_to_stop(leave_group=True, for_good=True)
        if thread is not own:
            thread.join(timeout_s)
            if thread.is_alive():
                raise TimeoutError(f"{thread.name} did not stop within {timeout_s} s")
        return thread.name

    def ask_to_stop(self, *, leave_group: bool) -> None:
        """Let all workers end after the record at hand."""
        with self._guard:
            self._is_ending = True
            threads = list(self._threads.values())
        for thread in threads:
            thread.ask_to_stop(leave_group=leave_group)
        self._log.hurry(STOP_SECONDS)
        if not threads:
            self._end()

    def abandon(self, error: BaseException) -> None:
        """End what was never started, because of an error."""
        self.killed_by = error
        self.ask_to_stop(leave_group=True)

    def pause(self, paused: bool) -> None:
        """Let workers pause, or go on."""
        with self._guard:
            self._is_paused = paused
            for thread in self._threads.values():
                thread.pause(paused)

    def join(self, timeout_s: float | None) -> None:
        """Wait until all have ended, with the listeners that they call."""
        for thread in self._started:
            thread.join(timeout_s)

    @property
    def is_own(self) -> bool:
        """Whether the caller runs in one of them."""
        return threading.current_thread() in self._started

    # ── what follows, in the threads ─────────────────────────────────────────────────────────────────────────────

    def _changed(self) -> None:
        with self._guard:
            is_running = all(thread.is_running for thread in self._threads.values())
            wanted: State = "running" if is_running else "rebalancing"
            has_moved = wanted != self._life.state and self._life.change(wanted)
        if has_moved:
            self._life.tell()

    def _ended(self, number: int, thread: StreamThread) -> None:
        with self._guard:
            del self._threads[number]
            self._past_deaths += thread.deaths
            if thread.worker is not None:
                self._past.append(thread.worker.status())
                self._past_samples = self._history([thread.worker])
            self.shuts_down_application |= thread.shuts_down_application
            is_first_death = thread.killed_by is not None and self.killed_by is None
            if is_first_death:
                self._is_ending = True
            # One that was told to stop by another one may be the first to end: the other knows the reason.
            if self.killed_by is None or isinstance(self.killed_by, ApplicationStoppedError):
                self.killed_by = thread.killed_by or self.killed_by
            is_last = self._is_ending and not self._threads
        if is_first_death:
            log_safely(
                _log, logging.ERROR, "application %r stops: %s", self._application_id, thread.killed_by
            )
            # Where it was being closed it ends as closed, and whoever waits still gets the error.
            self._life.move("pending_error")
            self.ask_to_stop(leave_group=True)
        if is_last:
            self._end()
        elif not self._is_ending:
            self._changed()

    def _end(self) -> None:
        with self._guard:
            if self._is_over or self._threads:
                return
            self._is_over = True
        for release in (self.watcher.close, self._factory.close, self._log.close, self._lock.release):
            try:
                release()
            except BaseException as error:
                if self.killed_by is None:
                    self.killed_by = as_failure(error, "closing the log")
                else:
                    log_safely(_log, logging.ERROR, "closing failed as well", exc_info=error)
        if self.killed_by is not None:
            self._life.move("pending_error")
        if self._life.state == "pending_error":
            self._life.move("error")
            return
        self._life.move("pending_shutdown")
        self._life.move("not_running")

    # ── what they are together ───────────────────────────────────────────────────────────────────────────────────

    @property
    def workers(self) -> Sequence[Worker]:
        """Those that are there now."""
        threads = list(self._threads.values())
        return [thread.worker for thread in threads if thread.worker is not None]

    def status(self) -> WorkerStatus | None:
        """Return the figures of all, with those of threads that have gone; None before there are any."""
        with self._guard:
            found = [*self._past, *(worker.status() for worker in self.workers)]
        return together(found) if found else None

    @property
    def threads(self) -> Sequence[StreamThread]:
        """Those that are there now."""
        return list(self._threads.values())

    @property
    def deaths(self) -> int:
        """How many workers have died since the start."""
        with self._guard:
            return self._past_deaths + sum(each.deaths for each in self._threads.values())

    @property
    def process_id(self) -> str:
        """What the group knows the process by; empty before the first worker."""
        return self._factory.process_id

    def history(self) -> Sequence[WorkSample]:
        """Return what all did in the last hour, also those that have gone, the oldest sample first."""
        with self._guard:
            return self._history(self.workers)

    def _history(self, workers: Sequence[Worker]) -> Sequence[WorkSample]:
        now = time.monotonic()
        oldest = now // SAMPLE_SECONDS - SAMPLES_MAX
        found = merged([self._past_samples, *(each.reporting.history.samples(now) for each in workers)])
        return [each for each in found if each.number > oldest]

    @property
    def log(self) -> Log:
        """The log that they run on; it is closed when the last one ends."""
        return self._log

    def by_thread(self) -> Mapping[str, WorkerStatus | None]:
        """Return the figures of each thread that is there, by its name."""
        return {
            thread.name: None if thread.worker is None else thread.worker.status()
            for thread in list(self._threads.values())
        }

    @property
    def trouble(self) -> str | None:
        """What they wait for, brokers or their group; None where they wait for nothing."""
        if self._log.trouble is not None:
            return self._log.trouble
        return next((worker.trouble for worker in self.workers if worker.trouble is not None), None)

    @property
    def places(self) -> TaskPlaces | None:
        """Where the tasks of the application run; None before the first worker."""
        return self._factory.places

    def read(self, store: str, partition: int, *, committed: bool) -> StoreRead | None:
        """Return what can be read of a store's partition, if its task runs here.

        Raises:
            StoreUnavailableError: it is a global store that is not up to date yet.
        """
        found = (worker.read(store, partition, committed=committed) for worker in self.workers)
        return next((each for each in found if each is not None), None)

    def followed(self, store: str, partition: int) -> StoreRead | None:
        """Return what can be read of a store's partition, if its task is followed here."""
        found = (worker.followed(store, partition) for worker in self.workers)
        return next((each for each in found if each is not None), None)

    def query(self, store: str, *, committed: bool = False) -> Mapping[int, Any]:
        """Return the read-only stores of this name by partition, of the tasks that run here.

        Raises:
            StoreUnavailableError: a task that has the store is still restoring, or none is here now.
        """
        found: dict[int, Any] = {}
        for worker in self.workers:
            found.update(worker.query(store, committed=committed))
        if not found:
            raise StoreUnavailableError(
                f"store '{store}' is in no task now, since tasks are being made; try again"
            )
        return found
