"""`Streams`: runs a topology. Wires configuration, lock, log and worker, and keeps their common life."""

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, overload

from typing_extensions import TypeVar, Unpack

from headrace.base.durations import Duration, timeout_seconds
from headrace.base.errors import StateError, StoreUnavailableError, TopologyError
from headrace.engine.options import EngineOptions
from headrace.engine.status import WorkerStatus
from headrace.engine.worker import Worker
from headrace.query.local import QueryOptions, local_view, store_name
from headrace.state.declaration import Store
from headrace.state.queried import Queried
from headrace.streams.config import Config, ConfigFields
from headrace.streams.figures import lags_of, metrics_of
from headrace.streams.guarantee import engine_values
from headrace.streams.home_process import HomeProcess
from headrace.streams.lock import application_lock, delete_state
from headrace.streams.logs import address_of, open_log_under
from headrace.streams.open_files import raise_limit_of_open_files
from headrace.streams.options import APPLICATION_ID, STATE_DIR
from headrace.streams.remembered_log import RememberedLog
from headrace.streams.signals import StopSignals
from headrace.streams.states import FINAL, Lifecycle, State, StateListener, before_a_query, not_again
from headrace.streams.status_text import waiting_text
from headrace.streams.stream_thread import StreamThread, UncaughtHandler, ensure_fits
from headrace.streams.unattended import tell_if_unattended
from headrace.streams.worker_factory import make_worker
from headrace.topology.topology import Topology

__all__ = ["Streams", "UncaughtHandler"]

R = TypeVar("R")


class Streams:
    """Runs a topology: `with` starts and stops it; `run()` is `with`, signals and waiting, for a program of its own.

    Arguments are properties (see `ConfigFields`); beside a `Config` they are what code says, so that file, environment
    and flags of that `Config` win over them. Safe to use from several threads. Once stopped it does not start again.

    It belongs to the process that starts it. In a child that this process forks nothing runs: `state` is "not_running",
    `close` has nothing to do, and all else that needs the application raises StateError.

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
        path = address_of(self._config).path
        self._lock = partial(application_lock, self._application_id, self._state_directory, path)
        self._options = EngineOptions.of(engine_values(self._config))
        self._life = Lifecycle()
        self._home = HomeProcess()
        self._starting = threading.Lock()
        self._uncaught: UncaughtHandler = lambda error: "shutdown_client"
        self._paused = False
        self._thread: StreamThread | None = None  # from start() on
        self._starter: threading.Thread | None = None  # while it starts

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> State:
        """Where the application is: created, rebalancing, running, pending_shutdown, not_running, or on to error."""
        state = self._life.state
        return "not_running" if self._home.is_elsewhere and state not in FINAL else state

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

        Keeps no program alive: one that ends without `wait`, or `run`, ends its application, which a warning says.

        Raises:
            StateError: it was started before.
            AlreadyRunningError: another process has its state directory, or its embedded log. Nothing has started.
            LogError: the log cannot be opened. Nothing has started.
        """
        self._ensure_here("start")
        with self._starting:
            if self.state != "created":
                raise StateError(
                    f"cannot start {self._application_id!r}: it is {self.state}; {not_again(self.state)}"
                )
            raise_limit_of_open_files()
            thread = self._made_thread()
            self._thread, self._starter = thread, threading.current_thread()
            self._home.settle()
            tell_if_unattended(self._application_id, self._life, self._home)
            self._life.change("rebalancing")
        try:  # without the lock: a listener may close
            self._life.tell()
            thread.start()
        except BaseException as error:
            thread.abandon(error)
            raise
        finally:
            self._starter = None

    def _made_thread(self) -> StreamThread:
        lock = self._lock()
        log = open_log_under(lock, self._config, RememberedLog(self._state_directory))
        return StreamThread(
            self._application_id,
            partial(
                make_worker,
                self._topology,
                self._config,
                options=self._options,
                state_directory=self._state_directory,
            ),
            log=log,
            lock=lock,
            life=self._life,
            uncaught=self._uncaught,
            is_paused=self._paused,
        )

    def close(self, *, timeout: Duration | None = "30s", leave_group: bool = True) -> None:
        """Stop after the record at hand, commit, and release everything. Does not raise what killed the worker.

        Brokers that do not answer are waited for a few seconds; without them the last commit stands, and the next start
        does again what came after it.

        Called from the worker's own thread (a listener, user code) it only asks for the stop. Twice is fine.
        `timeout=None` waits as long as it takes. Without `leave_group` nobody elsewhere takes over for the session
        (`session.timeout.ms`, on Kafka), so that this instance can come back; with its state directory it does at once.

        Raises:
            TimeoutError: user code held the worker for longer than `timeout`; it still stops when that returns.
        """
        if self._home.is_elsewhere:
            return
        timeout_s = timeout_seconds(timeout)
        with self._starting:
            thread = self._thread
            moved = self._life.change("pending_shutdown")
            if thread is not None:
                thread.ask_to_stop(leave_group=leave_group)
        if moved:
            self._life.tell()
        if thread is None:
            if moved:
                self._life.move("not_running")  # it was never started
            return
        if threading.current_thread() in (thread, self._starter):
            return
        if not self._life.wait_for(FINAL, timeout_s):
            raise TimeoutError(f"application {self._application_id!r} did not stop within {timeout}")
        if thread.ident is not None:
            # The last listeners may still run in it; a program that ends now would cut them off.
            thread.join(timeout_s)

    def wait(self, timeout: Duration | None = None) -> None:
        """Block until the application has stopped; raise what killed it.

        Raises:
            TimeoutError: it still runs after `timeout`.
            StateError: called in the application's own thread, by a listener or a function of the topology.
        """
        self._ensure_can_wait()
        if not self._life.wait_for(FINAL, timeout_seconds(timeout)):
            raise TimeoutError(f"application {self._application_id!r} still runs after {timeout}")
        self._raise_killer()

    def wait_running(self, timeout: Duration | None = None) -> None:
        """Block until all tasks are restored and process; raise what killed the application instead.

        Raises:
            StateError: it was closed before, or called in the application's own thread.
            TimeoutError: it is not running after `timeout`; says what it waits for.
        """
        self._ensure_can_wait()
        if not self._life.wait_for(
            frozenset({"running", "pending_shutdown", *FINAL}), timeout_seconds(timeout)
        ):
            how = waiting_text(self.state, self.status(), self.trouble)
            raise TimeoutError(
                f"application {self._application_id!r} is not running after {timeout}; it is {how}"
            )
        if self.state != "running":
            self._life.wait_for(FINAL, timeout_seconds(timeout))
            self._raise_killer()
            raise StateError(f"application {self._application_id!r} was closed before it was running")

    def _ensure_can_wait(self) -> None:
        self._ensure_here("wait for")
        if threading.current_thread() in (self._thread, self._starter):
            raise StateError(
                f"cannot wait for {self._application_id!r} in its own thread, which would never end: wait elsewhere"
            )

    def _ensure_here(self, attempt: str) -> None:
        if self._life.state not in FINAL:
            self._home.ensure_here(f"{attempt} {self._application_id!r}")

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
        elif (killed_by := self._killed_by) is not None and killed_by is not error:
            error.add_note(f"application {self._application_id!r} had died of: {killed_by}")

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
        self._ensure_here("pause or resume")
        self._paused = paused
        if (thread := self._thread) is not None:
            thread.pause(paused)

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
        self._ensure_here("clean up")
        if self.state not in ("created", *FINAL):
            raise StateError(
                f"cannot clean up {self._application_id!r} while it is {self.state}; close it first"
            )
        delete_state(self._state_directory, self._lock())

    # ── listeners ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_state_change(self, listener: StateListener) -> None:
        """Call `listener(new, old)` at every change of state, in order, in the thread that makes it.

        Where several threads make changes at once, one of them tells of all.

        Raises:
            TypeError: it cannot be called so, or is async.
        """
        self._life.listen(listener)

    def on_uncaught(self, handler: UncaughtHandler) -> None:
        """Let `handler` decide what follows when the worker dies; without one the application stops.

        `replace_thread` builds a new worker from what was committed; the other two stop this application. Runs in the
        worker's thread. What the handler itself raises stops the application in place of the first error.

        Raises:
            StateError: the application has started.
            TypeError: it cannot be called with an exception, or is async.
        """
        ensure_fits(handler)
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
    def _worker(self) -> Worker | None:
        return None if self._thread is None or self._home.is_elsewhere else self._thread.worker

    @property
    def _killed_by(self) -> BaseException | None:
        return None if self._thread is None else self._thread.killed_by

    @property
    def trouble(self) -> str | None:
        """What the application waits for while its brokers do not answer, for people to read; None if all is well."""
        thread = self._thread
        return None if thread is None or self._home.is_elsewhere else thread.trouble

    def metrics(self) -> Mapping[str, float]:
        """Return figures of the worker by Kafka Streams' names of them (thread level); empty before the start."""
        status = self.status()
        return {} if status is None else metrics_of(status)

    def lags(self) -> Mapping[str, Mapping[int, int]]:
        """Return how many changelog records are still to be restored for each store's partition; 0 once it runs.

        All stores of a task are restored together, so each has the figure of its task.
        """
        status = self.status()
        return {} if status is None else lags_of(status, self._topology)

    # ── queries ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @overload
    def query(self, store: Store[Queried[R]], **how: Unpack[QueryOptions]) -> R: ...
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
        self._ensure_here(f"query store {name!r} of")
        worker = self._worker
        if worker is None or self.state not in ("rebalancing", "running"):
            raise StoreUnavailableError(
                f"cannot query store {name!r}: application {self._application_id!r} is {self.state}; "
                f"{before_a_query(self.state)}"
            )
        return worker.query(name)

    def _raise_killer(self) -> None:
        if self._killed_by is not None:
            raise self._killed_by

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a Streams cannot be copied or sent to another process: make it there ({self._application_id!r})"
        )
