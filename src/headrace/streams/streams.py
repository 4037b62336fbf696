"""`Streams`: runs a topology. Wires configuration, lock, log and worker, and keeps their common life."""

import asyncio
import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, overload

from typing_extensions import TypeVar, Unpack

from headrace.base.callables import misfit
from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import StateError, StoreUnavailableError, TopologyError
from headrace.engine.clock import SystemClock
from headrace.engine.options import EngineOptions
from headrace.engine.status import WorkerStatus
from headrace.engine.worker import STOP_SECONDS, Worker
from headrace.log.port import Log
from headrace.query.local import QueryOptions, local_view, store_name
from headrace.state.declaration import Store
from headrace.state.typed_stores import KeyValueStore, ReadOnlyKeyValueStore, ReadOnlyWindowStore, WindowStore
from headrace.streams.config import Config, ConfigFields
from headrace.streams.guarantee import engine_values, transaction_timeout_ms, transactional_id
from headrace.streams.lock import ApplicationLock
from headrace.streams.logs import address_of, open_log
from headrace.streams.options import APPLICATION_ID, STATE_DIR
from headrace.streams.signals import StopSignals
from headrace.streams.states import FINAL, Lifecycle, State, StateListener
from headrace.topology.topology import Topology

__all__ = ["Streams", "UncaughtHandler"]

K = TypeVar("K")
V = TypeVar("V")

_log = logging.getLogger("headrace.streams")

#: Decides what follows when a worker dies of an exception.
UncaughtHandler: TypeAlias = Callable[
    [Exception], Literal["replace_thread", "shutdown_client", "shutdown_application"]
]

_LOCK_FILE = ".lock"


class Streams:
    """Runs a topology: `with` starts and stops it; `run()` is `with`, signals and waiting, for a program of its own.

    Arguments are properties (see `ConfigFields`); beside a `Config` they are what code says, so that file, environment
    and flags of that `Config` win over them. Safe to use from several threads. Once stopped it does not start again.

    Raises:
        ConfigError: a property is unknown or impossible, `application.id` is missing, or no log is named.
        TopologyError: `topology` is none, but its builder, say.
    """

    def __init__(
        self, topology: Topology, config: Config | None = None, **fields: Unpack[ConfigFields]
    ) -> None:
        if not isinstance(topology, Topology):
            raise TopologyError(
                f"cannot run a {type(topology).__qualname__}: a Topology is wanted, such as builder.build() gives"
            )
        self._topology = topology
        self._config = (config or Config()).with_fields(**fields)
        self._application_id = self._config.get(APPLICATION_ID)
        self._state_directory = Path(self._config.get(STATE_DIR), self._application_id)
        self._address = address_of(self._config)
        self._options = EngineOptions.of(engine_values(self._config))
        self._life = Lifecycle()
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._uncaught: UncaughtHandler = lambda error: "shutdown_client"
        self._killed_by: BaseException | None = None
        self._paused = False
        # There from start() on.
        self._worker: Worker | None = None
        self._log: Log | None = None
        self._thread: threading.Thread | None = None

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> State:
        """Where the application is: created, rebalancing, running, pending_shutdown, not_running, or on to error."""
        return self._life.state

    @property
    def application_id(self) -> str:
        """The application's id."""
        return self._application_id

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    def start(self) -> None:
        """Lock the application, open its log, and start the worker's thread; does not wait until it is running.

        Raises:
            StateError: it was started before.
            AlreadyRunningError: another process runs this application. Nothing has started.
            LogError: the log cannot be opened. Nothing has started.
        """
        with self._starting:
            if self.state != "created":
                raise StateError(
                    f"cannot start {self._application_id!r}: it is {self.state}; make a new Streams"
                )
            lock = self._application_lock()
            lock.acquire()
            try:
                log = open_log(self._config)
            except BaseException:
                lock.release()
                raise
            self._log = log
            self._life.move("rebalancing")
            # A daemon: a program that forgets to close must still end. Nothing is lost by that, only done again.
            self._thread = threading.Thread(
                target=self._work,
                args=(log, lock),
                name=f"{self._application_id}-StreamThread-1",
                daemon=True,
            )
            self._thread.start()

    def close(self, *, timeout: Duration | None = "30s", leave_group: bool = True) -> None:
        """Stop after the record at hand, commit, and release everything. Does not raise what killed the worker.

        Brokers that do not answer are waited for a few seconds; without them the last commit stands, and the next start
        does again what came after it.

        Called from the worker's own thread (a listener, user code) it only asks for the stop. Twice is fine.
        `timeout=None` waits as long as it takes. `leave_group` means something on Kafka only.

        Raises:
            TimeoutError: user code held the worker for longer than `timeout`; it still stops when that returns.
        """
        timeout_s = _seconds(timeout)
        with self._starting:
            never_started = self.state == "created"
            if self.state not in FINAL:
                self._life.move("pending_shutdown")
            self._stop.set()
            if self._log is not None:
                self._log.hurry(STOP_SECONDS)
        if never_started:
            self._life.move("not_running")
            return
        if threading.current_thread() is self._thread:
            return
        if not self._life.wait_for(FINAL, timeout_s):
            raise TimeoutError(f"application {self._application_id!r} did not stop within {timeout}")
        if self._thread is not None:
            # The last listeners may still run in it; a program that ends now would cut them off.
            self._thread.join(timeout_s)

    def wait(self, timeout: Duration | None = None) -> None:
        """Block until the application has stopped; raise what killed it.

        Raises:
            TimeoutError: it still runs after `timeout`.
        """
        if not self._life.wait_for(FINAL, _seconds(timeout)):
            raise TimeoutError(f"application {self._application_id!r} still runs after {timeout}")
        self._raise_killer()

    def wait_running(self, timeout: Duration | None = None) -> None:
        """Block until all tasks are restored and process; raise what killed the application instead.

        Raises:
            StateError: it was closed before.
            TimeoutError: it is not running after `timeout`.
        """
        if not self._life.wait_for(frozenset({"running", "pending_shutdown", *FINAL}), _seconds(timeout)):
            raise TimeoutError(f"application {self._application_id!r} is {self.state} after {timeout}")
        if self.state != "running":
            self._life.wait_for(FINAL, _seconds(timeout))
            self._raise_killer()
            raise StateError(f"application {self._application_id!r} was closed before it was running")

    def run(self) -> None:
        """Start, wait for the end, and raise what killed it. Only for the main thread.

        The first SIGTERM or SIGINT lets it drain, commit and leave; the second abandons it.

        Raises:
            StateError: called outside of the main thread.
        """
        with StopSignals() as signals:
            self.on_state_change(lambda new, old: signals.wake() if new in FINAL else None)
            self.start()
            while self.state not in FINAL and not signals.wait():
                pass
            # No limit: whoever sent the signal has one, and can send another.
            self.close(timeout=None)
        self._raise_killer()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if error is None:
            self._raise_killer()
        elif self._killed_by is not None and self._killed_by is not error:
            error.add_note(f"application {self._application_id!r} had died of: {self._killed_by}")

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    def pause(self) -> None:
        """Stop processing and punctuation after the record at hand, until `resume`; tasks stay."""
        self._pause(True)

    def resume(self) -> None:
        """Undo `pause`."""
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        if (worker := self._worker) is not None:
            worker.pause() if paused else worker.resume()

    @property
    def is_paused(self) -> bool:
        """Whether `pause` is in force."""
        return self._paused

    def clean_up(self) -> None:
        """Delete the application's local state; the next start restores it from the changelogs.

        Raises:
            StateError: it is not stopped.
            AlreadyRunningError: another process runs it.
        """
        if self.state not in ("created", *FINAL):
            raise StateError(
                f"cannot clean up {self._application_id!r} while it is {self.state}; close it first"
            )
        if not self._state_directory.exists():
            return
        lock = self._application_lock()
        lock.acquire()
        try:
            for entry in sorted(self._state_directory.iterdir()):
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name != _LOCK_FILE:
                    entry.unlink()
        finally:
            lock.release()

    # ── listeners ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_state_change(self, listener: StateListener) -> None:
        """Call `listener(new, old)` at every change of state, in the thread that makes it.

        Raises:
            TypeError: it cannot be called so, or is async.
        """
        problem = misfit(listener, ("new", "old"))
        if problem is not None:
            raise TypeError(f"the listener {problem}")
        self._life.listen(listener)

    def on_uncaught(self, handler: UncaughtHandler) -> None:
        """Let `handler` decide what follows when the worker dies; without one the application stops.

        `replace_thread` builds a new worker from what was committed; the other two stop this application. Runs in the
        worker's thread. What the handler itself raises stops the application in place of the first error.

        Raises:
            StateError: the application has started.
            TypeError: it cannot be called with an exception, or is async.
        """
        problem = misfit(handler, ("error",))
        if problem is not None:
            raise TypeError(f"the handler of uncaught exceptions {problem}")
        if self.state != "created":
            raise StateError(
                f"cannot set the handler of {self._application_id!r}: it is {self.state}; set it before start()"
            )
        self._uncaught = handler

    # ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def status(self) -> WorkerStatus | None:
        """Return the worker's figures; None before the start."""
        worker = self._worker
        return None if worker is None else worker.status()

    @property
    def trouble(self) -> str | None:
        """What the application waits for while its brokers do not answer, for people to read; None if all is well."""
        return None if self._log is None else self._log.trouble

    def metrics(self) -> Mapping[str, float]:
        """Return figures of the worker by Kafka Streams' names of them (thread level); empty before the start."""
        status = self.status()
        if status is None:
            return {}
        return {
            "process-total": float(status.records),
            "process-rate": status.records_per_second,
            "records-lag": float(status.lag_records),
            "dropped-records-total": float(status.dropped),
            "commit-total": float(status.commits),
            "commit-latency-avg": status.commit_ms_average,
            "commit-latency-max": status.commit_ms_max,
            "restore-total": float(status.restored),
            "active-task-count": float(len(status.tasks)),
            "restoring-task-count": float(sum(task.state == "restoring" for task in status.tasks)),
        }

    def lags(self) -> Mapping[str, Mapping[int, int]]:
        """Return how many changelog records are still to be restored for each store's partition; 0 once it runs.

        All stores of a task are restored together, so each has the figure of its task."""
        status = self.status()
        lags: dict[str, dict[int, int]] = {}
        for task in () if status is None else status.tasks:
            for store in self._topology.subtopologies[task.id.subtopology].stores:
                lags.setdefault(store.name, {})[task.id.partition] = task.remaining
        return lags

    # ── queries ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @overload
    def query(
        self, store: Store[KeyValueStore[K, V]], **how: Unpack[QueryOptions]
    ) -> ReadOnlyKeyValueStore[K, V]: ...
    @overload
    def query(
        self, store: Store[WindowStore[K, V]], **how: Unpack[QueryOptions]
    ) -> ReadOnlyWindowStore[K, V]: ...
    @overload
    def query(self, store: str, **how: Unpack[QueryOptions]) -> Any: ...
    def query(self, store: Store[Any] | str, **how: Unpack[QueryOptions]) -> Any:
        """Return a read-only view of a store over all its partitions, as of now: it also sees what waits for a commit.

        The view stays good: each call on it asks the partitions that are here then.

        Raises:
            TopologyError: the topology has no such store.
            StoreUnavailableError: not started, restoring, or stopped: retry later, or give up where it has stopped.
        """
        name = store_name(self._topology, store)
        return local_view(self._topology.stores[name], lambda: self._partitions(name), how)

    def _partitions(self, name: str) -> Mapping[int, Any]:
        worker = self._worker
        if worker is None or self.state not in ("rebalancing", "running"):
            hint = "; start it, and wait_running()" if self.state == "created" else ""
            raise StoreUnavailableError(
                f"cannot query store {name!r}: application {self._application_id!r} is {self.state}{hint}"
            )
        return worker.query(name)

    # ── the worker's thread ─────────────────────────────────────────────────────────────────────────────────────────

    def _work(self, log: Log, lock: ApplicationLock) -> None:
        """Run workers until one ends well or the handler gives up; then release everything and tell the world."""
        try:
            while (error := self._run_worker(log)) is not None:
                if not isinstance(error, Exception) or not self._is_to_be_replaced(error):
                    # A handler that failed in turn has left its own error, which is the newer truth.
                    self._killed_by = self._killed_by or error
                    break
                self._life.move("rebalancing")
        finally:
            try:
                log.close()
            finally:
                lock.release()
                self._finish()

    def _run_worker(self, log: Log) -> BaseException | None:
        try:
            worker = Worker(
                self._topology,
                log,
                self._options,
                application_id=self._application_id,
                state_dir=self._state_directory,
                clock=SystemClock(),
                on_status=self._on_status,
                transactional_id=transactional_id(self._config),
                transaction_timeout_ms=transaction_timeout_ms(self._config),
            )
            self._worker = worker
            self._pause(self._paused)
            worker.run(self._stop)
        except BaseException as error:
            # Whatever it is, it has to reach the thread that waits.
            return error
        return None

    def _on_status(self, status: WorkerStatus) -> None:
        if status.state in ("restoring", "running"):
            wanted: State = "running" if status.state == "running" else "rebalancing"
            if wanted != self.state:
                self._life.move(wanted)

    def _is_to_be_replaced(self, error: Exception) -> bool:
        if self._stop.is_set():
            return False
        try:
            answer = self._uncaught(error)
        except Exception as failure:
            _log.exception("the handler of uncaught exceptions failed")
            self._killed_by = failure
            return False
        return answer == "replace_thread"

    def _finish(self) -> None:
        if self._killed_by is None:
            self._life.move("pending_shutdown")
            self._life.move("not_running")
            return
        _log.error("application %r stops: %s", self._application_id, self._killed_by)
        if self._life.move("pending_error"):
            self._life.move("error")
        else:
            # It was being closed when it died: it ends as closed, and whoever waits still gets the error.
            self._life.move("not_running")

    def _raise_killer(self) -> None:
        if self._killed_by is not None:
            raise self._killed_by

    def _application_lock(self) -> ApplicationLock:
        files = [self._state_directory / _LOCK_FILE]
        if self._address.path is not None:
            # A second process with another state directory would process the same input twice. On a cluster, its
            # transactional id fences this one.
            files.append(
                self._address.path.with_name(f"{self._address.path.name}-{self._application_id}.lock")
            )
        return ApplicationLock(self._application_id, tuple(files))


def _seconds(duration: Duration | None) -> float | None:
    return None if duration is None else milliseconds(duration, name="timeout") / 1000
