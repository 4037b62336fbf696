"""`Streams`: runs a topology. Wires configuration, lock, log and worker, and keeps their common life."""

import threading
from functools import partial
from pathlib import Path
from typing import NoReturn

from typing_extensions import TypeVar, Unpack

from headrace.base.durations import Duration, timeout_seconds
from headrace.base.errors import ConfigError, StateError, TopologyError
from headrace.engine.options import EngineOptions
from headrace.engine.store_listeners import StoreListeners
from headrace.streams.asked import Asked
from headrace.streams.client_tags import client_tags
from headrace.streams.config import Config, ConfigFields
from headrace.streams.guarantee import engine_values
from headrace.streams.lock import application_lock, delete_state
from headrace.streams.logs import address_of, open_log_under
from headrace.streams.open_files import raise_limit_of_open_files
from headrace.streams.options import STATE_DIR, WORKER_NUMBER
from headrace.streams.remembered_log import RememberedLog
from headrace.streams.runnable import Runnable
from headrace.streams.serdes import configure_serdes
from headrace.streams.states import FINAL, in_words, not_again
from headrace.streams.status_text import waiting_text
from headrace.streams.stream_thread import UncaughtHandler, ensure_fits
from headrace.streams.stream_threads import StreamThreads
from headrace.streams.unattended import tell_if_unattended
from headrace.streams.worker_factory import WorkerFactory
from headrace.topology.topology import Topology

__all__ = ["Streams", "UncaughtHandler"]

R = TypeVar("R")


class Streams(Asked, Runnable):
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
        super().__init__(topology, (config or Config()).with_fields(**fields))
        self._state_directory = Path(self._config.get(STATE_DIR), self._application_id)
        path, worker = address_of(self._config).path, self._config.get(WORKER_NUMBER)
        if path is not None and worker is not None:
            raise ConfigError(
                "worker.number is for Kafka: an embedded log belongs to one process; leave it out, or set "
                "bootstrap.servers"
            )
        client_tags(self._config.values())  # too many are refused now, and not by a thread
        self._lock = partial(application_lock, self._application_id, self._state_directory, path)
        self._options = EngineOptions.of(engine_values(self._config))
        self._starting = threading.Lock()
        self._uncaught: UncaughtHandler = lambda error: "shutdown_client"
        self._listeners = StoreListeners()
        self._paused = False
        self._starter: threading.Thread | None = None  # while it starts

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    def start(self) -> None:
        """Lock the application, open its log, and start its threads; does not wait until it is running.

        Keeps no program alive: one that ends without `wait`, or `run`, ends its application, which a warning says.

        Raises:
            StateError: it was started before.
            ConfigError: a serde needs a property that is not set, such as schema.registry.url.
            AlreadyRunningError: another process has its state directory, or its embedded log. Nothing has started.
            LogError: the log cannot be opened. Nothing has started.
        """
        self._ensure_here("start")
        with self._starting:
            if self.state != "created":
                raise StateError(
                    f"cannot start {self._application_id!r}: it is {in_words(self.state)}; {not_again(self.state)}"
                )
            raise_limit_of_open_files()
            configure_serdes(self._topology, self._config.values())
            threads = self._made_threads()
            self._threads, self._starter = threads, threading.current_thread()
            self._home.settle()
            tell_if_unattended(self._application_id, self._life, self._home)
            self._life.change("rebalancing")
        try:  # without the lock: a listener may close
            self._life.tell()
            threads.start(self._config["num.stream.threads"])
        except BaseException as error:
            threads.abandon(error)
            raise
        finally:
            self._starter = None

    def _made_threads(self) -> StreamThreads:
        lock = self._lock(self._config.get(WORKER_NUMBER))
        log = open_log_under(lock, self._config, RememberedLog(self._state_directory))
        return StreamThreads(
            self._application_id,
            WorkerFactory(
                self._topology,
                self._config,
                log,
                options=self._options,
                state_directory=self._state_directory,
                listeners=self._listeners,
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

        Called from one of its own threads (a listener, user code) it only asks for the stop. Twice is fine.
        `timeout=None` waits as long as it takes. Without `leave_group` nobody elsewhere takes over for the session
        (`session.timeout.ms`, on Kafka), so that this instance can come back; with its state directory it does at once.

        Raises:
            TimeoutError: user code held a thread for longer than `timeout`; it still stops when that returns.
        """
        if self._home.is_elsewhere:
            return
        timeout_s = timeout_seconds(timeout)
        with self._starting:
            threads = self._threads
            moved = self._life.change("pending_shutdown")
        if threads is not None:
            threads.ask_to_stop(leave_group=leave_group)
        if moved:
            self._life.tell()
        if threads is None:
            if moved:
                self._life.move("not_running")  # it was never started
            return
        if threads.is_own or threading.current_thread() is self._starter:
            return
        if not self._life.wait_for(FINAL, timeout_s):
            raise TimeoutError(f"application {self._application_id!r} did not stop within {timeout}")
        # The last listeners may still run in one; a program that ends now would cut them off.
        threads.join(timeout_s)

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
        is_own = self._threads is not None and self._threads.is_own
        if is_own or threading.current_thread() is self._starter:
            raise StateError(
                f"cannot wait for {self._application_id!r} in its own thread, which would never end: wait elsewhere"
            )

    def pause(self) -> None:
        """Stop processing and punctuation after the record at hand, until `resume`; tasks stay."""
        self._pause(True)

    def resume(self) -> None:
        """Undo `pause`."""
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        self._ensure_here("pause or resume")
        self._paused = paused
        if (threads := self._threads) is not None:
            threads.pause(paused)

    @property
    def is_paused(self) -> bool:
        """Whether `pause` is in force."""
        return self._paused

    def add_stream_thread(self) -> str | None:
        """Start one more stream thread, and return its name; None where the application does not run.

        It gets its share of the tasks of this instance, and of the record cache. It helps where threads wait, for
        brokers or disks: all of them share one core.
        """
        self._ensure_here("add a thread to")
        with self._starting:
            threads = self._threads if self.state in ("rebalancing", "running") else None
            return None if threads is None else threads.add()

    def remove_stream_thread(self, timeout: Duration | None = None) -> str | None:
        """Stop a stream thread, and return its name; None where the application does not run, or has none.

        The others get its tasks. In a thread of the application (a listener, user code) it only asks for the stop, of
        another thread if there is one. Without any, the application goes on to be "running", and does nothing.

        Raises:
            TimeoutError: user code held it for longer than `timeout`; it still stops when that returns.
        """
        self._ensure_here("remove a thread from")
        threads = self._threads if self.state in ("rebalancing", "running") else None
        return None if threads is None else threads.remove(timeout_seconds(timeout))

    def clean_up(self) -> None:
        """Delete the application's local state; the next start restores it from the changelogs.

        Raises:
            StateError: it is not stopped.
            AlreadyRunningError: another process runs it.
        """
        self._ensure_here("clean up")
        if self.state not in ("created", *FINAL):
            raise StateError(
                f"cannot clean up {self._application_id!r} while it is {in_words(self.state)}; close it first"
            )
        delete_state(self._state_directory, self._lock())

    # ── listeners ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_restore(self, listener: object) -> None:
        """Let an object hear how stores are restored, global ones too: it has some of `RestoreListener`'s methods.

        They are called in the stream threads, which wait for them. What one raises is logged.

        Raises:
            TypeError: it has none of the methods, or one that cannot be called so, or is async.
        """
        self._listeners.hear_restores(listener)

    def on_standby_update(self, listener: object) -> None:
        """Let an object hear how standbys follow: it has some of `StandbyUpdateListener`'s methods. As `on_restore`.

        Raises:
            TypeError: it has none of the methods, or one that cannot be called so, or is async.
        """
        self._listeners.hear_standbys(listener)

    def on_uncaught(self, handler: UncaughtHandler) -> None:
        """Let `handler` decide what follows when a thread dies; without one the application stops, with all threads.

        `replace_thread` goes on from what was committed, `shutdown_client` stops this instance, and
        `shutdown_application` all of them, through their group: their handlers are not asked. Runs in the thread that
        dies. What the handler itself raises stops the application in place of the first error.

        Raises:
            StateError: the application has started.
            TypeError: it cannot be called with an exception, or is async.
        """
        ensure_fits(handler)
        if self.state != "created":
            raise StateError(
                f"cannot set the handler of {self._application_id!r}: it is {in_words(self.state)}; "
                "set it before start()"
            )
        self._uncaught = handler

    @property
    def shuts_down_application(self) -> bool:
        """Whether it has ended, or is about to, since all instances of the application are to.

        A handler of `on_uncaught` said so, here or in another instance. Whoever supervises the instances, such as
        `headrace run --workers`, starts none again.
        """
        return self._threads is not None and self._threads.shuts_down_application

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a Streams cannot be copied or sent to another process: make it there ({self._application_id!r})"
        )
